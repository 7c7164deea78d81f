"""Whole chat replies, GigaChat's and OpenAI's; the examples are those of their documentation."""

import json
from typing import Any

import pytest

from ragkit.errors import BadResponse
from ragkit.messages import FunctionCall
from ragkit.providers.wire.gigachat import completion
from ragkit.types import Usage

GREETING: dict[str, Any] = {
    "choices": [
        {
            "finish_reason": "stop",
            "index": 0,
            "message": {"content": "Все отлично, спасибо. А как ваши дела?", "role": "assistant"},
        }
    ],
    "created": 1706096547,
    "model": "GigaChat:2.0.28.2",
    "object": "chat.completion",
    "usage": {
        "completion_tokens": 12,
        "prompt_tokens": 173,
        "precached_prompt_tokens": 2,
        "system_tokens": 0,
        "total_tokens": 185,
    },
}
CONTEXT = [
    {
        "content": "Запускаю генерацию изображения. Ожидайте результат",
        "role": "assistant",
        "function_call": {"name": "text2image", "arguments": {"query": "pink cat, cartoon, colorful, drawing"}},
    },
    {"content": '{"status":"success"}', "role": "function", "name": "text2image"},
    {"content": " - вот розовый кот, который у меня получился.", "role": "assistant"},
]


def reply(message: dict[str, Any], **choice: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, "index": 0, **choice}]}


def test_a_reply_of_gigachat() -> None:
    """The model is named with its version, and part of the prompt came from the cache."""
    found = completion(GREETING, request_id="r-1")
    assert found.text == "Все отлично, спасибо. А как ваши дела?"
    assert (found.finish_reason, found.model, found.created) == ("stop", "GigaChat:2.0.28.2", 1706096547)
    assert found.usage == Usage(prompt_tokens=173, completion_tokens=12, precached_prompt_tokens=2)
    assert found.request_id == "r-1"


def test_a_function_call_of_gigachat_has_an_object_of_arguments() -> None:
    """Its state is kept, to go back with the message."""
    found = completion(
        reply(
            {
                "role": "assistant",
                "content": "",
                "functions_state_id": "77d3fb14-457a-46ba-937e-8d856156d003",
                "function_call": {
                    "name": "weather_forecast",
                    "arguments": {"location": "Москва", "format": "celsius"},
                },
            },
            finish_reason="function_call",
        )
    )
    assert found.message.function_call == FunctionCall("weather_forecast", {"location": "Москва", "format": "celsius"})
    assert found.message.functions_state_id == "77d3fb14-457a-46ba-937e-8d856156d003"
    assert found.finish_reason == "function_call"


def test_a_drawn_picture_comes_with_the_memory_of_how_it_was_drawn() -> None:
    """`data_for_context` is kept whole and in order."""
    found = completion(reply({"role": "assistant", "content": "кот", "data_for_context": CONTEXT}))
    assert list(found.message.data_for_context) == CONTEXT


def test_parallel_calls_of_openai_are_all_kept() -> None:
    """Arguments come as JSON in a text; an empty text means none."""
    found = completion(
        reply(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": [1, "да"]}'}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
                ],
            },
            finish_reason="tool_calls",
        )
    )
    assert found.message.calls == (FunctionCall("f", {"x": [1, "да"]}, "a"), FunctionCall("g", {}, "b"))
    assert found.finish_reason == "function_call"
    assert found.text == ""


def test_several_answers_are_in_the_order_of_their_index() -> None:
    """The first is the completion, and the rest are beside it."""
    found = completion(
        {
            "choices": [
                {"index": 1, "message": {"content": "два"}, "finish_reason": "length"},
                {"index": 0, "message": {"content": "один"}, "finish_reason": "stop"},
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        }
    )
    assert found.text == "один"
    assert [(other.text, other.finish_reason) for other in found.others] == [("два", "length")]
    assert found.usage.total_tokens + sum(other.usage.total_tokens for other in found.others) == 3


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "да"}, "да"),
        ({"content": None}, ""),
        ({}, ""),
        ({"content": [{"type": "text", "text": "од"}, {"type": "image_url"}, "ин"]}, "один"),
        ({"content": None, "refusal": "I cannot say that."}, "I cannot say that."),
        ({"content": "да", "role": "function_in_progress", "created": 1625284800, "name": "text2image"}, "да"),
        ({"content": "да", "tool_calls": None, "function_call": None, "audio": None, "annotations": []}, "да"),
    ],
)
def test_the_text_is_found_however_it_is_written(message: dict[str, Any], text: str) -> None:
    """Null, parts, a refusal, and fields that nobody knows are all seen at real services."""
    found = completion(reply(message))
    assert found.text == text
    assert found.message.role == "assistant"
    assert found.message.function_call is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [("stop", "stop"), ("content_filter", "blacklist"), ("eos", "eos"), (None, "stop")],
)
def test_a_finish_reason_is_one_of_ours_or_the_services_own(given: str | None, kept: str) -> None:
    """A whole answer without a reason ended by itself."""
    assert completion(reply({"content": "x"}, finish_reason=given)).finish_reason == kept


def test_what_a_reasoning_model_thought_is_kept_apart() -> None:
    """It is no part of the answer."""
    found = completion(reply({"content": "42", "reasoning_content": "шесть на семь"}))
    assert (found.text, found.message.reasoning) == ("42", "шесть на семь")


@pytest.mark.parametrize(
    ("usage", "kept"),
    [
        (None, Usage()),
        ({}, Usage()),
        ({"prompt_tokens": None, "completion_tokens": "?", "cost_rub": 0.1}, Usage()),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}},
            Usage(prompt_tokens=9, completion_tokens=1, precached_prompt_tokens=8),
        ),
    ],
)
def test_usage_may_be_absent_or_hold_more(usage: Any, kept: Usage) -> None:
    """An answer is not lost over its bookkeeping."""
    assert completion(reply({"content": "x"}) | {"usage": usage}).usage == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "the reply is null, not an object"),
        ("<html>", "the reply is a text"),
        ({}, "the reply has no `choices`"),
        ({"choices": []}, "has no choices"),
        ({"choices": {}}, "`choices` of the reply is an object"),
        ({"choices": [None]}, "a choice is null"),
        ({"choices": [{"text": "x"}]}, "`message` of a choice is null"),
        (reply({"content": 5}), "`content` of a message is a number"),
        (reply({"function_call": "f"}), "the function of a call is a text"),
        (reply({"function_call": {"arguments": {}}}), "`name` of a function call is missing"),
        (reply({"tool_calls": {"0": 1}}), "`tool_calls` is an object"),
        (reply({"function_call": {"name": "f", "arguments": "{x: 1}"}}), "no JSON object: {x: 1}"),
        (reply({"function_call": {"name": "f", "arguments": "[1]"}}), "no JSON object"),
        (reply({"function_call": {"name": "f", "arguments": 1}}), "no JSON object: 1"),
    ],
)
def test_a_reply_without_an_answer_is_named(given: object, said: str) -> None:
    """The error says which part is missing or wrong."""
    with pytest.raises(BadResponse) as error:
        completion(given)
    assert said in error.value.message


def test_arguments_that_were_cut_off_say_so() -> None:
    """A limit on tokens is the usual reason, and the foreign text in the message stays short."""
    arguments = '{"text": "' + "а" * 10_000
    with pytest.raises(BadResponse) as error:
        completion(reply({"function_call": {"name": "f", "arguments": arguments}}, finish_reason="length"))
    assert "max_tokens" in error.value.hint
    assert len(error.value.message) < 400


@pytest.mark.parametrize(
    "given",
    [
        {"error": {"message": "No credits", "code": 402}},
        {"error": "No credits"},
        {"object": "error", "message": "No credits"},
        {"status": 402, "message": "No credits"},
        {"code": 402, "message": "No credits"},
        {"choices": [], "error": {"message": "No credits"}},
    ],
)
def test_an_error_that_pretends_to_be_a_reply_is_told_in_its_own_words(given: object) -> None:
    """Any of the shapes that services use is read, though the status said that all is well."""
    with pytest.raises(BadResponse, match="No credits"):
        completion(json.loads(json.dumps(given)))
