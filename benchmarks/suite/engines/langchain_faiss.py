"""LangChain's FAISS store, as its page says: from_embeddings, save_local, load_local, search by vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from langchain_community.vectorstores import FAISS
from langchain_core.embeddings import Embeddings

from benchmarks.suite.engine import Engine, Found
from benchmarks.suite.given import K, metadata, row_of

if TYPE_CHECKING:
    from langchain_core.documents import Document


class NoEmbeddings(Embeddings):
    """Vectors are given: nothing is embedded."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError

    def embed_query(self, text: str) -> list[float]:
        raise NotImplementedError


class LangChainFaiss(Engine):
    note = "`FAISS.from_embeddings`, `save_local`; filters look at the usual `fetch_k=20` nearest"
    fetch: int | None = None  # None for the default of the library

    def build(self) -> None:
        ids = range(self.given.about.rows)
        store = FAISS.from_embeddings(self._pairs(ids), NoEmbeddings(), metadatas=_metadatas(ids), ids=_names(ids))
        store.save_local(str(self.folder))

    def open(self) -> None:
        self.store = FAISS.load_local(str(self.folder), NoEmbeddings(), allow_dangerous_deserialization=True)

    def search(self, query: int) -> list[Document]:
        return self.store.similarity_search_by_vector(self.given.queries[query].tolist(), k=K)

    def filtered(self, query: int, field: str, value: int) -> list[Document]:
        more = {} if self.fetch is None else {"fetch_k": self.given.about.rows}
        vector = self.given.queries[query].tolist()
        return self.store.similarity_search_by_vector(vector, k=K, filter={field: value}, **more)

    def found(self, result: list[Document]) -> list[Found]:
        return [Found(row_of(each.page_content), each.page_content, each.metadata) for each in result]

    def delete(self, ids: Sequence[int]) -> None:
        self.store.delete(_names(ids))
        self.store.save_local(str(self.folder))

    def add(self, ids: Sequence[int]) -> None:
        self.store.add_embeddings(self._pairs(ids), metadatas=_metadatas(ids), ids=_names(ids))
        self.store.save_local(str(self.folder))

    def _pairs(self, ids: Sequence[int]) -> Iterable[tuple[str, list[float]]]:
        return ((self.given.text(id), self.given.vectors[id].tolist()) for id in ids)


class LangChainFaissAll(LangChainFaiss):
    note = "the same index, with `fetch_k` of all rows, without which filters lose hits"
    fetch = 1


def _metadatas(ids: Sequence[int]) -> list[dict[str, int]]:
    return [metadata(id) for id in ids]


def _names(ids: Sequence[int]) -> list[str]:
    return [str(id) for id in ids]
