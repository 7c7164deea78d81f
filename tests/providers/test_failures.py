"""Whatever shape a refusal comes in, its words, its kind and its cure come out, and no secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import (
    ApiError,
    AuthenticationError,
    ContentRejected,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    PermissionDenied,
    RateLimited,
    ServerError,
    TooLarge,
)
from ragkit.providers.failures import api_error, is_error, spoken
from ragkit.providers.jsontext import decode, encode

KEY = "sk-very-secret-key-0123456789"


def error(status: int, body: object = b"", *, secrets: tuple[str, ...] = (), **headers: str) -> ApiError:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api_error(status, named, raw, what="POST /embeddings", service="api.example", secrets=secrets, now=0.0)


SHAPES = {
    "openai": {"error": {"message": "Bad thing", "type": "invalid_request_error", "param": None, "code": None}},
    "text": {"error": "Bad thing", "error_type": "validation"},
    "vllm": {"object": "error", "message": "Bad thing", "type": "BadRequestError", "code": 400},
    "gigachat": {"status": 400, "message": "Bad thing"},
    "gigachat oauth": {"code": 4, "message": "Bad thing"},
    "oauth 2": {"error": "invalid_client", "error_description": "Bad thing"},
    "fastapi": {"detail": "Bad thing"},
    "fastapi, checked": {"detail": [{"loc": ["body", "input"], "msg": "Bad thing", "type": "missing"}]},
    "gemini": [{"error": {"code": 400, "message": "Bad thing", "status": "INVALID_ARGUMENT"}}],
    "a list of errors": {"errors": [{"message": "Bad thing"}]},
    "plain text": b"Bad thing",
    "a page": b"<!doctype html>\n<html><head><title>Bad thing</title></head><body>" + b"x" * 9999,
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES.keys())
def test_words_are_found_in_every_shape(body: object) -> None:
    """The message has status, service, request, the service's own words and the request id; and not much more."""
    found = error(400, body, x_request_id="req-7")
    assert type(found) is InvalidRequest
    for part in ("400", "api.example", "POST /embeddings", "Bad thing", "req-7"):
        assert part in found.message
    assert len(found.message) < 200
    assert (found.status, found.request_id) == (400, "req-7")


@pytest.mark.parametrize(
    "body", [b"", b"\x00\xff\xfe\xfd\xfc\xfb", b'{"error": {"mess', b"[]", b"null", b"7", b'{"a": 1}']
)
def test_no_words_are_no_words(body: bytes) -> None:
    """Bytes that say nothing are not shown."""
    assert error(503, body).message == "api.example answered 503 to POST /embeddings"


@pytest.mark.parametrize(
    ("status", "kind", "cure"),
    [
        (400, InvalidRequest, "request"),
        (401, AuthenticationError, "scope"),
        (402, PaymentRequired, "RAGKIT_EMBED_PROVIDER=offline"),
        (403, PermissionDenied, "right"),
        (404, NotFound, "base_url"),
        (413, TooLarge, "shorter"),
        (418, ApiError, ""),
        (422, InvalidRequest, "request"),
        (429, RateLimited, "slot"),
        (500, ServerError, "later"),
        (529, ServerError, "later"),
    ],
)
def test_a_status_has_its_kind_and_its_cure(status: int, kind: type[ApiError], cure: str) -> None:
    found = error(status, {"status": status, "message": "said"})
    assert type(found) is kind
    assert cure in found.hint


def test_an_unknown_model_leads_to_the_list() -> None:
    assert "ragkit models" in error(404, {"status": 404, "message": "No such model"}).hint


@pytest.mark.parametrize(
    ("status", "message", "sizes"),
    [
        (413, "Tokens limit exceeded for index 0: 1250 (max 514)", (0, 1250, 514)),
        (413, "Payload too large", (None, None, None)),
        (413, f"Tokens limit exceeded for index {'1' * 5000}: 1250 (max 514)", (None, None, None)),
        (400, "This model's maximum context length is 8192 tokens, but requested 9001 tokens", (None, 9001, 8192)),
        (400, "the input length exceeds the context length", (None, None, None)),
        (422, "`inputs` must have less than 512 tokens. Given: 1250", (None, 1250, 512)),
        (422, "batch size 100 > maximum allowed batch size 32", (None, None, None)),
        (400, "BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch", (None, None, None)),
        (400, "<400> InternalError.Algo.InvalidParameter: batch size is invalid, it should not be larger than 10.",
         (None, None, None)),
        (500, "input is too large to process. increase the physical batch size", (None, None, None)),
        (400, "Invalid 'input[3]': string too long, exceeds the maximum length", (3, None, None)),
    ],
)  # fmt: skip
def test_too_large_in_the_words_of_many_services(
    status: int, message: str, sizes: tuple[int | None, int | None, int | None]
) -> None:
    """Some say it with 400, 422 or even 500; where they name the text and its length, so does the error."""
    found = error(status, {"error": {"message": message}})
    assert type(found) is TooLarge
    assert (found.index, found.tokens, found.limit) == sizes


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 100000. This model supports at most 16384 tokens",
        "temperature must be at most 2",
        "no",
    ],
)
def test_not_every_large_number_is_a_long_text(message: str) -> None:
    """An answer that may not be that long is no reason to cut the question."""
    assert type(error(400, {"error": {"message": message}})) is InvalidRequest


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no", "code": "content_policy_violation"}},
        {"error": {"message": "Your request was rejected as a result of our safety system.", "code": None}},
        {"error": {"message": "The response was filtered", "code": "content_filter"}},
        {"error": {"message": "no", "type": "image_generation_user_error", "code": "moderation_blocked"}},
    ],
)
def test_a_refused_topic_is_told_from_a_wrong_field(body: object) -> None:
    assert type(error(400, body)) is ContentRejected


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ({"error": {"message": "overloaded", "code": 503}}, ServerError, 503),
        ({"error": {"message": "x", "type": "rate_limit_error"}}, RateLimited, 429),
        ({"error": {"message": "x", "code": "invalid_api_key"}}, AuthenticationError, 401),
        ({"error": {"message": "x", "type": "insufficient_quota"}}, PaymentRequired, 402),
        ({"error": {"message": "model not found"}}, NotFound, 404),
        ({"error": {"message": "x", "code": "content_policy_violation"}}, ContentRejected, 400),
        ({"error": "strange"}, ServerError, 500),
        ({"status": 500, "message": "Internal Server Error"}, ServerError, 500),
        ({"object": "error", "message": "x", "code": 40301, "type": "invalid_request_error"}, InvalidRequest, 400),
    ],
)
def test_an_error_inside_a_success_is_an_error(body: Any, kind: type[ApiError], status: int) -> None:
    """Gateways send 200 with an error inside: it counts as what it says of itself."""
    assert is_error(body)
    assert is_error([body])
    found = error(200, body)
    assert type(found) is kind
    assert found.status == status
    assert "answered 200 to POST /embeddings with an error" in found.message


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"choices": [], "error": None},
        {"id": "f1", "status": "processed"},
        [],
        "text",
        7,
        {"deleted": True},
        {"deleted": True, "status": 200, "message": "deleted"},
        {"code": 0, "message": "success"},
        {"data": [1], "error": {"message": "one of two services did not answer"}},
    ],
)
def test_a_success_is_no_error(body: object) -> None:
    assert not is_error(body)


def test_retry_after_goes_with_the_error() -> None:
    assert error(429, retry_after="7").retry_after == 7
    assert error(429).retry_after is None


def test_a_secret_that_is_repeated_is_taken_out() -> None:
    """Services that quote the key, in their words or in the request id, do not make it readable."""
    body = {"error": {"message": f"Incorrect API key provided: {KEY}.", "code": KEY}}
    found = error(401, body, secrets=(f"Bearer {KEY}", KEY), x_request_id=f"r-{KEY}")
    assert KEY not in found.message + found.hint + found.request_id
    assert "***" in found.message


def test_words_are_one_short_line() -> None:
    """Control characters, escape sequences and marks that turn the direction of writing do not reach a terminal."""
    found = error(400, {"status": 400, "message": "a\x1b[31m\r\nb\u202e\x00c" + "д" * 100_000})
    assert all(character.isprintable() for character in found.message)
    assert "a [31m b c" in found.message
    assert len(found.message) < 400


def test_the_request_id_may_be_in_the_body() -> None:
    assert error(500, {"error": {"message": "x"}, "request_id": "abc"}).request_id == "abc"


NAMES = st.sampled_from(["error", "message", "code", "status", "detail", "x"])
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_no_json_breaks_it(value: object) -> None:
    """Any JSON whatsoever becomes an error with a bounded message."""
    assert len(error(400, value).message) < 500


@given(st.binary(max_size=300), st.integers(300, 599))
def test_no_bytes_break_it(body: bytes, status: int) -> None:
    assert len(error(status, body).message) < 500
    spoken(body)


def test_json_goes_out_unescaped_and_comes_back_with_nan() -> None:
    """Russian stays readable; NaN and Infinity are let in, so that a vector with them is named as that."""
    assert encode({"q": "сроки"}) == '{"q":"сроки"}'.encode()
    value = decode(b'{"v": [NaN, Infinity, 1]}')["v"]
    assert value[0] != value[0]
    assert value[1:] == [float("inf"), 1]
    with pytest.raises(ValueError, match="not JSON"):
        decode(b"{" + KEY.encode())
