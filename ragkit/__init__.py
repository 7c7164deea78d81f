"""ragkit turns a folder of documents into answers that can be checked against the page they came from.

    import ragkit

    with ragkit.open("my-index") as rag:
        rag.index_folder("documents")
        print(rag.ask("В какой срок возвращается залог?").text)

Names are loaded when they are first used, so that importing ragkit costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ragkit.answers import Answer, Citation, Refusal, Status, Verification
    from ragkit.budget import Prices
    from ragkit.errors import (
        ApiError,
        AuthenticationError,
        BadResponse,
        BudgetExceeded,
        ConfigError,
        ConnectionFailed,
        ContentRejected,
        IndexCorrupt,
        IndexLocked,
        IndexMismatch,
        IndexNotFound,
        InvalidRequest,
        LoadError,
        NotFound,
        PaymentRequired,
        PermissionDenied,
        ProviderError,
        RagkitError,
        RateLimited,
        ServerError,
        StoreError,
        StreamInterrupted,
        TooLarge,
        UnreadableDocument,
        UnsupportedFormat,
    )
    from ragkit.functions import describe, run
    from ragkit.loaders.hygiene import normalise
    from ragkit.messages import (
        ChatOptions,
        Completion,
        Delta,
        Forced,
        Function,
        FunctionCall,
        ImageOptions,
        Message,
        Picture,
    )
    from ragkit.protocols import ChatModel, Embedder
    from ragkit.providers.gigachat import GigaChat
    from ragkit.providers.openai import OpenAICompatible
    from ragkit.providers.presets import Preset
    from ragkit.rag import RAG
    from ragkit.reports import IndexReport
    from ragkit.types import Chunk, Document, Heading, Hit, Usage

__version__ = "0.1.0"

_HOMES = {
    "ragkit.answers": ("Answer", "Citation", "Refusal", "Status", "Verification"),
    "ragkit.errors": (
        *("ApiError", "AuthenticationError", "BadResponse", "BudgetExceeded", "ConfigError", "ConnectionFailed"),
        *("ContentRejected", "IndexCorrupt", "IndexLocked", "IndexMismatch", "IndexNotFound", "InvalidRequest"),
        *("LoadError", "NotFound", "PaymentRequired", "PermissionDenied", "ProviderError", "RagkitError"),
        *("RateLimited", "ServerError", "StoreError", "StreamInterrupted", "TooLarge", "UnreadableDocument"),
        "UnsupportedFormat",
    ),
    "ragkit.functions": ("describe", "run"),
    "ragkit.loaders.hygiene": ("normalise",),
    "ragkit.budget": ("Prices",),
    "ragkit.messages": (
        *("ChatOptions", "Completion", "Delta", "Forced", "Function", "FunctionCall", "ImageOptions", "Message"),
        "Picture",
    ),
    "ragkit.providers.presets": ("Preset",),
    "ragkit.providers.gigachat": ("GigaChat",),
    "ragkit.providers.openai": ("OpenAICompatible",),
    "ragkit.rag": ("RAG",),
    "ragkit.reports": ("IndexReport",),
    "ragkit.types": ("Chunk", "Document", "Heading", "Hit", "Usage"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022 - grouped: the door, the nouns, the services, the errors
    "open",
    "RAG",
    "Document",
    "Heading",
    "normalise",
    "Chunk",
    "Hit",
    "Answer",
    "Status",
    "Refusal",
    "Citation",
    "Verification",
    "Usage",
    "IndexReport",
    "GigaChat",
    "OpenAICompatible",
    "Message",
    "Function",
    "FunctionCall",
    "Forced",
    "describe",
    "run",
    "Picture",
    "Preset",
    "Prices",
    "ChatOptions",
    "ImageOptions",
    "Completion",
    "Delta",
    "RagkitError",
    "ConfigError",
    "BudgetExceeded",
    "LoadError",
    "UnsupportedFormat",
    "UnreadableDocument",
    "StoreError",
    "IndexNotFound",
    "IndexMismatch",
    "IndexCorrupt",
    "IndexLocked",
    "ProviderError",
    "ConnectionFailed",
    "BadResponse",
    "StreamInterrupted",
    "ApiError",
    "InvalidRequest",
    "ContentRejected",
    "AuthenticationError",
    "PaymentRequired",
    "PermissionDenied",
    "NotFound",
    "TooLarge",
    "RateLimited",
    "ServerError",
]


def open(
    path: str | Path | None = None, *, embedder: Embedder | None = None, chat: ChatModel | None = None, **settings: Any
) -> RAG:
    """The index at `path`, or the nearest `.ragkit` upwards, or a new one there; made by the first write.

    `settings` are those of `ragkit config`, such as chunk_size=1200; they win over environment and ragkit.toml.
    `embedder` and `chat` are objects of your own in the place of those that the settings name; ragkit/protocols.py says
    what they have to do. Raises ConfigError for an unknown or impossible one.
    """
    from ragkit.assembly import build
    from ragkit.settings import load_settings

    return build(load_settings({"index": path, **settings}), embedder=embedder, chat=chat)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ragkit' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
