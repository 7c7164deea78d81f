"""LlamaIndex over faiss, as its page says: nodes, FaissMapVectorStore (the one that deletes), persist, retriever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faiss
from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from llama_index.vector_stores.faiss import FaissMapVectorStore

from benchmarks.suite.engine import Engine, Found, Unsupported
from benchmarks.suite.given import K, metadata, row_of


class LlamaIndexFaiss(Engine):
    note = "`VectorStoreIndex` over `FaissMapVectorStore(IndexIDMap2(IndexFlatL2))`, `persist`"

    def build(self) -> None:
        flat = faiss.IndexIDMap2(faiss.IndexFlatL2(self.given.about.dimension))
        storage = StorageContext.from_defaults(vector_store=FaissMapVectorStore(faiss_index=flat))
        nodes = self._nodes(range(self.given.about.rows))
        index = VectorStoreIndex(nodes, storage_context=storage, embed_model=self._model())
        index.storage_context.persist(persist_dir=str(self.folder))

    def open(self) -> None:
        vectors = FaissMapVectorStore.from_persist_dir(str(self.folder))
        storage = StorageContext.from_defaults(vector_store=vectors, persist_dir=str(self.folder))
        self.index: Any = load_index_from_storage(storage, embed_model=self._model())
        self.retriever = self.index.as_retriever(similarity_top_k=K)

    def search(self, query: int) -> list[NodeWithScore]:
        return self.retriever.retrieve(QueryBundle("", embedding=self.given.queries[query].tolist()))

    def filtered(self, query: int, field: str, value: int) -> list[NodeWithScore]:
        filters = MetadataFilters(filters=[MetadataFilter(key=field, value=value)])
        retriever = self.index.as_retriever(similarity_top_k=K, filters=filters)
        try:
            return retriever.retrieve(QueryBundle("", embedding=self.given.queries[query].tolist()))
        except ValueError as error:  # "Metadata filters not implemented for Faiss yet."
            raise Unsupported(str(error)) from error

    def found(self, result: list[NodeWithScore]) -> list[Found]:
        texts = [(each.node.get_content(), each.node.metadata) for each in result]
        return [Found(row_of(text), text, fields) for text, fields in texts]

    def delete(self, ids: Sequence[int]) -> None:
        self.index.delete_nodes([str(id) for id in ids], delete_from_docstore=True)
        self.index.storage_context.persist(persist_dir=str(self.folder))

    def add(self, ids: Sequence[int]) -> None:
        self.index.insert_nodes(self._nodes(ids))
        self.index.storage_context.persist(persist_dir=str(self.folder))

    def _nodes(self, ids: Sequence[int]) -> list[TextNode]:
        vectors = self.given.vectors
        return [
            TextNode(id_=str(id), text=self.given.text(id), metadata=metadata(id), embedding=vectors[id].tolist())
            for id in ids
        ]

    def _model(self) -> MockEmbedding:
        return MockEmbedding(embed_dim=self.given.about.dimension)  # vectors are given: nothing is embedded
