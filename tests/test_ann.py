"""Codes choose candidates; the cosines are exact, and losing or damaging the codes changes no answer."""

import os
import shutil
import struct
import tracemalloc
import zlib
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragkit.store.catalog import Catalog
from ragkit.store.clustering import centroids
from ragkit.store.codes import (
    About,
    Codes,
    Lists,
    by_list,
    map_part,
    open_codes,
    read_about,
    write_about,
    write_part,
)
from ragkit.store.coding import Stopped, update_codes
from ragkit.store.local import LocalStore
from ragkit.store.segments import VectorBlock, map_segment, stored_rows, unit_rows, write_segment
from ragkit.store.sizes import LEAST_RECALL, Sizes
from ragkit.store.vectors import VectorSet
from ragkit.types import Chunk, Document, FloatMatrix, FloatVector

DIMENSION = 64
ROWS = 6000


def clustered(rows: int, seed: int) -> FloatMatrix:
    """Vectors around 40 centres, as texts lie around topics."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((40, DIMENSION))
    vectors = centres[random.integers(0, 40, rows)] + 0.6 * random.standard_normal((rows, DIMENSION))
    return vectors.astype(np.float32)


def fill(store: LocalStore, vectors: FloatMatrix, name: str, version: int = 1) -> None:
    keys = [f"{name} {version} {i}".encode() for i in range(len(vectors))]
    chunks = [Chunk(name, 2 * i, 2 * i + 1, "x") for i in range(len(vectors))]
    with store.writing() as writer:
        writer.set_model("given/1", DIMENSION)
        writer.add_vectors(keys, vectors)
        writer.replace(Document(name, "x " * len(vectors), name), chunks, keys)


def answers(store: LocalStore) -> dict[tuple[int, int, int], float]:
    """The cosine by query, rank and id."""
    found = [store.search("", query, k=10) for query in clustered(20, seed=5)]
    return {(n, rank, hit.id): hit.scores["dense"] for n, hits in enumerate(found) for rank, hit in enumerate(hits)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with codes, and one whose codes do not yet cover its newest vectors."""
    index = tmp_path_factory.mktemp("codes") / "index"
    store = LocalStore(index, approximate_from=5000)
    fill(store, clustered(ROWS, seed=2), "a")
    fill(store, clustered(300, seed=3), "b")
    store.close()
    return index


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "index"))


def exact(place: Path) -> Any:
    """The same searches with the codes put aside: numpy and faiss may differ in the last bit of a cosine."""
    (place / "ann").rename(place.parent / "aside")
    try:
        return pytest.approx(answers(LocalStore(place)), abs=1e-6)
    finally:
        (place.parent / "aside").rename(place / "ann")


def opened(place: Path, identity: str = "") -> Codes | None:
    with closing(Catalog(place)) as catalog:
        return open_codes(place, identity or catalog.identity(), catalog.vectors.segments(), LEAST_RECALL)


def read_about_of(place: Path) -> About:
    with closing(Catalog(place)) as catalog:
        return read_about(place, catalog.identity())[0]


def near_codes(codes: Codes, query: FloatVector) -> int:
    """How many lie in the lists that a search looks at."""
    nearness = codes.lists.nearness(query[None, :])[0]
    near = nearness >= nearness.max() - codes.about.margin
    return sum(int(np.diff(part.starts)[near].sum()) for part in codes.parts)


def coded(codes: Codes | None) -> int:
    """How many rows they hold."""
    assert codes is not None
    return len(codes)


def test_codes_change_no_answer(place: Path) -> None:
    """Ids and cosines are those of exact search, also for vectors that are younger than the codes."""
    assert coded(opened(place)) == ROWS
    assert answers(LocalStore(place)) == exact(place)


@pytest.mark.parametrize(
    "damage",
    ["flip", "about", "truncate", "empty", "missing", "identity", "other index", "part", "part short", "no part"],
)
def test_codes_that_cannot_be_trusted_are_not_used(place: Path, damage: str, tmp_path: Path) -> None:
    """Whatever is wrong with them, search is exact then; and the next writer makes them again."""
    expected = exact(place)
    codes = place / "ann" / "codes"
    [part] = (place / "ann").glob("part-*")
    data, body = bytearray(codes.read_bytes()), bytearray(part.read_bytes())
    identity = ""
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
    elif damage == "part":
        body[-1] ^= 1
        part.write_bytes(body)
    elif damage == "part short":
        part.write_bytes(body[:-1])
    elif damage == "no part":
        part.unlink()
    else:
        identity = "0" * 32
    assert opened(place, identity) is None
    if damage not in ("missing", "identity"):
        assert [finding.subject for finding in LocalStore(place).check() if not finding.ok] == ["codes"]
    assert answers(LocalStore(place)) == expected
    with LocalStore(place, approximate_from=5000).writing():
        pass
    assert coded(opened(place)) >= ROWS
    assert answers(LocalStore(place)) == expected


def test_codes_that_find_too_little_are_not_used(tmp_path: Path) -> None:
    """Where all that differs is below a bit, codes do not find the nearest: that is measured, and search is exact."""
    store = LocalStore(tmp_path / "index", approximate_from=5000)
    chance = np.random.default_rng(0).standard_normal((60_000, 8)).astype(np.float32)
    spread = np.repeat(chance, 8, axis=1) + 1e-3 * np.random.default_rng(1).standard_normal((60_000, DIMENSION))
    fill(store, spread.astype(np.float32), "a")
    status = store.status()
    assert status.recall is not None
    assert status.recall < LEAST_RECALL
    assert not status.coded
    assert opened(tmp_path / "index") is None
    assert answers(store) == exact(tmp_path / "index")


def test_what_was_measured_holds_for_questions_that_are_far_from_all(tmp_path: Path) -> None:
    """More candidates are compared where vectors are so alike that few find the nearest of what is half chance."""
    chance = np.random.default_rng(3)
    centres = 0.7 * chance.standard_normal((100, 256))
    rows = stored_rows((centres[chance.integers(0, 100, 12_000)] + chance.standard_normal((12_000, 256))).astype("f4"))
    block = VectorBlock(np.arange(1, 12_001), rows)
    (tmp_path / "vectors").mkdir()
    info = write_segment(tmp_path / "vectors", [block])
    update_codes(tmp_path, "a" * 32, [info], are_wanted=True, least_recall=LEAST_RECALL)
    codes = open_codes(tmp_path, "a" * 32, [info], LEAST_RECALL)
    assert codes is not None
    found, truly = VectorSet([], codes, [block]), VectorSet([block])
    queries = unit_rows((rows[:100] + 0.1 * chance.standard_normal((100, 256))).astype(np.float32))
    shares = [
        len({id for id, _ in found.top(query, 10)} & {id for id, _ in truly.top(query, 10)}) / 10 for query in queries
    ]
    assert sum(shares) / 100 > codes.about.recall - 0.01


def test_what_all_vectors_share_makes_no_question_far(tmp_path: Path) -> None:
    """Those of a service have cosines of .9 with one another, questions too: few lists are enough for them."""
    chance = np.random.default_rng(5)
    centres = chance.standard_normal((200, 256))
    rows = centres[chance.integers(0, 200, 20_000)] + 0.8 * chance.standard_normal((20_000, 256))
    rows += 5 * np.linalg.norm(rows, axis=1).mean() * np.eye(256)[0]
    (tmp_path / "vectors").mkdir()
    info = write_segment(tmp_path / "vectors", [VectorBlock(np.arange(1, 20_001), stored_rows(rows.astype("f4")))])
    update_codes(tmp_path, "a" * 32, [info], are_wanted=True, least_recall=LEAST_RECALL)
    codes = open_codes(tmp_path, "a" * 32, [info], LEAST_RECALL)
    assert codes is not None
    queries = unit_rows((rows[:50] + 0.2 * chance.standard_normal((50, 256))).astype(np.float32))
    assert np.median([near_codes(codes, query) for query in queries]) < 2000


def test_at_a_recall_of_one_every_search_is_exact(place: Path) -> None:
    """No codes are used that are there, and the next writer deletes them."""
    expected = exact(place)
    store = LocalStore(place, approximate_from=5000, least_recall=1)
    assert answers(store) == expected
    fill(store, clustered(10, seed=4), "c")
    assert not (place / "ann").exists()
    assert store.status().recall is None


def test_arrays_of_any_content_only_choose_other_candidates(place: Path, tmp_path: Path) -> None:
    """Codes made by a stranger, with right checksums: ids that exist come back, and their cosines are exact."""
    shutil.copytree(place, tmp_path / "exact", ignore=shutil.ignore_patterns("ann"))
    exactly = LocalStore(tmp_path / "exact")
    [path] = (place / "ann").glob("part-*")
    body = bytearray(path.read_bytes())
    chance = np.random.default_rng(0)
    body[-50_000:] = chance.integers(0, 256, 50_000, dtype=np.uint8).tobytes()
    with closing(Catalog(place)) as catalog:
        about, centre, centroids = read_about(place, catalog.identity())
    ids_at = 8 * (about.lists + 1)
    body[ids_at : ids_at + 16] = np.array([1 << 60, -5], "<i8").tobytes()  # ids of no vector
    path.write_bytes(body)
    trusted = replace(about, parts=(replace(about.parts[0], crc=zlib.crc32(body)),))
    write_about(place, trusted, centre, centroids)
    assert opened(place) is not None
    scored = [{h.id: h.scores["dense"] for h in exactly.search("", q, k=30)} for q in clustered(20, seed=5)[:4]]
    for query, right in zip(clustered(20, seed=5)[:4], scored, strict=True):
        found = {h.id: h.scores["dense"] for h in LocalStore(place).search("", query, k=10)}
        assert len(found) == 10
        assert all(abs(right.get(id, score) - score) < 1e-6 for id, score in found.items())
        assert max(found.values()) <= max(right.values()) + 1e-6


@pytest.mark.parametrize("measured", [1, 12, 123, 1234, 12345])
def test_centres_can_be_multiplied_where_they_lie(place: Path, measured: int) -> None:
    """However long what the codes say of themselves is: numpy takes ten times as long for numbers out of line."""
    with closing(Catalog(place)) as catalog:
        identity = catalog.identity()
    about, centre, centroids = read_about(place, identity)
    write_about(place, replace(about, measured=measured), centre, centroids)
    file = place / "ann" / "codes"
    for text in (file.read_bytes(), shifted(file.read_bytes())):
        file.write_bytes(text)
        found, one, many = read_about(place, identity)
        assert found.measured == measured
        assert one.flags.aligned
        assert many.flags.aligned


def shifted(data: bytes) -> bytes:
    """The same with a space more before the centres."""
    (length,) = struct.unpack("<I", data[8:12])
    text = data[12 : 12 + length]
    changed = data[:8] + struct.pack("<I", length + 1) + text + b" " + data[12 + length : -4]
    return changed + struct.pack("<I", zlib.crc32(changed))


@pytest.mark.parametrize(("at", "start"), [(0, 1), (-1, ROWS + 1), (-1, -1), (1, ROWS + 1), (-2, -1)])
def test_lists_that_lie_outside_of_a_part_are_refused(place: Path, at: int, start: int) -> None:
    """faiss would read there whatever is."""
    [path] = (place / "ann").glob("part-*")
    with closing(Catalog(place)) as catalog:
        about, centre, centroids = read_about(place, catalog.identity())
    body = bytearray(path.read_bytes())
    np.frombuffer(body, "<i8", about.lists + 1)[at] = start
    path.write_bytes(body)
    write_about(place, replace(about, parts=(replace(about.parts[0], crc=zlib.crc32(body)),)), centre, centroids)
    assert opened(place) is None


def test_codes_follow_the_index(place: Path) -> None:
    """What is new is added, what is there is kept as it is, and all are deleted when the index has become small."""
    before = read_about_of(place)
    store = LocalStore(place, approximate_from=5000, sizes=Sizes(seal=200))
    fill(store, clustered(4200, seed=4), "c")
    after = read_about_of(place)
    assert before.segments < after.segments
    assert coded(opened(place)) == ROWS + 300 + 4200
    assert answers(LocalStore(place)) == exact(place)
    with LocalStore(place, approximate_from=50_000).writing():
        pass
    assert not (place / "ann").exists()


def test_vectors_that_wait_in_the_tail_count(tmp_path: Path) -> None:
    """Codes of those that are sealed are worth it once there are many vectors, wherever they lie."""
    sizes = Sizes(seal=1000)
    store = LocalStore(tmp_path / "index", approximate_from=1800, sizes=sizes)
    fill(store, clustered(1000, seed=1), "a")
    assert opened(tmp_path / "index") is None
    fill(store, clustered(900, seed=2), "b")
    assert coded(opened(tmp_path / "index")) == 1000
    assert answers(store) == exact(tmp_path / "index")


def test_codes_of_rows_that_went_go_with_them(place: Path) -> None:
    """A compaction replaces segments: codes of rows that stay are those of the new segment, others are none."""
    store = LocalStore(place, approximate_from=1000, sizes=Sizes(kept_unused=10))
    fill(store, clustered(2000, seed=8), "a", version=2)
    assert coded(opened(place)) < ROWS
    assert answers(LocalStore(place)) == exact(place)


def test_making_codes_that_is_broken_off_leaves_those_before(place: Path) -> None:
    """What was there is there still, also where all are made again; the next writer deletes what was left over."""
    with closing(Catalog(place)) as catalog:
        segments, identity = catalog.vectors.segments(), catalog.identity()
    (place / "ann" / "codes").rename(place / "aside")
    with pytest.raises(Stopped):
        update_codes(place, identity, segments, are_wanted=True, least_recall=LEAST_RECALL, go_on=lambda: False)
    (place / "aside").rename(place / "ann" / "codes")
    assert coded(opened(place)) == ROWS
    fill(LocalStore(place, approximate_from=5000, sizes=Sizes(seal=200)), clustered(4200, seed=4), "c")
    named = {part.name for part in read_about_of(place).parts}
    assert {path.name for path in (place / "ann").glob("part-*")} == named


def test_codes_outlive_the_merging_of_segments(tmp_path: Path) -> None:
    """A merged segment has the rows of others, and their codes: none is made again."""
    sizes = Sizes(seal=500, most_small=4, small=2000)
    store = LocalStore(tmp_path / "index", approximate_from=4000, sizes=sizes)
    for i in range(4):
        fill(store, clustered(1000, seed=i), f"{i}")
    before = read_about_of(tmp_path / "index")
    assert len(before.segments) == 4
    fill(store, clustered(500, seed=9), "more")  # a fifth small one
    after = read_about_of(tmp_path / "index")
    with closing(Catalog(tmp_path / "index")) as catalog:
        here = {(info.name, info.crc) for info in catalog.vectors.segments()}
    assert not before.segments & here
    assert after.segments <= here
    assert after.parts == before.parts
    assert coded(opened(tmp_path / "index")) == 4000
    assert answers(store) == exact(tmp_path / "index")


def test_a_long_run_finds_its_codes_made(tmp_path: Path) -> None:
    """They are made beside it from what is sealed, and kept where the run is broken off."""
    for interrupted in (False, True):
        path = tmp_path / f"index {interrupted}"
        store = LocalStore(path, approximate_from=1000, sizes=Sizes(beside=1000))
        with suppress(KeyboardInterrupt), store.writing() as writer:
            writer.set_model("given/1", DIMENSION)
            for i in range(6):
                writer.add_vectors([f"{i} {j}".encode() for j in range(2048)], clustered(2048, seed=i))
                writer.commit()
            assert writer._background is not None
            if interrupted:
                raise KeyboardInterrupt
        assert coded(opened(path)) > 6 * 2048 - 4096  # the last few are searched exactly
        assert answers(LocalStore(path)) == exact(path)


def test_many_rows_are_in_lists_and_few_lists_are_searched(tmp_path: Path) -> None:
    """Near vectors share a list; with filters of any width the answers are those of exact search."""
    rows = 70_000
    store = LocalStore(tmp_path / "index")
    chance = np.random.default_rng(2)
    centres = chance.standard_normal((300, 256)).astype(np.float32)
    vectors = centres[chance.integers(0, 300, rows)] + 0.4 * chance.standard_normal((rows, 256), dtype=np.float32)
    with store.writing() as writer:
        writer.set_model("given/1", 256)
        writer.add_vectors([f"{i}".encode() for i in range(rows)], vectors)
    with closing(Catalog(tmp_path / "index")) as catalog:
        segments = catalog.vectors.segments()
        codes = open_codes(tmp_path / "index", catalog.identity(), segments, LEAST_RECALL)
    assert codes is not None
    assert codes.about.lists > 60
    [part] = codes.about.parts  # they are made some at a time, and put together
    assert [path.name for path in (tmp_path / "index" / "ann").glob("part-*")] == [part.name]
    assert part.rows == rows
    assert all(near_codes(codes, query) < rows / 4 for query in unit_rows(centres[:10] + 0.1))
    assert store.status().recall == codes.about.recall >= LEAST_RECALL
    blocks = [map_segment(tmp_path / "index" / "vectors", info) for info in segments]
    found, truly = VectorSet([], codes, blocks), VectorSet(blocks)
    for seed, query in enumerate(unit_rows(centres[:10] + 0.1)):
        for share in (None, 0.9, 0.5, 0.01, 0.0001):
            chance = np.random.default_rng(seed)
            within = None if share is None else np.sort(chance.choice(rows, int(share * rows), replace=False)) + 1
            for _ in range(3):  # its rows are kept from the second time on
                assert [id for id, _ in found.top(query, 10, within)] == [id for id, _ in truly.top(query, 10, within)]
    ids = blocks[0].ids[:0]
    assert found.top(query, 10, ids) == []


@pytest.mark.parametrize("share", [1.0, 0.3, 0.0])
def test_parts_are_put_together_by_list_without_what_went(tmp_path: Path, share: float) -> None:
    """In little memory however many rows there are; empty lists among them, and rows of one list in order."""
    rows, lists = 150_000, 100
    chance = np.random.default_rng(4)
    sources, everything = [], []
    for n in range(3):
        ids = np.sort(chance.choice(10 * rows, rows, replace=False)) * 3 + n
        assigned = chance.integers(0, lists // 2, rows) * 2
        codes = chance.integers(0, 256, (rows, 16), np.uint8)
        everything += sorted(zip(assigned.tolist(), [n] * rows, ids.tolist(), map(bytes, codes), strict=True))
        sources.append(by_list(assigned, ids, codes, lists))
    alive = np.zeros(30 * rows, bool)
    alive[chance.choice(30 * rows, int(share * 30 * rows), replace=False)] = True
    mapped = [map_part(tmp_path, part, lists, 64) for source in sources if (part := write_part(tmp_path, [source]))]
    tracemalloc.start()
    part = write_part(tmp_path, mapped, lambda ids: alive[ids])
    assert tracemalloc.get_traced_memory()[1] < 12e6  # all of it is 14 MB, and was copied twice
    tracemalloc.stop()
    expected = [row for row in sorted(everything, key=lambda row: row[:2]) if alive[row[2]]]
    assert (part is None) == (not expected)
    if part is not None:
        joined = map_part(tmp_path, part, lists, 64, thorough=True)
        assert joined.starts.tolist() == np.searchsorted([row[0] for row in expected], range(lists + 1)).tolist()
        assert joined.ids.tolist() == [row[2] for row in expected]
        assert list(map(bytes, joined.codes)) == [row[3] for row in expected]


def test_centres_are_the_means_of_what_is_near_them() -> None:
    """However the rows come; one that has none stays where it was."""
    rows = clustered(4000, seed=6)
    first = np.concatenate([rows[:39], np.full((1, DIMENSION), 9, np.float32)])
    found = centroids(first, lambda: (rows[low : low + 700] for low in range(0, 4000, 700)))
    assert found == pytest.approx(centroids(first, lambda: [rows]), abs=1e-4)
    assert (found[39] == 9).all()
    nearest = Lists(found).nearest(rows)
    means = np.stack([rows[nearest == i].mean(axis=0) for i in range(39)])
    assert np.linalg.norm(means - found[:39], axis=1).mean() < 0.1
    of_first = np.linalg.norm(rows - first[Lists(first).nearest(rows)], axis=1).mean()
    assert np.linalg.norm(rows - found[nearest], axis=1).mean() < 0.9 * of_first


def test_a_filter_finds_what_lies_in_lists_that_no_search_without_it_looks_at(tmp_path: Path) -> None:
    """Where ten near vectors share a list, ten that a filter leaves of them are in many."""
    rows = 70_000
    chance = np.random.default_rng(2)
    centres = chance.standard_normal((rows // 20, DIMENSION)).astype(np.float32)
    vectors = centres[chance.integers(0, len(centres), rows)] + 0.3 * chance.standard_normal((rows, DIMENSION))
    (tmp_path / "vectors").mkdir()
    block = VectorBlock(np.arange(1, rows + 1), stored_rows(vectors.astype(np.float32)))
    infos = [write_segment(tmp_path / "vectors", [block])]
    update_codes(tmp_path, "x", infos, are_wanted=True, least_recall=LEAST_RECALL)
    codes = open_codes(tmp_path, "x", infos, LEAST_RECALL)
    found, truly = VectorSet([], codes, [block]), VectorSet([block])
    for share in (0.3, 0.07):
        within = np.sort(chance.choice(rows, int(share * rows), replace=False)) + 1
        for query in unit_rows(centres[:30] + 0.1):
            assert [id for id, _ in found.top(query, 10, within)] == [id for id, _ in truly.top(query, 10, within)]


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
