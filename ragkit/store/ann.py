"""Codes of one bit a dimension over the sealed segments, kept by faiss, which only this file imports.

A cache beside the truth: codes choose candidates, and their cosines come from the segments' own rows. They are
made for indexes so large that exact search is no longer fast, and used only where, measured on the index's own
vectors, they find what exact search finds. faiss accepts NaN and wrong shapes and pads with id -1: that is guarded
here. Its reader of files trusts them, and an index may come from a stranger; so it reads none. The file holds the
two arrays that codes are, whose lengths are checked: whatever is in them can only choose other candidates.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from ragkit.store.segments import SegmentInfo, VectorBlock, map_segment
from ragkit.types import FloatVector, IntVector

RESCORED = 400  # candidates for each search, at least; 200 already found all ten best of 60 000 clustered vectors
LEAST_RECALL = 0.99  # of the ten best, on average over the probes; with less, search stays exact
_MAGIC = b"RAGKITA2"
_LENGTH = struct.Struct("<I")  # of the JSON before the arrays; and the crc32 of everything at the end
_GROUP = 32  # rows that faiss packs together
_TRAINED_ON = 20_000  # rows, for the centre that codes are relative to
_PROBES = 50
_NEW_SHARE = 0.1  # rows outside the codes are searched exactly until there are so many of them


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes with what they cover: `ids[i]` is the vector at place i, `segments` are the names of the files."""

    index: Any
    ids: IntVector  # (n,)
    segments: frozenset[str]

    def candidates(self, query: FloatVector, n: int) -> IntVector:
        """Ids among which the `n` nearest are, ascending."""
        wanted = min(max(4 * n, RESCORED), len(self.ids))
        _, places = self.index.search(query[None, :].astype(np.float32), wanted)  # (1, wanted), padded with -1
        return np.sort(self.ids[places[0][places[0] >= 0]])


class _Unusable(Exception):
    """Why the codes on disk are not used."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the file says: about itself, and the arrays."""

    about: Mapping[str, Any]
    centre: np.ndarray[Any, np.dtype[np.float32]]  # (d,)
    codes: np.ndarray[Any, np.dtype[np.uint8]]  # (rows, rounded up to groups of 32, times the bytes of a row)


def update_codes(folder: Path, identity: str, segments: Sequence[SegmentInfo], least_rows: int) -> None:
    """Make the codes of the index in `folder` again where enough has changed; delete them below `least_rows`."""
    rows = sum(info.rows for info in segments)
    if rows < least_rows:
        delete_codes(folder)
        return
    try:
        covered = {name for name, _ in _read(folder, identity, segments).about["segments"]}
    except _Unusable:
        covered = set()
    if sum(info.rows for info in segments if info.name not in covered) > _NEW_SHARE * rows:
        _build(folder, identity, segments)


def open_codes(folder: Path, identity: str, segments: Sequence[SegmentInfo]) -> Codes | None:
    """The codes, where there are any that are whole, belong to this index and these segments, and find enough."""
    try:
        stored = _read(folder, identity, segments)
    except _Unusable:
        return None
    about = stored.about
    if about["recall"] < LEAST_RECALL:
        return None
    import faiss

    index: Any = faiss.IndexRaBitQFastScan(len(stored.centre), faiss.METRIC_INNER_PRODUCT)
    rows = about["rows"]
    if len(stored.codes) != _rounded(rows) * index.code_size:
        return None
    index.train(stored.centre[None, :])  # (1, d): its centre is that row
    faiss.copy_array_to_vector(stored.centre, index.center)
    faiss.copy_array_to_AlignedTable(stored.codes, index.codes)
    index.ntotal, index.ntotal2 = rows, _rounded(rows)
    named = {info.name: info for info in segments}
    ids = [map_segment(folder / "vectors", named[name]).ids for name, _ in about["segments"]]
    return Codes(index, np.concatenate(ids), frozenset(name for name, _ in about["segments"]))


def codes_fault(folder: Path, identity: str, segments: Sequence[SegmentInfo]) -> str:
    """Why codes that are there are not used; empty where they are, and where there are none."""
    if not (folder / "ann" / "codes").exists():
        return ""
    try:
        _read(folder, identity, segments)
    except _Unusable as error:
        return str(error)
    return ""


def delete_codes(folder: Path) -> None:
    (folder / "ann" / "codes").unlink(missing_ok=True)


def _rounded(rows: int) -> int:
    return -(-rows // _GROUP) * _GROUP


def _read(folder: Path, identity: str, segments: Sequence[SegmentInfo]) -> _Stored:
    """The file, where its checksum holds and it covers segments that are here, to the letter. Raises _Unusable."""
    try:
        # As text: numpy breaks where Ctrl-C comes while it asks a Path for that.
        data = np.fromfile(str(folder / "ann" / "codes"), np.uint8)
    except OSError as error:
        raise _Unusable(f"the codes cannot be read: {error}") from error
    start = len(_MAGIC) + _LENGTH.size
    sound = len(data) > start + _LENGTH.size and data[: len(_MAGIC)].tobytes() == _MAGIC
    if not sound or zlib.crc32(data[: -_LENGTH.size].data) != _LENGTH.unpack(data[-_LENGTH.size :].tobytes())[0]:
        raise _Unusable("the codes differ from their checksum")
    end = start + _LENGTH.unpack(data[len(_MAGIC) : start].tobytes())[0]
    try:
        about = json.loads(data[start:end].tobytes())
        said, rows, dimension = about["identity"], int(about["rows"]), int(about["dimension"])
        covered = [(str(name), int(crc)) for name, crc in about["segments"]]
        about = {**about, "recall": float(about["recall"]), "rows": rows, "segments": covered}
    except (ValueError, KeyError, TypeError) as error:
        raise _Unusable(f"what the codes say of themselves cannot be read: {error}") from error
    here = {(info.name, info.crc): info for info in segments}
    if said != identity or not covered or len(set(covered)) != len(covered) or not set(covered) <= here.keys():
        raise _Unusable("the codes are those of other segments")
    infos = [here[each] for each in covered]
    arrays = end + 4 * dimension
    if sum(info.rows for info in infos) != rows or {info.dimension for info in infos} != {dimension}:
        raise _Unusable("the codes do not fit their segments")
    if arrays > len(data) - _LENGTH.size:
        raise _Unusable("the codes are cut off")
    centre = np.frombuffer(data[end:arrays].tobytes(), "<f4")
    if not np.isfinite(centre).all():
        raise _Unusable("the centre of the codes is not a number")
    return _Stored(about, centre, data[arrays : -_LENGTH.size].copy())


def _build(folder: Path, identity: str, segments: Sequence[SegmentInfo]) -> None:
    """Make codes of all segments, measure what they find, and put them in the place of those before."""
    import faiss

    blocks = [map_segment(folder / "vectors", info) for info in segments]
    dimension = segments[0].dimension
    index = faiss.IndexRaBitQFastScan(dimension, faiss.METRIC_INNER_PRODUCT)
    index.train(_sample(blocks, _TRAINED_ON))
    for block in blocks:
        index.add(np.ascontiguousarray(block.rows))
    codes = Codes(index, np.concatenate([block.ids for block in blocks]), frozenset(info.name for info in segments))
    about = {
        "identity": identity,
        "segments": [(info.name, info.crc) for info in segments],
        "rows": len(codes.ids),
        "dimension": dimension,
        "recall": _recall(codes, blocks),
    }
    text = json.dumps(about).encode()
    centre = faiss.vector_to_array(index.center).astype("<f4").tobytes()
    parts = (_MAGIC, _LENGTH.pack(len(text)), text, centre, faiss.AlignedTable_to_array(index.codes).data)
    place = folder / "ann"
    place.mkdir(mode=0o700, exist_ok=True)
    crc = 0
    new = place / "codes.new"
    new.unlink(missing_ok=True)  # left over from a crash, or a link to a file that is not ours
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        for part in parts:
            crc = zlib.crc32(part, crc)
            file.write(part)
        file.write(_LENGTH.pack(crc))
    new.replace(place / "codes")


def _recall(codes: Codes, blocks: Sequence[VectorBlock]) -> float:
    """Share of the ten nearest that are among the candidates, for queries between two stored vectors each."""
    pairs = _sample(blocks, 2 * _PROBES)
    queries = pairs[:-1:2] + pairs[1::2]
    queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-6)
    scores = np.concatenate([block.rows @ queries.T for block in blocks])  # (n, probes)
    nearest = codes.ids[np.argpartition(-scores, 10, axis=0)[:10]]  # (10, probes)
    found = [np.isin(nearest[:, i], codes.candidates(query, 10)).mean() for i, query in enumerate(queries)]
    return float(np.mean(found))


def _sample(blocks: Sequence[VectorBlock], wanted: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Rows spread evenly over the blocks, (about `wanted`, d); the same ones every time."""
    total = sum(len(block.ids) for block in blocks)
    step = max(1, total // wanted)
    return cast("np.ndarray[tuple[int, int], np.dtype[np.float32]]", np.concatenate([b.rows[::step] for b in blocks]))
