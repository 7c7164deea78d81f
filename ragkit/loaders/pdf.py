"""PDF by pdfium: the text of each page, and what shows on pages without text.

pdfium gives 17 times the pages of pypdf per CPU second and opens more files. Outline and properties come from
pypdf, where it can open the file within its time; else from pdfium.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import pypdfium2  # type: ignore[import-untyped]  # ships no types
from pypdfium2 import raw

from ragkit.loaders.limits import DEFAULT_LIMITS, Limits, unreadable
from ragkit.loaders.pages import Bookmark, Look, Page, check_page_count, check_pages_size, document_of_pages
from ragkit.loaders.pdf_second import NoOutlineError, outline_and_properties, page_texts
from ragkit.loaders.sniff import check_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ragkit.reports import Loaded

_IN_MEMORY = 128 << 20  # bytes; larger files are read as pdfium asks for them
_FEW_LETTERS = 60  # on a page: too few for a page of text, so that its images are looked at
_MANY_PATHS = 150  # letters drawn as curves; rules and frames are fewer
_MAX_BOOKMARKS = 20_000


def load_pdf(stream: BinaryIO, source: str, limits: Limits = DEFAULT_LIMITS) -> Loaded:
    """Raises UnreadableDocument: encrypted, no_text, empty, damaged, too large."""
    check_kind(stream, "a PDF", b"%PDF-")
    data = stream.read(_IN_MEMORY + 1)
    stream.seek(0)
    try:
        document = pypdfium2.PdfDocument(stream if len(data) > _IN_MEMORY else data)
    except pypdfium2.PdfiumError as error:
        raise _cannot_open(error) from error
    with document:
        check_page_count(len(document), limits)
        pages = list(_pages(document, limits))
        _mend(stream, pages)
        try:
            bookmarks, properties = outline_and_properties(stream)
        except NoOutlineError:
            bookmarks, properties = list(_outline(document)), document.get_metadata_dict(skip_empty=True)
    return document_of_pages(source, pages, bookmarks, properties)


def _cannot_open(error: pypdfium2.PdfiumError) -> Exception:
    if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
        return unreadable("it is encrypted", "remove the password and index again", "encrypted")
    return unreadable("it is damaged, or no PDF at all", "open it in its program, save it anew and index again")


def _pages(document: pypdfium2.PdfDocument, limits: Limits) -> Iterator[Page]:
    size = 0
    for index in range(len(document)):
        try:
            page = document[index]
        except pypdfium2.PdfiumError:
            yield Page("", Look.DAMAGED)
            continue
        textpage = page.get_textpage()
        text = _visible_text(textpage)
        textpage.close()
        size += len(text)
        check_pages_size(size, limits)
        printed = text.strip()
        yield _look(page, text) if len(printed) < _FEW_LETTERS else Page(text)
        page.close()


def _visible_text(textpage: pypdfium2.PdfTextPage) -> str:
    """The page's text, without what stands beside the page, where no reader sees it.

    pdfium's text within bounds leaves that out, and loses spaces between lines now and then.
    """
    whole: str = textpage.get_text_range()
    bounded: str = textpage.get_text_bounded()
    return whole if len("".join(whole.split())) == len("".join(bounded.split())) else bounded


def _is_fragmented(text: str) -> bool:
    """Whether a page came out letter by letter: pdfium then knows neither its words nor its lines."""
    lines = text.split("\n")
    return len(lines) > 30 and sum(len(line.strip()) <= 2 for line in lines) > len(lines) / 2


def _mend(stream: BinaryIO, pages: list[Page]) -> None:
    """Read fragmented pages by pypdf, and keep its text where no letters are lost by that."""
    wanted = [index for index, page in enumerate(pages) if _is_fragmented(page.text)]
    for index, text in page_texts(stream, wanted).items() if wanted else ():
        enough = 0.95 * len("".join(pages[index].text.split()))
        if not _is_fragmented(text) and len("".join(text.split())) >= enough:
            pages[index] = replace(pages[index], text=text)


def _look(page: pypdfium2.PdfPage, text: str) -> Page:
    kinds = dict.fromkeys((raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_SHADING), 0)
    whole_image = False
    width, height = page.get_size()
    for item in itertools.islice(page.get_objects(filter=list(kinds), max_depth=5), 10_000):
        kinds[item.type] += 1
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            whole_image = whole_image or (right - left) * (top - bottom) > 0.6 * width * height
    if kinds[raw.FPDF_PAGEOBJ_IMAGE]:
        return Page(text, Look.SCAN, whole_image)
    return Page(text, Look.DRAWING if kinds[raw.FPDF_PAGEOBJ_PATH] >= _MANY_PATHS else Look.BLANK)


def _outline(document: pypdfium2.PdfDocument) -> Iterator[Bookmark]:
    for bookmark in itertools.islice(document.get_toc(max_depth=15), _MAX_BOOKMARKS):
        destination = bookmark.get_dest()
        page = destination.get_index() if destination else None
        if page is not None:
            yield Bookmark(bookmark.get_title(), bookmark.level + 1, page)
