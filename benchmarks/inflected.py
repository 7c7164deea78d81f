"""Russian in other word forms: does a query in inflected words find what the exact words find?

    python benchmarks/inflected.py [--data ../shared/data] [--words 2 4 6] [--mode hybrid lexical dense]

Needs pymorphy3, for this benchmark only. From each passage some words of one sentence are drawn (nouns, adjectives
and verbs, seed 7): once as they stand, once each in another form of the same word; superlatives, imperatives, bookish
and old forms and words of grammar are left out. Printed is the share of queries whose passage is among the first ten,
for both, and their ratio. With one or two words it is partly chance which of many passages with the same words that
is: there the ratio is lower, as `--words 1 2` shows.
Default settings, nothing downloaded.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pymorphy3

import ragkit
from ragkit import RAG
from ragkit.types import Document
from ragkit.words import terms

SETS = ("xquad_ru", "xquad_ru_sent", "danetqa_ru", "rulaw_ru", "phpdoc_ru")
KINDS = {"NOUN", "ADJF", "VERB", "INFN"}
RARE = {"Supr", "impr", "Arch", "Litr", "Infr", "Erro", "Dist", "V-oy", "V-ey", "V-be"}
SEED = 7
K = 10

Query = tuple[str, str, str]  # source, exact words, inflected words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1].parent / "shared" / "data")
    parser.add_argument("--words", type=int, nargs="*", default=[2, 4, 6], help="words in a query")
    parser.add_argument("--mode", nargs="*", default=["hybrid", "lexical", "dense"])
    parser.add_argument("--queries", type=int, default=300, help="of each set and length, at most")
    args = parser.parse_args()

    morph = pymorphy3.MorphAnalyzer()
    print(
        f"{'set':16}{'words':>6}{'queries':>9}"
        + "".join(f"{mode + ': exact inflected ratio':>34}" for mode in args.mode)
    )
    for name in SETS:
        with (args.data / "retrieval" / name / "corpus.jsonl").open(encoding="utf-8") as lines:
            corpus = [json.loads(line) for line in lines]
        with tempfile.TemporaryDirectory() as folder, ragkit.open(folder) as rag:
            rag.add(Document(row["_id"], row["text"]) for row in corpus)
            for length in args.words:
                queries = list(draw(corpus, length, morph))
                queries = random.Random(SEED).sample(queries, min(args.queries, len(queries)))
                cells = []
                for mode in args.mode:
                    exact = found(rag, [(source, text) for source, text, _ in queries], mode)
                    inflected = found(rag, [(source, text) for source, _, text in queries], mode)
                    cells.append(f"{exact:.3f}     {inflected:.3f} {inflected / exact:.3f}".rjust(34))
                print(f"{name:16}{length:>6}{len(queries):>9}" + "".join(cells), flush=True)


def draw(corpus: Sequence[dict[str, str]], length: int, morph: pymorphy3.MorphAnalyzer) -> Iterator[Query]:
    """One query from each passage that has a sentence with enough words that can be inflected."""
    for row in corpus:
        chance = random.Random(f"{SEED} {row['_id']}")
        sentences = re.split(r"(?<=[.!?])\s+", row["text"])
        chance.shuffle(sentences)
        for sentence in sentences:
            forms = {word: other_form(word, morph, chance) for word in re.findall(r"\b[а-яё]{4,}\b", sentence)}
            changed = sorted(word for word, form in forms.items() if form)
            if len(changed) >= length:
                chosen = chance.sample(changed, length)
                yield row["_id"], " ".join(chosen), " ".join(forms[word] for word in chosen)
                break


def other_form(word: str, morph: pymorphy3.MorphAnalyzer, chance: random.Random) -> str:
    """Another form of a noun, adjective or verb of the dictionary; nothing for other words."""
    reading = morph.parse(word)[0]
    if reading.tag.POS not in KINDS or not reading.is_known or not terms(word):
        return ""
    forms = {form.word for form in reading.lexeme if form.tag.POS in KINDS and not RARE & form.tag.grammemes} - {word}
    return chance.choice(sorted(forms)) if forms else ""


def found(rag: RAG, queries: Sequence[tuple[str, str]], mode: str) -> float:
    """The share of queries whose source is among the first ten documents."""
    hits = 0
    for source, text in queries:
        sources = dict.fromkeys(hit.chunk.source for hit in rag.search(text, 2 * K, mode=mode))
        hits += source in list(sources)[:K]
    return hits / len(queries)


if __name__ == "__main__":
    main()
