"""Retrieval quality through the library's own door: every set, every mode, default settings, nothing downloaded.

    python benchmarks/retrieval.py [--data ../shared/data] [--set xquad_ru …] [--mode hybrid lexical dense]

For each set an index is made in a temporary folder with `RAG.add`, and every question goes through `RAG.search`.
A document counts at the place of its best passage. REF is BM25 on stems and camel-case parts + 0.22 × BM25 on
character 4-grams, both over whole documents, k1 1.2 and b 0.75, as measured once outside the library.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import ragkit
from ragkit.evaluation.retrieval import evaluate
from ragkit.types import Document

Judgements = dict[str, dict[str, int]]  # query id -> document id -> grade

REF = {
    "xquad_ru": 0.954,
    "xquad_ru_sent": 0.810,
    "danetqa_ru": 0.854,
    "rulaw_ru": 0.949,
    "phpdoc_ru": 0.799,
    "xquad_en": 0.967,
    "xquad_en_sent": 0.836,
    "squad_sent_en": 0.790,
    "nq_open_en": 0.916,
    "covidqa_en": 0.905,
    "codebase_en": 0.734,
    "cranfield_en": 0.388,
    "phpdoc_en": 0.856,
}
CROSS = {  # questions of one set asked of the documents of another, which have the same ids
    ("xquad_en", "xquad_ru"): 0.55,
    ("xquad_ru", "xquad_en"): None,
    ("phpdoc_en", "phpdoc_ru"): None,
}
K = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1].parent / "shared" / "data")
    parser.add_argument("--set", nargs="*", default=list(REF), help="names of sets")
    parser.add_argument("--mode", nargs="*", default=["hybrid", "lexical", "dense"])
    parser.add_argument("--queries", type=int, default=0, help="only the first so many of each set")
    args = parser.parse_args()
    root = args.data / "retrieval"

    print(f"nDCG@{K} (recall@{K}) by mode; milliseconds of a search, median")
    print(f"{'set':22}{'REF':>7}" + "".join(f"{mode:>24}" for mode in args.mode))
    gains: dict[str, list[float]] = {mode: [] for mode in args.mode}
    for name in args.set:
        row = ask_all(root / name, root / name, args.mode, args.queries)
        for mode, (ndcg, _, _) in row.items():
            gains[mode].append(ndcg - REF[name])
        print_row(name, REF[name], row)
    print(f"{'mean gain over REF':29}" + "".join(f"{statistics.fmean(gains[mode]):>+24.4f}" for mode in args.mode))
    for (asked, answered), least in CROSS.items():
        if {asked, answered} <= set(args.set):
            print_row(
                f"{asked}→{answered[-2:]}", least, ask_all(root / asked, root / answered, args.mode, args.queries)
            )


def print_row(name: str, reference: float | None, row: Mapping[str, tuple[float, float, float]]) -> None:
    cells = "".join(f"{ndcg:>10.4f} ({recall:.3f}) {ms:4.1f}" for ndcg, recall, ms in row.values())
    print(f"{name:22}{'' if reference is None else f'{reference:.3f}':>7}{cells}", flush=True)


def ask_all(questions: Path, documents: Path, modes: Sequence[str], most: int) -> dict[str, tuple[float, float, float]]:
    """For each mode: nDCG@10, recall@10, median milliseconds."""
    corpus = list(read(documents / "corpus.jsonl"))
    known = {row["_id"] for row in corpus}
    judged = {q: grades for q, grades in judgements(questions).items() if known.issuperset(grades)}
    queries = [(row["_id"], row["text"]) for row in read(questions / "queries.jsonl") if row["_id"] in judged]
    queries = queries[: most or None]
    result = {}
    with tempfile.TemporaryDirectory() as folder, ragkit.open(folder) as rag:
        rag.add(
            Document(row["_id"], row["text"], metadata={"title": row["title"]}) for row in corpus if row["text"].strip()
        )
        for mode in modes:
            found = evaluate(partial(rag.search, mode=mode), dict(queries), judged, k=K)
            means = {measure: statistics.fmean(values) for measure, values in found.values.items()}
            ms = 1000 * statistics.median(found.seconds)
            result[mode] = (means[f"ndcg@{K}"], means[f"recall@{K}"], ms)
    return result


def read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def judgements(folder: Path) -> Judgements:
    judged: Judgements = {}
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged.setdefault(query, {})[document] = int(grade)
    return judged


if __name__ == "__main__":
    main()
