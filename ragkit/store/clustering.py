"""Centres of what lies near each other: k-means over rows of which some are in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ragkit.store.codes import Lists
from ragkit.types import FloatMatrix

_ROUNDS = 4


def centroids(first: FloatMatrix, pieces: Callable[[], Iterable[FloatMatrix]]) -> FloatMatrix:
    """(wanted, d), which begin as the `first` ones. `pieces` gives all the rows, (n, d) at a time, for each round.

    One that no row is nearest to stays where it was.
    """
    points = first.copy()
    for _ in range(_ROUNDS):
        lists = Lists(points)
        sums, counts = np.zeros_like(points), np.zeros(len(points), np.int64)
        for rows in pieces():
            assigned = lists.nearest(rows)
            order = np.argsort(assigned, kind="stable")
            found, starts = np.unique(assigned[order], return_index=True)
            sums[found] += np.add.reduceat(rows[order], starts, axis=0)
            counts[found] += np.diff(starts, append=len(order))
        held = counts > 0
        points[held] = sums[held] / counts[held, None]
    return points
