"""Settings to a RAG and to the services around it: the only file that names what fills the seams."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ragkit.errors import ConfigError
from ragkit.rag import NO_CHAT_MODEL, RAG
from ragkit.settings import Settings
from ragkit.store.local import LocalStore

if TYPE_CHECKING:
    from ragkit.loaders.isolation import ParserPool
    from ragkit.protocols import ChatModel, Embedder
    from ragkit.providers.openai import OpenAICompatible
    from ragkit.types import Chunk, Document

OFFLINE = "offline"
GIGACHAT = "gigachat"
OPENAI = "openai"


def build(settings: Settings) -> RAG:
    """Put a RAG together. Nothing is opened yet: an index is made by the first write, a service called when needed."""

    def chunker(document: Document) -> list[Chunk]:
        from ragkit.chunking import RecursiveChunker  # 7 ms that a search need not pay

        return RecursiveChunker(size=settings.chunk_size, overlap=settings.chunk_overlap)(document)

    def parsers() -> ParserPool:
        from ragkit.loaders.isolation import ParserPool  # 15 ms, likewise

        return ParserPool(settings.workers or None)

    @cache
    def chat() -> ChatModel:
        return connect(settings, "chat")

    return RAG(
        LocalStore(settings.index),
        _embedder(settings),
        chunker,
        parsers,
        max_file_size=settings.max_file_size,
        recipe=f"{settings.chunk_size}/{settings.chunk_overlap}",
        chat=None if provider_of(settings, "chat") == OFFLINE else chat,
        rounds=settings.rounds,
    )


def provider_of(settings: Settings, role: str) -> str:
    """The service that fills a role: "embed", "chat" or "image". Named, or found by its key, or "offline".

    Raises ConfigError for a name that is none.
    """
    named: str = getattr(settings, f"{role}_provider") or settings.provider
    if named:
        return _known(
            named, settings.origin(f"{role}_provider" if getattr(settings, f"{role}_provider") else "provider")
        )
    if role == "embed" and settings.embed_base_url:
        return OPENAI
    if settings.gigachat_credentials or settings.gigachat_access_token or settings.gigachat_user:
        return GIGACHAT
    if settings.base_url or settings.openai_base_url or settings.openai_api_key:
        return OPENAI
    return OFFLINE


def _known(name: str, origin: str) -> str:
    if name in (OFFLINE, GIGACHAT):
        return name
    from ragkit.providers.presets import PRESETS  # offline needs none

    if name not in PRESETS:
        raise ConfigError(
            f"the provider is {name!r} ({origin}), and none is called so",
            f"choose one of: {OFFLINE}, {GIGACHAT}, {', '.join(PRESETS)}; another service is openai with base_url",
        )
    return name


def connect(settings: Settings, role: str = "chat") -> OpenAICompatible:
    """The service that fills a role. Raises ConfigError where there is none, or its key is missing."""
    from ragkit.budget import Prices
    from ragkit.messages import ChatOptions

    name = provider_of(settings, role)
    if name == OFFLINE:
        raise ConfigError("no service is configured for this", NO_CHAT_MODEL)
    options = ChatOptions(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_answer_tokens or None,
        repetition_penalty=settings.repetition_penalty,
        update_interval=settings.update_interval,
        profanity_check=settings.profanity_check,
        session_id=settings.session,
    )
    prices = Prices(settings.embed_price, settings.prompt_price, settings.completion_price)
    if name == GIGACHAT:
        from ragkit.providers.gigachat import GigaChat

        return GigaChat(
            settings.gigachat_credentials,
            scope=settings.gigachat_scope,
            access_token=settings.gigachat_access_token,
            user=settings.gigachat_user,
            password=settings.gigachat_password,
            base_url=settings.gigachat_base_url,
            auth_url=settings.gigachat_auth_url,
            chat_model=settings.chat_model or settings.gigachat_model,
            options=options,
            prices=prices,
            client_id=settings.gigachat_client,
            slots=settings.slots,
            retries=settings.retries,
            timeout=settings.timeout,
            ca_file=settings.gigachat_ca_file,
            cert_file=settings.gigachat_cert_file,
            key_file=settings.gigachat_key_file,
            key_password=settings.gigachat_key_password,
            verify=settings.gigachat_verify,
            proxy=settings.proxy,
        )
    from ragkit.providers.openai import OpenAICompatible

    base_url, api_key = settings.base_url, settings.api_key
    if role == "embed" and (settings.embed_base_url or settings.embed_api_key):
        base_url, api_key = settings.embed_base_url or base_url, settings.embed_api_key or api_key
    if name == OPENAI:  # the names that other programs read are those of OpenAI, and of what stands in for it
        base_url, api_key = base_url or settings.openai_base_url, api_key or settings.openai_api_key
    return OpenAICompatible(
        base_url,
        api_key,
        preset=name,
        chat_model=settings.chat_model,
        image_model=settings.image_model,
        options=options,
        prices=prices,
        slots=settings.slots,
        retries=settings.retries,
        timeout=settings.timeout,
        scheme={"": None, "-": ""}.get(settings.auth_scheme, settings.auth_scheme),
        headers=dict(_header(pair) for pair in settings.headers.split(",") if pair.strip()),
        ca_file=settings.ca_file,
        verify=settings.verify,
        proxy=settings.proxy,
    )


def _header(pair: str) -> tuple[str, str]:
    name, _, value = pair.partition(":")
    return name.strip(), value.strip()


def _embedder(settings: Settings) -> Embedder:
    if provider_of(settings, "embed") == OFFLINE:
        from ragkit.embedders.offline import OfflineEmbedder

        return OfflineEmbedder()
    return connect(settings, "embed").embedder(
        settings.embed_model,
        query_model=settings.query_model,
        document_prefix=settings.document_prefix,
        query_prefix=settings.query_prefix,
        dimensions=settings.dimensions,
        batch_items=settings.batch_items,
    )
