"""Every way in which the exchange of a key for a token breaks, and the certificates of a host that is not the one.

`once` is the end where one exchange breaks, `always` where all do: "right", or the error.
"""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

from faultapi.embeddings import RIGHT, End, Fault
from faultapi.healthy import token
from faultapi.server import Request, Wire
from ragkit.errors import (
    AuthenticationError,
    BadResponse,
    ConfigError,
    ConnectionFailed,
    RateLimited,
    ServerError,
)

FAULTS: dict[str, Fault] = {}


def _told(name: str, once: End, always: End, status: int, value: object, *headers: str) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    def answer(wire: Wire, _request: Request) -> bool:
        wire.say(status, body, *headers)
        return True

    FAULTS[name] = Fault(answer, once, always)


def _token(name: str, make: Callable[[], bytes]) -> None:
    """A token that is one, and odd."""

    def answer(wire: Wire, _request: Request) -> bool:
        wire.say(200, make())
        return True

    FAULTS[name] = Fault(answer, RIGHT, RIGHT)


_token("dead on arrival", lambda: token(-3600))
_token("lives for a second", lambda: token(1))
_token("its end is zero", lambda: json.dumps({"access_token": "t", "expires_at": 0}).encode())
_token("its end is below zero", lambda: json.dumps({"access_token": "t", "expires_at": -(10**13)}).encode())
_token("its end is a word", lambda: json.dumps({"access_token": "t", "expires_at": "tomorrow"}).encode())
_token("its end is of 400 digits", lambda: json.dumps({"access_token": "t", "expires_at": 10**400}).encode())
_token("no end at all", lambda: json.dumps({"access_token": "t"}).encode())
_told("401", AuthenticationError, AuthenticationError, 401, {"code": 6, "message": "credentials doesn't match db data"})
_told("400", AuthenticationError, AuthenticationError, 400, {"code": 5, "message": "scope is empty"})
_told("429", RIGHT, RateLimited, 429, {"code": 429, "message": "too many requests"})
_told("503", RIGHT, ServerError, 503, b"")
_told("a page", RIGHT, BadResponse, 200, b"<html><title>Sign in</title></html>", "Content-Type: text/html")
_told("no token in it", RIGHT, BadResponse, 200, {"expires_at": 1})
_told("an empty token", RIGHT, BadResponse, 200, {"access_token": "", "expires_at": 1})
_told("a token with a line break", ConfigError, ConfigError, 200, {"access_token": "a\r\nX-Evil: 1", "expires_at": 1})


def _vanish(_wire: Wire, _request: Request) -> bool:
    return False


def _silence(wire: Wire, _request: Request) -> bool:
    wire.gone(30)
    return False


FAULTS["connection lost"] = Fault(_vanish, RIGHT, ConnectionFailed)
FAULTS["silence"] = Fault(_silence, RIGHT, ConnectionFailed)

CERTIFICATES = {
    "of another name": "self signed by an authority that is trusted, and for another host",
    "expired": "was good until yesterday",
    "self-signed": "by nobody who is trusted",
}


def certificates(folder: Path) -> Path:
    """An authority, and `NAME.pem` with `NAME.key`: good for localhost, and each of CERTIFICATES."""

    def openssl(line: str, *last: str) -> None:
        subprocess.run(["openssl", *line.split(), *last], cwd=folder, check=True, capture_output=True)

    new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    openssl(f"req -x509 {new} -days 2 -keyout ca.key -out ca.pem -subj", "/CN=Test Authority")
    for name, host, days in (("good", "localhost", "2"), ("of another name", "elsewhere.test", "2")):
        _signed(openssl, folder, new, name, host, days)
    _signed(openssl, folder, new, "expired", "localhost", "-1")
    openssl(
        f"req -x509 {new} -days 2 -addext subjectAltName=DNS:localhost -keyout self-signed.key -out self-signed.pem "
        "-subj",
        "/CN=localhost",
    )
    return folder


def _signed(openssl: Callable[..., None], folder: Path, new: str, name: str, host: str, days: str) -> None:
    (folder / "host.ext").write_text(f"subjectAltName=DNS:{host}\n")
    openssl(f"req {new} -subj /CN={host} -out host.csr -keyout", f"{name}.key")
    openssl(
        f"x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile host.ext -days {days} -out",
        f"{name}.pem",
    )


def tls(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context
