"""How the hosts of a service prove who they are, and what mends it where they do not. Sends no request and no key."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ragkit.errors import ConfigError, ConnectionFailed
from ragkit.providers.address import Address, Proxy, address, proxy_for
from ragkit.providers.certificates import Certificate, certificate
from ragkit.providers.lost import refused_by_proxy, unconnected, untrusted

if TYPE_CHECKING:
    from ragkit.providers.connection import Connection

SECONDS = 10.0  # for each step
_MOST_OF_A_PROXY = 16 << 10  # bytes of its answer
_LONGEST_CHAIN = 10

VERIFIED, UNCHECKED, UNTRUSTED, UNREACHABLE, PLAIN, UNSEEN = (
    "verified",
    "unchecked",  # the handshake went well, and the setting insecure_tls_host lets anyone pass
    "untrusted",
    "unreachable",
    "plain",  # http
    "unseen",  # behind a proxy that this file cannot talk to
)

_RUSSIAN = "Russian Trusted"
_SBER = (".giga.chat", ".sberbank.ru", ".sber.ru")
_EXPIRED, _EARLY, _SELF_SIGNED, _NAME, _IP = 10, 9, 18, 62, 64  # X509_V_ERR_* of OpenSSL


@dataclass(frozen=True, slots=True)
class Seen:
    """One host. `chain` begins with its own certificate; before Python 3.13 it is that one alone.

    `hint` is what to do, empty where all is well.
    """

    host: str
    port: int
    state: str
    message: str
    hint: str = ""
    protocol: str = ""
    proxy: str = ""
    chain: tuple[Certificate, ...] = ()

    @property
    def ok(self) -> bool:
        return self.state in (VERIFIED, PLAIN, UNSEEN) and not self.hint


def inspect(connection: Connection, ca_setting: str) -> Seen:
    """Connect, shake hands and hang up. `ca_setting` names the setting of one's own authorities, for the cure.

    Raises ConfigError for an address that is none.
    """
    try:
        return _inspected(connection, ca_setting)
    except ConfigError as error:
        where = address(connection.base_url)
        return Seen(where.host, where.port, UNTRUSTED, error.message, error.hint)


def _inspected(connection: Connection, ca_setting: str) -> Seen:
    where = address(connection.base_url)
    proxy = proxy_for(where, connection.proxy)
    through = f"{proxy.scheme}://{proxy.host}:{proxy.port}" if proxy else ""
    context = connection.context()

    def seen(
        state: str, message: str, hint: str = "", *, protocol: str = "", chain: tuple[Certificate, ...] = ()
    ) -> Seen:
        return Seen(where.host, where.port, state, message, hint, protocol, through, chain)

    if where.scheme == "http":
        if where.loopback:
            return seen(PLAIN, "plain http, which does not leave this machine")
        return seen(PLAIN, "plain http: everybody on the way can read and change it", "write the address with https")
    if proxy and proxy.scheme != "http":
        return seen(UNSEEN, f"behind a proxy of the kind {proxy.scheme}, through which this cannot look")
    try:
        with _reached(where, proxy) as plain, context.wrap_socket(plain, server_hostname=where.host) as secured:
            protocol, chain = secured.version() or "", _chain(secured)
    except ssl.SSLCertVerificationError as error:
        chain, protocol = _shown(where, proxy)
        said = f"not trusted: {error.verify_message}"
        return seen(
            UNTRUSTED, said, _cure(error, where, connection, proxy, chain, ca_setting), protocol=protocol, chain=chain
        )
    except ConnectionFailed as error:
        return seen(UNREACHABLE, error.message, error.hint)
    except OSError as error:
        lost = (
            untrusted(where.netloc, error)
            if isinstance(error, ssl.SSLError)
            else unconnected(where.netloc, error, loopback=where.loopback)
        )
        return seen(UNREACHABLE, lost.message, lost.hint)
    if context.verify_mode == ssl.CERT_NONE:
        return seen(
            UNCHECKED,
            "the certificate is not checked, as insecure_tls_host says: this may be anybody",
            f"take the host out of insecure_tls_host, and look here again for what {ca_setting} should name",
            protocol=protocol,
            chain=chain,
        )
    return seen(VERIFIED, "the certificate is verified", protocol=protocol, chain=chain)


def _reached(where: Address, proxy: Proxy | None) -> socket.socket:
    """A connection to the host, through the proxy where there is one. Raises OSError, or ConnectionFailed for a
    proxy that says no.
    """
    if proxy is None:
        return socket.create_connection((where.host, where.port), SECONDS)
    reached = socket.create_connection((proxy.host, proxy.port), SECONDS)
    try:
        host = f"[{where.host}]" if ":" in where.host else where.host
        proof = f"Proxy-Authorization: {proxy.authorization.reveal()}\r\n" if proxy.authorization else ""
        reached.sendall(f"CONNECT {host}:{where.port} HTTP/1.1\r\nHost: {host}:{where.port}\r\n{proof}\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _MOST_OF_A_PROXY:
            piece = reached.recv(1)  # what follows the head is the host's
            if not piece:
                break
            head += piece
        status = head[9:12].decode("ascii", "replace")
        if not head.startswith(b"HTTP/1.") or not status.startswith("2"):
            shown = status if status.isdigit() else "with something else than HTTP"
            raise refused_by_proxy(where.netloc, f"{proxy.host}:{proxy.port}", shown)
    except BaseException:
        reached.close()
        raise
    return reached


def _shown(where: Address, proxy: Proxy | None) -> tuple[tuple[Certificate, ...], str]:
    """What the host shows to who does not check it. Nothing is said to it."""
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    try:
        with _reached(where, proxy) as plain, unchecked.wrap_socket(plain, server_hostname=where.host) as secured:
            return _chain(secured), secured.version() or ""
    except (OSError, ConnectionFailed):
        return (), ""


def _chain(secured: ssl.SSLSocket) -> tuple[Certificate, ...]:
    """From the host's own certificate upwards, as far as this Python tells."""
    name = "get_unverified_chain" if secured.context.verify_mode == ssl.CERT_NONE else "get_verified_chain"
    if hasattr(secured, name):  # from Python 3.13 on
        shown = [bytes(der) for der in getattr(secured, name)() or ()]
    else:
        shown = [secured.getpeercert(binary_form=True) or b""]
    found = []
    for der in shown[:_LONGEST_CHAIN]:
        try:
            found.append(certificate(der))
        except ValueError:
            break
    return tuple(found)


def _names(where: Address, proxy: Proxy | None, connection: Connection) -> str:
    """The names that a certificate is for, of one that only its name is wrong with."""
    context = connection.context()
    context.check_hostname = False
    try:
        with _reached(where, proxy) as plain, context.wrap_socket(plain, server_hostname=where.host) as secured:
            shown: dict[str, Any] = dict(secured.getpeercert() or {})
    except (OSError, ConnectionFailed):
        return ""
    return ", ".join(str(name) for kind, name in shown.get("subjectAltName", ()) if kind in ("DNS", "IP Address"))


def _cure(
    error: ssl.SSLCertVerificationError,
    where: Address,
    connection: Connection,
    proxy: Proxy | None,
    chain: tuple[Certificate, ...],
    ca_setting: str,
) -> str:
    now = datetime.now(UTC)
    if error.verify_code in (_EXPIRED, _EARLY):
        wrong = next((each for each in chain if not each.not_before <= now <= each.not_after), None)
        dates = f" ({wrong.not_before:%Y-%m-%d} to {wrong.not_after:%Y-%m-%d})" if wrong else ""
        return (
            f"it is the host's to renew{dates}, unless the clock of this machine is wrong: it says {now:%Y-%m-%d %H:%M}"
            " UTC"
        )
    if error.verify_code in (_NAME, _IP):
        names = _names(where, proxy, connection)
        return (
            f"the certificate is for {names or 'another host'}: write the address with that name, or look for a proxy"
        )
    root = chain[-1].issuer if chain else "its issuer"
    known = connection.tls.ca_file
    file = f"{ca_setting} names {known}, which holds another one: " if known else ""
    if _RUSSIAN in root:
        return (
            f"{file}download the Russian Trusted Root CA, in PEM or DER, from https://www.gosuslugi.ru/crt and name its"
            f" file in {ca_setting}"
        )
    if f".{where.host}".endswith(_SBER):
        return (
            f"this is not the certificate of the service, it comes from {root}: a proxy or an antivirus reads along;"
            f" ask who runs it for its root certificate and name the file in {ca_setting}, or go another way"
        )
    if error.verify_code == _SELF_SIGNED:
        return (
            f"{file}the host signed its certificate itself: get its file from who runs it, compare the fingerprint, and"
            f" name it in {ca_setting}"
        )
    middle = f"; or the proxy {proxy.host} reads along, and it is the proxy's" if proxy else ""
    return f"{file}get the root certificate of {root} from who runs the host, and name its file in {ca_setting}{middle}"
