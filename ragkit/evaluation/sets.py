"""What a user names to be evaluated with: a collection of BEIR, or a file of questions; as one kind of thing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ragkit.errors import ConfigError
from ragkit.evaluation.beir import CORPUS, QUERIES, is_beir, read_beir
from ragkit.evaluation.questions import FILE, Question, read_questions
from ragkit.types import Document


@dataclass(frozen=True, slots=True)
class TestSet:
    """Questions, and for a collection the documents that they are asked of. `notes` tell what was left out."""

    __test__ = False  # pytest takes every class of such a name for a test

    name: str
    questions: tuple[Question, ...]
    documents: tuple[Document, ...] = ()
    notes: tuple[str, ...] = ()


def read_set(path: str | Path, split: str | None = None) -> TestSet:
    """A folder in the layout of BEIR, a folder with questions.jsonl, or a file of questions.

    Raises ConfigError for a path that is none of these, and as `read_beir` and `read_questions`.
    """
    place = Path(path)
    name = place.resolve().name
    if is_beir(place):
        found = read_beir(place, split)
        questions = tuple(Question(id, text, found.qrels[id]) for id, text in found.queries.items())
        return TestSet(name, questions, found.documents, found.notes)
    if split is not None:
        raise ConfigError(f"{path} is no collection with a {CORPUS}, so it has no split", "leave --split out")
    if place.is_file() or (place / FILE).is_file():
        questions = tuple(read_questions(place))
        drafts = sum(question.draft for question in questions)
        note = f"{drafts} of {len(questions)} questions are drafts that nobody has read" if drafts else ""
        return TestSet(name, questions, notes=(note,) if note else ())
    raise ConfigError(
        f"{path} is " + ("a folder without questions" if place.is_dir() else "not there"),
        f"name a file of questions, or a folder with {FILE}, or one with {CORPUS} and {QUERIES}",
    )
