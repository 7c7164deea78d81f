"""Which endpoint answers which path, and in which dialect.

GigaChat's routes are at /api/v1 and /v1, OpenAI's at /openai/v1 and /v1. On /v1 the bearer token decides: one that
our OAuth issued, dead or alive, speaks GigaChat, anything else OpenAI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from ragkit.sandbox import (
    accounts,
    admin,
    chat,
    chat_v2,
    embeddings,
    files,
    oauth,
    openai_chat,
    openai_smaller,
    rerank,
    smaller,
)
from ragkit.sandbox.call import Call
from ragkit.sandbox.wire import ADMIN, GIGACHAT, OAUTH, OPENAI, Refusal, Reply, Request

Endpoint = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """A path without its prefix, "{}" for one part of it; and what faults call such a request."""

    method: str
    path: str
    endpoint: Endpoint
    kinds: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def _routes(*rows: tuple[str, str, Endpoint] | tuple[str, str, Endpoint, str]) -> list[Route]:
    return [Route(row[0], row[1], row[2], frozenset(row[3:])) for row in rows]


ROUTES = {
    OAUTH: _routes(
        ("POST", "/oauth", oauth.oauth, "oauth"),
        ("POST", "/token", oauth.user_token, "oauth"),
    ),
    GIGACHAT: _routes(
        ("GET", "/models", smaller.list_models),
        ("GET", "/models/{}", smaller.show_model),
        ("POST", "/chat/completions", chat.completions, "chat"),
        ("POST", "/v2/chat/completions", chat_v2.completions, "chat"),
        ("POST", "/embeddings", embeddings.gigachat, "embeddings"),
        ("POST", "/tokens/count", smaller.count),
        ("GET", "/balance", smaller.balance),
        ("POST", "/files", files.upload, "files"),
        ("GET", "/files", files.listing),
        ("GET", "/files/{}", files.show),
        ("GET", "/files/{}/content", files.content),
        ("POST", "/files/{}/delete", files.delete),
        ("POST", "/functions/convert", smaller.convert),
        ("POST", "/ai/check", smaller.check_ai),
        ("POST", "/filter/check", smaller.check_filter),
    ),
    OPENAI: _routes(
        ("GET", "/models", openai_smaller.list_models),
        ("GET", "/models/{}", openai_smaller.show_model),
        ("GET", "/models/{}/{}", openai_smaller.show_model),  # vendor/model
        ("POST", "/chat/completions", openai_chat.completions, "chat"),
        ("POST", "/embeddings", embeddings.openai, "embeddings"),
        ("POST", "/images/generations", openai_smaller.generate, "images"),
        ("POST", "/rerank", rerank.rerank),
    ),
    ADMIN: _routes(
        ("GET", "/faults", admin.list_faults),
        ("POST", "/faults", admin.inject),
        ("DELETE", "/faults", admin.clear),
        ("GET", "/stats", admin.stats),
        ("POST", "/reset", admin.reset),
        ("GET", "/images/{}", openai_smaller.picture),
    ),
}


def resolve(request: Request) -> tuple[str, str]:
    """(dialect, path without its prefix).

    Raises:
        Refusal: 404 for a prefix that is not served.
    """
    path = request.path.rstrip("/") or "/"
    if path in ("/oauth", "/api/v2/oauth"):
        return OAUTH, "/oauth"
    if path in ("/api/v1/token", "/v1/token"):
        return OAUTH, "/token"
    for prefix, dialect in (("/openai/v1", OPENAI), ("/api/v1", GIGACHAT), ("/sandbox", ADMIN), ("/v1", None)):
        if path.startswith(f"{prefix}/"):
            return dialect or _by_token(request), path[len(prefix) :]
    for prefix in ("/api/v2", "/v2"):
        if path.startswith(f"{prefix}/"):
            return GIGACHAT, f"/v2{path[len(prefix) :]}"
    raise Refusal(404, f"Not Found: {request.path}; GigaChat is at /api/v1, OpenAI at /openai/v1, both at /v1")


def find(dialect: str, method: str, path: str) -> tuple[Route, str]:
    """(route, what stood for "{}").

    Raises:
        Refusal: 404 for an unknown path, 405 for another method.
    """
    parts = path.split("/")
    allowed = []
    for route in ROUTES[dialect]:
        wanted = route.path.split("/")
        if len(wanted) == len(parts) and all(want in ("{}", part) for want, part in zip(wanted, parts, strict=True)):
            if route.method == method:
                taken = [part for want, part in zip(wanted, parts, strict=True) if want == "{}"]
                return route, unquote("/".join(taken))
            allowed.append(route.method)
    if allowed:
        raise Refusal(405, "Method Not Allowed", headers={"Allow": ", ".join(allowed)})
    raise Refusal(404, "Not Found")


def _by_token(request: Request) -> str:
    token = accounts.bearer(request) or ""
    return GIGACHAT if token.startswith(accounts.TOKEN_PREFIX) else OPENAI
