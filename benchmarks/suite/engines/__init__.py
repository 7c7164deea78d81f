"""The engines of the suite by name. Each stands in a file of its own, which alone imports its library."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from benchmarks.suite.engine import Engine

LIMIT, OURS, PEER, EXACT = "limit", "ragkit", "peer", "exact"


@dataclass(frozen=True)
class Entry:
    """`place` is module:class. `libraries` are the distributions whose versions are told.

    An engine with `index_of` searches in what another one built, in another way.
    """

    place: str
    role: str
    libraries: tuple[str, ...]
    index_of: str = ""

    def load(self) -> type[Engine]:
        """The class. Raises ImportError where its library is not installed."""
        module, _, name = self.place.partition(":")
        return cast("type[Engine]", getattr(import_module(f"benchmarks.suite.engines.{module}"), name))


ENGINES = {
    "numpy": Entry("raw_numpy:Numpy", LIMIT, ("numpy",)),
    "numpy-mapped": Entry("raw_numpy:NumpyMapped", EXACT, ("numpy",)),
    "faiss": Entry("raw_faiss:Faiss", LIMIT, ("faiss-cpu",)),
    "ragkit": Entry("ragkit_index:Ragkit", OURS, ("ragkit-search",)),
    "ragkit-hybrid": Entry("ragkit_index:RagkitHybrid", OURS, ("ragkit-search",), index_of="ragkit"),
    "ragkit-lexical": Entry("ragkit_index:RagkitLexical", OURS, ("ragkit-search",), index_of="ragkit"),
    "langchain-faiss": Entry("langchain_faiss:LangChainFaiss", PEER, ("langchain-community", "faiss-cpu")),
    "langchain-faiss-all": Entry(
        "langchain_faiss:LangChainFaissAll", PEER, ("langchain-community", "faiss-cpu"), index_of="langchain-faiss"
    ),
    "llamaindex-faiss": Entry(
        "llamaindex_faiss:LlamaIndexFaiss", PEER, ("llama-index-core", "llama-index-vector-stores-faiss", "faiss-cpu")
    ),
    "chroma": Entry("chroma:Chroma", PEER, ("chromadb",)),
    "lancedb": Entry("lancedb_table:LanceDb", PEER, ("lancedb",)),
    "lancedb-ivfpq": Entry("lancedb_table:LanceDbIvfPq", PEER, ("lancedb",)),
    "txtai": Entry("txtai_embeddings:Txtai", PEER, ("txtai", "faiss-cpu")),
}
FOR_GROWTH = ("ragkit", "ragkit-lexical", "ragkit-hybrid", "numpy-mapped")
USUAL = tuple(name for name in ENGINES if name not in ("ragkit-lexical", "numpy-mapped"))
