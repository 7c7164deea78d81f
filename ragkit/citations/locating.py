"""Where a quote stands in a document: as it is written, or in the form that print and typing do not change.

First inside the passage that the quote is said to come from, then anywhere, the nearest first. Whole documents are
searched for a few words of each quote; what is folded are passages, and the surroundings of these words.
"""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise

from ragkit.answers import Verification
from ragkit.citations.finding import LEAST, find_all, occurrences
from ragkit.citations.folding import Folded, fold, form_of
from ragkit.positions import page_of
from ragkit.types import Document

LEAST_WORDS = 3  # a quote of fewer proves nothing; so does one of fewer letters. See benchmarks/citations.py
LEAST_LETTERS = 12
LONGEST_ELISION = 500  # characters that an ellipsis may stand for
_LEAST_ELIDED = 5  # words of a quote with an ellipsis
_LONGEST_FOLDED = 20_000  # characters of a passage that is folded whole
_MARGIN = 300  # characters around a passage that are folded with it
NEAR = 30_000  # characters around a passage in which what a sentence copies is looked for, and what proves nothing
_MOST_WORDS = 6  # of a quote, that are looked for around such a place
_SLACK = 12  # characters by which a word may stand elsewhere, and a quarter of those before it
_MOST_FOLDED = 40  # places of words of a quote whose surroundings are folded

_ELLIPSIS = re.compile(r"[ \t]*(?:[\[(<]\s*)?(?:…|\.[ \t]?\.[ \t]?\.)(?:\s*[\])>])?[.…]*")
_WORD = re.compile(r"[^\W_]+")
_SPOKEN = re.compile(r"[^\W_]++(?:[-\u2010\u2011’'][^\W_]++)*+")  # "charged-off" is one word to a reader
_FIRST = re.compile(r"[^\W_]")
_UP_TO_LAST = re.compile(r".*[^\W_]", re.DOTALL)
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_CUT_BEFORE = re.compile(r"([^\W_]++)([-\u2010\u2011]\n?)?\Z")
_CUT_BEHIND = re.compile(r"[^\W_]++")
_NUMBER_BEFORE = re.compile(r"(?:\d[.,:/\-\u2010-\u2015\u2212]?|(?<![\w)\]])[\-\u2010-\u2015\u2212])\Z")
_NUMBER_BEHIND = re.compile(r"[.,:/\-\u2010-\u2015\u2212]?\d")
_CLOSES = ".,;:"
_VARIES = re.compile(r"\s\s|[ё*\"'’«»“”–—-]|f[fil]")  # what print and typing change most often
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
        forms = [form_of(part) for part in parts] if parts != [self.text] else [self.whole]
        self.parts = [form for form in [*forms[:-1], forms[-1].rstrip(_CLOSES)] if form] if forms else []
        words = _SPOKEN.findall(self.text)
        self.short = len(words) < LEAST_WORDS or sum(map(len, words)) < LEAST_LETTERS
        self.elided = len(self.parts) > 1
        self.provable = not self.elided or (
            len(words) >= _LEAST_ELIDED and max(len(_WORD.findall(part)) for part in parts) >= LEAST_WORDS
        )
        first, last = _FIRST.search(self.text), _UP_TO_LAST.match(self.text)
        self.head = self.text[: first.start()] if first else ""
        self.tail = self.text[last.end() :] if last else ""

    @cached_property
    def seeds(self) -> list[tuple[str, int]]:
        return _seeds(self.text)

    @cached_property
    def words(self) -> list[tuple[str, int]]:
        """Its longest, without their first letters, and their offsets."""
        longest = sorted(_WORD.finditer(self.text), key=lambda word: -len(word[0]))[:_MOST_WORDS]
        return [(word[0][1:], word.start() + 1) for word in longest if len(word[0]) > 3]


class Text:
    """A document that is searched for quotes, those of a whole answer: what can be done for all at once is."""

    def __init__(self, document: Document, quotes: Collection[Quote] = ()) -> None:
        self.document = document
        self._quotes = quotes
        self._found: dict[str, list[int]] = {}  # the offsets of their seeds in the whole text
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

    def locate(self, quote: Quote, start: int, end: int, *, beyond: int | None = None) -> Place | None:
        """Where a quote of the passage [start, end) stands: in it, up to `beyond` from it, or with None anywhere."""
        if not quote.whole:
            return None
        for at in occurrences(self._text, quote.text, start, end):
            if self._bounded(at, at + len(quote.text), quote):
                return Place(at, at + len(quote.text), Verification.EXACT)
        if end - start <= _LONGEST_FOLDED:
            folded = self._fold(max(0, start - _MARGIN), min(len(self._text), end + _MARGIN))
            if place := self._nearest(quote, folded, start, end):
                return place
        if beyond == 0:
            return None
        whole, brief = beyond is None, len(quote.text) < LEAST
        near = NEAR if beyond is None else beyond
        low, high = (0, len(self._text)) if whole and not brief else (max(0, start - near), end + near)
        if place := self._around(quote, self._seeded(quote, low, min(high, len(self._text))), start, end):
            return place
        return self._first(quote) if whole and brief else None

    def _first(self, quote: Quote) -> Place | None:
        """Of a quote that proves nothing any place will do, and each pass over the text is for it alone."""
        cut = len(quote.text) > 3  # its first letter may have another case
        for at in islice(occurrences(self._text, quote.text[cut:]), _MOST_FOLDED):
            if place := self._around(quote, [at - cut], at, at):
                return place
        return None

    def _fold(self, start: int, end: int) -> Folded:
        if (start, end) not in self._folded:
            self._folded[start, end] = fold(self._text[start:end], start)
        return self._folded[start, end]

    def _nearest(self, quote: Quote, folded: Folded, start: int, end: int) -> Place | None:
        """Of the places in a folded piece of the text the nearest to the passage [start, end)."""
        spans = [span for span in self._spans(quote, folded, start, end) if self._bounded(*span, quote)]
        if not spans:
            return None
        first, last = min(spans, key=lambda span: (max(start - span[0], span[1] - end, 0), span[1] - span[0], span[0]))
        # The marks around its words belong to the quote where the document has the same.
        if letter := _FIRST.search(self._text, first, last):
            first = letter.start() - len(quote.head) if self._text.endswith(quote.head, 0, letter.start()) else first
        if letter := _UP_TO_LAST.match(self._text, first, last):
            last = letter.end() + len(quote.tail) if self._text.startswith(quote.tail, letter.end()) else last
        exact = self._text[first:last] == quote.text
        return Place(first, last, Verification.EXACT if exact else Verification.NORMALIZED)

    def _spans(self, quote: Quote, folded: Folded, start: int, end: int) -> Iterator[tuple[int, int]]:
        for at in occurrences(folded.form, quote.whole):
            yield folded.span(at, at + len(quote.whole))
        if quote.elided and quote.provable:
            for at in occurrences(folded.form, quote.parts[0]):
                if (last := self._rest(quote, folded, at + len(quote.parts[0]), start, end)) is not None:
                    yield folded.span(at, at + 1)[0], last

    def _rest(self, quote: Quote, folded: Folded, at: int, start: int, end: int) -> int | None:
        """The end of the last part of an elided quote whose first part ends at `at` of the form."""
        done = folded.span(at - 1, at)[1]
        for part in quote.parts[1:]:
            for following in occurrences(folded.form, part, at, at + LONGEST_ELISION + len(part)):
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

    def _seeded(self, quote: Quote, low: int, high: int) -> list[int]:
        """Where the quote may begin for what of it stands in text[low:high]."""
        seeds = [seed for seed, _ in quote.seeds]
        if high - low < len(self._text):
            found = find_all(self._text[low:high], seeds)
        else:
            if not self._found.keys() >= set(seeds):
                expected = {seed for other in self._quotes for seed, _ in other.seeds if len(seed) >= LEAST}
                self._found |= find_all(self._text, expected.union(seeds))
            found = self._found
        return [low + at - offset for seed, offset in quote.seeds for at in found[seed]]

    def _around(self, quote: Quote, begins: Collection[int], start: int, end: int) -> Place | None:
        """Where it begins at about one of these offsets, the nearest to the passage [start, end) first."""
        nearest = sorted(set(begins), key=lambda at: abs(at - start))
        size = len(quote.text)
        for at in nearest:
            if at >= 0 and self._text.startswith(quote.text, at) and self._bounded(at, at + size, quote):
                return Place(at, at + size, Verification.EXACT)
        reach = size // 2 + 60 + (len(quote.parts) - 1) * LONGEST_ELISION
        for at in islice((at for at in nearest if self._fits(quote, at)), _MOST_FOLDED):
            first = max(0, at - reach)
            folded = fold(self._text[first : max(0, at + size + reach)], first)
            if place := self._nearest(quote, folded, start, end):
                return place
        return None

    def _fits(self, quote: Quote, start: int) -> bool:
        """Whether half of the quote's words stand about where they would if it began at `start`."""
        elided = (len(quote.parts) - 1) * LONGEST_ELISION
        wanted = (len(quote.words) + 1) // 2
        for word, offset in quote.words:
            slack = _SLACK + offset // 4 + elided
            low, high = start + offset - slack, start + offset + len(word) + slack
            wanted -= self._text.find(word, max(0, low), max(0, high)) >= 0
            if wanted <= 0:
                return True
        return wanted <= 0

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


def _seeds(text: str) -> list[tuple[str, int]]:
    """What of a quote is looked for in a whole document, with its offset in the quote.

    From each half of it as many characters as `find_all` wishes, where two long words meet, for the end of one and
    the beginning of the next are rarer together than either. The first letter of a word is left off, for it may have
    another case. Of a shorter quote it is the longest word alone.
    """
    words = list(_WORD.finditer(text))
    if len(text) < LEAST:
        word = max(words, key=lambda word: len(word[0]), default=None)
        if word is None:
            return [(text, 0)]
        cut = len(word[0]) > 3
        return [(word[0][cut:], word.start() + cut)]
    most, last = LEAST // 2, len(text) - LEAST
    values = []
    for word, following in zip(words, [*(len(word[0]) for word in words[1:]), 0], strict=False):  # of signs: no words
        start = min(max(word.start() + 1, word.end() - most), last)
        printed_otherwise = _VARIES.search(text, start, start + LEAST)
        values.append((0 if printed_otherwise else min(len(word[0]), most) + min(following, most), start))
    bounds = [len(words) * half // 2 for half in range(3)]
    best = [max(values[low:high]) for low, high in pairwise(bounds) if high > low] or [(0, 0)]
    return [(text[at : at + LEAST].replace("\n", " "), at) for at in dict.fromkeys(start for _, start in best)]
