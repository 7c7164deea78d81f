"""Offsets of a document to pages, lines and heading paths, and the words that tell a chunk's place.

Everything comes from the offsets that the loader gave; nothing is carried along by hand, so a quote, a chunk and
a heading that stand at the same place are told to stand at the same place.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragkit.types import Chunk, Document

PATH_SEPARATOR = " › "
_LONGEST_HEADING = 160  # characters of one heading in a path: a paragraph in a heading's style is no label
_VISIBLE = re.compile(r"\S")
_MARKUP = re.compile(r"[#*_`>]+")
_LONGEST_REPEATED = 32  # characters of markup and numbering that may stand before a repeated heading
_UNDERLINE = re.compile(r"[^\S\n]*(?:=++|-++)[^\S\n]*(?:\n|\Z)")


class Positions:
    """The landmarks of one document, prepared once for many offsets: a bisection for each question.

    `heading_starts` are the beginnings of the lines where headings stand, ascending, without doubles;
    `heading_levels` and `body_starts` go with them: the level, and the first visible character below.
    """

    def __init__(self, document: Document) -> None:
        text = document.text
        self._text = text
        self._pages = document.page_starts
        self._size = len(text)
        headings = sorted(document.headings, key=lambda heading: heading.start)
        self.heading_starts: list[int] = []
        self.heading_levels: list[int] = []
        self.body_starts: list[int] = []
        labels: list[str] = []
        for heading in headings:
            start = self._visible(self._line_start(heading.start))
            if start >= self._size or (self.heading_starts and start <= self.heading_starts[-1]):
                continue
            self.heading_starts.append(start)
            self.heading_levels.append(heading.level)
            self.body_starts.append(self._below(heading.start, heading.text))
            labels.append(_label(heading.text))
        self._paths = _paths(self.heading_levels, labels)

    def page(self, offset: int) -> int | None:
        """The 1-based page; None where the format has no pages."""
        return max(1, bisect_right(self._pages, offset)) if self._pages else None

    def line(self, offset: int) -> int:
        """The 1-based line, from the top of its page where the format has pages, else of the document."""
        page = self.page(offset)
        top = 0 if page is None else self._pages[page - 1]
        return bisect_left(self._newlines, offset) - bisect_left(self._newlines, min(top, offset)) + 1

    def headings(self, offset: int) -> tuple[str, ...]:
        """The headings above the offset, outermost first; a heading counts from the start of its own line."""
        index = bisect_right(self.heading_starts, offset) - 1
        return self._paths[index] if index >= 0 else ()

    def heading(self, offset: int) -> str:
        """`headings(offset)` joined by " › "; empty above the first heading."""
        return PATH_SEPARATOR.join(self.headings(offset))

    @cached_property
    def _newlines(self) -> list[int]:
        """Only for lines: whoever asks for headings and pages does not pay for reading the whole text."""
        return [match.start() for match in re.finditer("\n", self._text)]

    def _line_start(self, offset: int) -> int:
        return self._text.rfind("\n", 0, offset) + 1

    def _line_end(self, offset: int) -> int:
        end = self._text.find("\n", offset)
        return end if end >= 0 else self._size

    def _visible(self, offset: int) -> int:
        """The first character at or after `offset` that is not white space, or the end of the text."""
        match = _VISIBLE.search(self._text, offset)
        return match.start() if match else self._size

    def _below(self, start: int, label: str) -> int:
        """The first visible character under a heading, below its underline where Markdown gave it one."""
        end = self._line_end(start + len(label) if self._text.startswith(label, start) else start)
        underline = _UNDERLINE.match(self._text, end + 1)
        return self._visible(underline.end() if underline else end)


def page_of(document: Document, offset: int) -> int | None:
    """The 1-based page of one offset; None where the format has no pages. `Positions` serves many."""
    return max(1, bisect_right(document.page_starts, offset)) if document.page_starts else None


def line_of(document: Document, offset: int) -> int:
    """The 1-based line of one offset, as `Positions.line` counts; reads the text once. `Positions` serves many."""
    page = page_of(document, offset)
    top = 0 if page is None else document.page_starts[page - 1]
    return document.text.count("\n", min(top, offset), offset) + 1


def contextual_text(title: str, chunk: Chunk) -> str:
    """What is embedded and indexed for a chunk: title, heading path and text, nothing said twice.

    A title that is the outermost heading is left out, and so is a last heading with which the text begins. A title
    as long as a book is cut as headings are: it stands before every chunk, and is paid for with each.
    """
    path = chunk.heading.split(PATH_SEPARATOR) if chunk.heading else []
    name = _label(title)
    if name and not (path and _same(path[0], name)):
        path.insert(0, name)
    beginning = _plain(chunk.text[: _LONGEST_REPEATED + len(path[-1])]) if path else ""
    if path and beginning.startswith(_plain(path[-1])):
        path.pop()
    return f"{PATH_SEPARATOR.join(path)}\n{chunk.text}" if path else chunk.text


def _paths(levels: list[int], labels: list[str]) -> list[tuple[str, ...]]:
    """For each heading the labels above it and its own: a heading closes those of its level and deeper."""
    open_levels: list[int] = []
    open_labels: list[str] = []
    paths = []
    for level, label in zip(levels, labels, strict=True):
        keep = bisect_left(open_levels, level)
        del open_levels[keep:], open_labels[keep:]
        open_levels.append(level)
        open_labels.append(label)
        paths.append(tuple(open_labels))
    return paths


def _label(text: str) -> str:
    """A title or heading on one line, cut where it is too long for one."""
    label = " ".join(text[: 8 * _LONGEST_HEADING].split())
    return label if len(label) <= _LONGEST_HEADING else label[: _LONGEST_HEADING - 1] + "…"


def _same(left: str, right: str) -> bool:
    return _plain(left) == _plain(right)


def _plain(text: str) -> str:
    return " ".join(_MARKUP.sub(" ", text).casefold().split())
