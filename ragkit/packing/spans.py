"""A document and what stands around a span of it: its table, its section, its sentences."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import pairwise

from ragkit.positions import Positions, line_of, page_of
from ragkit.sentences import sentences
from ragkit.tables import head_row, is_row, table_end, table_start
from ragkit.types import Chunk, Document

_LONGEST_TABLE = 4000  # characters of a table that is completed
_GAP = re.compile(r"\s*+")


class Text:
    """One document. Spans are (start, end) in its text."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.text = document.text

    def touch(self, end: int, start: int) -> bool:
        """Whether only white space stands from `end` to `start`, if anything."""
        gap = _GAP.match(self.text, end)
        return start <= end or (gap is not None and gap.end() >= start)

    def table(self, offset: int) -> tuple[int, int] | None:
        """The table around an offset: two rows at least. Of a table of more than 4000 characters, its beginning."""
        if not is_row(self.text[slice(*self._line(offset))]):
            return None
        start = table_start(self.text, offset)
        stop = table_end(self.text, offset, start + _LONGEST_TABLE)
        return (start, stop) if "\n" in self.text[start:stop].strip() else None

    def head(self, start: int) -> str:
        """The first row of the table inside which a passage begins; empty where it begins with it, or in none."""
        table = self.table(start)
        return head_row(self.text, start) if table and self.text[table[0] : start].strip() else ""

    def tables(self, start: int, end: int) -> list[tuple[int, int]]:
        """The rows that the span cuts, then the whole tables that it begins or ends in; none that it holds already."""
        ends = [offset for offset in (start, end - 1) if self.table(offset)]
        found = [*map(self._line, ends), *(table for offset in ends if (table := self.table(offset)))]
        return [(a, b) for a, b in dict.fromkeys(found) if (a < start or b > end) and b - a <= _LONGEST_TABLE]

    def section(self, start: int, end: int) -> tuple[int, int] | None:
        """The smallest section that holds the span and more; None where there is none, or no headings."""
        starts, levels = self._positions.heading_starts, self._positions.heading_levels
        level = None
        for i in reversed([i for i, begins in enumerate(starts) if begins <= start]):
            if level is not None and levels[i] >= level:
                continue  # it ended before
            level = levels[i]
            below = next((j for j in range(i + 1, len(starts)) if levels[j] <= level), len(starts))
            for following in (i + 1, below):
                stop = starts[following] if following < len(starts) else len(self.text)
                while stop > end and self.text[stop - 1].isspace():
                    stop -= 1
                if stop >= end and stop - starts[i] > end - start:
                    return starts[i], stop
        return None

    def units(self, start: int, end: int) -> list[tuple[int, int]]:
        """The sentences of a span; a row of a table is one, whatever its cells hold."""
        text = self.text[start:end]
        begins = [
            begin
            for begin, _ in sentences(text)
            if not (
                is_row(self.text[slice(*self._line(start + begin))])
                and text[text.rfind("\n", 0, begin) + 1 : begin].strip()
            )
        ]
        return [
            (start + begin, start + begin + len(text[begin:following].rstrip()))
            for begin, following in pairwise([*begins, len(text)])
        ]

    def chunk(self, start: int, end: int) -> Chunk:
        """The span as a passage, with the landmarks of its beginning."""
        here = self._positions
        return Chunk(
            self.document.source,
            start,
            end,
            self.text[start:end],
            here.page(start),
            here.heading(start),
            line_of(self.document, start),
        )

    def last_page(self, end: int) -> int | None:
        return page_of(self.document, end - 1)

    @cached_property
    def _positions(self) -> Positions:
        return Positions(self.document)

    def _line(self, offset: int) -> tuple[int, int]:
        end = self.text.find("\n", offset)
        return self.text.rfind("\n", 0, offset) + 1, end if end >= 0 else len(self.text)
