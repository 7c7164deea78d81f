"""How a service is reached, before anything is opened: the modules that open it are heavy, and loaded with the first
request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragkit.secret import Secret

if TYPE_CHECKING:
    import ssl

    from ragkit.providers.authorization import Authorization
    from ragkit.providers.http import Http

LONG = 7.5  # times as long as another request a stream may take, which is read while it is written
PAID = 10  # times as long a silence is waited out before an answer that costs: a long text is written in minutes


@dataclass(frozen=True, slots=True)
class TLS:
    """What to trust besides the system's certificates, and a certificate of one's own.

    `insecure_hosts` are those whose certificates are not checked, by name and in lower case.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    key_password: Secret = Secret("")  # noqa: RUF009 - it never changes
    insecure_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """Address, slots and patience of a service.

    `timeout` is seconds of silence, `PAID` times as many before an answer that costs. `deadline` is seconds for a
    request with its repeats, `LONG` times as many for a whole stream. `headers` go with each request.
    """

    base_url: str
    slots: int
    retries: int = 5
    timeout: float = 60.0
    deadline: float = 120.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: TLS = TLS()
    proxy: str = field(default="", repr=False)  # may hold a password
    pinned: tuple[str, ...] | None = None  # addresses of the host, where they were looked up and judged already

    def open(self, authorization: Authorization) -> Http:
        """The door to the service. Raises ConfigError for an address that is none."""
        from ragkit.providers.http import Http, Timeouts
        from ragkit.providers.retry import Retry
        from ragkit.providers.slots import Slots

        return Http(
            self.base_url,
            authorization,
            slots=Slots(self.slots),
            tls=self.context,
            headers=self.headers,
            retry=Retry(tries=self.retries + 1),
            timeouts=Timeouts(
                read=self.timeout,
                event=self.timeout,
                total=max(self.deadline, self.timeout),
                stream=LONG * max(self.deadline, self.timeout),
                costly=PAID * self.timeout,
            ),
            proxy=self.proxy,
            pinned=self.pinned,
        )

    def context(self) -> ssl.SSLContext:
        """Whom to trust on the way to this host. Raises ConfigError for a file that cannot be used."""
        from ragkit.providers.address import address
        from ragkit.providers.tls import context

        tls, host = self.tls, address(self.base_url).host
        insecure = host if host in tls.insecure_hosts else ""
        return context(tls.ca_file, tls.cert_file, tls.key_file, tls.key_password, insecure_host=insecure)


class Door:
    """What is open to one service: opened by the first request, once for all threads, and anew after `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._http: Http | None = None
        self._opened = ExitStack()

    def opened(self, make: Callable[[ExitStack], Http]) -> Http:
        """The door, made by the first who asks; whatever else `make` opens for it is closed with the stack."""
        with self._lock:
            if self._http is None:
                with ExitStack() as stack:
                    http = make(stack)
                    stack.callback(http.close)
                    self._opened = stack.pop_all()
                self._http = http
            return self._http

    def close(self) -> None:
        """Ends what is under way in other threads too."""
        with self._lock:
            opened, self._opened, self._http = self._opened, ExitStack(), None
        opened.close()
