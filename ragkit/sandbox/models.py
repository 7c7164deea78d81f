"""Which models there are: their kinds, versions, dimensions and limits.

Names are open, as with the real services: families are known, not every member.
"""

from __future__ import annotations

import re
from typing import Any

CHAT, EMBEDDER = "chat", "embedder"

# model -> (dimensions, most tokens in one text); 514 is the number of the real server's message for `Embeddings`
EMBEDDERS = {
    "Embeddings": (1024, 514),
    "Embeddings-2": (1024, 514),
    "EmbeddingsGigaR": (2560, 4096),
    "GigaEmbeddings-3B-2025-09": (2048, 4096),
}
OPENAI_EMBEDDERS = {
    "text-embedding-3-small": (1536, 8191),
    "text-embedding-3-large": (3072, 8191),
    "text-embedding-ada-002": (1536, 8191),
}
OTHER_EMBEDDER = (1024, 8191)  # any other name that looks like an embedder, behind the OpenAI-compatible routes

CHATS = (
    *("GigaChat", "GigaChat-Pro", "GigaChat-Max", "GigaChat-2", "GigaChat-2-Pro", "GigaChat-2-Max"),
    *("GigaChat-3-Lightning", "GigaChat-3-Pro", "GigaChat-3-Ultra"),
)
OPENAI_CHATS = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini")

FIRST_CONTEXT, CONTEXT = 32_768, 131_072  # of the first generation of GigaChat, and of all later models

# image model -> sizes, and whether it takes quality and style
IMAGE_SIZES = {
    "dall-e-2": ("256x256", "512x512", "1024x1024"),
    "dall-e-3": ("1024x1024", "1792x1024", "1024x1792"),
    "yandexgpt/yandex-art": ("1024x1024",),
}
IMAGE_ALIASES = {"yandex-art": "yandexgpt/yandex-art"}

_GIGACHAT = re.compile(r"GigaChat(?:-[A-Za-z0-9.]+)*(?::[\d.]+)?")
_OPENAI_CHAT = re.compile(
    r"(?:gpt|chatgpt|o\d|llama|qwen|mistral|deepseek|gemma|claude|gemini|yandexgpt|phi)[\w.:/-]*", re.I
)
_OPENAI_EMBEDDER = re.compile(r"(?:[\w.-]+/)*[\w.:-]*(?:embed|bge|e5|gte|minilm)[\w.:/-]*", re.IGNORECASE)
_VERSIONS = {"GigaChat-2": "2.0.28.2", "GigaChat-3": "3.0.12.1"}
_FIRST_VERSION = "1.0.26.20"


def _plain(name: str) -> str:
    return name.removesuffix("-preview")


def is_chat(name: str) -> bool:
    """A model of GigaChat's family, one in early access included."""
    return _GIGACHAT.fullmatch(name) is not None


def context(name: str) -> int:
    """Tokens that a prompt and its files may have."""
    return FIRST_CONTEXT if name.split(":")[0].removesuffix("-preview") in CHATS[:3] else CONTEXT


def versioned(name: str) -> str:
    """The name that a reply carries: "GigaChat-2" is answered by "GigaChat-2:2.0.28.2"."""
    base = name.split(":")[0]
    version = next((found for family, found in _VERSIONS.items() if base.startswith(family)), _FIRST_VERSION)
    return f"{base}:{version}"


def embedder(name: str) -> tuple[int, int] | None:
    """(dimensions, most tokens) of one of GigaChat's embedding models, or None."""
    return EMBEDDERS.get(_plain(name))


def openai_is_chat(name: str) -> bool:
    """A chat model behind the OpenAI-compatible routes: a known family, or vendor/model."""
    if openai_embedder(name) or name in IMAGE_SIZES:
        return False
    return is_chat(name) or _OPENAI_CHAT.fullmatch(name) is not None or "/" in name


def openai_embedder(name: str) -> tuple[int, int] | None:
    """(dimensions, most tokens) of a model behind the OpenAI-compatible routes, or None."""
    known = OPENAI_EMBEDDERS.get(name) or EMBEDDERS.get(name.rpartition("/")[2])
    return known or (OTHER_EMBEDDER if _OPENAI_EMBEDDER.fullmatch(name) else None)


def listed() -> list[dict[str, Any]]:
    """What GET /models of GigaChat shows."""
    kinds = [*((name, CHAT) for name in CHATS), *((name, EMBEDDER) for name in EMBEDDERS)]
    kinds += [("GigaFilter", "filter"), ("GigaCheckClassification", "aicheck"), ("GigaCheckDetection", "aicheck")]
    return [{"id": name, "object": "model", "owned_by": "salutedevices", "type": kind} for name, kind in kinds]


def described(name: str) -> dict[str, Any] | None:
    """One entry of that list; early-access names are their model's."""
    found = next((model for model in listed() if model["id"] == _plain(name)), None)
    if found is None and is_chat(name):
        found = {"id": name, "object": "model", "owned_by": "salutedevices", "type": CHAT}
    return {**found, "id": name} if found else None


def openai_listed() -> list[dict[str, Any]]:
    """What GET /models of the OpenAI-compatible routes shows."""
    names = [*OPENAI_CHATS, *OPENAI_EMBEDDERS, *IMAGE_SIZES, *CHATS, *EMBEDDERS]
    return [{"id": name, "object": "model", "created": 1706745600, "owned_by": "sandbox"} for name in names]
