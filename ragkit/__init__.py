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

    from ragkit.errors import (
        ConfigError,
        IndexCorrupt,
        IndexLocked,
        IndexMismatch,
        IndexNotFound,
        LoadError,
        RagkitError,
        StoreError,
        UnreadableDocument,
        UnsupportedFormat,
    )
    from ragkit.loaders.hygiene import normalise
    from ragkit.rag import RAG
    from ragkit.reports import IndexReport
    from ragkit.types import Answer, Chunk, Citation, Document, Heading, Hit, Status, Verification

__version__ = "0.1.0"

_HOMES = {
    "ragkit.errors": (
        *("ConfigError", "IndexCorrupt", "IndexLocked", "IndexMismatch", "IndexNotFound", "LoadError", "RagkitError"),
        *("StoreError", "UnreadableDocument", "UnsupportedFormat"),
    ),
    "ragkit.loaders.hygiene": ("normalise",),
    "ragkit.rag": ("RAG",),
    "ragkit.reports": ("IndexReport",),
    "ragkit.types": (*("Answer", "Chunk", "Citation", "Document", "Heading", "Hit", "Status", "Verification"),),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022 - grouped: the door, the nouns, the errors
    "open",
    "RAG",
    "Document",
    "Heading",
    "normalise",
    "Chunk",
    "Hit",
    "Answer",
    "Status",
    "Citation",
    "Verification",
    "IndexReport",
    "RagkitError",
    "ConfigError",
    "LoadError",
    "UnsupportedFormat",
    "UnreadableDocument",
    "StoreError",
    "IndexNotFound",
    "IndexMismatch",
    "IndexCorrupt",
    "IndexLocked",
]


def open(path: str | Path | None = None, **settings: Any) -> RAG:
    """The index at `path`, or the nearest `.ragkit` upwards, or a new one there; made by the first write.

    `settings` are those of `ragkit config`, such as chunk_size=1200; they win over environment and ragkit.toml.
    Raises ConfigError for an unknown or impossible one.
    """
    from ragkit.assembly import build
    from ragkit.settings import load_settings

    return build(load_settings({"index": path, **settings}))


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ragkit' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
