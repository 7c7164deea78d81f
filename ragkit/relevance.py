"""Whether the passages that were found are about what was asked: judged by words, and by vectors where they know more.

It knows numbers, texts and hits, and nothing of indexes, models or answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ragkit import words
from ragkit.ranking import coverage
from ragkit.types import FloatMatrix, Hit

# Of `by_words`: below it a collection is taken not to answer. Over seven sets of 345 to 2700 passages some 2 % of the
# questions that have an answer fall below it, and 82 % of those asked of a collection about something else; see
# benchmarks/refusal.py. On questions of the same field it says less.
RELEVANT = 0.38

# The same for few passages: ln N times the second above the first. By chance the best of ten covers less than the best
# of a thousand, and their idf tells rare words from common ones less well: at .38 samples of 2 to 60 documents lose
# 9 to 17 % of their questions, and so 3 to 6 % for a recall of .88 to .95.
_LEAST, _FOR_EACH_FOLD = 0.15, 0.0375

# Of `nearness`: half-way from an unrelated text to the question itself. From .4 to .6 refusals are alike.
NEAR = 0.5
SAMPLE = 512  # vectors of an index that tell what unrelated texts have
_FEW = 64  # vectors, with which nothing is known

# BM25 for each unit of idf that a passage has which says all of the question: the median of sentences asked of the
# passages that they are from. It is the scale of the word search, and changes with its weights.
_FULL_SCORE = 2.25


def least_by_words(idf: Callable[[Sequence[str]], Mapping[str, float]]) -> float:
    """What `by_words` must reach: `RELEVANT`, or less where the index is small.

    Its size is read off the idf of a term that no passage has, which is ln(2 N + 2).
    """
    passages = math.exp(idf([""]).get("", 0.0)) / 2 - 1
    return min(RELEVANT, _LEAST + _FOR_EACH_FOLD * math.log(max(1.0, passages)))


def by_words(
    question: str,
    hits: Sequence[Hit],
    *,
    idf: Callable[[Sequence[str]], Mapping[str, float]],
    title: Callable[[str], str],
) -> float:
    """How much of the question the best hits say, from 0 to 1: the mean of what they cover and of how strongly.

    What is covered is `coverage` by a passage with its headings and its document's title. How strongly is the best
    score of the word search as a share of what the question could score: it also counts words that are said again
    and again, next to each other, or in the same section. A short question, of which any passage covers half by
    chance, has a low one. Coverage alone where the words were not searched for.

    Args:
        idf: gives how much each of some terms says.
        title: gives that of a source.
    """
    weights = idf(words.terms(question))
    passages = (f"{title(hit.chunk.source)}\n{hit.chunk.heading}\n{hit.chunk.text}" for hit in hits)
    covered = max((coverage(question, passage, weights) for passage in passages), default=0.0)
    scores = [hit.scores["lexical"] for hit in hits if "lexical" in hit.scores]
    most = full_score(question, weights)
    if not scores or not most:
        return covered
    return (covered + min(1.0, max(scores) / most)) / 2


def full_score(question: str, weights: Mapping[str, float]) -> float:
    """What the word search gives to a passage that says all of the question, in the median.

    Args:
        weights: the idf of its terms.
    """
    return _FULL_SCORE * sum(
        weights.get(term, 1.0)
        for token in dict.fromkeys(words.tokens(question))
        for term in words.token_fields(token).terms.split()
    )


def is_about(
    question: str,
    hits: Sequence[Hit],
    *,
    idf: Callable[[Sequence[str]], Mapping[str, float]],
    title: Callable[[str], str],
    level: Callable[[], float | None] | None = None,
) -> bool:
    """Whether a hit says enough of the question, or is near it in other words.

    Args:
        level: gives the `level` of the index; asked only where the words say too little.
    """
    if by_words(question, hits, idf=idf, title=title) >= least_by_words(idf):
        return True
    return level is not None and nearness(hits, level()) >= NEAR


def level(sample: FloatMatrix) -> float | None:
    """The cosine of unrelated texts with the model that made these unit vectors (n, d), whose texts lie far apart.

    It is the mean of all pairs: .01 to .28 with all-MiniLM-L6-v2 on English, and .72 to .78
    on Russian, which that model does not know. None for fewer than 64: what is near is not known then.
    """
    n = len(sample)
    if n < _FEW:
        return None
    whole = sample.sum(axis=0, dtype="float64")  # (d,)
    return float((whole @ whole - n) / (n * (n - 1)))


def nearness(hits: Sequence[Hit], unrelated: float | None) -> float:
    """Where the nearest hit is between an unrelated text, which has 0, and the question itself, which has 1.

    So a threshold is the same whatever cosines a model has. 0 where that is not known, or nothing has a cosine.

    Args:
        unrelated: the `level` of the index.
    """
    cosines = [hit.scores["dense"] for hit in hits if "dense" in hit.scores]
    if unrelated is None or not cosines or unrelated >= 1:
        return 0.0
    return (max(cosines) - unrelated) / (1 - unrelated)
