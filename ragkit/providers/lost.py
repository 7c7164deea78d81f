"""Why a connection failed, in words of our own and with a cure. Pure: judges errors of the operating system and of TLS.

The words of an HTTP library may quote what the other side sent, and its exceptions hold the request with its key; so
neither is kept.
"""

from __future__ import annotations

import errno
import socket
import ssl

from ragkit.errors import ConnectionFailed

_ROOT = (
    "GigaChat needs the Russian Trusted Root CA, from gosuslugi.ru/crt: give its file as GIGACHAT_CA_BUNDLE_FILE "
    "(setting gigachat_ca_file); another service needs the file of its own authority"
)


class Lost(ConnectionFailed):
    """`passing` says whether another try may help, `sent` whether the service has the whole request.

    Callers of this package see a ConnectionFailed.
    """

    sent = False

    def __init__(self, message: str, hint: str = "", *, passing: bool = True) -> None:
        super().__init__(message, hint)
        self.passing = passing


def unconnected(where: str, cause: BaseException | None, *, loopback: bool) -> Lost:
    """No connection came about; `cause` is what the operating system or TLS said."""
    check = "check the address, the network and the proxy"
    if isinstance(cause, ssl.SSLError):
        return untrusted(where, cause)
    if isinstance(cause, socket.gaierror):
        passing = cause.errno == socket.EAI_AGAIN
        return Lost(
            f"no host has the name {where}", "check the address, and that this machine is online", passing=passing
        )
    if isinstance(cause, ConnectionRefusedError):
        return Lost(f"{where} refuses connections", "is the server running there?" if loopback else check)
    if not isinstance(cause, OSError):
        return Lost(f"no connection to {where}", check)
    passing = cause.errno not in (errno.EACCES, errno.EPERM)
    return Lost(f"no connection to {where}: {cause.strerror or type(cause).__name__}", check, passing=passing)


def untrusted(where: str, cause: ssl.SSLError) -> Lost:
    """TLS did not come about, or broke off."""
    reason = cause.reason or ""
    words = reason.replace("_", " ").lower() or "the handshake failed"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Lost(f"the certificate of {where} is not trusted: {cause.verify_message}", _ROOT, passing=False)
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return Lost(
            f"{where} breaks off the TLS handshake: {words}",
            "it may want a client certificate: GIGACHAT_CERT_FILE and GIGACHAT_KEY_FILE",
            passing=False,
        )
    hint = "check the address, and whether it speaks https there"
    return Lost(f"no TLS with {where}: {words}", hint, passing="EOF" in reason)


def refused_by_proxy(where: str, proxy: str, status: str) -> Lost:
    return Lost(
        f"the proxy {proxy} does not lead to {where}: it answered {status}",
        "check HTTPS_PROXY with its user and password, or the setting for the proxy",
        passing=status in ("502", "503", "504"),
    )


def operating_system(error: BaseException | None) -> OSError | None:
    """The operating system's own error, or that of TLS, below the library's."""
    for _ in range(8):
        if error is None or isinstance(error, OSError):
            return error
        error = error.__cause__ or error.__context__
    return None
