"""POST /api/v2/chat/completions: parts of content instead of strings, and streams of named events without [DONE]."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from ragkit.sandbox import models, validation
from ragkit.sandbox.brain import Conversation
from ragkit.sandbox.call import Call
from ragkit.sandbox.chat import Outcome, decide
from ragkit.sandbox.drawing import store_picture
from ragkit.sandbox.wire import EVENT_STREAM, Event, Refusal, Reply, dict_of, json_reply, list_of, server_sent
from ragkit.sandbox.words import phrases

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLES = ("system", "user", "assistant", "tool", "reasoning")


def completions(call: Call) -> Reply:
    """One request for a completion."""
    body = call.request.json()
    model = body.get("model")
    if not isinstance(model, str) or not models.is_chat(model):
        raise Refusal(404, "No such model")
    options = dict_of(body.get("model_options"), "model_options")
    validation.numbers({key: value for key, value in options.items() if key != "n"})
    talk = _conversation(call, body, options)
    session = call.request.headers.get("x-session-id")
    outcome = decide(call, talk, model=model, session=session, max_tokens=options.get("max_tokens"))
    message = _message(call, outcome)
    head = {"model": models.versioned(model), "created_at": int(time.time())}
    if body.get("stream"):
        wait = max(float(options.get("update_interval") or 0), call.state.limits.stream_wait)
        return Reply(content_type=EVENT_STREAM, events=_stream(call, outcome, message, head, wait))
    whole = {**head, "messages": [message], "finish_reason": outcome.finish}
    return json_reply(whole if call.has_fault("no-usage") else {**whole, "usage": _usage(outcome)})


def _usage(outcome: Outcome) -> dict[str, Any]:
    prompt, cached = outcome.prompt_tokens, outcome.cached_tokens
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"prompt_tokens": prompt - cached, "cached_tokens": cached},
        "output_tokens": outcome.completion_tokens,
        "total_tokens": prompt + outcome.completion_tokens,
    }


def _conversation(call: Call, body: dict[str, Any], options: dict[str, Any]) -> Conversation:
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise validation.refuse("messages must be a non-empty array")
    plain = [_plain(message, at) for at, message in enumerate(given)]
    tools = [dict_of(tool, f"tools[{at}]") for at, tool in enumerate(list_of(body.get("tools"), "tools"))]
    groups = [dict_of(tool.get("functions"), "tools.functions") for tool in tools]
    functions = [one for group in groups for one in list_of(group.get("specifications"), "specifications")]
    draws = any("image_generate" in tool for tool in tools)
    config = dict_of(body.get("tool_config"), "tool_config")
    forced = config.get("function_name")
    mode: Any = {"name": forced} if forced else config.get("mode") or ("auto" if tools else "none")
    mode = "auto" if mode == "any" else mode
    mode, functions, _ = validation.functions({"functions": functions, "function_call": mode})
    files = validation.attachments(call, plain, mode)
    schema = validation.response_schema(options)
    return Conversation(plain, mode, functions, {}, files, schema, draws=draws)


def _plain(message: Any, at: int) -> dict[str, Any]:
    """A message of v2 as one of v1."""
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ROLES:
        raise validation.refuse(f"messages[{at}].role must be one of {', '.join(ROLES)}")
    if role == "system" and at:
        raise validation.refuse("system message must be the first message")
    content = message.get("content") or []
    parts = [{"text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise validation.refuse(f"messages[{at}].content must be an array of objects")
    made: dict[str, Any] = {
        "role": {"tool": "function", "reasoning": "assistant"}.get(role, role),
        "content": "\n".join(str(part["text"]) for part in parts if part.get("text") is not None),
        "attachments": [
            dict_of(file, "files").get("id") for part in parts for file in list_of(part.get("files"), "files")
        ],
    }
    for part in parts:
        if part.get("function_call"):
            made["function_call"] = part["function_call"]
        if part.get("function_result"):
            told = dict_of(part["function_result"], "function_result")
            result = told.get("result")
            made["name"] = str(told.get("name", ""))
            made["content"] = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    return made


def _message(call: Call, outcome: Outcome) -> dict[str, Any]:
    message: dict[str, Any] = {"message_id": call.state.new_id(), "role": "assistant"}
    thought = outcome.thought
    if thought.call is not None and outcome.finish == "function_call":
        return {**message, "tool_state_id": call.state.new_id(), "content": [{"function_call": thought.call}]}
    if thought.draw is not None:
        file = store_picture(call, thought.draw)
        shown = {"id": file.id, "target": "image", "mime": file.media_type}
        text = {"text": "Вот что у меня получилось."}
        return {**message, "tool_state_id": call.state.new_id(), "content": [{"files": [shown]}, text]}
    return {**message, "content": [{"text": outcome.text}]}


def _stream(
    call: Call, outcome: Outcome, message: dict[str, Any], head: dict[str, Any], wait: float
) -> Iterator[Event]:
    """Deltas, and one event that tells how it ended."""
    common = {key: value for key, value in message.items() if key != "content"}
    parts: list[dict[str, Any]] = []
    for part in message["content"]:
        parts += [{"text": phrase} for phrase in phrases(part["text"])] if "text" in part else [part]
    for part in parts or [{"text": ""}]:
        body = {**head, "messages": [{**common, "content": [part]}]}
        yield Event(server_sent(body, event="response.message.delta"), wait=wait)
    done = {**head, "messages": [{**common, "content": []}], "finish_reason": outcome.finish}
    if not call.has_fault("no-usage"):
        done["usage"] = _usage(outcome)
    yield Event(server_sent(done, event="response.message.done"), wait=wait, closing=True, last=True)
