"""Which chunk size and overlap find the most of an answer, when the same amount of text is retrieved.

Chunkers are compared at equal retrieved text, not at equal k: chunks are taken in the order of the word index
until the budget of characters is full, repeated characters paid for twice, and the score is the share of the
reference characters that they cover, as a mean over questions. Sets: questions with reference spans (long
speech, chat logs, reports), scientific articles with answer spans, and encyclopaedia paragraphs, Russian and
English, put together to one long text. At the end the speed of the default chunker.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragkit.chunking import RecursiveChunker
from ragkit.sentences import sentences
from ragkit.store.lexical import LexicalIndex
from ragkit.types import Chunk, Document

CANDIDATES = [(400, 0), (400, 100), (500, 100), (600, 0), (600, 150), (800, 0), (800, 100), (800, 200), (800, 300)]
CANDIDATES += [(1000, 0), (1000, 200), (1200, 200), (1200, 300), (1600, 0), (1600, 300)]


@dataclass(frozen=True)
class Question:
    """Spans are (source, start, end) of the text that answers."""

    text: str
    spans: list[tuple[str, int, int]]


@dataclass(frozen=True)
class Set:
    """Documents that are searched together."""

    name: str
    documents: list[Document]
    questions: list[Question]


def main() -> None:
    """Measure every candidate on every set and print one table for each budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1].parent / "shared" / "data")
    parser.add_argument("--budgets", type=int, nargs="+", default=[2000, 4000], help="characters of retrieved text")
    parser.add_argument("--questions", type=int, default=250, help="at most so many of each set, evenly spread")
    parser.add_argument("--sizes", nargs="+", metavar="SIZE/OVERLAP", help="instead of the built-in list")
    options = parser.parse_args()
    sets = list(read_sets(options.data, options.questions))
    candidates = [tuple(map(int, pair.split("/"))) for pair in options.sizes] if options.sizes else CANDIDATES
    chunkers: dict[str, Callable[[Document], list[Chunk]]] = {
        f"{size}/{overlap}": RecursiveChunker(size=size, overlap=overlap) for size, overlap in candidates
    }
    chunkers["fixed 800/0"] = lambda document: fixed(document, 800)
    recalls: dict[int, list[tuple[str, list[float]]]] = {budget: [] for budget in options.budgets}
    for name, chunker in chunkers.items():
        rows = [measure(chunker, one, options.budgets) for one in sets]
        for budget in options.budgets:
            recalls[budget].append((name, [row[budget] for row in rows]))
    for budget, table in recalls.items():
        print(f"\nrecall of reference characters within {budget} characters of retrieved text")
        print(f"{'size/overlap':>14} " + " ".join(f"{one.name:>12}" for one in sets) + f" {'mean':>8}")
        for name, row in table:
            print(f"{name:>14} " + " ".join(f"{value:12.3f}" for value in row) + f" {statistics.mean(row):8.3f}")
    print_speed(sets)


def measure(chunker: Callable[[Document], list[Chunk]], one: Set, budgets: list[int]) -> dict[int, float]:
    """Mean recall of a set's questions for each budget."""
    chunks = [chunk for document in one.documents for chunk in chunker(document)]
    index = LexicalIndex.create(None)
    index.update(
        add=[(number, 1, chunk.text) for number, chunk in enumerate(chunks)], remove_documents=[], generation=1
    )
    shares: dict[int, list[float]] = defaultdict(list)
    for question in one.questions:
        hits = [chunks[number] for number, _ in index.search(question.text, max(budgets) // 20)]
        for budget in budgets:
            shares[budget].append(covered(question, take(hits, budget)))
    return {budget: statistics.mean(values) for budget, values in shares.items()}


def take(hits: list[Chunk], budget: int) -> list[tuple[str, int, int]]:
    """Spans of the best chunks up to the budget; the last one is cut to fit."""
    taken = []
    for chunk in hits:
        if budget <= 0:
            break
        taken.append((chunk.source, chunk.start, min(chunk.end, chunk.start + budget)))
        budget -= chunk.end - chunk.start
    return taken


def covered(question: Question, taken: list[tuple[str, int, int]]) -> float:
    """The share of the question's reference characters that lie in a taken span."""
    wanted = {(source, place) for source, start, end in question.spans for place in range(start, end)}
    found = {
        (source, place)
        for source, start, end in question.spans
        for other, low, high in taken
        if other == source
        for place in range(max(start, low), min(end, high))
    }
    return len(found) / len(wanted)


def fixed(document: Document, size: int) -> list[Chunk]:
    """Slices of equal length, wherever they fall: what cutting by sense is worth."""
    text = document.text
    return [
        Chunk(document.source, start, min(start + size, len(text)), text[start : start + size])
        for start in range(0, len(text), size)
    ]


def read_sets(data: Path, most: int) -> Iterator[Set]:
    """The sets that are there; questions evenly spread where there are more than `most`."""
    spans = [json.loads(line) for line in (data / "chunking" / "questions.jsonl").open(encoding="utf-8")]
    for path in sorted((data / "chunking" / "corpora").iterdir()):
        text = path.read_text("utf-8")
        questions = [
            Question(
                row["question"], [(path.stem, span["start_index"], span["end_index"]) for span in row["references"]]
            )
            for row in spans
            if row["corpus_id"] == path.stem
        ]
        yield Set(path.stem[:12], [Document(path.stem, text)], spread(questions, most))
    yield articles(data / "retrieval" / "covidqa_en", most)
    for name in ("xquad_en", "xquad_ru"):
        yield joined(data / "retrieval" / name, most)


def articles(folder: Path, most: int) -> Set:
    """Long articles; a question's span is its answer, widened to the sentences that hold it."""
    texts = {row["_id"]: row["text"] for row in rows(folder / "corpus.jsonl")}
    sources = judged(folder)
    borders = {source: sentences(text) for source, text in texts.items()}
    questions = []
    for row in rows(folder / "queries.jsonl"):
        source, start = sources[row["_id"]], row["metadata"]["answer_start"]
        end = start + len(row["metadata"]["answer"].rstrip())
        touched = [(source, low, high) for low, high in borders[source] if low < end and start < high]
        if touched:
            questions.append(Question(row["text"], touched))
    return Set(folder.name, [Document(source, text) for source, text in texts.items()], spread(questions, most))


def joined(folder: Path, most: int) -> Set:
    """Paragraphs put together, in their order, to one long text; a question's span is its answer's sentence."""
    texts: list[str] = []
    places: dict[str, int] = {}
    length = 0
    for row in rows(folder / "corpus.jsonl"):
        places[row["_id"]] = length
        texts.append(row["text"])
        length += len(row["text"]) + 2
    whole = "\n\n".join(texts)
    borders = sentences(whole)
    sources = judged(folder)
    questions = []
    for row in rows(folder / "queries.jsonl"):
        start = places[sources[row["_id"]]] + row["metadata"]["answer_start"]
        end = start + len(row["metadata"]["answer"])
        touched = [(folder.name, low, high) for low, high in borders if low < end and start < high]
        questions.append(Question(row["text"], touched))
    return Set(folder.name, [Document(folder.name, whole)], spread(questions, most))


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def judged(folder: Path) -> dict[str, str]:
    lines = (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]
    return {line.split("\t")[0]: line.split("\t")[1] for line in lines}


def spread(questions: list[Question], most: int) -> list[Question]:
    step = max(1, -(-len(questions) // most))
    return questions[::step]


def print_speed(sets: list[Set]) -> None:
    """Million characters a second of CPU, median of five; then the same text four times as long."""
    print("\ndefault chunker, million characters per CPU second: once, and the text four times over")
    for one in sets:
        text = "\n\n".join(document.text for document in one.documents)
        once, fourfold = (rate(Document("x", body)) for body in (text, "\n\n".join([text] * 4)))
        print(f"{one.name:>14} {len(text):>9} characters {once:6.1f} {fourfold:6.1f}")


def rate(document: Document) -> float:
    chunker, seconds = RecursiveChunker(), []
    for _ in range(5):
        begin = time.process_time()
        chunker(document)
        seconds.append(time.process_time() - begin)
    return len(document.text) / statistics.median(seconds) / 1e6


if __name__ == "__main__":
    main()
