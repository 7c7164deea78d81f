"""Refusal before a model is asked: how often questions that nothing indexed answers are told from those it does.

    python benchmarks/refusal.py [--data ../shared/data] [--set xquad_ru …] [--questions 200]

Answerable are a set's own questions; unanswerable are as many of another set of the same language, put to the same
index. That they have no answer there is taken from their being about other texts, not judged one by one; questions
of the same field whose answer is missing are harder, and are not measured here. The chat model is stood in for by
one that answers whenever it is asked, so every refusal is ours. Vectors are those that the sandbox serves as
GigaChat's: hashed words near one common direction, cosines over .9. They know no meaning, so what is found about
vectors holds for this stand-in; with the real model it is not known.

Judged are: "words", the refusal of answers without a model, as it is; "z", `standing` of the nearest passage
below a threshold; "both", where words and z refuse; "either", where one does. The first table has the AUROC of what
they rest on: coverage, the cosine, z, and the margin, which is z's numerator. The second has precision and recall of
refusal, and the share of answerable questions lost, over all sets.

Found (seven sets, 1388 questions of each kind): words have precision .953 and recall .789 and lose .039. The aim is
.8, .8 and under .03, and z reaches it at none of the thresholds below. Alone, at 5, it loses .204 for a recall of
.615; with words it only trades, .963, .751 and .029 at 7, which is no plateau. So nothing rests on it. Dividing is
what costs: AUROC is .905 for the margin and .797 for z, since a question shares words with many passages of its own
field, which widens its background. Coverage alone has .966.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import ragkit
from ragkit.relevance import by_words
from ragkit.sandbox.vectors import embed
from ragkit.store.local import LocalStore
from ragkit.types import Document, FloatMatrix, FloatVector

STRANGERS = {  # set -> where its unanswerable questions are from
    "xquad_ru": "danetqa_ru",
    "danetqa_ru": "xquad_ru",
    "rulaw_ru": "danetqa_ru",
    "xquad_en": "nq_open_en",
    "nq_open_en": "xquad_en",
    "covidqa_en": "nq_open_en",
    "cranfield_en": "xquad_en",
}
THRESHOLDS = (3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8)
K = 6  # passages, as `ask` takes
DIMENSION = 1024
REFUSED, COVERAGE, COSINE, Z, MARGIN = range(5)  # columns of what is measured for a question


class Hashed:
    """The sandbox's vectors, without the wire."""

    model = "sandbox/Embeddings"

    def embed_documents(self, texts: Sequence[str]) -> FloatMatrix:
        return np.array([embed(text, DIMENSION) for text in texts], np.float32).reshape(-1, DIMENSION)

    def embed_query(self, text: str) -> FloatVector:
        return embed(text, DIMENSION).astype(np.float32)


SAMPLE = 512  # vectors of the index, by `Store.vectors`, that make a background
LEAST = 64  # of n numbers none lies over √(n - 1) deviations from their mean: a small index makes every hit look dull
FLAT = 1e-6  # a spread below it is rounding: float32 knows seven figures


def standing(best: float, background: np.ndarray) -> float:
    """By how many standard deviations the best cosine lies above those of passages that were not chosen.

    A cosine alone says nothing: texts that share nothing have .1 with one model and over .9 with GigaChat's. What
    they have is read off the index, for this very query. Infinity where the background has fewer than `LEAST`.
    """
    if len(background) < LEAST:
        return math.inf
    wide = background.astype(np.float64)
    return float((best - wide.mean()) / max(float(wide.std()), FLAT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1].parent / "shared" / "data")
    parser.add_argument("--set", nargs="*", default=list(STRANGERS), help="names of sets")
    parser.add_argument("--questions", type=int, default=200, help="at most so many of each kind")
    args = parser.parse_args()
    root = args.data / "retrieval"

    print(f"{'AUROC':14}{'each':>6}" + "".join(f"{name:>10}" for name in ("coverage", "cosine", "z", "margin")))
    every_own, every_away = [], []
    for name in args.set:
        questions, others = read(root / name, "queries"), read(root / STRANGERS[name], "queries")
        n = min(args.questions, len(questions), len(others))
        own, away = measured(root / name, evenly(questions, n), evenly(others, n))
        every_own.append(own)
        every_away.append(away)
        print_auroc(name, own, away)
    own, away = np.concatenate(every_own), np.concatenate(every_away)
    print_auroc("all", own, away)

    print(f"\n{'refused by':14}{'z below':>8}{'precision':>11}{'recall':>8}{'lost':>7}")
    print_refusal("words", "", own[:, REFUSED] > 0, away[:, REFUSED] > 0)
    for threshold in THRESHOLDS:
        (own_words, own_z), (away_words, away_z) = (
            (rows[:, REFUSED] > 0, rows[:, Z] < threshold) for rows in (own, away)
        )
        print_refusal("z", f"{threshold:g}", own_z, away_z)
        print_refusal("both", f"{threshold:g}", own_words & own_z, away_words & away_z)
        print_refusal("either", f"{threshold:g}", own_words | own_z, away_words | away_z)


def measured(folder: Path, own: Sequence[str], away: Sequence[str]) -> tuple[FloatMatrix, FloatMatrix]:
    """A row for each question, (n, 5), of those that belong to the documents of a folder and of those that do not."""
    with tempfile.TemporaryDirectory() as index, ragkit.open(index, embedder=Hashed()) as rag:
        rag.add(
            Document(row["_id"], row["text"], metadata={"title": row["title"]})
            for row in read(folder, "corpus")
            if row["text"].strip()
        )
        store = LocalStore(Path(index))
        sample = store.vectors(SAMPLE)[1]  # (≤ SAMPLE, d), rows unit
        found = [np.array([row_of(rag, store, sample, text) for text in texts]) for texts in (own, away)]
        store.close()
    return found[0], found[1]


def row_of(rag: ragkit.RAG, store: LocalStore, sample: FloatMatrix, question: str) -> list[float]:
    answer = rag.ask(question, K)
    covered = by_words(question, answer.hits, idf=store.idf, title=lambda source: store.document(source).title)
    vector = Hashed().embed_query(question)
    background = sample @ (vector / np.linalg.norm(vector))  # (≤ SAMPLE,)
    # Not `score`: it is stretched to 0 … 1 over the hits, and that of the best is always 1.
    best = max(hit.scores["dense"] for hit in rag.search(question, K, mode="dense"))
    return [answer.status == "refused", covered, best, standing(best, background), best - float(background.mean())]


def auroc(own: FloatVector, away: FloatVector) -> float:
    """How often an answerable question has the higher number of two; .5 is chance."""
    return float((own[:, None] > away).mean() + (own[:, None] == away).mean() / 2)


def print_auroc(name: str, own: FloatMatrix, away: FloatMatrix) -> None:
    cells = "".join(f"{auroc(own[:, c], away[:, c]):>10.3f}" for c in (COVERAGE, COSINE, Z, MARGIN))
    print(f"{name:14}{len(own):>6}{cells}", flush=True)


def print_refusal(by: str, threshold: str, own: np.ndarray, away: np.ndarray) -> None:
    """`own` and `away` tell for each question whether it is refused."""
    precision = away.sum() / max(1, away.sum() + own.sum())
    print(f"{by:14}{threshold:>8}{precision:>11.3f}{away.mean():>8.3f}{own.mean():>7.3f}")


def read(folder: Path, what: str) -> list[dict[str, str]]:
    with (folder / f"{what}.jsonl").open(encoding="utf-8") as lines:
        return list(map(json.loads, lines))


def evenly(rows: Sequence[dict[str, str]], n: int) -> list[str]:
    return [rows[i * len(rows) // n]["text"] for i in range(n)]


if __name__ == "__main__":
    main()
