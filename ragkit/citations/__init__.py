"""Answers compared with the passages they were written from: where each quote stands, and that others stand nowhere.

Pure: an answer, the passages and a way to a document's text go in. It knows nothing of models, files and indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ragkit.answers import Citation, Statement, Support, Verification
from ragkit.citations.locating import NEAR, Place, Quote
from ragkit.citations.markers import Cleaner
from ragkit.citations.quotes import quotations
from ragkit.citations.sources import Sources
from ragkit.citations.statements import Quoted, Sentence, read_sentences
from ragkit.types import Document, Hit

__all__ = ["Reader", "Verified", "verify"]

_SHOWN_IN_NOTES = 60  # characters of a quote


@dataclass(frozen=True, slots=True)
class Verified:
    """An answer with what was found of it.

    `text` has no markers but those of given sources, as [1] or [1, 2]. `citations` come in the order of the text,
    several for a source with several quotes, and one for each marker at least. `removed` counts the numbers that
    were taken out. `notes` say where a quote stands that is not in the source it names.
    """

    text: str
    citations: tuple[Citation, ...]
    statements: tuple[Statement, ...]
    removed: int
    notes: tuple[str, ...] = ()


def verify(text: str, hits: Sequence[Hit], document: Callable[[str], Document]) -> Verified:
    """Compare an answer with the hits that it was given as sources [1], [2], …

    - A quotation belongs to the markers that follow it in its sentence, else to those of its sentence, else to those
      of the sentence with a colon before it. Without any it is looked for in every passage and document.
    - It is EXACT where the very characters stand in the document, NORMALIZED where they do after `folding`, UNCHECKED
      where it is found and too short to prove anything, NOT_FOUND otherwise, also if another source has it.
    - A sentence that names sources and quotes nothing, or too little to prove anything, is looked for itself, near
      the passages. Where it is not found, its sources come as whole passages that are UNCHECKED.
    - A sentence is VERIFIED if all its quotations are found, each in one of the sources that it names at least, or
      if it is found itself; UNCITED if it neither names a source nor quotes; NOT_FOUND otherwise.

    Args:
        text: what the model wrote.
        hits: the sources in their order.
        document: gives the whole document of a source; called once for each that is needed.
    """
    reader = Reader(hits, document)
    reader.feed(text)
    return reader.finish()


class Reader:
    """Reads an answer while it is written, and verifies it at its end.

    What `feed` returned is the beginning of `finish().text`, `shown` characters of it; the rest remains to be shown.
    """

    def __init__(self, hits: Sequence[Hit], document: Callable[[str], Document]) -> None:
        self._sources = Sources(hits, document)
        self._cleaner = Cleaner(len(hits), self._sources.literal)
        self.shown = 0

    def feed(self, piece: str) -> str:
        """What may be shown now: without strange markers, and without what may still become one."""
        text = self._cleaner.feed(piece)
        self.shown += len(text)
        return text

    def finish(self) -> Verified:
        """The whole answer, verified. To be called once, after the last piece."""
        self._cleaner.finish()
        text, markers = self._cleaner.text, self._cleaner.markers
        found = quotations(text, self._cleaner.code, self._sources.stands)
        check = _Check(self._sources)
        statements = check.statements(text, read_sentences(text, markers, found))
        return Verified(text, check.cited(), statements, self._cleaner.removed, tuple(check.notes))


class _Check:
    """Sentence by sentence; gathers citations and notes."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._quotes: dict[str, Quote] = {}  # by their words
        self._citations: dict[Citation, None] = {}
        self._passages: dict[int, int] = {}  # a number that was named, and how many citations came before
        self.notes: list[str] = []

    def statements(self, text: str, sentences: Sequence[Sentence]) -> tuple[Statement, ...]:
        """One for each. "The contract says [1]:" is as well supported as the quotations behind its colon."""
        self._quotes = {
            reading: Quote(reading)
            for sentence in sentences
            for quoted in sentence.quoted
            for reading in quoted.readings
        }
        self._sources.expect(self._quotes.values())
        found: list[Statement] = []
        announcing: int | None = None
        for sentence in sentences:
            statement = self._statement(text, sentence)
            if not sentence.inherited:
                announcing = len(found)
            elif announcing is not None and sentence.quoted:
                first = announcing == len(found) - 1
                if first or statement.support is Support.NOT_FOUND:
                    found[announcing] = replace(found[announcing], support=statement.support)
            found.append(statement)
        return tuple(found)

    def _statement(self, text: str, sentence: Sentence) -> Statement:
        for number in sentence.numbers:
            self._passages.setdefault(number, len(self._citations))
        return Statement(
            text[sentence.start : sentence.end],
            sentence.start,
            sentence.end,
            self._support(sentence),
            sentence.numbers or sentence.inherited,
        )

    def cited(self) -> tuple[Citation, ...]:
        """All citations in order; a source that has none yet comes as its passage."""
        citations = list(self._citations)
        known = {citation.marker for citation in citations}
        left = [(place, number) for number, place in self._passages.items() if f"[{number}]" not in known]
        for place, number in sorted(left, reverse=True):
            citations.insert(place, self._sources.passage(number))
        return tuple(citations)

    def _support(self, sentence: Sentence) -> Support:
        numbers = sentence.numbers or sentence.inherited
        results = [self._quote(quoted, sentence.inherited) for quoted in sentence.quoted]
        if any(results) and False not in results:
            return Support.VERIFIED
        if sentence.numbers and False not in results and self._copied(sentence):
            return Support.VERIFIED
        return Support.NOT_FOUND if numbers or False in results else Support.UNCITED

    def _quote(self, quoted: Quoted, inherited: tuple[int, ...]) -> bool | None:
        """Whether a quotation is found; None where it is too short to say."""
        quotes = [self._quotes[reading] for reading in quoted.readings]
        numbers = quoted.numbers or inherited
        if not numbers:
            return self._unmarked(quotes[0])
        found = {}
        for number in numbers:
            for quote in quotes:
                if place := self._sources.locate(quote, number):
                    found[number] = place
                    break
        short = quotes[-1].short
        for number in numbers:
            if number in found:
                self._cite(number, found[number], short=short)
            else:
                self._citations[self._sources.missing(number, quotes[-1].text)] = None
        if short:
            return None
        if not found and (other := self._sources.elsewhere(quotes[-1], numbers)):
            shown = quotes[-1].text[:_SHOWN_IN_NOTES]
            named = ", ".join(f"[{number}]" for number in numbers)
            self.notes.append(f"a quote of {named} stands in {self._sources.name(*other)}: “{shown}”")
        return bool(found)

    def _unmarked(self, quote: Quote) -> bool | None:
        if quote.short:
            return None
        if found := self._sources.locate_any(quote):
            self._cite(*found, short=False)
            return True
        self._citations[self._sources.missing(None, quote.text)] = None
        return False

    def _copied(self, sentence: Sentence) -> bool:
        """Whether the sentence, or each clause of it up to its markers, stands in the source that it names."""
        if self._find([(sentence.words, sentence.numbers)]):
            return True
        return len(sentence.clauses) > 1 and self._find(sentence.clauses)

    def _find(self, clauses: Sequence[tuple[str, tuple[int, ...]]]) -> bool:
        found = []
        for words, numbers in clauses:
            quote = Quote(words)
            places = [(number, self._sources.locate(quote, number, beyond=NEAR)) for number in numbers]
            first = next(((number, place) for number, place in places if place), None)
            if quote.short or first is None:
                return False
            found.append(first)
        for number, place in found:
            self._cite(number, place, short=False)
        return True

    def _cite(self, number: int, place: Place, *, short: bool) -> None:
        if short:
            place = replace(place, verification=Verification.UNCHECKED)
        self._citations[self._sources.cite(number, place)] = None
