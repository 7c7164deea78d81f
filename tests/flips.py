"""Flip one bit of an index, anywhere, and see whether it is reported: `python -m tests.flips --count 5000`.

What changes content must be found by the check of every byte; a cache that was flipped, cut off, deleted or swapped
must change no result. The judge is a dump of all that the index says, made without the code that checks.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ragkit.chunking import RecursiveChunker
from ragkit.errors import RagkitError
from ragkit.loaders.isolation import ParserPool
from ragkit.rag import RAG
from ragkit.store.catalog import Catalog
from ragkit.store.catalog.dictionary import frequent
from ragkit.store.local import LocalStore
from ragkit.store.sizes import Sizes
from ragkit.store.wordindex import catch_up
from ragkit.store.wordindex import delete as delete_word_index
from ragkit.types import Document, FloatMatrix, FloatVector, Hit

DIMENSION = 32
SIZES = Sizes(seal=400)
APPROXIMATE_FROM = 300
WORDS = (
    *("договор", "залог", "срок", "аренда", "датчик", "река", "лодка", "склад"),
    *("sensor", "warranty", "kettle", "citric", "acid", "offer", "price"),
)
QUERIES = ("договор аренды", "citric acid price")
TABLES = (
    *("meta", "root", "document", "attribute", "text", "chunk", "vector", "tail", "segment", "failure"),
    *("attribute_key", "dictionary", "dictionary_copy"),
)
LOOKUPS = (  # by way of the indexes, which are bytes as well
    "SELECT id FROM document INDEXED BY document_alive WHERE source = ?1 AND removed IS NULL",
    "SELECT id FROM document INDEXED BY document_added WHERE added >= 0 AND ?1 != ''",
    "SELECT id FROM document INDEXED BY document_removed WHERE removed IS NOT NULL AND ?1 != ''",
    "SELECT id FROM chunk INDEXED BY chunk_document WHERE document >= 0 AND ?1 != ''",
    "SELECT id FROM chunk INDEXED BY chunk_vector WHERE vector >= 0 AND ?1 != ''",
)


class WordEmbedder:
    """A vector is the sum of a random one for each word: enough to tell texts apart, and always the same."""

    model = "words/1"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed_documents(self, texts: Sequence[str]) -> FloatMatrix:
        self.texts += texts
        return np.stack([self._vector(text) for text in ("", *texts)])[1:]

    def embed_query(self, text: str) -> FloatVector:
        return self._vector(text)

    def _vector(self, text: str) -> FloatVector:
        vector = np.full(DIMENSION, 0.01, np.float32)
        for word in text.split():
            vector += np.random.default_rng(list(word.encode())).standard_normal(DIMENSION).astype(np.float32)
        return vector


def open_rag(index: Path, embedder: WordEmbedder | None = None) -> RAG:
    return RAG(
        LocalStore(index, approximate_from=APPROXIMATE_FROM, sizes=SIZES),
        embedder or WordEmbedder(),
        RecursiveChunker(size=120, overlap=0),
        lambda: ParserPool(1),
        max_file_size=1 << 20,
        recipe="120",
    )


def text_of(number: int, length: int) -> str:
    chance = random.Random(number)
    lines = [f"# Раздел {number}", ""]
    lines += [" ".join(chance.choices(WORDS, k=12)) + f" {number}-{i}." for i in range(length)]
    return "\n\n".join(lines)


def build(folder: Path) -> Path:
    """An index of everything: files of two folders, failures, a removed version, tail, segments of two sizes, codes."""
    index = folder / "index"
    for name, first in (("letters", 0), ("reports", 100)):
        (folder / name).mkdir()
        for number in range(first, first + 5):
            (folder / name / f"{number}.md").write_text(text_of(number, 6), "utf-8")
        (folder / name / "empty.txt").write_text("", "utf-8")
    with open_rag(index) as rag:
        rag.add(Document(f"large/{i}", text_of(1000 + i, 30), metadata={"n": i, "kind": "large"}) for i in range(8))
        rag.add(Document(f"middle/{i}", text_of(2000 + i, 30), metadata={"n": i / 7}) for i in range(8))
        rag.add([Document("gone", text_of(3000, 5)), Document("long", text_of(4000, 400))])
        with closing(Catalog(index, write=True)) as catalog:  # as where there are more texts
            catalog.begin()
            catalog.documents.dictionaries.put(frequent([text_of(i, 6).encode("cp1251") for i in range(50)]))
            catalog.commit()
        rag.index_folder(folder / "letters")
        rag.index_folder(folder / "reports")
    with closing(Catalog(index, write=True)) as catalog:  # a version that is gone, and not deleted yet
        catalog.begin()
        catalog.documents.retire("gone", catalog.generation() + 1)
        catalog.next_generation()
        catalog.commit()
        delete_word_index(index)  # made anew: word statistics count what went until tantivy merges it away
        catch_up(catalog)
        catalog.checkpoint()
    return index


def dump(index: Path) -> object:
    """All that the index says: every row of every table, what its lookups find, every id and number of its segments.

    The error where it cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{(index / 'catalog.sqlite').as_uri()}?mode=ro", uri=True)) as db:
            said = [db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()]
            said += [db.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall() for table in TABLES]
            said += [db.execute("PRAGMA application_id").fetchall(), db.execute("PRAGMA user_version").fetchall()]
            for lookup in LOOKUPS:
                said += [db.execute(lookup, (f"large/{i}",)).fetchall() for i in range(2)]
            said += [db.execute("SELECT id FROM vector WHERE key >= x''").fetchall()]
            said += [db.execute("SELECT id FROM attribute_key WHERE name >= ''").fetchall()]
            said += [db.execute("SELECT path, prefix FROM root WHERE path >= '' AND prefix >= ''").fetchall()]
            said += [db.execute("SELECT name FROM segment WHERE name >= ''").fetchall()]
            said += [db.execute("SELECT source FROM failure WHERE source >= ''").fetchall()]
        files = [(path.name, path.read_bytes()) for path in sorted((index / "vectors").iterdir())]
    except (sqlite3.Error, UnicodeDecodeError, OSError, OverflowError) as error:
        return repr(error)
    return said, files


def reported(index: Path) -> bool:
    """Whether the check of every byte says that something is wrong, or opening does."""
    try:
        with closing(LocalStore(index)) as store:
            return not all(finding.ok for finding in store.check())
    except RagkitError:
        return True


def answers(index: Path) -> list[list[tuple[int, float]]]:
    """What is found, by words, by vectors, by both."""

    def seen(hits: list[Hit]) -> list[tuple[int, float]]:
        return [(hit.id, round(hit.score, 4)) for hit in hits]  # sums of floats depend on what is summed together

    with open_rag(index) as rag:
        return [seen(rag.search(query, 8, mode=mode)) for query in QUERIES for mode in ("lexical", "dense", "hybrid")]


@dataclass
class Tally:
    """What the flips did, by the kind of file."""

    flips: Counter[str] = field(default_factory=Counter)
    changing: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    searches: int = 0
    other_answers: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.missed and not self.other_answers

    def lines(self) -> Iterator[str]:
        yield f"{'file':<12} {'flips':>6} {'change content':>15} {'reported':>9}"
        for kind, count in sorted(self.flips.items()):
            yield f"{kind:<12} {count:>6} {self.changing[kind]:>15} {self.found[kind]:>9}"
        yield f"content changed and not reported: {len(self.missed)}"
        yield f"searches after damage to a cache: {self.searches}, with another result: {len(self.other_answers)}"
        yield from self.missed + self.other_answers


def kind_of(path: Path, index: Path) -> str:
    inside = path.relative_to(index).parts
    return inside[0] if len(inside) > 1 else path.name


def flip(index: Path, count: int, seed: int = 0) -> Tally:
    """`count` single bits, one after another: half in the catalog, a quarter each in segments and in the caches."""
    chance = random.Random(seed)
    tally = Tally()
    right, sound = answers(index), dump(index)
    files = [path for path in sorted(index.rglob("*")) if path.is_file() and path.stat().st_size]
    files = [path for path in files if path.suffix not in (".lock", ".sqlite-shm") and "-shm" not in path.name]
    parts = [[path for path in files if kind_of(path, index) in kinds] for kinds in (["catalog.sqlite"], ["vectors"])]
    words, codes = ([path for path in files if kind_of(path, index) == kind] for kind in ("lexical", "ann"))
    parts = [parts[0], parts[0], parts[1], words + codes * (len(words) // 3)]
    for number in range(count):
        path = chance.choice(parts[number % 4])
        kind = kind_of(path, index)
        place, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
        name = f"bit {bit} of byte {place} of {path.relative_to(index)}"
        tally.flips[kind] += 1
        if kind in ("lexical", "ann"):
            _flip_cache(index, path, place, bit, right, tally, name)
            continue
        before = path.read_bytes()
        _flip(path, place, bit)
        changes, found = dump(index) != sound, reported(index)
        path.write_bytes(before)
        for extra in index.glob("catalog.sqlite-*"):
            extra.unlink()
        tally.changing[kind] += changes
        tally.found[kind] += found
        if changes and not found:
            tally.missed.append(name)
    return tally


def _flip(path: Path, place: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


def _flip_cache(index: Path, path: Path, place: int, bit: int, right: object, tally: Tally, name: str) -> None:
    """A cache is damaged in a copy, and searched in: it may be made again there."""
    copy = Path(shutil.copytree(index, index.parent / "copy", copy_function=shutil.copy2))
    try:
        _flip(copy / path.relative_to(index), place, bit)
        kind = kind_of(path, index)
        tally.changing[kind] += 1  # every byte of it is under a checksum
        found = reported(copy)
        tally.found[kind] += found
        if not found:
            tally.missed.append(name)
        tally.searches += 1
        if answers(copy) != right:
            tally.other_answers.append(name)
    finally:
        shutil.rmtree(copy)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = flip(build(Path(folder)), given.count, given.seed)
    said = [f"{given.count} flips with seed {given.seed} in {time.monotonic() - began:.0f} s", *tally.lines()]
    sys.stdout.write("\n".join(said) + "\n")
    return 0 if tally.sound else 1


if __name__ == "__main__":
    sys.exit(main())
