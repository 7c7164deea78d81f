"""The passages that an answer was given, searched for its quotes. A document is asked for once, when first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ragkit.answers import Citation, Verification
from ragkit.citations.folding import fold, form_of
from ragkit.citations.locating import NEAR, Place, Quote, Text
from ragkit.types import Document, Hit

_LEAST_CONTEXT = 12  # characters of the form before a bracket that make it the document's own
_LONGEST_CONTEXT = 60


class Sources:
    """Numbered from 1, in the order of the hits."""

    def __init__(self, hits: Sequence[Hit], document: Callable[[str], Document]) -> None:
        self._hits = hits
        self._document = document
        self._texts: dict[str, Text] = {}
        self._expected: list[Quote] = []

    def __len__(self) -> int:
        return len(self._hits)

    def expect(self, quotes: Iterable[Quote]) -> None:
        """Those that will be located: together they are found in a document faster than one by one."""
        self._expected.extend(quotes)

    def locate(self, quote: Quote, number: int, *, beyond: int | None = None) -> Place | None:
        chunk = self._hits[number - 1].chunk
        return self._text(chunk.source).locate(quote, chunk.start, chunk.end, beyond=beyond)

    def locate_any(self, quote: Quote) -> tuple[int, Place] | None:
        """In the passages, then in their documents; with the number of the source."""
        if found := self.elsewhere(quote, ()):
            return found
        for number in {hit.chunk.source: number for number, hit in reversed(list(enumerate(self._hits, 1)))}.values():
            if place := self.locate(quote, number):
                return number, place
        return None

    def elsewhere(self, quote: Quote, numbers: Iterable[int]) -> tuple[int, Place] | None:
        """In the passages of sources other than these."""
        for number in range(1, len(self._hits) + 1):
            if number not in numbers and (place := self.locate(quote, number, beyond=0)):
                return number, place
        return None

    def stands(self, text: str) -> bool:
        quote = Quote(text)
        return any(self.locate(quote, number, beyond=NEAR) for number in range(1, len(self._hits) + 1))

    def literal(self, before: str, bracket: str) -> bool:
        """Whether a passage has the bracket itself, behind the same words."""
        holding = [hit.chunk.text for hit in self._hits if bracket in hit.chunk.text]
        if not holding:
            return False
        context = form_of(before[-_LONGEST_CONTEXT:])[-_LEAST_CONTEXT:]
        wanted = context + form_of(bracket)
        return len(context) == _LEAST_CONTEXT and any(wanted in fold(text).form for text in holding)

    def cite(self, number: int, place: Place) -> Citation:
        """The document's own words at a place."""
        text = self._text(self._hits[number - 1].chunk.source)
        return Citation(
            f"[{number}]",
            text.document.source,
            text.page(place.start),
            text.line(place.start),
            place.start,
            place.end,
            text.document.text[place.start : place.end],
            place.verification,
        )

    def missing(self, number: int | None, quote: str) -> Citation:
        """A quote that stands nowhere in the source that is named for it; None: in none."""
        source = self._hits[number - 1].chunk.source if number else ""
        return Citation(f"[{number}]" if number else "", source, None, 0, 0, 0, quote, Verification.NOT_FOUND)

    def passage(self, number: int) -> Citation:
        """The whole passage, where a sentence names it and says it in other words."""
        chunk = self._hits[number - 1].chunk
        return Citation(
            f"[{number}]",
            chunk.source,
            chunk.page,
            chunk.line,
            chunk.start,
            chunk.end,
            chunk.text,
            Verification.UNCHECKED,
        )

    def name(self, number: int, place: Place) -> str:
        """A place in words, for a note."""
        text = self._text(self._hits[number - 1].chunk.source)
        page = text.page(place.start)
        at = f"page {page}, line {text.line(place.start)}" if page is not None else f"line {text.line(place.start)}"
        return f"[{number}] {text.document.source}, {at}"

    def _text(self, source: str) -> Text:
        if source not in self._texts:
            self._texts[source] = Text(self._document(source), self._expected)
        return self._texts[source]
