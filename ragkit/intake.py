"""What comes in: files looked at and loaded where they must be, ahead of who takes them; documents of a caller checked.

It decides whether a file is what it was; what becomes of it in the index is not known here.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from ragkit.crew import Crew, Job
from ragkit.errors import ConfigError, LoadError
from ragkit.folders import SIDECAR, FoundFile, composed, is_text, metadata_fault, opened
from ragkit.loaders.hygiene import normalise
from ragkit.protocols import Parsers
from ragkit.reports import FileStamp, Known, Loaded, Problem
from ragkit.types import Document

# A file changed this shortly before it was read may change again within the same tick of its clock.
_RACY_NS = 2_000_000_000
# How far to read ahead: files that are loaded, for each parser, so that the others go on while one has a slow file;
# bytes of all of these, or characters where they are loaded already; and files in all.
_LOADED_AHEAD = 16
_BYTES_AHEAD = 16 << 20
_FILES_AHEAD = 1024
_PATIENCE = 0.02  # seconds to wait for a file before whoever asks is told that it is not there yet


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


def must_open(file: FoundFile, before: Known | None) -> bool:
    """Whether what was found of it does not tell already that it cannot be read, or is what it was `before`."""
    return not file.problem and not (before and untouched(file.stamp, before.stamp))


@dataclass(slots=True)
class _Place:
    """One file in the row: looked at already, or by a thread; `size` is the file's, in bytes."""

    size: int
    seen: Seen | None = None
    job: Job[Seen | Exception] | None = None

    @property
    def ready(self) -> bool:
        return self.seen is not None or (self.job is not None and self.job.done)

    @property
    def weight(self) -> int:
        """About what it holds of memory: bytes that will be read, or characters that were."""
        if self.job and self.job.done and isinstance(self.job.result, Seen):
            loaded = self.job.result.loaded
            return len(loaded.document.text) if loaded else 0
        return self.size if self.job else 0


def look_at_all(
    files: Iterable[tuple[FoundFile, Known | None]], parsers: Parsers
) -> Generator[Seen | None, None, None]:
    """Each file in order, with others in the making behind it; None where the next one is not there yet.

    A file comes with what is known of it, or None where it is to be loaded in any case. Closed or interrupted it does
    not wait for what its threads are at: that ends with the parsers.
    """
    crew: Crew[Seen | Exception] = Crew(parsers.workers)
    row: deque[_Place] = deque()
    try:
        for file, before in files:
            place = _Place(file.stamp.size)
            if not must_open(file, before):
                stamp = before.stamp if before and not file.problem else file.stamp
                place.seen = Seen(file, stamp, None if file.problem else before, problem=file.problem)
            while row and (row[0].ready or _is_full(row, place, parsers.workers)):
                yield from _first(row, crew)
            if not place.seen:
                place.job = crew.give(partial(_outcome, file, before, parsers))
            row.append(place)
        while row:
            yield from _first(row, crew)
    finally:
        crew.withdraw()
        crew.dismiss()


def _is_full(row: deque[_Place], more: _Place, workers: int) -> bool:
    if more.seen:
        return len(row) >= _FILES_AHEAD
    loaded = [place.weight for place in row if place.job]
    return len(loaded) >= _LOADED_AHEAD * workers or (len(loaded) > 0 and sum(loaded) + more.size > _BYTES_AHEAD)


def _first(row: deque[_Place], crew: Crew[Seen | Exception]) -> Iterator[Seen | None]:
    """Take the first one off the row; None before it as long as it is in the making."""
    if job := row[0].job:
        while not crew.await_done(job, _PATIENCE):
            yield None
        crew.running.remove(job)
    place = row.popleft()
    outcome = place.job.result if place.job else place.seen
    if isinstance(outcome, Exception):
        raise outcome
    yield outcome


def _outcome(file: FoundFile, before: Known | None, parsers: Parsers) -> Seen | Exception:
    try:
        return look_at(file, before, parsers)
    except Exception as error:  # noqa: BLE001 - raised in the thread of the caller
        return error


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
    return replace(document, text=text, sha256=sha256, metadata=composed(document.metadata))
