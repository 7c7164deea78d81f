"""A conversation with the documents: questions that lean on earlier ones are searched for in a form of their own.

It keeps the turns, and knows what answers them by the seam `Answering`; nothing of indexes, services and terminals.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self
from uuid import uuid4

from ragkit.citations.markers import without_markers
from ragkit.errors import ConfigError, ContentRejected, InvalidRequest, TooLarge
from ragkit.messages import ChatOptions, Message, Talk
from ragkit.metering import metered
from ragkit.prompts import is_no_answer, new_nonce, standalone
from ragkit.types import Usage
from ragkit.uploads import Lent, Uploads

if TYPE_CHECKING:
    from ragkit.answers import Answer, Citation
    from ragkit.filters import Where
    from ragkit.messages import Delta
    from ragkit.protocols import ChatModel

MOST_TURNS = 8  # that go with a question
MOST_CHARACTERS = 12_000  # of them together; some 4000 tokens of Russian
TURNS_TO_REWRITE = 3  # that a follow-up is understood from
ANSWER_TO_REWRITE = 600  # characters of each answer among them
LONGEST_ADDITION = 240  # characters that a rewritten question may be longer by: what has more is not the question

_LONG = "a file that is too long to be read whole is searched by ragkit ask --file, or once it is indexed"
_QUOTED = re.compile(r"«([^«»]+)»|“([^“”]+)”|\"([^\"]+)\"")
_CUT = ("length", "blacklist", "content_filter", "error")  # reasons to stop that leave no question


class Answering(Protocol):
    """What a conversation needs of a RAG."""

    @property
    def uploads(self) -> Path: ...

    def chat(self) -> ChatModel | None: ...

    def ask(
        self,
        question: str,
        k: int = 6,
        *,
        mode: str = "hybrid",
        where: Where | None = None,
        route: str | None = None,
        told: Callable[[Delta], None] | None = None,
        talk: Talk | None = None,
    ) -> Answer: ...

    def ask_file(
        self,
        files: str | Path | Sequence[str | Path],
        question: str,
        k: int = 6,
        *,
        mode: str = "hybrid",
        keep: bool = False,
        told: Callable[[Delta], None] | None = None,
        talk: Talk | None = None,
        uploads: Uploads | None = None,
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. `rewritten` is what was searched for, where that was not the question.

    An answer that was refused is empty. `time` is seconds since 1970, when the answer was there.
    """

    question: str
    answer: str
    citations: tuple[Citation, ...] = ()
    rewritten: str = ""
    time: int = 0


class Dialogue:
    """A conversation, for one thread. It is over when it is closed: what it uploaded is deleted.

    Attributes:
        turns: every question that was answered or refused, oldest first; one that failed or was interrupted is no turn.
        last: the last answer, whole.
        rewritten: the last question in the form that was searched for; empty where that is the question as asked.
        file: what the next questions are about instead of the index; None for the index.
        usage: what all of it was billed, failed questions too.

    Args:
        session: the name under which GigaChat caches what the turns have in common; a new one unless it is given.
        turns: of a conversation that goes on.
        k: passages to answer from; `mode`, `where` and `route` as for `RAG.ask`. The reason for a route is told where
            it is another than for the question before.
    """

    def __init__(
        self,
        rag: Answering,
        *,
        session: str = "",
        turns: Iterable[Turn] = (),
        k: int = 6,
        mode: str = "hybrid",
        where: Where | None = None,
        route: str | None = None,
    ) -> None:
        self.session = session or str(uuid4())
        self.turns = list(turns)
        self.last: Answer | None = None
        self.rewritten = ""
        self.file: Path | None = None
        self.usage = Usage()
        self._rag = rag
        self._k = k
        self._mode = mode
        self._where = where
        self._route = route
        self._why = ""  # the route that was taken last
        self._nonce = new_nonce()
        self._rewriting = str(uuid4())  # in the session of the answers it would be in the way of what is cached there
        self._first = 0  # of the turns that go with a question
        self._lent: Lent | None = None

    def ask(
        self,
        question: str,
        told: Callable[[Delta], None] | None = None,
        *,
        searching: Callable[[str], None] | None = None,
    ) -> Answer:
        """The answer, with all that the turn was billed. `searching` is told what a follow-up will be searched as.

        Raises as `RAG.ask` or `RAG.ask_file`; the conversation is as it was then.
        """
        if not question.strip():
            raise ConfigError("the question is empty", "say what to look for")
        self.rewritten = ""
        with metered() as meter:
            try:
                answer = self._answer(question, told, searching)
            finally:
                self.usage += meter.usage
        self.last = replace(answer, usage=meter.usage)
        said = "" if answer.status == "refused" else answer.text
        self.turns.append(Turn(question, said, answer.citations, self.rewritten, int(time.time())))
        return self.last

    def about(self, file: str | Path | None) -> None:
        """The next questions are about this file; None for the index again.

        Raises ConfigError for what is no file.
        """
        if file is not None and not Path(file).is_file():
            raise ConfigError(f"{file} is no file", "name a document or an image")
        self.file = None if file is None else Path(file)

    def close(self) -> None:
        """Delete what was uploaded; what cannot be is named in a warning."""
        for error in self._lent.give_back() if self._lent else ():
            logging.getLogger("ragkit").warning("%s; %s", error.message, error.hint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _answer(
        self, question: str, told: Callable[[Delta], None] | None, searching: Callable[[str], None] | None
    ) -> Answer:
        chat = self._rag.chat()
        if self.file is not None and chat is None:  # its passages are searched for, as in the index
            return self._why_once(self._rag.ask_file(self.file, question, self._k, mode=self._mode, told=told))
        if self.file is not None:  # nothing is searched for, so the question may lean on the turns before it
            self._lent = self._lent or Lent(self._rag.uploads)
            talk = Talk(self._history(), self.session, self._nonce)
            try:
                return self._rag.ask_file(self.file, question, keep=True, told=told, talk=talk, uploads=self._lent)
            except (InvalidRequest, TooLarge) as error:
                error.hint = "; ".join([*filter(None, [error.hint]), _LONG])
                raise
        if chat is None:
            return self._ask(question, told, None)
        # Nothing is searched for in whole documents, and the turns go with them.
        self.rewritten = "" if self._route == "attachment" else self._rewrite(chat, question)
        if searching and self.turns and self._route != "attachment":
            searching(self.rewritten or question)
        talk = Talk(self._history(), self.session, self._nonce, self.rewritten)
        return self._ask(question, told, talk)

    def _ask(self, question: str, told: Callable[[Delta], None] | None, talk: Talk | None) -> Answer:
        answer = self._rag.ask(
            question, self._k, mode=self._mode, where=self._where, route=self._route, told=told, talk=talk
        )
        return self._why_once(answer) if self._route else answer

    def _why_once(self, answer: Answer) -> Answer:
        """Without the reason for its route, the first note, where that is the one for the question before."""
        if not answer.notes:
            return answer
        why, *others = answer.notes
        said, self._why = self._why, why
        return replace(answer, notes=tuple(others)) if why == said else answer

    def _rewrite(self, chat: ChatModel, question: str) -> str:
        """The question as it would be without the conversation; empty where it is that already, or no use comes."""
        if not self.turns:
            return ""
        turns = self.turns[-TURNS_TO_REWRITE:]
        history = [message for turn in turns for message in _messages(turn, ANSWER_TO_REWRITE)]
        try:
            completion = chat.complete(standalone(history, question), options=ChatOptions(session_id=self._rewriting))
        except ContentRejected:  # the question as asked will be refused with its reason, or answered
            return ""
        text = " ".join(completion.text.split())
        if quoted := _QUOTED.fullmatch(text):
            text = next(filter(None, quoted.groups()))
        too_long = len(text) > len(question) + LONGEST_ADDITION
        retold = question in text and any(turn.question in text for turn in turns)  # the same, or the conversation
        if completion.finish_reason in _CUT or too_long or retold or is_no_answer(text) or text == question:
            return ""
        return text

    def _history(self) -> tuple[Message, ...]:
        """The last turns that have an answer, oldest first.

        Where they become too many, half of them goes: turns that begin at the same place again and again are cached.
        """
        if not self._fits(MOST_TURNS, MOST_CHARACTERS):
            while len(self._answered()) > 1 and not self._fits(MOST_TURNS // 2, MOST_CHARACTERS // 2):
                self._first += 1
        return tuple(message for turn in self._answered() for message in _messages(turn, MOST_CHARACTERS // 2))

    def _answered(self) -> list[Turn]:
        return [turn for turn in self.turns[self._first :] if turn.answer]

    def _fits(self, most: int, characters: int) -> bool:
        turns = self._answered()
        return len(turns) <= most and sum(len(turn.question) + len(turn.answer) for turn in turns) <= characters


def _messages(turn: Turn, most: int) -> list[Message]:
    """A turn as it is told again: its markers are gone, for their numbers mean other sources now."""
    answer = without_markers(turn.answer)[:most]
    asked = Message("user", turn.question[:most])
    return [asked, Message("assistant", answer)] if answer else [asked]
