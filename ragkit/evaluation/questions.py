"""A user's own questions: one JSON object a line, with the sources that answer it, and perhaps the answer.

    {"question": "В какой срок возвращается залог?", "sources": ["lease.pdf#page=2"], "answer": "десяти рабочих дней"}
    {"question": "Who built the bridge?", "answerable": false}

It knows nothing of searching or answering.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragkit.errors import ConfigError
from ragkit.evaluation.lines import at, json_lines, text_field
from ragkit.evaluation.retrieval import PAGE

_PAGE_NUMBER = re.compile(r"[1-9]\d{0,8}")  # Python reads no number of thousands of digits

FILE = "questions.jsonl"
# What a line may have. "draft" and "by" are what `--make` marks its drafts with, "passage" what it made them from.
FIELDS = ("id", "question", "sources", "answer", "answerable", "draft", "by", "passage", "note")


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what is expected of its answer.

    `sources` are grades by what answers it: a document's source, or a page as "contract.pdf#page=3". `answers` are
    wordings of which one is expected in the answer; empty where none is given. `draft` where nobody has read it yet.
    """

    id: str
    text: str
    sources: Mapping[str, int] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    answerable: bool = True
    draft: bool = False


def read_questions(path: str | Path) -> list[Question]:
    """The questions of a file, or of questions.jsonl in a folder, in order.

    A line is {"question": …, "sources": [file or file#page=N, …], "answer": text or texts, "answerable": true or
    false, "id": …}; only "question" must be there, and a question that the documents answer needs sources or an
    answer. Ids are the numbers of lines unless given. Raises ConfigError, with the line, for everything else.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file
    found: dict[str, Question] = {}
    for number, row in json_lines(file):
        question = _question(file, number, row)
        if question.id in found:
            raise ConfigError(f"{at(file, number)}: a second question {question.id!r}", "give each its own id")
        found[question.id] = question
    if not found:
        raise ConfigError(f"{file} has no question", 'write lines like {"question": "…", "sources": ["file.pdf"]}')
    return list(found.values())


def write_questions(path: str | Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows to a new file, one a line. Raises ConfigError where it exists: somebody may have worked on it."""
    try:
        with Path(path).open("x", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    except FileExistsError as error:
        raise ConfigError(f"{path} exists already", "name another file, or remove this one") from error


def judgements(questions: Sequence[Question]) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Texts and grades by id, of the questions that documents answer and that say which."""
    asked = [question for question in questions if question.answerable and question.sources]
    return {each.id: each.text for each in asked}, {each.id: dict(each.sources) for each in asked}


def document_of(name: str, known: Mapping[str, int | None]) -> tuple[str, int | None]:
    """The document and the page that an expected source names; `known` are the documents that there are."""
    if name in known:
        return name, None
    source, mark, page = name.rpartition(PAGE)
    return (source, int(page)) if mark and _PAGE_NUMBER.fullmatch(page) else (name, None)


def missing(questions: Sequence[Question], known: Mapping[str, int | None]) -> list[str]:
    """The expected sources that no search can find, sorted.

    Args:
        questions: with their expected sources.
        known: how many pages each document of the index has; None where its format has none.
    """
    lacking = set()
    for name in {name for question in questions if question.answerable for name in question.sources}:
        source, page = document_of(name, known)
        if source not in known or (page is not None and page > (known[source] or 0)):
            lacking.add(name)
    return sorted(lacking)


def _question(file: Path, number: int, row: dict[str, Any]) -> Question:
    for name in row:
        if name not in FIELDS:
            raise ConfigError(f"{at(file, number)}: unknown field {name!r}", f"the fields are: {', '.join(FIELDS)}")
    flags = {"answerable": True, "draft": False}
    for name, default in flags.items():
        flags[name] = row.get(name, default)
        if not isinstance(flags[name], bool):
            raise ConfigError(f"{at(file, number)}: {name!r} is {flags[name]!r}", "write true or false")
    question = Question(
        str(row.get("id", number)),
        text_field(file, number, row, "question"),
        _sources(file, number, row.get("sources", [])),
        _texts(file, number, "answer", row.get("answer", [])),
        flags["answerable"],
        flags["draft"],
    )
    if question.answerable and not (question.sources or question.answers):
        raise ConfigError(
            f"{at(file, number)} says neither which sources answer it nor what the answer is",
            'give "sources" or "answer", or "answerable": false where the documents do not answer it',
        )
    if not question.answerable and (question.sources or question.answers):
        raise ConfigError(
            f"{at(file, number)}: 'answerable' is false, and there are sources or an answer", "leave one of them out"
        )
    return question


def _sources(file: Path, number: int, value: object) -> dict[str, int]:
    """Each with the grade 1."""
    sources = dict.fromkeys(_texts(file, number, "sources", value), 1)
    for name in sources:
        source, mark, page = name.rpartition(PAGE)
        if mark and not _PAGE_NUMBER.fullmatch(page):
            raise ConfigError(f"{at(file, number)}: {name!r} has the page {page!r}", "pages are 1, 2, 3 and so on")
        if mark and source in sources:
            raise ConfigError(
                f"{at(file, number)} names {source!r} as a whole, and its page {page}", "keep one of the two"
            )
    return sources


def _texts(file: Path, number: int, name: str, value: object) -> tuple[str, ...]:
    each = [value] if isinstance(value, str) else value
    if not isinstance(each, list) or not all(isinstance(text, str) and text.strip() for text in each):
        raise ConfigError(f"{at(file, number)}: {name!r} is {value!r}", f"give {name!r} as text, or as a list of texts")
    return tuple(each)
