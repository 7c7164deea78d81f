"""Answers that a chat model writes from passages: asked, read back, and every quote compared with its document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragkit.citations import Reader, Verified
from ragkit.errors import BadResponse
from ragkit.messages import Completion, Delta, Message
from ragkit.packing import pack
from ragkit.prompts import Template, grounded, is_no_answer, may_be_no_answer
from ragkit.protocols import TokenCounter
from ragkit.providers.lengths import estimated_tokens
from ragkit.types import Answer, Document, Hit, Status, Verification

if TYPE_CHECKING:
    from ragkit.messages import ChatOptions, FunctionChoice
    from ragkit.protocols import ChatModel

Told = Callable[[Delta], None]

# What the service's reason for stopping means to a reader. "stop" means nothing.
_REASONS = {
    "length": "the answer was cut off at the limit of tokens (finish_reason length)",
    "blacklist": "the service refuses this topic (finish_reason blacklist)",
    "content_filter": "the service refuses this topic (finish_reason content_filter)",
    "error": "the model made arguments for a function that are not valid (finish_reason error)",
}
_REFUSALS = ("blacklist", "content_filter")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a prompt is made of: at most `budget` tokens, whole sections where `parents`, the user's own template."""

    budget: int = 16_000
    parents: bool = False
    template: Template | None = None


def from_passages(
    chat: ChatModel,
    question: str,
    hits: Sequence[Hit],
    *,
    document: Callable[[str], Document],
    layout: Layout = Layout(),
    history: Sequence[Message] = (),
    nonce: str | None = None,
    options: ChatOptions | None = None,
    told: Told | None = None,
) -> Answer:
    """One request: the question with the hits as numbered sources, as many as fit. Without hits nothing is asked.

    `document` gives the whole document of a source, in which quotes are looked up. `history` are earlier turns, without
    their sources: they stand between the rules and the question, and take their part of the budget. `nonce` is that of
    `grounded`.
    """
    if not hits:
        return Answer(question, "", Status.REFUSED, reason="nothing is indexed that could answer", mode="generative")
    count = counter(chat, layout.budget)
    unfilled = [*history, *grounded(question, (), template=layout.template)]
    [rules], _ = count(["\n".join(message.content for message in unfilled)])
    packed = pack(
        hits,
        budget=layout.budget - rules,
        count=count,
        document=document,
        parents=layout.parents,
        question=question,
    )
    reader = Reader(packed.hits, document)
    messages = after(history, grounded(question, packed.passages, template=layout.template, nonce=nonce))
    completion = completed(chat, messages, reader, options=options, told=told)
    answer = answer_of(question, completion, reader.finish(), packed.hits, "generative")
    return replace(answer, dropped=tuple(map(str, packed.dropped)))


def after(history: Sequence[Message], messages: Sequence[Message]) -> list[Message]:
    """Earlier turns stand behind the rules, which are the first message."""
    return [messages[0], *history, *messages[1:]]


def counter(chat: ChatModel, budget: int) -> Callable[[Sequence[str]], tuple[list[int], bool]]:
    """Counts tokens: as the service does, where it can and where an estimate is not far below the budget."""

    def count(texts: Sequence[str]) -> tuple[list[int], bool]:
        estimates = [estimated_tokens(text) for text in texts]
        if 2 * sum(estimates) <= budget:
            return estimates, True
        if not isinstance(chat, TokenCounter):
            return estimates, False
        counts, counted = chat.count_tokens(texts)
        return [each.tokens for each in counts], counted

    return count


def completed(
    chat: ChatModel,
    messages: Sequence[Message],
    reader: Reader,
    *,
    function_call: FunctionChoice = "none",
    options: ChatOptions | None = None,
    told: Told | None = None,
) -> Completion:
    """The whole answer, which `reader` reads while it comes; `told` gets what the reader lets through."""
    if told is None:
        completion = chat.complete(messages, function_call=function_call, options=options)
        reader.feed(completion.text)
        return completion
    held: str | None = ""  # what may still turn out to say that there is no answer, which is not for the reader
    for delta in chat.stream(messages, function_call=function_call, options=options):
        text = delta.text
        if held is not None and (text or delta.completion):
            held += text
            if may_be_no_answer(held) and not delta.completion:
                continue
            text, held = held, None
        shown = reader.feed(text)
        if delta.completion:
            told(replace(delta, text="" if is_no_answer(delta.completion.text) else shown))
            return delta.completion
        told(replace(delta, text=shown))
    raise BadResponse("the stream of the answer ended without the whole of it", "this is a mistake of the chat model's")


def answer_of(
    question: str, completion: Completion, found: Verified, hits: Sequence[Hit], mode: str, *, cites: bool = True
) -> Answer:
    """A completion and what its verification found, as an answer. Without `cites` it need not name a source."""
    status, reason = _outcome(completion, found, cites=cites)
    refused = status is Status.REFUSED
    notes = found.notes
    if found.removed:
        notes += (f"{found.removed} markers of sources that were not given were taken out",)
    return Answer(
        question,
        "" if is_no_answer(found.text) else found.text,
        status,
        () if refused else found.citations,
        tuple(hits),
        reason=reason,
        mode=mode,
        model=completion.model,
        notes=notes,
        statements=() if refused else found.statements,
    )


def _outcome(completion: Completion, found: Verified, *, cites: bool) -> tuple[Status, str]:
    reason = _REASONS.get(completion.finish_reason, "")
    if completion.finish_reason in _REFUSALS:
        return Status.REFUSED, reason
    if is_no_answer(found.text) or not found.text.strip():
        return Status.REFUSED, reason or "the model finds no answer in the sources"
    if reason:
        return Status.PARTIAL, reason
    if completion.finish_reason not in ("stop", ""):
        return Status.PARTIAL, f"the service stopped for a reason of its own: {completion.finish_reason}"
    invented = sum(citation.verification is Verification.NOT_FOUND for citation in found.citations)
    if invented:
        return Status.PARTIAL, f"{invented} of the quotes are not in the source they name"
    if cites and not found.citations:
        return Status.PARTIAL, "the answer names no source"
    return Status.ANSWERED, ""
