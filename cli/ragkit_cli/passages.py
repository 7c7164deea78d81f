"""Passages that were found, one among its neighbours, and a whole document, as text on a terminal."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from ragkit.errors import ConfigError
from ragkit.numbers import count
from ragkit_cli.render import colours, cut, escape, excerpt, one_line, out, place, style, width, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragkit.types import Document, Hit

LINES_OF_A_HIT = 5  # of a passage's eight or so; `show` prints all of it

_WORD = re.compile(r"\w+")


def print_hits(query: str, hits: list[Hit], *, explain: bool) -> None:
    """Passages by number, with the lines that have most of the query."""
    from ragkit.words import terms  # the search has loaded it

    wanted = frozenset(terms(query))
    for number, hit in enumerate(hits, 1):
        if number > 1:
            out()
        heading = f"  › {one_line(hit.chunk.heading)}" if hit.chunk.heading else ""
        score = style(f"({hit.score:.2f})  #{hit.id}", "dim")
        out(f"{number}. {place(hit.chunk)}{heading}  {score}")
        if explain:
            out(f"   {explanation(hit)}")
        lines = wrap(escape(hit.chunk.text), width() - 3)
        lines = [cut(line, width() - 3) for line in lines]
        for line in excerpt(lines, LINES_OF_A_HIT, lambda line: sum(term in wanted for term in terms(line))):
            out(f"   {_highlighted(line, wanted)}")


def explanation(hit: Hit) -> str:
    """What each way of searching made of a hit."""

    def leg(name: str, score: float) -> str:
        rank = f" (place {hit.ranks[name]})" if name in hit.ranks else ""
        return f"{name} {score:.3f}{rank}"

    return " · ".join(leg(name, score) for name, score in hit.scores.items())


def _highlighted(line: str, wanted: frozenset[str]) -> str:
    """The line with the words of the query, in any inflection, in colour."""
    if not colours(sys.stdout):
        return line
    from ragkit.words import terms

    def in_colour(word: re.Match[str]) -> str:
        return word[0] if wanted.isdisjoint(terms(word[0])) else style(word[0], "yellow")

    return _WORD.sub(in_colour, line)


def print_neighbours(wanted: int, hits: Sequence[Hit]) -> None:
    """The passage in full behind a bar, its neighbours around it without the text that they share with it."""
    middle = next(hit for hit in hits if hit.id == wanted)
    heading = f"  › {one_line(middle.chunk.heading)}" if middle.chunk.heading else ""
    out(f"{place(middle.chunk)}{heading}  #{wanted}")
    for hit in hits:
        text, chunk = hit.chunk.text, hit.chunk
        if chunk.start < middle.chunk.start:
            text = text[: middle.chunk.start - chunk.start]
        elif chunk.start > middle.chunk.start:
            text = text[max(0, middle.chunk.end - chunk.start) :]
        lines = wrap(escape(text), width() - 2)
        for line in lines:
            out(f"┃ {line}" if hit.id == wanted else style(f"  {line}", "dim"))


def print_document(document: Document, page: int | None) -> None:
    """The text with line numbers, counted from the top of each page where the document has pages."""
    pages = pages_of(document)
    if page is not None and not document.page_starts:
        raise ConfigError(f"{document.source} has no pages", "leave --page away")
    if page is not None and page > len(pages):
        raise ConfigError(f"{document.source} has {count(len(pages), 'page')}, not {page}", "give a page that it has")
    for number, text in enumerate(pages, 1):
        if page is not None and number != page:
            continue
        if document.page_starts:
            out(style(f"── page {number} ──", "dim"))
        for line_number, line in enumerate(text.split("\n"), 1):
            out(f"{style(f'{line_number:>5}', 'dim')}  {escape(line)}")


def pages_of(document: Document) -> list[str]:
    """The text of each page; one for a document without pages."""
    starts = document.page_starts or (0,)
    ends = (*starts[1:], len(document.text))
    return [document.text[start:end].removesuffix("\n") for start, end in zip(starts, ends, strict=True)]
