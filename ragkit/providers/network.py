"""Connections to one service, kept open between requests; the only file that knows the HTTP library.

It sends one request once. It knows no retries, no slots, no keys and no format. Every wait on a socket ends at the
moment when the whole request must be over, so a service that sends a byte now and then holds nobody up.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore

from ragkit.errors import ConfigError, ConnectionFailed
from ragkit.providers.address import Address, Proxy

PIECE = 256 * 1024  # bytes taken from a socket at once; a reply with 16 vectors is about 350 KB
IDLE = 30.0  # seconds for which an unused connection is kept


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `read` is silence before and within an answer, `event` silence between two events of a stream.

    `total` is the most for a request with its tries and the waits between them, `stream` for a whole stream.
    """

    connect: float = 5.0
    write: float = 30.0
    read: float = 30.0
    event: float = 60.0
    total: float = 120.0
    stream: float = 900.0


class Patience(float):
    """Seconds that one step on a socket may take; `end` is the moment of `time.monotonic` when all must be over.

    The library hands a timeout through to the socket as it is, which is how this one gets there.
    """

    end: float
    late: str  # what to say of the service when `end` has passed

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


class Lost(ConnectionFailed):
    """A connection failed; `passing` says whether another try may help. Leaves this package as ConnectionFailed."""

    passing = True


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
    ) -> None:
        self._address, self._proxy, self._tls = address, proxy, tls
        self._connections, self._timeouts = connections, timeouts
        self._sockets = _Sockets()
        self._pool: httpcore.ConnectionPool | None = None
        self._lock = threading.Lock()

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
            httpcore.URL(scheme=where.scheme, host=where.host, port=where.port, target=target),
            headers=headers,
            content=content,
            extensions={"timeout": limits},
        )
        with self._named(patience):
            response = self._opened().handle_request(request)
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
        if proxy.scheme.startswith("socks"):
            try:
                import socksio  # noqa: F401 - only asked whether it is there: the library needs it
            except ImportError:
                raise ConfigError(
                    f"the proxy {proxy.host} speaks SOCKS, which needs the package socksio",
                    "pip install socksio, or use an http proxy",
                ) from None
        host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
        auth = (proxy.user.encode(), proxy.password.reveal().encode()) if proxy.user else None
        return httpcore.Proxy(f"{proxy.scheme}://{host}:{proxy.port}", auth=auth)

    def _packets(self, response: httpcore.Response, patience: Patience) -> Iterator[bytes]:
        with self._named(patience):
            yield from response.iter_stream()

    def _named(self, patience: Patience) -> _Named:
        return _Named(self._address, self._proxy, patience, self._timeouts)


class _Named:
    """Turns what the library raises inside the block into Lost, in words of our own.

    The words of the library may quote what the other side sent, and its exceptions hold the request; so neither
    is kept: the error stands alone.
    """

    def __init__(self, address: Address, proxy: Proxy | None, patience: Patience, timeouts: Timeouts) -> None:
        self._where = address.netloc
        self._address, self._proxy, self._patience, self._timeouts = address, proxy, patience, timeouts

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and (lost := self._lost(error)) is not None:
            raise lost from None

    def _lost(self, error: Exception) -> Lost | None:
        where = self._where
        match error:
            case httpcore.PoolTimeout() | httpcore.ConnectTimeout() | httpcore.ReadTimeout() | httpcore.WriteTimeout():
                return self._late(error)
            case httpcore.ConnectError():
                return self._unconnected(_cause(error))
            case httpcore.ProxyError():
                status = str(error)[:3]
                made = Lost(f"the proxy {self._proxy_host} does not lead to {where}: it answered {status}")
                made.hint = "check HTTPS_PROXY with its user and password, or the setting for the proxy"
                made.passing = status in ("502", "503", "504")
                return made
            case httpcore.NetworkError() | httpcore.RemoteProtocolError() | httpcore.ConnectionNotAvailable():
                if isinstance(cause := _cause(error), ssl.SSLError):
                    return self._untrusted(cause)
                return Lost(f"{where} closed the connection before the end of its answer")
            case httpcore.ProtocolError() | httpcore.UnsupportedProtocol():
                made = Lost(f"the request to {where} breaks the rules of HTTP, so it was not sent")
                made.hint = "check the extra headers in the settings"
                made.passing = False
                return made
            case ssl.SSLError():
                return self._untrusted(error)
            case OSError():
                return Lost(f"the connection to {where} broke: {error.strerror or type(error).__name__}")
        return None

    @property
    def _proxy_host(self) -> str:
        return f"{self._proxy.host}:{self._proxy.port}" if self._proxy else "that is set"

    def _late(self, error: Exception) -> Lost:
        where = self._where
        if self._patience.end <= time.monotonic():
            made = Lost(f"{where} {self._patience.late}")
            made.hint = "the service is slow; try again later, or allow more time"
            made.passing = False
            return made
        if isinstance(error, httpcore.ConnectTimeout):
            return Lost(
                f"{where} did not accept a connection within {self._timeouts.connect:g} s",
                "check the address, the network and the proxy",
            )
        if isinstance(error, httpcore.WriteTimeout):
            return Lost(f"{where} took nothing of the request for {self._timeouts.write:g} s")
        return Lost(f"{where} was silent for {float(self._patience):g} s", "the service is slow; try again later")

    def _unconnected(self, cause: BaseException | None) -> Lost:
        where = f"the proxy {self._proxy_host}" if self._proxy else self._where
        if isinstance(cause, ssl.SSLError):
            return self._untrusted(cause)
        if isinstance(cause, socket.gaierror):
            made = Lost(f"the name of {where} is not known", "check the address, and that this machine is online")
            made.passing = cause.errno == socket.EAI_AGAIN
            return made
        if isinstance(cause, ConnectionRefusedError):
            hint = "is the server running there?" if self._address.loopback else "check the address and the port"
            return Lost(f"{where} refuses connections", hint)
        number = cause.errno if isinstance(cause, OSError) else None
        words = cause.strerror if isinstance(cause, OSError) and cause.strerror else "it broke off"
        made = Lost(f"no connection to {where}: {words}", "check the address, the network and the proxy")
        made.passing = number not in (errno.EACCES, errno.EPERM)
        return made

    def _untrusted(self, cause: ssl.SSLError) -> Lost:
        where = self._where
        if isinstance(cause, ssl.SSLCertVerificationError):
            made = Lost(
                f"the certificate of {where} is not trusted: {cause.verify_message}",
                "GigaChat needs the Russian Trusted Root CA, from gosuslugi.ru/crt: give its file as "
                "GIGACHAT_CA_BUNDLE_FILE (setting gigachat_ca_file); for another service, its own authority's",
            )
        elif "CERTIFICATE_REQUIRED" in str(cause.reason) or "HANDSHAKE_FAILURE" in str(cause.reason):
            made = Lost(
                f"{where} breaks off the TLS handshake: {_words(cause)}",
                "it may want a client certificate: GIGACHAT_CERT_FILE and GIGACHAT_KEY_FILE",
            )
        else:
            made = Lost(
                f"no TLS with {where}: {_words(cause)}", "check that the address begins with https and its port"
            )
            made.passing = "EOF" in str(cause.reason)
            return made
        made.passing = False
        return made


def _words(error: ssl.SSLError) -> str:
    return (error.reason or "handshake failed").replace("_", " ").lower()


def _cause(error: BaseException) -> BaseException | None:
    """The operating system's own error below those of the library."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None or isinstance(seen, OSError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


class _Sockets(httpcore.NetworkBackend):
    """Opens sockets whose waits end with the request, and can shut all of them at once."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()
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
        seconds = _left(timeout, httpcore.ConnectTimeout)
        return self.kept(self._inner.connect_tcp(host, port, seconds, local_address, socket_options))

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
    def __init__(self, inner: httpcore.NetworkStream, sockets: _Sockets) -> None:
        self._inner, self._sockets = inner, sockets

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max(max_bytes, PIECE), _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
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
