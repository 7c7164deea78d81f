"""Files of one JSON object a line, read with the number of the line that is wrong. It knows no field by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ragkit.errors import ConfigError

_OBJECTS = "write one JSON object on each line"


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with their 1-based lines; blank lines are passed over.

    Raises ConfigError, with the line, where one is not a JSON object in UTF-8.
    """
    for number, text in text_lines(path):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{at(path, number)} is not JSON: {error}", _OBJECTS) from error
        if not isinstance(row, dict):
            raise ConfigError(f"{at(path, number)} holds a {type(row).__name__}, not an object", _OBJECTS)
        if "\\ud" in text.lower() and not _is_text(row):
            raise ConfigError(f"{at(path, number)} has half a surrogate pair", "take out what is no letter")
        yield number, row


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, with their 1-based numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist", "docs/evaluation.md lists the files that are read") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start})", "convert it, for example with iconv") from error


def text_field(path: Path, number: int, row: dict[str, Any], name: str, *, default: str | None = None) -> str:
    """A field that must be text, and unless there is a default must not be empty; an `_id` may be a number."""
    value = row.get(name, default)
    if isinstance(value, int) and not isinstance(value, bool) and name == "_id":
        value = str(value)  # some collections number their documents
    if not isinstance(value, str) or (default is None and not value.strip()):
        said = "is missing" if name not in row else f"is {value!r}"
        raise ConfigError(f"{at(path, number)}: {name!r} {said}", f"give {name!r} as text")
    return value


def at(path: Path, number: int) -> str:
    """Where something is wrong."""
    return f"{path}, line {number}"


def _is_text(row: dict[str, Any]) -> bool:
    """Whether it can be written as UTF-8: JSON may escape what is no character."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
