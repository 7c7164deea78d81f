"""Codes choose candidates; the cosines are exact, and losing or damaging the codes changes no answer."""

import os
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

from ragkit.store.ann import open_codes
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
        codes = open_codes(place, catalog.identity(), catalog.vectors.segments())
    assert codes is not None
    assert len(codes.ids) == ROWS
    assert answers(LocalStore(place)) == exact(place)


@pytest.mark.parametrize("damage", ["flip", "about", "truncate", "empty", "missing", "identity", "other index"])
def test_codes_that_cannot_be_trusted_are_not_used(place: Path, damage: str, tmp_path: Path) -> None:
    """Whatever is wrong with them, search is exact then; and the next writer makes them again."""
    expected = exact(place)
    codes = place / "ann" / "codes"
    data = bytearray(codes.read_bytes())
    catalog = Catalog(place)
    segments, identity = catalog.vectors.segments(), catalog.identity()
    catalog.close()
    if damage == "flip":
        data[len(data) // 2] ^= 1
        codes.write_bytes(data)
    elif damage == "about":
        data[20] ^= 1
        codes.write_bytes(data)
    elif damage == "truncate":
        codes.write_bytes(data[:-9])
    elif damage == "empty":
        codes.write_bytes(b"")
    elif damage == "missing":
        codes.unlink()
    elif damage == "other index":
        other = LocalStore(tmp_path / "other", approximate_from=5000)
        fill(other, clustered(ROWS, seed=7), "a")
        other.close()
        codes.write_bytes((tmp_path / "other" / "ann" / "codes").read_bytes())
    else:
        identity = "0" * 32
    assert open_codes(place, identity, segments) is None
    assert answers(LocalStore(place)) == expected
    with LocalStore(place, approximate_from=5000).writing() as writer:
        identity = writer._catalog.identity()
    codes_again = open_codes(place, identity, segments)
    assert codes_again is not None
    assert answers(LocalStore(place)) == expected


def test_codes_that_find_too_little_are_not_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their recall was measured when they were made, and is under their checksum."""
    monkeypatch.setattr("ragkit.store.ann.LEAST_RECALL", 1.1)
    with LocalStore(place)._catalog() as catalog:
        assert open_codes(place, catalog.identity(), catalog.vectors.segments()) is None


def test_arrays_of_any_content_only_choose_other_candidates(place: Path, tmp_path: Path) -> None:
    """Codes made by a stranger, with a right checksum: ids that exist come back, and their cosines are exact."""
    path = place / "ann" / "codes"
    data = bytearray(path.read_bytes())
    chance = np.random.default_rng(0)
    data[-50_000:-4] = chance.integers(0, 256, 49_996, dtype=np.uint8).tobytes()
    data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "little")
    shutil.copytree(place, tmp_path / "exact", ignore=shutil.ignore_patterns("ann"))
    exactly = LocalStore(tmp_path / "exact")
    path.write_bytes(data)
    scored = [{h.id: h.scores["dense"] for h in exactly.search("", q, k=30)} for q in clustered(20, seed=5)[:4]]
    for query, right in zip(clustered(20, seed=5)[:4], scored, strict=True):
        found = {h.id: h.scores["dense"] for h in LocalStore(place).search("", query, k=10)}
        assert len(found) == 10
        assert all(abs(right.get(id, score) - score) < 1e-6 for id, score in found.items())
        assert max(found.values()) <= max(right.values()) + 1e-6


def test_codes_follow_the_index(place: Path) -> None:
    """Made again when enough is new, deleted when the index has become small."""
    store = LocalStore(place, approximate_from=5000)
    fill(store, clustered(3000, seed=4), "c")
    catalog = Catalog(place)
    codes = open_codes(place, catalog.identity(), catalog.vectors.segments())
    catalog.close()
    assert codes is not None
    assert len(codes.ids) == ROWS + 300 + 3000
    assert answers(LocalStore(place)) == exact(place)
    with LocalStore(place, approximate_from=50_000).writing():
        pass
    assert not (place / "ann" / "codes").exists()


@pytest.mark.skipif(os.name != "posix", reason="links need no rights there")
def test_codes_are_not_written_through_a_link(place: Path, tmp_path: Path) -> None:
    """An index from elsewhere may hold a link where codes are about to be written: what it leads to stays as it is."""
    (tmp_path / "yours").write_text("yours", "utf-8")
    (place / "ann" / "codes").unlink()
    (place / "ann" / "codes.new").symlink_to(tmp_path / "yours")
    fill(LocalStore(place, approximate_from=5000), clustered(10, seed=4), "c")
    assert (tmp_path / "yours").read_text("utf-8") == "yours"
    assert (place / "ann" / "codes").is_file()
    assert not (place / "ann" / "codes").is_symlink()
