"""Scores to an order: legs fused, neighbours merged, relevance judged.

Pure functions over numbers and hits; they know nothing of indexes, models or how a score came about.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from ragkit import words
from ragkit.errors import ConfigError
from ragkit.types import FloatMatrix, Hit

# Share of the vectors in a fused score, before it is judged whether they say anything for this query. 0.3 to 0.5
# rank alike with a real model. The offline embedder repeats the word index: .05 of it lost up to .004 of nDCG@10 on
# five sets; 0.01 loses nothing, and still orders what shares no word with the query.
DENSE_WEIGHT = 0.4
OFFLINE_WEIGHT = 0.01

Span: TypeAlias = tuple[Hashable, int, int]  # the source, the first character, and the one after the last

_TOP = 5  # hits of a leg that the other leg is asked about
_NO_AGREEMENT, _FULL_AGREEMENT = 0.55, 0.8  # mean percentile of one leg's top in the other; 0.5 is chance
_WINDOW = 40  # words: about three sentences
_LONGEST_MERGED = 2400  # characters; a hit stays a passage, not a document
_PARTLY = 0.7  # credit for a word that is met by its 4-grams or its sound, times the share of them


def is_offline(model: str) -> bool:
    """Whether vectors of a model of that name only repeat what the word index says."""
    return model.startswith("ragkit-offline/")


def dense_weight(model: str) -> float:
    """The weight of vectors made by a model of that name."""
    return OFFLINE_WEIGHT if is_offline(model) else DENSE_WEIGHT


def fuse(legs: Mapping[str, Mapping[int, float]], dense: float = DENSE_WEIGHT) -> dict[int, float]:
    """One score from 0 to 1 for each candidate, out of the legs "lexical" and "dense", or the one there is.

    Every candidate has its score in every leg: candidates are the union of what each leg found, and the
    legs' scores are comparable only over the same chunks. Both are stretched to 0 … 1 and added up with the
    weights 1 - `dense` and `dense`. Measured with all-MiniLM-L6-v2: .971 against .968 and .938 for the legs alone
    on XQuAD-en, where fusing ranks gains less.

    A leg that says nothing for this query is noticed. When the legs agree, each puts the other's best five hits
    near its own top: the mean percentile of those hits is near .85 for useful legs and .5 for chance. The less
    they agree, the more of the weight goes to the leg whose best hit stands out more from its median (in
    standard deviations, cubed: 9 against 2.7 where the model does not know Russian, 5 against 6 where the words
    are in another language than the text). So MiniLM on Russian leaves .956 of the .953 of words alone, where
    equal treatment at .6 / .4 leaves .947, and words of the wrong language leave .826 where it leaves .786.
    """
    lexical, vectors = legs.get("lexical", {}), legs.get("dense", {})
    if not lexical or not vectors:
        return _stretched(lexical or vectors)
    ids = sorted(lexical)
    by_words = np.array([lexical[id] for id in ids])  # (n,)
    by_vectors = np.array([vectors[id] for id in ids])
    agreement = (_percentile(by_words, by_vectors) + _percentile(by_vectors, by_words)) / 2
    trust = min(1.0, max(0.0, (agreement - _NO_AGREEMENT) / (_FULL_AGREEMENT - _NO_AGREEMENT)))
    peaks = _peak(by_words) ** 3, _peak(by_vectors) ** 3
    stands_out = peaks[1] / (sum(peaks) or 1.0)
    weight_words = (1 - dense) * (trust + (1 - trust) * (1 - stands_out))
    weight_vectors = dense * (trust + (1 - trust) * stands_out)
    total = weight_words + weight_vectors or 1.0
    fused = (weight_words * _to_unit(by_words) + weight_vectors * _to_unit(by_vectors)) / total
    return dict(zip(ids, fused.tolist(), strict=True))


def _stretched(leg: Mapping[int, float]) -> dict[int, float]:
    return dict(zip(leg, _to_unit(np.array(list(leg.values()))).tolist(), strict=True))


_Scores: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]


def _to_unit(scores: _Scores) -> _Scores:
    """0 … 1; all 1 where all are equal, since all are equally good."""
    if not scores.size:
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)


def _percentile(chosen_by: _Scores, judged_by: _Scores) -> float:
    """The mean place, 0 the lowest and 1 the highest, that one leg gives to the best few of the other."""
    best = np.argsort(-chosen_by, kind="stable")[:_TOP]
    below = (judged_by[None, :] < judged_by[best, None]).sum(axis=1)
    equal = (judged_by[None, :] == judged_by[best, None]).sum(axis=1) - 1
    return float(((below + equal / 2) / max(1, len(judged_by) - 1)).mean())


def _peak(scores: _Scores) -> float:
    """How far the best stands out from the median, in standard deviations."""
    spread = scores.std()
    ordered = np.sort(scores)  # np.median would import numpy.ma: 12 ms of a cold search
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return float((scores.max() - median) / spread) if spread > 0 else 0.0


def merge_neighbours(spans: Iterable[Span]) -> list[list[int]]:
    """Which of the spans, by their places, grow together: those of one source that touch or overlap.

    Each is in one group, by itself where it has no neighbour. At most 2400 characters grow together. Groups are in the
    order of the first place that each holds, and so are the places in it: as the spans, best first.
    """
    sources: dict[Hashable, list[_Passage]] = {}
    for place, (source, start, end) in enumerate(spans):
        passages = sources.setdefault(source, [])
        group = [place]
        while (near := _neighbour(passages, start, end)) is not None:  # one between two others joins both
            other = passages.pop(near)
            start, end, group = min(start, other.start), max(end, other.end), sorted(other.group + group)
        passages.append(_Passage(start, end, group))
    return sorted(passage.group for passages in sources.values() for passage in passages)


class _Passage(NamedTuple):
    start: int
    end: int
    group: list[int]  # of the places of what has grown together


def _neighbour(passages: Sequence[_Passage], start: int, end: int) -> int | None:
    """The place of the passage that may grow together with this span; of several, the one that holds the best."""

    def may_grow(passage: _Passage) -> bool:
        touches = passage.start <= end and start <= passage.end
        return touches and max(end, passage.end) - min(start, passage.start) <= _LONGEST_MERGED

    near = [(passage.group[0], place) for place, passage in enumerate(passages) if may_grow(passage)]
    return min(near)[1] if near else None


def coverage(query: str, passage: str, idf: Mapping[str, float]) -> float:
    """How much of what the query asks stands in the passage, from 0 to 1; words that stand together count more.

    The share of the query's terms, each by its idf (1 where none is given): the mean of the share in the whole
    passage and that in its best 40 words. An inflected form is found by its stem. A word that is met by half or
    more of its 4-grams, or of its sounds in the other script, counts in part. 0 for a query of stop words.
    """
    asked = [_Asked(token, idf) for token in dict.fromkeys(words.tokens(query))]
    total = sum(token.weight for token in asked)
    if not total:
        return 0.0
    tokens = [words.token_fields(token) for token in words.tokens(passage)]
    whole = _share(asked, tokens)
    if len(tokens) <= _WINDOW:
        return whole / total
    half = _WINDOW // 2
    best = max(_share(asked, tokens[start : start + _WINDOW]) for start in range(0, len(tokens) - half, half))
    return (whole + best) / 2 / total


class _Asked:
    """A token of the query, in the forms in which a passage may hold it."""

    def __init__(self, token: str, idf: Mapping[str, float]) -> None:
        found = words.token_fields(token)
        self.terms = {term: idf.get(term, 1.0) for term in found.terms.split()}
        self.weight = sum(self.terms.values())
        self.grams = found.grams.split()
        self.cyrillic = found.cyrillic.split()
        self.latin = found.latin.split()


def _share(asked: Sequence[_Asked], tokens: Sequence[words.Fields]) -> float:
    """The weight of the terms that the tokens hold."""
    held = words.Fields(*(" ".join(column) for column in zip(*tokens, strict=True))) if tokens else words.NOTHING
    terms, grams = set(held.terms.split()), set(held.grams.split())
    cyrillic, latin = set(held.cyrillic.split()), set(held.latin.split())
    found = 0.0
    for token in asked:
        exact = sum(weight for term, weight in token.terms.items() if term in terms)
        found += exact
        if exact < token.weight:
            # Words of one script are looked for among the sounds of the other.
            pairs = ((token.grams, grams), (token.cyrillic, latin), (token.latin, cyrillic))
            alike = max(sum(gram in among for gram in of) / len(of) if of else 0.0 for of, among in pairs)
            if alike >= 0.5:
                found += (token.weight - exact) * alike * _PARTLY
    return found


def mmr(vectors: FloatMatrix, relevances: Sequence[float], *, k: int, trade: float) -> list[tuple[int, float]]:
    """Maximal marginal relevance: k rows that are relevant and unlike one another, best first, with their values.

    Each next row has the highest `trade` · relevance - (1 - `trade`) · cosine with the most similar row taken so far;
    of equals, the first. Values never rise. (Carbonell and Goldstein, SIGIR 1998, where `trade` is called lambda.)

    Args:
        vectors: (n, d), rows of length 1.
        relevances: one for each row, about as large as cosines are.
        trade: 1 is the order of relevance, 0 looks at nothing but unlikeness.

    Raises:
        ConfigError: `trade` is not from 0 to 1, or vectors and relevances differ in number.
    """
    if not 0 <= trade <= 1:
        raise ConfigError(f"mmr is {trade}", "set it from 0, for variety alone, to 1, for relevance alone")
    if len(vectors) != len(relevances):
        raise ConfigError(f"{len(vectors)} vectors came with {len(relevances)} relevances", "pass one for each")
    values = trade * np.asarray(relevances, np.float64)  # (n,)
    likeness = np.zeros(len(values))  # to the most similar row taken; never below that of strangers
    taken: list[tuple[int, float]] = []
    for _ in range(min(k, len(values))):
        marginal = values - (1 - trade) * likeness
        marginal[[place for place, _ in taken]] = -np.inf
        best = int(marginal.argmax())
        taken.append((best, float(marginal[best])))
        likeness = np.maximum(likeness, vectors @ vectors[best])
    return taken


def gram_vectors(texts: Sequence[str]) -> FloatMatrix:
    """(n, d) unit rows whose cosines say how many 4-grams two texts share: for `mmr`, where no model made vectors.

    A text without words has a row of zeros, which is like nothing.
    """
    sets = [set(words.grams(text)) for text in texts]
    places = {gram: place for place, gram in enumerate(sorted(set().union(*sets)))}
    rows = np.zeros((len(sets), len(places)), np.float32)
    for row, grams in zip(rows, sets, strict=True):
        row[[places[gram] for gram in grams]] = 1 / max(1, len(grams)) ** 0.5
    return rows


def varied(hits: Sequence[Hit], *, k: int, trade: float, vectors: FloatMatrix | None = None) -> list[Hit]:
    """The k hits that `mmr` takes: relevant by their scores stretched to 0 … 1, and unlike one another.

    Its value becomes `score` and `scores["mmr"]`. Likeness is that of the texts where no `vectors` (n, d) are given.
    """
    if not hits:
        return []
    relevances = _to_unit(np.array([hit.score for hit in hits]))
    rows = gram_vectors([hit.chunk.text for hit in hits]) if vectors is None else vectors
    return [
        replace(hits[place], score=value, scores={**hits[place].scores, "mmr": value})
        for place, value in mmr(rows, relevances.tolist(), k=k, trade=trade)
    ]
