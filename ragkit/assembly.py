"""Settings to a RAG: the only file that names what fills the seams."""

from __future__ import annotations

from ragkit.chunking import RecursiveChunker
from ragkit.embedders.offline import OfflineEmbedder
from ragkit.loaders.isolation import ParserPool
from ragkit.rag import RAG
from ragkit.settings import Settings
from ragkit.store.local import LocalStore


def build(settings: Settings) -> RAG:
    """Put a RAG together. Nothing is opened yet: an index is made by the first write."""
    return RAG(
        LocalStore(settings.index),
        OfflineEmbedder(),
        RecursiveChunker(size=settings.chunk_size, overlap=settings.chunk_overlap),
        lambda: ParserPool(settings.workers or None),
        max_file_size=settings.max_file_size,
    )
