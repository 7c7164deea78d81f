"""Keys and tokens: asked for once, renewed in time, never thrown away by mistake, and every mistake explained."""

from __future__ import annotations

import base64
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from faults import Answer, Faults, Request, either, say

from ragkit.errors import AuthenticationError, BadResponse, ConfigError, ConnectionFailed, RagkitError, ServerError
from ragkit.providers.authorization import (
    ApiKey,
    Authorization,
    OAuthToken,
    PasswordToken,
    Proof,
    ReadyToken,
    Renewed,
    token_in,
)
from ragkit.providers.http import Http, Reply
from ragkit.providers.retry import Retry
from ragkit.providers.slots import Slots
from ragkit.secret import Secret

KEY = base64.b64encode(b"client-id:client-secret-0123456789").decode()
OAUTH = "/api/v2/oauth"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def connect(address: str, authorization: Authorization) -> Http:
    return Http(address, authorization, slots=Slots(1), retry=Retry(tries=3, first=0.001))


def oauth(server: Faults, key: str = KEY, scope: str = "GIGACHAT_API_PERS", **more: Any) -> OAuthToken:
    return OAuthToken(f"http://127.0.0.1:{server.port}{OAUTH}", Secret(key), scope, connect=connect, **more)


def granting(life: float = 1800.0, *, wait: float = 0.0, clock: Callable[[], float] = time.time) -> Answer:
    """A token service: tok1, tok2, … each with its life in milliseconds from now."""
    given: list[int] = []

    def grant(_: Request) -> Answer:
        given.append(1)
        value = {"access_token": f"tok{len(given)}", "expires_at": int((clock() + life) * 1000)}
        return say(200, value, wait=wait)

    return either(grant)


def shown(authorization: Authorization) -> str:
    return authorization.header().header.reveal()


# Keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "scheme", "header"),
    [("abc", "Bearer", "Bearer abc"), (" abc\n", "Api-Key", "Api-Key abc"), ("abc", "", "abc"), ("", "Bearer", "")],
)
def test_a_key_is_sent_with_its_scheme(key: str, scheme: str, header: str) -> None:
    """Space around a key is cut off, an empty scheme sends the raw key, an empty key sends nothing."""
    authorization = ApiKey(Secret(key), scheme)
    assert shown(authorization) == header
    assert authorization.empty == (not header)
    assert not authorization.rejected(authorization.header())


@pytest.mark.parametrize("key", ["ab\nc", "ab c", "сk-1", "ab\x00c"])
def test_a_key_that_cannot_be_one_is_refused(key: str) -> None:
    """A line break, a space or a Cyrillic letter that looks like a Latin one never leaves the machine."""
    with pytest.raises(ConfigError) as caught:
        ApiKey(Secret(key))
    assert key not in caught.value.message
    assert caught.value.hint


# One exchange for all ---------------------------------------------------------------------------------------------


def test_the_exchange_is_as_the_service_wants_it() -> None:
    """The key goes verbatim as Basic, the scope as a form, and every call has a fresh RqUID."""
    with Faults(granting()) as server:
        authorization = oauth(server, scope="GIGACHAT_API_CORP")
        assert shown(authorization) == "Bearer tok1"
        authorization.rejected(authorization.header())
        assert shown(authorization) == "Bearer tok2"
    first, second = server.requests
    assert (first.method, first.path, first.body) == ("POST", OAUTH, b"scope=GIGACHAT_API_CORP")
    assert first.headers["authorization"] == f"Basic {KEY}"
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert UUID(first.headers["rquid"]).version == 4
    assert first.headers["rquid"] != second.headers["rquid"]


def test_sixty_four_threads_ask_once() -> None:
    """A cold start of 64 threads is one exchange; a token that dies under them is one more."""
    clock = Clock()
    with Faults(granting(wait=0.05, clock=clock)) as server, ThreadPoolExecutor(64) as pool:
        authorization = oauth(server, clock=clock)
        together = threading.Barrier(64)

        def ask(_: int) -> str:
            together.wait()
            return shown(authorization)

        assert set(pool.map(ask, range(64))) == {"Bearer tok1"}
        assert len(server.requests) == 1
        clock.now += 1801
        assert set(pool.map(ask, range(64))) == {"Bearer tok2"}
        assert len(server.requests) == 2


def test_sixty_four_revoked_requests_ask_once() -> None:
    """The service forgets the token under 64 requests: each is answered, and one new token is asked for."""
    good = ["tok1"]

    def answer(request: Request) -> Answer:
        if request.headers["authorization"] == f"Bearer {good[0]}":
            return say(200, {"ok": 1}, wait=0.01)
        return say(401, {"status": 401, "message": "Token has expired"})

    with Faults(either(answer)) as server, ThreadPoolExecutor(64) as pool:
        server.route(OAUTH, granting())
        http = Http(server.url, oauth(server), slots=Slots(16))
        http.request("GET", "/thing", parse=Reply.json)
        good[0] = "tok2"
        found = pool.map(lambda _: http.request("GET", "/thing", parse=Reply.json), range(64))
        assert list(found) == [{"ok": 1}] * 64
    assert len(server.asked(OAUTH)) == 2


def test_a_late_401_does_not_throw_the_new_token_away() -> None:
    """An answer to the old token that comes after the new one was given says nothing about the new one."""
    with Faults(granting()) as server:
        authorization = oauth(server)
        old = authorization.header()
        assert authorization.rejected(old)
        assert shown(authorization) == "Bearer tok2"
        assert authorization.rejected(old)
        assert shown(authorization) == "Bearer tok2"
    assert len(server.requests) == 2


# Renewal ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("life", "leeway"), [(1800, 60), (100, 10)])
def test_a_token_is_renewed_before_it_dies(life: float, leeway: float) -> None:
    """By 60 seconds, or by a tenth of its life where that is less."""
    clock = Clock()
    with Faults(granting(life, clock=clock)) as server:
        authorization = oauth(server, clock=clock)
        assert shown(authorization) == "Bearer tok1"
        clock.now += life - leeway - 1
        assert shown(authorization) == "Bearer tok1"
        clock.now += 2
        assert shown(authorization) == "Bearer tok2"


class Exchange:
    """Tokens given when `go` is set; or an error, where there is one."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.calls = clock, 0
        self.go, self.asked = threading.Event(), threading.Event()
        self.go.set()
        self.error: BaseException | None = None

    def __call__(self) -> tuple[Secret, float]:
        self.calls += 1
        self.asked.set()
        assert self.go.wait(5)
        if self.error:
            raise self.error
        return Secret(f"tok{self.calls}"), self.clock.now + 1800


def test_one_thread_renews_while_the_others_go_on() -> None:
    """While the old token lives nobody waits for the new one but the thread that fetches it."""
    clock = Clock()
    exchange = Exchange(clock)
    tokens = Renewed(exchange, clock=clock)
    assert shown(tokens) == "Bearer tok1"
    clock.now += 1750
    exchange.go.clear()
    exchange.asked.clear()
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(shown, tokens)
        assert exchange.asked.wait(5)
        assert shown(tokens) == "Bearer tok1"
        exchange.go.set()
        assert renewing.result(5) == "Bearer tok2"
    assert shown(tokens) == "Bearer tok2"
    assert exchange.calls == 2


def test_a_failed_renewal_is_no_failure_while_the_token_lives() -> None:
    """The old token is used on, the exchange is tried again a little later, and only a dead token is an error."""
    clock = Clock()
    exchange = Exchange(clock)
    tokens = Renewed(exchange, clock=clock)
    shown(tokens)
    clock.now += 1750
    exchange.error = ServerError("down", status=503)
    assert [shown(tokens) for _ in range(3)] == ["Bearer tok1"] * 3
    assert exchange.calls == 2
    clock.now += 6
    assert shown(tokens) == "Bearer tok1"
    assert exchange.calls == 3
    clock.now += 60
    with pytest.raises(ServerError, match="down"):
        shown(tokens)
    exchange.error = None
    assert shown(tokens) == "Bearer tok5"


def test_a_permanent_failure_is_told_to_everyone_and_asked_once() -> None:
    """64 threads with a wrong key: one exchange, 64 times the same error; ten seconds later it is tried again."""
    clock = Clock()
    exchange = Exchange(clock)
    exchange.error = AuthenticationError("wrong key", "check it", status=401)
    tokens = Renewed(exchange, clock=clock, ticks=clock)

    def ask(_: int) -> RagkitError:
        with pytest.raises(AuthenticationError, match="wrong key") as caught:
            shown(tokens)
        return caught.value

    with ThreadPoolExecutor(64) as pool:
        errors = list(pool.map(ask, range(64)))
    assert exchange.calls == 1
    assert len({id(error) for error in errors}) == 64
    assert {(error.hint, error.status) for error in errors} == {("check it", 401)}
    clock.now += 11
    ask(0)
    assert exchange.calls == 2


def test_a_passing_failure_is_shared_by_those_who_waited() -> None:
    """Eight threads that wait for one exchange get its failure; they do not start eight more."""
    clock = Clock()
    exchange = Exchange(clock)
    exchange.error = ConnectionFailed("no way")
    exchange.go.clear()
    tokens = Renewed(exchange, clock=clock)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(shown, tokens) for _ in range(8)]
        assert exchange.asked.wait(5)
        time.sleep(0.1)
        exchange.go.set()
        assert all(isinstance(each.exception(5), ConnectionFailed) for each in waiting)
    assert exchange.calls == 1


def test_an_interrupted_exchange_is_taken_over() -> None:
    """Ctrl-C in the thread that exchanges does not leave the others waiting for ever."""
    clock = Clock()
    exchange = Exchange(clock)
    exchange.error = KeyboardInterrupt()
    tokens = Renewed(exchange, clock=clock)
    with pytest.raises(KeyboardInterrupt):
        shown(tokens)
    exchange.error = None
    assert shown(tokens) == "Bearer tok2"


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ({"access_token": "t", "expires_at": 1_700_001_800_123}, 1_700_001_800.123),
        ({"access_token": "t", "expires_at": 1_700_001_800}, 1_700_001_800),
        ({"access_token": "t", "expires_at": 1_700_001_800 * 10**9}, 1_700_001_800),
        ({"access_token": "t", "expires_at": 10**400}, math.inf),
        ({"access_token": "t", "expires_in": 10**400}, math.inf),
        ({"access_token": "t", "expires_at": -5, "expires_in": 10**15}, 10**15 + 1_700_000_000),
        ({"tok": "t", "exp": 1_700_001_800}, 1_700_001_800),
        ({"tok": "t", "exp": "1700001800000"}, 1_700_001_800),
        ({"access_token": "t", "expires_in": 1800}, 1_700_001_800),
        ({"access_token": "t"}, float("inf")),
    ],
)
def test_the_end_of_a_token_is_understood_in_every_unit(body: dict[str, object], end: float) -> None:
    """Milliseconds and seconds are told apart by their size; a token without an end lives until it is rejected."""
    import json

    reply = Reply(200, {}, json.dumps(body).encode())
    token, moment = token_in(reply, 1_700_000_000.0)
    assert (token.reveal(), moment) == ("t", end)


def test_a_clock_that_is_wrong_does_not_ask_before_every_call() -> None:
    """Where every new token looks dead already, a token is used for a minute all the same."""
    clock = Clock()
    with Faults(granting(-3600, clock=clock)) as server:
        authorization = oauth(server, clock=clock)
        assert [shown(authorization) for _ in range(5)] == ["Bearer tok1"] * 5
        clock.now += 61
        assert shown(authorization) == "Bearer tok2"


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"access_token": ""}', b'{"access_tok": "secret-token"', b"ok"])
def test_an_answer_without_a_token_is_no_token(body: bytes) -> None:
    """The error quotes nothing of the body: there may be a token in it."""
    with Faults(say(200, raw=body)) as server, pytest.raises(BadResponse) as caught:
        shown(oauth(server))
    assert "secret-token" not in caught.value.message


# Refusals of the exchange -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "status", "code", "message", "hint"),
    [
        (KEY, 401, 7, "scope from db not fully includes consumed scope", "GIGACHAT_API_B2B or GIGACHAT_API_CORP"),
        (KEY, 400, 7, "scope from db not fully includes consumed scope", "GIGACHAT_API_B2B or GIGACHAT_API_CORP"),
        (KEY, 401, 6, "credentials doesn't match db data", "does not know it"),
        (KEY, 400, 1, "scope data format invalid", "GIGACHAT_API_PERS, GIGACHAT_API_B2B"),
        (KEY, 400, 5, "scope is empty", "GIGACHAT_SCOPE"),
        ("eyJhbGciOi.eyJzdWIi.c2lnbmF0", 401, 4, "Can't decode 'Authorization' header", "GIGACHAT_ACCESS_TOKEN"),
        ("A" * 900, 401, 4, "Can't decode 'Authorization' header", "GIGACHAT_ACCESS_TOKEN"),
        ("6b2a4f1e-0c7d-4e53-9a61-2f8d5b7c1e90", 401, 4, "Can't decode 'Authorization' header", "| base64"),
        ("bm90LWEtcGFpcg==", 401, 4, "Can't decode 'Authorization' header", "not base64 of id:secret"),
        (KEY, 403, 0, "forbidden", "GIGACHAT_CREDENTIALS"),
    ],
)
def test_a_refused_exchange_explains_the_common_mistakes(
    key: str, status: int, code: int, message: str, hint: str
) -> None:
    """Every refusal is an AuthenticationError with the service's words and the likely cure, after one call."""
    no = say(status, {"code": code, "message": message})
    with Faults(no) as server, pytest.raises(AuthenticationError, match="answered") as caught:
        shown(oauth(server, key))
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert key not in caught.value.message + caught.value.hint
    assert len(server.requests) == 1


def test_a_busy_token_service_is_asked_again() -> None:
    with Faults(say(429), say(503), granting()) as server:
        assert shown(oauth(server)) == "Bearer tok1"
    assert len(server.requests) == 3


def test_a_failing_token_service_is_not_asked_by_two_layers() -> None:
    """The tries of the exchange are not multiplied by those of the request that needs it."""
    with Faults(say(200, {})) as server:
        server.route(OAUTH, say(503))
        with pytest.raises(ServerError, match="tried 3 times"):
            Http(server.url, oauth(server), slots=Slots(1)).request("GET", "/thing", parse=Reply.json)
    assert len(server.asked(OAUTH)) == 3
    assert not server.asked("/v1/thing")


@pytest.mark.parametrize("key", ["", "  ", "ab cd", "ab\ncd", "Ключ"])
def test_credentials_that_cannot_be_any_are_refused_at_once(key: str) -> None:
    with Faults(granting()) as server, pytest.raises(ConfigError) as caught:
        oauth(server, key)
    assert "GIGACHAT_CREDENTIALS" in caught.value.message
    assert caught.value.hint
    assert not server.requests


# Other ways -------------------------------------------------------------------------------------------------------


def test_a_password_gives_a_token_too() -> None:
    """User and password go as Basic to the token's own path, without a body."""
    with Faults(say(200, {"tok": "t1", "exp": int(time.time()) + 1800})) as server:
        assert shown(PasswordToken(server.url, "user", Secret("пароль"), connect=connect)) == "Bearer t1"
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("POST", "/v1/token", b"")
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode() == "user:пароль"
    assert "rquid" not in request.headers


def test_a_wrong_password_is_named() -> None:
    with Faults(say(401)) as server, pytest.raises(AuthenticationError) as caught:
        shown(PasswordToken(server.url, "user", Secret("secret"), connect=connect))
    assert "GIGACHAT_PASSWORD" in caught.value.hint


def test_a_ready_token_falls_back_to_credentials() -> None:
    """A ready token is used until it is rejected; then credentials take over for good, where there are any."""
    with Faults(granting()) as server:
        authorization = ReadyToken(Secret("ready"), oauth(server))
        first = authorization.header()
        assert shown(authorization) == "Bearer ready"
        assert not server.requests
        assert authorization.rejected(first)
        assert shown(authorization) == "Bearer tok1"
        assert authorization.rejected(first)
        assert shown(authorization) == "Bearer tok1"
        assert authorization.rejected(authorization.header())
        assert shown(authorization) == "Bearer tok2"
    alone = ReadyToken(Secret("ready"))
    assert not alone.rejected(alone.header())
    assert shown(alone) == "Bearer ready"


# Secrets ----------------------------------------------------------------------------------------------------------


def test_what_a_proof_hides_is_known_down_to_the_password() -> None:
    """A service may repeat the header, the key in it, or what the key says: all of these are taken out of its words."""
    parts = Proof(Secret(f"Basic {KEY}")).parts()
    assert {f"Basic {KEY}", KEY, "client-id:client-secret-0123456789", "client-secret-0123456789"} <= set(parts)
    assert Proof(Secret("")).parts() == ()
