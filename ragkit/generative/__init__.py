"""Answers that a chat model writes from passages: asked, read back, and every quote compared with its document.

What the service will not read or write, and what the sources do not say, comes back as a refusal with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragkit.answers import Answer, Refusal, Status, Verification
from ragkit.citations import Reader, Verified
from ragkit.errors import BadResponse, BudgetExceeded, ContentRejected
from ragkit.messages import Completion, Delta, Message
from ragkit.numbers import number
from ragkit.packing import NO_ROOM, Packed, pack
from ragkit.prompts import Template, grounded, is_no_answer, may_be_no_answer
from ragkit.protocols import TokenCounter
from ragkit.providers.lengths import estimated_tokens
from ragkit.types import Document, Hit

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
        return Answer.refused(
            question, Refusal.NOTHING_INDEXED, "nothing is indexed that could answer", mode="generative"
        )
    count = counter(chat, layout.budget)
    rules = _rules(count, question, layout, history)
    packed = pack(
        hits,
        budget=layout.budget - rules,
        count=count,
        document=document,
        parents=layout.parents,
        question=question,
    )
    dropped = tuple(map(str, packed.dropped))
    if not packed.passages:
        _check_room(packed, layout.budget, rules)
        changed = "the documents have changed since they were searched; ask again"
        return Answer.refused(question, Refusal.NOT_IN_SOURCES, changed, mode="generative", hits=hits, dropped=dropped)
    messages = after(history, grounded(question, packed.passages, template=layout.template, nonce=nonce))
    answer = answered(
        chat, question, messages, packed.hits, "generative", document=document, options=options, told=told
    )
    return replace(answer, dropped=dropped)


def check_question(chat: ChatModel, question: str, *, layout: Layout, history: Sequence[Message] = ()) -> None:
    """Raise BudgetExceeded where no source has room beside the question, before anything is paid to search for it."""
    rules = _rules(counter(chat, layout.budget), question, layout, history)
    if rules >= layout.budget:
        raise _no_room(layout.budget, rules)


def _rules(
    count: Callable[[Sequence[str]], tuple[list[int], bool]],
    question: str,
    layout: Layout,
    history: Sequence[Message],
) -> int:
    """Tokens of a prompt without its sources."""
    unfilled = [*history, *grounded(question, (), template=layout.template)]
    [rules], _ = count(["\n".join(message.content for message in unfilled)])
    return rules


def _check_room(packed: Packed, budget: int, rules: int) -> None:
    if any(each.reason == NO_ROOM for each in packed.dropped):
        raise _no_room(budget, rules)


def _no_room(budget: int, rules: int) -> BudgetExceeded:
    return BudgetExceeded(
        f"the prompt may have {number(budget)} tokens, and with {number(rules)} of rules, question and "
        "conversation no passage fits into it",
        "raise context_tokens, or the limit on money where there is one, or ask in fewer words",
    )


def filtered(question: str, error: ContentRejected, mode: str, hits: Sequence[Hit]) -> Answer:
    """The refusal of a service that says it by an error."""
    reason = f"the service refuses this topic: {error.message}"
    return Answer.refused(question, Refusal.FILTERED, reason, mode=mode, hits=hits)


def after(history: Sequence[Message], messages: Sequence[Message]) -> list[Message]:
    """Earlier turns stand behind the rules, which are the first message."""
    return [messages[0], *history, *messages[1:]]


def counter(chat: ChatModel | None, budget: int) -> Callable[[Sequence[str]], tuple[list[int], bool]]:
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


def answered(
    chat: ChatModel,
    question: str,
    messages: Sequence[Message],
    hits: Sequence[Hit],
    mode: str,
    *,
    document: Callable[[str], Document],
    cites: bool = True,
    function_call: FunctionChoice = "none",
    options: ChatOptions | None = None,
    told: Told | None = None,
) -> Answer:
    """One request, and what came of it. `hits` are the sources that quotes are looked up in; `cites` as `answer_of`."""
    reader = Reader(hits, document)
    try:
        completion = completed(chat, messages, reader, function_call=function_call, options=options, told=told)
    except ContentRejected as error:
        return filtered(question, error, mode, hits)
    return answer_of(question, completion, reader.finish(), hits, mode, cites=cites)


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
    status, refusal, reason = _outcome(completion, found, cites=cites)
    notes = found.notes
    if found.removed:
        notes += (f"{found.removed} markers of sources that were not given were taken out",)
    return Answer(
        question,
        "" if is_no_answer(found.text) else found.text,
        status,
        () if refusal else found.citations,
        tuple(hits),
        reason=reason,
        mode=mode,
        model=completion.model,
        notes=notes,
        statements=() if refusal else found.statements,
        refusal=refusal,
    )


def _outcome(completion: Completion, found: Verified, *, cites: bool) -> tuple[Status, Refusal | None, str]:
    reason = _REASONS.get(completion.finish_reason, "")
    if completion.finish_reason in _REFUSALS:
        return Status.REFUSED, Refusal.FILTERED, reason
    if is_no_answer(found.text) or not found.text.strip():
        return Status.REFUSED, Refusal.NOT_IN_SOURCES, reason or "the model finds no answer in the sources"
    reason = reason or _shortcoming(completion, found, cites=cites)
    return Status.PARTIAL if reason else Status.ANSWERED, None, reason


def _shortcoming(completion: Completion, found: Verified, *, cites: bool) -> str:
    """Why the answer is a partial one; empty where it is whole."""
    if completion.finish_reason not in ("stop", ""):
        return f"the service stopped for a reason of its own: {completion.finish_reason}"
    invented = sum(citation.verification is Verification.NOT_FOUND for citation in found.citations)
    if invented:
        return f"{invented} of the quotes are not in the source they name"
    return "the answer names no source" if cites and not found.citations else ""
