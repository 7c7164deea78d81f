"""The limit: one matrix product over rows in memory, and ten row numbers. It keeps no text and no metadata."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.suite.engine import Engine, Found
from benchmarks.suite.given import FIELDS, Array, K


class Numpy(Engine):
    note = "rows in memory, `rows @ query`, argpartition; ids only"

    def build(self) -> None:
        np.save(self.folder / "rows.npy", self.given.vectors[: self.given.about.rows])
        np.save(self.folder / "ids.npy", np.arange(self.given.about.rows))

    def open(self) -> None:
        self.rows = np.load(self.folder / "rows.npy")
        self.ids = np.load(self.folder / "ids.npy")
        self.places: dict[tuple[str, int], Array] = {}

    def search(self, query: int) -> Array:
        return self.ids[_best(self.rows @ self.given.queries[query])]

    def filtered(self, query: int, field: str, value: int) -> Array:
        if (field, value) not in self.places:
            self.places[field, value] = np.flatnonzero(self.ids % FIELDS[field] == value)
        places = self.places[field, value]
        if len(places) > len(self.rows) // 8:  # taking so many rows together costs more than scoring the others
            scores = (self.rows @ self.given.queries[query])[places]
        else:
            scores = self.rows[places] @ self.given.queries[query]
        return self.ids[places[_best(scores)]]

    def found(self, result: Array) -> list[Found]:
        return [Found(int(id)) for id in result]

    def delete(self, ids: Sequence[int]) -> None:
        kept = ~np.isin(self.ids, ids)
        self.rows, self.ids = self.rows[kept], self.ids[kept]
        self._save()

    def add(self, ids: Sequence[int]) -> None:
        self.rows = np.concatenate([self.rows, self.given.vectors[np.array(ids)]])
        self.ids = np.concatenate([self.ids, np.array(ids)])
        self._save()

    def _save(self) -> None:
        np.save(self.folder / "rows.npy", self.rows)
        np.save(self.folder / "ids.npy", self.ids)


class NumpyMapped(Engine):
    """What exact search costs where the rows are a mapped file, as ragkit's are: no memory of its own."""

    note = "`rows @ query` over the given file, mapped, by blocks; ids only"

    def build(self) -> None:
        """The given file is its index."""

    def open(self) -> None:
        self.rows = self.given.vectors[: self.given.about.rows]

    def search(self, query: int) -> Array:
        scores = [self.rows[rows.start : rows.stop] @ self.given.queries[query] for rows in self.given.batches(65_536)]
        return _best(np.concatenate(scores))

    def found(self, result: Array) -> list[Found]:
        return [Found(int(id)) for id in result]


def _best(scores: Array) -> Array:
    """(10,) places, best first; fewer where there are fewer."""
    if len(scores) <= K:
        return np.argsort(-scores)
    best = np.argpartition(-scores, K)[:K]
    return best[np.argsort(-scores[best])]
