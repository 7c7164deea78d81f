"""What is on the wire, seen with nothing but http.client."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from ragkit.sandbox import Sandbox


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class Wire:
    """One connection that is kept alive."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        port = urlsplit(sandbox.url).port
        assert port is not None
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.bearer = ""

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        sent = body if isinstance(body, bytes | str | None) else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.bearer:
            named.setdefault("Authorization", f"Bearer {self.bearer}")
        self.connection.request(method, path, sent, named)
        reply = self.connection.getresponse()
        return Reply(reply.status, reply.headers, reply.read())

    def log_in(self, key: str | None = None) -> Wire:
        self.bearer = ""
        reply = oauth(self, Authorization=f"Basic {key or self.sandbox.credentials}")
        self.bearer = str(reply.json["access_token"])
        return self

    def chat(self, text: str, **more: object) -> Reply:
        body = {"model": "GigaChat", "messages": [{"role": "user", "content": text}], **more}
        return self("POST", "/api/v1/chat/completions", body)


def oauth(wire: Wire, body: str = "scope=GIGACHAT_API_PERS", **headers: str) -> Reply:
    defaults = {"Authorization": f"Basic {wire.sandbox.credentials}", "RqUID": str(uuid.uuid4())}
    sent = {**defaults, **headers}
    return wire("POST", "/api/v2/oauth", body, **{name: value for name, value in sent.items() if value})


@pytest.fixture
def wire(sandbox: Sandbox) -> Iterator[Wire]:
    made = Wire(sandbox)
    yield made
    made.connection.close()


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ("scope=GIGACHAT_API_PERS", {"Authorization": "Basic not base64"}, 401, 4),
        ("scope=GIGACHAT_API_PERS", {"Authorization": "Bearer x"}, 401, 4),
        ("scope=GIGACHAT_API_PERS", {"Authorization": ""}, 401, 4),
        ("scope=GIGACHAT_API_NONE", {}, 400, 1),
        ("scope=", {}, 400, 5),
        ("", {}, 400, 5),
        ("scope=GIGACHAT_API_PERS", {"RqUID": "42"}, 400, 3),
        ("scope=GIGACHAT_API_PERS", {"RqUID": str(uuid.uuid1())}, 400, 3),
    ],
)
def test_oauth_refuses(wire: Wire, body: str, headers: dict[str, str], status: int, code: int) -> None:
    """Each mistake has its number, in OAuth's own envelope."""
    reply = oauth(wire, body, **headers)
    assert (reply.status, reply.json["code"]) == (status, code)
    assert reply.json["message"]


def test_oauth_answers_in_milliseconds(wire: Wire) -> None:
    """The end of a token is half an hour ahead."""
    expires = oauth(wire).json["expires_at"]
    assert isinstance(expires, int)
    assert abs(expires / 1000 - time.time() - 1800) < 10


def test_tokens_die(wire: Wire) -> None:
    """An unknown token and one that has run out are told apart."""
    wire.bearer = "sandbox-token-of-another-day"
    assert wire("GET", "/api/v1/models").json == {"status": 401, "message": "Unauthorized"}
    with Sandbox(token_life=0.0) as hasty:
        other = Wire(hasty).log_in()
        assert other("GET", "/api/v1/models").json == {"status": 401, "message": "Token has expired"}
        other.connection.close()


def test_oauth_has_a_rate(sandbox: Sandbox) -> None:
    """Where a rate is set, one request too many in a second is a 429."""
    with Sandbox(oauth_per_second=2) as limited:
        wire = Wire(limited)
        assert [oauth(wire).status for _ in range(3)] == [200, 200, 429]
        wire.connection.close()
    assert sandbox.stats.oauth == 0


def test_the_token_decides_on_v1(wire: Wire) -> None:
    """On /v1 our tokens speak GigaChat, even dead ones; any other key speaks OpenAI."""
    models = json.loads(wire.log_in()("GET", "/v1/models").body)
    assert models["data"][0]["id"] == "GigaChat"
    wire.bearer = "sandbox-token-dead"
    assert wire("GET", "/v1/models").json == {"status": 401, "message": "Unauthorized"}
    wire.bearer = "sk-anything"
    assert json.loads(wire("GET", "/v1/models").body)["data"][0]["id"] == "gpt-4o-mini"
    wire.bearer = ""
    assert "error" in wire("GET", "/v1/models").json


def test_ids_come_back(wire: Wire) -> None:
    """X-Request-ID and X-Session-ID are those of the request, or new ones."""
    wire.log_in()
    given = wire("GET", "/api/v1/models", X_Request_ID="r-1", X_Session_ID="s-1").headers
    assert (given["x-request-id"], given["x-session-id"]) == ("r-1", "s-1")
    assert wire("GET", "/api/v1/models").headers["x-request-id"]


def test_unknown_places(wire: Wire) -> None:
    """404 for a path, 405 with what is allowed for a method."""
    wire.log_in()
    assert wire("GET", "/api/v1/nothing").status == 404
    assert wire("GET", "/elsewhere").status == 404
    wrong = wire("DELETE", "/api/v1/files")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST, GET")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"messages": []}, "messages must be a non-empty array"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "role must be one of"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "content must be a string"),
        ({"messages": [{"role": "function", "content": "27"}]}, "must be a valid JSON object"),
        ({"temperature": -1}, "temperature must be in range"),
        ({"top_p": 1.5}, r"top_p must be in range [0, 1]"),
        ({"repetition_penalty": 0}, "repetition_penalty must be in range (0, +inf)"),
        ({"max_tokens": 0}, "max_tokens must be in range"),
        ({"functions": [{"name": "погода", "parameters": {"properties": {}}}]}, "Latin letters"),
        ({"functions": [{"name": "f", "parameters": {"type": "object"}}]}, "'parameters.properties' is missing"),
        ({"function_call": {"name": "f"}}, "f is not in functions"),
        ({"function_call": "always"}, "function_call must be none, auto"),
        ({"response_format": {"type": "json_object"}}, "response_format must have type json_schema"),
    ],
)
def test_chat_refuses(wire: Wire, more: dict[str, object], message: str) -> None:
    """422 with the reason, as the service words it."""
    reply = wire.log_in().chat("Привет", **more)
    assert reply.status == 422
    assert message in str(reply.json["message"])


def multipart(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    rendered = b"".join(
        b"--border\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (h.encode(), c) for h, c in parts
    )
    return rendered + b"--border--\r\n", "multipart/form-data; boundary=border"


def upload(wire: Wire, name: str, media_type: str, content: bytes = b"x", purpose: str = "general") -> Reply:
    file = (f'name="file"; filename="{name}"\r\nContent-Type: {media_type}', content)
    body, kind = multipart(file, ('name="purpose"', purpose.encode()))  # the SDK sends them the other way round
    return wire("POST", "/api/v1/files", body, Content_Type=kind)


@pytest.mark.parametrize(
    ("name", "media_type", "status"),
    [
        ("отчёт.txt", "text/plain; charset=utf-8", 200),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", 200),
        ("a.doc", "application/msword", 200),
        ("a.docx", "application/msword", 400),  # the documentation has these two swapped
        ("a.pdf", "application/octet-stream", 400),
        ("a.exe", "application/x-msdownload", 400),
        ("noname", "text/plain", 400),
    ],
)
def test_uploads_are_checked(wire: Wire, name: str, media_type: str, status: int) -> None:
    """A file's media type must be that of its suffix, by IANA."""
    reply = upload(wire.log_in(), name, media_type)
    assert reply.status == status
    if status == 200:
        assert reply.json["filename"] == name


def test_uploads_have_limits(wire: Wire) -> None:
    """A purpose is needed, a picture has at most 15 MB, a text may have more."""
    wire.log_in()
    assert upload(wire, "a.txt", "text/plain", purpose="fun").status == 400
    large = b"x" * 15_000_001
    assert upload(wire, "a.png", "image/png", large).status == 413
    assert upload(wire, "a.txt", "text/plain", large).status == 200


def test_files_have_owners(wire: Wire) -> None:
    """Another client's file is 403, is not listed, and an unknown id is 404 in a chat too."""
    file = str(upload(wire.log_in(), "a.txt", "text/plain").json["id"])
    wire.log_in(base64.b64encode(b"other:client").decode())
    assert wire("GET", f"/api/v1/files/{file}").status == 403
    assert wire("GET", "/api/v1/files").json == {"data": []}
    message = {"role": "user", "content": "Что там?", "attachments": [str(uuid.uuid4())]}
    assert wire.chat("", messages=[message]).status == 404


def test_pictures_are_counted(wire: Wire) -> None:
    """One picture in a message, ten in a request."""
    wire.log_in()
    ids = [str(upload(wire, f"{n}.png", "image/png").json["id"]) for n in range(2)]
    both = [{"role": "user", "content": "Что там?", "attachments": ids}]
    assert "only one image per message" in str(wire.chat("", messages=both).json["message"])
    many = [{"role": "user", "content": "Что там?", "attachments": ids[:1]}] * 11
    assert "only 10 images per request" in str(wire.chat("", messages=many).json["message"])
    assert wire.chat("", messages=many[:10]).status == 200


def test_embedding_input(wire: Wire) -> None:
    """A string is one text; nothing, empty texts and too many are refused."""
    wire.log_in()

    def status(given: object) -> int:
        return wire("POST", "/api/v1/embeddings", {"model": "Embeddings", "input": given}).status

    assert [status("текст"), status(["а", "б"]), status([]), status([""]), status([1])] == [200, 200, 422, 422, 422]
    assert [status(["а"] * 100), status(["а"] * 101)] == [200, 413]


def test_max_tokens_cut_an_answer(wire: Wire) -> None:
    """The answer ends with `length`, and no more tokens are billed."""
    reply = json.loads(wire.log_in().chat("Расскажи длинную сказку про кота", max_tokens=5).body)
    assert reply["choices"][0]["finish_reason"] == "length"
    assert 0 < reply["usage"]["completion_tokens"] <= 5


def test_answers_are_repeated(sandbox: Sandbox, wire: Wire) -> None:
    """The same requests after a reset get the same answers, ids included."""

    def run() -> bytes:
        sandbox.reset()
        wire.log_in()
        call = wire.chat("Нарисуй кота", function_call="auto").body
        return call.split(b'"created"')[0] + wire("POST", "/api/v1/embeddings", {"input": ["кот"]}).body

    assert run() == run()


def test_slots(wire: Wire) -> None:
    """Over the slots the answer is 429, and the counter tells how many there were at once."""
    with Sandbox(slots=2, latency=0.8) as narrow:

        def ask(_: int) -> int:
            own = Wire(narrow)
            own.bearer = token
            status = own.chat("Привет").status
            own.connection.close()
            return status

        first = Wire(narrow).log_in()
        token = first.bearer
        first.connection.close()
        with ThreadPoolExecutor(6) as pool:
            statuses = sorted(pool.map(ask, range(6)))
        assert statuses == [200, 200, 429, 429, 429, 429]
        assert (narrow.stats.max_in_flight, narrow.stats.rejected, narrow.stats.in_flight) == (2, 4, 0)
    assert wire.sandbox.stats.rejected == 0


def test_a_stream_holds_its_slot_until_it_is_closed() -> None:
    """A second request meets 429 while a stream runs, and not after its reader has gone."""
    with Sandbox(slots=1, stream_wait=0.1) as narrow:
        reader, other = Wire(narrow).log_in(), Wire(narrow)
        other.bearer = reader.bearer
        body = {"model": "GigaChat", "stream": True, "messages": [{"role": "user", "content": "слово " * 300}]}
        reader.connection.request(
            "POST", "/api/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {reader.bearer}"}
        )
        stream = reader.connection.getresponse()
        assert stream.readline().startswith(b"data: ")
        assert other.chat("Привет").status == 429
        stream.close()
        reader.connection.close()
        deadline = time.monotonic() + 5
        while narrow.stats.in_flight and time.monotonic() < deadline:
            time.sleep(0.02)
        assert other.chat("Привет").status == 200
        other.connection.close()


def test_many_connect_at_once(sandbox: Sandbox) -> None:
    """64 connections opened together are all answered."""
    port = urlsplit(sandbox.url).port
    barrier = threading.Barrier(64)

    def ask(_: int) -> int:
        barrier.wait()
        connection = http.client.HTTPConnection("127.0.0.1", port or 0, timeout=10)
        connection.request("GET", "/v1/models", headers={"Authorization": "Bearer x"})
        status = connection.getresponse().status
        connection.close()
        return status

    with ThreadPoolExecutor(64) as pool:
        assert set(pool.map(ask, range(64))) == {200}


def test_what_was_received_can_be_read(wire: Wire) -> None:
    """Routes, tokens, bodies and headers are kept; secrets are shortened."""
    wire.log_in()
    wire("POST", "/api/v1/embeddings", {"model": "Embeddings", "input": ["First text", "Second text"]})
    stats = wire.sandbox.stats
    assert stats.routes == {"POST /oauth": 1, "POST /embeddings": 1}
    assert stats.tokens == {"prompt": 0, "completion": 0, "embedding": 14}
    assert stats.items_embedded == 2
    last = stats.requests[-1]
    assert (last.method, last.path) == ("POST", "/api/v1/embeddings")
    assert last.body == {"model": "Embeddings", "input": ["First text", "Second text"]}
    assert wire.bearer not in str(stats.requests)
    assert wire.sandbox.credentials not in str(stats.requests)
    over_http = wire("GET", "/sandbox/stats").json
    assert over_http["routes"] == stats.routes


def test_a_chunked_body_is_read(wire: Wire) -> None:
    """Clients that stream their upload send no length."""
    wire.log_in()
    body, kind = multipart(
        ('name="purpose"', b"general"), ('name="file"; filename="a.txt"\r\nContent-Type: text/plain', b"x")
    )
    headers = {"Authorization": f"Bearer {wire.bearer}", "Content-Type": kind, "Transfer-Encoding": "chunked"}
    wire.connection.request("POST", "/api/v1/files", iter([body[:20], body[20:]]), headers, encode_chunked=True)
    reply = wire.connection.getresponse()
    assert (reply.status, json.loads(reply.read())["filename"]) == (200, "a.txt")


def test_a_taken_port_is_an_os_error(sandbox: Sandbox) -> None:
    """Nobody listens twice on one port."""
    port = urlsplit(sandbox.url).port
    assert port is not None
    with pytest.raises(OSError, match="in use"):
        Sandbox(port).start()


def test_a_closed_sandbox_lets_go() -> None:
    """After `close` nobody answers, open connections end, and the counters can still be read."""
    sandbox = Sandbox().start()
    address = urlsplit(sandbox.url)
    with socket.create_connection(("127.0.0.1", address.port or 0), timeout=5) as idle:
        idle.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n")
        assert idle.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        sandbox.close()
        assert idle.recv(65_536)[-1:] in (b"}", b"")
    assert sandbox.stats.routes == {"GET /models": 1}
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.url
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", address.port or 0), timeout=5)


def test_a_prompt_has_to_fit(wire: Wire) -> None:
    """A file that is too long for the model is taken, and refused in the chat."""
    wire.log_in()
    file = str(upload(wire, "a.txt", "text/plain", "слово ".encode() * 20_000).json["id"])
    message = {"role": "user", "content": "Что там?", "attachments": [file]}
    assert (
        wire.chat("", messages=[message]).json["message"] == "Invalid params: tokens limit exceeded: 55007 (max 32768)"
    )
    assert wire.chat("", messages=[message], model="GigaChat-2").status == 200


def test_several_answers_are_billed(wire: Wire) -> None:
    """`n` answers cost `n` times the tokens, whole and as a stream."""
    wire.log_in()
    one, two = (json.loads(wire.chat("Привет", n=n).body) for n in (1, 2))
    assert [choice["index"] for choice in two["choices"]] == [0, 1]
    assert two["usage"]["completion_tokens"] == 2 * one["usage"]["completion_tokens"]
    assert wire.chat("Привет", n=2, stream=True).body.count(b"finish_reason") == 2


def test_another_auth_scheme() -> None:
    """Some services take the key alone; Bearer is refused there."""
    with Sandbox(auth_scheme="", api_key="k") as raw:
        wire = Wire(raw)
        statuses = [wire("GET", "/v1/models", Authorization=given).status for given in ("k", "Bearer k", "")]
        assert statuses == [200, 401, 401]
        wire.connection.close()


def test_a_length_that_is_none(wire: Wire) -> None:
    """What cannot be read is refused, and the connection ends."""
    reply = wire("POST", "/api/v1/embeddings", b"{}", Content_Length="many")
    assert reply.status == 400
    assert "length" in str(reply.json["message"])


ASKED = [{"role": "user", "content": "Привет"}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/chat/completions", {"model": ["GigaChat"], "messages": ASKED}),
        ("/api/v1/chat/completions", {"model": "GigaChat", "messages": [None]}),
        ("/api/v1/chat/completions", {"model": "GigaChat", "messages": ASKED, "functions": {"name": "f"}}),
        ("/api/v1/chat/completions", {"model": "GigaChat", "messages": [{**ASKED[0], "attachments": "id"}]}),
        ("/api/v1/chat/completions", '{"model": "GigaChat", "messages": [{"role": "user", "content": "\\ud800"}]}'),
        ("/api/v1/chat/completions", "[]"),
        ("/api/v1/chat/completions", ""),
        ("/api/v2/chat/completions", {"model": "GigaChat", "messages": ASKED, "tools": [1]}),
        ("/api/v2/chat/completions", {"model": "GigaChat", "messages": ASKED, "tool_config": "any"}),
        (
            "/api/v2/chat/completions",
            {"model": "GigaChat", "messages": [{"role": "user", "content": [{"files": [1]}]}]},
        ),
        ("/openai/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "assistant", "tool_calls": 3}]}),
        ("/openai/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "tool", "tool_call_id": {}}]}),
        ("/openai/v1/chat/completions", {"model": "gpt-4o", "messages": ASKED, "stream": True, "stream_options": 1}),
        ("/openai/v1/embeddings", {"model": "text-embedding-3-small", "input": [["a"], 1]}),
        ("/openai/v1/images/generations", {"model": {}, "prompt": "a"}),
        ("/api/v1/functions/convert", {"paths": {"/a": {"get": 1}}}),
        ("/sandbox/faults", {"fault": "slow", "options": [1]}),
    ],
)
def test_odd_requests(wire: Wire, path: str, body: object) -> None:
    """What makes no sense is refused with a reason; the sandbox itself does not fail on it."""
    assert 400 <= wire.log_in()("POST", path, body).status < 500
