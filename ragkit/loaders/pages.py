"""One document from a PDF's pages, whichever parser read them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from ragkit.loaders.hygiene import one_line
from ragkit.loaders.letters import UNMENDED, mend_letters
from ragkit.loaders.limits import Limits, check_text_size, unreadable
from ragkit.loaders.pdf_words import whole_words
from ragkit.loaders.titles import iso_date, sensible_name, sensible_title
from ragkit.numbers import number as shown
from ragkit.reports import Loaded, Problem
from ragkit.types import Document, Heading

if TYPE_CHECKING:
    from collections.abc import Iterable

_BETWEEN_PAGES = "\n\n"
_OCR = "run OCR on it and index again"
_ANEW = "open it in its program, save it anew and index again"
_MAX_HEADINGS = 20_000
_PRINTED = re.compile(r"\S")
# Private use, replacement, controls: what a font without a map to Unicode leaves behind.
_GARBAGE = re.compile("[\ue000-\uf8ff\ufffd\x00-\x01\x03-\x08\x0e-\x1f\U000f0000-\U0010fffd]")
_GARBLED_SHARE = 0.3


class Look(Enum):
    """What a page shows, where that matters: all but GARBLED are of pages without text."""

    BLANK = "blank"
    SCAN = "scan"
    DRAWING = "drawing"
    DAMAGED = "damaged"
    GARBLED = "garbled"


_REASONS = {  # reason, cure, code; what a reader can mend comes first
    Look.SCAN: ("has no text layer (scanned?)", _OCR, "no_text"),
    Look.DRAWING: ("has drawings and no text", _OCR, "no_text"),
    Look.GARBLED: ("has garbled text: its font does not say which letters it shows", _OCR, "garbled"),
    Look.DAMAGED: ("is damaged", _ANEW, "unreadable"),
}


@dataclass(frozen=True, slots=True)
class Page:
    """The parser's own text of a page; `look` tells of a page without text; `whole_image` one behind the text."""

    text: str
    look: Look = Look.BLANK
    whole_image: bool = False


@dataclass(frozen=True, slots=True)
class Bookmark:
    """An entry of the outline: level from 1, page from 0."""

    title: str
    level: int
    page: int


def check_page_count(count: int, limits: Limits) -> None:
    if count > limits.pages:
        raise unreadable(
            f"it has {shown(count)} pages, the limit is {shown(limits.pages)}", "split it and index again", "too_large"
        )


def check_pages_size(size: int, limits: Limits) -> None:
    """Raise as soon as `size` characters cannot fit: a character is a byte at least."""
    check_text_size(size, limits)


def document_of_pages(
    source: str, pages: Sequence[Page], bookmarks: Iterable[Bookmark], properties: dict[str, str]
) -> Loaded:
    """Raises UnreadableDocument where no page has text, with the reason that most pages share."""
    pages, mended = _mended(pages)
    problems, notes = _judge(pages)
    notes += tuple(f"{count} pages had {fault}: letters were put back" for fault, count in mended.items())
    texts = whole_words(page.text for page in pages)
    if not any(text.strip() for text in texts):
        raise _no_text(pages)
    starts, offset = [], 0
    for text in texts:
        starts.append(offset)
        offset += len(text) + len(_BETWEEN_PAGES)
    document = Document(
        source,
        _BETWEEN_PAGES.join(texts),
        media_type="application/pdf",
        page_starts=tuple(starts),
        headings=_headings(bookmarks, texts, starts),
        metadata=_metadata(properties, len(pages)),
    )
    return Loaded(document, problems, notes)


def _mended(pages: Sequence[Page]) -> tuple[list[Page], Counter[str]]:
    """The pages with replaced letters put back, garbled ones emptied; the faults that were mended, and how often."""
    found: list[Page] = []
    faults: Counter[str] = Counter()
    for page in pages:
        text, fault = mend_letters(page.text)
        if fault == UNMENDED or _is_garbled(text):
            found.append(Page("", Look.GARBLED))
            continue
        faults[fault] += bool(fault)
        found.append(replace(page, text=text) if fault else page)
    return found, +faults  # without the zeros


def _is_garbled(text: str) -> bool:
    garbage = len(_GARBAGE.findall(text))
    return garbage > 0 and garbage > _GARBLED_SHARE * len(_PRINTED.findall(text))


def _judge(pages: Sequence[Page]) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    problems: list[Problem] = []
    notes: list[str] = []
    for number, page in enumerate(pages, 1):
        printed = page.text.strip()
        if not printed and page.look in _REASONS:
            reason, cure, code = _REASONS[page.look]
            problems.append(Problem(f"page {number} {reason}", cure, number, code))
        elif not printed:
            notes.append(f"page {number} is blank")
        elif page.whole_image:
            notes.append(f"page {number} is an image with {len(printed)} characters of text (scanned?)")
    return tuple(problems), tuple(notes)


def _no_text(pages: Sequence[Page]) -> Exception:
    if not pages:
        return unreadable("it has no pages", _ANEW)
    looks = {page.look for page in pages}
    each = f"each of its {len(pages)} pages" if len(pages) > 1 else "its only page"
    for look, (reason, cure, code) in _REASONS.items():
        if look in looks:
            return unreadable(f"{each} {reason}" if len(looks) == 1 else f"no page has text: one {reason}", cure, code)
    return unreadable(f"{each} is blank", "remove it, or index the file that it was made from", "empty")


def _metadata(properties: dict[str, str], count: int) -> dict[str, str | int | float]:
    metadata: dict[str, str | int | float] = {"pages": count}
    found = {
        "title": sensible_title(properties.get("Title", "")),
        "author": sensible_name(properties.get("Author", "")),
        "created": iso_date(properties.get("CreationDate", "")),
        "modified": iso_date(properties.get("ModDate", "")),
        "language": one_line(properties.get("Lang", "")),
    }
    return {**{key: value for key, value in found.items() if value}, **metadata}


def _headings(bookmarks: Iterable[Bookmark], texts: Sequence[str], starts: Sequence[int]) -> tuple[Heading, ...]:
    """Where each title stands on the page it points to, or that page's start where it is not found."""
    found = []
    for bookmark in bookmarks:
        title = one_line(bookmark.title)
        if title and 0 <= bookmark.page < len(texts):
            found.append(
                Heading(starts[bookmark.page] + _place(title, texts[bookmark.page]), max(bookmark.level, 1), title)
            )
        if len(found) == _MAX_HEADINGS:
            break
    return tuple(sorted(found, key=lambda heading: heading.start))


def _place(title: str, text: str) -> int:
    words = r"\s+".join(map(re.escape, title.split()[:30]))
    match = re.search(rf"^[ \t]*(?:[\d.]+\s+)?({words})", text, re.IGNORECASE | re.MULTILINE) or re.search(
        rf"({words})", text, re.IGNORECASE
    )
    return match.start(1) if match else 0
