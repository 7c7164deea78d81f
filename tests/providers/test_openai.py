"""OpenAI-compatible services, against the sandbox over real HTTP; and what such services differ in, a test for each."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from faults import Faults, events, say, stream

from ragkit.errors import (
    AuthenticationError,
    BadResponse,
    ConfigError,
    ContentRejected,
    InvalidRequest,
    NotFound,
    ProviderError,
    ServerError,
    StreamInterrupted,
    TooLarge,
)
from ragkit.messages import ChatOptions, Function, ImageOptions, Message, Picture
from ragkit.metering import metered
from ragkit.providers.embedding import RemoteEmbedder
from ragkit.providers.failures import api_error
from ragkit.providers.openai import OpenAICompatible
from ragkit.providers.presets import PRESETS, Preset
from ragkit.providers.wire.shapes import complaint
from ragkit.sandbox import Sandbox
from ragkit.types import FloatMatrix, Usage

HELLO = [Message("user", "How long is the warranty?")]
OUR_KEY = "sk-key-that-nobody-sees"
MODEL = "text-embedding-3-small"
TEXTS = ["один", "два", "three"]


@pytest.fixture
def service(sandbox: Sandbox) -> Iterator[OpenAICompatible]:
    made = connect(sandbox)
    yield made
    made.close()


def connect(sandbox: Sandbox, preset: str | Preset = "openai", **arguments: object) -> OpenAICompatible:
    known = {"base_url": sandbox.openai_url, "api_key": sandbox.api_key, "chat_model": "gpt-4o-mini"}
    return OpenAICompatible(**{**known, **arguments}, preset=preset)  # type: ignore[arg-type]  # a table of arguments


def sent(sandbox: Sandbox, path: str = "/embeddings") -> list[dict[str, object]]:
    return [request.body for request in sandbox.stats.requests if request.path.endswith(path)]


def unit(rows: FloatMatrix) -> FloatMatrix:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# -- chat, pictures, models


def test_a_completion_and_a_stream_say_the_same(service: OpenAICompatible) -> None:
    """Text, usage and reason come both ways."""
    whole = service.complete(HELLO)
    with metered() as meter:
        deltas = list(service.stream(HELLO))
    last = deltas[-1].completion
    assert last
    assert "".join(delta.text for delta in deltas) == last.text == whole.text
    assert last.finish_reason == whole.finish_reason == "stop"
    assert meter.usage.total_tokens == whole.usage.total_tokens > 0


def test_functions_travel_as_tools(sandbox: Sandbox, service: OpenAICompatible) -> None:
    """The same nouns as with GigaChat; the call's id goes back with its result."""
    schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    search = Function("search", "Finds passages", schema)
    asked = [Message("user", "Find the warranty period")]
    call = service.complete(asked, functions=[search], function_call="auto")
    assert call.message.function_call
    assert call.message.function_call.id
    result = Message("function", '{"text": "The warranty period is 24 months."}', name="search")
    answer = service.complete([*asked, call.message, result], functions=[search], function_call="auto")
    assert "24 months" in answer.text
    messages = sent(sandbox, "/chat/completions")[-1]["messages"]
    assert messages[2]["tool_call_id"] == call.message.function_call.id  # type: ignore[index]  # JSON


def test_pictures_travel_inside_the_message(sandbox: Sandbox, service: OpenAICompatible) -> None:
    """A service that keeps no files gets an image as a data URL."""
    service.complete([Message("user", "What is this?", pictures=(Picture(b"\x89PNG", "image/png"),))])
    [body] = sent(sandbox, "/chat/completions")
    assert "data:image/png;base64,iVBORw==" in str(body)


def test_models_are_listed(service: OpenAICompatible) -> None:
    """Whatever the service calls them."""
    assert MODEL in {model.id for model in service.models()}


@pytest.mark.parametrize("form", ["url", "b64_json", ""])
def test_pictures_are_drawn(service: OpenAICompatible, form: str) -> None:
    """By address or inside the reply; what the model made of the prompt is told."""
    options = ImageOptions("dall-e-3", size="1792x1024", quality="hd", style="vivid", response_format=form)
    [image] = service.generate("Уютная кофейня", options)
    assert image.media_type == "image/png"
    assert image.data.startswith(b"\x89PNG")
    assert image.revised_prompt


def test_what_cannot_be_drawn_is_known_beforehand(sandbox: Sandbox, service: OpenAICompatible) -> None:
    """Sizes and styles of known models are checked before anything is sent; of others the service knows."""
    for model, name, value in (
        ("dall-e-3", "size", "256x256"),
        ("dall-e-2", "style", "vivid"),
        ("yandexgpt/yandex-art", "size", "512x512"),
    ):
        with pytest.raises(ConfigError, match=name):
            list(service.generate("кофейня", ImageOptions(model, **{name: value})))
    assert not sandbox.stats.requests
    with pytest.raises((NotFound, InvalidRequest)):
        list(service.generate("кофейня", ImageOptions("no-such-model")))


def test_a_refused_prompt_is_told_as_such(service: OpenAICompatible) -> None:
    """The service's policy is another thing than a mistake in the request."""
    with pytest.raises(ContentRejected) as caught:
        list(service.generate("forbidden", ImageOptions("dall-e-3")))
    assert caught.value.hint


def test_a_key_is_needed_where_the_preset_says_so(sandbox: Sandbox) -> None:
    """Before anything is sent; a server of one's own needs none."""
    with pytest.raises(ConfigError, match="needs a key"):
        OpenAICompatible(preset="openrouter").models()
    assert OpenAICompatible(sandbox.openai_url, preset=replace(PRESETS["ollama"])).chat_model == ""


def test_a_wrong_key_is_named_and_not_shown() -> None:
    """The error is about the key and holds none of it."""
    with Sandbox(api_key="right") as strict, pytest.raises(AuthenticationError) as caught:
        connect(strict, api_key="wrong-secret-key").models()
    assert "wrong-secret-key" not in str(caught.value) + caught.value.hint


# -- what services differ in


def test_floats_are_asked_for_and_base64_is_understood(sandbox: Sandbox, service: OpenAICompatible) -> None:
    """encoding_format is always sent, for some servers break base64; what comes as base64 is right all the same."""
    embedder = service.embedder(MODEL)
    rows = embedder.embed_documents(TEXTS)
    sandbox.inject("base64", path="/embeddings")
    assert np.allclose(embedder.embed_documents(TEXTS), rows)
    assert all(body["encoding_format"] == "float" for body in sent(sandbox))


def test_dimensions_are_sent_only_when_configured(sandbox: Sandbox, service: OpenAICompatible) -> None:
    """Some servers answer 400 to the field, others ignore it: the length that comes is checked."""
    assert service.embedder(MODEL, dimensions=256).embed_documents(TEXTS).shape == (3, 256)
    service.embedder(MODEL).embed_documents(TEXTS)
    assert [body.get("dimensions") for body in sent(sandbox)] == [256, None]
    sandbox.inject("wrong-dimension", times=None, path="/embeddings")
    with pytest.raises(BadResponse, match="256 were expected"):
        service.embedder(MODEL, dimensions=256).embed_documents(TEXTS)


def test_rows_are_ordered_by_index_and_counted(sandbox: Sandbox, service: OpenAICompatible) -> None:
    """Shuffled rows find their texts, rows without an index keep their order, a missing one is an error."""
    embedder = service.embedder(MODEL)
    rows = embedder.embed_documents(TEXTS)
    for fault in ("shuffled", "no-index", "duplicate-index"):
        sandbox.inject(fault, path="/embeddings")
        assert np.allclose(embedder.embed_documents(TEXTS), rows), fault
    for fault in ("missing-item", "extra-item"):
        sandbox.inject(fault, times=2, path="/embeddings")
        with pytest.raises(BadResponse, match="3 texts were sent"):
            connect(sandbox, retries=1).embedder(MODEL).embed_documents(TEXTS)


def test_batches_are_what_the_service_takes(sandbox: Sandbox) -> None:
    """The preset says how many texts; where that was wrong, a refused batch is halved until it fits."""
    connect(sandbox, "dashscope").embedder(MODEL).embed_documents([f"text {n}" for n in range(25)])
    assert sorted(len(body["input"]) for body in sent(sandbox)) == [5, 10, 10]  # type: ignore[arg-type]  # JSON
    sandbox.reset()
    sandbox.inject("413", times=3, path="/embeddings")
    rows = connect(sandbox, slots=1).embedder(MODEL).embed_documents([f"text {n}" for n in range(8)])
    assert len(np.unique(rows, axis=0)) == 8


def test_input_is_a_list_of_texts_but_for_those_that_take_one(sandbox: Sandbox) -> None:
    """Never token ids; a bare string only where the preset says so."""
    connect(sandbox).embedder(MODEL).embed_documents(TEXTS[:1])
    connect(sandbox, "yandex", scheme="Bearer").embedder(MODEL).embed_documents(TEXTS[:1])
    connect(sandbox, "gptunnel", scheme="Bearer").embedder(MODEL).embed_documents(TEXTS[:1])
    assert [body["input"] for body in sent(sandbox)] == [["один"], ["один"], "один"]


def test_empty_texts_are_never_sent(sandbox: Sandbox, service: OpenAICompatible) -> None:
    """Many services refuse a whole batch for one; ours says which text it is."""
    with pytest.raises(ConfigError, match="text 1 is empty"):
        service.embedder(MODEL).embed_documents(["один", "\n"])
    assert not sandbox.stats.requests


def test_usage_may_be_missing_and_the_model_may_differ(sandbox: Sandbox, service: OpenAICompatible) -> None:
    """A service that does not say what it bills is accounted for by our estimate: a limit has to hold there too."""
    sandbox.inject("no-usage", path="/embeddings")
    with metered() as silent:
        service.embedder(MODEL).embed_documents(TEXTS)
    with metered() as told:
        service.embedder(MODEL).embed_documents(TEXTS)
    assert 0 < silent.usage.embedding_tokens <= 2 * told.usage.embedding_tokens


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no good", "type": "x"}},
        {"error": "no good"},
        {"object": "error", "message": "no good"},
        {"status": 500, "message": "no good"},
        {"code": 6, "message": "no good"},
    ],
)
def test_five_shapes_of_an_error_are_read(body: dict[str, object]) -> None:
    """Whichever shape a service has, its own words are in the message."""
    assert "no good" in (complaint(body) or "")


def test_an_error_in_html_is_told_without_the_page(sandbox: Sandbox) -> None:
    """A gateway's page is not dumped into the terminal."""
    sandbox.inject("500-html", times=None, path="/models")
    with pytest.raises(ServerError) as caught:
        connect(sandbox, retries=0).models()
    assert "<" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_scheme_and_extra_headers_are_configurable(sandbox: Sandbox) -> None:
    """Bearer, Api-Key or the bare key; and a header such as the folder's."""
    for scheme in ("Bearer", "Api-Key", ""):
        service = connect(sandbox, scheme=scheme, headers={"x-folder-id": "b1g"})
        with suppress(AuthenticationError):  # the sandbox takes Bearer alone
            service.models()
    seen = [request.headers for request in sandbox.stats.requests]
    assert [each["authorization"].split()[0] for each in seen[:2]] == ["Bearer", "Api-Key"]
    assert {each["x-folder-id"] for each in seen} == {"b1g"}


@pytest.mark.parametrize("fault", ["nan", "zero-vector"])
def test_a_vector_that_points_nowhere_is_refused(sandbox: Sandbox, fault: str) -> None:
    """NaN, infinity and zero are not stored; other lengths are, for the store normalises."""
    sandbox.inject(fault, times=2, path="/embeddings")
    with pytest.raises(BadResponse):
        connect(sandbox, retries=1).embedder(MODEL).embed_documents(TEXTS)


def test_queries_may_have_a_model_of_their_own(sandbox: Sandbox, service: OpenAICompatible) -> None:
    """As services with a pair of models, and models with prefixes, want it."""
    embedder: RemoteEmbedder = service.embedder(
        MODEL, query_model="text-embedding-3-large", document_prefix="passage: ", query_prefix="query: "
    )
    embedder.embed_documents(["a"])
    with pytest.raises(ConfigError, match="3072 numbers for queries"):  # these two do not belong together
        embedder.embed_query("b")
    assert [(body["model"], body["input"]) for body in sent(sandbox)][:2] == [
        (MODEL, ["passage: a"]),
        ("text-embedding-3-large", ["query: b"]),
    ]


def test_a_text_that_is_too_long_is_known_by_many_names() -> None:
    """400, 413, 422 or 500 with words about length: the text is cut, not given up."""
    for status, words in (
        (400, "This model's maximum context length is 8192 tokens"),
        (400, "input length exceeds the context length"),
        (413, "Payload too large"),
        (422, "batch size 64 > maximum allowed batch size 32"),
        (500, "input is too large to process. increase the physical batch size"),
    ):
        body = f'{{"error": {{"message": "{words}"}}}}'.encode()
        assert isinstance(api_error(status, {}, body, what="POST /embeddings", service="host"), TooLarge), words


@pytest.mark.parametrize("name", PRESETS)
def test_presets_hold_together(name: str) -> None:
    """An address with its version, limits that a request can keep to."""
    preset = PRESETS[name]
    assert preset.base_url.startswith(("https://", "http://127.0.0.1"))
    assert preset.needs_key == preset.base_url.startswith("https://")
    assert 1 <= preset.batch_items <= 2048
    assert preset.batch_items == 1 or not preset.single_input


def test_options_of_a_call_win_over_those_of_the_service(sandbox: Sandbox) -> None:
    """What a call does not say comes from the service's own options."""
    service = connect(sandbox, options=ChatOptions(temperature=0.5, top_p=0.9, extra={"seed": 1}))
    service.complete(HELLO, options=ChatOptions(model="gpt-4o", temperature=0.0, extra={"user": "u"}))
    [body] = sent(sandbox, "/chat/completions")
    assert {name: body[name] for name in ("model", "temperature", "top_p", "seed", "user")} == {
        "model": "gpt-4o",
        "temperature": 0.0,
        "top_p": 0.9,
        "seed": 1,
        "user": "u",
    }


def test_a_model_has_to_be_named(sandbox: Sandbox) -> None:
    """Where neither setting nor preset names one, that is said before anything is sent."""
    nameless = OpenAICompatible(sandbox.openai_url, preset="vllm")
    for call in (lambda: nameless.complete(HELLO), lambda: nameless.embedder(), lambda: list(nameless.generate("cat"))):
        with pytest.raises(ConfigError, match="is named"):
            call()


SAID = [
    events('{"choices": [{"delta": {"content": "Hello"}}]}', f'{{"error": {{"message": "bad {OUR_KEY}"}}}}'),
    events('{"choices": [{"delta": {"content": "Hello"}}]}', f"oops {OUR_KEY}"),
    events(
        '{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "'
        f'{OUR_KEY}"}}}}]}}, "finish_reason": "tool_calls"}}]}}'
    ),
]


@pytest.mark.parametrize("said", SAID)
def test_a_key_that_a_stream_repeats_is_shown_nowhere(said: list[bytes]) -> None:
    """In an error after some text, in an event that is no JSON, in arguments that are none."""
    with Faults(stream(*said)) as server:
        service = OpenAICompatible(server.url, OUR_KEY, preset="vllm", chat_model="m")
        with pytest.raises(ProviderError) as caught:
            list(service.stream(HELLO))
    assert OUR_KEY not in "".join(traceback.format_exception(caught.value))
    assert OUR_KEY not in caught.value.hint


CALL = {"index": 0, "id": "1", "function": {"name": "f", "arguments": '{"a": 1'}}
BILL = {"prompt_tokens": 10, "completion_tokens": 5}
SLIP = {"choices": [{"message": {"tool_calls": [CALL]}, "finish_reason": "length"}], "usage": BILL}
PLAIN = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": BILL}


def vllm(server: Faults, retries: int = 5) -> OpenAICompatible:
    return OpenAICompatible(server.url, OUR_KEY, preset="vllm", chat_model="m", retries=retries)


def test_arguments_that_are_no_json_are_bought_once() -> None:
    """The answer was written: asking for it again is for the caller, who is told what it cost."""
    with (
        Faults(say(200, SLIP), say(200, PLAIN)) as server,
        pytest.raises(BadResponse, match="no JSON object") as caught,
    ):
        vllm(server).complete(HELLO)
    assert len(server.requests) == 1
    assert caught.value.usage == Usage(prompt_tokens=10, completion_tokens=5)
    assert type(caught.value) is BadResponse
    piece = {"choices": [{"delta": {"tool_calls": [CALL]}, "finish_reason": "length"}], "usage": BILL}
    with Faults(stream(*events(json.dumps(piece)))) as server, pytest.raises(BadResponse, match="no JSON") as caught:
        list(vllm(server).stream(HELLO))
    assert caught.value.usage == Usage(prompt_tokens=10, completion_tokens=5)


def test_an_answer_of_no_use_is_on_the_bill_of_the_next() -> None:
    """The request is made again, and both replies are paid for."""
    with Faults(say(200, {"choices": [], "usage": BILL}), say(200, PLAIN)) as server, metered() as meter:
        assert vllm(server).complete(HELLO).usage.total_tokens == meter.usage.total_tokens == 30
    nothing = {"data": [{"index": 0, "embedding": [0, 0]}], "usage": {"prompt_tokens": 7}}
    row = {"data": [{"index": 0, "embedding": [1, 2]}], "usage": {"prompt_tokens": 7}}
    with Faults(say(200, nothing), say(200, row)) as server:
        assert vllm(server).embed(MODEL, ["text"])[1] == Usage(embedding_tokens=14)
    with Faults(say(200, nothing)) as server, pytest.raises(BadResponse) as caught:
        vllm(server, retries=1).embed(MODEL, ["text"])
    assert len(server.requests) == 2
    assert caught.value.usage == Usage(embedding_tokens=14)


def test_a_stream_that_breaks_says_what_it_cost_until_then() -> None:
    """Some services tell the usage with every piece."""
    piece = {"choices": [{"delta": {"content": "Hello"}}], "usage": BILL}
    with Faults(stream(*events(json.dumps(piece)), end=False)) as server, pytest.raises(StreamInterrupted) as caught:
        list(vllm(server).stream(HELLO))
    assert caught.value.partial == "Hello"
    assert caught.value.usage == Usage(prompt_tokens=10, completion_tokens=5)


def test_a_picture_is_fetched_from_where_it_may_be_only() -> None:
    """From the service itself without the key; from no neighbour of it on this machine, and from no file."""
    picture = b"\x89PNG\r\n\x1a\nand so on"
    with Faults(say(200, raw=picture)) as server, Faults(say(200, raw=picture)) as neighbour:
        for place in (server.url, neighbour.url, "file:///etc/passwd"):
            server.route("/v1/images/generations", say(200, {"data": [{"url": f"{place}/x.png?signature=1"}]}))
            drawn = OpenAICompatible(server.url, OUR_KEY, preset="vllm", image_model="m").generate("a cat")
            if place == server.url:
                assert [each.data for each in drawn] == [picture]
            else:
                with pytest.raises(BadResponse, match="is not fetched") as caught:
                    list(drawn)
                assert "signature" not in caught.value.message
        [fetched] = server.asked("/v1/x.png?signature=1")
        assert "authorization" not in fetched.headers
        assert not neighbour.requests


def test_a_web_page_is_no_picture() -> None:
    """An address that ran out leads to a page that says so."""
    with Faults(say(200, raw=b"<html>expired</html>", content_type="text/html")) as server:
        server.route("/v1/images/generations", say(200, {"data": [{"url": f"{server.url}/x.png"}]}))
        with pytest.raises(BadResponse, match="no picture of a known kind"):
            list(OpenAICompatible(server.url, OUR_KEY, preset="vllm", image_model="m").generate("a cat"))


def test_an_unknown_preset_is_named() -> None:
    """With those that there are, as an error of ours."""
    with pytest.raises(ConfigError, match="'opnai'") as caught:
        OpenAICompatible(preset="opnai")
    assert "openrouter" in caught.value.hint
