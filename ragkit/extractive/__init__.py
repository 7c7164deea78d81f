"""An answer without a model: sentences of the best passages, verbatim, each with its place.

It quotes and never writes. Where no passage covers enough of what the question asks, it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from ragkit import words
from ragkit.answers import Answer, Citation, Refusal, Status, Verification
from ragkit.extractive.passages import about, quotable
from ragkit.extractive.question import Question
from ragkit.positions import Positions
from ragkit.relevance import is_about
from ragkit.types import Document, Hit

MOST_QUOTES = 3
# Credit for a word of the question that only the surroundings have: headings, the text before, the document's
# beginning, the passage.
_ABOVE, _BEFORE, _ABOUT, _PASSAGE = 0.85, 0.5, 0.75, 0.5
_ENOUGH_NEWS = 2  # words beside those of the question: a sentence that only repeats it is another question
_MISFIT = 0.8  # of a sentence without the number or the name that is asked for
_NO_SENTENCE = 0.75  # of a line that is no sentence
_DEFINES = 1.25  # of a sentence that explains the word whose meaning is asked
_LATER_PASSAGE = 0.02  # taken off for each place further down the list of hits
_WORTH_QUOTING = 0.7  # of the best sentence's score
_SAME_AGAIN = 0.82  # that of one which meets no other word of the question than those quoted already
_COVERED = 0.75  # score of a first quote that leaves little to say
_BESIDE_COVERED = 0.95  # of its score: what is quoted beside it


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A quote by its span in the document. `met` is what it and its passage say of each word of the question."""

    source: str
    start: int
    end: int
    text: str
    score: float
    met: Sequence[float]
    head: str


def extract(
    question: str,
    hits: Sequence[Hit],
    *,
    idf: Callable[[Sequence[str]], Mapping[str, float]],
    document: Callable[[str], Document],
    level: Callable[[], float | None] | None = None,
) -> Answer:
    """Answer with at most three quotes from the hits.

    Args:
        question: as it was asked.
        hits: best first.
        idf: gives how much each of some terms says.
        document: gives the whole document of a source, which tells page and line of a quote.
        level: gives the cosine of unrelated texts, where vectors may say that a passage is near whose words are not.
    """
    if not hits:
        return Answer.refused(question, Refusal.NOTHING_INDEXED, "nothing is indexed that could answer", hits=hits)
    if not words.terms(question):
        return Answer.refused(question, Refusal.NOTHING_RELEVANT, "the question has no word to look for", hits=hits)
    asked = Question(question, idf)
    read = cache(document)
    if not is_about(question, hits, idf=idf, title=lambda source: read(source).title, level=level):
        return Answer.refused(
            question, Refusal.NOTHING_RELEVANT, "no passage is about what the question asks", hits=hits
        )
    chosen = _choose(asked, sorted(_candidates(asked, hits, read), key=lambda candidate: -candidate.score))
    if not chosen:
        return Answer.refused(question, Refusal.NOT_IN_SOURCES, "the passages have no sentence to quote", hits=hits)
    citations = tuple(_cite(candidate, n, read) for n, candidate in enumerate(chosen, 1))
    text = "\n".join(_shown(*pair) for pair in zip(chosen, citations, strict=True))
    return Answer(question, text, Status.ANSWERED, citations, tuple(hits))


def _candidates(asked: Question, hits: Sequence[Hit], read: Callable[[str], Document]) -> Iterator[_Candidate]:
    """Every sentence of the hits, scored by what it says itself and, for less, by what it stands under."""
    for place, hit in enumerate(hits):
        document = read(hit.chunk.source)
        top, passage = asked.met(about(document)), asked.met(f"{hit.chunk.heading}\n{hit.chunk.text}")
        around = asked.best([[_ABOUT * credit for credit in top], [_PASSAGE * credit for credit in passage]])
        for sentence in quotable(document, hit.chunk):
            own = asked.met(sentence.text)
            above = [_ABOVE * credit for credit in asked.met(sentence.above)]
            before = [_BEFORE * credit for credit in asked.met(sentence.before)]
            score = asked.share(asked.best([own, above, before, around]))
            score *= min(1.0, asked.news(sentence.text) / _ENOUGH_NEWS)
            score *= 1.0 if asked.fits(sentence.text, sentence.head) else _MISFIT
            score *= 1.0 if sentence.plain else _NO_SENTENCE
            score *= _DEFINES if asked.defines(sentence.text) else 1.0
            start = sentence.start
            if sentence.label is not None:  # a heading that says what the sentence does not is quoted with it
                label = asked.met(document.text[sentence.label : start])
                start = sentence.label if any(a > b + 0.3 for a, b in zip(label, own, strict=True)) else start
            yield _Candidate(
                hit.chunk.source,
                start,
                sentence.end,
                " ".join(document.text[start : sentence.end].split()),
                score - _LATER_PASSAGE * place,
                asked.best([own, top, passage]),
                sentence.head,
            )


def _choose(asked: Question, ranked: Sequence[_Candidate]) -> list[_Candidate]:
    """The best sentences that neither overlap nor repeat one another, best first.

    Those that add nothing to the ones before are taken only where they are as good.
    """
    chosen: list[_Candidate] = []
    for candidate in ranked:
        if len(chosen) == MOST_QUOTES or candidate.score <= 0:
            break
        said = any(
            candidate.text == other.text  # in two copies of a document
            or (candidate.source == other.source and candidate.start < other.end and other.start < candidate.end)
            for other in chosen
        )
        if said:
            continue
        if chosen:
            before = asked.best(other.met for other in chosen)
            adds = asked.share(asked.best([before, candidate.met])) - asked.share(before)
            again = _BESIDE_COVERED if ranked[0].score >= _COVERED else _SAME_AGAIN
            least = _WORTH_QUOTING if adds > 0.05 else again
            if candidate.score < least * ranked[0].score:
                continue
        chosen.append(candidate)
    return chosen


def _cite(candidate: _Candidate, number: int, document: Callable[[str], Document]) -> Citation:
    whole = document(candidate.source)
    positions = Positions(whole)
    return Citation(
        f"[{number}]",
        candidate.source,
        positions.page(candidate.start),
        positions.line(candidate.start),
        candidate.start,
        candidate.end,
        whole.text[candidate.start : candidate.end],
        Verification.EXACT,
    )


def _shown(candidate: _Candidate, citation: Citation) -> str:
    """The quote on one line with its marker; a row of a table below the table's head."""
    line = f"{' '.join(citation.quote.split())} {citation.marker}"
    return (
        f"{' '.join(candidate.head.split())}\n{line}" if candidate.head and candidate.head != citation.quote else line
    )
