"""HTTP/1.1 on a socket: reading a request, finding its endpoint, sending the reply whole, in pieces, or broken.

It knows slots, waits and the faults of connections; it knows nothing of what the routes mean.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

from ragkit.sandbox import accounts, damage, routes
from ragkit.sandbox.call import Call
from ragkit.sandbox.faults import Active, parse
from ragkit.sandbox.listening import Server, shut
from ragkit.sandbox.wire import (
    ADMIN,
    EVENT_STREAM,
    GIGACHAT,
    JSON,
    OAUTH,
    OPENAI,
    Event,
    Refusal,
    Reply,
    Request,
    error_body,
    refusal_reply,
    server_sent,
    to_json,
)

MOST_UPLOAD = 90_000_000  # bytes of a multipart body, over which the connection is closed with 413
FAULT_HEADER = "x-sandbox-fault"


class Gone(Exception):
    """The client has closed the connection, or a fault wants it closed."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the counters tell."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the names of the base class

    def _serve(self) -> None:
        self._held = False
        try:
            self._answer()
        except (Gone, ConnectionError, TimeoutError):
            self.close_connection = True
            shut(self.connection)
        finally:
            self._release()

    def _answer(self) -> None:
        try:
            body = self._body()
        except ValueError:
            self._turn_away(400, "Bad request: the length of the body is not a number")
        split = urlsplit(self.path)
        headers = {name.lower(): _utf8(value) for name, value in self.headers.items()}
        request = Request(self.command, split.path, dict(parse_qsl(split.query)), headers, body)
        dialect, call = GIGACHAT, None
        try:
            dialect, path = routes.resolve(request)
            call = Call(request, self.server.state, dialect, path)
            reply = self._reply(call)
        except Refusal as refusal:
            reply = refusal_reply(dialect, refusal)
        except (Gone, ConnectionError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - a mistake of the sandbox itself: it is told, and the rest goes on
            self.server.state.stats.mistake("".join(traceback.format_exception(error)))
            message = f"a mistake in the sandbox itself: {type(error).__name__}: {error}"
            reply = refusal_reply(dialect, Refusal(500, message))
        self._send(request, reply, call)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length < 0:
            raise ValueError(length)
        if length > MOST_UPLOAD:
            self._turn_away(413, f"Payload too large: {length} bytes, the limit is {MOST_UPLOAD}")
        body = self.rfile.read(length)
        if len(body) < length:
            raise Gone
        return body

    def _turn_away(self, status: int, message: str) -> NoReturn:
        """Refuse a request whose body is not read, so that nothing more can be understood on this connection."""
        body = to_json({"status": status, "message": message})
        self._write(_head(status, JSON, len(body), {"Connection": "close"}) + body)
        raise Gone

    def _chunks(self) -> bytes:
        parts = []
        while True:
            size = int(self.rfile.readline(64).split(b";")[0] or b"0", 16)
            parts.append(self.rfile.read(size))
            self.rfile.readline(8)
            if size == 0:
                return b"".join(parts)

    def _reply(self, call: Call) -> Reply:
        state, request = call.state, call.request
        route, call.argument = routes.find(call.dialect, request.method, call.route)
        if call.dialect == ADMIN:
            return route.endpoint(call)
        state.stats.received(request)
        state.stats.routed(route.name, oauth="oauth" in route.kinds)
        if not self._enter(call.dialect):
            raise Refusal(429, "Too many requests")
        call.fault = self._fault(call, _kinds(route, request))
        self._wait(state.limits.latency)
        if call.has_fault("slow"):
            self._wait(call.fault["seconds"] if call.fault else 0)
        if call.has_fault("drop"):
            raise Gone
        if call.dialect == GIGACHAT and not call.has_fault("expired-token", "401"):
            call.account = state.accounts.of_token(accounts.bearer(request) or "")
        elif call.dialect == OPENAI:
            call.account = accounts.api_key(request, state.accounts)
        if len(request.body) > state.limits.max_body and "files" not in route.kinds:
            raise Refusal(413, "Payload too large")
        return damage.before(call) or damage.after(call, route.endpoint(call))

    def _fault(self, call: Call, kinds: frozenset[str]) -> Active | None:
        named = call.request.headers.get(FAULT_HEADER)
        try:
            fault = parse(named) if named else call.state.faults.take(call.request.path, kinds)
        except ValueError as error:
            raise Refusal(400, f"{FAULT_HEADER}: {error}") from error
        if fault is not None:
            call.state.stats.fault(fault.name)
        return fault

    def _enter(self, dialect: str) -> bool:
        """Take a slot; OAuth and the sandbox's own routes need none."""
        if dialect == OAUTH:
            return True
        self._held = self.server.state.stats.enter(self.server.state.limits.slots)
        return self._held

    def _release(self) -> None:
        if self._held:
            self._held = False
            self.server.state.stats.leave()

    def _send(self, request: Request, reply: Reply, call: Call | None) -> None:
        state = self.server.state
        headers = {"X-Request-ID": request.headers.get("x-request-id") or state.new_id(), **reply.headers}
        headers["X-Session-ID"] = request.headers.get("x-session-id") or state.new_id()
        if reply.events is not None and call is not None:
            self._stream(reply, headers, call)
            return
        head = _head(reply.status, reply.content_type, len(reply.body), headers)
        body = b"" if self.command == "HEAD" else reply.body
        if call is not None and call.has_fault("drop-body"):
            self._write(head + body[: len(body) // 2])
            raise Gone
        self._release()  # before the last byte: who has read it may come again at once
        self._write(head + body)

    def _stream(self, reply: Reply, headers: dict[str, str], call: Call) -> None:
        """Events in chunks; a fault strikes before the piece `after`, at the latest before the one that closes."""
        self._write(_head(reply.status, EVENT_STREAM, None, {**headers, "Cache-Control": "no-cache"}))
        struck = False
        for sent, event in enumerate(reply.events or ()):
            self._wait(event.wait)
            if call.has_fault("slow-stream"):
                self._wait(_option(call, "seconds"))
            if not struck and (event.closing or sent >= _option(call, "after")):
                struck = True
                if self._struck(call, event):
                    break
            if event.last:
                self._release()
            self._write(_chunk(event.data))
        self._release()
        self._write(b"0\r\n\r\n")

    def _struck(self, call: Call, event: Event) -> bool:
        """Let the fault of a stream happen; whether the stream is over by that."""
        if call.has_fault("stall-stream"):
            self._wait(_option(call, "seconds"))
        if call.has_fault("drop-stream", "drop-body"):
            whole = _chunk(event.data)
            self._write(whole[: len(whole) // 2])
            raise Gone
        if call.has_fault("stream-error"):
            self._write(_chunk(server_sent(error_body(call.dialect, Refusal(500, "Internal Server Error")))))
        return call.has_fault("stream-error", "cut-stream")

    def _wait(self, seconds: float) -> None:
        """Sleep, but notice a client that has gone."""
        if seconds <= 0:
            return
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            if selector.select(seconds) and self.connection.recv(1, socket.MSG_PEEK) == b"":
                raise Gone
        time.sleep(max(0.0, end - time.monotonic()))

    def _write(self, data: bytes) -> None:
        self.connection.sendall(data)


def _kinds(route: routes.Route, request: Request) -> frozenset[str]:
    """What faults call this request; a chat that asks for a stream is one, too."""
    if "chat" in route.kinds and b'"stream"' in request.body:
        try:
            streams = json.loads(request.body).get("stream")
        except (ValueError, AttributeError):
            streams = False
        if streams is True:
            return route.kinds | {"stream"}
    return route.kinds


def _option(call: Call, name: str) -> float:
    return call.fault.options.get(name, 0.0) if call.fault is not None else 0.0


def _head(status: int, content_type: str, length: int | None, headers: dict[str, str]) -> bytes:
    reason = HTTPStatus(status).phrase
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Type: {content_type}", size]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _utf8(value: str) -> str:
    """A header as UTF-8, which http.server reads as Latin-1."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")
