"""A conversation in which the model calls functions, until it has its answer. It knows no service."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ragkit.errors import ConfigError
from ragkit.functions.calling import call
from ragkit.functions.description import describe
from ragkit.messages import ChatOptions, Completion, Function, FunctionCall, FunctionChoice, Message
from ragkit.types import Usage

if TYPE_CHECKING:
    from ragkit.protocols import ChatModel

Callables: TypeAlias = "Sequence[Callable[..., Any] | tuple[Function, Callable[..., Any]]]"


@dataclass(frozen=True, slots=True)
class Conversation:
    """`messages` are all of them, the answer last; `usage` is that of every request. `completion` is the last reply."""

    completion: Completion
    messages: tuple[Message, ...]
    usage: Usage

    @property
    def text(self) -> str:
        return self.completion.text


def run(
    chat: ChatModel,
    messages: Sequence[Message],
    functions: Callables,
    *,
    rounds: int = 8,
    options: ChatOptions | None = None,
) -> Conversation:
    """Ask, call what the model asks for, tell it the results, and so on until it answers.

    One function's result may lead to the call of another. Wrong arguments are told to the model, which may try
    again; what a function raises ends the conversation.

    Args:
        chat: who is asked.
        messages: what was said so far; they are not changed.
        functions: each described by `describe`, or brought with a description of its own.
        rounds: requests in which the model may call; then one more, in which it may not, brings the answer.
        options: for every request.
    """
    if rounds < 1 or not functions:
        raise ConfigError(
            f"{len(functions)} functions and {rounds} rounds leave nothing to call", "pass at least one of each"
        )
    known = [each if isinstance(each, tuple) else (describe(each), each) for each in functions]
    described = [function for function, _ in known]
    by_name = {function.name: python for function, python in known}
    said, usage = list(messages), Usage()
    for turn in range(rounds + 1):
        choice: FunctionChoice = "auto" if turn < rounds else "none"
        completion = chat.complete(said, functions=described, function_call=choice, options=options)
        usage += completion.usage
        said.append(completion.message)
        if not completion.message.calls:
            break
        if turn < rounds:
            said += [_result(each, by_name) for each in completion.message.calls]
    return Conversation(completion, tuple(said), usage)


def _result(asked: FunctionCall, functions: dict[str, Callable[..., Any]]) -> Message:
    """What the model is told of its call."""
    function = functions.get(asked.name)
    if function is None:
        told = {"error": f"there is no function {asked.name!r}; there are {', '.join(functions)}"}
    else:
        told = call(function, asked.arguments)
    return Message("function", json.dumps(told, ensure_ascii=False), name=asked.name, call_id=asked.id)
