"""One request to one service, whatever the service does: finished, or ended with an error that says what happened."""

from __future__ import annotations

import base64
import gc
import json
import logging
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from faults import Answer, Faults, Request, bomb, cut, drip, either, events, hang, reset, say, stream, vanish

from ragkit.errors import (
    ApiError,
    AuthenticationError,
    BadResponse,
    ConfigError,
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    ProviderError,
    RagkitError,
    RateLimited,
    ServerError,
    StreamInterrupted,
    TooLarge,
    UnreadableDocument,
)
from ragkit.providers.authorization import ApiKey, Proof
from ragkit.providers.http import Http, Reply, Timeouts
from ragkit.providers.retry import Retry
from ragkit.providers.slots import Slots
from ragkit.secret import Secret

KEY = "sk-very-secret-key-0123456789"
FINE = {"answer": "Залог возвращается"}


class Clock:
    """Time that passes only in sleep; the sleeps are written down."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(server: Faults, clock: Clock, *, slots: int = 4, **more: Any) -> Http:
    more.setdefault("authorization", ApiKey(Secret(KEY)))
    more.setdefault("retry", Retry(uniform=lambda _, high: high))
    return Http(server.url, slots=Slots(slots), clock=clock, sleep=clock.sleep, **more)


def get(http: Http, **more: Any) -> Any:
    return http.request("GET", "/thing", parse=Reply.json, **more)


# What is sent -----------------------------------------------------------------------------------------------------


def test_a_request_carries_json_key_and_headers(clock: Clock) -> None:
    """JSON goes out as UTF-8, not as escapes; the key and the headers of service and request go with it."""
    with Faults(say(200, FINE)) as server:
        http = opened(server, clock, headers={"X-Folder": "b1g", "User-Agent": "mine"})
        value = http.request("POST", "/chat", json={"q": "сроки"}, headers={"X-Session-ID": "7"}, parse=Reply.json)
    assert value == FINE
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("POST", "/v1/chat", '{"q":"сроки"}'.encode())
    wanted = {
        "authorization": f"Bearer {KEY}",
        "content-type": "application/json",
        "accept-encoding": "identity",
        "x-folder": "b1g",
        "x-session-id": "7",
        "user-agent": "mine",
        "host": f"127.0.0.1:{server.port}",
    }
    assert wanted.items() <= request.headers.items()


def test_a_slash_at_the_end_of_the_address_is_tolerated(clock: Clock) -> None:
    """base_url may end in a slash; a path may hold Russian letters, a query and what is escaped already."""
    with Faults(say(200, FINE)) as server:
        http = Http(server.url + "/", ApiKey(Secret("")), slots=Slots(1), clock=clock)
        http.request("GET", "/files/а?x=%2F&y=1", parse=Reply.json)
    assert server.requests[0].path == "/v1/files/%D0%B0?x=%2F&y=1"
    assert "authorization" not in server.requests[0].headers


def test_a_form_is_urlencoded(clock: Clock) -> None:
    with Faults(say(200, FINE)) as server:
        opened(server, clock).request("POST", "", form={"scope": "A B"}, parse=Reply.json)
    request = server.requests[0]
    assert (request.path, request.body) == ("/v1", b"scope=A+B")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


def test_connections_are_kept_open(clock: Clock) -> None:
    """Ten requests in a row go over one connection."""
    with Faults(say(200, FINE)) as server:
        http = opened(server, clock)
        for _ in range(10):
            get(http)
    assert (server.connections, len(server.requests)) == (1, 10)


@pytest.mark.parametrize("name", ["X-Session-ID", "X-Кириллица"])
def test_a_header_that_cannot_be_sent_is_refused(clock: Clock, name: str) -> None:
    """A line break or a Cyrillic letter in a header is refused before anything is sent, without showing the value."""
    with Faults(say(200, FINE)) as server, pytest.raises(ConfigError) as caught:
        get(opened(server, clock), headers={name: f"{KEY}\r\nX-Evil: 1"})
    assert KEY not in str(caught.value)
    assert not server.requests


# What is tried again ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529])
def test_a_passing_status_is_tried_again(clock: Clock, status: int) -> None:
    with Faults(say(status), say(200, FINE)) as server:
        assert get(opened(server, clock)) == FINE
    assert len(server.requests) == 2


@pytest.mark.parametrize("fault", [vanish, reset, cut(FINE), say(200, raw=b'{"answer": "Res')])
def test_a_broken_answer_is_asked_for_again(clock: Clock, fault: Answer) -> None:
    """No answer, half of one, and one that is no JSON each cost one more try."""
    with Faults(fault, say(200, FINE)) as server:
        assert get(opened(server, clock)) == FINE
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidRequest), (402, PaymentRequired), (404, NotFound), (413, TooLarge), (422, InvalidRequest)],
)
def test_a_refusal_is_final(clock: Clock, status: int, kind: type[ApiError]) -> None:
    """What is wrong with the request will be wrong again."""
    with Faults(say(status, {"status": status, "message": "No such model"})) as server, pytest.raises(kind) as caught:
        get(opened(server, clock))
    assert len(server.requests) == 1
    assert caught.value.status == status
    assert "No such model" in caught.value.message
    assert caught.value.hint


def test_delays_grow_and_tries_end(clock: Clock) -> None:
    """Six tries, with 0.25, 0.5, 1, 2 and 4 seconds at most between them; the error says how many there were."""
    with Faults(say(503)) as server, pytest.raises(ServerError, match="tried 6 times"):
        get(opened(server, clock))
    assert len(server.requests) == 6
    assert clock.slept == [0.25, 0.5, 1, 2, 4]


def test_an_answer_that_is_never_json_is_asked_for_twice(clock: Clock) -> None:
    """A body that cannot be parsed is worth one more try, not six; the error quotes nothing of it."""
    page = b"<html><title>Login</title> secret-of-the-page</html>"
    with Faults(say(200, raw=page, content_type="text/html")) as server, pytest.raises(BadResponse) as caught:
        get(opened(server, clock))
    assert len(server.requests) == 2
    assert "text/html" in caught.value.message
    assert "secret-of-the-page" not in caught.value.message


def test_a_success_is_never_repeated(clock: Clock) -> None:
    """What goes wrong in the caller's own code after the answer is not a reason to ask again."""

    def parse(_: Reply) -> None:
        raise KeyError("a mistake of the caller")

    with Faults(say(200, FINE)) as server, pytest.raises(KeyError):
        opened(server, clock).request("GET", "/thing", parse=parse)
    assert len(server.requests) == 1


def test_an_error_with_status_200_counts_by_what_it_says(clock: Clock) -> None:
    """A 429 inside a success takes a slot away and is tried again, as if the service had said so at once."""
    slots = Slots(4)
    busy, gone = (
        {"error": {"code": 429, "message": "upstream is busy"}},
        {"error": {"code": 404, "message": "no model"}},
    )
    with Faults(say(200, busy), say(200, FINE)) as server:
        http = Http(server.url, ApiKey(Secret(KEY)), slots=slots, clock=clock, sleep=clock.sleep)
        assert get(http) == FINE
    assert (len(server.requests), slots.current) == (2, 2)
    with Faults(say(200, gone)) as server, pytest.raises(NotFound, match="no model"):
        get(opened(server, clock))
    assert len(server.requests) == 1


def test_a_parser_may_refuse_an_answer_by_itself(clock: Clock) -> None:
    """What it raises counts as if the service had said it; bytes that are no JSON to the parser are not judged."""
    said: list[bytes] = []

    def parse(reply: Reply) -> bytes:
        said.append(reply.body)
        if len(said) == 1:
            raise RateLimited("inside", status=429)
        return reply.body

    with Faults(say(200, {"error": "a file about errors"})) as server:
        assert opened(server, clock).request("GET", "/thing", parse=parse) == b'{"error": "a file about errors"}'
    assert len(server.requests) == 2


def test_a_text_that_is_too_long_stays_too_long(clock: Clock) -> None:
    """llama.cpp says 500 to it: no pause and no second try will make it shorter."""
    long = {"error": {"code": 500, "message": "input is too large to process. increase the physical batch size"}}
    with Faults(say(500, long)) as server, pytest.raises(TooLarge):
        get(opened(server, clock))
    assert len(server.requests) == 1
    assert not clock.slept


# What costs is not paid twice ---------------------------------------------------------------------------------------


def bought(http: Http) -> Any:
    return http.request("POST", "/chat", json={"q": "сроки"}, parse=Reply.json, costly=True)


@pytest.mark.parametrize("fault", [hang, vanish, reset, cut(FINE)])
def test_what_costs_is_not_asked_for_again_when_its_answer_is_lost(clock: Clock, fault: Answer) -> None:
    """The service had the whole request: it may have served and billed it, so only the caller can ask again."""
    with Faults(fault, say(200, FINE)) as server, pytest.raises(ConnectionFailed) as caught:
        bought(opened(server, clock, timeouts=Timeouts(read=0.05, costly=0.1)))
    assert len(server.requests) == 1
    assert "may have been served" in caught.value.hint


@pytest.mark.parametrize("fault", [say(429), say(500), say(503), say(200, raw=b"{half")])
def test_what_costs_is_asked_for_again_after_an_answer(clock: Clock, fault: Answer) -> None:
    """A refusal costs nothing; an answer that is no JSON is worth a second try."""
    with Faults(fault, say(200, FINE)) as server:
        assert bought(opened(server, clock)) == FINE
    assert len(server.requests) == 2


def test_what_costs_is_tried_again_where_nobody_listens(clock: Clock) -> None:
    with Faults() as server:
        http = opened(server, clock, retry=Retry(tries=3))
    with pytest.raises(ConnectionFailed, match="tried 3 times") as caught:
        bought(http)
    assert "served" not in caught.value.hint


def test_what_costs_is_tried_again_where_the_service_never_had_it_whole(clock: Clock) -> None:
    """A connection that breaks while the request is still on its way has bought nothing."""
    broken = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            first, _ = listener.accept()
            with first:
                first.recv(1000)
                first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            broken.set()
            second, _ = listener.accept()
            with second:
                while not second.recv(1 << 20).endswith(b'"}'):
                    pass
                second.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        serving = pool.submit(serve)
        http = Http(
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            ApiKey(Secret("")),
            slots=Slots(1),
            clock=clock,
            sleep=clock.sleep,
        )
        assert http.request("POST", "/", json={"q": "x" * (20 << 20)}, parse=Reply.json, costly=True) == {}
        serving.result(5)
    assert broken.is_set()


def test_an_answer_that_costs_is_waited_for_longer(clock: Clock) -> None:
    """Longer than the usual silence, and longer than the usual time for a request; pauses do not get longer."""
    with Faults(say(200, FINE, wait=0.3)) as server:
        http = opened(server, clock, timeouts=Timeouts(read=0.05, total=0.1, costly=5.0))
        assert bought(http) == FINE
    with Faults(say(429, retry_after="100")) as server, pytest.raises(RateLimited):
        bought(opened(server, clock, timeouts=Timeouts(total=60, costly=600)))
    assert not clock.slept


# Retry-After and the deadline -------------------------------------------------------------------------------------


def test_retry_after_is_waited_for(clock: Clock) -> None:
    with Faults(say(429, retry_after="3"), say(200, FINE)) as server:
        get(opened(server, clock))
    assert clock.slept == [3.25]


def test_retry_after_may_be_a_date(clock: Clock) -> None:
    with Faults(say(503, retry_after=formatdate(time.time() + 30, usegmt=True)), say(200, FINE)) as server:
        get(opened(server, clock))
    assert 28 < clock.slept[0] < 31


def test_a_wait_of_a_day_ends_at_once(clock: Clock) -> None:
    """Who asks for a day is not waited for: the error says how long it would be."""
    with Faults(say(429, retry_after="86400")) as server, pytest.raises(RateLimited, match="86400") as caught:
        get(opened(server, clock))
    assert len(server.requests) == 1
    assert not clock.slept
    assert caught.value.retry_after == 86400


def test_waits_end_with_the_time_for_the_request(clock: Clock) -> None:
    """Waits of 50 s, three of which would pass 120 s, are made twice."""
    with Faults(say(429, retry_after="50")) as server, pytest.raises(RateLimited):
        get(opened(server, clock))
    assert len(server.requests) == 3
    assert sum(clock.slept) < 120


def test_silence_ends_with_a_timeout(clock: Clock) -> None:
    with Faults(hang) as server, pytest.raises(ConnectionFailed, match=r"silent for 0.1 s \(tried 2 times\)"):
        get(opened(server, clock, timeouts=Timeouts(read=0.1), retry=Retry(tries=2)))


@pytest.mark.parametrize("head", [False, True])
def test_a_dripping_answer_ends_with_the_time_for_the_request(head: bool) -> None:
    """A byte every 20 ms keeps every single wait short; the whole must be over in time all the same."""
    began = time.monotonic()
    with Faults(drip(0.02, head=head)) as server, pytest.raises(ConnectionFailed, match=r"did not finish.* 0\.[34]"):
        get(Http(server.url, ApiKey(Secret("")), slots=Slots(1), timeouts=Timeouts(total=0.4)))
    assert time.monotonic() - began < 5
    assert len(server.requests) == 1


# What is refused --------------------------------------------------------------------------------------------------


def test_a_packed_body_is_refused_before_it_is_unpacked(clock: Clock) -> None:
    """Twenty megabytes in twenty kilobytes: nobody asked for gzip, so nobody unpacks it."""
    with Faults(bomb(20)) as server, pytest.raises(BadResponse, match="gzip"):
        get(opened(server, clock))
    assert len(server.requests) == 1


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_has_a_largest_size(clock: Clock, announced: bool) -> None:
    """An endless body is left off at the cap, whether its length was announced or not."""
    body = say(200, raw=b" " * 5000) if announced else stream(b" " * 3000, b" " * 3000)
    with Faults(body) as server, pytest.raises(BadResponse, match="4000"):
        get(opened(server, clock), most=4000)
    assert len(server.requests) == 1


def test_redirects_are_not_followed(clock: Clock) -> None:
    """The key does not go where a redirect points; the error names the host, and nothing of the path."""
    away = say(307, location="https://elsewhere.example/login?token=1")
    with Faults(away) as server, pytest.raises(ApiError, match=r"elsewhere\.example") as caught:
        get(opened(server, clock))
    assert "token" not in caught.value.message
    assert "base_url" in caught.value.hint
    assert len(server.requests) == 1


def test_a_web_page_is_told_by_its_title(clock: Clock) -> None:
    page = b"<html><head><title>502 Bad &amp; Gateway</title></head><body>long\nstory</body></html>"
    with Faults(say(502, raw=page, content_type="text/html")) as server, pytest.raises(ServerError) as caught:
        get(opened(server, clock, retry=Retry(tries=1)))
    assert "502 Bad & Gateway" in caught.value.message
    assert "story" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://api.example/v1", "unencrypted"),
        ("https://user:hunter2@api.example/v1", "api.example"),
        ("ftp://api.example", "ftp"),
        ("api.example/v1", "base_url"),
        ("https://api.example:port/", "base_url"),
        ("https://api.example/v1?x=1", "query"),
    ],
)
def test_a_bad_address_is_refused_at_once(url: str, words: str) -> None:
    """Nothing is sent, and a password in an address is not repeated."""
    with pytest.raises(ConfigError, match=words) as caught:
        Http(url, ApiKey(Secret(KEY)), slots=Slots(1))
    assert caught.value.hint
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://[::1]:1", "http://localhost", "http://me.localhost"])
def test_a_key_may_stay_on_this_machine(url: str) -> None:
    Http(url, ApiKey(Secret(KEY)), slots=Slots(1))


def test_plain_http_needs_an_empty_key() -> None:
    """A server in the local network without a key is fine; a key in an extra header is a key too."""
    Http("http://gpu.example:8000/v1", ApiKey(Secret("")), slots=Slots(1))
    with pytest.raises(ConfigError, match="unencrypted"):
        Http("http://gpu.example/v1", ApiKey(Secret("")), slots=Slots(1), headers={"X-Api-Key": KEY})


def test_nobody_listens(clock: Clock) -> None:
    with Faults() as server:
        http = opened(server, clock, retry=Retry(tries=2))
    with pytest.raises(ConnectionFailed, match="refuses connections") as caught:
        get(http)
    assert type(caught.value) is ConnectionFailed
    assert "running" in caught.value.hint


# 401 --------------------------------------------------------------------------------------------------------------


class Tokens:
    """An authorization that has a new token each time one is rejected."""

    empty = False

    def __init__(self) -> None:
        self.generation = 1
        self.told: list[int] = []

    def header(self) -> Proof:
        return Proof(Secret(f"Bearer token-{self.generation}"), self.generation)

    def rejected(self, proof: Proof) -> bool:
        self.told.append(proof.generation)
        self.generation += 1
        return True


def test_a_revoked_token_heals_itself_once(clock: Clock) -> None:
    """A 401 brings a new token and one replay, at once, whatever the number of tries."""
    tokens = Tokens()
    with Faults(say(401, {"status": 401, "message": "Token has expired"}), say(200, FINE)) as server:
        assert get(opened(server, clock, authorization=tokens, retry=Retry(tries=1))) == FINE
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer token-1", "Bearer token-2"]
    assert tokens.told == [1]
    assert not clock.slept


def test_a_second_401_is_final(clock: Clock) -> None:
    tokens = Tokens()
    with Faults(say(401)) as server, pytest.raises(AuthenticationError):
        get(opened(server, clock, authorization=tokens))
    assert len(server.requests) == 2
    assert tokens.told == [1]


def test_a_key_is_not_tried_twice(clock: Clock) -> None:
    with Faults(say(401)) as server, pytest.raises(AuthenticationError):
        get(opened(server, clock))
    assert len(server.requests) == 1


# Slots ------------------------------------------------------------------------------------------------------------


def test_slots_are_never_exceeded(clock: Clock) -> None:
    """Twelve threads, three slots: three requests at once, not four."""
    with Faults(say(200, FINE, wait=0.02)) as server, ThreadPoolExecutor(12) as pool:
        http = opened(server, clock, slots=3)
        list(pool.map(lambda _: get(http), range(24)))
    assert server.most == 3
    assert server.connections <= 3


def test_a_429_takes_slots_away(clock: Clock) -> None:
    slots = Slots(8)
    with Faults(say(429), say(200, FINE)) as server:
        get(Http(server.url, ApiKey(Secret(KEY)), slots=slots, clock=clock, sleep=clock.sleep))
    assert slots.current == 4


def test_the_slot_is_free_while_parsing_and_while_waiting(clock: Clock) -> None:
    """The slot covers what the service sees of a request: neither the parser nor the wait before a try."""
    slots = Slots(1)
    busy: list[int] = []

    def parse(_: Reply) -> None:
        busy.append(slots.busy)

    def sleep(_: float) -> None:
        busy.append(slots.busy)

    with Faults(say(500), say(200, FINE)) as server:
        http = Http(server.url, ApiKey(Secret(KEY)), slots=slots, clock=clock, sleep=sleep)
        http.request("GET", "/thing", parse=parse)
    assert busy == [0, 0]


def test_waiting_for_a_slot_is_not_charged(clock: Clock) -> None:
    """The time for a request begins to run when it may be sent: who queues behind a long stream is not punished."""
    slots = Slots(1)
    with Faults(say(200, FINE)) as server:
        http = Http(server.url, ApiKey(Secret(KEY)), slots=slots, clock=clock, timeouts=Timeouts(total=5))
        with ThreadPoolExecutor(1) as pool:
            with slots.hold():
                later = pool.submit(get, http)
                time.sleep(0.05)
                clock.now += 600
            assert later.result() == FINE


# Streams ----------------------------------------------------------------------------------------------------------


def read(http: Http) -> list[str]:
    with http.events("/chat", json={"stream": True}) as found:
        return list(found)


def test_a_stream_gives_its_events(clock: Clock) -> None:
    """Data by data, whatever the packets; the request asks for a stream, and the reply's id is at hand."""
    whole = b"".join(events('{"text": "Залог"}', "[DONE]"))
    packets = [whole[at : at + 5] for at in range(0, len(whole), 5)]
    with Faults(stream(*packets)) as server:
        assert read(opened(server, clock)) == ['{"text": "Залог"}', "[DONE]"]
    assert server.requests[0].headers["accept"] == "text/event-stream"


def until(http: Http, last: str) -> list[str]:
    found = []
    with http.events("/chat", json={}) as told:
        for each in told:
            found.append(each)
            if each == last:
                break
    return found


def test_a_stream_that_was_read_to_its_mark_keeps_its_connection(clock: Clock) -> None:
    """What follows the last event that a reader wants is only the end of the body: it is read too."""
    with Faults(stream(*events("a", "[DONE]"))) as server:
        http = opened(server, clock)
        for _ in range(3):
            assert until(http, "[DONE]") == ["a", "[DONE]"]
    assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.parametrize(
    "rest", [stream(*events("a", "[DONE]"), then=hang), stream(*events("a", "[DONE]", "x" * 99_999))]
)
def test_a_stream_that_goes_on_after_its_mark_is_left(clock: Clock, rest: Answer) -> None:
    """Neither silence nor any number of bytes is waited for; the next stream has a connection of its own."""
    with Faults(rest) as server:
        http = opened(server, clock)
        for _ in range(2):
            assert until(http, "[DONE]") == ["a", "[DONE]"]
    assert (server.connections, len(server.requests)) == (2, 2)


def test_a_stream_is_begun_again_before_its_first_event_only(clock: Clock) -> None:
    """A 500, a reset and a stream without an event are tried again."""
    with Faults(say(500), reset, stream(), stream(*events("a", "b"))) as server:
        assert read(opened(server, clock)) == ["a", "b"]
    assert len(server.requests) == 4


def test_a_stream_that_breaks_is_not_repeated(clock: Clock) -> None:
    """Nothing that was said is said again: what had come has come, and then the error."""
    with Faults(stream(*events("a", "b"), end=False), stream(*events("a", "b", "c"))) as server:
        http = opened(server, clock)
        with http.events("/chat", json={}) as found:
            assert [next(found), next(found)] == ["a", "b"]
            with pytest.raises(StreamInterrupted):
                next(found)
    assert len(server.requests) == 1


def test_a_stalled_stream_ends(clock: Clock) -> None:
    """Silence after an event ends in its time."""
    with Faults(stream(*events("a"), then=hang)) as server:
        http = opened(server, clock, timeouts=Timeouts(event=0.1))
        with http.events("/chat", json={}) as found:
            assert next(found) == "a"
            with pytest.raises(StreamInterrupted, match=r"0\.1 s"):
                next(found)


def test_a_stream_that_drips_ends_but_one_that_gives_signs_of_life_goes_on(clock: Clock) -> None:
    """Bytes that never become an event do not count as life; comments do, and so do events."""
    timeouts = Timeouts(event=0.15)
    with Faults(stream(*[b"d"] * 40, wait=0.02)) as server, pytest.raises(ConnectionFailed, match="no whole event"):
        read(opened(server, clock, timeouts=timeouts, retry=Retry(tries=1)))
    alive = [*events("a"), *[b": still thinking\n"] * 15, *events("b")]
    with Faults(stream(*alive, wait=0.02)) as server:
        assert read(opened(server, clock, timeouts=timeouts)) == ["a", "b"]


def test_an_error_event_is_an_error(clock: Clock) -> None:
    """An event called error is the service's no; one that is only data is for the format to judge."""
    said = b'event: error\ndata: {"error": {"message": "overloaded", "code": 503}}\n\n'
    with Faults(stream(*events("a"), said)) as server:
        http = opened(server, clock)
        with http.events("/chat", json={}) as found:
            assert next(found) == "a"
            with pytest.raises(ServerError, match="overloaded"):
                next(found)
    assert len(server.requests) == 1


def test_a_stream_that_begins_with_an_error_is_tried_again(clock: Clock) -> None:
    """Gateways say 200 and then that the service behind them is busy: a refusal that came late, but before any text."""
    busy = stream(*events('{"error": {"code": 429, "message": "Rate limited upstream"}}', "[DONE]"))
    slots = Slots(4)
    with Faults(busy, stream(*events("a"))) as server:
        http = Http(server.url, ApiKey(Secret(KEY)), slots=slots, clock=clock, sleep=clock.sleep)
        assert read(http) == ["a"]
    assert (len(server.requests), slots.current) == (2, 2)
    with Faults(stream(*events('{"status": 422, "message": "no functions"}'))) as server:
        with pytest.raises(InvalidRequest, match="no functions"):
            read(opened(server, clock))
        assert len(server.requests) == 1


def test_json_in_the_place_of_a_stream(clock: Clock) -> None:
    """An error with status 200 is told as one; an answer that is no stream is named as that."""
    with Faults(say(200, {"error": {"message": "bad model", "code": 404}})) as server, pytest.raises(NotFound):
        read(opened(server, clock))
    with Faults(say(200, {"choices": []})) as server, pytest.raises(BadResponse, match="not a stream"):
        read(opened(server, clock))
    assert len(server.requests) == 1


def test_a_refused_stream_says_why(clock: Clock) -> None:
    unpaid = say(402, {"status": 402, "message": "Payment Required"})
    with Faults(unpaid) as server, pytest.raises(PaymentRequired, match="Payment Required"):
        read(opened(server, clock))


def endings() -> dict[str, Any]:
    def closed_early(http: Http) -> None:
        with http.events("/chat", json={}) as found:
            next(found)

    def by_exception(http: Http) -> None:
        with pytest.raises(ZeroDivisionError), http.events("/chat", json={}) as found:
            len(next(found)) / 0

    def collected(http: Http) -> None:
        def pieces() -> Iterator[str]:
            with http.events("/chat", json={}) as found:
                yield from found

        generator = pieces()
        next(generator)
        del generator
        gc.collect()

    def by_the_end(http: Http) -> None:
        with http.events("/chat", json={}) as found:
            list(found)

    return {each.__name__: each for each in (closed_early, by_exception, collected, by_the_end)}


@pytest.mark.parametrize("ending", endings().values(), ids=endings().keys())
def test_a_stream_holds_its_slot_to_its_end(clock: Clock, ending: Any) -> None:
    """However a stream ends, its slot is free after that, and the next stream gets it."""
    slots = Slots(1)
    with Faults(stream(*events("a", "b"))) as server:
        http = Http(server.url, ApiKey(Secret(KEY)), slots=slots, clock=clock)
        with http.events("/chat", json={}) as found:
            next(found)
            assert slots.busy == 1
        ending(http)
        assert slots.busy == 0
        assert read(http) == ["a", "b"]


def test_streams_and_requests_share_the_slots(clock: Clock) -> None:
    """One slot: a request from another thread waits until the stream is closed."""
    with Faults(stream(*events("a"), then=hang)) as server, ThreadPoolExecutor(1) as pool:
        server.route("/v1/thing", say(200, FINE))
        http = opened(server, clock, slots=1)
        with http.events("/chat", json={}) as found:
            next(found)
            later = pool.submit(get, http)
            time.sleep(0.05)
            assert not server.asked("/v1/thing")
        assert later.result(5) == FINE


def test_a_request_inside_a_stream_of_the_same_thread_is_told_off(clock: Clock) -> None:
    """With one slot it would wait for ever; with two it is answered. The stream goes on as if nothing had been."""
    with Faults(stream(*events("a", "b"))) as server:
        server.route("/v1/thing", say(200, FINE))
        http = opened(server, clock, slots=1)
        with http.events("/chat", json={}) as found:
            assert next(found) == "a"
            with pytest.raises(ConfigError, match="still streaming in this thread"):
                get(http)
            assert next(found) == "b"
        roomy = opened(server, clock, slots=2)
        with roomy.events("/chat", json={}) as found:
            assert get(roomy) == FINE
        assert get(http) == FINE


def test_close_ends_the_wait_for_a_slot(clock: Clock) -> None:
    """A stream was begun and forgotten: who waits for its slot is let go by close."""
    with Faults(stream(*events("a"), then=hang)) as server, ThreadPoolExecutor(1) as pool:
        http = opened(server, clock, slots=1)
        with http.events("/chat", json={}) as found:
            next(found)
            waiting = pool.submit(get, http)
            time.sleep(0.05)
            http.close()
            assert isinstance(waiting.exception(5), ConnectionFailed)


# Upload -----------------------------------------------------------------------------------------------------------


def test_a_file_goes_up_from_disk(clock: Clock, tmp_path: Path) -> None:
    """The purpose comes before the file, the name is UTF-8, and a second try sends all of it again."""
    file = tmp_path / "x.txt"
    file.write_bytes(b"line\r\n" * 100_000)
    with Faults(say(503), say(200, {"id": "f1"})) as server:
        value = opened(server, clock).upload(
            "/files",
            fields={"purpose": "general"},
            file=file,
            name='Договор "1".txt',
            media_type="text/plain",
            parse=Reply.json,
        )
    assert value == {"id": "f1"}
    first, second = server.requests
    assert first.body == second.body
    boundary = first.headers["content-type"].removeprefix("multipart/form-data; boundary=")
    none, purpose, content, end = first.body.split(b"--" + boundary.encode())
    assert (none, end) == (b"", b"--\r\n")
    assert purpose == b'\r\nContent-Disposition: form-data; name="purpose"\r\n\r\ngeneral\r\n'
    head, _, body = content.partition(b"\r\n\r\n")
    assert 'filename="Договор %221%22.txt"'.encode() in head
    assert body == file.read_bytes() + b"\r\n"


@pytest.mark.parametrize("fault", [say(500), say(502), say(504), vanish, cut({"id": "f1"}), say(200, raw=b"{")])
def test_a_file_that_may_be_there_is_not_sent_again(clock: Clock, tmp_path: Path, fault: Answer) -> None:
    """Whoever lost the answer may have kept the file: a second one would be nobody's."""
    file = tmp_path / "x.txt"
    file.write_bytes(b"x" * 1000)
    with Faults(fault, say(200, {"id": "f1"})) as server, pytest.raises(ProviderError):
        opened(server, clock).upload(
            "/files", fields={}, file=file, name="x.txt", media_type="text/plain", parse=Reply.json
        )
    assert len(server.requests) == 1


def test_a_file_that_shrinks_while_it_is_sent_is_named(clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_bytes(b"x" * 1000)

    def shrinks(_: Request) -> Answer:
        file.write_bytes(b"x")
        return say(503)

    with Faults(either(shrinks)) as server, pytest.raises(UnreadableDocument, match=r"x\.txt changed"):
        opened(server, clock).upload(
            "/files", fields={}, file=file, name="x.txt", media_type="text/plain", parse=Reply.json
        )
    with pytest.raises(UnreadableDocument, match=r"none\.txt"):
        opened(server, clock).upload(
            "/files", fields={}, file=tmp_path / "none.txt", name="x", media_type="text/plain", parse=Reply.json
        )


# Leaving ----------------------------------------------------------------------------------------------------------


def test_close_wakes_who_waits() -> None:
    """A thread that waits for an answer, and one that waits before its next try, end at once."""
    with Faults(hang) as server, ThreadPoolExecutor(2) as pool:
        server.route("/v1/later", say(503, retry_after="100"))
        http = Http(server.url, ApiKey(Secret(KEY)), slots=Slots(2))
        one = pool.submit(get, http)
        two = pool.submit(http.request, "GET", "/later", parse=Reply.json)
        while len(server.requests) < 2:
            time.sleep(0.01)
        time.sleep(0.05)
        http.close()
        assert isinstance(one.exception(5), ConnectionFailed)
        assert isinstance(two.exception(5), ServerError)
        with pytest.raises(ConnectionFailed, match="closed"):
            get(http)


def test_many_threads_share_one_door(clock: Clock) -> None:
    """Each thread gets the answer to its own question."""

    def echo(request: Request) -> Answer:
        return say(200, json.loads(request.body))

    with Faults(either(echo)) as server, ThreadPoolExecutor(16) as pool:
        http = opened(server, clock, slots=8)
        asked = list(range(200))
        got = pool.map(lambda n: http.request("POST", "/echo", json={"n": n}, parse=Reply.json)["n"], asked)
        assert list(got) == asked


INTERRUPTED = """
import os, signal, sys, threading
from ragkit.providers.authorization import ApiKey
from ragkit.providers.http import Http, Reply
from ragkit.providers.slots import Slots
from ragkit.secret import Secret
slots = Slots(1)
http = Http(sys.argv[1], ApiKey(Secret("")), slots=slots)
held = slots.hold()
if sys.argv[2] == "slot":
    held.__enter__()
threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
try:
    http.request("GET", "/thing", parse=Reply.json)
except KeyboardInterrupt:
    http.close()
    print("interrupted", slots.busy)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent another way there")
@pytest.mark.parametrize(
    ("waits_for", "answer"), [("slot", hang), ("answer", hang), ("retry", say(503, retry_after="99"))]
)
def test_ctrl_c_ends_every_wait(waits_for: str, answer: Answer) -> None:
    """For a slot, for an answer, and before the next try: the interrupt comes through, and nothing stays busy."""
    with Faults(answer) as server:
        command = [sys.executable, "-c", INTERRUPTED, server.url, waits_for]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.stdout.split() == ["interrupted", "1" if waits_for == "slot" else "0"], done.stderr
    assert done.stderr == ""


def test_who_forgets_to_close_leaves_nothing_open(clock: Clock) -> None:
    """Connections are closed with the last reference to their door, without a warning."""
    with Faults(say(200, FINE)) as server:
        http = opened(server, clock)
        get(http)
        del http
        for _ in range(100):
            if server.closed == 1:
                break
            time.sleep(0.01)
        assert server.closed == 1


# Secrets ----------------------------------------------------------------------------------------------------------


def tell(request: Request) -> Answer:
    """A service that repeats whatever it was sent, in its words, its headers and its address for a redirect."""
    said = f"you sent {request.headers} {request.body!r}"
    status = int(request.path.rpartition("/")[2])
    return say(status, {"error": {"message": said, "code": KEY}}, x_request_id=KEY, location=f"https://{KEY}@x/{KEY}")


def everything(error: BaseException) -> str:
    """All that an error shows, its causes too."""
    return "\n".join([str(error), repr(error), repr(error.__dict__), *traceback.format_exception(error)])


def variables(error: BaseException) -> str:
    """The variables of our frames, as some reporters of crashes show them."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    return "\n".join(str(frame.locals) for frame in frames if "ragkit" in Path(frame.filename).parts)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 413, 422, 429, 500])
def test_a_secret_is_never_shown(clock: Clock, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Not in an error, its causes or our log, even where the service repeats it."""
    basic = base64.b64encode(f"client:{KEY}".encode()).decode()
    with Faults(either(tell)) as server, caplog.at_level(logging.DEBUG, "ragkit"):
        http = opened(server, clock, authorization=ApiKey(Secret(basic), "Basic"), headers={"X-Api-Key": KEY})
        with pytest.raises(RagkitError) as caught:
            http.request("POST", f"/{status}", json={"text": "any"}, parse=Reply.json)
        # The library logs at DEBUG the headers of a reply, which hold a key where the service repeats it there.
        ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("ragkit"))
        everywhere = everything(caught.value) + ours + repr(http) + repr(http.__dict__.get("_authorization"))
    assert KEY not in everywhere
    assert basic not in everywhere


@pytest.mark.parametrize("fault", [vanish, reset, hang, cut(FINE), drip(0.01), say(200, raw=b"no"), bomb(1)])
def test_a_broken_connection_shows_no_secret(clock: Clock, fault: Answer, caplog: pytest.LogCaptureFixture) -> None:
    """The library's exceptions hold the request with its key; ours stand alone, with no secret in any variable."""
    with Faults(fault) as server, caplog.at_level(logging.DEBUG):
        http = opened(server, clock, timeouts=Timeouts(read=0.1, total=0.3), retry=Retry(tries=1))
        with pytest.raises(RagkitError) as caught:
            get(http)
    assert KEY not in everything(caught.value) + variables(caught.value) + caplog.text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_error_inside_a_stream_shows_no_secret(clock: Clock) -> None:
    """What the caller makes of an event inside the block is looked through as well."""

    def ask(http: Http) -> None:
        with http.events("/chat", json={}) as found:
            raise ServerError(f"you sent {KEY} for {next(found)}", status=500)

    with Faults(stream(*events("a"))) as server, pytest.raises(ServerError) as caught:
        ask(opened(server, clock))
    assert caught.value.message == "you sent *** for a"
    assert KEY not in everything(caught.value)


def test_a_secret_is_in_no_cause_either(clock: Clock) -> None:
    """An error of ours behind an error is looked through too; one that is not ours may quote anything, and is cut."""

    def ask(http: Http) -> None:
        with http.events("/chat", json={}) as found:
            try:
                json.loads(f"{next(found)} {KEY}")
            except ValueError as error:
                refused = ServerError(f"you sent {KEY}", KEY, status=500)
                refused.__cause__ = error
                raise StreamInterrupted("it broke", partial="a") from refused

    with Faults(stream(*events("a"))) as server, pytest.raises(StreamInterrupted) as caught:
        ask(opened(server, clock))
    cause = caught.value.__cause__
    assert isinstance(cause, ServerError)
    assert (cause.message, cause.hint, cause.__cause__) == ("you sent ***", "***", None)
    assert KEY not in everything(caught.value)
