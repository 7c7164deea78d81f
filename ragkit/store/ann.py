"""Codes of one bit a dimension over the sealed segments, kept by faiss, which only this file imports.

A cache beside the truth: codes choose candidates, and their cosines come from the segments' own rows. They are
made for indexes so large that exact search is no longer fast, and used only where, measured on the index's own
vectors, they find what exact search finds. faiss accepts NaN and wrong shapes, pads with id -1 and loads damaged
files: all that is guarded here.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from ragkit.store.segments import SegmentInfo, VectorBlock, map_segment
from ragkit.types import FloatVector, IntVector

RESCORED = 400  # candidates for each search, at least; 200 already found all ten best of 60 000 clustered vectors
LEAST_RECALL = 0.99  # of the ten best, on average over the probes; with less, search stays exact
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


def update_codes(folder: Path, segments: Sequence[SegmentInfo], least_rows: int) -> None:
    """Make the codes of the index in `folder` again where enough has changed; delete them below `least_rows`."""
    rows = sum(info.rows for info in segments)
    about = _about(folder)
    covered = set(about.get("segments", ()))
    if rows < least_rows:
        _delete(folder)
        return
    new = sum(info.rows for info in segments if info.name not in covered)
    if covered <= {info.name for info in segments} and new <= _NEW_SHARE * rows:
        return
    _build(folder, segments)


def open_codes(folder: Path, segments: Sequence[SegmentInfo]) -> Codes | None:
    """The codes, where there are any that fit these segments, are whole and find enough."""
    about = _about(folder)
    named = {info.name: info for info in segments}
    if not about or about["recall"] < LEAST_RECALL or not set(about["segments"]) <= named.keys():
        return None
    try:
        data = np.fromfile(folder / "ann" / "codes", np.uint8)
    except FileNotFoundError:
        return None
    if zlib.crc32(data.data) != about["crc"]:
        return None
    import faiss

    ids = [map_segment(folder / "vectors", named[name]).ids for name in about["segments"]]
    return Codes(faiss.deserialize_index(data), np.concatenate(ids), frozenset(about["segments"]))


def _build(folder: Path, segments: Sequence[SegmentInfo]) -> None:
    """Make codes of all segments, measure what they find, and write them: codes first, then what names them."""
    import faiss

    blocks = [map_segment(folder / "vectors", info) for info in segments]
    index = faiss.IndexRaBitQFastScan(segments[0].dimension, faiss.METRIC_INNER_PRODUCT)
    index.train(_sample(blocks, _TRAINED_ON))
    for block in blocks:
        index.add(np.ascontiguousarray(block.rows))
    codes = Codes(index, np.concatenate([block.ids for block in blocks]), frozenset(info.name for info in segments))
    data = faiss.serialize_index(index)
    about = {
        "segments": [info.name for info in segments],
        "crc": zlib.crc32(data.data),
        "recall": _recall(codes, blocks),
    }
    place = folder / "ann"
    place.mkdir(mode=0o700, exist_ok=True)
    _delete(folder)
    _write(place / "codes", data.tobytes())
    _write(place / "codes.json", json.dumps(about).encode())


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


def _about(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / "ann" / "codes.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return about if about.keys() >= {"segments", "crc", "recall"} else {}


def _delete(folder: Path) -> None:
    for name in ("codes.json", "codes"):
        (folder / "ann" / name).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
        file.write(data)
