"""How far the best hit of a query stands out from what else is indexed: numbers in, a number out.

No answer depends on it: `benchmarks/refusal.py` measures what it would be worth, and says why it is not used.
"""

from __future__ import annotations

from math import inf

import numpy as np

from ragkit.types import FloatVector

SAMPLE = 512  # vectors of the index, by `Store.vectors`, that make a background
LEAST = 64  # of n numbers none lies over √(n - 1) deviations from their mean: a small index makes every hit look dull

_FLAT = 1e-6  # a spread below it is rounding: float32 knows seven figures


def relevance(best: float, background: FloatVector) -> float:
    """By how many standard deviations the best cosine lies above those of passages that were not chosen.

    A cosine alone says nothing: texts that share nothing have .1 with one model and over .9 with GigaChat's. What
    they have is read off the user's own index, for this very query.

    Args:
        best: the cosine of the query with its best hit.
        background: (n,), its cosines with a sample of the index.

    Returns:
        infinity where n is below `LEAST`: so few cannot show that a hit is irrelevant.
    """
    if len(background) < LEAST:
        return inf
    wide = background.astype(np.float64)
    return float((best - wide.mean()) / max(float(wide.std()), _FLAT))
