"""How sure a mean over questions is: the percentile bootstrap (Efron, 1979), seeded, so that a figure can be repeated.

Questions are drawn anew, as many as there are and with replacement, a thousand times. The interval says what other
questions of the same kind would give; it knows nothing of other documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ragkit.errors import ConfigError

RESAMPLES = 1000
LEVEL = 0.95
FEW = 30  # questions below which an interval is a rough guide: the bootstrap makes it too narrow
# Questions that must differ before two runs may differ significantly: where five differ, and all in favour of one,
# chance does that once in 16 times (two-sided sign test), and of six once in 32.
FEWEST_DIFFERENT = 6
_BLOCK = 1_000_000  # numbers drawn at once


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, with the bounds between which the means of 95 % of the resamples lie. `count` is of questions."""

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """The second minus the first of two runs over the same questions.

    `better` and `worse` count the questions where the second did so. `significant` where the interval leaves out
    zero and at least six questions differ.
    """

    measure: str
    first: float
    second: float
    interval: Interval
    better: int
    worse: int

    @property
    def significant(self) -> bool:
        return (self.interval.low > 0 or self.interval.high < 0) and self.better + self.worse >= FEWEST_DIFFERENT


def interval(values: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The mean of the values with its 95 % interval; it always contains the mean. Raises ConfigError for no values."""
    if not values:
        raise ConfigError("there is nothing to take the mean of", "give at least one question")
    each = np.asarray(values, np.float64)  # (n,)
    mean = float(each.mean())
    generator = np.random.default_rng(seed)
    means = []
    block = max(1, _BLOCK // len(each))  # resamples at once
    for start in range(0, resamples, block):
        drawn = generator.integers(0, len(each), (min(block, resamples - start), len(each)))  # (block, n)
        means.append(each[drawn].mean(axis=1))
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail])
    # Equal values, summed in another order, may miss their own mean by a rounding error.
    return Interval(mean, min(float(low), mean), max(float(high), mean), len(each))


def difference(
    measure: str, first: Sequence[float], second: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Two runs over the same questions, value i of both for question i: the bootstrap draws pairs.

    So what makes a question hard for both runs cancels out, and a small difference shows.
    """
    pairs = list(zip(first, second, strict=True))
    found = interval([b - a for a, b in pairs], resamples=resamples, seed=seed)
    return Difference(
        measure,
        float(np.mean(first)),
        float(np.mean(second)),
        found,
        sum(b > a for a, b in pairs),
        sum(b < a for a, b in pairs),
    )
