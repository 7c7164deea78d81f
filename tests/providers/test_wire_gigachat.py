"""Chat requests in GigaChat's words; the examples are those of its documentation."""

import json
from typing import Any

import pytest

from ragkit.errors import ConfigError
from ragkit.messages import ChatOptions, Forced, Function, FunctionCall, FunctionChoice, Message, Picture
from ragkit.providers.wire.gigachat import chat_body

WEATHER = {
    "type": "object",
    "properties": {
        "location": {"type": "string", "description": "Местоположение, например, название города"},
        "format": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Единицы измерения температуры"},
        "num_days": {"type": "integer", "description": "Период, для которого нужно вернуть прогноз"},
    },
    "required": ["location", "num_days"],
}
FORECAST = Function("weather_forecast", "Возвращает температуру на заданный период", WEATHER)
QUESTION = Message("user", "Погода в Москве на три дня")


def body(messages: list[Message], **rest: Any) -> dict[str, Any]:
    return chat_body("GigaChat", messages, **rest)


def test_the_least_request_has_two_fields() -> None:
    """Nothing is sent that nobody set."""
    assert body([Message("user", "Привет! Как дела?")]) == {
        "model": "GigaChat",
        "messages": [{"role": "user", "content": "Привет! Как дела?"}],
    }


def test_every_option_is_sent_when_it_is_set() -> None:
    """The fields have the names of the documentation."""
    options = ChatOptions(
        temperature=1.5,
        top_p=0.9,
        max_tokens=512,
        n=2,
        repetition_penalty=1.0,
        update_interval=0,
        profanity_check=False,
        extra={"flags": ["preprocess"]},
    )
    made = body([QUESTION], options=options, stream=True)
    assert {name: value for name, value in made.items() if name not in ("model", "messages")} == {
        "temperature": 1.5,
        "top_p": 0.9,
        "max_tokens": 512,
        "n": 2,
        "repetition_penalty": 1.0,
        "update_interval": 0,
        "profanity_check": False,
        "stream": True,
        "flags": ["preprocess"],
    }


def test_the_interval_of_a_stream_is_sent_with_streams_only() -> None:
    """Neither it nor `stream` is in a request for a whole answer."""
    assert set(body([QUESTION], options=ChatOptions(update_interval=1))) == {"model", "messages"}


def test_the_lowest_temperature_is_sent_as_a_number_above_zero() -> None:
    """The service calls all up to 0.001 its most deterministic mode, and refuses 0 itself."""
    assert 0 < body([QUESTION], options=ChatOptions(temperature=0))["temperature"] < 0.001


def test_functions_are_described_as_in_the_documentation() -> None:
    """Examples and the schema of the result go along."""
    described = Function(
        "weather_forecast",
        "Возвращает температуру на заданный период",
        WEATHER,
        ({"request": "Какая погода в Москве в ближайшие три дня", "params": {"location": "Moscow, Russia"}},),
        {"type": "object", "properties": {"temperature": {"type": "integer"}}},
    )
    made = body([QUESTION], functions=[described], function_call="auto")
    assert made["function_call"] == "auto"
    assert made["functions"] == [
        {
            "name": "weather_forecast",
            "description": "Возвращает температуру на заданный период",
            "parameters": WEATHER,
            "few_shot_examples": [
                {"request": "Какая погода в Москве в ближайшие три дня", "params": {"location": "Moscow, Russia"}}
            ],
            "return_parameters": {"type": "object", "properties": {"temperature": {"type": "integer"}}},
        }
    ]


def test_built_in_functions_need_no_description() -> None:
    """Drawing a picture is asked for by the choice alone."""
    made = body([Message("system", "Ты — Василий Кандинский"), QUESTION], function_call="auto")
    assert made["function_call"] == "auto"
    assert "functions" not in made


def test_a_function_is_forced_with_the_arguments_that_are_settled() -> None:
    """The rest is left to the model."""
    made = body([QUESTION], functions=[FORECAST], function_call=Forced("weather_forecast", {"num_days": 3}))
    assert made["function_call"] == {"name": "weather_forecast", "partial_arguments": {"num_days": 3}}


def test_the_round_trip_of_a_function_gives_back_what_the_service_keeps_for_it() -> None:
    """Arguments are an object, the result a text with an object, and the state goes back with the call."""
    made = body(
        [
            Message("user", "Какая погода в Москве сегодня?"),
            Message(
                "assistant",
                "",
                function_call=FunctionCall("weather_forecast", {"location": "Москва", "format": "celsius"}),
                functions_state_id="77d3fb14-457a-46ba-937e-8d856156d003",
            ),
            Message("function", '{"temperature": "27"}', name="weather_forecast"),
        ],
        functions=[FORECAST],
    )
    assert made["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "functions_state_id": "77d3fb14-457a-46ba-937e-8d856156d003",
            "function_call": {"name": "weather_forecast", "arguments": {"location": "Москва", "format": "celsius"}},
        },
        {"role": "function", "content": '{"temperature": "27"}', "name": "weather_forecast"},
    ]
    assert made["function_call"] == "none"  # said aloud where functions are described


def test_the_older_memory_of_functions_goes_back_too() -> None:
    """`data_for_context` is returned as it came."""
    context = ({"role": "function", "name": "text2image", "content": '{"status":"success"}'},)
    made = body([QUESTION, Message("assistant", "вот розовый кот", data_for_context=context), QUESTION])
    assert made["messages"][1]["data_for_context"] == list(context)


def test_attachments_are_ids_of_files() -> None:
    """They stand in the message that speaks of them."""
    made = body([Message("user", "Что изображено на рисунке?", attachments=("80e0bcd5-2b78-4fa7-8783-903995f56b4b",))])
    assert made["messages"][0]["attachments"] == ["80e0bcd5-2b78-4fa7-8783-903995f56b4b"]


def test_every_object_schema_gets_properties() -> None:
    """The service refuses a schema of an object without them, however deep it stands; the caller's stays as it was."""
    schema = {
        "properties": {
            "filter": {"type": "object"},
            "rows": {"type": "array", "items": {"type": ["object", "null"]}},
            "either": {"anyOf": [{"type": "object"}, {"type": "string"}]},
            "type": {"type": "string", "enum": ["object"], "default": "object"},
        }
    }
    before = json.dumps(schema)
    sent = body([QUESTION], functions=[Function("find", parameters=schema)])["functions"][0]["parameters"]
    assert sent == {
        "type": "object",
        "properties": {
            "filter": {"type": "object", "properties": {}},
            "rows": {"type": "array", "items": {"type": ["object", "null"], "properties": {}}},
            "either": {"anyOf": [{"type": "object", "properties": {}}, {"type": "string"}]},
            "type": {"type": "string", "enum": ["object"], "default": "object"},
        },
    }
    assert json.dumps(schema) == before


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "json_schema", "schema": {"type": "object"}, "strict": True},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}, "strict": True}},
    ],
)
def test_the_schema_of_an_answer_is_flat(asked: dict[str, Any]) -> None:
    """It stands beside the type, also where it was written in OpenAI's way."""
    assert body([QUESTION], options=ChatOptions(response_format=asked))["response_format"] == {
        "type": "json_schema",
        "schema": {"type": "object", "properties": {}},
        "strict": True,
    }


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "no messages"),
        ([Message("tool", "x")], "role 'tool'"),
        ([QUESTION, Message("system", "s")], "system message stands at 1"),
        ([Message("system", "s"), Message("system", "t"), QUESTION], "2 system messages, at 0, 1"),
        ([QUESTION, Message("function", "27")], "no JSON object: '27'"),
        ([QUESTION, Message("function", "[1]")], "no JSON object"),
        ([Message("user", "?", pictures=(Picture(b"x"),))], "holds 1 pictures"),
        ([Message("user", "half \ud83d")], "half of a character at 5"),
        (
            [Message("assistant", "", function_call=FunctionCall("a", {}), further_calls=(FunctionCall("b", {}),))],
            "asks for 2 function calls",
        ),
    ],
)
def test_messages_that_the_service_refuses_are_not_sent(messages: list[Message], said: str) -> None:
    """The error says what is wrong and how to mend it."""
    with pytest.raises(ConfigError, match=said) as error:
        body(messages)
    assert error.value.hint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ChatOptions(temperature=-1), "temperature is -1"),
        (ChatOptions(temperature=float("nan")), "temperature is nan"),
        (ChatOptions(top_p=1.01), "top_p is 1.01"),
        (ChatOptions(repetition_penalty=0), "repetition_penalty is 0"),
        (ChatOptions(max_tokens=0), "max_tokens is 0"),
        (ChatOptions(n=True), "n is True"),
        (ChatOptions(update_interval=-0.5), "update_interval is -0.5"),
        (ChatOptions(extra={"stream": True}), "extra names 'stream'"),
        (ChatOptions(response_format={"type": "json_schema"}), "has no schema"),
    ],
)
def test_options_outside_their_range_are_not_sent(options: ChatOptions, said: str) -> None:
    """The error gives the value, and the hint the range."""
    with pytest.raises(ConfigError, match=said) as error:
        body([QUESTION], options=options)
    assert error.value.hint


@pytest.mark.parametrize(
    ("functions", "choice", "said"),
    [
        ([Function("погода")], "auto", "called 'погода'"),
        ([Function("2d")], "auto", "called '2d'"),
        ([FORECAST, FORECAST], "auto", "two functions"),
        ([Function("f", parameters={"type": "string"})], "auto", "of type 'string'"),
        ([Function("f", few_shot_examples=({"request": "x"},))], "auto", "an example of 'f'"),
        ([FORECAST], Forced("send_sms"), "'send_sms' is forced and not described"),
        ([FORECAST], "any", "function_call is 'any'"),
    ],
)
def test_functions_that_the_service_refuses_are_not_sent(
    functions: list[Function], choice: FunctionChoice, said: str
) -> None:
    """Names are Latin, and a forced function is among those described."""
    with pytest.raises(ConfigError, match=said) as error:
        body([QUESTION], functions=functions, function_call=choice)
    assert error.value.hint


def test_a_request_without_a_model_is_not_sent() -> None:
    """It is found before anybody asks for a token."""
    with pytest.raises(ConfigError, match="no model is named"):
        chat_body("", [QUESTION])
