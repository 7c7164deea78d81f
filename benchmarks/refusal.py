"""Refusal before a model is asked: how often questions that nothing indexed answers are told from those it does.

    python benchmarks/refusal.py [--data ../shared/data] [--set xquad_ru …] [--questions 200] [--sentences FOLDER]

Answerable are a set's own questions; unanswerable are as many of another set of the same language, put to the same
index. That they have no answer there is taken from their being about other texts, not judged one by one; questions
of the same field whose answer is missing are harder, and are not measured here. No chat model takes part.

Vectors are those that the sandbox serves as GigaChat's: hashed words near one common direction, cosines over .9.
They know no meaning. With `--sentences` they are those of a sentence-transformers model in a folder. How near
GigaChat's own are is not known: no request was sent to it.

For each set: AUROC of what the words say; precision and recall of refusal, and the share of answerable questions
lost, by words alone and by `ask`, where vectors may say that a passage is near in other words. Then the same by words
with the threshold moved so far that .025 of all other sets are lost: the set itself has no part in it.

Found (seven sets, 1388 questions of each kind, hashed vectors): precision .976, recall .823, .020 lost; the aim is
.8, .8 and under .03. Before, with coverage of passages without their titles alone, it was .953, .789 and .039. It is
met over all, not by each set: four stay below a recall of .8 (nq_open_en .71, xquad_ru .75, xquad_en .76, danetqa_ru
.78), and two lose more than .03 (xquad_ru and nq_open_en .035). With the threshold chosen on six sets, the seventh
loses .028 in the mean for a recall of .859. A refusal takes some 4 ms, most of it coverage, and where words refuse
9 ms for the vectors, on a busy machine.

The scale of word scores is part of it (`relevance.full_score`): when 4-grams came to be those of sections alone, .122
were lost, until it was measured anew. What follows was tried before that.

What was tried beside (lost .025 on all sets): coverage .725; with the title .772; unknown words half as heavy again
.829; the score of the word search as a share of what it could be, alone .840, in the mean with coverage .854, where
weights of .15 to .4 are alike. Frame words, 4-grams, sentences for passages, the mean of all six hits and the chance
of so many common words changed nothing more.

Vectors: that z, by how many deviations the best cosine lies above the background, tells nothing was found before
(AUROC .797; the margin without dividing .905). What unrelated chunks of the index have is its zero, and the question
itself its one: so measured, half-way is "near".

all-MiniLM-L6-v2, over the same passages and questions, has cosines of .01 to .28 for unrelated English; with it .013
of the four English sets are lost in place of .024, for .003 of recall (hits found with hashed vectors, their cosines
then those of the model). On Russian, which it does not know (.72 to .78), and with hashed vectors (.91) nothing is
near and nothing changes. A large direction common to all vectors, which lifts cosines over .9, changes no decision.
Latent vectors of the same index (200 dimensions of
its tf-idf) are not such a model: half of the questions from elsewhere are near there, and recall falls to .57. A
second threshold, below which vectors alone refuse, lies elsewhere for each model and index (a question's cosines are
not those of chunks with each other), and nothing in the stored vectors gave it away; so there is none.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import ragkit
from ragkit.protocols import Embedder
from ragkit.relevance import by_words, least_by_words
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
K = 6  # passages, as `ask` takes
DIMENSION = 1024
LOST = 0.025  # of the other sets, for a threshold that a set has no part in
REFUSED, SAID = range(2)  # columns: whether `ask` refused; by how much the words say more than they must


class Hashed:
    """The sandbox's vectors, without the wire."""

    model = "sandbox/Embeddings"

    def embed_documents(self, texts: Sequence[str]) -> FloatMatrix:
        return np.array([embed(text, DIMENSION) for text in texts], np.float32).reshape(-1, DIMENSION)

    def embed_query(self, text: str) -> FloatVector:
        return embed(text, DIMENSION).astype(np.float32)


class Sentences:
    """A model that sentence-transformers reads from a folder."""

    def __init__(self, folder: str) -> None:
        from sentence_transformers import SentenceTransformer

        self.model = f"sentences/{Path(folder).name}"
        self._encode = SentenceTransformer(folder, device="cpu").encode

    def embed_documents(self, texts: Sequence[str]) -> FloatMatrix:
        return np.asarray(self._encode(list(texts)), np.float32)

    def embed_query(self, text: str) -> FloatVector:
        return self.embed_documents([text])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1].parent / "shared" / "data")
    parser.add_argument("--set", nargs="*", default=list(STRANGERS), help="names of sets")
    parser.add_argument("--questions", type=int, default=200, help="at most so many of each kind")
    parser.add_argument("--sentences", help="folder of a sentence-transformers model, in place of hashed words")
    args = parser.parse_args()
    root = args.data / "retrieval"
    embedder: Embedder = Sentences(args.sentences) if args.sentences else Hashed()

    print(f"{embedder.model:14}{'':>6}{'':>7}{'words alone':>24}{'with vectors, as ask':>24}")
    print(f"{'':14}{'each':>6}{'AUROC':>7}" + f"{'precision':>11}{'recall':>7}{'lost':>6}" * 2)
    every: dict[str, tuple[FloatMatrix, FloatMatrix]] = {}
    for name in args.set:
        questions, others = read(root / name, "queries"), read(root / STRANGERS[name], "queries")
        n = min(args.questions, len(questions), len(others))
        every[name] = measured(embedder, root / name, evenly(questions, n), evenly(others, n))
        print_set(name, *every[name])
    own, away = (np.concatenate(rows) for rows in zip(*every.values(), strict=True))
    print_set("all", own, away)

    if len(every) > 1:
        print(f"\n{'words, the threshold from the other sets':40}{'moved':>8}{'recall':>8}{'lost':>7}")
    for name, (own, away) in every.items():
        if rest := [rows[:, SAID] for other, (rows, _) in every.items() if other != name]:
            moved = float(np.quantile(np.concatenate(rest), LOST))
            recall, lost = (away[:, SAID] < moved).mean(), (own[:, SAID] < moved).mean()
            print(f"{name:40}{moved:>+8.3f}{recall:>8.3f}{lost:>7.3f}")


def measured(
    embedder: Embedder, folder: Path, own: Sequence[str], away: Sequence[str]
) -> tuple[FloatMatrix, FloatMatrix]:
    """A row for each question, (n, 2), of those that belong to the documents of a folder and of those that do not."""
    with tempfile.TemporaryDirectory() as index, ragkit.open(index, embedder=embedder) as rag:
        rag.add(
            Document(row["_id"], row["text"], metadata={"title": row["title"]})
            for row in read(folder, "corpus")
            if row["text"].strip()
        )
        store = LocalStore(Path(index))
        found = [np.array([row_of(rag, store, text) for text in texts]) for texts in (own, away)]
        store.close()
    return found[0], found[1]


def row_of(rag: ragkit.RAG, store: LocalStore, question: str) -> list[float]:
    answer = rag.ask(question, K)
    said = by_words(question, answer.hits, idf=store.idf, title=lambda source: store.document(source).title)
    return [answer.status == "refused", said - least_by_words(store.idf)]


def auroc(own: FloatVector, away: FloatVector) -> float:
    """How often an answerable question has the higher number of two; .5 is chance."""
    return float((own[:, None] > away).mean() + (own[:, None] == away).mean() / 2)


def print_set(name: str, own: FloatMatrix, away: FloatMatrix) -> None:
    by = (own[:, SAID] < 0, away[:, SAID] < 0), (own[:, REFUSED] > 0, away[:, REFUSED] > 0)
    cells = "".join(
        f"{right.sum() / max(1, right.sum() + wrong.sum()):>11.3f}{right.mean():>7.3f}{wrong.mean():>6.3f}"
        for wrong, right in by
    )
    print(f"{name:14}{len(own):>6}{auroc(own[:, SAID], away[:, SAID]):>7.3f}{cells}", flush=True)


def read(folder: Path, what: str) -> list[dict[str, str]]:
    with (folder / f"{what}.jsonl").open(encoding="utf-8") as lines:
        return list(map(json.loads, lines))


def evenly(rows: Sequence[dict[str, str]], n: int) -> list[str]:
    return [rows[i * len(rows) // n]["text"] for i in range(n)]


if __name__ == "__main__":
    main()
