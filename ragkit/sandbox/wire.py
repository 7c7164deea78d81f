"""What every part of the sandbox hands to every other: a request, a reply and a refusal.

It knows HTTP and JSON, and the three envelopes that errors come in; it knows nothing about any route.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GIGACHAT, OPENAI, OAUTH, ADMIN = "gigachat", "openai", "oauth", "admin"  # the dialects: how an error is written
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
HTML = "text/html; charset=utf-8"


class Refusal(Exception):
    """A request that is answered with an error; `code` is OAuth's number or OpenAI's word."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: int | str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = dict(headers or {})


@dataclass(slots=True)
class Request:
    """One request as it came; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            Refusal: 400 for what is not one.
        """
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise Refusal(400, "Bad request: the body is not valid JSON", code="invalid_json") from error
        if not isinstance(value, dict):
            raise Refusal(400, "Bad request: the body must be a JSON object", code="invalid_json")
        if b"\\ud" in self.body.lower():
            _check_surrogates(value)
        return value


@dataclass(slots=True)
class Event:
    """One piece of a stream: its bytes, and how many seconds to wait before it is sent."""

    data: bytes
    wait: float = 0.0
    closing: bool = False  # it, or one before it, tells why the answer ended
    last: bool = False  # the stream is complete with it


@dataclass(slots=True)
class Reply:
    """Either a body or, for a stream, events."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    events: Iterator[Event] | None = None


def to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def dict_of(value: object, name: str, status: int = 422) -> dict[str, Any]:
    """The value as an object; nothing at all is an empty one.

    Raises:
        Refusal: for another type.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(status, f"Invalid params: {name} must be an object", param=name)
    return value


def list_of(value: object, name: str, status: int = 422) -> list[Any]:
    """The value as an array; nothing at all is an empty one.

    Raises:
        Refusal: for another type.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refusal(status, f"Invalid params: {name} must be an array", param=name)
    return value


def _check_surrogates(value: object) -> None:
    """Half a character is legal in JSON, and cannot be written as UTF-8."""
    try:
        to_json(value)
    except UnicodeEncodeError as error:
        raise Refusal(400, "Bad request: the body holds half a surrogate pair", code="invalid_json") from error


def json_reply(value: object, status: int = 200, **headers: str) -> Reply:
    return Reply(status=status, body=to_json(value), headers=headers)


def error_body(dialect: str, refusal: Refusal) -> dict[str, Any]:
    """The envelope of an error: GigaChat's, its OAuth's, or OpenAI's."""
    if dialect == OAUTH:
        return {"code": refusal.code if isinstance(refusal.code, int) else 0, "message": refusal.message}
    if dialect == OPENAI:
        kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(refusal.status)
        kind = kind or (
            "server_error" if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        )
        error = {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}
        return {"error": error}
    return {"status": refusal.status, "message": refusal.message}


def refusal_reply(dialect: str, refusal: Refusal) -> Reply:
    return json_reply(error_body(dialect, refusal), refusal.status, **refusal.headers)


def server_sent(value: object, *, event: str = "") -> bytes:
    """One event of a stream, as `text/event-stream` writes it."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + to_json(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"
