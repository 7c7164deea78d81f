"""The limit: IndexFlatIP in memory, written by write_index. It keeps no text and no metadata."""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np

from benchmarks.suite.engine import Engine, Found
from benchmarks.suite.given import BLOCK, FIELDS, Array, K


class Faiss(Engine):
    note = "`IndexFlatIP` in memory, filters by `IDSelectorBatch`; ids only"

    def build(self) -> None:
        index = faiss.IndexIDMap(faiss.IndexFlatIP(self.given.about.dimension))
        for rows in self.given.batches(BLOCK):
            index.add_with_ids(self.given.vectors[rows.start : rows.stop], np.arange(rows.start, rows.stop))
        faiss.write_index(index, str(self.folder / "index.faiss"))

    def open(self) -> None:
        self.index = faiss.read_index(str(self.folder / "index.faiss"))
        self.allowed: dict[tuple[str, int], faiss.IDSelector] = {}

    def search(self, query: int) -> Array:
        return self.index.search(self.given.queries[query : query + 1], K)[1][0]

    def filtered(self, query: int, field: str, value: int) -> Array:
        if (field, value) not in self.allowed:
            ids = faiss.vector_to_array(self.index.id_map)
            self.allowed[field, value] = faiss.IDSelectorBatch(ids[ids % FIELDS[field] == value])
        how = faiss.SearchParameters(sel=self.allowed[field, value])
        return self.index.search(self.given.queries[query : query + 1], K, params=how)[1][0]

    def found(self, result: Array) -> list[Found]:
        return [Found(int(id)) for id in result if id >= 0]

    def delete(self, ids: Sequence[int]) -> None:
        self.index.remove_ids(np.array(ids, np.int64))
        faiss.write_index(self.index, str(self.folder / "index.faiss"))

    def add(self, ids: Sequence[int]) -> None:
        places = np.array(ids, np.int64)
        self.index.add_with_ids(self.given.vectors[places], places)
        faiss.write_index(self.index, str(self.folder / "index.faiss"))
