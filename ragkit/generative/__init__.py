"""Answers that a chat model writes from passages: asked, read back, and brought to the places they name.

What a model says of its sources is taken as its word: a marker leads to the passage that it was given, and the
citation says that nobody has compared the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ragkit.errors import BadResponse
from ragkit.messages import Completion, Delta, Message
from ragkit.prompts import grounded, is_no_answer, may_be_no_answer
from ragkit.types import Answer, Citation, Hit, Status, Verification

if TYPE_CHECKING:
    from ragkit.messages import ChatOptions
    from ragkit.protocols import ChatModel

Told = Callable[[Delta], None]

_MARKER = re.compile(r"(?P<space>[ \t]?)\[(?P<numbers>\d{1,3}(?:\s?[,;]\s?\d{1,3}){0,20})\]")
# What the service's reason for stopping means to a reader. "stop" means nothing.
_REASONS = {
    "length": "the answer was cut off at the limit of tokens (finish_reason length)",
    "blacklist": "the service refuses this topic (finish_reason blacklist)",
    "content_filter": "the service refuses this topic (finish_reason content_filter)",
    "error": "the model made arguments for a function that are not valid (finish_reason error)",
}
_REFUSALS = ("blacklist", "content_filter")


def from_passages(
    chat: ChatModel, question: str, hits: Sequence[Hit], *, options: ChatOptions | None = None, told: Told | None = None
) -> Answer:
    """One request: the question with the hits as numbered sources. Without hits nothing is asked."""
    if not hits:
        return Answer(question, "", Status.REFUSED, reason="nothing is indexed that could answer", mode="generative")
    return read(question, completed(chat, grounded(question, hits), options=options, told=told), hits, "generative")


def completed(
    chat: ChatModel, messages: Sequence[Message], *, options: ChatOptions | None = None, told: Told | None = None
) -> Completion:
    """The whole answer; `told` gets its pieces as they come."""
    if told is None:
        return chat.complete(messages, options=options)
    held: str | None = ""  # what may still turn out to say that there is no answer, which is not for the reader
    for delta in chat.stream(messages, options=options):
        if held is not None and (delta.text or delta.completion):
            held += delta.text
            ended = delta.completion is not None
            if may_be_no_answer(held) and not ended:
                continue
            delta = replace(delta, text="" if is_no_answer(held) else held)
            held = None
        told(delta)
        if delta.completion:
            return delta.completion
    raise BadResponse("the stream of the answer ended without the whole of it", "this is a mistake of the chat model's")


def read(question: str, completion: Completion, hits: Sequence[Hit], mode: str, *, cites: bool = True) -> Answer:
    """A completion as an answer: status from its end, citations from its markers, in the order of the text.

    Markers of sources that were not given are taken out, and `notes` counts them. Without `cites` the model was given
    no numbered sources: brackets are text.
    """
    text, cited, strange = _markers(completion.text, len(hits)) if cites else (completion.text, [], 0)
    notes = (f"{strange} markers of sources that were not given were taken out",) if strange else ()
    status, reason = _outcome(completion, text, cited or not cites)
    return Answer(
        question,
        "" if is_no_answer(text) else text,
        status,
        () if status is Status.REFUSED else tuple(_citation(number, hits[number - 1]) for number in cited),
        tuple(hits),
        reason=reason,
        mode=mode,
        model=completion.model,
        notes=notes,
    )


def _outcome(completion: Completion, text: str, cites: object) -> tuple[Status, str]:
    reason = _REASONS.get(completion.finish_reason, "")
    if completion.finish_reason in _REFUSALS:
        return Status.REFUSED, reason
    if is_no_answer(text) or not text.strip():
        return Status.REFUSED, reason or "the model finds no answer in the sources"
    if reason:
        return Status.PARTIAL, reason
    if completion.finish_reason not in ("stop", ""):
        return Status.PARTIAL, f"the service stopped for a reason of its own: {completion.finish_reason}"
    return (Status.ANSWERED, "") if cites else (Status.PARTIAL, "the answer names no source")


def _markers(text: str, most: int) -> tuple[str, list[int], int]:
    """The text without markers above `most`, the numbers that are left in order, and how many were taken out.

    What directly follows a letter or a bracket and names no source, as items[0], is text.
    """
    cited: dict[int, None] = {}
    strange = 0

    def kept(match: re.Match[str]) -> str:
        nonlocal strange
        numbers = [int(number) for number in re.findall(r"\d+", match["numbers"])]
        good = [number for number in numbers if 1 <= number <= most]
        attached = not match["space"] and match.start() > 0 and text[match.start() - 1] not in ".,:;!?»”\"')"
        if not good and attached:
            return match[0]
        strange += len(numbers) - len(good)
        cited.update(dict.fromkeys(good))
        if len(good) == len(numbers):
            return match[0]
        return f" [{', '.join(map(str, good))}]" if good else ""

    return _MARKER.sub(kept, text), list(cited), strange


def _citation(number: int, hit: Hit) -> Citation:
    chunk = hit.chunk
    return Citation(
        f"[{number}]", chunk.source, chunk.page, chunk.line, chunk.start, chunk.end, chunk.text, Verification.UNCHECKED
    )
