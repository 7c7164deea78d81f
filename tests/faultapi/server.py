"""A server on a raw socket: it reads requests, and what it answers is the affair of a function.

It knows HTTP only as far as requests go. An answer is bytes, sent exactly as they are given; nothing completes or
corrects them.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int  # which one, from 0
    at: float  # time.monotonic

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """The server's end of one connection."""

    def __init__(self, connection: socket.socket, stopped: threading.Event) -> None:
        self._connection = connection
        self.stopped = stopped

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def say(self, status: int, body: bytes = b"", *headers: str, kind: str = "application/json") -> None:
        """A whole answer with its length, and more lines of headers before the end of its head."""
        lines = [f"HTTP/1.1 {status} X", *headers, f"Content-Length: {len(body)}"]
        if kind:
            lines.append(f"Content-Type: {kind}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def drip(self, data: bytes, every: float) -> None:
        """Byte by byte, for as long as anybody listens."""
        for place in range(len(data)):
            self.send(data[place : place + 1])
            if self.gone(every):
                return

    def gone(self, seconds: float) -> bool:
        """Wait; whether the other side has hung up meanwhile, or the server is to stop."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.stopped.is_set():
            if select.select([self._connection], [], [], min(left, 0.05))[0]:
                return True  # nobody sends a second request before the answer to the first
        return self.stopped.is_set()

    def hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """The other side learns of it by an error, not by an end."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()


Answer = Callable[[Wire, Request], bool]  # whether the connection stays open


class FaultApi:
    """Listens on loopback from construction to the end of the block; `requests` is all that was asked."""

    def __init__(self, answer: Answer, *, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.requests: list[Request] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._listen)

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    def asked(self, path: str) -> list[Request]:
        """The requests whose path ends so."""
        return [request for request in self.requests if request.path.endswith(path)]

    def __enter__(self) -> FaultApi:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            for number in range(1 << 30):
                connection, _ = self._listener.accept()
                self._sockets.append(connection)
                self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):  # the other side went away
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            wire = Wire(connection, self._stopped)
            while request := read_request(connection, number):
                with self._lock:
                    self.requests.append(request)
                if not self._answer(wire, request):
                    break
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def read_request(connection: socket.socket, number: int) -> Request | None:
    """The next request on a connection; None where the other side has hung up."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode("utf-8").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    while len(body) < int(headers.get("content-length", "0")):
        piece = connection.recv(1 << 20)
        if not piece:
            return None
        body += piece
    return Request(method, path, headers, body, number, time.monotonic())
