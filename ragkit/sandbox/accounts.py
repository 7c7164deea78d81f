"""Keys and tokens: which are accepted, how long they live, and whose a token is."""

from __future__ import annotations

import base64
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragkit.sandbox.wire import Refusal

if TYPE_CHECKING:
    from ragkit.sandbox.wire import Request

TOKEN_PREFIX = "sandbox-token-"  # noqa: S105 - how our tokens are told from OpenAI keys; no secret
DEFAULT_CREDENTIALS = base64.b64encode(b"sandbox-client:sandbox-secret").decode()
DEFAULT_API_KEY = "sandbox-key"
TOKEN_LIFE = 1800.0  # seconds


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
        self,
        *,
        credentials: str | None,
        api_key: str | None,
        scope: str | None,
        auth_scheme: str,
        life: float,
        per_second: int | None,
    ) -> None:
        self.credentials = credentials
        self.api_key = api_key
        self.scope = scope
        self.auth_scheme = auth_scheme
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
    given = request.headers.get("authorization", "")
    scheme, _, key = given.rpartition(" ") if accounts.auth_scheme else ("", "", given)
    if not key or scheme.lower() != accounts.auth_scheme.lower():
        wanted = f"{accounts.auth_scheme} YOUR_KEY".strip()
        message = f"You didn't provide an API key. You need to provide it in the header Authorization: {wanted}"
        raise Refusal(401, message)
    if accounts.api_key is not None and key != accounts.api_key:
        raise Refusal(401, f"Incorrect API key provided: {key[:4]}…", code="invalid_api_key")
    return Account(key)
