"""Collections in the layout of BEIR (Thakur and others, 2021): corpus.jsonl, queries.jsonl and qrels.

Of the corpus `_id`, `title` and `text` are read, of the queries `_id` and `text`. Judgements are `qrels/SPLIT.tsv`, or
`qrels.tsv` beside the queries: query, document and grade, separated by tabs, with or without a heading.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ragkit.errors import ConfigError
from ragkit.evaluation.lines import at, json_lines, text_field, text_lines
from ragkit.types import Document

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels.tsv"
SPLIT = "test"
_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Beir:
    """A collection. Only queries with a relevant document are in it; `notes` tell what was left out."""

    documents: tuple[Document, ...]
    queries: dict[str, str]  # text by id, in the order of the file
    qrels: dict[str, dict[str, int]]  # grades by document, for each query
    notes: tuple[str, ...] = ()


def is_beir(path: Path) -> bool:
    """Whether a folder has a corpus and queries."""
    return (path / CORPUS).is_file() and (path / QUERIES).is_file()


def read_beir(path: str | Path, split: str | None = None) -> Beir:
    """Read a collection, each document under its `_id`.

    Args:
        path: the folder.
        split: which file of the folder `qrels`; without one qrels.tsv, else `test`.

    Raises:
        ConfigError: a file is missing, a line is not what it must be, two rows share an id, or a judgement is of a
            query that does not exist; with the line.
    """
    folder = Path(path)
    documents, empty = _documents(folder / CORPUS)
    queries: dict[str, str] = {}
    for number, row in json_lines(folder / QUERIES):
        id = text_field(folder / QUERIES, number, row, "_id")
        if id in queries:
            raise ConfigError(f"{at(folder / QUERIES, number)}: a second query {id!r}", "give each query its own _id")
        queries[id] = text_field(folder / QUERIES, number, row, "text")
    every = _judgements(_qrels_file(folder, split), queries)
    qrels = {id: relevant for id, grades in every.items() if (relevant := _relevant(grades))}
    if not qrels:
        raise ConfigError(f"no judgement of {folder} is above 0", "a relevant document has the grade 1 or more")
    unknown = {name for grades in qrels.values() for name in grades} - {document.source for document in documents}
    notes = []
    if empty:
        notes.append(
            _counted(len(empty), "document has no text and is", "documents have no text and are") + " not indexed"
        )
    if left := len(every) - len(qrels):
        one, many = "judged query has no relevant document and is", "judged queries have no relevant document and are"
        notes.append(_counted(left, one, many) + " left out")
    if unknown:
        named = f"{', '.join(sorted(unknown)[:3])}{', …' if len(unknown) > 3 else ''}"
        lost = _counted(len(unknown), "relevant document is", "relevant documents are")
        notes.append(f"{lost} not in the corpus, or empty, and cannot be found: {named}")
    asked = {id: text for id, text in queries.items() if id in qrels}
    return Beir(tuple(documents), asked, {id: qrels[id] for id in asked}, tuple(notes))


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _documents(path: Path) -> tuple[list[Document], list[str]]:
    """Those with text, and the ids of those without."""
    documents, empty = [], []
    seen: set[str] = set()
    for number, row in json_lines(path):
        id = text_field(path, number, row, "_id")
        if id in seen:
            raise ConfigError(f"{at(path, number)}: a second document {id!r}", "give each document its own _id")
        seen.add(id)
        text = text_field(path, number, row, "text", default="")
        if text.strip():
            title = text_field(path, number, row, "title", default="")
            documents.append(Document(id, text, metadata={"title": title}))
        else:
            empty.append(id)
    if not documents:
        raise ConfigError(f"{path} has no document with text", "docs/evaluation.md shows what a line looks like")
    return documents, empty


def _qrels_file(folder: Path, split: str | None) -> Path:
    parts = folder / "qrels"
    if split is None and (folder / QRELS).is_file():
        return folder / QRELS
    wanted = parts / f"{split or SPLIT}.tsv"
    there = sorted(file.stem for file in parts.glob("*.tsv"))
    if (split or SPLIT) not in there:
        raise ConfigError(
            f"{wanted} does not exist" + ("" if split or there else f", and neither does {folder / QRELS}"),
            f"choose a --split: {', '.join(there)}" if there else "docs/evaluation.md lists the files that are read",
        )
    return wanted


def _judgements(path: Path, queries: dict[str, str]) -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = {}
    for number, line in text_lines(path):
        columns = line.split("\t")
        if len(columns) != _COLUMNS:
            raise ConfigError(
                f"{at(path, number)} has {len(columns)} columns, not {_COLUMNS}",
                "separate query, document and grade by tabs",
            )
        query, document, grade = columns
        value = _grade(grade)
        if value is None and number == 1:
            continue  # the heading
        if value is None or not value.is_integer():
            raise ConfigError(f"{at(path, number)}: the grade is {grade!r}", "grades are whole numbers")
        if query not in queries:
            raise ConfigError(f"{at(path, number)}: no query is called {query!r}", f"its _id must stand in {QUERIES}")
        before = judged.setdefault(query, {}).setdefault(document, int(value))
        if before != value:
            raise ConfigError(
                f"{at(path, number)}: {document!r} was graded {before} for {query!r} before, now {int(value)}",
                "keep one of the two",
            )
    return judged


def _grade(text: str) -> float | None:
    """A number, which some collections write as 1.0; None for a word, such as a heading."""
    try:
        return float(text)
    except ValueError:
        return None


def _relevant(grades: dict[str, int]) -> dict[str, int]:
    return {document: grade for document, grade in grades.items() if grade > 0}
