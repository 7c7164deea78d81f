"""A conversation in a file: a JSON object a line for each turn, readable by its owner alone.

It knows turns and files, and nothing of who takes part.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragkit.answers import Citation, Verification
from ragkit.dialogue import Turn
from ragkit.errors import ConfigError
from ragkit_cli import payload

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIME = "%Y-%m-%dT%H:%M:%SZ"


def read(path: Path) -> list[Turn]:
    """The turns of the file; none where there is no file yet.

    Raises ConfigError for what holds no conversation, and for a place where none can be written.
    """
    if not path.exists():
        folder = path.absolute().parent
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder", "make it, or name a file elsewhere")
        _check_writable(folder, path)
        return []
    if not path.is_file():
        raise ConfigError(f"{path} is no file", "name a file for the conversation")
    _check_writable(path, path)
    turns = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if line.strip():
            try:
                turns.append(_turn(json.loads(line)))
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise ConfigError(
                    f"line {number} of {path} is no turn of a conversation", "name another file, or take the line out"
                ) from error
    return turns


def _check_writable(place: Path, path: Path) -> None:
    """Before a question is paid for whose answer could not be kept."""
    if not os.access(place, os.W_OK):
        raise ConfigError(f"{path} cannot be written", "name a file for the conversation in a folder of your own")


def append(path: Path, turn: Turn) -> None:
    """One more turn, on a line of its own."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "rb+", buffering=0) as file:
        whole = file.seek(0, os.SEEK_END) == 0 or (file.seek(-1, os.SEEK_END), file.read(1))[1] == b"\n"
        file.write((b"" if whole else b"\n") + _line(turn))


def save(path: Path, turns: Iterable[Turn], *, again: bool = False) -> None:
    """All turns into a new file, or `again` into one that was saved before.

    Raises ConfigError for a file that is there already.
    """
    mode = os.O_TRUNC if again else os.O_EXCL
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"{path} exists already", "name another file") from error
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(map(_line, turns))


def _line(turn: Turn) -> bytes:
    fields = {
        "question": turn.question,
        "rewritten": turn.rewritten,
        "answer": turn.answer,
        "citations": [payload.of_citation(each) for each in turn.citations],
        "time": datetime.fromtimestamp(turn.time, UTC).strftime(_TIME),
    }
    # half a surrogate pair, which UTF-8 cannot say, becomes the escape by which JSON says it
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def _turn(fields: dict[str, object]) -> Turn:
    texts = {name: fields[name] for name in ("question", "rewritten", "answer", "time")}
    found = {name: text for name, text in texts.items() if isinstance(text, str)}
    given = fields["citations"]
    if len(found) < len(texts) or not isinstance(given, list):
        raise ValueError("a field of another type")
    moment = datetime.strptime(found["time"], _TIME).replace(tzinfo=UTC)
    citations = tuple(Citation(**{**each, "verification": Verification(each["verification"])}) for each in given)
    return Turn(found["question"], found["answer"], citations, found["rewritten"], int(moment.timestamp()))
