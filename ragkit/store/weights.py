"""What a question looks for in the word index: terms with their weights, and those among them that choose chunks.

It asks how many chunks hold a term and which words are like another, and knows nothing of how they are kept.

Chunks are chosen by words: by those of the question and by words that sound like one of them, of the other script,
or of the same where hardly anything holds it. 4-grams only help to order what is chosen: each stands in a tenth of
all texts or more, so to choose by them is to go through everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, Protocol
from zlib import crc32

from ragkit import words

GRAM_WEIGHT = 0.18  # of a 4-gram beside a stem; one value for all languages
PAIR_WEIGHT = 0.25  # of two neighbouring words
LIKE_WEIGHT = 0.17  # of each 4-gram of sounds that a word shares with one that is looked for
RARE = 2  # chunks with a word, up to which it may be misspelt: words of its own script that sound like it count too
KNOWN = 500  # chunks with a word, from which on those that sound like it choose nothing: there are enough
_MOST_ALIKE = 40  # words of a question, its rarest: to find what sounds like one takes .3 ms of an index of 1 000 000
_COMMON = 4  # a word that more than one chunk in so many holds chooses none, where enough hold others
_LEAST_IDF = 0.1  # of a word that is like another, so that one of every chunk does not outweigh all else
# Pairs share this many names: the list of distinct ones would be the largest part of the index, and grow for ever. Of
# 10 000 chunks of 100 words 15 are taken to hold a pair that they do not, which costs .0002 of nDCG@10.
_PAIR_NAMES = 1 << 16

Weights = dict[tuple[str, str], float]  # (field, term) -> weight


class Known(Protocol):
    """What is known of words; its length is the number of chunks."""

    def __len__(self) -> int: ...

    def frequency(self, term: str) -> int:
        """How many chunks hold it."""
        ...

    def idf(self, term: str) -> float: ...

    def like(self, term: str, *, own: bool) -> list[tuple[str, float]]:
        """Others that sound like it, with the weight of what they share; of its own script too where `own`."""
        ...


class Wanted(NamedTuple):
    """What is looked for in chunks: a score is what all of `each` and the best of each of `best_of` give."""

    each: Weights
    best_of: list[Weights]
    choosing: Weights  # chunks with some of these are the ones to score, where there are enough


def in_chunks(text: str, known: Known) -> Wanted:
    """What to look for in chunks; stop words only where there is nothing else."""
    found = words.fields(text)
    pairs = ("pairs", named(found.pairs), PAIR_WEIGHT)
    if not found.terms.strip():
        each = _weights((("stops", found.stops, 1.0), pairs))
        return Wanted(each, [], each)
    each = _weights((("terms", found.terms, 1.0), pairs))
    count = Counter(found.terms.split())
    held = {term: known.frequency(term) for term in count}
    common = {("terms", term) for term, n in held.items() if n > len(known) // _COMMON}
    choosing = {term: weight for term, weight in each.items() if term not in common}
    if not any(field == "terms" for field, _ in choosing):
        choosing = dict(each)
    best_of = []
    for term in sorted(count, key=lambda term: (held[term], term))[:_MOST_ALIKE]:
        alike = {
            ("terms", other): count[term] * LIKE_WEIGHT * weight / max(_LEAST_IDF, known.idf(other))
            for other, weight in known.like(term, own=held[term] <= RARE)
        }
        if alike:
            best_of.append(alike)
            if held[term] < KNOWN:
                for other, weight in alike.items():
                    choosing[other] = choosing.get(other, 0.0) + weight
    return Wanted(each, best_of, choosing)


def in_sections(text: str) -> Weights:
    """What to look for in sections."""
    return _weights((("grams", words.fields(text).grams, GRAM_WEIGHT),))


def counted(grams: Iterable[str]) -> str:
    """4-grams of a chunk as often as they count: twice at most, since more would take a sixth more of the disk."""
    return " ".join([gram if n == 1 else f"{gram} {gram}" for gram, n in Counter(grams).items()])


def named(pairs: str) -> str:
    """Pairs by the names that the index has for them."""
    return " ".join([f"{crc32(pair.encode()) % _PAIR_NAMES:x}" for pair in pairs.split()])


def _weights(fields: Iterable[tuple[str, str, float]]) -> Weights:
    """A term counts as often as the query says it."""
    return {
        (field, term): weight * count
        for field, joined, weight in fields
        for term, count in Counter(joined.split()).items()
    }
