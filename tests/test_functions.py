"""Functions of Python that a model may call: what it is told of them, their calls, and the conversation."""

from __future__ import annotations

import datetime
import enum
import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import ConfigError, NotFound
from ragkit.functions import call, describe, run
from ragkit.messages import ChatOptions, Completion, Delta, Function, FunctionCall, FunctionChoice, Message
from ragkit.providers.wire import gigachat
from ragkit.types import Usage


class Unit(enum.Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


@dataclass
class Place:
    city: str
    country: str = "Россия"


@dataclass
class Forecast:
    location: str
    temperature: int
    forecast: list[str] = field(default_factory=list)


class Order(TypedDict):
    id: Annotated[str, "Номер заказа"]
    note: NotRequired[str]


def weather_forecast(location: str, num_days: int, format: Literal["celsius", "fahrenheit"] = "celsius") -> Forecast:
    """Возвращает температуру
    на заданный период.

    Спрашивает метеостанцию.

    Args:
        location: Местоположение, например,
            название города
        num_days (int): Период, для которого нужно вернуть прогноз
        format: Единицы измерения температуры

    Returns:
        format: это уже не параметр
    """
    return Forecast(location, 27 if format == "celsius" else 80, ["ясно"] * num_days)


def test_a_function_is_described_by_its_signature_and_its_docstring() -> None:
    """The example of the service's documentation, written in Python."""
    examples = [{"request": "Какая погода в Москве", "params": {"location": "Москва", "num_days": 1}}]
    assert describe(weather_forecast, few_shot_examples=examples) == Function(
        "weather_forecast",
        "Возвращает температуру на заданный период.",
        {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "Местоположение, например, название города"},
                "num_days": {"type": "integer", "description": "Период, для которого нужно вернуть прогноз"},
                "format": {
                    "type": "string",
                    "enum": ["celsius", "fahrenheit"],
                    "description": "Единицы измерения температуры",
                    "default": "celsius",
                },
            },
            "required": ["location", "num_days"],
        },
        tuple(examples),
        {
            "type": "object",
            "properties": {
                "location": {"type": "string"},
                "temperature": {"type": "integer"},
                "forecast": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["location", "temperature"],
        },
    )


def every_type(
    text: str,
    count: int,
    share: float,
    sure: bool,
    tags: list[str],
    prices: dict[str, float],
    anything: dict[str, Any],
    level: Literal[1, 2],
    unit: Unit,
    place: Place,
    order: Order,
    maybe: str | None,
    either: int | str,
    said: Annotated[str, "Что сказано"],
) -> list[str]:
    return sorted(locals())


PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city"],
}


def test_every_type_that_json_can_say_has_a_schema() -> None:
    """What may be None need not be given."""
    described = describe(every_type)
    assert described.parameters["properties"] == {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "sure": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "prices": {"type": "object", "properties": {}, "additionalProperties": {"type": "number"}},
        "anything": {"type": "object", "properties": {}},
        "level": {"type": "integer", "enum": [1, 2]},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "place": PLACE,
        "order": {
            "type": "object",
            "properties": {"id": {"type": "string", "description": "Номер заказа"}, "note": {"type": "string"}},
            "required": ["id"],
        },
        "maybe": {"type": "string"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "said": {"type": "string", "description": "Что сказано"},
    }
    assert "maybe" not in described.parameters["required"]
    assert len(described.parameters["required"]) == 13
    assert described.return_parameters is None  # a list is no object
    gigachat.chat_body("m", [Message("user", "?")], functions=[described])


def untyped(city) -> str:  # type: ignore[no-untyped-def]  # that is the mistake
    return str(city)


def starred(*cities: str) -> str:
    return cities[0]


def keywords(**cities: str) -> str:
    return cities["a"]


def positional(city: str, /) -> str:
    return city


def dated(day: datetime.datetime) -> str:
    return str(day)


def pair(both: tuple[int, str]) -> str:
    return str(both)


def unresolved(city: Nowhere) -> str:  # type: ignore[name-defined]  # noqa: F821 - that is the mistake
    return str(city)


def numbered(cities: dict[int, str]) -> str:
    return cities[0]


async def later(city: str) -> str:
    return city


@dataclass
class Tree:
    branches: list[Tree]


def grown(tree: Tree) -> str:
    return str(tree)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (untyped, "parameter 'city' of 'untyped' has no type"),
        (starred, "parameter 'cities' of 'starred' cannot go by its name"),
        (keywords, "parameter 'cities' of 'keywords' cannot go by its name"),
        (positional, "parameter 'city' of 'positional' cannot go by its name"),
        (dated, "parameter 'day' of 'dated' has the type datetime, which"),
        (pair, "parameter 'both' of 'pair' is a tuple of a fixed length"),
        (numbered, "parameter 'cities' of 'numbered' has keys of type int"),
        (unresolved, "annotation of 'unresolved' cannot be resolved: name 'Nowhere'"),
        (grown, r"parameter 'tree' of 'grown'.branches has the type Tree, which holds itself"),
        (later, "'later' is a coroutine function"),
    ],
)
def test_what_cannot_be_described_is_named(function: Any, said: str) -> None:
    """The function and the parameter, and what to write instead."""
    with pytest.raises(ConfigError, match=said) as error:
        describe(function)
    assert error.value.hint


class Shop:
    def stock(self, item: str) -> dict[str, int]:
        """How many are left."""
        return {item: 3}

    def __call__(self, item: str, secret: str = "") -> str:
        """Buy one."""
        return f"{item}{secret}"


def test_methods_partials_and_objects_are_functions_too() -> None:
    """What belongs to the object, or is settled already, is no parameter."""
    stock = describe(Shop().stock)
    assert (stock.name, stock.description, list(stock.parameters["properties"])) == (
        "stock",
        "How many are left.",
        ["item"],
    )
    assert stock.return_parameters == {
        "type": "object",
        "properties": {},
        "additionalProperties": {"type": "integer"},
    }
    bought = functools.partial(Shop(), secret="!")
    assert describe(bought, name="buy") == Function(
        "buy",
        "Buy one.",
        {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]},
    )
    assert call(bought, {"item": "a"}) == {"result": "a!"}
    assert "error" in call(bought, {"item": "a", "secret": "?"})


def test_a_call_takes_what_a_model_writes() -> None:
    """Numbers in texts, whole numbers with a point, texts of choices: what is meant is plain."""
    given = {
        "text": 123456789,
        "count": "3",
        "share": "0.5",
        "sure": "True",
        "tags": ["а"],
        "prices": {"a": 1},
        "anything": {"x": [None]},
        "level": "2",
        "unit": "fahrenheit",
        "place": {"city": "Тула"},
        "order": {"id": 7},
        "either": "5",
        "said": "да",
    }
    seen: dict[str, Any] = {}

    @functools.wraps(every_type)
    def watched(**arguments: Any) -> None:
        seen.update(arguments)

    assert call(watched, given) == {"result": None}
    assert seen == {
        "text": "123456789",
        "count": 3,
        "share": 0.5,
        "sure": True,
        "tags": ["а"],
        "prices": {"a": 1.0},
        "anything": {"x": [None]},
        "level": 2,
        "unit": Unit.FAHRENHEIT,
        "place": Place("Тула"),
        "order": {"id": "7"},
        "maybe": None,
        "either": "5",
        "said": "да",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_days": 1}, "the function needs location"),
        ({"location": "Тула", "num_days": 1, "city": "x"}, "has no city; it has location, num_days, format"),
        ({"location": "Тула", "num_days": "три"}, "'num_days' is 'три', it must be a whole number"),
        ({"location": "Тула", "num_days": 1.5}, "'num_days' is 1.5, it must be a whole number"),
        ({"location": "Тула", "num_days": True}, "'num_days' is True, it must be a whole number"),
        ({"location": None, "num_days": 1}, "'location' is None, it must be a text"),
        ({"location": ["Тула"], "num_days": 1}, "it must be a text"),
        ({"location": "Тула", "num_days": 1, "format": "K"}, "it must be one of 'celsius', 'fahrenheit'"),
    ],
)
def test_wrong_arguments_are_told_to_the_model(arguments: dict[str, Any], said: str) -> None:
    """It can mend them; the function is not called."""
    told = call(weather_forecast, arguments)
    assert set(told) == {"error"}
    assert said in told["error"]


def located(place: Place | None = None, marks: frozenset[int] = frozenset(), share: float | None = None) -> str:
    assert share is None
    return f"{place and place.city} {sorted(marks)}"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, {"result": "None []"}),
        ({"place": None}, {"result": "None []"}),
        ({"place": {"city": "Тула"}, "marks": [2, "1", 2.0]}, {"result": "Тула [1, 2]"}),
        ({"place": {}}, {"error": "the argument 'place' needs city"}),
        ({"share": "1e999"}, {"error": "the argument 'share' is '1e999', it must be a number"}),
        ({"marks": 1}, {"error": "the argument 'marks' is 1, it must be a list"}),
        ({"marks": [1, "x"]}, {"error": "the argument 'marks'[1] is 'x', it must be a whole number"}),
    ],
)
def test_arguments_inside_arguments_are_checked_too(arguments: dict[str, Any], told: dict[str, Any]) -> None:
    """The place of the mistake is named."""
    assert call(located, arguments) == told


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"a": 1}, {"a": 1}),
        (Forecast("Тула", 27, ["ясно"]), {"location": "Тула", "temperature": 27, "forecast": ["ясно"]}),
        ("да", {"result": "да"}),
        (None, {"result": None}),
        ([Place("Тула"), Unit.CELSIUS], {"result": [{"city": "Тула", "country": "Россия"}, "celsius"]}),
        (datetime.date(2024, 11, 22), {"result": "2024-11-22"}),
        ({1: float("nan")}, {"1": None}),
    ],
)
def test_any_result_becomes_an_object(result: Any, told: dict[str, Any]) -> None:
    """The service takes nothing else; what JSON cannot say is a mistake of the function."""
    assert call(lambda: result, {}) == told
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_a_result_that_json_cannot_say_is_our_mistake() -> None:
    """It is not told to the model, who can do nothing about it."""
    with pytest.raises(ConfigError, match="holds a bytes, which JSON cannot say"):
        call(lambda: [b"x"], {})


def test_what_a_function_raises_ends_the_conversation() -> None:
    """Neither a bug nor an empty account is hidden behind a polite answer; an error for the model is a result."""

    def lost() -> None:
        raise NotFound("there is no file 7", status=404)

    def told() -> dict[str, str]:
        return {"error": "there is no file 7"}

    with pytest.raises(NotFound):
        call(lost, {})
    assert call(told, {}) == {"error": "there is no file 7"}


@given(st.dictionaries(st.sampled_from(["location", "num_days", "format", "x"]), st.from_type(type(None)) | st.text()))
def test_no_arguments_break_a_call(arguments: dict[str, Any]) -> None:
    """Either a result or an error comes out, always an object."""
    assert set(call(weather_forecast, arguments)) in ({"error"}, {"location", "temperature", "forecast"})


def test_a_type_that_json_cannot_say_is_our_mistake_too() -> None:
    """Such a function needs a description of its own, and a parameter that takes what JSON brings."""
    with pytest.raises(ConfigError, match="the argument 'day' has the type datetime"):
        call(dated, {"day": "2024-11-22"})


class Scripted:
    """A model that says what stands in its script, and keeps what it was asked as the service would have got it."""

    chat_model = "script"

    def __init__(self, *replies: dict[str, Any]) -> None:
        self.replies = list(replies)
        self.asked: list[dict[str, Any]] = []

    def complete(
        self,
        messages: Sequence[Message],
        *,
        functions: Sequence[Function] = (),
        function_call: FunctionChoice = "none",
        options: ChatOptions | None = None,
    ) -> Completion:
        self.asked.append(
            gigachat.chat_body("m", messages, functions=functions, function_call=function_call, options=options)
        )
        reply = {
            "choices": [{"message": self.replies.pop(0), "index": 0}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 1},
        }
        return gigachat.completion(reply)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        functions: Sequence[Function] = (),
        function_call: FunctionChoice = "none",
        options: ChatOptions | None = None,
    ) -> Iterator[Delta]:
        whole = self.complete(messages, functions=functions, function_call=function_call, options=options)
        yield Delta(completion=whole)


def asks(name: str, **arguments: Any) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": "",
        "functions_state_id": f"state of {name}",
        "function_call": {"name": name, "arguments": arguments},
    }


REMINDERS = {"1": "выключить духовку", "2": "сходить в гости"}


def get_reminder() -> dict[str, Any]:
    """Получить метаинформацию обо всех установленных напоминаниях."""
    return {"status": "success", "items": [{"id": id, "title": title} for id, title in REMINDERS.items()]}


def delete_reminder(ids: list[str]) -> dict[str, str]:
    """Удалить напоминания по id."""
    return {"status": "success" if set(ids) <= set(REMINDERS) else "fail"}


QUESTION = Message("user", "удали напоминалку про духовку")


def test_one_functions_result_leads_to_the_call_of_another() -> None:
    """The service's memory of each call goes back with it, and the usage of all requests is added."""
    chat = Scripted(
        asks("get_reminder"), asks("delete_reminder", ids=["1"]), {"role": "assistant", "content": "Удалил."}
    )
    found = run(chat, [QUESTION], [get_reminder, delete_reminder], options=ChatOptions(temperature=0.5))
    assert found.text == "Удалил."
    assert found.usage == Usage(30, 3)
    assert [message.role for message in found.messages] == [
        "user",
        "assistant",
        "function",
        "assistant",
        "function",
        "assistant",
    ]
    last = chat.asked[-1]
    assert last["messages"][3]["functions_state_id"] == "state of delete_reminder"
    assert last["messages"][3]["function_call"] == {"name": "delete_reminder", "arguments": {"ids": ["1"]}}
    assert last["messages"][4] == {"role": "function", "name": "delete_reminder", "content": '{"status": "success"}'}
    assert {request["function_call"] for request in chat.asked} == {"auto"}
    assert {request["temperature"] for request in chat.asked} == {0.5}


def test_after_the_last_round_the_model_must_answer() -> None:
    """One more request brings the answer, in which it may not call."""
    chat = Scripted(asks("get_reminder"), asks("get_reminder"), {"role": "assistant", "content": "Не вышло."})
    found = run(chat, [QUESTION], [get_reminder], rounds=2)
    assert [request["function_call"] for request in chat.asked] == ["auto", "auto", "none"]
    assert found.text == "Не вышло."
    assert found.messages[-1].content == "Не вышло."


def test_a_function_that_is_not_there_is_told_to_the_model() -> None:
    """Models invent names; they hear which there are."""
    chat = Scripted(asks("remove_reminder", id=1), {"role": "assistant", "content": "Простите."})
    told = run(chat, [QUESTION], [get_reminder, delete_reminder]).messages[2]
    assert json.loads(told.content) == {
        "error": "there is no function 'remove_reminder'; there are get_reminder, delete_reminder"
    }


def test_a_description_of_ones_own_goes_with_any_callable() -> None:
    """Then the signature says nothing to the model, and takes what comes."""
    described = Function("add", "Sum", {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}})
    chat = Scripted(asks("add", a=2, b=3), {"content": "5"})
    found = run(chat, [QUESTION], [(described, lambda **numbers: sum(numbers.values()))])
    assert json.loads(found.messages[2].content) == {"result": 5}


def test_several_calls_of_one_turn_are_all_answered() -> None:
    """As services ask that speak OpenAI's API; each result carries the name of its call."""

    class Twice(Scripted):
        def complete(self, messages: Sequence[Message], **_: Any) -> Completion:
            if messages[-1].role == "function":
                return Completion(Message("assistant", "готово"), "stop")
            calls = [FunctionCall("delete_reminder", {"ids": [id]}, f"call_{id}") for id in ("1", "9")]
            return Completion(Message("assistant", "", function_call=calls[0], further_calls=(calls[1],)), "")

    messages = run(Twice(), [QUESTION], [delete_reminder]).messages
    assert [(message.call_id, json.loads(message.content)["status"]) for message in messages[2:4]] == [
        ("call_1", "success"),
        ("call_9", "fail"),
    ]
    assert messages[-1].content == "готово"


@pytest.mark.parametrize(("functions", "rounds"), [([], 8), ([get_reminder], 0)])
def test_a_conversation_with_nothing_to_call_is_a_mistake(functions: list[Any], rounds: int) -> None:
    """Ask the model plainly then."""
    with pytest.raises(ConfigError, match="leave nothing to call"):
        run(Scripted(), [QUESTION], functions, rounds=rounds)
