"""Quotations in an answer: between quotation marks of any kind, nested, over several lines, and Markdown's `>`.

It knows the marks; whether words stand in a document is asked where the marks leave two readings open.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LONGEST = 4000  # characters of a quotation
_DEEPEST = 8  # quotations inside one another
_PAIRS = {"«": "»", "“": "”", "„": "“”", "「": "」", "『": "』"}
_OPENING = re.compile(r"[«“„「『]|(?<![^\s(\[{«“„:;,–—*_-])\"(?=\S)")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_BLOCK = re.compile(r"(?:^|(?<=\n))[ \t]{0,3}>[^\n]*(?:\n[ \t]{0,3}>[^\n]*)*")


@dataclass(frozen=True, slots=True)
class Quotation:
    """The span with its marks, and the span of what they enclose. `block`: Markdown's, with `>` before each line."""

    start: int
    end: int
    inner_start: int
    inner_end: int
    block: bool = False


def quotations(text: str, skipped: Sequence[tuple[int, int]], stands: Callable[[str], bool]) -> list[Quotation]:
    """The outermost quotations in order; none begins in a span that is `skipped`.

    A quotation over a blank line is one only where what it encloses `stands` in a document, for more often a mark
    was forgotten.
    """
    found = [Quotation(*match.span(), *match.span(), block=True) for match in _BLOCK.finditer(text)]
    found = [quotation for quotation in found if not _inside(quotation.start, skipped)]
    taken = sorted([*skipped, *((quotation.start, quotation.end) for quotation in found)])
    at = 0
    while opening := _OPENING.search(text, at):
        at = opening.end()
        if _inside(opening.start(), taken):
            continue
        end = _end(text, opening.start(), stands)
        if end is not None:
            found.append(Quotation(opening.start(), end, opening.end(), end - 1))
            at = end
    return sorted(found, key=lambda quotation: quotation.start)


def unquoted(text: str) -> str:
    """The text of a block of Markdown's without the marks before its lines."""
    return re.sub(r"(?m)^[ \t]{0,3}>[ \t]?", "", text)


def _end(text: str, start: int, stands: Callable[[str], bool]) -> int | None:
    """Where the quotation that opens at `start` ends; None where it does not.

    Within the paragraph: where all that was opened is closed, else at the first mark that closes anything, for
    «ООО «Ромашка» is often closed once for both.
    """
    blank = _BLANK_LINE.search(text, start, start + LONGEST)
    paragraph = blank.start() if blank else min(len(text), start + LONGEST)
    first, balanced = _closings(text, start, paragraph)
    if balanced is not None:
        return balanced
    if blank:
        _, beyond = _closings(text, start, start + LONGEST)
        if beyond is not None and stands(text[start + 1 : beyond - 1].strip()):
            return beyond
    return first


def _closings(text: str, start: int, stop: int) -> tuple[int | None, int | None]:
    """The ends of the first mark that closes and of the one that closes the quotation itself, before `stop`."""
    opening = text[start]
    closing = _PAIRS.get(opening, opening)
    first, depth = None, 0
    for match in re.compile(f"[{opening}{closing}]").finditer(text, start, stop):
        at = match.start()
        opens = text[at] == opening and (opening != '"' or at == start or _OPENING.match(text, at) is not None)
        depth += 1 if opens else -1
        if not opens and first is None:
            first = at + 1
        if depth == 0:
            return first, at + 1
        if depth > _DEEPEST:
            break
    return first, None


def _inside(offset: int, spans: Sequence[tuple[int, int]]) -> bool:
    index = bisect_right(spans, (offset, float("inf"))) - 1
    return index >= 0 and spans[index][0] <= offset < spans[index][1]
