"""Answers without a model: how often the quotes hold the answer that a person marked.

    python benchmarks/extractive.py [--data ../shared/data] [--set xquad_ru …] [--questions 200] [--half even]

Each set is indexed whole in a temporary folder; questions are spread evenly over the set, and `--half` keeps one
half of them, so that a rule made on one half can be judged on the other. "first" and "any" are the shares of
questions whose first quote, or any quote, contains the marked answer, letter case and spaces aside; "hits" is the
share where any of the passages does: no choice of sentences can do better. "strangers" are questions of another set,
which nothing indexed answers: the share that is refused is good, the share of refusals in the set's own is bad.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ragkit
from ragkit.types import Document

SETS = ("xquad_ru", "xquad_en", "nq_open_en")
STRANGERS = {"xquad_ru": "rulaw_ru", "xquad_en": "covidqa_en", "nq_open_en": "covidqa_en"}
HALVES = {"both": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    answers: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1].parent / "shared" / "data")
    parser.add_argument("--set", nargs="*", default=SETS, help="names of sets")
    parser.add_argument("--questions", type=int, default=200, help="of each set")
    parser.add_argument("--half", choices=list(HALVES), default="both")
    args = parser.parse_args()
    root = args.data / "retrieval"
    names = ("first", "any", "hits", "refused", "strangers", "quotes", "letters", "ms")
    print(f"{'set':14}{'questions':>10}" + "".join(f"{name:>10}" for name in names))
    for name in args.set:
        asked = questions(root / name, args.questions)[HALVES[args.half]]
        strangers = questions(root / STRANGERS[name], args.questions // 2)[HALVES[args.half]]
        with tempfile.TemporaryDirectory() as folder, ragkit.open(Path(folder) / "index") as rag:
            rag.add(documents(root / name))
            row = measure(rag, asked, strangers)
        print(f"{name:14}{len(asked):>10}" + "".join(f"{figure:>10.3g}" for figure in row), flush=True)


def measure(rag: ragkit.RAG, asked: Sequence[Question], strangers: Sequence[Question]) -> list[float]:
    """The figures of one set, in the order of the table."""
    first = any_quote = in_hits = refused = 0
    quotes, letters, seconds = [], [], []
    for question in asked:
        answer = rag.ask(question.text)
        began = time.perf_counter()
        rag.ask(question.text)
        seconds.append(time.perf_counter() - began)
        found = [citation.quote for citation in answer.citations]
        first += holds(found[:1], question.answers)
        any_quote += holds(found, question.answers)
        in_hits += holds([hit.chunk.text for hit in answer.hits], question.answers)
        refused += answer.status == "refused"
        quotes.append(len(found))
        letters.append(sum(map(len, found)))
    away = sum(rag.ask(question.text).status == "refused" for question in strangers)
    n = len(asked)
    return [
        first / n,
        any_quote / n,
        in_hits / n,
        refused / n,
        away / len(strangers),
        statistics.fmean(quotes),
        statistics.fmean(letters),
        1000 * statistics.median(seconds),
    ]


def holds(texts: Sequence[str], answers: Sequence[str]) -> bool:
    plain = [" ".join(text.casefold().split()) for text in texts]
    return any(" ".join(answer.casefold().split()) in text for answer in answers for text in plain)


def documents(folder: Path) -> list[Document]:
    rows = map(json.loads, (folder / "corpus.jsonl").read_text("utf-8").splitlines())
    return [
        Document(row["_id"], row["text"], metadata={"title": row["title"]} if row.get("title") else {}) for row in rows
    ]


def questions(folder: Path, most: int) -> list[Question]:
    """At most so many, spread evenly over the set."""
    rows = [json.loads(row) for row in (folder / "queries.jsonl").read_text("utf-8").splitlines()]
    every = max(1, len(rows) // most)
    return [Question(row["text"], marked(row.get("metadata", {}))) for row in rows[::every][:most]]


def marked(metadata: dict[str, object]) -> tuple[str, ...]:
    answers = metadata.get("answers") or [metadata.get("answer", "")]
    assert isinstance(answers, list)
    return tuple(str(answer) for answer in answers if answer)


if __name__ == "__main__":
    main()
