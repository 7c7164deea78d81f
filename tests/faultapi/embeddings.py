"""Every way in which an answer to a request for embeddings breaks, with what must become of it.

`once` is the end of a run where one request meets the fault, `always` where all from the third on do, or all of them
where it is to be put up with: "right" where the run must complete, else the error that it must end with.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from faultapi.healthy import DIMENSION, items, reply, right, texts_of
from faultapi.server import Answer, Request, Wire
from ragkit.errors import (
    ApiError,
    AuthenticationError,
    BadResponse,
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    PermissionDenied,
    ProviderError,
    RagkitError,
    RateLimited,
    ServerError,
    TooLarge,
)

RIGHT = "right"
End = type[RagkitError] | str


@dataclass(frozen=True)
class Fault:
    answer: Answer
    once: End
    always: End


FAULTS: dict[str, Fault] = {}


def _fault(name: str, once: End, always: End) -> Callable[[Answer], Answer]:
    def note(answer: Answer) -> Answer:
        FAULTS[name] = Fault(answer, once, always)
        return answer

    return note


Data = list[dict[str, Any]]


def _bent(name: str, once: End, always: End, bend: Callable[[Data], object]) -> None:
    """A reply whose `data` is bent; `bend` changes it in place, or gives another."""

    def answer(wire: Wire, request: Request) -> bool:
        data = items(texts_of(request))
        made = bend(data)
        wire.say(200, reply(data if made is None else made))  # type: ignore[arg-type]  # nonsense is the point
        return True

    FAULTS[name] = Fault(answer, once, always)


def _said(name: str, once: End, always: End, status: int, body: object, *headers: str, kind: str = "") -> None:
    """A whole answer with another status or body."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(wire: Wire, _request: Request) -> bool:
        wire.say(status, raw, *headers, kind=kind or "application/json")
        return True

    FAULTS[name] = Fault(answer, once, always)


def _put(place: int, value: object) -> Callable[[Data], None]:
    """One number of the vector of one text is something else."""

    def bend(data: Data) -> None:
        data[place]["embedding"][2] = value

    return bend


def _set(name: str, value: object, place: int = 1) -> Callable[[Data], None]:
    def bend(data: Data) -> None:
        data[place][name] = value

    return bend


def _each(change: Callable[[dict[str, Any]], object]) -> Callable[[Data], None]:
    def bend(data: Data) -> None:
        for item in data:
            change(item)

    return bend


# Odd, and right all the same ---------------------------------------------------------------------------------------

_bent("order reversed", RIGHT, RIGHT, lambda data: data[::-1])
_bent("no index", RIGHT, RIGHT, _each(lambda item: item.pop("index")))
_bent("index zero everywhere", RIGHT, RIGHT, _each(lambda item: item.update(index=0)))
_bent("usage of nonsense", RIGHT, RIGHT, _each(lambda item: item.update(usage={"prompt_tokens": -(10**30)})))
_bent(
    "base64 unasked",
    RIGHT,
    RIGHT,
    _each(
        lambda item: item.update(embedding=base64.b64encode(struct.pack(f"<{DIMENSION}f", *item["embedding"])).decode())
    ),
)

# Vectors that are none ---------------------------------------------------------------------------------------------

_bent("last item missing", RIGHT, BadResponse, lambda data: data[:-1])
_bent("middle item missing", RIGHT, BadResponse, lambda data: data[:1] + data[2:])
_bent("item too many", RIGHT, BadResponse, lambda data: [*data, {**data[0], "index": len(data)}])
_bent("index twice", RIGHT, BadResponse, _set("index", 0))
_bent("index out of range", RIGHT, BadResponse, _set("index", 1000))
_bent("index negative", RIGHT, BadResponse, _set("index", -1))
_bent("index as text", RIGHT, BadResponse, _set("index", "1"))
_bent("no data", RIGHT, BadResponse, lambda _: [])
_bent("items null", RIGHT, BadResponse, lambda data: [None] * len(data))
_bent("another dimension", RIGHT, BadResponse, _each(lambda item: item.update(embedding=item["embedding"][:4])))
_bent("dimensions differ", RIGHT, BadResponse, _set("embedding", [0.5] * (DIMENSION - 1)))
_bent("vector empty", RIGHT, BadResponse, _each(lambda item: item.update(embedding=[])))
_bent("vector null", RIGHT, BadResponse, _set("embedding", None))
_bent("vector nested", RIGHT, BadResponse, _each(lambda item: item.update(embedding=[item["embedding"]])))
_bent("NaN", RIGHT, BadResponse, _put(1, float("nan")))
_bent("infinity", RIGHT, BadResponse, _put(1, float("inf")))
_bent("number of 400 digits", RIGHT, BadResponse, _put(1, 10**400))
_bent("null among numbers", RIGHT, BadResponse, _put(1, None))
_bent("number as text", RIGHT, BadResponse, _put(1, "0.5"))
_bent("boolean among numbers", RIGHT, BadResponse, _put(1, True))
_bent("zero vector", RIGHT, BadResponse, _set("embedding", [0.0] * DIMENSION))
_bent("base64 cut", RIGHT, BadResponse, _set("embedding", "AAAAAAA="))

# Bodies that are none ----------------------------------------------------------------------------------------------

_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>" + b"gateway " * 200 + b"</body></html>"

_said("empty body", RIGHT, BadResponse, 200, b"")
_said("not JSON", RIGHT, BadResponse, 200, b"OK", kind="text/plain")
_said("a page with status 200", RIGHT, BadResponse, 200, _PAGE, kind="text/html")
_said("error with status 200", RIGHT, ServerError, 200, {"error": {"message": "overloaded", "code": 500}})
_said("GigaChat's error with status 200", RIGHT, ServerError, 200, {"status": 500, "message": "Internal Server Error"})
_said("data of another kind", RIGHT, BadResponse, 200, {"object": "list", "data": {"embedding": [1, 2]}})


def _good(request: Request) -> bytes:
    return reply(items(texts_of(request)))


@_fault("JSON cut", RIGHT, BadResponse)
def _json_cut(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.say(200, body[: len(body) // 2])
    return True


@_fault("byte order mark", RIGHT, RIGHT)
def _bom(wire: Wire, request: Request) -> bool:
    wire.say(200, b"\xef\xbb\xbf" + _good(request))
    return True


@_fault("wrong content type", RIGHT, RIGHT)
def _wrong_type(wire: Wire, request: Request) -> bool:
    wire.say(200, _good(request), kind="text/html; charset=windows-1251")
    return True


@_fault("no content type", RIGHT, RIGHT)
def _no_type(wire: Wire, request: Request) -> bool:
    wire.say(200, _good(request), kind="")
    return True


@_fault("gzip unasked", BadResponse, BadResponse)
def _gzip(wire: Wire, request: Request) -> bool:
    wire.say(200, gzip.compress(_good(request)), "Content-Encoding: gzip")
    return True


@_fault("gzip broken", BadResponse, BadResponse)
def _gzip_broken(wire: Wire, request: Request) -> bool:
    wire.say(200, gzip.compress(_good(request))[:-20], "Content-Encoding: gzip")
    return True


# Bytes of the answer -----------------------------------------------------------------------------------------------

_CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def _head(length: object, *more: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {length}", *more, "", ""]
    return "\r\n".join(lines).encode()


@_fault("chunked with a size that is none", RIGHT, ConnectionFailed)
def _chunk_size(wire: Wire, request: Request) -> bool:
    wire.send(_CHUNKED + b"zz\r\n" + _good(request) + b"\r\n0\r\n\r\n")
    return False


@_fault("chunked without its end", RIGHT, ConnectionFailed)
def _chunk_end(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_CHUNKED + b"%x\r\n%b\r\n" % (len(body), body))
    return False


@_fault("chunked into single bytes", RIGHT, RIGHT)
def _chunk_bytes(wire: Wire, request: Request) -> bool:
    wire.send(_CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in _good(request)) + b"0\r\n\r\n")
    return True


@_fault("length too long", RIGHT, ConnectionFailed)
def _too_long(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body) + 100) + body)
    return False


@_fault("length too short", RIGHT, ProviderError)
def _too_short(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body) - 30) + body)
    return True


@_fault("length negative", RIGHT, ConnectionFailed)
def _negative(wire: Wire, request: Request) -> bool:
    wire.send(_head(-1) + _good(request))
    return False


@_fault("two lengths that differ", RIGHT, ConnectionFailed)
def _two_lengths(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body), "Content-Length: 7") + body)
    return False


@_fault("length twice", RIGHT, RIGHT)
def _twice(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body), f"Content-Length: {len(body)}", "Content-Type: text/plain") + body)
    return True


@_fault("HTTP/1.0 without a length", RIGHT, RIGHT)
def _old(wire: Wire, request: Request) -> bool:
    wire.send(b"HTTP/1.0 200 OK\r\n\r\n" + _good(request))
    return False


@_fault("lines that end with LF alone", RIGHT, RIGHT)
def _lf(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body)).replace(b"\r\n", b"\n") + body)
    return True


@_fault("another protocol", RIGHT, ConnectionFailed)
def _ssh(wire: Wire, _request: Request) -> bool:
    wire.send(b"SSH-2.0-OpenSSH_9.9\r\n")
    return False


@_fault("Cyrillic in a header", RIGHT, RIGHT)
def _cyrillic(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body), "X-Request-Id: запрос-1") + body)
    return True


@_fault("Cyrillic in the name of a header", RIGHT, ConnectionFailed)
def _cyrillic_name(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body), "X-Модель: да") + body)
    return True


@_fault("headers without end", RIGHT, ConnectionFailed)
def _endless_headers(wire: Wire, _request: Request) -> bool:
    wire.send(b"HTTP/1.1 200 OK\r\n")
    for number in range(20_000):
        wire.send(b"X-Header-%d: %b\r\n" % (number, b"x" * 100))
    return False


@_fault("100 Continue first", RIGHT, RIGHT)
def _continue(wire: Wire, request: Request) -> bool:
    wire.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    return right(wire, request)


@_fault("larger than allowed", BadResponse, BadResponse)
def _large(wire: Wire, _request: Request) -> bool:
    wire.send(_head(1 << 40) + b" " * 65536)
    return False


@_fault("large without saying so", BadResponse, BadResponse)
def _bulk(wire: Wire, _request: Request) -> bool:
    wire.send(_CHUNKED)
    block = b" " * (4 << 20)
    for _ in range(20):
        wire.send(b"%x\r\n%b\r\n" % (len(block), block))
    return False


# The connection ----------------------------------------------------------------------------------------------------


@_fault("closed before the head", RIGHT, ConnectionFailed)
def _vanish(_wire: Wire, _request: Request) -> bool:
    return False


@_fault("closed inside the head", RIGHT, ConnectionFailed)
def _half_head(wire: Wire, _request: Request) -> bool:
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
    return False


@_fault("closed after the head", RIGHT, ConnectionFailed)
def _only_head(wire: Wire, request: Request) -> bool:
    wire.send(_head(len(_good(request))))
    return False


@_fault("closed inside the body", RIGHT, ConnectionFailed)
def _half_body(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body)) + body[: len(body) // 2])
    return False


@_fault("reset before the head", RIGHT, ConnectionFailed)
def _reset(wire: Wire, _request: Request) -> bool:
    wire.reset()
    return False


@_fault("reset inside the body", RIGHT, ConnectionFailed)
def _reset_later(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body)) + body[:100])
    wire.gone(0.02)
    wire.reset()
    return False


@_fault("closed after the answer, unannounced", RIGHT, RIGHT)
def _kept_not(wire: Wire, request: Request) -> bool:
    right(wire, request)
    return False


@_fault("silence", RIGHT, ConnectionFailed)
def _silence(wire: Wire, _request: Request) -> bool:
    wire.gone(30)
    return False


@_fault("silence inside the body", RIGHT, ConnectionFailed)
def _half_silence(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body)) + body[:100])
    wire.gone(30)
    return False


@_fault("slow to the end of all patience", ConnectionFailed, ConnectionFailed)
def _drip(wire: Wire, _request: Request) -> bool:
    wire.send(_head(10_000))
    wire.drip(b" " * 10_000, 0.05)
    return False


@_fault("slow, and in time", RIGHT, RIGHT)
def _slow(wire: Wire, request: Request) -> bool:
    body = _good(request)
    wire.send(_head(len(body)))
    for place in range(0, len(body), 1 + len(body) // 4):
        wire.send(body[place : place + 1 + len(body) // 4])
        time.sleep(0.01)
    return True


@_fault("answered twice", RIGHT, RIGHT)
def _double(wire: Wire, request: Request) -> bool:
    """The second answer is there when the next request comes on this connection."""
    body = _good(request)
    wire.send((_head(len(body)) + body) * 2)
    return True


@_fault("an answer to another request", RIGHT, BadResponse)
def _foreign(wire: Wire, request: Request) -> bool:
    """That of a smaller batch. One for as many texts looks like the right one to everybody."""
    wire.say(200, reply(items(texts_of(request)[::-1][:-2])))
    return True


# Refusals ----------------------------------------------------------------------------------------------------------


def _no(status: int, words: str = "said no") -> dict[str, object]:
    return {"status": status, "message": words}


_said("429", RIGHT, RateLimited, 429, _no(429))
_said("429 for 0.05 s", RIGHT, RateLimited, 429, _no(429), "Retry-After: 0.05")
_said("429 for a day", RateLimited, RateLimited, 429, _no(429), "Retry-After: 86400")
_said("429 for less than nothing", RIGHT, RateLimited, 429, _no(429), "Retry-After: -5")
_said("429 for a word", RIGHT, RateLimited, 429, _no(429), "Retry-After: soon")
_said("429 until 1970", RIGHT, RateLimited, 429, _no(429), f"Retry-After: {formatdate(0, usegmt=True)}")
_said("429 until 2100", RateLimited, RateLimited, 429, _no(429), f"Retry-After: {formatdate(4102444800, usegmt=True)}")
_said("408", RIGHT, ApiError, 408, _no(408))
_said("500", RIGHT, ServerError, 500, _no(500))
_said("502 as a page", RIGHT, ServerError, 502, _PAGE, kind="text/html")
_said("503", RIGHT, ServerError, 503, b"")
_said("504", RIGHT, ServerError, 504, {"detail": "upstream"})
_said("529", RIGHT, ServerError, 529, {"type": "error", "error": {"type": "overloaded_error"}})
_said("400", InvalidRequest, InvalidRequest, 400, {"error": {"message": "model is required"}})
_said("401", AuthenticationError, AuthenticationError, 401, _no(401))
_said("402", PaymentRequired, PaymentRequired, 402, _no(402))
_said("403", PermissionDenied, PermissionDenied, 403, _no(403))
_said("404", NotFound, NotFound, 404, _no(404, "No such model"))
_said("422", InvalidRequest, InvalidRequest, 422, _no(422))
_said("413 whatever the size", RIGHT, TooLarge, 413, _no(413, "Payload too large"))
_said("101", RIGHT, ConnectionFailed, 101, b"", "Upgrade: websocket", "Connection: Upgrade")
_said("redirect to another host", ApiError, ApiError, 307, b"", "Location: http://localhost:9/v1/embeddings")
_said("redirect to itself", ApiError, ApiError, 308, b"", "Location: /v1/embeddings")
_said("304", ApiError, ApiError, 304, b"")


@_fault("413 without an index", RIGHT, RIGHT)
def _too_many(wire: Wire, request: Request) -> bool:
    if len(texts_of(request)) <= 3:
        return right(wire, request)
    wire.say(413, json.dumps(_no(413, "Payload too large")).encode())
    return True


LONGEST = 100  # characters, for the next one


@_fault("413 with an index", RIGHT, RIGHT)
def _one_too_long(wire: Wire, request: Request) -> bool:
    for place, text in enumerate(texts_of(request)):
        if len(text) > LONGEST:
            words = f"Tokens limit exceeded for index {place}: {len(text)} (max {LONGEST})"
            wire.say(413, json.dumps(_no(413, words)).encode())
            return True
    return right(wire, request)
