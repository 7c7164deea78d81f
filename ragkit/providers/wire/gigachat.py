"""Chat in GigaChat's own words (`POST /chat/completions`, first version). It sends nothing and reads no settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ragkit.errors import ConfigError
from ragkit.messages import ChatOptions, Forced, Function, FunctionCall, FunctionChoice, Json, Message
from ragkit.providers.wire.replies import completion
from ragkit.providers.wire.requests import (
    answer_schema,
    check_functions,
    check_messages,
    check_model,
    check_options,
    object_schema,
)
from ragkit.providers.wire.stream import Assembler

__all__ = ["Assembler", "chat_body", "completion"]

# The service calls 0 to 0.001 its most deterministic mode, and its validator wants a number above 0.
NEARLY_ZERO = 0.0001


def chat_body(
    model: str,
    messages: Sequence[Message],
    *,
    functions: Sequence[Function] = (),
    function_call: FunctionChoice = "none",
    options: ChatOptions | None = None,
    stream: bool = False,
) -> dict[str, Any]:
    """The body of a request. `session_id` is not in it: that is a header.

    Raises ConfigError for what the service would refuse, before anything is sent.
    """
    options = options or ChatOptions()
    check_model(model)
    check_messages(messages)
    check_functions(functions, function_call)
    check_options(options)
    _check_system(messages)
    body: dict[str, Any] = {"model": model, "messages": [_message(m, place) for place, m in enumerate(messages)]}
    if functions or function_call != "none":
        body["function_call"] = _choice(function_call)
    if functions:
        body["functions"] = [_function(function) for function in functions]
    body |= {
        name: value
        for name, value in (
            ("temperature", _temperature(options.temperature)),
            ("top_p", options.top_p),
            ("max_tokens", options.max_tokens),
            ("n", options.n),
            ("repetition_penalty", options.repetition_penalty),
            ("profanity_check", options.profanity_check),
            ("response_format", options.response_format and _response_format(options.response_format)),
        )
        if value is not None
    }
    if stream:
        body["stream"] = True
        if options.update_interval is not None:
            body["update_interval"] = options.update_interval
    return body | dict(options.extra)


def _check_system(messages: Sequence[Message]) -> None:
    places = [place for place, message in enumerate(messages) if message.role == "system"]
    if len(places) > 1:
        raise ConfigError(
            f"there are {len(places)} system messages, at {', '.join(map(str, places))}; GigaChat takes one",
            "join their texts into one system message, the first of all",
        )
    if places and places[0]:
        raise ConfigError(
            f"the system message stands at {places[0]}; GigaChat takes it at 0 only", "put it before all others"
        )


def _message(message: Message, place: int) -> dict[str, Any]:
    if message.pictures:
        raise ConfigError(
            f"message {place} holds {len(message.pictures)} pictures; GigaChat takes none inside a message",
            "upload each to the service's files, and name their ids in attachments",
        )
    if message.further_calls:
        raise ConfigError(
            f"message {place} asks for {len(message.calls)} function calls; GigaChat takes one in a message",
            "give each call a message of its own, followed by its result",
        )
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.attachments:
        made["attachments"] = list(message.attachments)
    if message.name:
        made["name"] = message.name
    if message.role == "assistant":
        if message.function_call:
            made["function_call"] = _call(message.function_call)
        if message.functions_state_id:
            made["functions_state_id"] = message.functions_state_id
        if message.data_for_context:
            made["data_for_context"] = [dict(item) for item in message.data_for_context]
    return made


def _call(call: FunctionCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": dict(call.arguments)}


def _choice(choice: FunctionChoice) -> str | dict[str, Any]:
    if not isinstance(choice, Forced):
        return choice
    settled = {"partial_arguments": dict(choice.partial_arguments)} if choice.partial_arguments else {}
    return {"name": choice.name, **settled}


def _function(function: Function) -> dict[str, Any]:
    made: dict[str, Any] = {"name": function.name, "parameters": object_schema(function.parameters)}
    if function.description:
        made["description"] = function.description
    if function.few_shot_examples:
        made["few_shot_examples"] = [dict(example) for example in function.few_shot_examples]
    if function.return_parameters is not None:
        made["return_parameters"] = object_schema(function.return_parameters)
    return made


def _temperature(value: float | None) -> float | None:
    return NEARLY_ZERO if value == 0 else value


def _response_format(wanted: Json) -> dict[str, Any]:
    """Flatter than OpenAI's: the schema stands beside the type."""
    _, schema, strict = answer_schema(wanted)
    if schema is None:
        return dict(wanted)
    return {"type": "json_schema", "schema": schema, **({} if strict is None else {"strict": strict})}
