"""Filtered search: the same hits whether documents are listed or tested, whatever share of them fulfils a condition."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragkit.errors import ConfigError
from ragkit.filters import parse_where
from ragkit.store.catalog import Catalog
from ragkit.store.local import LocalStore
from ragkit.types import Chunk, Document, FloatMatrix, FloatVector

COUNT = 3000
DIMENSION = 16
BULK = "bulk.md"  # has so many chunks that documents are few only where they are less than one in eight


def values(i: int) -> dict[str, str | int | float]:
    made: dict[str, str | int | float] = {"half": i % 2, "third": f"{i % 3}", "hundredth": i % 100, "number": i}
    if i < 3:
        made["few"] = float(i)
        made["word"] = ("zero", "one", "two")[i]
    return made


def vectors() -> FloatMatrix:
    """Nearer to the query the higher the number is."""
    rows = np.random.default_rng(3).standard_normal((COUNT, DIMENSION)).astype(np.float32)
    rows[:, 0] += np.arange(COUNT) / 500
    return rows


QUERY: FloatVector = np.eye(1, DIMENSION, dtype=np.float32)[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStore]:
    store = LocalStore(tmp_path_factory.mktemp("selection") / "index")
    with store.writing() as writer:
        writer.set_model("given/1", DIMENSION)
        keys = [f"{i:032d}".encode() for i in range(COUNT + 1)]
        writer.add_vectors(keys, np.concatenate([vectors(), -QUERY[None, :]]))
        bulk = [Chunk(BULK, 0, 5, "ясень")] * 140_000
        writer.replace(Document(BULK, "ясень", "bulk"), bulk, [keys[COUNT]] * len(bulk))
        for i, key in enumerate(keys[:COUNT]):
            text = f"клён номер {i}" if i % 7 else f"дуб номер {i}"
            source = f"{'wood' if i % 5 else 'park'}/{i}[1].md"
            document = Document(source, text, f"{i}", metadata=values(i))
            writer.replace(document, [Chunk(source, 0, len(text), text)], [key])
    yield store
    store.close()


CASES = {
    "half=1": lambda i: i % 2 == 1,
    "half!=1": lambda i: i % 2 != 1,
    "third=2": lambda i: i % 3 == 2,
    "third!=2": lambda i: i % 3 != 2,
    "third>=1": lambda i: i % 3 >= 1,
    "hundredth=7": lambda i: i % 100 == 7,
    "hundredth<50": lambda i: i % 100 < 50,
    "number<1500": lambda i: i < 1500,
    "number>2990": lambda i: i > 2990,
    "number<=4": lambda i: i <= 4,
    "few>=1": lambda i: 1 <= i < 3,
    "few=1.0": lambda i: i == 1,
    "source=park/*": lambda i: i % 5 == 0,
    "source!=park/0[1].md": lambda i: i != 0,
    "source=wood/1[1].md": lambda i: i == 1,
    "source>wood/29": lambda i: i % 5 != 0 and f"{i}[1].md" > "29",
    "third=[12]": lambda i: i % 3 in (1, 2),
    "third!=[12]": lambda i: i % 3 == 0,
    "source!=park/*": lambda i: i % 5 != 0,
    "source!=*/1[12][[]1].md": lambda i: i not in (11, 12),
    "source!=park/5[1].md": lambda i: i != 5,
    "word!=tw*": lambda i: i != 2,
    "word=tw*": lambda i: i == 2,
    "word!=tw": lambda _: True,
    "word!=*o": lambda i: i not in (0, 2),
    "few<3": lambda i: i < 3,
}


CHAINS = [
    ["half=1", "hundredth<50"],
    ["hundredth=7", "half=1"],
    ["hundredth=7", "source!=park/*"],
    ["word!=*o", "few<3"],
]


def expected(kept: list[int]) -> list[str]:
    rows = vectors()
    stored = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    cosines = stored.astype(np.float32) @ QUERY
    best = sorted(kept, key=lambda i: -cosines[i])[:10]
    return [f"{'wood' if i % 5 else 'park'}/{i}[1].md" for i in best]


@pytest.mark.parametrize("where", [[case] for case in CASES] + CHAINS)
def test_a_filtered_search_gives_what_fulfils_its_conditions_and_is_nearest(
    store: LocalStore, where: list[str]
) -> None:
    """From one document to all but one; k of k, in the order of their cosines; and the same list of documents."""
    kept = [i for i in range(COUNT) if all(CASES[case](i) for case in where)]
    conditions = parse_where(where)
    for _ in range(2):  # the second time from what was kept of the first
        hits = store.search("", QUERY, k=10, conditions=conditions)
        assert [hit.chunk.source for hit in hits] == expected(kept)
    listed = sorted(f"{'wood' if i % 5 else 'park'}/{i}[1].md" for i in kept)
    assert [info.source for info in store.documents(conditions) if info.source != BULK] == listed


@pytest.mark.parametrize(
    ("where", "few"), [("hundredth=7", True), ("hundredth<12", True), ("half=1", False), ("half!=1", False)]
)
def test_up_to_one_document_in_eight_is_few(store: LocalStore, where: str, few: bool) -> None:
    """Those are listed, and each of their vectors is looked at; of others candidates are tested."""
    catalog = Catalog(store.path)
    with catalog.snapshot() as at:
        assert catalog.documents.selection(at, parse_where([where])).is_few == few
    catalog.close()


def test_words_find_all_that_fulfils_conditions(store: LocalStore) -> None:
    """Where the best without conditions do not fulfil them, the documents that do are listed."""
    oaks = [i for i in range(COUNT) if i % 7 == 0]
    hits = store.search("дуб", None, k=len(oaks), conditions=parse_where(["half=1"]))
    assert {hit.chunk.source for hit in hits} == {f"{'wood' if i % 5 else 'park'}/{i}[1].md" for i in oaks if i % 2}
    assert store.search("дуб", None, k=3, conditions=parse_where(["hundredth=7", "number>=2999"])) == []


def test_a_filter_that_contradicts_the_query_is_exact(store: LocalStore) -> None:
    """The nearest 1500 do not fulfil it: its documents are listed in the end, and all of them are looked at."""
    hits = store.search("", QUERY, k=10, conditions=parse_where(["number<1500"]))
    assert [hit.chunk.source for hit in hits] == expected(list(range(1500)))


def test_what_was_listed_is_forgotten_with_the_next_change(tmp_path: Path) -> None:
    """A touched file has another time, in the same generation."""
    from ragkit.reports import FileStamp

    store = LocalStore(tmp_path / "index")
    with store.writing() as writer:
        for name in ("a", "b"):
            writer.replace(Document(name, name, "s"), [], [], stamp=FileStamp(mtime_ns=10**18))
    conditions = parse_where(["modified>=2002-01-01"])
    catalog = Catalog(tmp_path / "index")
    with catalog.snapshot() as at:
        assert len(catalog.documents.selection(at, conditions).documents()) == 0
    with store.writing() as writer:
        writer.touch("a", FileStamp(mtime_ns=2 * 10**18))
    with catalog.snapshot() as again:
        assert again == at
        assert len(catalog.documents.selection(at, conditions).documents()) == 1
    catalog.close()
    store.close()


def test_a_key_that_no_document_has_is_named(store: LocalStore) -> None:
    with pytest.raises(ConfigError, match="no document has the key 'colour'"):
        store.search("", QUERY, k=1, conditions=parse_where(["colour=red"]))


@pytest.mark.parametrize("condition", ["number>abc", "number<=abc", "number=1*", "number!=1*", "number=abc"])
def test_numbers_are_not_compared_with_a_word(store: LocalStore, condition: str) -> None:
    """Nothing could fulfil it, or nothing be left out by it, whatever the documents hold: it is a mistake."""
    with pytest.raises(ConfigError, match=r"'number' holds numbers only, and '(abc|1\*)' is none") as error:
        store.search("", QUERY, k=1, conditions=parse_where([condition]))
    assert "number>=" in error.value.hint


def test_words_are_compared_with_a_word(tmp_path: Path) -> None:
    """Where a key holds both, those that are words; a number is before every word and never its equal."""
    store = LocalStore(tmp_path / "index")
    with store.writing() as writer:
        for name, value in (("a", 3), ("b", "draft"), ("c", "final")):
            writer.replace(Document(name, name, "s", metadata={"version": value}), [], [])
    for condition, found in (("version>draft", "c"), ("version<=draft", "b"), ("version!=d*", "ac"), ("version=x", "")):
        infos = store.documents(parse_where([condition]))
        assert "".join(info.source for info in infos) == found, condition
    store.close()
