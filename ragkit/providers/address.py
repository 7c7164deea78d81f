"""Where a service is, and by which way it is reached: addresses and proxies as text. Opens no connection."""

from __future__ import annotations

import base64
import re
import urllib.request
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, unquote, urlsplit

from ragkit.errors import ConfigError
from ragkit.secret import Secret


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL in its parts. `host` is ASCII, in lower case, without brackets; `prefix` has no slash at its end."""

    scheme: str
    host: str
    port: int
    prefix: str

    @property
    def loopback(self) -> bool:
        """Whether what is sent there stays on this machine."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def netloc(self) -> str:
        """As in the Host header: the port where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.unusual_port is None else f"{host}:{self.port}"

    @property
    def unusual_port(self) -> int | None:
        """None where the port goes without saying."""
        return None if self.port == {"http": 80, "https": 443}[self.scheme] else self.port

    def target(self, path: str) -> bytes:
        """Path and query as they are sent, for a path below the base. What is escaped already stays so."""
        return (quote(self.prefix + path, safe="/?&=%:@~!$'()*+,;-._") or "/").encode("ascii")


@dataclass(frozen=True, slots=True)
class Proxy:
    """`authorization` is the value of Proxy-Authorization, empty for none."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: Secret = Secret("")  # noqa: RUF009 - never changes

    @property
    def authorization(self) -> Secret:
        if not self.user:
            return Secret("")
        plain = f"{self.user}:{self.password.reveal()}".encode()
        return Secret("Basic " + base64.b64encode(plain).decode("ascii"))


def address(base_url: str) -> Address:
    """Raises ConfigError for what is no http(s) address, or holds more than one should."""
    parts = _split(base_url, "base_url")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            f"the address of {parts.hostname} has a user or a password in it", "give the key as a setting of its own"
        )
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"base_url is {base_url!r}, which is no http(s) address", "write it as https://host/v1")
    if parts.query or parts.fragment:
        raise ConfigError(
            f"the address of {parts.hostname} has a query or a fragment (? or #)", "leave off what follows the path"
        )
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return Address(parts.scheme, _ascii(parts.hostname or ""), port, parts.path.rstrip("/"))


def proxy_for(where: Address, explicit: str = "") -> Proxy | None:
    """The proxy that leads there: the explicit one, else that of the environment; None for the direct way.

    What is on this machine is reached directly, unless a proxy is given explicitly.
    """
    url = explicit
    if not url:
        if where.loopback or urllib.request.proxy_bypass(f"{where.host}:{where.port}"):
            return None
        known = urllib.request.getproxies()
        url = known.get(where.scheme) or known.get("all") or ""
        if not url:
            return None
    if "://" not in url:
        url = f"http://{url}"
    parts = _split(url, "the proxy")
    if parts.scheme not in ("http", "https", "socks5", "socks5h"):
        raise ConfigError(f"a proxy of the kind {parts.scheme!r} is not known", "use http, https, socks5 or socks5h")
    usual = {"http": 80, "https": 443}.get(parts.scheme, 1080)
    secret = Secret(unquote(parts.password or ""))
    return Proxy(parts.scheme, _ascii(parts.hostname or ""), parts.port or usual, unquote(parts.username or ""), secret)


def _split(url: str, name: str):  # type: ignore[no-untyped-def]  # SplitResult, whose attributes raise late
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise ConfigError(f"{name} is no address that can be read", "write it as https://host:port/path") from None
    if not parts.hostname or re.search(r"[\s\x00-\x1f]", url.strip()):
        raise ConfigError(f"{name} names no host", "write it as https://host/v1")
    return parts


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii").lower() if not host.isascii() else host.lower()
    except UnicodeError:
        raise ConfigError(f"{host!r} is no name of a host", "check the address") from None
