"""An answer from a model that looks for its sources itself, with a function that searches the index.

Where it refuses without having found anything, the question itself is searched for, so that the nearest is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ragkit.answers import Refusal
from ragkit.citations import verify
from ragkit.citations.markers import without_markers
from ragkit.errors import ContentRejected
from ragkit.functions import run
from ragkit.generative import Told, after, answer_of, filtered
from ragkit.messages import Delta, Function, Message
from ragkit.prompts import harmless, language_of, searching

if TYPE_CHECKING:
    from ragkit.answers import Answer
    from ragkit.messages import ChatOptions
    from ragkit.protocols import ChatModel
    from ragkit.types import Document, Hit

SEARCH = Function(
    "search_documents",
    "Ищет в документах пользователя отрывки по смыслу и словам запроса. Finds passages of the user's documents.",
    {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "Что искать: вопрос или ключевые слова. What to look for."}
        },
        "required": ["query"],
    },
    (
        {"request": "Когда возвращают залог?", "params": {"query": "срок возврата залога"}},
        {"request": "How long is the warranty?", "params": {"query": "warranty period"}},
    ),
    {
        "type": "object",
        "properties": {
            "passages": {
                "type": "array",
                "description": "Отрывки с номерами, на которые ссылается ответ. Passages, with numbers to cite.",
                "items": {
                    "type": "object",
                    "properties": {
                        "number": {"type": "integer"},
                        "source": {"type": "string"},
                        "page": {"type": "integer"},
                        "heading": {"type": "string"},
                        "text": {"type": "string"},
                    },
                },
            }
        },
    },
)


def from_searches(
    chat: ChatModel,
    question: str,
    search: Callable[[str], Sequence[Hit]],
    *,
    document: Callable[[str], Document],
    rounds: int,
    history: Sequence[Message] = (),
    options: ChatOptions | None = None,
    told: Told | None = None,
) -> Answer:
    """As many searches as the model asks for, at most `rounds`; after that it has to answer.

    A passage keeps its number, however often it is found.
    """
    numbers: dict[tuple[str, int, int], int] = {}
    hits: list[Hit] = []

    def search_documents(query: str) -> dict[str, Any]:
        if not query.strip():
            return {"error": "the query is empty"}
        if told:
            told(Delta(progress=_SEARCHING[language_of(question)].format(query)))
        return {"passages": [passage(hit) for hit in search(query)]}

    def passage(hit: Hit) -> dict[str, Any]:
        chunk = hit.chunk
        place = (chunk.source, chunk.start, chunk.end)
        if place not in numbers:
            hits.append(hit)
            numbers[place] = len(hits)
        about = {
            "number": numbers[place],
            "source": harmless(chunk.source),
            "page": chunk.page,
            "heading": harmless(chunk.heading),
        }
        return {**{name: value for name, value in about.items() if value}, "text": harmless(chunk.text)}

    messages = after(history, searching(question))
    try:
        done = run(chat, messages, [(SEARCH, search_documents)], rounds=rounds, options=options)
    except ContentRejected as error:
        return _with_nearest(filtered(question, error, "agentic", hits), search)
    text = done.completion.text if hits else without_markers(done.completion.text)  # it never had any sources
    answer = answer_of(question, done.completion, verify(text, hits, document), hits, "agentic")
    if told:
        told(Delta(text=answer.text, completion=done.completion))
    return _with_nearest(answer, search)


def _with_nearest(answer: Answer, search: Callable[[str], Sequence[Hit]]) -> Answer:
    """A refusal without hits, with those of the question; where there are none, that is its reason."""
    if not answer.refusal or answer.hits:
        return answer
    hits = tuple(search(answer.question))
    if not hits and answer.refusal is Refusal.NOT_IN_SOURCES:
        return replace(answer, refusal=Refusal.NOTHING_RELEVANT, reason="no search found a passage")
    return replace(answer, hits=hits)


_SEARCHING = {"ru": "ищу: {}", "en": "searching: {}"}
