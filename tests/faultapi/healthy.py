"""The service as it should be: vectors made of the texts, a token, a streamed answer; and when a fault takes its place.

A vector is the checksum of its text, so one that belongs to another text is seen at once.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from faultapi.server import Answer, Request, Wire

DIMENSION = 8
PIECES = ("Залог ", "возвращается ", "за ", "30 ", "дней.")
ANSWER = "".join(PIECES)


def vector_of(text: str, dimension: int = DIMENSION) -> list[float]:
    """Numbers between -1 and 1 that float32 holds exactly."""
    return [(byte - 127.5) / 128 for byte in hashlib.sha256(text.encode()).digest()[:dimension]]


def unit_of(text: str) -> np.ndarray:
    row = np.array(vector_of(text))
    return row / np.linalg.norm(row)


def texts_of(request: Request) -> list[str]:
    texts = request.json["input"]
    return [texts] if isinstance(texts, str) else texts


def items(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Entries of `data`, as OpenAI and GigaChat both write them."""
    return [
        {"object": "embedding", "index": i, "embedding": vector_of(text), "usage": {"prompt_tokens": tokens_of(text)}}
        for i, text in enumerate(texts)
    ]


def tokens_of(text: str) -> int:
    return len(text.split())


def reply(data: Sequence[object]) -> bytes:
    return json.dumps({"object": "list", "data": list(data), "model": "vectors-1:2.0"}).encode()


def token(life: float = 1800.0, name: str = "token") -> bytes:
    return json.dumps({"access_token": name, "expires_at": int((time.time() + life) * 1000)}).encode()


def event(value: object) -> bytes:
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()) + b"\n\n"


def piece(text: str, reason: str | None = None, **more: object) -> dict[str, object]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return {"object": "chat.completion.chunk", "model": "words-1:2.0", "choices": [choice], **more}


USAGE = {"usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}}
WHOLE = (*(event(piece(text)) for text in PIECES), event(piece("", "stop", **USAGE)), event(b"[DONE]"))
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream(wire: Wire, *events: bytes) -> bool:
    """Events, each in a packet of its own, and a proper end."""
    wire.send(STREAM_HEAD)
    for each in events:
        wire.send(chunk(each))
    wire.send(b"0\r\n\r\n")
    return True


def right(wire: Wire, request: Request) -> bool:
    """The answer that a service in good health gives."""
    if request.path.endswith("/oauth"):
        wire.say(200, token())
    elif request.path.endswith("/tokens/count"):
        counts = [{"object": "tokens", "tokens": tokens_of(t), "characters": len(t)} for t in texts_of(request)]
        wire.say(200, json.dumps(counts).encode())
    elif request.path.endswith("/embeddings"):
        wire.say(200, reply(items(texts_of(request))))
    else:
        return stream(wire, *WHOLE)
    return True


class Service:
    """`fault` in the place of the right answer to those requests on `path` that `hit` picks, counted from 1.

    `paid` counts the texts to which the right answer was given.
    """

    def __init__(
        self,
        fault: Answer = right,
        hit: Callable[[int], bool] = lambda _: False,
        *,
        path: str = "/embeddings",
        healthy: Answer = right,
    ) -> None:
        self._fault, self._hit, self._path, self._healthy = fault, hit, path, healthy
        self._lock = threading.Lock()
        self.asked = self.hits = 0
        self.paid: Counter[str] = Counter()

    def __call__(self, wire: Wire, request: Request) -> bool:
        fault = False
        with self._lock:
            if request.path.endswith(self._path):
                self.asked += 1
                fault = self._hit(self.asked)
                self.hits += fault
        if fault:
            return self._fault(wire, request)
        stays = self._healthy(wire, request)
        if request.path.endswith("/embeddings"):
            with self._lock:
                self.paid.update(texts_of(request))
        return stays


def once(number: int) -> bool:
    """One request for chunks: the first of a run is the one by which it knows the model."""
    return number == 2


def always(number: int) -> bool:
    """From the third request for chunks on."""
    return number > 3
