"""A question to an index: answered from its passages, by a model that searches it, or from its whole documents.

It knows an index by what it gives, and a model by its seam; an answer has the same shape whichever way it came.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ragkit.answers import Answer, Refusal
from ragkit.asking.parts import Index, Writer
from ragkit.errors import BudgetExceeded, ConfigError
from ragkit.numbers import count

if TYPE_CHECKING:
    from ragkit.protocols import ChatModel
    from ragkit.reports import DocumentInfo
    from ragkit.types import Hit

__all__ = ["Index", "Writer", "ask_agent", "ask_index"]

_MOST_GAPS = 3  # documents that are named one by one for what is missing of them


def ask_index(
    index: Index, question: str, writer: Writer, *, route: str | None = None, max_cost: float | None = None
) -> Answer:
    """From passages, or where `route` is "attachment", or "auto" decides so, from whole documents.

    With a route the first of the notes says which way it was, and why.

    Raises:
        ConfigError: an empty question, an unknown route or one that leads nowhere, a limit without prices.
        BudgetExceeded: the question costs more than the limit; the chat model was not asked.
    """
    if route is None and max_cost is None:
        return _from_passages(index, question, writer, None)
    from ragkit.routing import RETRIEVAL, check_route
    from ragkit.routing.money import check_limit

    check_route(route or RETRIEVAL)
    abilities = writer.abilities() if writer.abilities else None
    check_limit(max_cost, abilities.prices if abilities else None, answers=writer.chat is not None)
    if route in (None, RETRIEVAL):
        answer = _from_passages(index, question, writer, max_cost)
        return _noted(answer, "passages are searched for, as was asked") if route else answer
    return _by_route(index, question, writer, str(route), max_cost)


def ask_agent(index: Index, question: str, writer: Writer, chat: ChatModel, rounds: int) -> Answer:
    """By a model that searches by itself, at most `rounds` times. Where nothing is indexed it is not asked."""
    from ragkit.generative.agentic import from_searches

    _check(question)
    began = time.perf_counter()
    # An index that is missing, or a condition that cannot be, is not the model's to know.
    if not index.words(question) and _is_empty(index.infos()):
        return _nothing_indexed(index, question, "agentic")
    answer = from_searches(
        chat,
        question,
        index.search,
        document=index.document,
        rounds=rounds,
        history=writer.history,
        options=writer.options,
        told=writer.told,
    )
    return replace(answer, timings={"search": 0.0, "answer": time.perf_counter() - began})


def _from_passages(index: Index, question: str, writer: Writer, max_cost: float | None) -> Answer:
    from ragkit.metering import metered

    began = time.perf_counter()
    if writer.chat:
        from ragkit.generative import Layout, check_question

        check_question(writer.chat, question, layout=writer.layout or Layout(), history=writer.history)
    with metered() as meter:
        hits = index.search((writer.talk and writer.talk.query) or question)
    found = time.perf_counter()
    if not hits:
        answer = _without_hits(index, question, "generative" if writer.chat else "extractive")
    elif writer.chat is None:
        from ragkit.extractive import extract  # a model needs none of it

        answer = extract(question, hits, idf=index.idf, document=index.document, level=index.level)
    elif writer.judges and not _is_about(index, (writer.talk and writer.talk.query) or question, hits):
        reason = "no passage is about what the question asks"
        answer = Answer.refused(question, Refusal.NOTHING_RELEVANT, reason, mode="generative", hits=hits)
    else:
        answer = _written(writer.chat, index, question, hits, writer, max_cost, meter.usage.cost)
    return replace(answer, timings={"search": found - began, "answer": time.perf_counter() - found})


def _is_about(index: Index, query: str, hits: list[Hit]) -> bool:
    from ragkit.relevance import is_about  # where everything is answered it is not needed

    titles = {source: index.document(source).title for source in {hit.chunk.source for hit in hits}}
    return is_about(query, hits, idf=index.idf, title=titles.__getitem__, level=index.level)


def _written(
    chat: ChatModel,
    index: Index,
    question: str,
    hits: list[Hit],
    writer: Writer,
    max_cost: float | None,
    spent: float,
) -> Answer:
    """By the model, from as many of the hits as its prompt and the money left have room for."""
    from ragkit.generative import Layout, from_passages

    layout, room = writer.layout or Layout(), None
    if max_cost is not None and writer.abilities:
        from ragkit.routing.money import affordable

        room = affordable(writer.abilities().prices, max_cost - spent)
        layout = replace(layout, budget=min(layout.budget, room))
    try:
        return from_passages(
            chat,
            question,
            hits,
            document=index.document,
            layout=layout,
            history=writer.history,
            nonce=writer.talk.nonce if writer.talk else None,
            options=writer.options,
            told=writer.told,
        )
    except BudgetExceeded as error:
        if room is None:
            raise
        raise BudgetExceeded(
            f"after the price of an answer {max_cost:g} leaves {count(room, 'token')} for the prompt, "
            "and no passage fits into that",
            "ask with a higher --max-cost",
        ) from error


def _by_route(index: Index, question: str, writer: Writer, route: str, max_cost: float | None) -> Answer:
    from ragkit.generative import counter
    from ragkit.prompts import grounded
    from ragkit.routing import ATTACHMENT, AUTO, WHOLE, Abilities, choose
    from ragkit.routing.material import of_index

    _check(question)
    began = time.perf_counter()
    infos = index.infos()
    if _is_empty(infos):
        return _nothing_indexed(index, question, "attached" if writer.chat else "extractive")
    abilities = (writer.abilities() if writer.abilities else None) or Abilities()
    chat, context = writer.chat, abilities.context
    most = 0 if chat is None else min(WHOLE, context) if route == AUTO else context
    materials = of_index(infos, index.document, limit=most, count=counter(chat, context))
    template = writer.layout.template if writer.layout else None
    rest = [*writer.history, *grounded(question, (), template=template)]  # of the prompt
    chosen = choose(
        materials,
        "\n".join(message.content for message in rest),
        route=route,
        abilities=replace(abilities, keeps_files=False) if chat else None,
        max_cost=max_cost,
        indexed=True,
    )
    if chat is None or chosen.kind != ATTACHMENT:
        return _noted(_from_passages(index, question, writer, max_cost), chosen.reason)
    from ragkit.generative.whole import from_documents

    read = time.perf_counter()
    answer = from_documents(
        chat,
        question,
        [each.document for each in materials if each.document],
        template=template,
        history=writer.history,
        nonce=writer.talk.nonce if writer.talk else None,
        options=writer.options,
        told=writer.told,
    )
    timings = {"read": read - began, "answer": time.perf_counter() - read}
    if answer.refusal:  # the nearest that words alone find: after the answer nothing more is paid for, or can fail
        answer = replace(answer, hits=tuple(index.words(question)) or answer.hits)
    return _noted(replace(answer, timings=timings), "; ".join([chosen.reason, *_gaps(infos)]))


def _check(question: str) -> None:
    if not question.strip():
        raise ConfigError("the question is empty", "say what to look for")


def _noted(answer: Answer, note: str) -> Answer:
    return replace(answer, notes=(note, *answer.notes))


def _is_empty(infos: Sequence[DocumentInfo]) -> bool:
    return not any(each.chunks for each in infos)


def _without_hits(index: Index, question: str, mode: str) -> Answer:
    """A search by words alone may find none; any other finds what is there."""
    if _is_empty(index.infos()):
        return _nothing_indexed(index, question, mode)
    return Answer.refused(question, Refusal.NOTHING_RELEVANT, "no passage has a word of the question", mode=mode)


def _nothing_indexed(index: Index, question: str, mode: str) -> Answer:
    reason = "nothing is indexed that could answer"
    if index.conditions:
        shown = " and ".join(map(str, index.conditions))
        reason = f"no document with text fulfils the conditions: {shown}"
    return Answer.refused(question, Refusal.NOTHING_INDEXED, reason, mode=mode)


def _gaps(infos: Sequence[DocumentInfo]) -> list[str]:
    """What of the documents is not in the index, for a reader who is told that the model read all of them."""
    missing = [each for each in infos if each.problems]
    notes = [
        f"{'not all of ' if each.chunks else ''}{each.source} could{'' if each.chunks else ' not'} be read: "
        f"{each.problems[0].reason}"
        for each in missing[:_MOST_GAPS]
    ]
    if len(missing) > _MOST_GAPS:
        notes.append(f"{len(missing) - _MOST_GAPS} more could not be read, or not wholly: ragkit list")
    return notes
