"""Settings to a RAG: the only file that names what fills the seams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragkit.chunking import RecursiveChunker
from ragkit.embedders.offline import OfflineEmbedder
from ragkit.rag import RAG
from ragkit.settings import Settings
from ragkit.store.local import LocalStore

if TYPE_CHECKING:
    from ragkit.loaders.isolation import ParserPool


def build(settings: Settings) -> RAG:
    """Put a RAG together. Nothing is opened yet: an index is made by the first write."""

    def parsers() -> ParserPool:
        from ragkit.loaders.isolation import ParserPool  # 15 ms that a search need not pay

        return ParserPool(settings.workers or None)

    return RAG(
        LocalStore(settings.index),
        OfflineEmbedder(),
        RecursiveChunker(size=settings.chunk_size, overlap=settings.chunk_overlap),
        parsers,
        max_file_size=settings.max_file_size,
    )
