"""PDF by pypdf: outline and properties, and the text where pdfium gives none."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

import pypdf
import pypdf.errors
from pypdf.generic import Destination

from ragkit.loaders.limits import DEFAULT_LIMITS, Limits, unreadable
from ragkit.loaders.pages import Bookmark, Look, Page, check_page_count, check_pages_size, document_of_pages
from ragkit.loaders.sniff import check_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ragkit.reports import Loaded

_OUTLINE_SECONDS = 3.0  # of CPU time; reports of 100 pages take 0.01
_PAGES_SECONDS = 5.0  # of CPU time; a page takes 0.05
_MAX_BOOKMARKS = 20_000

logging.getLogger("pypdf").addHandler(logging.NullHandler())  # it warns of what it mends; the outcome is enough


def load_pdf_second(stream: BinaryIO, source: str, limits: Limits = DEFAULT_LIMITS) -> Loaded:
    """The text by pypdf. Raises UnreadableDocument as `load_pdf` does."""
    check_kind(stream, "a PDF", b"%PDF-")
    reader = _open(stream)
    check_page_count(len(reader.pages), limits)
    pages, size = [], 0
    for page in reader.pages:
        read = _read(page)
        size += len(read.text)
        check_pages_size(size, limits)
        pages.append(read)
    with contextlib.suppress(Exception):
        return document_of_pages(source, pages, _outline(reader), _properties(reader))
    return document_of_pages(source, pages, [], {})


class NoOutlineError(Exception):
    """pypdf cannot open the file, or takes too long."""


def outline_and_properties(stream: BinaryIO) -> tuple[list[Bookmark], dict[str, str]]:
    """Bounded in time, so that no text is lost for an outline. Raises NoOutlineError."""
    try:
        with _bounded(_OUTLINE_SECONDS):
            reader = _open(stream)
            return list(_outline(reader)), _properties(reader)
    except Exception as error:  # pypdf raises anything on damaged files
        raise NoOutlineError from error


def page_texts(stream: BinaryIO, indexes: Sequence[int]) -> dict[int, str]:
    """The texts of some pages, as many as are read in the time: the others are as pdfium gave them."""
    found: dict[int, str] = {}
    try:
        with _bounded(_PAGES_SECONDS):
            reader = _open(stream)
            for index in indexes:
                found[index] = reader.pages[index].extract_text()
    except Exception:  # noqa: BLE001 - pypdf raises anything on damaged files; pdfium's text stands
        return found
    return found


def _open(stream: BinaryIO) -> pypdf.PdfReader:
    stream.seek(0)
    try:
        reader = pypdf.PdfReader(stream)
        locked = reader.is_encrypted and not reader.decrypt("")
    except pypdf.errors.DependencyError as error:
        raise unreadable("it is encrypted", "remove the password and index again", "encrypted") from error
    if locked:
        raise unreadable("it is encrypted", "remove the password and index again", "encrypted")
    return reader


def _read(page: pypdf.PageObject) -> Page:
    try:
        text = page.extract_text()
    except Exception:  # noqa: BLE001 - pypdf raises anything on damaged pages: the others may be whole
        return Page("", Look.DAMAGED)
    if text.strip():
        return Page(text)
    try:
        return Page("", Look.SCAN if len(page.images) else Look.BLANK)
    except Exception:  # noqa: BLE001 - as above
        return Page("", Look.DAMAGED)


def _outline(reader: pypdf.PdfReader) -> Iterator[Bookmark]:
    outline = reader.outline
    if not outline:
        return
    numbers = {
        page.indirect_reference.idnum: number for number, page in enumerate(reader.pages) if page.indirect_reference
    }
    count = 0
    stack: list[Iterator[Any]] = [iter(outline)]
    while stack and count < _MAX_BOOKMARKS:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif isinstance(entry, list):
            stack.append(iter(entry))
        elif isinstance(entry, Destination):
            page = getattr(entry.page, "idnum", None)
            if page in numbers:
                count += 1
                yield Bookmark(str(entry.title), len(stack), numbers[page])


def _properties(reader: pypdf.PdfReader) -> dict[str, str]:
    found = {str(key).lstrip("/"): str(value) for key, value in (reader.metadata or {}).items() if value is not None}
    if language := reader.root_object.get("/Lang"):
        found["Lang"] = str(language)
    return found


@contextlib.contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after so much CPU time. Only a main thread can be interrupted; others are not bounded."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(_signal: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
