"""Addresses that a service sent, of a picture for one: whether this machine should go there. Sends nothing.

Whoever writes such an address chooses where a request comes from, which may be inside a network that lets nobody
else in; so only public places count, and the service's own.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from ragkit.errors import BadResponse
from ragkit.providers.address import Address, address
from ragkit.providers.words import line

SHOWN = 200  # characters of an address in a message
_NAT64 = IPv6Network("64:ff9b::/96")  # an IPv4 address in the last 32 bits, which a gateway takes out (RFC 6052)


class Place(NamedTuple):
    """What may be fetched: a base URL, the path with its query, and the addresses that the host was judged by.

    Whoever connects goes to one of `addresses` and asks for no others: a name may have others a moment later.
    Without any no host is known by that name, which only a proxy may know. None is for the service's own host.
    """

    base_url: str
    path: str
    addresses: tuple[str, ...] | None


def followed(url: str, service: Address, *, resolve: Callable[[str], Iterable[str]] | None = None) -> Place:
    """What may be fetched from `url`.

    That is https on a host whose addresses are all public, or anything on the very scheme, host and port of
    `service`. Raises BadResponse with the address, of which the query may be a key and is not shown.

    Args:
        resolve: the addresses behind a name, asked once; by default the system's.
    """
    shown = line(url.partition("?")[0].partition("#")[0].rpartition("@")[2], SHOWN)
    try:
        parts = urlsplit(url)
        host, port, known = parts.hostname or "", parts.port, parts.scheme in ("http", "https")
    except ValueError:
        raise _refused(shown, "it cannot be read") from None
    if not known or not host or parts.username is not None or any(c.isspace() or not c.isprintable() for c in url):
        raise _refused(shown, "it is no plain https address")
    netloc = f"[{host}]" if ":" in host else host
    where = address(f"{parts.scheme}://{netloc}{'' if port is None else f':{port}'}")
    own = (where.scheme, where.host, where.port) == (service.scheme, service.host, service.port)
    if not own and where.scheme != "https":
        raise _refused(shown, "it is not https")
    addresses = None if where.host == service.host else tuple(_behind(where.host, resolve or _resolved))
    if not all(map(_public, addresses or ())):
        raise _refused(shown, "it leads into a network that is not public")
    query = f"?{parts.query}" if parts.query else ""
    return Place(f"{where.scheme}://{where.netloc}", f"{parts.path or '/'}{query}", addresses)


def _behind(host: str, resolve: Callable[[str], Iterable[str]]) -> list[str]:
    try:
        ip_address(host)
    except ValueError:
        return list(resolve(host))
    return [host]


def _resolved(host: str) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []


def _public(text: str) -> bool:
    """Also of an IPv4 address in the clothes of an IPv6 one."""
    found = ip_address(text)
    if isinstance(found, IPv6Address):
        inner = IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else found.ipv4_mapped or found.sixtofour
        found = inner or found
    return found.is_global and not found.is_multicast


def _refused(shown: str, why: str) -> BadResponse:
    return BadResponse(f"{shown} is not fetched: {why}", "fetch it by hand where you trust it")
