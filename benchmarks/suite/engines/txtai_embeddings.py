"""txtai, as its pages say: Embeddings with content, external vectors, index, save, load, search by SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from txtai import Embeddings

from benchmarks.suite.engine import Engine, Found
from benchmarks.suite.given import FIELDS, Array, K, metadata, row_of


class Txtai(Engine):
    note = (
        "`Embeddings(content=True)` over external vectors, its default faiss index (IVF above 5 000 rows); SQL filters"
    )

    def build(self) -> None:
        self.embeddings = Embeddings(method="external", transform=self._transform(), content=True)
        self.embeddings.index(self._rows(range(self.given.about.rows)))
        self.embeddings.save(str(self.folder / "index"))

    def open(self) -> None:
        self.embeddings = Embeddings()
        # What makes vectors is a function of this program: it is put in place when the index is loaded.
        self.embeddings.load(str(self.folder / "index"), config={"transform": self._transform()})

    def search(self, query: int) -> list[dict[str, Any]]:
        return self._ask("", query)

    def filtered(self, query: int, field: str, value: int) -> list[dict[str, Any]]:
        return self._ask(f" AND {field} = {value}", query)

    def found(self, result: list[dict[str, Any]]) -> list[Found]:
        return [Found(int(each["id"]), each["text"], {name: each[name] for name in FIELDS}) for each in result]

    def delete(self, ids: Sequence[int]) -> None:
        self.embeddings.delete([str(id) for id in ids])
        self.embeddings.save(str(self.folder / "index"))

    def add(self, ids: Sequence[int]) -> None:
        self.embeddings.upsert(self._rows(ids))
        self.embeddings.save(str(self.folder / "index"))

    def close(self) -> None:
        self.embeddings.close()

    def _ask(self, condition: str, query: int) -> list[dict[str, Any]]:
        fields = ", ".join(FIELDS)
        sql = f"SELECT id, text, score, {fields} FROM txtai WHERE similar(:question){condition}"
        return self.embeddings.search(sql, K, parameters={"question": self.given.questions[query]})

    def _rows(self, ids: Sequence[int]) -> Iterator[tuple[str, dict[str, Any], None]]:
        return ((str(id), {"text": self.given.text(id), **metadata(id)}, None) for id in ids)

    def _transform(self) -> Any:
        given = self.given
        numbers = {question: number for number, question in enumerate(given.questions)}

        def transform(texts: Sequence[str]) -> Array:
            return np.stack([given.queries[numbers[t]] if t in numbers else given.vectors[row_of(t)] for t in texts])

        return transform
