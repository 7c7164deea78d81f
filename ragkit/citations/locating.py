"""Where a quote stands in a document: as it is written, or in the form that print and typing do not change.

First inside the passage that the quote is said to come from, then nearest to it, then anywhere. Whole documents are
searched with `str.find` only; what is folded are passages, and the surroundings of words that the quote has.
"""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass

from ragkit.citations.folding import Folded, fold, form_of
from ragkit.positions import page_of
from ragkit.types import Document, Verification

LEAST_WORDS = 3  # a quote of fewer proves nothing; so does one of fewer letters. See benchmarks/citations.py
LEAST_LETTERS = 12
LONGEST_ELISION = 500  # characters that an ellipsis may stand for
_LEAST_ELIDED = 5  # words of a quote with an ellipsis
_LONGEST_FOLDED = 20_000  # characters of a passage that is folded whole
_MARGIN = 300  # characters around a passage that are folded with it
_ANCHORS = 3  # words by which a quote is looked for in a whole document
_MOST_TRIED = 40  # places of such words that are compared
_MOST_SEEN = 3000

_ELLIPSIS = re.compile(r"[ \t]*(?:[\[(<]\s*)?(?:…|\.[ \t]?\.[ \t]?\.)(?:\s*[\])>])?[.…]*")
_WORD = re.compile(r"[^\W_]+")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_CUT_BEFORE = re.compile(r"([^\W_]++)([-\u2010\u2011]\n?)?\Z")
_CUT_BEHIND = re.compile(r"[^\W_]++")
_NUMBER_BEFORE = re.compile(r"(?:\d[.,:/\-\u2010-\u2015\u2212]?|(?<![\w)\]])[\-\u2010-\u2015\u2212])\Z")
_NUMBER_BEHIND = re.compile(r"[.,:/\-\u2010-\u2015\u2212]?\d")
_CLOSES = ".,;:"
# A word that begins with one of these says the contrary of its rest.
_NEGATING = frozenset("не ни без бес небез анти противо un in im ir il non dis mis anti".split())  # noqa: SIM905 -- shorter
_NEGATIONS = frozenset(
    "не ни нет нельзя без кроме никогда not no never nor cannot without except unless neither t".split()  # noqa: SIM905 -- shorter
)


@dataclass(frozen=True, slots=True)
class Place:
    start: int
    end: int
    verification: Verification


class Quote:
    """A quote, prepared once for many documents. `short`: too little to prove anything."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.whole = form_of(self.text).rstrip(_CLOSES)
        parts = [part for part in _ELLIPSIS.split(self.text) if part.strip()]
        forms = [form_of(part) for part in parts]
        self.parts = [form for form in [*forms[:-1], forms[-1].rstrip(_CLOSES)] if form] if forms else []
        words = _WORD.findall(self.text)
        self.short = len(words) < LEAST_WORDS or sum(map(len, words)) < LEAST_LETTERS
        self.elided = len(self.parts) > 1
        self.provable = not self.elided or (
            len(words) >= _LEAST_ELIDED and max(len(_WORD.findall(part)) for part in parts) >= LEAST_WORDS
        )
        letters = [match.start() for match in _WORD.finditer(self.text)]
        self.head = self.text[: letters[0]] if letters else ""
        last = [match.end() for match in _WORD.finditer(self.text)]
        self.tail = self.text[last[-1] :] if last else ""
        self.anchors = _anchors(self.text)


class Text:
    """A document that is searched for quotes."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._text = document.text
        self._folded: dict[tuple[int, int], Folded] = {}
        self._lines: list[tuple[int, int]] = [(0, 0)]  # offsets, and the newlines before each

    def page(self, offset: int) -> int | None:
        return page_of(self.document, offset)

    def line(self, offset: int) -> int:
        """As `Positions.line`; reads from the top of the page only, or from the nearest offset asked before."""
        page = self.page(offset)
        if page is not None:
            top = min(self.document.page_starts[page - 1], offset)
            return self._text.count("\n", top, offset) + 1
        known, before = self._lines[bisect_right(self._lines, (offset, len(self._text) + 1)) - 1]
        count = before + self._text.count("\n", known, offset)
        insort(self._lines, (offset, count))
        return count + 1

    def locate(self, quote: Quote, start: int, end: int, *, everywhere: bool = True) -> Place | None:
        """Where a quote of the passage [start, end) stands; beyond the passage only if `everywhere`."""
        if not quote.whole:
            return None
        for at in _occurrences(self._text, quote.text, start, end):
            if self._bounded(at, at + len(quote.text), quote):
                return Place(at, at + len(quote.text), Verification.EXACT)
        if end - start <= _LONGEST_FOLDED:
            folded = self._fold(max(0, start - _MARGIN), min(len(self._text), end + _MARGIN))
            if place := self._nearest(quote, folded, start, end):
                return place
        return self._anywhere(quote, start, end) if everywhere else None

    def _fold(self, start: int, end: int) -> Folded:
        if (start, end) not in self._folded:
            self._folded[start, end] = fold(self._text[start:end], start)
        return self._folded[start, end]

    def _nearest(self, quote: Quote, folded: Folded, start: int, end: int) -> Place | None:
        """Of the places in a folded piece of the text the nearest to the passage [start, end)."""
        spans = [span for span in self._spans(quote, folded, start, end) if self._bounded(*span, quote)]
        if not spans:
            return None
        first, last = min(spans, key=lambda span: (max(start - span[0], span[1] - end, 0), span[0]))
        if self._text.endswith(quote.head, 0, first):
            first -= len(quote.head)
        if self._text.startswith(quote.tail, last):
            last += len(quote.tail)
        exact = self._text[first:last] == quote.text
        return Place(first, last, Verification.EXACT if exact else Verification.NORMALIZED)

    def _spans(self, quote: Quote, folded: Folded, start: int, end: int) -> Iterator[tuple[int, int]]:
        for at in _occurrences(folded.form, quote.whole):
            yield folded.span(at, at + len(quote.whole))
        if quote.elided and quote.provable:
            for at in _occurrences(folded.form, quote.parts[0]):
                if (last := self._rest(quote, folded, at + len(quote.parts[0]), start, end)) is not None:
                    yield folded.span(at, at + 1)[0], last

    def _rest(self, quote: Quote, folded: Folded, at: int, start: int, end: int) -> int | None:
        """The end of the last part of an elided quote whose first part ends at `at` of the form."""
        done = folded.span(at - 1, at)[1]
        for part in quote.parts[1:]:
            for following in _occurrences(folded.form, part, at, at + LONGEST_ELISION + len(part)):
                first, last = folded.span(following, following + len(part))
                if self._elidable(done, first, start, end):
                    at, done = following + len(part), last
                    break
            else:
                return None
        return done

    def _elidable(self, first: int, last: int, start: int, end: int) -> bool:
        """Whether an ellipsis may stand for text[first:last]: near, within a paragraph or the passage, no "не"."""
        gap = self._text[first:last]
        if len(gap) > LONGEST_ELISION or (first and last < len(self._text) and _inside_word(self._text, first, last)):
            return False
        words = [word.lower() for word in _WORD.findall(gap)]
        if words and (words[-1] in _NEGATIONS or (len(words) <= 3 and not _NEGATIONS.isdisjoint(words))):
            return False
        return (start <= first and last <= end) or _BLANK_LINE.search(gap) is None

    def _anywhere(self, quote: Quote, start: int, end: int) -> Place | None:
        """Around each place of the quote's own words, the nearest to the passage first."""
        if not quote.anchors:
            found = [
                at for at in _occurrences(self._text, quote.text) if self._bounded(at, at + len(quote.text), quote)
            ]
            at = min(found, key=lambda at: abs(at - start), default=None)
            return None if at is None else Place(at, at + len(quote.text), Verification.EXACT)
        reach = len(quote.text) * 3 // 2 + 60 + (len(quote.parts) - 1) * LONGEST_ELISION
        missing = 0
        for anchor, offset in quote.anchors:
            seen = _occurrences(self._text, anchor)
            near = sorted((abs(at - start), at) for _, at in zip(range(_MOST_SEEN), seen, strict=False))
            missing += not near
            tried = 0
            for _, at in near:
                if self._text.startswith(quote.text, at - offset) and offset <= at:
                    first, last = at - offset, at - offset + len(quote.text)
                    if self._bounded(first, last, quote):
                        return Place(first, last, Verification.EXACT)
                others = [other for other, _ in quote.anchors if other != anchor]
                low, high = max(0, at - reach), at + reach
                if others and not any(self._text.find(other, low, high) >= 0 for other in others):
                    continue
                tried += 1
                if tried > _MOST_TRIED:
                    break
                if place := self._nearest(quote, fold(self._text[low:high], low), start, end):
                    return place
            if missing > 1:  # one word may be hyphenated here, or have another е; hardly two
                break
        return None

    def _bounded(self, start: int, end: int, quote: Quote) -> bool:
        """Whether the quote cuts no number there and no negation off a word; a short one must have whole words."""
        text = self._text
        if start and text[start].isalnum():
            before = text[max(0, start - 40) : start]
            if text[start].isdigit() and _NUMBER_BEFORE.search(before):
                return False
            cut = _CUT_BEFORE.search(before)
            if cut and (cut[1].lower() in _NEGATING or (quote.short and not cut[2])):
                return False
        if end < len(text) and text[end - 1].isalnum():
            if text[end - 1].isdigit() and _NUMBER_BEHIND.match(text, end):
                return False
            behind = _CUT_BEHIND.match(text, end)
            if behind and (quote.short or behind[0].lower().startswith(("not", "n't"))):
                return False
            if text.startswith(("'t", "’t"), end):
                return False
        return True


def _inside_word(text: str, first: int, last: int) -> bool:
    return (text[first - 1].isalnum() and text[first].isalnum()) or (text[last - 1].isalnum() and text[last].isalnum())


def _occurrences(text: str, wanted: str, start: int = 0, end: int | None = None) -> Iterator[int]:
    at = text.find(wanted, start, end)
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1, end)


def _anchors(text: str) -> list[tuple[str, int]]:
    """Words of a quote, the rest of them behind a first letter that may have another case, and their offsets.

    The longest of each third of the quote, so that a line's end hyphenates one of them at most; without letters
    that print changes where there are such.
    """
    words = [(match.start(), match[0]) for match in _WORD.finditer(text) if len(match[0]) > 1]
    third = max(1, -(-len(words) // _ANCHORS))
    chosen = []
    for at in range(0, len(words), third):
        start, word = max(words[at : at + third], key=lambda found: (_plain(found[1]), len(found[1])))
        cut = 0 if word.isdigit() or len(word) < 4 else 1
        chosen.append((word[cut:].lower() if word.isupper() and len(word) > 5 else word[cut:], start + cut))
    return sorted(chosen, key=lambda found: -len(found[0]))


def _plain(word: str) -> bool:
    return len(word) > 3 and not ("ё" in word or "fi" in word or "fl" in word or "ff" in word)
