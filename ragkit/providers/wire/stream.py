"""The pieces of a streamed answer, put together: text, function calls, usage. It is fed with the `data:` of each event
and knows nothing of connections; GigaChat's pieces and OpenAI's go through the same door."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from ragkit.errors import BadResponse, ProviderError, StreamInterrupted
from ragkit.messages import Completion, Delta, FunctionCall, Message
from ragkit.providers.failures import api_error
from ragkit.providers.unusable import Unusable
from ragkit.providers.wire.replies import (
    arguments_of,
    assembled,
    built,
    content_of,
    context_of,
    reason_of,
    usage_of,
)
from ragkit.providers.wire.shapes import billed, complaint, excerpt, kind, mended, moment, text, whole
from ragkit.types import Usage

END = "[DONE]"


class Assembler:
    """One streamed answer. Usage may follow the finish reason: read on until `done` or the end of the stream.

    `service` is the name under which errors tell of it.
    """

    def __init__(self, *, request_id: str = "", service: str = "the service") -> None:
        self.request_id = request_id
        self._service = service
        self.done = False  # the end was announced, and nothing follows it
        self._answers: dict[int, _Answer] = {}  # by index; the first to come is the one that is shown
        self._usage = _Usages()
        self._model = ""
        self._created = 0

    @property
    def text(self) -> str:
        """The text of the first answer so far."""
        return self._first.text if self._answers else ""

    @property
    def finished(self) -> bool:
        """The answer is whole: its end was announced, or every answer in it has a finish reason."""
        return bool(self._answers) and (self.done or all(answer.reason for answer in self._answers.values()))

    @property
    def _first(self) -> _Answer:
        return next(iter(self._answers.values()))

    def feed(self, data: str) -> Delta | None:
        """Take in one event; None where it brings nothing to show.

        Raises the service's error where the event is one, or StreamInterrupted from that error once text had come;
        StreamInterrupted too for an event that is no JSON object. Text after `[DONE]` is not read.
        """
        data = data.strip()
        if self.done or not data:
            return None
        if data == END:
            self.done = True
            return None
        event = self._decoded(data)
        if complaint(event):
            self._fail(data)
        self._usage.add(usage_of(event.get("usage")))
        self._model = text(event, "model") or self._model
        self._created = self._created or moment(event.get("created"))
        choices = event.get("choices") or []
        if not isinstance(choices, list):
            raise self._interrupted(f"`choices` of an event is {kind(choices)}, not a list")
        shown = [self._choice(choice, event) for choice in choices]
        return next((delta for delta in shown if delta), None)

    def finish(self) -> Completion:
        """The whole answer. Raises StreamInterrupted before its end, BadResponse for arguments that are no JSON."""
        if not self.finished:
            raise self._interrupted(
                "the stream ended before the answer did" if self._answers else "the stream ended without an answer"
            )
        with billed(self._usage.total):
            try:
                answers = [answer.built() for answer in self._answers.values()]
            except Unusable as error:
                raise error.plain() from None
        return assembled(
            answers,
            model=self._model,
            usage=self._usage.total,
            request_id=self.request_id,
            created=self._created,
        )

    def interrupted(self, error: ProviderError) -> StreamInterrupted:
        """The error as the end of this answer: with what had come of it, and what it had cost by then."""
        made = StreamInterrupted(error.message, error.hint, partial=self.text)
        if self._usage.total != Usage():
            made.usage = self._usage.total
        return made

    def _decoded(self, data: str) -> Mapping[str, Any]:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            raise self._interrupted(f"an event of the stream is no JSON: {excerpt(data)}") from None
        if not isinstance(event, dict):
            raise self._interrupted(f"an event of the stream is {kind(event)}, not an object: {excerpt(data)}")
        return event

    def _choice(self, choice: object, event: Mapping[str, Any]) -> Delta | None:
        if not isinstance(choice, Mapping):
            raise self._interrupted(f"a choice of the stream is {kind(choice)}, not an object")
        index = whole(choice.get("index"))
        is_first = index == next(iter(self._answers), index)
        delta = choice.get("delta") or choice.get("message") or {}  # some servers send a last message whole
        if not isinstance(delta, Mapping):
            raise self._interrupted(f"`delta` of a choice is {kind(delta)}, not an object")
        try:
            said = content_of(delta.get("content")) or text(delta, "refusal")
        except BadResponse as error:
            raise self._interrupted(error.message) from error
        if delta.get("role") == "function_in_progress":
            progress = said or text(delta, "name")
            return Delta(progress=progress) if progress and is_first else None
        answer = self._answers.setdefault(index, _Answer())
        shown = answer.add(said, delta, choice, event)
        return Delta(text=shown) if shown and is_first else None

    def _interrupted(self, message: str) -> StreamInterrupted:
        return self.interrupted(StreamInterrupted(message, "run again; what had come is kept with the error"))

    def _fail(self, data: str) -> NoReturn:
        """Raise the error that an event stands for, as if it had come in the place of the stream."""
        headers = {"x-request-id": self.request_id} if self.request_id else {}
        body = data.encode(errors="replace")
        error = api_error(200, headers, body, what="a streamed request", service=self._service)
        if self.text:
            raise self.interrupted(error) from error
        raise error


class _Usages:
    """Usage in several events. Most services send totals, mostly at the end; some send what each piece cost.

    Totals never shrink from one event to the next, and pieces do: so a usage that shrinks means that all are added.
    """

    def __init__(self) -> None:
        self._last = Usage()
        self._sum = Usage()
        self._pieces = False

    def add(self, usage: Usage) -> None:
        if usage == Usage():
            return
        self._pieces |= (
            usage.prompt_tokens < self._last.prompt_tokens or usage.completion_tokens < self._last.completion_tokens
        )
        self._last = usage
        self._sum += usage

    @property
    def total(self) -> Usage:
        return self._sum if self._pieces else self._last


class _Answer:
    """One answer of a stream, growing."""

    def __init__(self) -> None:
        self.reason = ""
        self._said: list[str] = []
        self._half = ""  # of a character, the last thing that was said
        self._thought: list[str] = []
        self._calls: list[_Call] = []
        self._state = ""
        self._context: tuple[Mapping[str, Any], ...] = ()

    @property
    def text(self) -> str:
        return "".join(self._said)

    def add(self, said: str, delta: Mapping[str, Any], choice: Mapping[str, Any], event: Mapping[str, Any]) -> str:
        """What can be shown of what was said: an emoji may come in two halves."""
        said, self._half = self._half + said, ""
        if said and "\ud800" <= said[-1] <= "\udbff":
            said, self._half = said[:-1], said[-1]
        said = mended(said)
        self._said.append(said)
        self._thought.append(text(delta, "reasoning_content", "reasoning"))
        self.reason = text(choice, "finish_reason") or self.reason
        for place in (delta, choice, event):  # documents show the id in each of these
            self._state = text(place, "functions_state_id") or self._state
        self._context = context_of(delta) or self._context
        if delta.get("function_call"):
            self._fragment(delta["function_call"], 0, "")
        fragments = delta.get("tool_calls")
        for fragment in fragments if isinstance(fragments, list) else []:
            if isinstance(fragment, Mapping):
                self._fragment(fragment.get("function"), fragment.get("index"), text(fragment, "id"))
        return said

    def _fragment(self, function: object, index: object, id_: str) -> None:
        fields = function if isinstance(function, Mapping) else {}
        self._call_of(index, id_, text(fields, "name")).add(text(fields, "name"), fields.get("arguments"))

    def _call_of(self, index: object, id_: str, name: str) -> _Call:
        """The call that a fragment belongs to: the one with its index, unless the id says that it is another.

        Some servers send no index, and some the index 0 for each of several calls.
        """
        for call in reversed(self._calls):
            if id_ and call.id and id_ != call.id:
                continue
            same = call.index == index if index is not None else not name  # a name opens a call
            if same or (id_ and id_ == call.id):
                call.id = call.id or id_
                return call
        self._calls.append(_Call(index, id_))
        return self._calls[-1]

    def built(self) -> tuple[Message, str]:
        calls = [call.built(truncated=self.reason == "length") for call in self._calls]
        message = built(
            self.text + self._half, calls, reasoning="".join(self._thought), state=self._state, context=self._context
        )
        return message, reason_of(self.reason, calls)


class _Call:
    """A function call, whole from the first or growing by pieces of its arguments."""

    def __init__(self, index: object, id_: str) -> None:
        self.index = index
        self.id = id_
        self._name = ""
        self._pieces: list[str] = []
        self._whole: Mapping[str, Any] | None = None

    def add(self, name: str, arguments: object) -> None:
        self._name = self._name or name
        if isinstance(arguments, Mapping):
            self._whole = arguments
        elif isinstance(arguments, str):
            self._pieces.append(arguments)

    def built(self, *, truncated: bool) -> FunctionCall:
        if not self._name:
            raise BadResponse("a function call of the stream has no name")
        arguments = self._whole if self._whole is not None else mended("".join(self._pieces))
        return FunctionCall(self._name, arguments_of(arguments, self._name, truncated=truncated), self.id)
