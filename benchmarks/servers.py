"""A service in a process of its own, for benchmarks of what talks to it: asyncio, and answers made beforehand."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np


class Service(Protocol):
    async def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and JSON for one request."""
        ...

    def counts(self) -> Any:
        """What it counted since it was asked the last time."""
        ...


@dataclass(frozen=True)
class Running:
    """`port` of this machine; `counts` asks the service for what it counted."""

    port: int
    counts: Callable[[], Any]


@contextmanager
def running(make: Callable[[], Service]) -> Iterator[Running]:
    """A service that answers while the block runs."""
    near, far = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(far, make), daemon=True)
    server.start()

    def counts() -> Any:
        near.send("counts")
        return near.recv()

    try:
        yield Running(near.recv(), counts)
    finally:
        near.send("end")
        server.join()


def _serve(pipe: Connection, make: Callable[[], Service]) -> None:
    service = make()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line[:15].lower() == b"content-length:"), 0)
                body = await reader.readexactly(length)
                status, answer = await service.answer(lines[0].split(b" ")[1].decode(), body)
                writer.write(
                    b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    % (status, len(answer))
                    + answer
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 20)
        pipe.send(server.sockets[0].getsockname()[1])
        while True:
            while not pipe.poll():
                await asyncio.sleep(0.02)
            if pipe.recv() == "end":
                return
            pipe.send(service.counts())

    asyncio.run(run())


class Embeddings:
    """Tokens, counts of tokens, and vectors after `latency` seconds. Counts the most requests in flight at once."""

    def __init__(self, latency: float, batch: int, dimension: int) -> None:
        numbers = np.random.default_rng(0).normal(0, 0.9, (batch, dimension)).astype(np.float16)
        items = [
            {"object": "embedding", "index": i, "embedding": row.tolist(), "usage": {"prompt_tokens": 7}}
            for i, row in enumerate(numbers)
        ]
        self._bodies = [
            json.dumps({"object": "list", "data": items[:n], "model": "Embeddings"}).encode() for n in range(batch + 1)
        ]
        self._latency = latency
        self._now = self._most = 0

    async def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path.endswith("/oauth"):
            return 200, json.dumps({"access_token": "t", "expires_at": 2**41}).encode()
        asked = json.loads(body)["input"]
        if path.endswith("/tokens/count"):
            return 200, json.dumps([{"tokens": 2, "characters": 9}] * len(asked)).encode()
        self._now += 1
        self._most = max(self._most, self._now)
        await asyncio.sleep(self._latency)
        self._now -= 1
        return 200, self._bodies[len(asked)]

    def counts(self) -> int:
        most, self._most = self._most, 0
        return most


class Limited:
    """Answers as many requests at once as their path begins with, after `latency` seconds, and refuses the others.

    Counts those that were asked, and those that were refused.
    """

    _BODY = json.dumps({"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0], "usage": {"prompt_tokens": 7}}]}).encode()
    _BUSY = json.dumps({"status": 429, "message": "Too many requests"}).encode()

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._inside: dict[int, int] = {}
        self._asked = self._refused = 0

    async def answer(self, path: str, body: bytes) -> tuple[int, bytes]:  # noqa: ARG002 - every text has one vector
        limit = int(path.split("/")[1])
        self._asked += 1
        if self._inside.get(limit, 0) >= limit:
            self._refused += 1
            return 429, self._BUSY
        self._inside[limit] = self._inside.get(limit, 0) + 1
        await asyncio.sleep(self._latency)
        self._inside[limit] -= 1
        return 200, self._BODY

    def counts(self) -> tuple[int, int]:
        counts, self._asked, self._refused = (self._asked, self._refused), 0, 0
        return counts


def embeddings(latency: float, batch: int, dimension: int) -> Callable[[], Service]:
    return partial(Embeddings, latency, batch, dimension)


def limited(latency: float) -> Callable[[], Service]:
    return partial(Limited, latency)
