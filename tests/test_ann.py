"""Codes choose candidates; the cosines are exact, and losing or damaging the codes changes no answer."""

import json
from pathlib import Path

import numpy as np
import pytest

from ragkit.store.ann import LEAST_RECALL, open_codes
from ragkit.store.catalog import Catalog
from ragkit.store.local import LocalStore
from ragkit.types import Chunk, Document, FloatMatrix

DIMENSION = 64
ROWS = 6000


def clustered(rows: int, seed: int) -> FloatMatrix:
    """Vectors around 40 centres, as texts lie around topics."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((40, DIMENSION))
    vectors = centres[random.integers(0, 40, rows)] + 0.6 * random.standard_normal((rows, DIMENSION))
    return vectors.astype(np.float32)


def fill(store: LocalStore, vectors: FloatMatrix, name: str) -> None:
    keys = [f"{name} {i}".encode() for i in range(len(vectors))]
    chunks = [Chunk(name, 2 * i, 2 * i + 1, "x") for i in range(len(vectors))]
    with store.writing() as writer:
        writer.set_model("given/1", DIMENSION)
        writer.add_vectors(keys, vectors)
        writer.replace(Document(name, "x " * len(vectors), name), chunks, keys)


def answers(store: LocalStore) -> list[list[tuple[int, float]]]:
    return [[(h.id, round(h.score, 5)) for h in store.search("", query, k=10)] for query in clustered(20, seed=5)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An index with codes, and one whose codes do not yet cover its newest vectors."""
    store = LocalStore(tmp_path / "index", approximate_from=5000)
    fill(store, clustered(ROWS, seed=2), "a")
    fill(store, clustered(300, seed=3), "b")
    store.close()
    return tmp_path / "index"


def exact(place: Path) -> list[list[tuple[int, float]]]:
    """The same searches with the codes put aside."""
    (place / "ann").rename(place.parent / "aside")
    try:
        return answers(LocalStore(place))
    finally:
        (place.parent / "aside").rename(place / "ann")


def test_codes_change_no_answer(place: Path) -> None:
    """Ids and cosines are those of exact search, also for vectors that are younger than the codes."""
    with LocalStore(place)._catalog() as catalog:
        codes = open_codes(place, catalog.vectors.segments())
    assert codes is not None
    assert len(codes.ids) == ROWS
    assert json.loads((place / "ann" / "codes.json").read_text())["recall"] >= LEAST_RECALL
    assert answers(LocalStore(place)) == exact(place)


@pytest.mark.parametrize("damage", ["flip", "truncate", "about", "missing", "weak"])
def test_codes_that_cannot_be_trusted_are_not_used(place: Path, damage: str) -> None:
    """Whatever is wrong with them, search is exact then."""
    expected = exact(place)
    codes, about = place / "ann" / "codes", place / "ann" / "codes.json"
    data = bytearray(codes.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        codes.write_bytes(data)
    elif damage == "truncate":
        codes.write_bytes(data[:-9])
    elif damage == "about":
        about.write_text("[")
    elif damage == "missing":
        codes.unlink()
    else:
        about.write_text(json.dumps({**json.loads(about.read_text()), "recall": 0.5}))
    catalog = Catalog(place)
    assert open_codes(place, catalog.vectors.segments()) is None
    catalog.close()
    assert answers(LocalStore(place)) == expected


def test_codes_follow_the_index(place: Path) -> None:
    """Made again when enough is new, deleted when the index has become small."""
    store = LocalStore(place, approximate_from=5000)
    fill(store, clustered(3000, seed=4), "c")
    catalog = Catalog(place)
    codes = open_codes(place, catalog.vectors.segments())
    catalog.close()
    assert codes is not None
    assert len(codes.ids) == ROWS + 300 + 3000
    assert answers(LocalStore(place)) == exact(place)
    with LocalStore(place, approximate_from=50_000).writing():
        pass
    assert not (place / "ann" / "codes").exists()
