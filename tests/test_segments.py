"""Vector files and the exact search over them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragkit.errors import IndexCorrupt, StoreError
from ragkit.store.segments import (
    HEADER_BYTES,
    SegmentInfo,
    VectorBlock,
    map_segment,
    read_segment,
    stored_rows,
    unit_rows,
    wide,
    write_segment,
)
from ragkit.store.vectors import VectorSet
from ragkit.types import IntVector


def block(first: int, rows: int, seed: int = 0) -> VectorBlock:
    vectors = np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)
    return VectorBlock(np.arange(first, first + rows, dtype=np.int64), stored_rows(vectors))


def written(folder: Path) -> SegmentInfo:
    return write_segment(folder, [block(10, 5), block(20, 3, seed=1)])


def test_a_segment_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Ids and rows of all its blocks, in order, and every checksum holds."""
    info = written(tmp_path)
    back = map_segment(tmp_path, info)
    assert back.ids.tolist() == [10, 11, 12, 13, 14, 20, 21, 22]
    assert np.array_equal(back.rows, np.concatenate([block(10, 5).rows, block(20, 3, seed=1).rows]))
    reading = read_segment(tmp_path, info)
    assert (reading.damaged, reading.faults) == ([], [])
    assert (tmp_path / info.name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("offset", [0, 9, HEADER_BYTES - 1])
def test_a_flipped_bit_in_the_header_is_noticed_at_opening(tmp_path: Path, offset: int) -> None:
    """The catalog knows what the header must be."""
    info = written(tmp_path)
    flip(tmp_path / info.name, offset)
    with pytest.raises(IndexCorrupt, match="header"):
        map_segment(tmp_path, info)


@pytest.mark.parametrize("offset", [HEADER_BYTES, HEADER_BYTES + 64, -5])
def test_a_flipped_bit_in_the_body_is_noticed_by_reading_it_through(tmp_path: Path, offset: int) -> None:
    """Ids and rows are under one checksum."""
    info = written(tmp_path)
    flip(tmp_path / info.name, offset)
    assert read_segment(tmp_path, info).damaged == [0]


def test_a_flipped_bit_costs_one_piece(tmp_path: Path) -> None:
    """256 rows of a thousand; the rest of the segment is read as it was written."""
    whole = block(1, 1000)
    info = write_segment(tmp_path, [whole])
    flip(tmp_path / info.name, HEADER_BYTES + 8 * 1000 + 2 * 8 * 600)
    reading = read_segment(tmp_path, info)
    assert reading.damaged == [2]
    assert np.array_equal(np.concatenate([piece.ids for piece in reading.whole]), np.delete(whole.ids, range(512, 768)))
    again = np.concatenate([piece.rows for piece in reading.whole])
    assert np.array_equal(again, np.delete(whole.rows, range(512, 768), axis=0))


@pytest.mark.parametrize("offset", [0, 40, -1])
def test_a_flipped_bit_in_header_or_checksums_costs_no_row(tmp_path: Path, offset: int) -> None:
    """The catalog knows what both must be: it is a fault, and all rows are proved whole."""
    info = write_segment(tmp_path, [block(1, 1000)])
    flip(tmp_path / info.name, offset)
    reading = read_segment(tmp_path, info)
    assert reading.damaged == []
    assert len(reading.faults) == 1
    assert sum(len(piece.ids) for piece in reading.whole) == 1000


def test_a_name_that_is_no_segment_opens_nothing(tmp_path: Path) -> None:
    """A row of a catalog from elsewhere must not lead out of the folder."""
    info = written(tmp_path)
    (tmp_path / "inside").mkdir()
    with pytest.raises(IndexCorrupt, match="is not the name of a segment"):
        map_segment(tmp_path / "inside", replace(info, name=f"../{info.name}"))


def test_a_truncated_segment_is_refused_with_both_sizes(tmp_path: Path) -> None:
    """Size is compared before anything is mapped."""
    info = written(tmp_path)
    path = tmp_path / info.name
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(IndexCorrupt, match=f"{info.size - 4} bytes, the catalog says {info.size}"):
        map_segment(tmp_path, info)


@pytest.mark.parametrize("bad", [np.zeros(3), np.array([1, np.nan, 0]), np.array([np.inf, 0, 0])])
def test_a_vector_without_direction_is_refused(bad: np.ndarray) -> None:
    """Zero, NaN and infinity are named with their place, not stored."""
    with pytest.raises(StoreError, match="vector 1 of 2 is zero or not a number"):
        unit_rows(np.array([[1, 0, 0], bad], np.float32))


def test_every_half_is_the_same_number_when_it_is_wide() -> None:
    """Small ones and zeros among them, and signs."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(-1, 8)
    finite = np.isfinite(every).all(axis=1)
    assert np.array_equal(wide(every[finite]), every[finite].astype(np.float32))


def test_half_precision_loses_less_than_services_differ_by() -> None:
    """Cosines at 1024 dimensions stay within 0.00005, near neighbours and strangers alike."""
    random = np.random.default_rng(0)
    query = unit_rows(random.standard_normal((1, 1024)).astype(np.float32))[0]
    towards = np.linspace(0, 80, 2000)[:, None] * query
    vectors = unit_rows((random.standard_normal((2000, 1024)) + towards).astype(np.float32))
    assert np.abs(wide(stored_rows(vectors)) @ query - vectors @ query).max() < 5e-5


def test_rows_are_made_unit_length() -> None:
    """3-4-5: the direction stays, the length goes."""
    assert np.allclose(unit_rows(np.array([[3, 4]], np.float32)), [[0.6, 0.8]])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_search_is_brute_force(sizes: list[int], n: int, seed: int) -> None:
    """Over any blocks, with any filter, the top is what sorting all cosines gives; unknown ids are left out.

    A filter's rows are kept from the second time on, until there is another.
    """
    random = np.random.default_rng(seed)
    blocks, first = [], 1
    for i, size in enumerate(sizes):
        step = int(random.integers(1, 3))  # ids may be missing within a block too
        blocks.append(VectorBlock(first + step * np.arange(size), block(first, size, seed + i).rows))
        first += step * size + int(random.integers(0, 5))
    query = unit_rows(random.standard_normal((1, 8)).astype(np.float32))[0]
    ids = np.concatenate([b.ids for b in blocks])
    cosines = dict(zip(ids.tolist(), (np.concatenate([b.rows for b in blocks]) @ query).tolist(), strict=True))
    one, other = (np.unique(random.integers(0, first + 5, 10)) for _ in range(2))
    vectors = VectorSet(blocks)
    for within in (None, one, one, one, other, other, one, None):
        allowed = set(cosines) if within is None else set(cosines) & set(within.tolist())
        expected = sorted(allowed, key=lambda id: (-cosines[id], id))[:n]
        found = vectors.top(query, n, within)
        assert [id for id, _ in found] == expected
        assert np.allclose([score for _, score in found], [min(1.0, cosines[id]) for id in expected], atol=1e-6)


@pytest.mark.parametrize("value", [-6156.0, 6156.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("within", [None, np.arange(3, 9)])
def test_a_vector_that_no_cosine_can_come_of_is_damaged(value: float, within: "IntVector | None") -> None:
    """One bit of an exponent makes a number so large that its row would be nearest to half of all questions."""
    rows = block(1, 12, 0).rows.copy()
    rows[5, 2] = value
    query = unit_rows(np.ones((1, 8), np.float32))[0]
    vectors = VectorSet([VectorBlock(np.arange(1, 13), rows)])
    with pytest.raises(IndexCorrupt, match="the vector 6 is damaged"):
        vectors.top(query, 12, within)
    with pytest.raises(IndexCorrupt, match="the vector 6 is damaged"):
        vectors.scores(query, np.arange(4, 8))
    assert vectors.scores(query, np.array([5, 7])).keys() == {5, 7}


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
