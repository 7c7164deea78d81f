"""What comes in: a file looked at and loaded where it must be, a document of the caller's checked.

It decides whether a file is what it was; what becomes of it in the index is not known here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from ragkit.errors import ConfigError, LoadError
from ragkit.folders import SIDECAR, FoundFile, is_text, metadata_fault, opened
from ragkit.loaders.hygiene import normalise
from ragkit.protocols import Parsers
from ragkit.reports import FileStamp, Known, Loaded, Problem
from ragkit.types import Document

# A file changed this shortly before it was read may change again within the same tick of its clock.
_RACY_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that was looked at: it has the same bytes as `known`, or it was loaded, or there is a problem."""

    file: FoundFile
    stamp: FileStamp
    known: Known | None = None
    loaded: Loaded | None = None
    problem: Problem | None = None


def untouched(now: FileStamp, before: FileStamp) -> bool:
    same = (now.size, now.mtime_ns, now.sidecar) == (before.size, before.mtime_ns, before.sidecar)
    return same and before.mtime_ns < before.checked_ns - _RACY_NS


def look_at(file: FoundFile, before: Known | None, parsers: Parsers) -> Seen:
    """Open a file and load it, unless its bytes are those of before. One that changes meanwhile is tried again."""
    for last in (False, True):
        try:
            with opened(file) as content:
                same = before and (before.sha256, before.stamp.sidecar) == (content.sha256, content.stamp.sidecar)
                if same:
                    return Seen(file, content.stamp, known=before)
                loaded = parsers.load(content.stream, file.source)
            metadata = {**loaded.document.metadata, **content.metadata}
            if fault := metadata_fault(metadata):
                return Seen(file, content.stamp, problem=Problem(fault, f"mend its {SIDECAR}", code="sidecar"))
            document = replace(loaded.document, sha256=content.sha256, metadata=metadata)
            return Seen(file, content.stamp, loaded=replace(loaded, document=document))
        except LoadError as error:
            if last or error.code != "changed":
                return Seen(file, file.stamp, problem=Problem(error.message, error.hint, code=error.code))
    raise AssertionError  # the loop returns at its second turn


def clean(document: Document) -> Document:
    """The document as it can be stored. Raises ConfigError where that is not possible."""
    if not document.source or not is_text(document.source):
        raise ConfigError(
            f"{document.source!r} cannot be the source of a document", "give each a name in valid Unicode"
        )
    if fault := metadata_fault(document.metadata):
        raise ConfigError(f"{document.source!r}: {fault}", "leave it out or mend it")
    offsets = [*document.page_starts, *(heading.start for heading in document.headings)]
    ascending = list(document.page_starts) == sorted(document.page_starts)
    if not ascending or any(not 0 <= offset <= len(document.text) for offset in offsets):
        raise ConfigError(
            f"pages or headings of {document.source!r} are not in its text, in order", "mend their offsets"
        )
    text = normalise(document.text)
    if text != document.text and (document.page_starts or document.headings):
        raise ConfigError(
            f"the text of {document.source!r} is not normalised, so its pages and headings would point elsewhere",
            "make the text with ragkit.normalise(text), and the offsets in that",
        )
    sha256 = document.sha256 or hashlib.sha256(document.text.encode("utf-8", "surrogatepass")).hexdigest()
    return replace(document, text=text, sha256=sha256, metadata=dict(document.metadata))
