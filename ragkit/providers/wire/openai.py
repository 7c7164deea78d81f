"""Chat in the words of OpenAI, which many services speak. It sends nothing and reads no settings."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
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


def chat_body(
    model: str,
    messages: Sequence[Message],
    *,
    functions: Sequence[Function] = (),
    function_call: FunctionChoice = "none",
    options: ChatOptions | None = None,
    stream: bool = False,
    usage_in_stream: bool = True,
) -> dict[str, Any]:
    """The body of a request. `usage_in_stream` asks for the usage at the end of a stream; some servers refuse that.

    What only GigaChat knows is left out: repetition_penalty, update_interval, profanity_check, examples and results
    of functions, functions_state_id. A service that does know one gets it by `options.extra`. Raises ConfigError
    for what the service would refuse, before anything is sent.
    """
    options = options or ChatOptions()
    check_model(model)
    check_messages(messages)
    check_functions(functions, function_call)
    check_options(options)
    body: dict[str, Any] = {"model": model, "messages": list(_messages(messages))}
    if functions:
        body["tools"] = [_tool(function) for function in functions]
        body["tool_choice"] = _choice(function_call)
    body |= {
        name: value
        for name, value in (
            ("temperature", options.temperature),
            ("top_p", options.top_p),
            ("max_tokens", options.max_tokens),
            ("n", options.n),
            ("response_format", options.response_format and _response_format(options.response_format)),
        )
        if value is not None
    }
    if stream:
        body["stream"] = True
        if usage_in_stream:
            body["stream_options"] = {"include_usage": True}
    return body | dict(options.extra)


def _messages(messages: Sequence[Message]) -> Iterable[dict[str, Any]]:
    """Calls get ids where they have none, as from GigaChat, and each result the id of the call that it answers."""
    waiting: list[tuple[str, str]] = []  # (name, id) of calls that have no result yet
    for place, message in enumerate(messages):
        if message.attachments:
            raise ConfigError(
                f"message {place} names {len(message.attachments)} uploaded files, which this service cannot read",
                "send pictures inside the message, put texts into it, or ask GigaChat",
            )
        if message.pictures and message.role != "user":
            raise ConfigError(
                f"message {place} holds pictures and has the role {message.role}", "let the user send them"
            )
        if message.role == "function":
            yield {
                "role": "tool",
                "tool_call_id": message.call_id or _answered(message, place, waiting),
                "content": message.content,
            }
            waiting = [call for call in waiting if call[1] != message.call_id]
            continue
        made: dict[str, Any] = {"role": message.role, "content": _content(message)}
        if message.name:
            made["name"] = message.name
        if message.role == "assistant" and message.calls:
            ids = [call.id or f"call_{place}_{n}" for n, call in enumerate(message.calls)]
            waiting = [(call.name, id_) for call, id_ in zip(message.calls, ids, strict=True)]
            made["tool_calls"] = [_call(call, id_) for call, id_ in zip(message.calls, ids, strict=True)]
            made["content"] = message.content or None
        yield made


def _answered(message: Message, place: int, waiting: list[tuple[str, str]]) -> str:
    """The id of the first call without a result that has the name of this one; it is taken off the list."""
    for call in waiting:
        if message.name in ("", call[0]):
            waiting.remove(call)
            return call[1]
    raise ConfigError(
        f"message {place} is the result of {message.name or 'a function'!r}, and no call of it stands before",
        "put the assistant's message with the call before the result, or name the call in call_id",
    )


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.pictures:
        return message.content
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.content}] if message.content else []
    for picture in message.pictures:
        data = base64.b64encode(picture.data).decode()
        parts.append({"type": "image_url", "image_url": {"url": f"data:{picture.media_type};base64,{data}"}})
    return parts


def _call(call: FunctionCall, id_: str) -> dict[str, Any]:
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    return {"id": id_, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _tool(function: Function) -> dict[str, Any]:
    described = {"description": function.description} if function.description else {}
    return {
        "type": "function",
        "function": {"name": function.name, **described, "parameters": object_schema(function.parameters)},
    }


def _choice(choice: FunctionChoice) -> str | dict[str, Any]:
    if not isinstance(choice, Forced):
        return choice
    if choice.partial_arguments:
        raise ConfigError(
            f"{choice.name!r} is forced with arguments that are settled, which only GigaChat knows",
            "say them in the messages, and force the function by its name alone",
        )
    return {"type": "function", "function": {"name": choice.name}}


def _response_format(wanted: Json) -> dict[str, Any]:
    name, schema, strict = answer_schema(wanted)
    if schema is None:
        return dict(wanted)
    inner = {"name": name, "schema": schema, **({} if strict is None else {"strict": strict})}
    return {"type": "json_schema", "json_schema": inner}
