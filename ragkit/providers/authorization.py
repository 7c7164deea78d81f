"""Who we are to a service: a key, or a token that is exchanged for credentials and renewed before it dies.

Knows the formats of the token exchange, and no HTTP: how to make a connection is handed in.
"""

from __future__ import annotations

import base64
import math
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from ragkit.errors import ApiError, AuthenticationError, BadResponse, ConfigError, InvalidRequest, PermissionDenied
from ragkit.providers.failures import Hint, Words
from ragkit.providers.jsontext import Reply
from ragkit.providers.proof import Proof, decoded, sendable
from ragkit.providers.renewal import Renewed
from ragkit.secret import Secret

__all__ = ["ApiKey", "Authorization", "Connect", "OAuthToken", "PasswordToken", "Proof", "ReadyToken", "Renewed"]

T = TypeVar("T")

LATEST = 1e11  # seconds since 1970, in the year 5138; counted in milliseconds, a moment of 1973
SCOPES = ("GIGACHAT_API_PERS", "GIGACHAT_API_B2B", "GIGACHAT_API_CORP")


class Authorization(Protocol):
    """`empty` says that no secret would travel."""

    @property
    def empty(self) -> bool: ...

    def header(self) -> Proof: ...

    def rejected(self, proof: Proof) -> bool:
        """The service said 401 to this proof. True where another try with a new one is worth it."""
        ...


class Caller(Protocol):
    """As much of `Http` as an exchange of tokens needs."""

    def request(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] = ...,
        parse: Callable[[Reply], T],
        hint: Hint | None = None,
    ) -> T: ...


Connect: TypeAlias = Callable[[str, "Authorization"], Caller]  # address of the token service, how to prove who we are


class ApiKey:
    """A key that is sent as it is. `scheme` "" sends nothing before it; an empty key sends no header."""

    def __init__(self, secret: Secret, scheme: str = "Bearer") -> None:
        key = sendable(secret.reveal(), "the key")
        self._proof = Proof(Secret(f"{scheme} {key}".strip() if key else ""))

    @property
    def empty(self) -> bool:
        return not self._proof.header

    def header(self) -> Proof:
        return self._proof

    def rejected(self, proof: Proof) -> bool:  # noqa: ARG002 - a key does not change
        return False


class OAuthToken(Renewed):
    """GigaChat's token: credentials and scope for an access token of about 30 minutes.

    `credentials` is the authorization key of the account, which is base64 of id:secret already, and is sent
    as it is. Raises ConfigError at once for what cannot be one.
    """

    def __init__(
        self,
        auth_url: str,
        credentials: Secret,
        scope: str = SCOPES[0],
        *,
        connect: Connect,
        clock: Callable[[], float] = time.time,
    ) -> None:
        key = sendable(credentials.reveal(), "GIGACHAT_CREDENTIALS")
        if not key:
            raise ConfigError("GIGACHAT_CREDENTIALS is empty", _WHERE)
        self._caller = connect(auth_url, ApiKey(Secret(key.removeprefix("Basic ")), "Basic"))
        self._scope = scope
        self._mistake = _mistake(key)
        super().__init__(self._ask, clock=clock)

    def _ask(self) -> tuple[Secret, float]:
        try:
            return self._caller.request(
                "POST",
                "",
                form={"scope": self._scope},
                headers={"RqUID": str(uuid.uuid4())},
                parse=lambda reply: token_in(reply, self._clock()),
                hint=self._hint,
            )
        except (AuthenticationError, InvalidRequest, PermissionDenied) as error:
            raise _as_authentication(error) from None

    def _hint(self, status: int, words: Words) -> str:
        if status in (404, 405):
            return "check GIGACHAT_AUTH_URL: it is the address that gives tokens, not that of the API"
        if status == 429:
            return "wait a little: the service gives a few tokens a second, and one serves for 30 minutes"
        if status >= 500:
            return "the service that gives tokens has a fault of its own; run again later"
        message = words.message.lower()
        if words.code == "7" or "scope from db" in message:
            others = " or ".join(scope for scope in SCOPES if scope != self._scope)
            return f"the key belongs to another scope than {self._scope}: set GIGACHAT_SCOPE to {others}"
        if words.code in ("1", "5") or "scope" in message:
            return f"GIGACHAT_SCOPE is {self._scope!r}; there are {', '.join(SCOPES)}"
        if self._mistake:
            return self._mistake
        if words.code == "6":
            return f"the key is well formed, but the service does not know it (revoked, or cut short?): {_WHERE}"
        return f"check GIGACHAT_CREDENTIALS: {_WHERE}"


class PasswordToken(Renewed):
    """GigaChat's token for a user and a password, where an installation has them: `POST {base_url}/token`."""

    def __init__(
        self,
        base_url: str,
        user: str,
        password: Secret,
        *,
        connect: Connect,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not user or not password or ":" in user:
            raise ConfigError("user and password must both be given, and a user has no colon", _WHERE)
        key = base64.b64encode(f"{user}:{password.reveal()}".encode()).decode("ascii")
        self._caller = connect(base_url, ApiKey(Secret(key), "Basic"))
        super().__init__(self._ask, clock=clock)

    def _ask(self) -> tuple[Secret, float]:
        try:
            return self._caller.request(
                "POST",
                "/token",
                parse=lambda reply: token_in(reply, self._clock()),
                hint=lambda status, _: "check GIGACHAT_USER and GIGACHAT_PASSWORD" if status in (400, 401, 403) else "",
            )
        except (AuthenticationError, InvalidRequest, PermissionDenied) as error:
            raise _as_authentication(error) from None


class ReadyToken:
    """An access token that somebody else got. When the service rejects it, `fallback` takes over for good."""

    empty = False

    def __init__(self, token: Secret, fallback: Authorization | None = None) -> None:
        key = sendable(token.reveal(), "GIGACHAT_ACCESS_TOKEN")
        if not key:
            raise ConfigError("GIGACHAT_ACCESS_TOKEN is empty", "leave it out, or give a token")
        self._proof = Proof(Secret(f"Bearer {key}"))
        self._fallback = fallback
        self._spent = False

    def header(self) -> Proof:
        return self._fallback.header() if self._spent and self._fallback else self._proof

    def rejected(self, proof: Proof) -> bool:
        if self._fallback is None:
            return False
        if proof is self._proof:
            self._spent = True
            return True
        return self._fallback.rejected(proof)


def token_in(reply: Reply, now: float) -> tuple[Secret, float]:
    """Token and the moment of its end in seconds since 1970, from either of GigaChat's two forms, or OAuth 2's.

    Raises BadResponse, which quotes nothing of the body.
    """
    value = reply.json()
    fields: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    token = fields.get("access_token") or fields.get("tok")
    if not isinstance(token, str) or not token:
        raise BadResponse(
            f"{reply.service} gave no access token, but {_shape(value)}", "check the address of the token service"
        )
    end = _number(fields.get("expires_at", fields.get("exp")))
    if end is not None:
        while end > LATEST:  # in milliseconds, or finer
            end /= 1000
        return Secret(token), end
    lasting = _number(fields.get("expires_in"))
    return Secret(token), math.inf if lasting is None else now + lasting


def _shape(value: object) -> str:
    return f"the fields {', '.join(map(repr, list(value)[:6]))}" if isinstance(value, Mapping) else "no JSON object"


def _number(value: object) -> float | None:
    """A time, or None for what can be none: nanoseconds since 1970 have 19 digits."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}(\.[0-9]{1,9})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < 1e19 else None


_WHERE = "take the authorization key from the settings of the API in your personal account at developers.sber.ru"


def _mistake(key: str) -> str:
    """What the credentials seem to be instead of an authorization key; empty where they look right.

    Nothing is refused for it: the service decides, this only explains its no.
    """
    if key.count(".") == 2 or len(key) > 400:
        return (
            "GIGACHAT_CREDENTIALS looks like an access token: give that as GIGACHAT_ACCESS_TOKEN, "
            f"or the authorization key as credentials; {_WHERE}"
        )
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", key):
        return (
            "GIGACHAT_CREDENTIALS looks like a client secret alone; the key is base64 of id and secret: "
            "printf %s 'CLIENT_ID:CLIENT_SECRET' | base64 | tr -d '\\n'"
        )
    if ":" not in decoded(key):
        return f"GIGACHAT_CREDENTIALS is not base64 of id:secret (cut short when it was copied?); {_WHERE}"
    return ""


def _as_authentication(error: ApiError) -> AuthenticationError:
    return AuthenticationError(error.message, error.hint, status=error.status, request_id=error.request_id)
