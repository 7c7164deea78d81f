"""Connections to one service, kept open between requests; the only file that knows the HTTP library.

It sends one request once. It knows no retries, no slots, no keys and no format. Every wait on a socket ends at the
moment when the whole request must be over, so a service that sends a byte now and then holds nobody up.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import httpcore

from ragkit.errors import ConfigError
from ragkit.providers.address import Address, Proxy
from ragkit.providers.lost import Lost, operating_system, refused_by_proxy, unconnected, untrusted
from ragkit.redaction import guard

PIECE = 256 * 1024  # bytes taken from a socket at once; a reply with 16 vectors is about 350 KB
IDLE = 30.0  # seconds for which an unused connection is kept


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `read` is silence before and within an answer, `event` silence between two events of a stream.

    `total` is the most for a request with its tries and the waits between them, `stream` for a whole stream. An answer
    that costs is waited for `costly` seconds: who gives up on it has paid for it all the same.
    """

    connect: float = 5.0
    write: float = 30.0
    read: float = 30.0
    event: float = 60.0
    total: float = 120.0
    stream: float = 900.0
    costly: float = 600.0


class Patience(float):
    """Seconds that one step on a socket may take; `end` is the moment of `time.monotonic` when all must be over.

    `sent` tells whether the request has left whole.

    The library hands a timeout through to the socket as it is, which is how this one gets there.
    """

    end: float
    late: str  # what to say of the service when `end` has passed
    sent: bool = False

    def __new__(cls, seconds: float, end: float, late: str = "") -> Patience:
        made = super().__new__(cls, seconds)
        made.end, made.late = end, late
        return made

    def allow(self, seconds: float, end: float) -> None:
        """Let the next steps take `seconds` together, but not longer than to `end`."""
        self.end = min(time.monotonic() + seconds, end)
        self.late = f"sent no whole event for {seconds:g} s" if self.end < end else "did not end its stream in time"

    def left(self) -> float:
        return min(float(self), self.end - time.monotonic())


@dataclass(slots=True)
class Answer:
    """An answer whose body has not been read yet. `headers` in lower case, repeated ones joined by a comma."""

    status: int
    headers: Mapping[str, str]
    packets: Iterator[bytes]
    patience: Patience
    close: Callable[[], None]


class Network:
    """At most `connections` connections to one address, opened when they are needed. Thread-safe."""

    def __init__(
        self,
        address: Address,
        *,
        connections: int,
        timeouts: Timeouts,
        proxy: Proxy | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
        pinned: Sequence[str] | None = None,
    ) -> None:
        """With `pinned`, only those addresses are connected to and the name is not looked up, but for a proxy."""
        guard()
        self._address, self._proxy, self._tls = address, proxy, tls
        self._connections, self._timeouts = connections, timeouts
        self._sockets = _Sockets(None if proxy else pinned)
        self._pool: httpcore.ConnectionPool | None = None
        self._lock = threading.Lock()
        self._muddled = False  # whether an answer was there before its question: no connection serves twice then

    def send(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        content: bytes | Iterable[bytes] | None,
        *,
        seconds: float,
        read: float,
    ) -> Answer:
        """Send once; everything up to the end of the body must be over in `seconds`. Raises Lost."""
        end = time.monotonic() + seconds
        patience = Patience(read, end, f"did not finish its answer within {seconds:.3g} s")
        limits = {
            "connect": Patience(self._timeouts.connect, end),
            "write": Patience(self._timeouts.write, end),
            "read": patience,
            "pool": max(0.0, min(self._timeouts.connect, seconds)),
        }
        where = self._address
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=where.scheme, host=where.host, port=where.unusual_port, target=target),
            headers=[*headers, (b"Connection", b"close")] if self._muddled else headers,
            content=_Content(content, patience),
            extensions={"timeout": limits},
        )
        with self._named(patience):
            response = self._opened().handle_request(request)
        stream = response.extensions.get("network_stream")
        if isinstance(stream, _Stream) and not stream.heard:
            # What was left over of an earlier answer looks like this one. Taken for it, it would be stored under
            # the wrong texts.
            self._muddled = True
            response.close()
            raise Lost(
                f"{self._address.netloc} had answered before it was asked: that is the answer to another request"
            )
        assert isinstance(response.stream, Iterable)  # noqa: S101 - for mypy: the library has async streams too
        return Answer(
            response.status, _headers(response.headers), self._packets(response, patience), patience, response.close
        )

    def close(self) -> None:
        """Also wakes the threads that wait for an answer: they get Lost."""
        with self._lock:
            pool, self._pool = self._pool, None
        self._sockets.shut()
        if pool is not None:
            pool.close()

    def _opened(self) -> httpcore.ConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = httpcore.ConnectionPool(
                    ssl_context=self._context(),
                    proxy=self._through(),
                    max_connections=self._connections,
                    max_keepalive_connections=self._connections,
                    keepalive_expiry=IDLE,
                    network_backend=self._sockets,
                )
            return self._pool

    def _context(self) -> ssl.SSLContext:
        if self._address.scheme == "https" and self._tls is not None:
            return self._tls()
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: for plain http, where none is used

    def _through(self) -> httpcore.Proxy | None:
        proxy = self._proxy
        if proxy is None:
            return None
        if proxy.scheme.startswith("socks") and find_spec("socksio") is None:
            raise ConfigError(
                f"the proxy {proxy.host} speaks SOCKS, which needs the package socksio",
                "pip install socksio, or use an http proxy",
            )
        host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
        auth = (proxy.user.encode(), proxy.password.reveal().encode()) if proxy.user else None
        return httpcore.Proxy(f"{proxy.scheme}://{host}:{proxy.port}", auth=auth)

    def _packets(self, response: httpcore.Response, patience: Patience) -> Iterator[bytes]:
        with self._named(patience):
            yield from response.iter_stream()

    @contextlib.contextmanager
    def _named(self, patience: Patience) -> Iterator[None]:
        """What the library raises inside the block leaves it as Lost, and alone."""
        try:
            yield
        except Exception as error:
            lost = self._lost(error, patience)
            if lost is None:
                raise
        else:
            return
        lost.sent = patience.sent
        raise lost

    def _lost(self, error: Exception, patience: Patience) -> Lost | None:
        where, loopback = self._address.netloc, self._address.loopback
        proxy = f"{self._proxy.host}:{self._proxy.port}" if self._proxy else ""
        cause = operating_system(error)
        match error:
            case httpcore.TimeoutException() if patience.end <= time.monotonic():
                return Lost(f"{where} {patience.late}", "the service is slow; try again later", passing=False)
            case httpcore.ConnectTimeout() | httpcore.PoolTimeout():
                return Lost(
                    f"{where} did not accept a connection within {self._timeouts.connect:g} s",
                    "check the address, the network and the proxy",
                )
            case httpcore.WriteTimeout():
                return Lost(f"{where} took nothing of the request for {self._timeouts.write:g} s")
            case httpcore.TimeoutException():
                return Lost(f"{where} was silent for {float(patience):g} s", "the service is slow; try again later")
            case httpcore.ConnectError():
                if isinstance(cause, ssl.SSLError) and self._proxy and self._proxy.scheme == "http":
                    return untrusted(where, cause)  # the proxy itself speaks no TLS
                return unconnected(f"the proxy {proxy}" if proxy else where, cause, loopback=loopback)
            case httpcore.ProxyError():
                return refused_by_proxy(where, proxy, str(error)[:3])  # "407 Proxy Authentication Required"
            case httpcore.NetworkError() | httpcore.RemoteProtocolError() | httpcore.ConnectionNotAvailable():
                if isinstance(cause, ssl.SSLError):
                    return untrusted(where, cause)
                return Lost(f"{where} closed the connection before the end of its answer")
            case httpcore.ProtocolError() | httpcore.UnsupportedProtocol():
                hint = "check the extra headers in the settings"
                return Lost(f"the request to {where} breaks the rules of HTTP: it was not sent", hint, passing=False)
            case OSError():
                return unconnected(where, error, loopback=loopback)
        return None


class _Content:
    """The body of a request. Its end is asked for when all before it was handed to the system to be sent."""

    def __init__(self, content: bytes | Iterable[bytes] | None, patience: Patience) -> None:
        self._content, self._patience = content, patience

    def __iter__(self) -> Iterator[bytes]:
        content = self._content or b""
        yield from (content,) if isinstance(content, bytes) else content
        self._patience.sent = True


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


class _Sockets(httpcore.NetworkBackend):
    """Opens sockets whose waits end with the request, and can shut all of them at once."""

    def __init__(self, pinned: Sequence[str] | None = None) -> None:
        self._inner = httpcore.SyncBackend()
        self._pinned = pinned  # addresses to connect to, whatever the name; TLS asks for the name all the same
        self._open: weakref.WeakSet[_Stream] = weakref.WeakSet()
        self._lock = threading.Lock()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError()
        failure.__cause__ = socket.gaierror(socket.EAI_NONAME, "no address")
        for place in (host,) if self._pinned is None else self._pinned:
            seconds = _left(timeout, httpcore.ConnectTimeout)
            try:
                return self.kept(self._inner.connect_tcp(place, port, seconds, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def kept(self, inner: httpcore.NetworkStream) -> httpcore.NetworkStream:
        stream = _Stream(inner, self)
        with self._lock:
            self._open.add(stream)
        return stream

    def shut(self) -> None:
        with self._lock:
            streams = list(self._open)
        for stream in streams:
            stream.shut()


class _Stream(httpcore.NetworkStream):
    """`heard` tells whether anything was read since the last byte was written."""

    def __init__(self, inner: httpcore.NetworkStream, sockets: _Sockets) -> None:
        self._inner, self._sockets = inner, sockets
        self.heard = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.heard = True
        return self._inner.read(max(max_bytes, PIECE), _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.heard = False
        for start in range(0, len(buffer), PIECE):  # the library copies the rest after every piece it got rid of
            self._inner.write(buffer[start : start + PIECE], _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        seconds = _left(timeout, httpcore.ConnectTimeout)
        return self._sockets.kept(self._inner.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def shut(self) -> None:
        """A closed socket does not wake who reads from it in another thread; one that is shut down does."""
        with contextlib.suppress(OSError):  # closed already
            self.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    if not isinstance(timeout, Patience):
        return timeout
    seconds = timeout.left()
    if seconds <= 0:
        raise late
    return seconds
