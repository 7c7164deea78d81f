"""What a question needs: of an index, and of whoever writes the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragkit.filters import Condition
    from ragkit.generative import Layout
    from ragkit.messages import ChatOptions, Delta, Message, Talk
    from ragkit.protocols import ChatModel
    from ragkit.reports import DocumentInfo
    from ragkit.routing import Abilities
    from ragkit.types import Document, Hit


@dataclass(frozen=True, slots=True)
class Index:
    """As much of an index as a question needs. Of its documents there are those that fulfil the conditions.

    `search` gives the best passages for a query; `words` those that have a word of a query, at no cost; `level` the
    cosine of unrelated texts, or None where vectors do not tell what is near.
    """

    search: Callable[[str], list[Hit]]
    words: Callable[[str], list[Hit]]
    infos: Callable[[], list[DocumentInfo]]
    document: Callable[[str], Document]
    idf: Callable[[Sequence[str]], Mapping[str, float]]
    level: Callable[[], float | None]
    conditions: Sequence[Condition] = ()


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes the answer and how. Without `chat` it is made of the documents' own sentences.

    `abilities` are those of the chat service; asked for only where a way is chosen, or a limit on money given.
    `judges` refuses before a model is asked, where no passage is about the question.
    """

    chat: ChatModel | None = None
    layout: Layout | None = None
    abilities: Callable[[], Abilities] | None = None
    talk: Talk | None = None
    told: Callable[[Delta], None] | None = None
    judges: bool = False

    @property
    def history(self) -> tuple[Message, ...]:
        return self.talk.history if self.talk else ()

    @property
    def options(self) -> ChatOptions | None:
        from ragkit.messages import ChatOptions  # where no model writes none of it is needed

        return ChatOptions(session_id=self.talk.session) if self.talk else None
