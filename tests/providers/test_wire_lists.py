"""Models, counted tokens and the balance; and that no JSON whatever breaks a parser."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import BadResponse, ConfigError, ProviderError
from ragkit.messages import Balance, Model, TokenCount
from ragkit.providers.wire import embeddings, files, images, models, replies, stream, tokens
from ragkit.types import Usage


def test_the_type_of_a_model_is_kept() -> None:
    """It tells what embeds from what chats; other services have none."""
    reply = {
        "object": "list",
        "data": [
            {"id": "GigaChat-2", "object": "model", "owned_by": "salutedevices", "type": "chat"},
            {"id": "Embeddings", "object": "model", "owned_by": "salutedevices", "type": "embedder"},
            {"id": "llama3", "object": "model", "created": 1},
        ],
    }
    assert models.models(reply) == [
        Model("GigaChat-2", "chat", "salutedevices"),
        Model("Embeddings", "embedder", "salutedevices"),
        Model("llama3"),
    ]


def test_tokens_are_counted_in_a_bare_list() -> None:
    """One count for each text, in their order; a list under `data` is read too."""
    counts = [{"object": "tokens", "tokens": 7, "characters": 36}, {"object": "tokens", "tokens": 2, "characters": 5}]
    assert tokens.body("GigaChat", ["Я к вам пишу", "Чего же"]) == {
        "model": "GigaChat",
        "input": ["Я к вам пишу", "Чего же"],
    }
    wanted = [TokenCount(7, 36), TokenCount(2, 5)]
    assert tokens.counts(counts, count=2) == tokens.counts({"data": counts}, count=2) == wanted
    with pytest.raises(BadResponse, match="3 texts were sent and 2 counts came back"):
        tokens.counts(counts, count=3)
    with pytest.raises(BadResponse, match="`tokens` of a count is null"):
        tokens.counts([{"characters": 5}], count=1)
    with pytest.raises(ConfigError, match="no texts"):
        tokens.body("GigaChat", [])


def test_the_balance_has_an_entry_for_each_kind_of_token() -> None:
    """The kinds are the service's own names."""
    reply = {"balance": [{"usage": "GigaChat", "value": 50000}, {"usage": "embeddings", "value": 0.5}]}
    assert tokens.balance(reply) == [Balance("GigaChat", 50000), Balance("embeddings", 0.5)]
    with pytest.raises(BadResponse, match="`value` of the balance is null"):
        tokens.balance({"balance": [{"usage": "GigaChat"}]})


WORDS = [
    *("choices", "message", "delta", "content", "role", "function_call", "tool_calls", "function", "name", "arguments"),
    *("index", "finish_reason", "usage", "prompt_tokens", "data", "embedding", "id", "object", "error", "status"),
    *("code", "created", "model", "tokens", "characters", "balance", "value", "url", "b64_json", "deleted", "filename"),
    *("bytes", "text", "type", "functions_state_id", "data_for_context"),
]
HUGE = st.sampled_from([10**400, -(10**400), 2**63, 10**18, 1e308, float("inf"), float("nan")])
SCALARS = st.none() | st.booleans() | st.integers() | HUGE | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)
PARSERS: list[Callable[[object], Any]] = [
    replies.completion,
    lambda reply: embeddings.vectors(reply, count=1, dimension=None),
    lambda reply: embeddings.vectors({"data": [{"embedding": reply}]}, count=1, dimension=None),
    lambda reply: embeddings.vectors({"data": [{"embedding": [reply]}]}, count=1, dimension=None),
    lambda reply: replies.completion({"choices": [{"message": reply}]}),
    lambda reply: replies.completion({"choices": [{"message": {"function_call": reply}}]}),
    lambda reply: replies.completion({"choices": [{"message": {"tool_calls": [{"function": reply}]}}]}),
    files.remote_file,
    files.remote_files,
    files.deleted,
    images.images,
    models.models,
    lambda reply: tokens.counts(reply, count=1),
    tokens.balance,
]


@pytest.mark.parametrize("number", range(len(PARSERS)))
@given(reply=ANY_JSON)
def test_no_json_raises_anything_but_bad_response(number: int, reply: object) -> None:
    """A service may send anything at all."""
    with suppress(BadResponse):
        PARSERS[number](reply)


@given(st.lists(ANY_JSON | ANY_JSON.map(lambda delta: {"choices": [{"delta": delta}]}), max_size=5), st.booleans())
def test_no_stream_raises_anything_but_an_error_of_services(events: list[object], ended: bool) -> None:
    """Damaged, cut off, full of errors: each is one of ours."""
    assembler = stream.Assembler()
    with suppress(ProviderError):
        for event in events:
            assembler.feed(json.dumps(event))
        if ended:
            assembler.feed("[DONE]")
        assembler.finish()


@pytest.mark.parametrize("number", range(len(PARSERS)))
def test_json_of_any_depth_is_only_a_bad_response(number: int) -> None:
    """Nothing that shows a reply in a message goes down into it."""
    deep: Any = "x"
    lists: Any = 1.0
    for _ in range(5000):
        deep, lists = {"message": [deep]}, [lists]
    for reply in (deep, lists, [deep], {"choices": deep}, {"error": deep}, {"data": lists}, {"choices": lists}):
        try:
            PARSERS[number](reply)
        except BadResponse as error:
            told = error.message
        else:
            told = ""
        assert len(told) < 500


@pytest.mark.parametrize("size", [10**400, -(10**400), 2**60, 1e308, float("inf"), float("nan"), True, "7"])
def test_a_number_that_is_no_number_of_ours_is_no_number(size: object) -> None:
    """Where it matters, it is named; in the bookkeeping of what was paid for it is none, and so is an absurd time."""
    with pytest.raises(BadResponse):
        tokens.counts([{"tokens": size, "characters": 1}], count=1)
    with pytest.raises(BadResponse):
        tokens.balance({"balance": [{"usage": "GigaChat", "value": size}]})
    usage = {"prompt_tokens": size, "completion_tokens": 3}
    answer = {"choices": [{"message": {"content": "x"}}], "usage": usage, "created": size}
    found = replies.completion(answer)
    assert (found.usage, found.created) == (Usage(completion_tokens=3), 0)
    assert files.remote_file({"id": "f", "bytes": size, "created_at": size}).size == 0
    assembler = stream.Assembler()
    for event in (answer | {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}, "[DONE]"):
        assembler.feed(event if isinstance(event, str) else json.dumps(event))
    assert assembler.finish().usage == Usage(completion_tokens=3)


@pytest.mark.parametrize(("said", "moment"), [(1_700_000_000, 1_700_000_000), (1_700_000_000_000, 0), (10**18, 0)])
def test_a_time_is_in_seconds_or_not_known(said: int, moment: int) -> None:
    assert files.remote_file({"id": "f", "created_at": said}).created == moment
