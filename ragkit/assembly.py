"""Settings to a RAG: the only file that names what fills the seams."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ragkit.rag import RAG
from ragkit.services import OFFLINE, Services, prices_of, provider_of
from ragkit.settings import Settings
from ragkit.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragkit.generative import Layout
    from ragkit.loaders.isolation import ParserPool
    from ragkit.protocols import ChatModel, Embedder, Reranker
    from ragkit.rerankers.ordering import Ordering
    from ragkit.routing import Abilities
    from ragkit.types import Chunk, Document


def build(settings: Settings, *, embedder: Embedder | None = None, chat: ChatModel | None = None) -> RAG:
    """Put a RAG together, around objects of the caller's own where there are some.

    Nothing is opened yet: an index is made by the first write, a service called when it is needed.
    """

    def chat_model() -> ChatModel:
        return chat or services.get("chat")

    def chunker(document: Document) -> list[Chunk]:
        from ragkit.chunking import RecursiveChunker  # 7 ms that a search need not pay

        return RecursiveChunker(size=settings.chunk_size, overlap=settings.chunk_overlap)(document)

    def parsers() -> ParserPool:
        from ragkit.loaders.isolation import ParserPool  # 15 ms, likewise

        return ParserPool(settings.workers or None)

    services = Services(settings)
    vectors = embedder or _embedder(settings, services)
    layout = _layout(settings)
    ordering = _ordering(settings, services, chat_model)

    def over(folder: Path, close: Callable[[], object] | None = None) -> RAG:
        return RAG(
            LocalStore(folder, least_recall=settings.recall),
            vectors,
            chunker,
            parsers,
            max_file_size=settings.max_file_size,
            recipe=f"{settings.chunk_size}/{settings.chunk_overlap}",
            chat=chat_model if chat or provider_of(settings, "chat") != OFFLINE else None,
            rounds=settings.rounds,
            judges=settings.refuse_early,
            close=close,
            layout=layout,
            ordering=ordering,
            another=over,
            abilities=lambda: _abilities(settings),
        )

    return over(settings.index, services.close)


def _abilities(settings: Settings) -> Abilities:
    """A limit on the prompt that somebody set is that of the model; the usual one is for passages alone."""
    from ragkit.routing import CONTEXT, Abilities  # a search needs none

    context = CONTEXT if settings.origin("context_tokens") == "default" else settings.context_tokens
    return Abilities(context=context, prices=prices_of(settings))


def _ordering(settings: Settings, services: Services, chat: Callable[[], ChatModel]) -> Ordering | None:
    """None where hits stay in the order of the search."""
    if settings.rerank == "off" and settings.mmr == 1:
        return None
    from ragkit.rerankers.ordering import Ordering

    def reranker() -> Reranker:
        if settings.rerank == "chat":
            from ragkit.rerankers.judge import JudgeReranker

            return JudgeReranker(chat())
        from ragkit.rerankers.remote import RemoteReranker

        service = services.get("rerank")
        return RemoteReranker(
            lambda: service.http, settings.rerank_model, style=settings.rerank_style, price=settings.rerank_price
        )

    return Ordering(settings.candidates, cache(reranker) if settings.rerank != "off" else None, settings.mmr)


def _layout(settings: Settings) -> Layout | None:
    """None for the usual one, which a search need not load."""
    usual = all(settings.origin(name) == "default" for name in ("context_tokens", "parents", "prompt_template"))
    if usual:
        return None
    from ragkit.generative import Layout
    from ragkit.prompts import Template

    template = Template.read(Path(settings.prompt_template)) if settings.prompt_template else None
    return Layout(settings.context_tokens, settings.parents, template)


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
        revision=settings.embed_revision,
        batch_items=settings.batch_items,
    )
