"""Settings to a RAG: the only file that names what fills the seams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragkit.embedders.offline import OfflineEmbedder
from ragkit.rag import RAG
from ragkit.settings import Settings
from ragkit.store.local import LocalStore

if TYPE_CHECKING:
    from ragkit.loaders.isolation import ParserPool
    from ragkit.types import Chunk, Document


def build(settings: Settings) -> RAG:
    """Put a RAG together. Nothing is opened yet: an index is made by the first write."""

    def chunker(document: Document) -> list[Chunk]:
        from ragkit.chunking import RecursiveChunker  # 7 ms that a search need not pay

        return RecursiveChunker(size=settings.chunk_size, overlap=settings.chunk_overlap)(document)

    def parsers() -> ParserPool:
        from ragkit.loaders.isolation import ParserPool  # 15 ms, likewise

        return ParserPool(settings.workers or None)

    return RAG(
        LocalStore(settings.index),
        OfflineEmbedder(),
        chunker,
        parsers,
        max_file_size=settings.max_file_size,
        recipe=f"{settings.chunk_size}/{settings.chunk_overlap}",
    )
