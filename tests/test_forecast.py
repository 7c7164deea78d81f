"""What a dry run says a run will cost, against what that run is billed."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from paid import PaidEmbedder
from toys import ColourEmbedder, colour_rag

from ragkit.chunking import RecursiveChunker
from ragkit.forecast import SAMPLED, Forecast, Keys
from ragkit.loaders.isolation import ParserPool
from ragkit.rag import RAG
from ragkit.store.local import LocalStore
from ragkit.types import Document, Usage

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_docs"
DATA = ROOT.parent / "shared" / "data"
PIECES = re.compile(r"[a-z]{1,6}|[а-яё]{1,3}|\d{1,3}|[^\w\s]|\w", re.IGNORECASE)


class Metered(PaidEmbedder):
    """Bills as a byte-pair encoding does: pieces of words, shorter ones in Russian, digits by three, every sign."""

    def count_tokens(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        self.counted += texts
        return [len(PIECES.findall(text)) for text in texts], True


class Guessing(Metered):
    """Cannot count exactly."""

    def count_tokens(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        return super().count_tokens(texts)[0], False


def rag_of(index: Path, embedder: PaidEmbedder) -> RAG:
    return RAG(LocalStore(index), embedder, RecursiveChunker(), lambda: ParserPool(2), max_file_size=1 << 24)


def test_few_texts_are_all_counted(tmp_path: Path) -> None:
    """The forecast for the sample documents is the bill, and nothing is sent for it."""
    embedder = Metered(price=7.0)
    with rag_of(tmp_path / "index", embedder) as rag:
        predicted = rag.index_folder(SAMPLES, dry_run=True)
        assert embedder.requests == 0
        assert not (tmp_path / "index").exists()
        billed = rag.index_folder(SAMPLES)
        assert predicted.usage == billed.usage
        assert predicted.usage.cost == pytest.approx(predicted.usage.embedding_tokens * 7e-6)
        assert predicted.embedded == billed.embedded > 0
        assert not predicted.estimated
        assert rag.index_folder(SAMPLES, dry_run=True).usage == Usage()


def test_a_count_that_is_a_guess_is_called_one(tmp_path: Path) -> None:
    """Although every text was looked at."""
    with rag_of(tmp_path / "index", Guessing()) as rag:
        assert rag.index_folder(SAMPLES, dry_run=True).estimated


def test_only_what_is_missing_is_foretold(tmp_path: Path) -> None:
    """A text that is known, or stands in two files, costs once or nothing."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.txt").write_text("Red house")
    with colour_rag(tmp_path / "index", PaidEmbedder()) as rag:
        rag.index_folder(docs)
        for name in "bcd":
            (docs / f"{name}.txt").write_text("Red house" if name == "b" else "One green meadow")
        report = rag.index_folder(docs, dry_run=True)
        assert (report.new, report.embedded, report.usage.embedding_tokens) == (3, 1, 3)
        assert rag.status().documents == 1


def test_an_embedder_of_ones_own_costs_nothing(tmp_path: Path) -> None:
    """Zero tokens, and that is no estimate."""
    with colour_rag(tmp_path / "index", ColourEmbedder()) as rag:
        report = rag.index_folder(SAMPLES, dry_run=True)
        assert report.embedded > 0
        assert (report.usage, report.estimated) == (Usage(), False)


def test_many_texts_are_foretold_from_some_of_them() -> None:
    """Russian prose, English prose, code and tables of figures, in very unequal parts: within 5 % of the bill."""
    words = {kind: kind_of_words.split() for kind, kind_of_words in KINDS.items()}
    embedder = Metered()
    for seed, weights in enumerate([(90, 5, 4, 1), (1, 1, 1, 1), (3, 90, 2, 5), (0, 1, 0, 60)]):
        chance = random.Random(seed)
        documents = []
        for i in range(4000):
            (kind,) = chance.choices(list(words), weights)
            length = chance.choice([3, 40, 120])
            documents.append(Document(f"{i}", f"{i} " + " ".join(chance.choices(words[kind], k=length))))
        embedder.counted.clear()
        forecast = Forecast()
        texts = {f"{i}": document.text for i, document in enumerate(documents)}
        keyed = [(chance.randbytes(32), text) for text in texts.values()]
        forecast.add(keyed)
        tokens, estimated = forecast.tokens(embedder.count_tokens)
        assert estimated
        assert len(embedder.counted) == SAMPLED
        assert tokens == pytest.approx(sum(embedder.count_tokens(list(texts.values()))[0]), rel=0.05)
        again = Forecast()
        again.add(reversed(keyed))
        assert again.tokens(embedder.count_tokens) == (tokens, True)


def test_texts_that_are_very_unlike_are_foretold_too() -> None:
    """A third of them with four times the tokens for a character: nineteen of twenty forecasts within 5 %."""
    off = []
    for seed in range(40):
        chance = random.Random(seed)
        texts = [chance.choices("x-", [70, 30])[0] * chance.randint(50, 800) for _ in range(6000)]
        forecast = Forecast()
        forecast.add((chance.randbytes(32), text) for text in texts)
        tokens, _ = forecast.tokens(lambda some: ([dense(text) for text in some], True))
        off.append(abs(tokens / sum(map(dense, texts)) - 1))
    assert sorted(off)[37] < 0.05


def dense(text: str) -> int:
    return len(text) if text[0] == "-" else len(text) // 4


KINDS = {
    "russian": "договор аренды нежилого помещения заключён сроком на одиннадцать месяцев и не подлежит регистрации",
    "english": "the tenant shall return the deposit within ten working days of the end of this lease agreement",
    "code": "def f(x): return {k: v[0] for k, v in x.items()} # != None; i += 1 [...] <a href='#'>",
    "figures": "1 204,50 17.03.2024 0,0012 99 % 3×4 2 000 000 № 17/3-а (12.4) 45-67-89",
}


@pytest.mark.skipif(not (DATA / "retrieval").exists(), reason="needs the evaluation data beside the project")
def test_the_forecast_for_a_large_mixed_folder_is_within_5_percent_of_the_bill(tmp_path: Path) -> None:
    """Russian law, English articles, code and manuals in both languages, as files, through the whole run."""
    docs = tmp_path / "docs"
    for name, most in (("rulaw_ru", 150), ("codebase_en", 700), ("phpdoc_ru", 800), ("nq_open_en", 800)):
        (docs / name).mkdir(parents=True)
        with (DATA / "retrieval" / name / "corpus.jsonl").open(encoding="utf-8") as lines:
            for i, line in zip(range(most), lines, strict=False):
                (docs / name / f"{i}.txt").write_text(json.loads(line)["text"], "utf-8")
    for path in (DATA / "documents_ru").glob("*.docx"):
        shutil.copy(path, docs)
    embedder = Metered()
    with rag_of(tmp_path / "index", embedder) as rag:
        predicted = rag.index_folder(docs, dry_run=True)
        assert predicted.estimated
        assert len(embedder.counted) == SAMPLED
        billed = rag.index_folder(docs)
    assert billed.embedded == predicted.embedded > 2 * SAMPLED
    assert predicted.usage.embedding_tokens == pytest.approx(billed.usage.embedding_tokens, rel=0.05)


def test_keys_are_new_once() -> None:
    """However many came between, and in however large portions."""
    chooser, keys, seen = random.Random(1), Keys(), set[bytes]()
    for _ in range(400):
        portion = {hashlib.sha256(b"%d" % chooser.randrange(200_000)).digest() for _ in range(chooser.randrange(1500))}
        assert set(keys.new(portion)) == portion - seen
        seen |= portion
        assert len(keys) == len(seen)
    assert len(seen) > 150_000  # they were sorted more than once


def test_keys_take_little_memory() -> None:
    """Less than 50 bytes for each of 300 000, at the moment when they are sorted; a set of them takes 93."""
    tracemalloc.start()
    keys = Keys()
    for n in range(300):
        assert len(keys.new([hashlib.sha256(b"%d" % i).digest() for i in range(1000 * n, 1000 * n + 1000)])) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / 300_000 < 50
