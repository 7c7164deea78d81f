"""Every fault of the table does what the table says, and the page about it says the same."""

from __future__ import annotations

import base64
import email.utils
import http.client
import json
import re
import struct
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ragkit.sandbox import FAULTS, Sandbox

DOCS = Path(__file__).parents[2] / "docs" / "sandbox.md"


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    broken: bool = False

    @property
    def json(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def vectors(self) -> list[dict[str, object]]:
        found = self.json["data"]
        assert isinstance(found, list)
        return found


class Caller:
    """Sends requests that meet faults, each on a connection of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.bearer = ""
        self.bearer = str(self.oauth().json["access_token"])

    def __call__(self, path: str, body: object, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(self.sandbox.url).port or 0, timeout=10)
        sent = {"Authorization": f"Bearer {self.bearer}", **headers}
        try:
            connection.request("POST", path, body if isinstance(body, str) else json.dumps(body), sent)
            reply = connection.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            try:
                return Reply(reply.status, reply.read(), found)
            except http.client.IncompleteRead as error:
                return Reply(reply.status, error.partial, found, broken=True)
        except (http.client.RemoteDisconnected, ConnectionResetError):
            return Reply(0, b"", broken=True)
        finally:
            connection.close()

    def oauth(self) -> Reply:
        headers = {"Authorization": f"Basic {self.sandbox.credentials}", "RqUID": str(uuid.uuid4())}
        return self("/api/v2/oauth", "scope=GIGACHAT_API_PERS", **headers)

    def embed(self, *texts: str, **headers: str) -> Reply:
        return self("/api/v1/embeddings", {"model": "Embeddings", "input": texts or ("раз", "два", "три")}, **headers)

    def chat(self, *, stream: bool = False, **headers: str) -> Reply:
        message = {"role": "user", "content": "раз два три четыре пять шесть семь восемь"}
        return self(
            "/api/v1/chat/completions", {"model": "GigaChat", "messages": [message], "stream": stream}, **headers
        )

    def stream(self) -> list[str]:
        """The events of a stream, without their `data: `."""
        body = self.chat(stream=True).body.decode()
        return [event.removeprefix("data: ") for event in body.split("\n\n") if event]


@pytest.fixture
def call(sandbox: Sandbox) -> Iterator[Caller]:
    return Caller(sandbox)


@pytest.mark.parametrize(
    ("fault", "status", "message"),
    [
        ("expired-token", 401, "Token has expired"),
        ("401", 401, "Unauthorized"),
        ("402", 402, "Payment Required"),
        ("403", 403, "Permission denied"),
        ("404", 404, "No such model"),
        ("413", 413, "Payload too large"),
        ("413-index", 413, "Tokens limit exceeded for index 0: 1250 (max 514)"),
        ("422", 422, "Invalid params: repetition_penalty must be in range (0, +inf)"),
        ("429", 429, "Too many requests"),
        ("500", 500, "Internal Server Error"),
        ("503", 503, "Service Unavailable"),
    ],
)
def test_errors(call: Caller, fault: str, status: int, message: str) -> None:
    """An error comes once, in GigaChat's envelope; then all is well, unless the token has died."""
    call.sandbox.inject(fault)
    reply = call.embed()
    assert (reply.status, reply.json) == (status, {"status": status, "message": message})
    assert "retry-after" not in reply.headers
    assert call.embed().status == (401 if fault == "expired-token" else 200)
    assert call.sandbox.stats.faults == {fault: 1}


def test_retry_after(call: Caller) -> None:
    """Retry-After is a number of seconds, or a date."""
    call.sandbox.inject("429-retry-after", seconds=7)
    assert call.embed().headers["retry-after"] == "7"
    call.sandbox.inject("429-retry-date", seconds=30)
    date = email.utils.parsedate_to_datetime(call.embed().headers["retry-after"])
    assert 25 < date.timestamp() - time.time() <= 31


@pytest.mark.parametrize(("fault", "status"), [("500-html", 500), ("502", 502), ("html-200", 200)])
def test_pages(call: Caller, fault: str, status: int) -> None:
    """A gateway answers with HTML."""
    call.sandbox.inject(fault)
    reply = call.chat()
    assert reply.status == status
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.body.startswith(b"<!DOCTYPE html>")


def test_bodies_that_are_wrong(call: Caller) -> None:
    """JSON that breaks off, an error with 200, and a body that is far too large."""
    call.sandbox.inject("bad-json")
    with pytest.raises(json.JSONDecodeError):
        _ = call.chat().json
    call.sandbox.inject("error-200")
    assert (reply := call.chat()).status == 200
    assert reply.json == {"status": 500, "message": "Internal Server Error"}
    call.sandbox.inject("huge", bytes=2_000_000)
    assert len(call.chat().body) > 2_000_000


def test_connections_that_break(call: Caller) -> None:
    """Closed before the reply, or in the middle of it."""
    call.sandbox.inject("drop")
    assert call.chat().broken
    call.sandbox.inject("drop-body")
    reply = call.chat()
    assert (reply.status, reply.broken) == (200, True)
    assert reply.body
    assert call.chat().status == 200
    assert call.sandbox.stats.in_flight == 0


def test_no_usage(call: Caller) -> None:
    """Neither kind of reply has it then."""
    call.sandbox.inject("no-usage", times=3)
    assert "usage" not in call.chat().json
    assert "usage" not in call.embed().vectors[0]
    assert "usage" not in call.stream()[-2]


def test_slow(call: Caller) -> None:
    """The reply waits for as long as was said."""
    call.sandbox.inject("slow", seconds=0.2)
    before = time.monotonic()
    assert call.chat().status == 200
    assert time.monotonic() - before >= 0.2


def test_streams_that_end_early(call: Caller) -> None:
    """Cut: a clean end of HTTP without a reason. Dropped: none at all. Error: an event that says so."""
    whole = call.stream()
    assert whole[-1] == "[DONE]"
    call.sandbox.inject("cut-stream", after=1)
    assert without_ids(call.stream()) == without_ids(whole[:1])
    call.sandbox.inject("cut-stream", after=100)
    assert without_ids(call.stream()) == without_ids(whole[:-2])
    call.sandbox.inject("drop-stream")
    dropped = call.chat(stream=True)
    assert dropped.broken
    assert b"finish_reason" not in dropped.body
    call.sandbox.inject("stream-error")
    failed = call.stream()
    assert without_ids(failed[:-1]) == without_ids(whole[:2])
    assert json.loads(failed[-1]) == {"status": 500, "message": "Internal Server Error"}


def without_ids(events: list[str]) -> list[str]:
    return [re.sub(r'"created":\d+', "", event) for event in events]


def test_streams_that_wait(call: Caller) -> None:
    """Before every piece, or once and long; nothing is lost by that."""
    whole = without_ids(call.stream())
    call.sandbox.inject("slow-stream", seconds=0.02)
    before = time.monotonic()
    assert without_ids(call.stream()) == whole
    assert time.monotonic() - before >= 0.02 * len(whole)
    call.sandbox.inject("stall-stream", seconds=0.2, after=1)
    assert without_ids(call.stream()) == whole


def test_lists_of_vectors_that_are_wrong(call: Caller) -> None:
    """Another order, no index, one index for all, one too few, one too many."""
    whole = call.embed().vectors
    call.sandbox.inject("shuffled")
    shuffled = call.embed().vectors
    assert [item["index"] for item in shuffled] == [1, 0, 2]
    assert sorted(shuffled, key=lambda item: int(str(item["index"]))) == whole
    call.sandbox.inject("no-index")
    assert [set(item) for item in call.embed().vectors] == [{"object", "embedding", "usage"}] * 3
    call.sandbox.inject("duplicate-index")
    assert [item["index"] for item in call.embed().vectors] == [0, 0, 0]
    call.sandbox.inject("missing-item")
    assert call.embed().vectors == whole[:-1]
    call.sandbox.inject("extra-item")
    assert [item["index"] for item in call.embed().vectors] == [0, 1, 2, 3]


def test_vectors_that_are_wrong(call: Caller) -> None:
    """NaN, zeros, another dimension, base64 that nobody asked for."""
    whole = call.embed().vectors
    call.sandbox.inject("nan")
    assert b"NaN" in call.embed().body
    call.sandbox.inject("zero-vector")
    assert set(call.embed().vectors[0]["embedding"]) == {0.0}  # type: ignore[call-overload]  # a list
    call.sandbox.inject("wrong-dimension", dimension=100)
    assert len(call.embed().vectors[0]["embedding"]) == 100  # type: ignore[arg-type]  # a list
    call.sandbox.inject("base64")
    packed = base64.b64decode(str(call.embed().vectors[0]["embedding"]))
    assert list(struct.unpack("<1024f", packed)) == whole[0]["embedding"]


def test_ends_of_answers(call: Caller) -> None:
    """Three reasons that are not `stop`."""
    reasons = []
    for fault in ("blacklist", "length", "finish-error"):
        call.sandbox.inject(fault)
        choices = call.chat().json["choices"]
        assert isinstance(choices, list)
        reasons.append(choices[0]["finish_reason"])
    assert reasons == ["blacklist", "length", "error"]


def test_oauth_that_is_wrong(call: Caller) -> None:
    """Errors of OAuth, an end in seconds, a token that hardly lives; other requests do not meet them."""
    for fault in ("oauth-500", "oauth-429", "expires-seconds", "short-token"):
        call.sandbox.inject(fault)
    assert call.chat().status == 200
    assert [call.oauth().status for _ in range(2)] == [500, 429]
    assert abs(int(str(call.oauth().json["expires_at"])) - time.time() - 1800) < 10
    assert int(str(call.oauth().json["expires_at"])) / 1000 - time.time() <= 1


def test_faults_wait_for_their_requests(call: Caller) -> None:
    """A path narrows what is meant, `times` counts down, None lasts until it is cleared."""
    call.sandbox.inject("500", times=2, path="/embeddings")
    assert [call.chat().status, call.embed().status, call.embed().status, call.embed().status] == [200, 500, 500, 200]
    call.sandbox.inject("503", times=None)
    assert {call.chat().status for _ in range(5)} == {503}
    call.sandbox.clear()
    assert call.chat().status == 200
    call.sandbox.inject("500", path="/oauth")
    assert (call.chat().status, call.oauth().json["code"]) == (200, 500)


def test_faults_by_header_and_over_http(call: Caller) -> None:
    """A request may bring its own fault; the sandbox's own route injects and clears."""
    assert call.chat(**{"X-Sandbox-Fault": "429-retry-after; seconds=4"}).headers["retry-after"] == "4"
    assert call.chat(**{"X-Sandbox-Fault": "nonsense"}).status == 400
    assert call("/sandbox/faults", {"fault": "500", "times": 1, "path": "/chat"}).status == 200
    assert call.chat().status == 500
    assert call("/sandbox/faults", {"fault": "nonsense"}).status == 422


def test_mistakes_are_named(sandbox: Sandbox) -> None:
    """An unknown fault, an unknown option and a count below one are refused."""
    with pytest.raises(ValueError, match="no fault is called '42'"):
        sandbox.inject("42")
    with pytest.raises(ValueError, match="has no option 'minutes'; it has seconds"):
        sandbox.inject("slow", minutes=1)
    with pytest.raises(ValueError, match="times must be at least 1"):
        sandbox.inject("500", times=0)


def test_the_page_has_the_table() -> None:
    """docs/sandbox.md lists each fault with its meaning and its options, and no others."""
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \| (.*?) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    options = {
        name: ", ".join(f"`{key}={value:g}`" for key, value in fault.options.items()) for name, fault in FAULTS.items()
    }
    assert rows == [(name, fault.meaning, options[name]) for name, fault in FAULTS.items()]


def test_every_fault_is_tried() -> None:
    """No fault of the table is missing from this file."""
    source = Path(__file__).read_text("utf-8")
    assert not [name for name in FAULTS if f'"{name}"' not in source]
