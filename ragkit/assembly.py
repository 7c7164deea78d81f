"""Settings to a RAG: the only file that names what fills the seams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragkit.rag import RAG
from ragkit.services import OFFLINE, Services, provider_of
from ragkit.settings import Settings
from ragkit.store.local import LocalStore

if TYPE_CHECKING:
    from ragkit.loaders.isolation import ParserPool
    from ragkit.protocols import Embedder
    from ragkit.types import Chunk, Document


def build(settings: Settings) -> RAG:
    """Put a RAG together. Nothing is opened yet: an index is made by the first write, a service called when needed."""

    def chunker(document: Document) -> list[Chunk]:
        from ragkit.chunking import RecursiveChunker  # 7 ms that a search need not pay

        return RecursiveChunker(size=settings.chunk_size, overlap=settings.chunk_overlap)(document)

    def parsers() -> ParserPool:
        from ragkit.loaders.isolation import ParserPool  # 15 ms, likewise

        return ParserPool(settings.workers or None)

    services = Services(settings)
    return RAG(
        LocalStore(settings.index),
        _embedder(settings, services),
        chunker,
        parsers,
        max_file_size=settings.max_file_size,
        recipe=f"{settings.chunk_size}/{settings.chunk_overlap}",
        chat=None if provider_of(settings, "chat") == OFFLINE else lambda: services.get("chat"),
        rounds=settings.rounds,
        close=services.close,
    )


def _embedder(settings: Settings, services: Services) -> Embedder:
    if provider_of(settings, "embed") == OFFLINE:
        from ragkit.embedders.offline import OfflineEmbedder

        return OfflineEmbedder()
    return services.get("embed").embedder(
        settings.embed_model,
        query_model=settings.query_model,
        document_prefix=settings.document_prefix,
        query_prefix=settings.query_prefix,
        dimensions=settings.dimensions,
        batch_items=settings.batch_items,
    )
