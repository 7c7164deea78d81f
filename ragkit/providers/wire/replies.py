"""A chat reply to a Completion, for both dialects: lenient where services differ, strict where an answer must be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ragkit.errors import BadResponse
from ragkit.messages import Completion, FunctionCall, Message
from ragkit.providers.unusable import Unusable
from ragkit.providers.wire.shapes import (
    as_list,
    as_object,
    billed,
    excerpt,
    items,
    kind,
    mended,
    moment,
    needed_text,
    text,
    whole,
)
from ragkit.types import Usage

REASONS = {"tool_calls": "function_call", "content_filter": "blacklist"}  # OpenAI's word -> ours


def completion(reply: object, *, request_id: str = "") -> Completion:
    """The first answer, and the others in `others`. Usage belongs to all of them together and stands in the first.

    Raises BadResponse that names what is missing or wrong, with the usage of the reply.
    """
    fields = as_object(reply, "the reply")
    usage = usage_of(fields.get("usage"))
    with billed(usage):
        answers = _answers(fields)
    return assembled(
        answers,
        model=text(fields, "model"),
        usage=usage,
        request_id=request_id,
        created=moment(fields.get("created")),
    )


def _answers(fields: Mapping[str, Any]) -> list[tuple[Message, str]]:
    choices = [as_object(choice, "a choice") for choice in items(fields, "choices", "the reply")]
    if not choices:
        raise BadResponse("the reply has no choices", "the service gave no answer; try again")
    if all(isinstance(choice.get("index"), int) for choice in choices):
        choices.sort(key=lambda choice: int(choice["index"]))
    return [_answer(choice) for choice in choices]


def assembled(
    answers: list[tuple[Message, str]], *, model: str, usage: Usage, request_id: str, created: int
) -> Completion:
    """A completion of (message, finish reason) pairs, in order."""
    others = tuple(
        Completion(message, reason, model=model, request_id=request_id, created=created)
        for message, reason in answers[1:]
    )
    message, reason = answers[0]
    return Completion(message, reason, model=model, usage=usage, request_id=request_id, created=created, others=others)


def _answer(choice: Mapping[str, Any]) -> tuple[Message, str]:
    message = as_object(choice.get("message"), "`message` of a choice")
    reason = choice.get("finish_reason")
    calls = calls_of(message, truncated=reason == "length")
    return built(
        content_of(message.get("content")) or text(message, "refusal"),
        calls,
        reasoning=text(message, "reasoning_content", "reasoning"),
        state=text(message, "functions_state_id") or text(choice, "functions_state_id"),
        context=context_of(message),
    ), reason_of(reason, calls)


def built(
    content: str,
    calls: list[FunctionCall],
    *,
    reasoning: str = "",
    state: str = "",
    context: tuple[Mapping[str, Any], ...] = (),
) -> Message:
    """An assistant's message. Whatever role the service wrote, this is the one under which it takes it back."""
    return Message(
        "assistant",
        mended(content),
        function_call=calls[0] if calls else None,
        further_calls=tuple(calls[1:]),
        functions_state_id=state,
        data_for_context=context,
        reasoning=mended(reasoning),
    )


def reason_of(reason: object, calls: list[FunctionCall]) -> str:
    """Our word for why an answer ended. Where the service says none, a whole answer ended by itself."""
    if isinstance(reason, str) and reason:
        return REASONS.get(reason, reason)
    return "function_call" if calls else "stop"


def content_of(content: object) -> str:
    """The text of `content`: null, a text, or a list of parts, of which those without text are passed over."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    raise BadResponse(f"`content` of a message is {kind(content)}, it must be a text", excerpt(content))


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    return text(part, "text", "refusal") if isinstance(part, Mapping) else ""


def context_of(message: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    found = message.get("data_for_context")
    return tuple(item for item in found if isinstance(item, Mapping)) if isinstance(found, list) else ()


def calls_of(message: Mapping[str, Any], *, truncated: bool = False) -> list[FunctionCall]:
    """The calls that a message asks for, in `tool_calls` or in `function_call`; a null there means none."""
    calls = []
    if message.get("tool_calls"):
        for place, entry in enumerate(as_list(message["tool_calls"], "`tool_calls`")):
            call = as_object(entry, f"tool call {place}")
            calls.append(_call(call.get("function"), text(call, "id"), truncated))
    elif message.get("function_call"):
        calls.append(_call(message["function_call"], "", truncated))
    return calls


def _call(function: object, id_: str, truncated: bool) -> FunctionCall:
    fields = as_object(function, "the function of a call")
    name = needed_text(fields, "name", "a function call")
    return FunctionCall(name, arguments_of(fields.get("arguments"), name, truncated=truncated), id_)


def arguments_of(arguments: object, name: str, *, truncated: bool = False) -> Mapping[str, Any]:
    """The arguments as an object: GigaChat sends one, OpenAI its JSON in a text, empty where there are none.

    Raises Unusable: the answer was written and paid for, and another one is for the caller to want.
    """
    if isinstance(arguments, Mapping):
        return arguments
    if arguments is None or arguments == "":
        return {}
    if isinstance(arguments, str):
        try:
            found = json.loads(arguments)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
    hint = (
        "the answer reached its limit of tokens; raise max_tokens" if truncated else "ask again; the model made a slip"
    )
    raise Unusable(f"the arguments for {name!r} are no JSON object: {excerpt(arguments)}", hint)


def usage_of(usage: object) -> Usage:
    """What a chat request cost; zeros where the reply does not say."""
    if not isinstance(usage, Mapping):
        return Usage()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return Usage(
        prompt_tokens=whole(usage.get("prompt_tokens")),
        completion_tokens=whole(usage.get("completion_tokens")),
        precached_prompt_tokens=whole(usage.get("precached_prompt_tokens")) or whole(cached),
    )
