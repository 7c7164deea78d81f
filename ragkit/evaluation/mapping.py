"""Vectors as points in two dimensions: the plane in which they differ most, found by their principal components.

The same vectors give the same plane: no start is drawn by lot, and the signs are settled. It knows chunks and numbers,
nothing of stores or pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ragkit.types import Chunk, FloatMatrix, FloatVector

MOST_POINTS = 5_000  # chunks in a picture: more hide one another, and a page with them opens slowly
_BLOCK = 8  # directions that are followed together, so that those next to the two do not slow the two down
_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class Point:
    """A chunk and where it lies. `hit` is its place among the hits of the query, from 1; 0 where it is none."""

    id: int
    chunk: Chunk
    x: float
    y: float
    hit: int = 0


@dataclass(frozen=True, slots=True)
class Map:
    """An index in two dimensions. `explained` is the share of what the vectors differ in that each axis shows.

    `chunks` and `documents` are how many the index has; `points` may be fewer. `at` is where the query lies.
    """

    points: tuple[Point, ...]
    chunks: int
    documents: int
    explained: tuple[float, float]
    query: str = ""
    at: tuple[float, float] | None = None


def lay_out(
    chunks: Sequence[tuple[int, Chunk]],
    vectors: FloatMatrix,
    *,
    total: int,
    documents: int,
    query: str = "",
    vector: FloatVector | None = None,
    hits: Mapping[int, int] | None = None,
) -> Map:
    """Chunks by their vectors, and a query among them.

    Args:
        chunks: with their ids, in the order of `vectors`.
        vectors: (n, d), unit rows.
        total: chunks of the index.
        documents: documents of the index.
        query: what was asked.
        vector: (d,), of the query.
        hits: for the ids of chunks that were found the place, from 1.
    """
    center, axes, explained = plane(vectors)
    places = (vectors - center) @ axes.T  # (n, 2)
    at = None
    if vector is not None and len(vectors):
        length = float(np.linalg.norm(vector)) or 1.0
        x, y = (vector / length - center) @ axes.T
        at = (float(x), float(y))
    points = tuple(
        Point(id, chunk, float(x), float(y), (hits or {}).get(id, 0))
        for (id, chunk), (x, y) in zip(chunks, places, strict=True)
    )
    return Map(points, total, documents, explained, query, at)


def plane(vectors: FloatMatrix) -> tuple[FloatVector, FloatMatrix, tuple[float, float]]:
    """The mean (d,), the first two principal axes (2, d), and the share of the variance that each shows.

    By subspace iteration: some products of the matrix with eight columns, where a decomposition of 5 000 vectors of
    2 560 dimensions takes a minute. An axis that the vectors do not have, as of one vector, is zero.
    """
    n, d = vectors.shape
    if n == 0 or d == 0:
        return np.zeros(d, np.float32), np.zeros((2, d), np.float32), (0.0, 0.0)
    center = vectors.mean(axis=0)  # (d,)
    away = (vectors - center).astype(np.float64)  # (n, d)
    variance = float((away**2).sum())
    size = min(_BLOCK, n, d)
    # The start is rows of the matrix itself: those that lie furthest out, and so the same for the same vectors.
    start = np.argsort(-(away**2).sum(axis=1), kind="stable")[:size]
    basis = _orthonormal(away[start].T)  # (d, size)
    for _ in range(_ROUNDS):
        basis = _orthonormal(away.T @ (away @ basis))
    inside = away @ basis  # (n, size)
    strengths, turns = np.linalg.eigh(inside.T @ inside)  # ascending
    axes = np.zeros((2, d))
    shares = [0.0, 0.0]
    for place, column in enumerate(range(size - 1, max(-1, size - 3), -1)):
        if variance > 0 and strengths[column] > 1e-9 * variance:
            axis = basis @ turns[:, column]
            axes[place] = axis * np.sign(axis[np.argmax(np.abs(axis))])
            shares[place] = float(strengths[column]) / variance
    return center, axes.astype(np.float32), (shares[0], shares[1])


def _orthonormal(columns: FloatMatrix) -> FloatMatrix:
    return np.linalg.qr(columns)[0]
