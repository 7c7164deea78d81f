"""What a question looks for in the word index: terms with their weights, and those among them that lead to passages.

It asks how many documents hold a term, and knows nothing of how they are kept.

In a large index what takes the time are 4-grams: a question of six words has forty of them, each in a tenth of all
texts or more. Words lead there, with the 4-grams and sounds of words that hardly anything holds: what they find is
then scored by all that the question looks for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol
from zlib import crc32

from ragkit import words

GRAM_WEIGHT = 0.28  # of a 4-gram beside a stem; one value for all languages, 0.2 to 0.3 are alike
PAIR_WEIGHT = 0.3  # of two neighbouring words
SOUND_WEIGHT = 0.6  # of a 4-gram of sounds met in the other script; costs nothing where query and text share one
# Pairs share this many names: the list of distinct ones would be the largest part of the index, and grow for ever. Of
# 10 000 chunks of 100 words one is taken to hold a pair that it does not; with 2 ** 16 names it would be 15.
_PAIR_NAMES = 1 << 20

KNOWN = 500  # documents with a word, from which on its 4-grams and sounds lead to nothing that it does not lead to
_COMMON = 2  # a 4-gram that more than one document in so many holds says nothing, and a word of that kind leads nowhere
_GRAMS_LEAD = 2  # one in so many entries of documents at most are gone through for 4-grams and sounds that lead

Weights = dict[tuple[str, str], float]  # (field, term) -> weight


class Counts(Protocol):
    """How many documents there are, and how many hold a field's term."""

    def __len__(self) -> int: ...

    def frequency(self, field: str, term: str) -> int: ...


def in_chunks(text: str) -> Weights:
    """What to look for in chunks; stop words only where there is nothing else."""
    found = words.fields(text)
    pairs = ("pairs", named(found.pairs), PAIR_WEIGHT)
    if not found.terms.strip():
        return _weights((("stops", found.stops, 1.0), pairs))
    # Words of one script are looked for among the sounds of the other.
    sounds = (
        ("latin_roots", found.cyrillic_roots, SOUND_WEIGHT),
        ("cyrillic_roots", found.latin_roots, SOUND_WEIGHT),
    )
    return _weights((("terms", found.terms, 1.0), ("grams", found.grams, GRAM_WEIGHT), pairs, *sounds))


def in_sections(text: str) -> Weights:
    """What to look for in sections."""
    found = words.fields(text)
    return _weights((("terms", found.terms, 1.0), ("grams", found.grams, GRAM_WEIGHT)))


def wanted(text: str, weights: Weights, counts: Counts, *, is_led: bool) -> tuple[Weights, Weights]:
    """What to look for of the `weights` of a text, and which of it leads: nothing where `is_led` is not so."""
    if not is_led:
        return weights, {}
    total = len(counts)
    held = {term: n for term in weights if (n := counts.frequency(*term))}
    common = total // _COMMON
    leading = {term: weights[term] for term, n in held.items() if term[0] in ("terms", "pairs") and n <= common}
    if any(field == "terms" for field, _ in leading):
        held = {term: n for term, n in held.items() if term[0] != "grams" or n <= common}
    room = total // _GRAMS_LEAD
    unknown = _of_unknown_words(text, held)
    for term in sorted(unknown & held.keys(), key=lambda term: (held[term], term)):
        room -= held[term]
        if room < 0:
            break
        leading[term] = weights[term]
    return {term: weights[term] for term in held}, leading


def _of_unknown_words(text: str, held: Mapping[tuple[str, str], int]) -> set[tuple[str, str]]:
    """The 4-grams and sounds of words that few documents hold."""
    found: set[tuple[str, str]] = set()
    for token in words.tokens(text):
        of = words.token_fields(token)
        if max((held.get(("terms", term), 0) for term in of.terms.split()), default=0) < KNOWN:
            found.update(("grams", gram) for gram in of.grams.split())
            found.update(("latin_roots", gram) for gram in of.cyrillic_roots.split())
            found.update(("cyrillic_roots", gram) for gram in of.latin_roots.split())
    return found


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
