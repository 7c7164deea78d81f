"""POST /chat/completions as OpenAI speaks it: tools, parts of content, usage in streams; the same brain answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ragkit.sandbox import models
from ragkit.sandbox.brain import Conversation
from ragkit.sandbox.call import Call
from ragkit.sandbox.chat import Outcome, decide
from ragkit.sandbox.openai_parts import text_and_files
from ragkit.sandbox.wire import (
    DONE,
    EVENT_STREAM,
    Event,
    Refusal,
    Reply,
    dict_of,
    json_reply,
    list_of,
    server_sent,
    to_json,
)
from ragkit.sandbox.words import phrases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ragkit.sandbox.filestore import File

ROLES = ("developer", "system", "user", "assistant", "tool", "function")
FINISH = {"blacklist": "content_filter", "function_call": "tool_calls", "error": "stop"}
MOST_CHOICES = 128


def completions(call: Call) -> Reply:
    """One request for a completion."""
    body = call.request.json()
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "you must provide a model parameter")
    if not models.openai_is_chat(model):
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise Refusal(404, message, code="model_not_found")
    limit = _limit(body)
    count = _count(body)
    outcome = decide(call, _conversation(body), model=model, session=None, max_tokens=limit, count=count)
    answer = _message(call, outcome)
    finish = FINISH.get(outcome.finish, outcome.finish)
    head = {"id": f"chatcmpl-{call.state.new_id()}", "created": int(time.time()), "model": model}
    if body.get("stream"):
        options = dict_of(body.get("stream_options"), "stream_options", 400)
        told = bool(options.get("include_usage")) and not call.has_fault("no-usage")
        usage = _usage(outcome) if told else None
        events = _stream(call, answer, finish, {**head, "object": "chat.completion.chunk"}, usage, count)
        return Reply(content_type=EVENT_STREAM, events=events)
    choices = [{"index": index, "message": answer, "logprobs": None, "finish_reason": finish} for index in range(count)]
    usage = None if call.has_fault("no-usage") else _usage(outcome)
    return json_reply({**head, "object": "chat.completion", "choices": choices} | ({"usage": usage} if usage else {}))


def _usage(outcome: Outcome) -> dict[str, Any]:
    prompt, completion = outcome.prompt_tokens, outcome.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _limit(body: dict[str, Any]) -> int | None:
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise Refusal(400, f"Invalid 'max_tokens': {limit!r}, expected an integer above 0.", param="max_tokens")
    for key, low, high in (("temperature", 0, 2), ("top_p", 0, 1)):
        value = body.get(key)
        if value is not None and (not isinstance(value, int | float) or not low <= value <= high):
            message = f"Invalid '{key}': {value!r}, expected a number between {low} and {high}."
            raise Refusal(400, message, param=key)
    return limit


def _count(body: dict[str, Any]) -> int:
    count = body.get("n", 1)
    if count is None:
        return 1
    if not isinstance(count, int) or not 1 <= count <= MOST_CHOICES:
        raise Refusal(400, f"Invalid 'n': {count!r}, expected an integer from 1 to {MOST_CHOICES}.", param="n")
    return count


def _conversation(body: dict[str, Any]) -> Conversation:
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise Refusal(400, "Invalid 'messages': expected a non-empty array.", param="messages")
    messages: list[dict[str, Any]] = []
    files: list[File] = []
    names: dict[str, str] = {}  # tool call id -> function
    for at, message in enumerate(given):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            raise Refusal(400, f"Invalid value: {role!r}. Supported values are: {ROLES}.", param=f"messages[{at}].role")
        text, attached = text_and_files(message.get("content"), at)
        if role == "user" and attached:
            files = attached
        plain: dict[str, Any] = {"role": {"developer": "system", "tool": "function"}.get(role, role), "content": text}
        for tool in list_of(message.get("tool_calls"), "tool_calls", 400):
            called = dict_of(dict_of(tool, "tool_calls", 400).get("function"), "function", 400)
            if not all(isinstance(called.get(key), str) for key in ("name", "arguments")):
                raise Refusal(400, "tool_calls must have a name and arguments, both strings", param="tool_calls")
            names[str(tool.get("id"))] = called["name"]
            plain["function_call"] = {"name": called["name"], "arguments": called["arguments"]}
        if role == "tool":
            if str(message.get("tool_call_id")) not in names:
                text = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                raise Refusal(400, text, param=f"messages[{at}].role")
            plain["name"] = names[str(message["tool_call_id"])]
        elif "name" in message:
            plain["name"] = message["name"]
        messages.append(plain)
    mode, functions = _tools(body)
    return Conversation(messages, mode, functions, files=files, schema=_schema(body))


def _tools(body: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    tools = list_of(body.get("tools"), "tools", 400)
    functions = []
    for at, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise Refusal(400, f"Missing required parameter: 'tools[{at}].function.name'.", param=f"tools[{at}]")
        functions.append(function)
    choice = body.get("tool_choice", "auto" if functions else "none")
    if choice in ("none", "auto") or choice is None:
        return choice or "auto", functions
    if choice == "required" and functions:
        return "auto", functions
    name = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    if name not in [function["name"] for function in functions]:
        raise Refusal(400, f"Tool choice {name or choice!r} not found in 'tools' parameter.", param="tool_choice")
    return str(name), functions


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    given = dict_of(body.get("response_format"), "response_format", 400)
    kind = given.get("type")
    if not given or kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    schema = dict_of(given.get("json_schema"), "json_schema", 400).get("schema") if kind == "json_schema" else None
    if not isinstance(schema, dict):
        raise Refusal(400, "Missing required parameter: 'response_format.json_schema.schema'.", param="response_format")
    return schema


def _message(call: Call, outcome: Outcome) -> dict[str, Any]:
    called = outcome.thought.call
    if called is None or outcome.finish != "function_call":
        return {"role": "assistant", "content": outcome.text, "refusal": None}
    written = {"name": called["name"], "arguments": to_json(called["arguments"]).decode()}
    tool = {"id": f"call_{call.state.new_id().replace('-', '')[:24]}", "type": "function", "function": written}
    return {"role": "assistant", "content": None, "refusal": None, "tool_calls": [tool]}


def _stream(
    call: Call, message: dict[str, Any], finish: str, head: dict[str, Any], usage: dict[str, Any] | None, count: int
) -> Iterator[Event]:
    """A piece with the role, then the text or the call, then the reason, then the usage if it was asked for."""
    wait = call.state.limits.stream_wait
    for index in range(count):
        deltas = [{"role": "assistant", "content": "" if message["content"] is not None else None}, *_deltas(message)]
        for delta in deltas:
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
            yield Event(server_sent({**head, "choices": [choice]}), wait=wait)
        last = {"index": index, "delta": {}, "logprobs": None, "finish_reason": finish}
        yield Event(server_sent({**head, "choices": [last]}), wait=wait, closing=index == count - 1)
    if usage is not None:
        yield Event(server_sent({**head, "choices": [], "usage": usage}), closing=True)
    yield Event(DONE, closing=True, last=True)


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for tool in message.get("tool_calls", []):
        name, arguments = tool["function"]["name"], tool["function"]["arguments"]
        yield {"tool_calls": [{"index": 0, **tool, "function": {"name": name, "arguments": ""}}]}
        half = len(arguments) // 2  # arguments come in pieces here, unlike GigaChat's
        for part in (arguments[:half], arguments[half:]):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}
    for phrase in phrases(message["content"] or ""):
        yield {"content": phrase}
