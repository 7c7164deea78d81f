"""What is logged holds no secret, whoever logs it and however it is written."""

from __future__ import annotations

import base64
import gc
import json
import logging
import subprocess
import sys
from contextlib import closing, suppress
from urllib.parse import quote

import pytest

from ragkit.errors import RagkitError
from ragkit.providers.address import address, proxy_for
from ragkit.providers.authorization import ApiKey
from ragkit.providers.failures import api_error
from ragkit.providers.http import Http, Reply
from ragkit.providers.openai import OpenAICompatible
from ragkit.providers.retry import Retry
from ragkit.providers.slots import Slots
from ragkit.redaction import guard, redacted
from ragkit.sandbox import Sandbox
from ragkit.secret import Secret, revealed
from ragkit.settings import load_settings
from ragkit_cli.main import main

WORD = "-".join(["pa55", "w\"o'r", "d/+?&x", "ы"])  # every writing of it differs from the others


@pytest.fixture(scope="module", autouse=True)
def no_secrets_of_other_tests() -> None:
    """Those that hang in cycles live until they are collected, and would be looked for here."""
    gc.collect()


@pytest.mark.parametrize(
    "writing",
    [
        WORD,
        quote(WORD, safe=""),
        json.dumps(WORD),
        repr(WORD),
        repr(WORD.encode()),
        base64.b64encode(WORD.encode()).decode(),
        base64.b64encode(f"id:{WORD}".encode()).decode(),
        base64.b64encode(f"user:{WORD}:more".encode()).decode(),
        base64.urlsafe_b64encode(f"u:{WORD}".encode()).decode(),
    ],
)
def test_a_secret_is_found_in_every_writing(writing: str) -> None:
    """As it is, in URLs, JSON, Python and base64, there also behind other bytes; while it lives."""
    kept = Secret(WORD)
    clean = redacted(f"before {writing} after")
    assert "***" in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    for piece in (writing[4:-4], WORD):
        assert piece not in clean
    assert kept


def test_parts_of_a_secret_are_secrets() -> None:
    """What is behind the base64 of credentials, the scheme of a header, the name of one, the user of an address."""
    kept = [
        Secret(base64.b64encode(b"client-one:behind-base64").decode()),
        Secret("Bearer token-of-half-an-hour"),
        Secret("X-Custom: value-of-a-header\nAccept: all"),
        Secret("http://user:word%20of-a-proxy@proxy:3128"),
    ]
    for shown in (
        "behind-base64",
        "token-of-half-an-hour",
        "value-of-a-header",
        "word of-a-proxy",
        "word%20of-a-proxy",
    ):
        assert redacted(f"<{shown}>") == "<***>"
    assert all(kept)


def test_half_of_a_long_secret_is_one() -> None:
    """As services repeat keys: the first half and stars. Of a short one a half is too common a word."""
    kept = [Secret("abcdefghijklmnopqrstuvwx"), Secret("shortish")]
    assert redacted("key abcdefghijkl****, ****mnopqrstuvwx") == "key *******, *******"
    assert redacted("shor") == "shor"
    assert all(kept)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Authorization: Basic abc=", "abc="),
        ("headers=[(b'Proxy-Authorization', b'Basic c2VjcmV0LXdvcmQ=')]", "c2VjcmV0"),
        ('{"authorization": "Token unknown-to-us"}', "unknown-to-us"),
        ("sent Bearer 0123456789abcdef", "0123456789abcdef"),
        ("Incorrect API key provided: sk-proj-0123456789", "proj-0123456789"),
        ("(b'Set-Cookie', b'session=0123; Path=/')", "session=0123"),
        ("GET https://user:hunter2@host/path", "hunter2"),
        ("GET https://host/path?model=m&api_key=0123&n=1", "0123"),
        ('{"access_token":"abcdef","expires_at":1}', "abcdef"),
        ("{'tok': 'abcdef', 'exp': 1}", "abcdef"),
        ("x-api-key: 0123", "0123"),
        ("eyJhbGciOiJub25l.eyJzdWIiOiIxMjM0.abc", "eyJzdWIi"),
    ],
)
def test_what_looks_like_a_secret_goes_too(text: str, gone: str) -> None:
    """Keys that nobody told us of: of other programs, and those that a service made up."""
    clean = redacted(text)
    assert gone not in clean
    assert "***" in clean


@pytest.mark.parametrize(
    "text",
    [
        "basic authentication is not offered, bearer tokens are",
        "embedding_tokens=120, prompt_tokens: 7",
        "https://api.giga.chat/v1/chat/completions?n=1",
        "mail someone@example.org, see docs://a/b@c",
        "receive_response_headers.complete return_value=(b'HTTP/1.1', 200, b'OK', [(b'Content-Length', b'12')])",
        "Ключ от подвала лежит у консьержки; the key: under the mat",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redacted(text) == text


def test_a_secret_that_is_gone_is_forgotten() -> None:
    """Nothing keeps it alive for the sake of hiding it."""
    kept = Secret("short-lived-secret")
    twin = Secret("short-lived-secret")
    del twin
    gc.collect()
    assert "short-lived-secret" in revealed()  # an equal one that died does not take it along
    del kept
    gc.collect()
    assert "short-lived-secret" not in revealed()


def test_a_record_is_cleaned_with_its_exception(caplog: pytest.LogCaptureFixture) -> None:
    """Arguments, traceback and stack; a record whose format does not fit its arguments too."""
    kept = Secret("known-to-the-program")
    guard()
    log = logging.getLogger("ragkit")
    with caplog.at_level(logging.DEBUG, logger="ragkit"):
        log.warning("sent %s", "known-to-the-program", stack_info=True)
        try:
            raise ValueError(f"refused {kept.reveal()}")
        except ValueError:
            log.exception("it failed")
        log.warning("two %s %s", "known-to-the-program")
    for record in caplog.records:
        assert "known-to-the-program" not in caplog.handler.format(record)
    assert caplog.records[0].getMessage() == "sent ***"
    assert "ValueError: refused ***" in str(caplog.records[1].exc_text)


def test_the_library_below_logs_no_header_that_repeats_a_key(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG it logs every header of a reply, and the password of a SOCKS proxy."""
    key, header = "key-that-is-echoed", "header-that-is-echoed"
    with caplog.at_level(logging.DEBUG):
        for proxy in ("", "socks5://user:proxy-password@127.0.0.1:9"):
            http = Http(
                sandbox.openai_url,
                ApiKey(Secret(key)),
                slots=Slots(1),
                headers={"X-Api-Key": header},
                proxy=proxy,
                retry=Retry(tries=1),
            )
            with closing(http), suppress(RagkitError):
                http.request("GET", "/models", parse=Reply.json)
                logging.getLogger("httpcore.http11").debug("return_value=[(b'X-Echo', %r)]", f"{key} {header}".encode())
            if proxy:
                logging.getLogger("httpcore.socks").debug("auth=%r", (b"user", b"proxy-password"))
    assert "httpcore" in caplog.text
    for secret in (key, header, "proxy-password"):
        assert secret not in caplog.text


def test_words_of_a_service_reach_no_program_with_a_key_in_them() -> None:
    """The errors of the library too: a service may repeat the key by halves, in base64, or another program's key."""
    key = "abcdefghijkl-mnopqrstuvwx"
    kept = Secret(key)
    repeated = [key, key[:12], base64.b64encode(f"id:{key}".encode()).decode(), "sk-proj-0123456789abcdef"]
    body = json.dumps({"error": {"message": f"Incorrect key: {' '.join(repeated)}", "code": key[12:]}}).encode()
    error = api_error(401, {"x-request-id": key}, body, what="POST /x", service="host", secrets=(key,))
    for part in (key[:12], key[13:], "bW5vcHFyc3R1", "0123456789abcdef"):
        assert part not in error.message
        assert part not in error.request_id
    assert "Incorrect key: ***" in error.message
    assert kept


def test_no_object_shows_a_secret_when_it_is_printed() -> None:
    """What a debugger, a traceback with variables or a careless `print` shows of a service and its parts."""
    proxy = "http://user:proxy-word@127.0.0.1:1"
    headers = {"X-Api-Key": "word-of-a-header"}
    with OpenAICompatible("http://127.0.0.1:1/v1", "the-key-itself", headers=headers, proxy=proxy) as service:
        [connection] = service.connections
        http = service.http
        shown = [
            service,
            connection,
            connection.tls,
            http,
            proxy_for(address("http://h"), proxy),
            *vars(service).values(),
        ]
        settings = load_settings({"proxy": proxy, "api_key": "the-key-itself"}, environ={}, cwd="/")
        text = " ".join(f"{each!r} {each!s}" for each in [*shown, settings])
    for secret in ("proxy-word", "word-of-a-header", "the-key-itself"):
        assert secret not in text


def test_a_mistake_of_ours_is_shown_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line prints the traceback of what nobody foresaw; its words may be anything."""

    class Breaking:
        def read(self) -> bytes:
            raise ValueError(f"cannot use {kept.reveal()} (Authorization: Basic c2VjcmV0)")

    class Stdin:
        buffer = Breaking()

    kept = Secret("known-to-the-program")
    monkeypatch.setattr("sys.stdin", Stdin())
    for arguments in (["search", "-"], ["search", "-", "--json"]):
        assert main(arguments) == 1
        shown = capsys.readouterr().err
        assert "a mistake in ragkit" in shown
        assert "ValueError" in shown
        assert "known-to-the-program" not in shown
        assert "c2VjcmV0" not in shown


def test_a_search_pays_nothing_for_it() -> None:
    """The module is loaded with the first connection to a service."""
    script = "import sys, ragkit.rag, ragkit.assembly, ragkit_cli.answers; print('ragkit.redaction' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
