"""What a chat model is given: the rules, numbered sources that are marked as data, the question, and the rules again.

It knows passages and words; it knows nothing of models and of how many tokens anything has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragkit.messages import Message
from ragkit.positions import PATH_SEPARATOR
from ragkit.prompts.framing import framed, harmless, label, marks, new_nonce
from ragkit.prompts.template import Template
from ragkit.prompts.wording import (
    AGENT,
    ANSWER,
    CONVERSATION,
    FILE,
    FRAME,
    GROUNDED,
    NEW_QUESTION,
    NO_ANSWER,
    NUMBERED,
    PAGE,
    PAGES,
    QUESTION,
    REMINDER,
    SHORTENED,
    SOURCES,
    STANDALONE,
    is_no_answer,
    language_of,
    may_be_no_answer,
    name_of_language,
)
from ragkit.types import Hit

__all__ = [
    "NO_ANSWER",
    "Passage",
    "Template",
    "about_file",
    "grounded",
    "harmless",
    "is_no_answer",
    "language_of",
    "may_be_no_answer",
    "new_nonce",
    "numbered_source",
    "searching",
    "standalone",
]

_LONGEST_TITLE = 160  # characters; longer ones are no titles
_LONGEST_HEADING = 240  # of a path of headings
_LONGEST_SOURCE = 300


@dataclass(frozen=True, slots=True)
class Passage:
    """What a model is given of a document: a hit, and what belongs to it without being part of its text.

    `head` is the first row of the table that the text begins inside. `last_page` is that of the text's end.
    `shortened` says that the hit was longer.
    """

    hit: Hit
    title: str = ""
    head: str = ""
    last_page: int | None = None
    shortened: bool = False


def grounded(
    question: str,
    passages: Sequence[Hit | Passage],
    *,
    titles: Mapping[str, str] | None = None,
    template: Template | None = None,
    nonce: str | None = None,
) -> list[Message]:
    """The rules, the passages as sources [1], [2], …, the question, and the rules in short.

    Each passage stands between two marks that are new in every request, with its number and place above them.

    Args:
        titles: of documents, by source; a passage's own comes first.
        template: the user's rules and layout. Marks and numbers are kept, and explained before and after it.
        nonce: what the marks are made of, for a test; otherwise chance.
    """
    language = language_of(question)
    nonce = nonce or new_nonce()
    opening, closing = marks(nonce)
    frame = FRAME[language].format(opening=opening, closing=closing)
    reminder = REMINDER[language].format(opening=opening, closing=closing)
    sources = "\n\n".join(
        numbered_source(number, passage, language, nonce)
        for number, passage in enumerate(_passages(passages, titles), 1)
    )
    if template is None:
        return [
            Message("system", f"{GROUNDED[language]}{NUMBERED[language]} {frame}"),
            Message("user", f"{SOURCES[language]}:\n\n{sources}\n\n{QUESTION[language]}: {question}\n\n{reminder}"),
        ]
    layout = template.filled(
        rules=GROUNDED[language].strip(), sources=sources, question=question, language=name_of_language(question)
    )
    return [Message("system", f"{NUMBERED[language]} {frame}"), Message("user", f"{layout}\n\n{reminder}")]


def numbered_source(number: int, passage: Passage, language: str, nonce: str) -> str:
    """One source: number and place on a line of their own, then the framed text."""
    text = passage.hit.chunk.text
    whole = f"{passage.head}\n{text}" if passage.head else text
    return f"{_place(number, passage, language, nonce)}\n{framed(whole, nonce)}"


def searching(question: str) -> list[Message]:
    """The rules for a model that searches itself, and the question."""
    language = language_of(question)
    return [Message("system", AGENT[language] + GROUNDED[language] + NUMBERED[language]), Message("user", question)]


def about_file(question: str) -> str:
    """The rules for a question about an attached file."""
    return FILE[language_of(question)]


def standalone(history: Sequence[Message], question: str) -> list[Message]:
    """Asks for the question as it would be without the turns before it: for a search, which remembers none."""
    language = language_of(question)
    names = {"user": QUESTION[language], "assistant": ANSWER[language]}
    turns = "\n".join(f"{names[each.role]}: {harmless(each.content)}" for each in history)
    said = f"{CONVERSATION[language]}:\n\n{turns}\n\n{NEW_QUESTION[language]}: {question}"
    return [Message("system", STANDALONE[language]), Message("user", said)]


def _passages(given: Sequence[Hit | Passage], titles: Mapping[str, str] | None) -> Iterable[Passage]:
    for each in given:
        passage = each if isinstance(each, Passage) else Passage(each)
        title = passage.title or (titles or {}).get(passage.hit.chunk.source, "")
        yield Passage(passage.hit, title, passage.head, passage.last_page, passage.shortened)


def _place(number: int, passage: Passage, language: str, nonce: str) -> str:
    """ "[1] Title (source), page 3, heading:"; the title is not said twice."""
    chunk = passage.hit.chunk
    title = label(passage.title, _LONGEST_TITLE, nonce)
    source = label(chunk.source, _LONGEST_SOURCE, nonce)
    path = label(chunk.heading, _LONGEST_HEADING, nonce).split(PATH_SEPARATOR)
    if title and path[0].casefold() == title.casefold():
        del path[0]
    parts = [f"{title} ({source})" if title and title != source else source]
    if chunk.page is not None and passage.last_page is not None and passage.last_page > chunk.page:
        parts.append(f"{PAGES[language]} {chunk.page}–{passage.last_page}")
    elif chunk.page is not None:
        parts.append(f"{PAGE[language]} {chunk.page}")
    if heading := PATH_SEPARATOR.join(path):
        parts.append(heading)
    if passage.shortened:
        parts.append(SHORTENED[language])
    return f"[{number}] {', '.join(parts)}:"
