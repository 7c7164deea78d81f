"""The words of a refusal, whatever shape its body has. Knows no statuses and no errors of ours."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ragkit import redaction
from ragkit.providers.jsontext import decode


@dataclass(frozen=True, slots=True)
class Words:
    """What a body says of a failure; empty where it does not. `code` is a number or a name, `status` HTTP's or 0."""

    message: str = ""
    code: str = ""
    kind: str = ""
    status: int = 0
    request_id: str = ""

    @property
    def all(self) -> str:
        return " ".join((self.message, self.code, self.kind))


def spoken(body: bytes) -> Words:
    """The words of a body of any shape, at most one level below the top."""
    try:
        value = decode(body)
    except ValueError:
        return Words(_plain(body))
    return _words(value)


def _words(value: Any, depth: int = 0) -> Words:
    if isinstance(value, str):
        return Words(value)
    if isinstance(value, list) and value and depth < 3:
        return _words(value[0], depth + 1)  # Gemini wraps its error in a list, FastAPI its details
    if not isinstance(value, Mapping) or depth > 3:
        return Words()
    inner = value.get("error") or value.get("errors")
    outer = Words(
        message=_text(value, "message", "msg", "detail", "error_description", "title", "description", depth=depth),
        code=_scalar(value.get("code")),
        kind=_scalar(value.get("type") or value.get("error_type") or value.get("status")),
        status=_http(value.get("status")) or _http(value.get("code")) or _http(value.get("http_status")),
        request_id=_scalar(value.get("request_id") or value.get("x_request_id") or value.get("requestId")),
    )
    if not inner:
        return outer
    told = _words(inner, depth + 1)
    if outer.message and isinstance(inner, str):  # {"error": "invalid_client", "error_description": "…"}
        told = Words(outer.message, inner)
    return Words(
        told.message or outer.message,
        told.code or outer.code,
        told.kind or outer.kind,
        told.status or outer.status,
        told.request_id or outer.request_id,
    )


def _text(value: Mapping[str, Any], *names: str, depth: int) -> str:
    for name in names:
        if found := value.get(name):
            return _words(found, depth + 1).message
    return ""


def _scalar(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _http(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and 400 <= value < 600 else 0


def _plain(body: bytes) -> str:
    """The title of a web page, or the beginning of a text; nothing of what is neither."""
    text = body[:65536].decode("utf-8", "replace")
    if re.match(r"\s*<", text):
        found = re.search(r"<(title|h1)[^>]*>(.*?)</\1", text, re.IGNORECASE | re.DOTALL)
        return f"a web page, {html.unescape(re.sub(r'<[^>]*>', ' ', found[2])).strip()!r}" if found else "a web page"
    return "" if text.count("\ufffd") > 3 or text.lstrip().startswith(("{", "[")) else text


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Without these secrets, without any other that the program holds, and without what has the shape of one."""
    for secret in sorted((s for s in secrets if len(s) >= 4), key=len, reverse=True):
        text = text.replace(secret, "***")
    return redaction.redacted(text)


def line(text: str, most: int) -> str:
    """One line without control characters or marks that turn the direction of writing."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 8 * most]).split())
    return text if len(text) <= most else text[: most - 1] + "…"
