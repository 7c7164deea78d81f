"""How good one ranking is, from 0 to 1: pure functions over names, with the definitions of trec_eval.

They know nothing of indexes. `grades` says how relevant each judged thing is to one question; what is not named, or
has a grade of 0 or less, is not relevant. `ranking` is what was found, best first; a name counts where it first stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from ragkit.errors import ConfigError

Grades = Mapping[str, int]


def ndcg(grades: Grades, ranking: Sequence[str], k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first k places (Järvelin and Kekäläinen, 2002).

    The gain of a place is the grade there over log2(place + 1), places counted from 1, as in trec_eval's ndcg_cut:
    grades count as they are, not as 2^grade - 1. The sum is divided by that of the best ranking there could be.
    Raises ConfigError where nothing is relevant.
    """
    relevant = _relevant(grades)
    best = _gain(sorted(relevant.values(), reverse=True)[:k])
    return _gain(relevant.get(name, 0) for name in _first(ranking, k)) / best


def recall(grades: Grades, ranking: Sequence[str], k: int = 10) -> float:
    """The share of all that is relevant that stands in the first k places; trec_eval's recall.

    Where more than k things are relevant, it stays below 1. Raises ConfigError where nothing is relevant.
    """
    relevant = _relevant(grades)
    return sum(name in relevant for name in _first(ranking, k)) / len(relevant)


def mrr(grades: Grades, ranking: Sequence[str], k: int = 10) -> float:
    """1 / the place of the first relevant thing, 0 where the first k places have none: the reciprocal rank.

    Its mean over questions is what the letters stand for. Raises ConfigError where nothing is relevant.
    """
    relevant = _relevant(grades)
    return next((1 / place for place, name in enumerate(_first(ranking, k), 1) if name in relevant), 0.0)


def _relevant(grades: Grades) -> dict[str, int]:
    relevant = {name: grade for name, grade in grades.items() if grade > 0}
    if not relevant:
        raise ConfigError(
            f"of {len(grades)} judged things none is relevant, so no ranking is better than another",
            "leave questions without a relevant document out",
        )
    return relevant


def _first(ranking: Sequence[str], k: int) -> list[str]:
    """The first k names; one that comes again takes no place."""
    return list(dict.fromkeys(ranking))[:k]


def _gain(grades: Iterable[int]) -> float:
    return sum(grade / math.log2(place + 1) for place, grade in enumerate(grades, 1))
