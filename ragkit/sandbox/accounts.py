"""Keys and tokens: what OAuth checks, what it issues, and whose a token is.

Error codes and messages are those of the GigaChat specification: 1 and 5 for the scope, 4 for the header, 6 for the
key, 7 for a scope that the key does not include.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from ragkit.sandbox.wire import Call, Refusal, Reply, json_reply

if TYPE_CHECKING:
    from ragkit.sandbox.wire import Request

SCOPES = ("GIGACHAT_API_PERS", "GIGACHAT_API_B2B", "GIGACHAT_API_CORP")
TOKEN_PREFIX = "sandbox-token-"  # noqa: S105 - how our tokens are told from OpenAI keys; no secret
DEFAULT_CREDENTIALS = base64.b64encode(b"sandbox-client:sandbox-secret").decode()
DEFAULT_API_KEY = "sandbox-key"
TOKEN_LIFE = 1800.0  # seconds
MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class Account:
    """Whose request it is; files belong to the client."""

    client: str


@dataclass(frozen=True, slots=True)
class _Token:
    account: Account
    expires: float  # unix time


class Accounts:
    """The keys that are accepted and the tokens that live."""

    def __init__(
        self, *, credentials: str | None, api_key: str | None, scope: str | None, life: float, per_second: int | None
    ) -> None:
        self.credentials = credentials
        self.api_key = api_key
        self.scope = scope
        self.life = life
        self.per_second = per_second
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}
        self._issued = 0
        self._recent: deque[float] = deque()

    def reset(self) -> None:
        """Let every token die."""
        with self._lock:
            self._tokens.clear()
            self._recent.clear()

    def issue(self, client: str, life: float) -> tuple[str, float]:
        """A new token and the unix time of its end."""
        expires = time.time() + life
        with self._lock:
            self._issued += 1
            token = f"{TOKEN_PREFIX}{self._issued}-{uuid.uuid4().hex}"  # one of another run must not work in this one
            self._tokens[token] = _Token(Account(client), expires)
        return token, expires

    def revoke(self, token: str) -> None:
        with self._lock:
            self._tokens.pop(token, None)

    def of_token(self, token: str) -> Account:
        """Whose token it is.

        Raises:
            Refusal: 401 for an unknown token, and for a dead one.
        """
        with self._lock:
            found = self._tokens.get(token)
        if found is None:
            raise Refusal(401, "Unauthorized")
        if found.expires <= time.time():
            raise Refusal(401, "Token has expired")
        return found.account

    def check_rate(self) -> None:
        """Refuse more token requests in a second than are allowed.

        Raises:
            Refusal: 429.
        """
        if self.per_second is None:
            return
        now = time.monotonic()
        with self._lock:
            while self._recent and self._recent[0] <= now - 1:
                self._recent.popleft()
            if len(self._recent) >= self.per_second:
                raise Refusal(429, "Too many requests")
            self._recent.append(now)


def bearer(request: Request) -> str | None:
    """The bearer token of a request, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def api_key(request: Request, accounts: Accounts) -> Account:
    """Who is calling with an OpenAI-style key.

    Raises:
        Refusal: 401 without a key, or with another than the one that was set.
    """
    key = bearer(request)
    if key is None:
        message = "You didn't provide an API key. You need to provide it in an Authorization header using Bearer auth."
        raise Refusal(401, message)
    if accounts.api_key is not None and key != accounts.api_key:
        raise Refusal(401, f"Incorrect API key provided: {key[:4]}…", code="invalid_api_key")
    return Account(key)


def oauth(call: Call) -> Reply:
    """POST /api/v2/oauth: a key for a token."""
    accounts = call.state.accounts
    key, client = _basic(call.request)
    _check_request_id(call.request)
    scope = _scope(call.request.body)
    if accounts.credentials is not None and key != accounts.credentials:
        raise Refusal(401, "credentials doesn't match db data", code=6)
    if accounts.scope is not None and scope != accounts.scope:
        raise Refusal(401, "scope from db not fully includes consumed scope", code=7)
    accounts.check_rate()
    if call.has_fault("oauth-500"):
        raise Refusal(500, "Internal Server Error", code=500)
    if call.has_fault("oauth-429"):
        raise Refusal(429, "Too many requests", code=429)
    life = call.fault["seconds"] if call.fault and call.fault.name == "short-token" else accounts.life
    token, expires = accounts.issue(client, life)
    unit = 1 if call.has_fault("expires-seconds") else MILLISECONDS
    return json_reply({"access_token": token, "expires_at": int(expires * unit)})


def user_token(call: Call) -> Reply:
    """POST /token: user and password for a token, whose end is in seconds."""
    _, client = _basic(call.request)
    accounts = call.state.accounts
    token, expires = accounts.issue(client, accounts.life)
    return json_reply({"tok": token, "exp": int(expires)})


def _basic(request: Request) -> tuple[str, str]:
    """The key as it came, and the client id in it."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    refusal = Refusal(401, "Can't decode 'Authorization' header", code=4)
    if scheme.lower() != "basic":
        raise refusal
    try:
        client, colon, secret = base64.b64decode(key.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise refusal from error
    if not (client and colon and secret):
        raise refusal
    return key.strip(), client


def _check_request_id(request: Request) -> None:
    value = request.headers.get("rquid", "")
    try:
        version = uuid.UUID(value).version if len(value) == len(str(uuid.UUID(int=0))) else None
    except ValueError:
        version = None
    if version != 4:  # uuid4 is what the API asks for
        raise Refusal(400, "RqUID header is missing or is not a uuid4", code=3)


def _scope(body: bytes) -> str:
    try:
        form = parse_qs(body.decode(), strict_parsing=bool(body), keep_blank_values=True)
    except (UnicodeDecodeError, ValueError) as error:
        raise Refusal(400, "scope data format invalid", code=1) from error
    scope = " ".join(form.get("scope", [""])).strip()
    if not scope:
        raise Refusal(400, "scope is empty", code=5)
    if scope not in SCOPES:
        raise Refusal(400, "scope data format invalid", code=1)
    return scope
