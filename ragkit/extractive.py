"""An answer without a model: sentences of the best passages, verbatim, each with its place.

It quotes and never writes. Where no passage covers enough of what the question asks, it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from ragkit import words
from ragkit.positions import Positions
from ragkit.ranking import RELEVANT, coverage
from ragkit.sentences import sentences
from ragkit.types import Answer, Citation, Document, Hit, Status, Verification

MOST_QUOTES = 3
_AROUND = 600  # characters before and after a hit, where a sentence that it cuts may begin and end
_ENOUGH_MORE = 4  # words beside those of the question: a sentence that only repeats it is a heading or another question
_NEAR = 200  # characters before a sentence that say what it speaks of
_WORTH_QUOTING = 0.6  # of the best sentence's share of the question: what covers less says something else
_LATER_PASSAGE = 0.05  # taken off for each place further down the list of hits


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence by its span in the document, with the share of the question that it covers in its surroundings."""

    source: str
    start: int
    end: int
    score: float


def extract(
    question: str,
    hits: Sequence[Hit],
    *,
    idf: Callable[[Sequence[str]], Mapping[str, float]],
    document: Callable[[str], Document],
) -> Answer:
    """Answer with at most three quotes from the hits.

    Args:
        question: as it was asked.
        hits: best first.
        idf: gives how much each of some terms says.
        document: gives the whole document of a source, which tells page and line of a quote.
    """
    if not hits:
        return _refused(question, hits, "nothing is indexed that could answer")
    terms = words.terms(question)
    if not terms:
        return _refused(question, hits, "the question has no word to look for")
    weights = idf(terms)
    best = max(coverage(question, f"{hit.chunk.heading}\n{hit.chunk.text}", weights) for hit in hits)
    if best < RELEVANT:
        return _refused(question, hits, "no passage is about what the question asks")
    read = cache(document)
    chosen = _choose(sorted(_sentences(question, hits, weights, read), key=lambda s: -s.score))
    citations = tuple(_cite(sentence, n, read) for n, sentence in enumerate(chosen, 1))
    text = "\n".join(f"{' '.join(citation.quote.split())} {citation.marker}" for citation in citations)
    return Answer(question, text, Status.ANSWERED, citations, tuple(hits))


def _refused(question: str, hits: Sequence[Hit], reason: str) -> Answer:
    return Answer(question, "", Status.REFUSED, (), tuple(hits), reason)


def _sentences(
    question: str, hits: Sequence[Hit], weights: Mapping[str, float], document: Callable[[str], Document]
) -> Iterator[_Sentence]:
    """Every sentence that a hit touches, whole also where it runs on beyond the hit.

    A heading is quoted with what follows it: alone it answers nothing.
    """
    asked = set(words.terms(question))
    for place, hit in enumerate(hits):
        chunk, text = hit.chunk, document(hit.chunk.source).text
        labels = set(chunk.heading.split(" › "))
        first = max(0, chunk.start - _AROUND)
        window = text[first : chunk.end + _AROUND]
        spans = [(first + start, first + end) for start, end in sentences(window)]
        spans = [(start, end) for start, end in spans if start < chunk.end and end > chunk.start]
        for i, (start, end) in enumerate(spans):
            if text[start:end].strip("#*_ \n") in labels and i + 1 < len(spans):
                end = spans[i + 1][1]
            own = coverage(question, text[start:end], weights)
            near = coverage(question, f"{chunk.heading}\n{text[max(0, start - _NEAR) : end]}", weights)
            says_more = len(set(words.terms(text[start:end])) - asked)
            told = min(1.0, says_more / _ENOUGH_MORE)
            yield _Sentence(chunk.source, start, end, told * (0.75 * own + 0.25 * near) - _LATER_PASSAGE * place)


def _choose(ranked: Sequence[_Sentence]) -> list[_Sentence]:
    """The best sentences that do not overlap, best first."""
    chosen: list[_Sentence] = []
    for sentence in ranked:
        if len(chosen) == MOST_QUOTES or sentence.score < _WORTH_QUOTING * ranked[0].score:
            break
        overlaps = any(
            sentence.source == other.source and sentence.start < other.end and other.start < sentence.end
            for other in chosen
        )
        if not overlaps:
            chosen.append(sentence)
    return chosen


def _cite(sentence: _Sentence, number: int, document: Callable[[str], Document]) -> Citation:
    whole = document(sentence.source)
    positions = Positions(whole)
    return Citation(
        f"[{number}]",
        sentence.source,
        positions.page(sentence.start),
        positions.line(sentence.start),
        sentence.start,
        sentence.end,
        whole.text[sentence.start : sentence.end],
        Verification.EXACT,
    )
