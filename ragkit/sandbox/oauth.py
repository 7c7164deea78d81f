"""What OAuth checks before it gives a token for a key.

Error codes and messages are those of the GigaChat specification: 1 and 5 for the scope, 4 for the header, 6 for the
key, 7 for a scope that the key does not include.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from ragkit.sandbox.wire import Refusal, Reply, json_reply

if TYPE_CHECKING:
    from ragkit.sandbox.call import Call
    from ragkit.sandbox.wire import Request

SCOPES = ("GIGACHAT_API_PERS", "GIGACHAT_API_B2B", "GIGACHAT_API_CORP")
MILLISECONDS = 1000


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
