"""Chroma, as its pages say: PersistentClient, add in batches of the largest size, query with `where`."""

from __future__ import annotations

from collections.abc import Sequence

import chromadb
from chromadb.api.types import QueryResult

from benchmarks.suite.engine import Engine, Found
from benchmarks.suite.given import K, metadata


class Chroma(Engine):
    note = "`PersistentClient`, `collection.add` in batches of `get_max_batch_size()`, HNSW with its defaults, cosine"

    def build(self) -> None:
        self._connect()
        self.collection = self.client.create_collection(
            "given", configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
        )
        self.add(range(self.given.about.rows))

    def open(self) -> None:
        self._connect()
        self.collection = self.client.get_collection("given", embedding_function=None)

    def search(self, query: int) -> QueryResult:
        return self.collection.query(query_embeddings=self.given.queries[query : query + 1], n_results=K)

    def filtered(self, query: int, field: str, value: int) -> QueryResult:
        vector = self.given.queries[query : query + 1]
        return self.collection.query(query_embeddings=vector, n_results=K, where={field: value})

    def found(self, result: QueryResult) -> list[Found]:
        texts, fields = result["documents"] or [[]], result["metadatas"] or [[]]
        hits = zip(result["ids"][0], texts[0], fields[0], strict=True)
        return [Found(int(id), text, dict(about)) for id, text, about in hits]

    def delete(self, ids: Sequence[int]) -> None:
        self.collection.delete(ids=[str(id) for id in ids])

    def add(self, ids: Sequence[int]) -> None:
        size = self.client.get_max_batch_size()
        for start in range(0, len(ids), size):
            batch = ids[start : start + size]
            self.collection.add(
                ids=[str(id) for id in batch],
                embeddings=self.given.vectors[batch[0] : batch[-1] + 1],
                documents=[self.given.text(id) for id in batch],
                metadatas=[metadata(id) for id in batch],
            )

    def _connect(self) -> None:
        self.client = chromadb.PersistentClient(
            path=self.folder, settings=chromadb.config.Settings(anonymized_telemetry=False)
        )
