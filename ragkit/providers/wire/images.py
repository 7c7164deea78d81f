"""Pictures: a prompt to the body of OpenAI's images request, its reply, and the picture in an answer of GigaChat."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from ragkit.errors import BadResponse, ConfigError
from ragkit.messages import ImageOptions
from ragkit.providers.wire.requests import check_model, check_text
from ragkit.providers.wire.shapes import as_object, excerpt, items, text

MOST = 10  # pictures in one request
FORMATS = ("url", "b64_json")
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


@dataclass(frozen=True, slots=True)
class Known:
    """What a model is documented to take; empty where it has no such choice."""

    sizes: tuple[str, ...]
    qualities: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()


KNOWN = {
    "dall-e-3": Known(("1024x1024", "1792x1024", "1024x1792"), ("standard", "hd"), ("vivid", "natural")),
    "dall-e-2": Known(("256x256", "512x512", "1024x1024")),
    "yandexgpt/yandex-art": Known(("1024x1024",)),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A picture of a reply: its bytes, or the address where they are."""

    url: str = ""
    data: bytes = field(default=b"", repr=False)
    revised_prompt: str = ""


def body(prompt: str, options: ImageOptions) -> dict[str, Any]:
    """The body of a request. Raises ConfigError for what a known model refuses; others are passed unchecked."""
    check_model(options.model)
    check_text(prompt, "the prompt")
    if not prompt.strip():
        raise ConfigError("the prompt is empty", "say what to draw")
    if options.system:
        raise ConfigError(
            "this service draws from a prompt alone and takes no system message", "say the manner in the prompt"
        )
    known = KNOWN.get(options.model)
    if known:
        if isinstance(options.n, bool) or not 1 <= options.n <= MOST:
            raise ConfigError(f"n is {options.n!r}", f"one request makes 1 to {MOST} pictures")
        _check(options.model, "size", options.size, known.sizes)
        _check(options.model, "quality", options.quality, known.qualities)
        _check(options.model, "style", options.style, known.styles)
        _check(options.model, "response_format", options.response_format, FORMATS)
    chosen = {
        "size": options.size,
        "quality": options.quality,
        "style": options.style,
        "response_format": options.response_format,
    }
    return {"model": options.model, "prompt": prompt, "n": options.n} | {
        name: value for name, value in chosen.items() if value
    }


def _check(model: str, name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value and value not in allowed:
        cure = f"it takes {', '.join(allowed)}" if allowed else f"leave {name} out"
        raise ConfigError(f"{model} does not take the {name} {value!r}", cure)


def images(reply: object) -> list[Made]:
    """The pictures of a reply, in its order. Raises BadResponse where there is none, or one cannot be had."""
    data = items(reply, "data", "the reply")
    if not data:
        raise BadResponse("the reply holds no pictures", "ask again, perhaps in other words")
    return [_made(item) for item in data]


def _made(item: object) -> Made:
    fields = as_object(item, "a picture")
    url, revised = text(fields, "url"), text(fields, "revised_prompt")
    encoded = text(fields, "b64_json")
    if url.startswith("data:"):
        encoded, url = url, ""
    if not url and not encoded:
        raise BadResponse(f"a picture has neither `url` nor `b64_json`: {excerpt(fields)}")
    return Made(url, _decoded(encoded) if encoded else b"", revised)


def _decoded(encoded: str) -> bytes:
    if encoded.startswith("data:"):
        encoded = encoded.partition(",")[2]
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadResponse(f"a picture is no base64: {error}") from error
    if not data:
        raise BadResponse("a picture is empty")
    return data


def media_type(data: bytes) -> str:
    """The type of a picture by its first bytes, empty where they are none that is known."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((name for magic, name in _MAGIC if data.startswith(magic)), "")


_TAG = re.compile(r"<img\b[^<>]*>", re.IGNORECASE)
_SRC = re.compile(
    r"""(?<![\w-])src\s*=\s*["']?\s*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![\w-])""", re.IGNORECASE
)


def image_id(content: str) -> str:
    """The id of the first picture in an answer of GigaChat, a UUID in the `src` of an <img>.

    Raises BadResponse with the model's words where it drew nothing.
    """
    for tag in _TAG.findall(content):
        if found := _SRC.search(tag):
            return found[1]
    raise BadResponse(
        f"the model drew no picture; it said: {excerpt(content) or 'nothing'}",
        "ask for a picture in plain words, such as: draw a pink cat",
    )


def image_text(content: str) -> str:
    """What the model said around its pictures: the answer without their tags."""
    parts: list[str] = []
    end = 0
    for tag in _TAG.finditer(content):
        if _SRC.search(tag[0]):
            parts.append(content[end : tag.start()].rstrip(" "))
            end = tag.end()
    rest = content[end:]
    joined = " ".join([*parts, rest.lstrip(" ")]) if parts else rest
    return joined.strip()
