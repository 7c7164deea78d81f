"""POST /chat/completions as GigaChat speaks it, whole and as a stream."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragkit.sandbox import models, validation
from ragkit.sandbox.brain import Conversation, Thought, think
from ragkit.sandbox.call import Call
from ragkit.sandbox.drawing import draw
from ragkit.sandbox.wire import DONE, EVENT_STREAM, OPENAI, Event, Refusal, Reply, json_reply, server_sent, to_json
from ragkit.sandbox.words import count_tokens, cut_to_tokens, phrases

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGE_TOKENS = 4  # of each message, above its text
CALL_TOKENS = 8  # of a function call, above its arguments
IMAGE_TOKENS = 1792  # the most that one picture is billed for
BLACKLISTED = "Не люблю менять тему разговора, но вот сейчас тот самый случай."
PROGRESS = ("осталось 00:09", "осталось 00:05")


@dataclass(slots=True)
class Outcome:
    """One answer before it is written in a dialect."""

    thought: Thought
    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int

    def usage(self) -> dict[str, int]:
        """As GigaChat writes it; the total has cached tokens in it, as in recorded replies."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "precached_prompt_tokens": self.cached_tokens,
        }


def completions(call: Call) -> Reply:
    """One request for a completion."""
    body = call.request.json()
    talk = _conversation(call, body)
    outcome = decide(
        call,
        talk,
        model=body["model"],
        session=call.request.headers.get("x-session-id"),
        max_tokens=body.get("max_tokens"),
        count=body.get("n") or 1,
    )
    message = _message(call, outcome)
    head = {"created": int(time.time()), "model": models.versioned(body["model"]), "object": "chat.completion"}
    count = body.get("n") or 1
    if body.get("stream"):
        wait = max(float(body.get("update_interval") or 0), call.state.limits.stream_wait)
        return Reply(content_type=EVENT_STREAM, events=_stream(call, outcome, message, head, wait, count))
    choices = [{"message": message, "index": index, "finish_reason": outcome.finish} for index in range(count)]
    usage = {} if call.has_fault("no-usage") else {"usage": outcome.usage()}
    return json_reply({"choices": choices, **head, **usage})


def decide(
    call: Call, talk: Conversation, *, model: str, session: str | None, max_tokens: int | None, count: int = 1
) -> Outcome:
    """Think, cut to the limit, count and bill `count` answers.

    Raises:
        Refusal: the prompt and its files are longer than the model's context.
    """
    thought = think(talk)
    text, finish = thought.text, "function_call" if thought.call else "stop"
    if thought.call is None and max_tokens is not None and count_tokens(text) > max_tokens:
        text, finish = cut_to_tokens(text, max_tokens), "length"
    if call.has_fault("blacklist"):
        thought, text, finish = Thought(), BLACKLISTED, "blacklist"
    elif call.has_fault("length"):
        text, finish = cut_to_tokens(text, max(1, count_tokens(text) // 2)), "length"
    elif call.has_fault("finish-error"):
        text, finish = "", "error"
    sized = [(to_json(message).decode(), message_tokens(message)) for message in talk.messages]
    prompt = sum(tokens for _, tokens in sized) + count_tokens(
        to_json(talk.functions).decode() if talk.functions else ""
    )
    prompt += sum(IMAGE_TOKENS if file.kind == "image" else len(file.content) // 4 for file in talk.files)
    if prompt > models.context(model):
        raise _too_long(call, prompt, models.context(model))
    cached = call.state.cached_tokens(session, sized) if session else 0
    completion = count_tokens(text)
    if thought.call is not None:
        completion += CALL_TOKENS + count_tokens(to_json(thought.call["arguments"]).decode())
    completion *= count
    call.state.stats.billed(prompt=prompt - cached, completion=completion)
    return Outcome(thought, text, finish, prompt, completion, cached)


def _too_long(call: Call, tokens: int, most: int) -> Refusal:
    if call.dialect != OPENAI:
        return validation.refuse(f"tokens limit exceeded: {tokens} (max {most})")
    message = (
        f"This model's maximum context length is {most} tokens. However, your messages resulted in {tokens} tokens."
    )
    return Refusal(400, message, code="context_length_exceeded", param="messages")


def message_tokens(message: dict[str, Any]) -> int:
    """Tokens of one message: its text, what it called, and a few for itself."""
    called = message.get("function_call")
    return (
        MESSAGE_TOKENS
        + count_tokens(message.get("content") or "")
        + (count_tokens(to_json(called).decode()) if called else 0)
    )


def _conversation(call: Call, body: dict[str, Any]) -> Conversation:
    model = body.get("model")
    if not isinstance(model, str) or not models.is_chat(model):
        raise Refusal(404, "No such model")
    given = validation.messages(body)
    validation.numbers(body)
    mode, functions, partial = validation.functions(body)
    files = validation.attachments(call, given, mode)
    schema = validation.response_schema(body)
    return Conversation(given, mode, functions, partial, files, schema, draws=True)


def _message(call: Call, outcome: Outcome) -> dict[str, Any]:
    thought = outcome.thought
    message: dict[str, Any] = {"content": outcome.text, "role": "assistant"}
    if thought.call is not None and outcome.finish == "function_call":
        return {**message, "functions_state_id": call.state.new_id(), "function_call": thought.call}
    if thought.draw is not None:
        return {**draw(call, thought.draw), "functions_state_id": call.state.new_id()}
    return message


def _stream(
    call: Call, outcome: Outcome, message: dict[str, Any], head: dict[str, Any], wait: float, count: int
) -> Iterator[Event]:
    """Phrases, then an empty one with the reason and the usage, then [DONE]."""
    state = {"functions_state_id": message["functions_state_id"]} if "functions_state_id" in message else {}
    for index in range(count):
        for number, delta in enumerate(_deltas(message)):
            chunk = {"choices": [{"delta": delta, "index": index}], **head}
            yield Event(server_sent(chunk), wait=wait if number or index else call.state.limits.stream_wait)
        last = {
            "choices": [{"delta": {"content": "", **state}, "index": index, "finish_reason": outcome.finish}],
            **head,
        }
        if index == count - 1 and not call.has_fault("no-usage"):
            last["usage"] = outcome.usage()
        yield Event(server_sent(last), wait=wait, closing=index == count - 1)
    yield Event(DONE, closing=True, last=True)


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "function_call" in message:
        yield {"content": "", "role": "assistant"}
        yield {"function_call": message["function_call"]}  # always in one piece
        return
    if "data_for_context" in message:
        first, image, rest = message["content"].partition("<img")
        tag, bracket, after = (image + rest).partition("/>")
        yield {"content": first, "role": "assistant"}
        created = int(time.time())
        for left in PROGRESS:
            yield {"content": left, "role": "function_in_progress", "name": "text2image", "created": created}
        yield {"content": tag + bracket, "role": "assistant"}
        yield {"content": after, "role": "assistant"}
        return
    pieces = phrases(message["content"]) or [""]
    yield {"content": pieces[0], "role": "assistant"}
    for piece in pieces[1:]:
        yield {"content": piece}
