"""Chat requests in OpenAI's words."""

import json
from typing import Any

import pytest

from ragkit.errors import ConfigError
from ragkit.messages import ChatOptions, Forced, Function, FunctionCall, Message, Picture
from ragkit.providers.wire.openai import chat_body

QUESTION = Message("user", "What is the weather in Moscow?")
FORECAST = Function("weather_forecast", "Temperature of a place", {"type": "object", "properties": {}})


def body(messages: list[Message], **rest: Any) -> dict[str, Any]:
    return chat_body("gpt-4o-mini", messages, **rest)


def test_what_only_gigachat_knows_is_left_out() -> None:
    """A service that knows it nevertheless gets it as an extra field."""
    options = ChatOptions(
        temperature=0,
        top_p=1,
        max_tokens=10,
        n=2,
        repetition_penalty=1.1,
        update_interval=1,
        profanity_check=True,
        extra={"repetition_penalty": 1.1},
    )
    assert body([QUESTION], options=options) == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": QUESTION.content}],
        "temperature": 0,
        "top_p": 1,
        "max_tokens": 10,
        "n": 2,
        "repetition_penalty": 1.1,
    }


def test_a_stream_asks_for_its_usage_unless_the_server_refuses_that() -> None:
    """A switch leaves the question out."""
    assert body([QUESTION], stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body([QUESTION], stream=True, usage_in_stream=False)
    assert "stream_options" not in body([QUESTION])


def test_functions_are_tools() -> None:
    """A forced function is chosen by its name."""
    made = body([QUESTION], functions=[FORECAST], function_call=Forced("weather_forecast"))
    assert made["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather_forecast",
                "description": "Temperature of a place",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ]
    assert made["tool_choice"] == {"type": "function", "function": {"name": "weather_forecast"}}
    assert body([QUESTION], functions=[FORECAST], function_call="auto")["tool_choice"] == "auto"
    assert body([QUESTION], functions=[FORECAST])["tool_choice"] == "none"
    assert "tool_choice" not in body([QUESTION], function_call="auto")  # refused where there are no tools


def test_calls_and_results_are_paired_by_id() -> None:
    """Several calls of one turn each get their result; arguments are JSON in a text."""
    made = body(
        [
            QUESTION,
            Message(
                "assistant",
                "",
                function_call=FunctionCall("weather_forecast", {"location": "Москва"}, "call_a"),
                further_calls=(FunctionCall("weather_forecast", {"location": "Тула"}, "call_b"),),
            ),
            Message("function", '{"t": 3}', name="weather_forecast", call_id="call_b"),
            Message("function", '{"t": 27}', name="weather_forecast", call_id="call_a"),
        ]
    )["messages"]
    assert made[1]["content"] is None
    assert [call["id"] for call in made[1]["tool_calls"]] == ["call_a", "call_b"]
    assert json.loads(made[1]["tool_calls"][0]["function"]["arguments"]) == {"location": "Москва"}
    assert made[2] == {"role": "tool", "tool_call_id": "call_b", "content": '{"t": 3}'}
    assert made[3] == {"role": "tool", "tool_call_id": "call_a", "content": '{"t": 27}'}


def test_a_conversation_that_gigachat_began_can_go_on_elsewhere() -> None:
    """Its calls have no ids, so they get some, and each result goes to the first call of its name without one."""
    made = body(
        [
            QUESTION,
            Message("assistant", "", function_call=FunctionCall("a", {}), functions_state_id="77d3fb14"),
            Message("function", "{}", name="a"),
            Message("assistant", "", function_call=FunctionCall("a", {}), further_calls=(FunctionCall("b", {}),)),
            Message("function", "{}", name="b"),
            Message("function", "{}", name="a"),
        ]
    )["messages"]
    first = made[1]["tool_calls"][0]["id"]
    second, third = (call["id"] for call in made[3]["tool_calls"])
    assert len({first, second, third}) == 3
    assert [made[place]["tool_call_id"] for place in (2, 4, 5)] == [first, third, second]
    assert "functions_state_id" not in made[1]


def test_results_of_one_name_go_each_to_a_call_of_its_own() -> None:
    """In their order; a call that is answered by its id is not answered again."""
    calls = [FunctionCall("f", {"n": n}, id) for n, id in ((1, ""), (2, "b"), (3, ""))]
    asked = Message("assistant", "", function_call=calls[0], further_calls=tuple(calls[1:]))
    results = [Message("function", "{}", name="f", call_id=id) for id in ("b", "", "")]
    made = body([QUESTION, asked, *results])["messages"]
    first, _, third = (call["id"] for call in made[1]["tool_calls"])
    assert [message["tool_call_id"] for message in made[2:]] == ["b", first, third]
    with pytest.raises(ConfigError, match="no call of it stands before"):
        body([QUESTION, asked, *results, Message("function", "{}", name="f")])


def test_pictures_travel_inside_the_message() -> None:
    """They are parts with data URLs, after the text."""
    made = body([Message("user", "What is this?", pictures=(Picture(b"\x89PNG", "image/png"),))])
    assert made["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
    ]


def test_the_schema_of_an_answer_gets_a_name() -> None:
    """OpenAI nests it one level deeper than GigaChat, and wants a name."""
    asked = {"type": "json_schema", "schema": {"type": "object", "properties": {}}, "strict": True}
    assert body([QUESTION], options=ChatOptions(response_format=asked))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object", "properties": {}}, "strict": True},
    }
    plain = {"type": "json_object"}
    assert body([QUESTION], options=ChatOptions(response_format=plain))["response_format"] == plain


def test_system_messages_may_stand_anywhere() -> None:
    """Only GigaChat wants a single one."""
    made = body([Message("system", "a"), QUESTION, Message("system", "b")])
    assert [message["role"] for message in made["messages"]] == ["system", "user", "system"]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([Message("user", "?", attachments=("id",))], "names 1 uploaded files"),
        ([QUESTION, Message("function", "{}", name="f")], "result of 'f', and no call of it"),
        ([QUESTION, Message("assistant", "x", pictures=(Picture(b"x"),))], "pictures and has the role assistant"),
    ],
)
def test_messages_that_cannot_be_said_are_not_sent(messages: list[Message], said: str) -> None:
    """Files of GigaChat, results of no call, and pictures that nobody showed."""
    with pytest.raises(ConfigError, match=said) as error:
        body(messages)
    assert error.value.hint


def test_settled_arguments_cannot_be_forced_here() -> None:
    """They would be lost in silence."""
    with pytest.raises(ConfigError, match="only GigaChat knows"):
        body([QUESTION], functions=[FORECAST], function_call=Forced("weather_forecast", {"num_days": 1}))
