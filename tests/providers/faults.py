"""A server on a raw socket that misbehaves to order, and writes down what was asked of it.

    with Faults(say(429), say(200, {"ok": 1})) as server:   # the last one answers for ever
        server.url, server.requests

An answer is a function of the connection and the request; it returns whether the connection stays open.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

from faultapi.server import Request, read_request

Answer = Callable[[socket.socket, Request], bool]


class Faults:
    """Answers are played in the order in which requests come; `route` gives a path answers of its own."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answers = {"": list(answers)}
        self._tls = tls
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.requests: list[Request] = []
        self.connections = self.closed = 0
        self.now = self.most = 0  # requests at once
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._start(self._listen)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/v1" if self._tls else f"http://127.0.0.1:{self.port}/v1"

    def route(self, path: str, *answers: Answer) -> None:
        self._answers[path] = list(answers)

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def __enter__(self) -> Faults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            while True:
                connection, _ = self._listener.accept()
                self._sockets.append(connection)
                self._start(self._serve, connection, self.connections)
                self.connections += 1

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while request := read_request(connection, number):
                with self._lock:
                    self.requests.append(request)
                    answers = self._answers.get(request.path, self._answers[""])
                    answer = answers.pop(0) if len(answers) > 1 else answers[0]
                    self.now += 1
                    self.most = max(self.most, self.now)
                try:
                    stays = answer(connection, request)
                finally:
                    with self._lock:
                        self.now -= 1
                if not stays:
                    break
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        self.closed += 1


def _head(status: int, headers: Mapping[str, object]) -> bytes:
    return f"HTTP/1.1 {status} X\r\n{''.join(f'{k}: {v}' + chr(13) + chr(10) for k, v in headers.items())}\r\n".encode()


def say(
    status: int = 200, value: object = None, *, raw: bytes | None = None, wait: float = 0.0, **headers: str
) -> Answer:
    """A whole answer: JSON of `value`, or `raw`. `retry_after="3"` is the header Retry-After."""
    body = json.dumps(value if value is not None else {"status": status, "message": "said"}).encode()
    body = body if raw is None else raw
    named = {name.replace("_", "-").title(): text for name, text in headers.items()}

    def answer(connection: socket.socket, _request: Request) -> bool:
        time.sleep(wait)
        connection.sendall(
            _head(status, {"Content-Type": "application/json", "Content-Length": len(body)} | named) + body
        )
        return True

    return answer


def either(choose: Callable[[Request], Answer]) -> Answer:
    """The answer that `choose` gives for the request."""
    return lambda connection, request: choose(request)(connection, request)


def vanish(_connection: socket.socket, _request: Request) -> bool:
    """The connection is closed without an answer."""
    return False


def reset(connection: socket.socket, _request: Request) -> bool:
    """The connection is reset without an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def hang(connection: socket.socket, _request: Request) -> bool:
    """Silence, until the other side hangs up."""
    connection.recv(1)
    return False


def cut(value: object) -> Answer:
    """Half of the body that was announced, and the connection closed."""
    body = json.dumps(value).encode()

    def answer(connection: socket.socket, _request: Request) -> bool:
        connection.sendall(_head(200, {"Content-Type": "application/json", "Content-Length": len(body)}))
        connection.sendall(body[: len(body) // 2])
        return False

    return answer


def drip(every: float, *, head: bool = False) -> Answer:
    """An answer of 10,000 bytes, one by one; with `head` the headers drip already."""

    def answer(connection: socket.socket, _request: Request) -> bool:
        whole = _head(200, {"Content-Type": "application/json", "Content-Length": 10_000}) + b" " * 10_000
        start = 0 if head else whole.index(b"\r\n\r\n") + 4
        connection.sendall(whole[:start])
        for at in range(start, len(whole)):
            connection.sendall(whole[at : at + 1])
            time.sleep(every)
        return False

    return answer


def bomb(megabytes: int) -> Answer:
    """A small body that is large when it is unpacked."""
    packed = gzip.compress(b"[" + b" " * (megabytes << 20) + b"]", 6)
    return say(200, raw=packed, content_encoding="gzip")


def stream(*pieces: bytes, end: bool = True, wait: float = 0.0, then: Answer | None = None) -> Answer:
    """An event stream in packets; without `end` it breaks off, or `then` goes on."""

    def answer(connection: socket.socket, request: Request) -> bool:
        connection.sendall(_head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}))
        for piece in pieces:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            time.sleep(wait)
        if then is not None:
            return then(connection, request)
        if end:
            connection.sendall(b"0\r\n\r\n")
        return end

    return answer


def events(*data: str) -> Iterable[bytes]:
    return [f"data: {each}\n\n".encode() for each in data]
