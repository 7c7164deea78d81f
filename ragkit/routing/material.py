"""What is asked about, as far as the choice of a way needs it: sizes, kinds, lengths. Files are read by what is handed
in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragkit.errors import ConfigError, LoadError
from ragkit.generative.attached import is_image
from ragkit.generative.whole import as_source
from ragkit.providers.lengths import estimated_tokens
from ragkit.providers.wire.files import TYPES
from ragkit.reports import DocumentInfo
from ragkit.types import Document

_LETTERS = 2.6  # of a token of Russian; English has more, so that no text is taken for shorter than it is
_MOST_LETTERS = 8  # of a token, on average, in any language: what has more characters than that needs no counting


@dataclass(frozen=True, slots=True)
class Material:
    """A document that is asked about.

    `size` is in bytes, 0 for a text without a file. `kind` is "text", "image" or "audio". `tokens` is None for what
    has no text, and for a file whose text could not be read, which `error` explains. `document` is that text.
    """

    name: str
    size: int = 0
    kind: str = "text"
    characters: int = 0
    tokens: int | None = None
    error: LoadError | None = None
    document: Document | None = field(default=None, repr=False)


def look(
    paths: Sequence[Path], load: Callable[[Path], Document], *, count: Callable[[str], int] = estimated_tokens
) -> list[Material]:
    """The files as material, with their texts; one that gives none says why.

    Raises ConfigError for a path that is no file.
    """
    names = [path.name for path in paths]
    return [_looked_at(path, load, count, alone=names.count(path.name) == 1) for path in paths]


def of_index(
    infos: Iterable[DocumentInfo],
    document: Callable[[str], Document],
    *,
    limit: int,
    count: Callable[[Sequence[str]], tuple[list[int], bool]],
) -> list[Material]:
    """The documents of an index that have text, as material: texts without files, with what frames them in a prompt.

    They are read and counted where they may have `limit` tokens or fewer; otherwise characters are enough.
    """
    found = [each for each in infos if each.characters]
    frame = estimated_tokens(as_source(Document("", "")))
    if sum(each.characters for each in found) // _MOST_LETTERS + frame * len(found) > limit:
        return [
            Material(each.source, characters=each.characters, tokens=round(each.characters / _LETTERS) + frame)
            for each in found
        ]
    documents = [document(each.source) for each in found]
    counts, _ = count([as_source(each) for each in documents])
    return [
        Material(each.source, characters=len(each.text), tokens=tokens, document=each)
        for each, tokens in zip(documents, counts, strict=True)
    ]


def _looked_at(path: Path, load: Callable[[Path], Document], count: Callable[[str], int], *, alone: bool) -> Material:
    if not path.is_file():
        raise ConfigError(f"{path} is no file", "name a document or an image")
    size = path.stat().st_size
    known = TYPES.get(path.suffix.lower().removeprefix("."))
    kind = "image" if is_image(path) else known.kind if known else "text"
    if kind != "text":
        return Material(path.name, size, kind)
    try:
        document = load(path)
    except LoadError as error:
        return Material(path.name, size, error=error)
    if not alone:  # two files of one name would replace each other in an index
        document = replace(document, source=path.as_posix())
    return Material(path.name, size, kind, len(document.text), count(document.text), document=document)
