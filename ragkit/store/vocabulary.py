"""The words of an index by their sound: which of them are like one that a question has.

Sounds belong to words, not to passages: kept with every passage they would be a fifth of the word index. A word that
no passage holds any more stays until the index is made anew; it finds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ragkit import words
from ragkit.store.inverted import InvertedIndex

# Sounds stand in the field of a word's script. None counts how often a term stands there.
FIELDS = {"word": False, "cyrillic": False, "latin": False}
STORED = "word"

_MOST_LIKE = 40  # words of a script at most; with 20 English questions rank .002 lower on Russian texts
_LEAST_SHARED = 0.1  # of the 4-grams that two words have: Panther and Пэнтерс have eight, and share one
_REMEMBERED = 200_000  # words while they are learnt, some 30 MB; then what is new among them is written


class Vocabulary:
    """Words with the 4-grams of their sound."""

    def __init__(self, index: InvertedIndex) -> None:
        self.index = index

    def like(self, term: str, *, own: bool) -> list[tuple[str, float]]:
        """Words that sound like a term, with the idf of what they share: of the other script, and where `own` of its.

        The most alike of each script, in the order of the alphabet. The term itself is none of them.
        """
        scripts = ("cyrillic", "latin") if words.is_cyrillic(term) else ("latin", "cyrillic")
        return [found for script in scripts[not own :] for found in self._in_script(script, term)]

    def _in_script(self, script: str, term: str) -> list[tuple[str, float]]:
        sounds = words.sounds_of(term)
        held = {sound: n for sound in sounds if (n := self.index.frequency(script, sound))}
        if not held:
            return []
        total = len(self.index)
        idf = {sound: math.log(1 + (total - n + 0.5) / (n + 0.5)) for sound, n in held.items()}
        found = []
        for other in sorted(self.index.stored({(script, sound): 1.0 for sound in held}, _MOST_LIKE)):
            theirs = words.sounds_of(other)
            if other != term and len(sounds & theirs) >= _LEAST_SHARED * len(sounds | theirs):
                found.append((other, sum(idf[sound] for sound in sounds & theirs)))
        return found

    @contextmanager
    def learning(self, generation: int) -> Iterator[Callable[[list[str]], None]]:
        """Gives what is told the terms of one text after another; new ones are in when the block ends.

        What an update that is broken off has learnt does no harm: its words find nothing until it is done again.
        """
        learnt: set[str] = set()
        new: list[str] = []

        def learn(terms: list[str]) -> None:
            fresh = set(terms) - learnt
            learnt.update(fresh)
            new.extend(
                term for term in sorted(fresh) if words.sounds_of(term) and not self.index.frequency("word", term)
            )
            if len(learnt) >= _REMEMBERED:
                write()
                learnt.clear()

        def write() -> None:
            with self.index.writing(generation) as change:
                for term in new:
                    script = "cyrillic" if words.is_cyrillic(term) else "latin"
                    change.add({}, {"word": term, script: " ".join(sorted(words.sounds_of(term)))})
            self.index.reload()
            new.clear()

        yield learn
        if new:
            write()
