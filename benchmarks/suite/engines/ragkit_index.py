"""ragkit through `ragkit.open`, with an object as the embedder that hands over the given vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

import ragkit
from benchmarks.suite.engine import Engine, Found
from benchmarks.suite.given import Array, Given, K, metadata, row_of

if TYPE_CHECKING:
    from ragkit import Hit


class GivenEmbedder:
    """Looks vectors up: of a document's text by the number that it begins with, of a query by its words."""

    model = "given/1"

    def __init__(self, given: Given) -> None:
        self.given = given
        self._numbers = {question: number for number, question in enumerate(given.questions)}

    def embed_documents(self, texts: Sequence[str]) -> Array:
        rows = [row_of(text) for text in texts]
        return np.asarray(self.given.vectors[rows], np.float32).reshape(len(rows), self.given.about.dimension)

    def embed_query(self, text: str) -> Array:
        return self.given.queries[self._numbers[text]]


class Ragkit(Engine):
    note = '`ragkit.open(…, embedder=…).add`; `search(…, mode="dense")`'
    mode = "dense"

    def build(self) -> None:
        self.open()
        report = self.rag.add(self._documents(range(self.given.about.rows)))
        if report.failed or report.new != self.given.about.rows:
            raise RuntimeError(
                f"{report.new} of {self.given.about.rows} documents were indexed, {report.failed} failed"
            )
        self.rag.close()

    def open(self) -> None:
        self.rag = ragkit.open(self.folder, embedder=GivenEmbedder(self.given), provider="offline")

    def search(self, query: int) -> list[Hit]:
        return self.rag.search(self.given.questions[query], K, mode=self.mode)

    def filtered(self, query: int, field: str, value: int) -> list[Hit]:
        return self.rag.search(self.given.questions[query], K, mode=self.mode, where={field: value})

    def found(self, result: list[Hit]) -> list[Found]:
        return [Found(row_of(hit.chunk.text), hit.chunk.text, dict(hit.metadata)) for hit in result]

    def delete(self, ids: Sequence[int]) -> None:
        """One document by its name, many by the folder they are in."""
        folders = {_source(id).partition("/")[0] for id in ids}
        whole = len(ids) > 1 and len(folders) == 1
        removed = self.rag.remove(f"{folders.pop()}/*" if whole else _source(ids[0]))
        if removed != len(ids):
            raise RuntimeError(f"{removed} of {len(ids)} documents were removed")

    def add(self, ids: Sequence[int]) -> None:
        self.rag.add(self._documents(ids))

    def replace(self, old: int, new: int) -> None:
        self.rag.add([ragkit.Document(_source(old), self.given.text(new), metadata=metadata(new))])

    def close(self) -> None:
        self.rag.close()

    def _documents(self, ids: Sequence[int]) -> Iterator[ragkit.Document]:
        return (ragkit.Document(_source(id), self.given.text(id), metadata=metadata(id)) for id in ids)


class RagkitHybrid(Ragkit):
    note = "the same index, words and vectors together: the usual search"
    mode = "hybrid"
    hybrid = True


class RagkitLexical(Ragkit):
    note = "the same index, words alone"
    mode = "lexical"
    hybrid = True


def _source(id: int) -> str:
    """In a hundred folders."""
    return f"{id % 100:02}/{id}"
