"""A question about files: the model reads all of them, or passages of an index that is made of them for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ragkit.errors import ConfigError
from ragkit.generative.attached import from_files
from ragkit.metering import metered
from ragkit.routing import RETRIEVAL
from ragkit.routing.files import Plan
from ragkit.routing.money import check_limit
from ragkit.routing.retrieval import Adds, answer_by_retrieval
from ragkit.settings import NO_CHAT_MODEL

if TYPE_CHECKING:
    from ragkit.answers import Answer
    from ragkit.asking.parts import Writer
    from ragkit.types import Document
    from ragkit.uploads import Uploads

Made = TypeVar("Made", bound=Adds)


def ask_files(
    paths: Sequence[Path],
    question: str,
    writer: Writer,
    *,
    route: str,
    keep: bool,
    functions: bool,
    max_cost: float | None,
    embedding_model: str,
    load: Callable[[Path], Document],
    opened: Callable[[Path], AbstractContextManager[Made]] | None,
    ask: Callable[[Made, float | None], Answer],
    uploads: Uploads,
) -> Answer:
    """As `RAG.ask_file`.

    Args:
        opened: an index in a folder; None where none can be made.
        ask: puts the question to it, with the money that is left.
    """
    if not question.strip():
        raise ConfigError("the question is empty", "say what to look for in the file")
    abilities = writer.abilities() if writer.abilities else None
    check_limit(max_cost, abilities.prices if abilities else None, answers=writer.chat is not None)
    plan = Plan.make(
        paths,
        question,
        route,
        attaches=keep or functions or writer.talk is not None,
        searches=opened is not None,
        chat=writer.chat,
        abilities=abilities,
        embedding_model=embedding_model,
        load=load,
        max_cost=max_cost,
    )
    with metered() as meter:
        if opened and plan.route.kind == RETRIEVAL:
            return answer_by_retrieval(
                plan.documents,
                plan.route,
                opened=opened,
                ask=lambda rag: ask(rag, None if max_cost is None else max(0.0, max_cost - meter.usage.cost)),
            )
    if writer.chat is None:
        raise ConfigError("no chat model is configured that could read a file", NO_CHAT_MODEL)
    began = time.perf_counter()
    answer = from_files(
        writer.chat,
        question,
        paths,
        uploads=uploads,
        load=plan.load,
        keep=keep,
        functions=functions,
        history=writer.history,
        options=writer.options,
        told=writer.told,
    )
    # In a conversation nothing was chosen.
    notes = answer.notes if writer.talk else (plan.route.reason, *answer.notes)
    return replace(answer, notes=notes, timings={"answer": time.perf_counter() - began})
