"""Vector files: immutable, checksummed, mapped into memory; and the one place where vectors are normalised.

A segment is a 64-byte header, then n vector ids (little-endian u64, ascending), then n rows of float32. It is
written once, synced with its folder, and named by the catalog only afterwards. This file knows no SQL.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from ragkit.errors import IndexCorrupt, StoreError
from ragkit.types import FloatMatrix, FloatVector, IntVector

# Vectors from which codes choose what is searched: below, exact search takes some 20 ms at 512 dimensions, and
# importing what reads codes ten times that.
APPROXIMATE_FROM = 100_000
_MAGIC = b"RAGKITV1"
_HEADER = struct.Struct(
    "<8sIQI36x"
)  # magic, dimension, rows, crc32 of the body; the last 4 bytes are the header's crc32
HEADER_BYTES = _HEADER.size + 4


def unit_rows(vectors: FloatMatrix) -> FloatMatrix:
    """The same directions with length 1, (n, d) float32. Raises StoreError for a row that has no direction."""
    if vectors.ndim != 2:
        raise StoreError(f"vectors have shape {vectors.shape}, not (n, d)", "return one row for each text")
    norms = np.linalg.norm(vectors.astype(np.float32, copy=False), axis=1, keepdims=True)  # (n, 1)
    bad = ~(np.isfinite(norms[:, 0]) & (norms[:, 0] > 1e-6))
    if bad.any():
        raise StoreError(
            f"vector {int(np.flatnonzero(bad)[0])} of {len(vectors)} is zero or not a number",
            "the embedding model gave no direction for this text: check the model",
        )
    return cast("FloatMatrix", np.ascontiguousarray(vectors / norms, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A segment as the catalog names it. `first` and `last` bound its ids; ranges never overlap."""

    name: str
    first: int
    last: int
    rows: int
    dimension: int
    crc: int
    size: int


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """Rows with their ids: a mapped segment or a batch of the tail. `ids` is ascending."""

    ids: IntVector  # (n,)
    rows: FloatMatrix  # (n, d), unit rows


def tail_block(first: int, count: int, body: bytes, dimension: int) -> VectorBlock:
    """A batch that is not sealed yet: consecutive ids and the bytes of their rows."""
    rows = np.frombuffer(body, dtype="<f4").reshape(count, dimension)
    return VectorBlock(np.arange(first, first + count, dtype=np.int64), cast("FloatMatrix", rows))


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable. Windows has no such call and keeps names with the file."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_segment(folder: Path, blocks: Sequence[VectorBlock]) -> SegmentInfo:
    """Write the blocks, in order of id, as one new durable file. The caller names it in the catalog."""
    import uuid  # 3 ms that no search need pay

    ids = np.concatenate([block.ids for block in blocks])
    dimension = blocks[0].rows.shape[1]
    crc = zlib.crc32(ids.astype("<u8").tobytes())
    for block in blocks:
        crc = zlib.crc32(np.ascontiguousarray(block.rows, dtype="<f4").data, crc)
    header = _HEADER.pack(_MAGIC, dimension, len(ids), crc)
    name = f"seg-{uuid.uuid4().hex}"
    handle = os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(header + struct.pack("<I", zlib.crc32(header)))
        file.write(ids.astype("<u8").tobytes())
        for block in blocks:
            file.write(np.ascontiguousarray(block.rows, dtype="<f4").data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)
    size = HEADER_BYTES + len(ids) * (8 + 4 * dimension)
    return SegmentInfo(name, int(ids[0]), int(ids[-1]), len(ids), dimension, crc, size)


def map_segment(folder: Path, info: SegmentInfo) -> VectorBlock:
    """Map a segment without reading it. Raises IndexCorrupt where size or header differ from the catalog's.

    A missing file raises FileNotFoundError: a compaction may have replaced it since the catalog was read.
    """
    path = folder / info.name
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size
    if size != info.size:
        raise IndexCorrupt(f"{path} has {size} bytes, the catalog says {info.size}", "run: ragkit doctor")
    expected = _HEADER.pack(_MAGIC, info.dimension, info.rows, info.crc)
    if header != expected + struct.pack("<I", zlib.crc32(expected)):
        raise IndexCorrupt(f"the header of {path} is not the one the catalog names", "run: ragkit doctor")
    body = np.memmap(path, dtype=np.uint8, mode="r")
    split = HEADER_BYTES + 8 * info.rows
    ids = body[HEADER_BYTES:split].view("<i8")
    rows = body[split:].view("<f4").reshape(info.rows, info.dimension)
    return VectorBlock(cast("IntVector", ids.view(np.ndarray)), cast("FloatMatrix", rows.view(np.ndarray)))


def segment_is_intact(folder: Path, info: SegmentInfo) -> bool:
    """Read every byte of the segment and compare it with its checksum."""
    with (folder / info.name).open("rb") as file:
        file.seek(HEADER_BYTES)
        crc = 0
        while piece := file.read(1 << 20):
            crc = zlib.crc32(piece, crc)
    return crc == info.crc


class VectorSet:
    """All vectors of one snapshot: search over them, and their cosines by id.

    `candidates`, where given, names about the n nearest of those blocks that come after the first `exact` ones:
    their rows are looked at, the other rows of those blocks are not.
    """

    def __init__(
        self,
        blocks: Iterable[VectorBlock],
        *,
        exact: int = 0,
        candidates: Callable[[FloatVector, int], IntVector] | None = None,
    ) -> None:
        self._blocks = list(blocks)
        self._exact = exact if candidates else len(self._blocks)
        self._candidates = candidates

    def __len__(self) -> int:
        return sum(len(block.ids) for block in self._blocks)

    def top(self, query: FloatVector, n: int, within: IntVector | None = None) -> list[tuple[int, float]]:
        """The `n` best (id, cosine), best first; ties in order of id. `within` is ascending and restricts exactly."""
        if within is not None or self._candidates is None:
            ids, scores = _scores(self._blocks, query, within)
        else:
            ids, scores = _scores(self._blocks[: self._exact], query, None)
            coded = _scores(self._blocks[self._exact :], query, self._candidates(query, n))
            ids, scores = np.concatenate([ids, coded[0]]), np.concatenate([scores, coded[1]])
        if n < len(scores):
            best = np.argpartition(-scores, n - 1)[:n]
            ids, scores = ids[best], scores[best]
        order = np.lexsort((ids, -scores))
        return [(int(ids[i]), float(scores[i])) for i in order[:n]]

    def rows(self, ids: IntVector) -> FloatMatrix:
        """The vectors themselves, (n, d), row i for id i. `ids` is ascending, without doubles.

        Raises IndexCorrupt where one is not here.
        """
        found = [(_places(block, ids), block) for block in self._blocks]
        have = np.concatenate([here for (here, _), _ in found]) if found else np.empty(0, np.int64)
        if len(have) < len(ids):
            lost = np.setdiff1d(ids, have)
            raise IndexCorrupt(f"the vector {int(lost[0])} is in no segment", "run: ragkit doctor")
        rows = [block.rows[places] for (_, places), block in found]
        stacked = np.concatenate(rows) if rows else np.empty((0, 0), np.float32)
        return cast("FloatMatrix", stacked[np.argsort(have)])

    def scores(self, query: FloatVector, ids: IntVector) -> dict[int, float]:
        """The cosine of each given vector that is here. `ids` is ascending."""
        found, scores = _scores(self._blocks, query, ids)
        return dict(zip(found.tolist(), scores.tolist(), strict=True))


def _scores(
    blocks: Sequence[VectorBlock], query: FloatVector, within: IntVector | None
) -> tuple[IntVector, FloatVector]:
    """Ids and cosines, (m,) each, of all rows of the blocks, or of those whose ids are in `within`, ascending."""
    ids: list[IntVector] = [np.empty(0, np.int64)]
    scores: list[FloatVector] = [np.empty(0, np.float32)]
    for block in blocks:
        if within is None:
            ids.append(block.ids)
            scores.append(block.rows @ query)  # (n, d) @ (d,) -> (n,)
        else:
            found, places = _places(block, within)
            ids.append(found)
            scores.append(block.rows[places] @ query)
    return np.concatenate(ids), np.concatenate(scores)


def _places(block: VectorBlock, ids: IntVector) -> tuple[IntVector, IntVector]:
    """Which of the ascending `ids` are in the block, and at which rows."""
    low, high = np.searchsorted(ids, (block.ids[0], block.ids[-1] + 1))
    wanted = ids[low:high]
    places = np.searchsorted(block.ids, wanted)
    here = block.ids[places] == wanted if len(wanted) else np.zeros(0, bool)
    return wanted[here], places[here]
