"""Streamed answers, piece by piece; the events are those of the documentation, with its missing brackets put in."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import ApiError, BadResponse, StreamInterrupted
from ragkit.messages import Completion, Delta, FunctionCall
from ragkit.providers.wire.stream import Assembler
from ragkit.types import Usage

STATE = "77d3fb14-457a-46ba-937e-8d856156d003"
WEATHER = """\
{"choices":[{"delta":{"content":"Мне нужно посмотреть погоду в Москве","role":"assistant"},"index":0}],"created":1698850241,"model":"GigaChat","object":"chat.completion","usage":{"completion_tokens":50,"prompt_tokens":152,"total_tokens":202}}
{"choices":[{"delta":{"content":" на"},"index":0}],"created":1698850241,"model":"GigaChat","object":"chat.completion","usage":{"completion_tokens":1,"prompt_tokens":0,"total_tokens":1}}
{"choices":[{"delta":{"content":" завтра"},"index":0}],"created":1698850241,"model":"GigaChat","object":"chat.completion","usage":{"completion_tokens":1,"prompt_tokens":0,"total_tokens":1}}
{"choices":[{"delta":{"function_call": {"name": "weather_forecast", "arguments": {"location": "Moscow","num_days": 1}}},"index":0}],"created":1698850241,"model":"GigaChat","object":"chat.completion","usage":{"completion_tokens":1,"prompt_tokens":0,"total_tokens":1}}
{"choices":[{"delta":{"content":"","functions_state_id":"77d3fb14-457a-46ba-937e-8d856156d003"}}],"created":1718801171,"model":"GigaChat","object":"chat.completion"}
[DONE]"""  # noqa: E501 - events are lines
DRAWING = """\
{"choices":[{"delta":{"content":"Запускаю генерацию изображения...","role":"assistant"},"index":0}],"created":1718801160,"model":"GigaChat-Pro:2.2.25.3","object":"chat.completion"}
{"choices":[{"delta":{"content":"осталось 00:09","role":"function_in_progress"},"index":0}],"created":1718801161,"model":"GigaChat-Pro:2.2.25.3","object":"chat.completion"}
{"choices":[{"delta":{"content":"осталось 00:09","role":"function_in_progress"},"index":0}],"created":1718801166,"model":"GigaChat-Pro:2.2.25.3","object":"chat.completion"}
{"choices":[{"delta":{"content":"<img src=\\"a786fa9d-2821-4dec-82b0-ef62bc2d51b2\\" fuse=\\"true\\"/>","role":"assistant"},"index":0}],"created":1718801171,"model":"GigaChat-Pro:2.2.25.3","object":"chat.completion"}
{"choices":[{"delta":{"content":"- вот такой кот у меня получился.","role":"assistant"},"index":0}],"created":1718801171,"model":"GigaChat-Pro:2.2.25.3","object":"chat.completion"}
{"choices":[{"delta":{"content":"","functions_state_id":"77d3fb14-457a-46ba-937e-8d856156d003","created":1718801171,"model":"GigaChat-Pro:2.2.25.3","object":"chat.completion"}}]}
[DONE]"""  # noqa: E501 - events are lines


def piece(delta: dict[str, Any], index: int = 0, **rest: Any) -> dict[str, Any]:
    return {"choices": [{"delta": delta, "index": index, **rest}]}


END = piece({"content": ""}, finish_reason="stop")


def fed(events: list[Any]) -> tuple[Completion, list[Delta]]:
    """The whole answer, and what could be shown on the way."""
    assembler = Assembler(request_id="r-1")
    deltas = [assembler.feed(event if isinstance(event, str) else json.dumps(event)) for event in events]
    return assembler.finish(), [delta for delta in deltas if delta]


def test_a_streamed_function_call_of_gigachat_comes_in_one_piece() -> None:
    """Text before it is kept, and the state of the last piece too."""
    found, deltas = fed(WEATHER.splitlines())
    assert found.text == "Мне нужно посмотреть погоду в Москве на завтра"
    assert [delta.text for delta in deltas] == ["Мне нужно посмотреть погоду в Москве", " на", " завтра"]
    assert found.message.function_call == FunctionCall("weather_forecast", {"location": "Moscow", "num_days": 1})
    assert found.message.functions_state_id == STATE
    assert (found.finish_reason, found.model, found.created) == ("function_call", "GigaChat", 1698850241)
    assert found.request_id == "r-1"


def test_usage_of_each_piece_is_added() -> None:
    """The documentation shows what each piece cost; totals never shrink, so pieces can be told from them."""
    found, _ = fed(WEATHER.splitlines())
    assert found.usage == Usage(prompt_tokens=152, completion_tokens=53)


def test_usage_of_the_last_piece_is_the_total() -> None:
    """That is what the service really sends; some servers send a total with every piece."""
    total = {"prompt_tokens": 18, "completion_tokens": 3, "precached_prompt_tokens": 2}
    last, _ = fed([piece({"content": "a"}), END | {"usage": total}, "[DONE]"])
    growing = [piece({"content": "a"}) | {"usage": {"prompt_tokens": 18, "completion_tokens": n}} for n in (1, 2)]
    each, _ = fed([*growing, END | {"usage": total}, "[DONE]"])
    assert last.usage == each.usage == Usage(18, 3, precached_prompt_tokens=2)


def test_usage_of_openai_comes_after_the_answer() -> None:
    """It stands in an event without choices, after the finish reason: so one reads on."""
    assembler = Assembler()
    assembler.feed(json.dumps(piece({"role": "assistant", "content": "hi"})))
    assembler.feed(json.dumps(END | {"usage": None}))
    assert (assembler.finished, assembler.done) == (True, False)
    assembler.feed(json.dumps({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}))
    assembler.feed("[DONE]")
    assert assembler.done
    assert assembler.finish().usage == Usage(5, 1)


def test_a_built_in_function_reports_its_progress() -> None:
    """That is news to show, and no part of the answer."""
    found, deltas = fed(DRAWING.splitlines())
    assert [delta.progress for delta in deltas] == ["", "осталось 00:09", "осталось 00:09", "", ""]
    assert found.text == (
        'Запускаю генерацию изображения...<img src="a786fa9d-2821-4dec-82b0-ef62bc2d51b2" fuse="true"/>'
        "- вот такой кот у меня получился."
    )
    assert found.message.functions_state_id == STATE
    assert found.finish_reason == "stop"


@pytest.mark.parametrize(
    "last",
    [
        piece({"content": "", "functions_state_id": STATE}),
        piece({"content": ""}, functions_state_id=STATE),
        piece({"content": ""}) | {"functions_state_id": STATE},
    ],
)
def test_the_state_of_functions_is_found_where_it_stands(last: dict[str, Any]) -> None:
    """In the piece, beside it, or in the event: the documentation is not of one mind."""
    found, _ = fed([piece({"content": "x"}), last, "[DONE]"])
    assert found.message.functions_state_id == STATE


def test_tool_calls_of_openai_grow_by_pieces_of_their_arguments() -> None:
    """Several grow at once, each by its index."""
    found, deltas = fed(
        [
            piece({"role": "assistant", "content": None, "tool_calls": [call(0, "a", "f", "")]}),
            piece({"tool_calls": [call(0, arguments='{"city":')]}),
            piece({"tool_calls": [call(1, "b", "g", "{}")]}),
            piece({"tool_calls": [call(0, arguments=' "Тула"}')]}),
            piece({}, finish_reason="tool_calls"),
            "[DONE]",
        ]
    )
    assert found.message.calls == (FunctionCall("f", {"city": "Тула"}, "a"), FunctionCall("g", {}, "b"))
    assert found.finish_reason == "function_call"
    assert not deltas


@pytest.mark.parametrize("index", [0, None])
def test_tool_calls_are_told_apart_where_the_index_does_not(index: int | None) -> None:
    """Some servers number every call 0, and some none; then the id tells, or the name that opens a call."""
    found, _ = fed(
        [
            piece({"tool_calls": [call(index, "a", "f", '{"x":')]}),
            piece({"tool_calls": [call(index, arguments=" 1}")]}),
            piece({"tool_calls": [call(index, "b", "g", "{}")]}),
            END,
        ]
    )
    assert found.message.calls == (FunctionCall("f", {"x": 1}, "a"), FunctionCall("g", {}, "b"))


def test_whole_calls_without_index_or_id_are_told_apart_by_their_names() -> None:
    """A name opens a call, and what has none goes on with the last."""
    found, _ = fed(
        [
            piece({"tool_calls": [call(None, name="f", arguments='{"x":'), call(None, arguments=" 1}")]}),
            piece({"tool_calls": [call(None, name="f", arguments="{}")]}),
            END,
        ]
    )
    assert found.message.calls == (FunctionCall("f", {"x": 1}), FunctionCall("f", {}))


def call(index: int | None, id_: str = "", name: str = "", arguments: str = "") -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"function": function} | ({} if index is None else {"index": index}) | ({"id": id_} if id_ else {})


def test_several_answers_grow_side_by_side() -> None:
    """The first one is shown, and the stream is whole when both are."""
    assembler = Assembler()
    events = [piece({"content": "a"}), piece({"content": "x"}, 1), piece({"content": "b"}), END]
    shown = [assembler.feed(json.dumps(event)) for event in events]
    assert [delta.text for delta in shown if delta] == ["a", "b"]
    assert not assembler.finished
    assembler.feed(json.dumps(piece({"content": "y"}, 1, finish_reason="length")))
    found = assembler.finish()
    assert (found.text, found.others[0].text, found.others[0].finish_reason) == ("ab", "xy", "length")


@pytest.mark.parametrize("events", [[], [piece({"content": "один "}), piece({"content": "два"})], ["[DONE]"]])
def test_a_stream_without_an_end_is_no_answer(events: list[Any]) -> None:
    """Neither the end nor a finish reason came, so what had come is only a part."""
    with pytest.raises(StreamInterrupted) as error:
        fed(events)
    assert error.value.partial == ("один два" if len(events) == 2 else "")


@pytest.mark.parametrize("event", ['{"choices":[{"delta":', "[1]", '"x"', '{"choices": 5}', '{"choices": [5]}'])
def test_an_event_that_is_damaged_interrupts_the_stream(event: str) -> None:
    """What had come before it is kept."""
    with pytest.raises(StreamInterrupted) as error:
        fed([piece({"content": "один"}), event, END])
    assert error.value.partial == "один"


ERRORS = [
    {"error": {"message": "overloaded", "code": 503}},
    {"error": "overloaded"},
    {"object": "error", "message": "overloaded"},
    {"status": 500, "message": "overloaded"},
    {"code": 500, "message": "overloaded"},
    {"error": {"message": "overloaded"}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]},
]


@pytest.mark.parametrize("event", ERRORS)
def test_an_error_before_the_text_is_the_services_error(event: dict[str, Any]) -> None:
    """Whatever its shape, its words are told; nothing was shown, so the request may be sent again."""
    with pytest.raises(ApiError, match="overloaded") as error:
        fed([piece({"role": "assistant"}), event])
    assert error.value.request_id == "r-1"


@pytest.mark.parametrize("event", ERRORS)
def test_an_error_after_some_text_interrupts_the_stream(event: dict[str, Any]) -> None:
    """The text is kept, and the service's error is the cause."""
    with pytest.raises(StreamInterrupted, match="overloaded") as error:
        fed([piece({"content": "один"}), event])
    assert error.value.partial == "один"
    assert isinstance(error.value.__cause__, ApiError)


def test_arguments_that_never_close_are_named() -> None:
    """The stream itself was whole."""
    with pytest.raises(BadResponse, match="arguments for 'f' are no JSON object"):
        fed([piece({"tool_calls": [call(0, "a", "f", '{"x":')]}), END])


@pytest.mark.parametrize("beside", [{"status": "ok", "message": "going on"}, {"error": None}, {"error": {}}])
def test_an_answer_with_a_word_on_how_it_goes_is_no_error(beside: dict[str, Any]) -> None:
    """Fields like those of errors may stand beside the choices."""
    found, _ = fed([piece({"content": "x"}) | beside, END])
    assert found.text == "x"


def test_events_that_say_nothing_are_passed_over() -> None:
    """Heartbeats, pings, empty deltas, and what stands after the end."""
    found, deltas = fed(
        ["", '{"type":"ping"}', piece({}), {"choices": [{"delta": None}]}, piece({"content": "x"}), END, "[DONE]", "{"]
    )
    assert (found.text, len(deltas)) == ("x", 1)


@given(st.lists(st.text(), max_size=8), st.integers(0, 3))
def test_any_split_of_an_answer_gives_the_same_text(parts: list[str], empty: int) -> None:
    """What is shown piece by piece is what the whole answer says."""
    found, deltas = fed([*[piece({"content": part}) for part in parts], *[piece({})] * empty, END, "[DONE]"])
    assert found.text == "".join(parts) == "".join(delta.text for delta in deltas)


@given(st.text(), st.lists(st.integers(0, 60), max_size=6))
def test_any_split_of_arguments_gives_the_same_call(value: str, cuts: list[int]) -> None:
    """Also where a cut goes through an escaped letter."""
    arguments = json.dumps({"x": value})
    places = [0, *sorted(min(cut, len(arguments)) for cut in cuts), len(arguments)]
    parts = [arguments[a:b] for a, b in pairwise(places)]
    events = [
        piece({"tool_calls": [call(0, "a" if not n else "", "f" if not n else "", p)]}) for n, p in enumerate(parts)
    ]
    found, _ = fed([*events, END])
    assert found.message.function_call == FunctionCall("f", {"x": value}, "a")


def test_an_emoji_in_two_halves_is_one() -> None:
    """Some services cut their text between the two halves that JSON writes; what is shown has none of them alone."""
    halves = [piece({"content": half, "reasoning": half}) for half in ("\ud83d", "\ude00")]
    found, deltas = fed([*halves, piece({"content": "!"}), END])
    assert (found.text, found.message.reasoning) == ("😀!", "😀")
    assert [delta.text for delta in deltas] == ["😀", "!"]


def test_half_an_emoji_is_no_character() -> None:
    """What is alone is replaced, for nothing can print or send it."""
    found, deltas = fed([piece({"content": "a\ude00"}), piece({"content": "b\ud83d"}), END])
    assert found.text == "a\ufffdb\ufffd"
    assert [delta.text for delta in deltas] == ["a\ufffd", "b"]


def test_arguments_may_be_cut_inside_a_character() -> None:
    """Half of an emoji at the end of one piece of arguments, half at the beginning of the next."""
    halves = [piece({"tool_calls": [call(0, "a", "f", part)]}) for part in ('{"x": "\ud83d', '\ude00"}')]
    found, _ = fed([*halves, END])
    assert found.message.function_call == FunctionCall("f", {"x": "😀"}, "a")
