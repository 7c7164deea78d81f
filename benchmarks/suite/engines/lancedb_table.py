"""LanceDB, as its pages say: a table from batches, scalar indexes for filters, and a vector index or none.

Its pages say that up to some 100 000 rows no vector index is needed; with one, `refine_factor` brings recall back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lancedb
import pyarrow as pa
from lancedb.index import BTree, IvfPq

from benchmarks.suite.engine import Engine, Found
from benchmarks.suite.given import BLOCK, FIELDS, K


class LanceDb(Engine):
    note = "table without a vector index, B-tree indexes on the metadata, cosine"

    def build(self) -> None:
        table = lancedb.connect(self.folder).create_table("given", self._batches(), schema=self._schema())
        for field in FIELDS:
            table.create_index(field, config=BTree())

    def open(self) -> None:
        self.table = lancedb.connect(self.folder).open_table("given")

    def search(self, query: int) -> list[dict[str, Any]]:
        return self._query(query).to_list()

    def filtered(self, query: int, field: str, value: int) -> list[dict[str, Any]]:
        return self._query(query).where(f"{field} = {value}").to_list()

    def found(self, result: list[dict[str, Any]]) -> list[Found]:
        return [Found(each["id"], each["text"], {name: each[name] for name in FIELDS}) for each in result]

    def delete(self, ids: Sequence[int]) -> None:
        self.table.delete(f"id IN ({', '.join(map(str, ids))})")

    def add(self, ids: Sequence[int]) -> None:
        self.table.add(pa.Table.from_batches([self._batch(ids)]))

    def _query(self, query: int) -> Any:
        wanted = self.table.search(self.given.queries[query]).distance_type("cosine").limit(K)
        return wanted.select(["id", "text", *FIELDS, "_distance"])

    def _schema(self) -> pa.Schema:
        vector = pa.list_(pa.float32(), self.given.about.dimension)
        numbers = [pa.field(name, pa.int64()) for name in ("id", *FIELDS)]
        return pa.schema([*numbers, pa.field("text", pa.string()), pa.field("vector", vector)])

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for rows in self.given.batches(BLOCK):
            yield self._batch(rows)

    def _batch(self, ids: Sequence[int]) -> pa.RecordBatch:
        flat = pa.array(self.given.vectors[ids[0] : ids[-1] + 1].reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(flat, self.given.about.dimension)
        numbers = [pa.array([id % FIELDS[name] for id in ids], pa.int64()) for name in FIELDS]
        texts = pa.array(self.given.texts(ids[0], ids[-1] + 1), pa.string())
        return pa.record_batch([pa.array(ids, pa.int64()), *numbers, texts, vectors], schema=self._schema())


class LanceDbIvfPq(LanceDb):
    note = 'the same with `IvfPq(distance_type="cosine")`, its defaults, and `refine_factor(10)`'

    def build(self) -> None:
        super().build()
        table = lancedb.connect(self.folder).open_table("given")
        table.create_index("vector", config=IvfPq(distance_type="cosine"))

    def _query(self, query: int) -> Any:
        return super()._query(query).refine_factor(10)
