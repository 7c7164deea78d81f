"""Vector files: immutable, checksummed, mapped into memory; and the one place where vectors are normalised.

A segment is a 64-byte header, then n vector ids (little-endian u64, ascending), then n rows of float16, then a
crc32 for every PIECE_ROWS ids and rows, so that a flipped bit costs one piece. It is written once, synced with its
folder, and named by the catalog only afterwards. This file knows no SQL.

Half a number's bits are half the disk, and what they leave out is below what a service's own answers differ by: at
1024 dimensions a cosine is within 0.00005 of that of whole numbers.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from ragkit.errors import IndexCorrupt, StoreError
from ragkit.types import FloatMatrix, FloatVector, IntVector

HalfMatrix: TypeAlias = "np.ndarray[tuple[int, int], np.dtype[np.float16]]"  # (n, d)
PIECE_ROWS = 256  # rows under one checksum: 1 MB at 1024 dimensions
SEGMENT_NAME = re.compile(r"seg-[0-9a-f]{32}")
CURE = "see what else is damaged: ragkit doctor --data; save what can be saved: ragkit doctor --repair"
_MAGIC = b"RAGKITV3"
# magic, dimension, rows, crc32 of the table of checksums at the end; the last 4 bytes are the header's crc32
_HEADER = struct.Struct("<8sIQI36x")
HEADER_BYTES = _HEADER.size + 4
NUMBER_BYTES = 2


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


def stored_rows(vectors: FloatMatrix) -> HalfMatrix:
    """The unit rows as they are kept, (n, d) float16. Raises StoreError for a row that has no direction."""
    return cast("HalfMatrix", unit_rows(vectors).astype("<f2"))


def wide(rows: HalfMatrix) -> FloatMatrix:
    """The same numbers as float32, by a table of all there are: numpy takes ten times as long for small ones."""
    return cast("FloatMatrix", _wide_numbers().take(rows.view(np.uint16)))


@cache
def _wide_numbers() -> FloatVector:
    """Every float16 as float32, by its bits: 256 KB, which stay near the processor."""
    return cast("FloatVector", np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32))


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A segment as the catalog names it. `first` and `last` bound its ids; ranges never overlap."""

    name: str
    first: int
    last: int
    rows: int
    dimension: int
    crc: int  # of the table of checksums
    size: int

    @property
    def key(self) -> tuple[str, int]:
        """Name and checksum: what a cache made of it belongs to."""
        return self.name, self.crc


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """Rows with their ids: a mapped segment or a batch of the tail. `ids` is ascending."""

    ids: IntVector  # (n,)
    rows: HalfMatrix  # (n, d), unit rows


def tail_block(first: int, count: int, body: bytes, dimension: int) -> VectorBlock:
    """A batch that is not sealed yet: consecutive ids and the bytes of their rows."""
    rows = np.frombuffer(body, dtype="<f2").reshape(count, dimension)
    return VectorBlock(np.arange(first, first + count, dtype=np.int64), cast("HalfMatrix", rows))


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

    ids = np.concatenate([block.ids for block in blocks]).astype("<u8")
    dimension = blocks[0].rows.shape[1]
    name = f"seg-{uuid.uuid4().hex}"
    handle = os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(bytes(HEADER_BYTES))
        file.write(ids.tobytes())
        checks = []
        for at, rows in _pieces(blocks):
            checks.append(zlib.crc32(rows.data, zlib.crc32(ids[at : at + len(rows)].tobytes())))
            file.write(rows.data)
        table = np.array(checks, "<u4").tobytes()
        file.write(table)
        info = SegmentInfo(
            name, int(ids[0]), int(ids[-1]), len(ids), dimension, zlib.crc32(table), _size(len(ids), dimension)
        )
        file.seek(0)
        file.write(_header(info))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)
    return info


def _pieces(blocks: Sequence[VectorBlock]) -> Iterator[tuple[int, HalfMatrix]]:
    """The rows of all blocks by PIECE_ROWS, each with the place of its first; the last piece may be shorter."""
    at, held, parts = 0, 0, []
    for block in blocks:
        low = 0
        while low < len(block.rows):
            part = block.rows[low : low + PIECE_ROWS - held]
            parts.append(part)
            low, held = low + len(part), held + len(part)
            if held == PIECE_ROWS:
                yield at, cast("HalfMatrix", np.concatenate(parts).astype("<f2", copy=False))
                at, held, parts = at + PIECE_ROWS, 0, []
    if parts:
        yield at, cast("HalfMatrix", np.concatenate(parts).astype("<f2", copy=False))


def _size(rows: int, dimension: int) -> int:
    return HEADER_BYTES + rows * (8 + NUMBER_BYTES * dimension) + 4 * -(-rows // PIECE_ROWS)


def _header(info: SegmentInfo) -> bytes:
    header = _HEADER.pack(_MAGIC, info.dimension, info.rows, info.crc)
    return header + struct.pack("<I", zlib.crc32(header))


def check_header(folder: Path, info: SegmentInfo) -> None:
    """Raise IndexCorrupt where name, size or header of a segment's file are not what the catalog says."""
    if not SEGMENT_NAME.fullmatch(info.name):  # it becomes a path: an index may come from anywhere
        raise IndexCorrupt(f"{info.name!r} is not the name of a segment", CURE)
    path = folder / info.name
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size
    if size != info.size or info.rows < 1 or size != _size(info.rows, info.dimension):
        raise IndexCorrupt(f"{path} has {size} bytes, the catalog says {info.size}", CURE)
    if header != _header(info):
        raise IndexCorrupt(f"the header of {path} is not the one the catalog names", CURE)


def check_headers(folder: Path, infos: Iterable[SegmentInfo]) -> None:
    """The same of several, of which none may be missing: only the holder of the writer's lock can say so."""
    for info in infos:
        try:
            check_header(folder, info)
        except FileNotFoundError as error:
            raise missing(error) from error


def missing(error: FileNotFoundError) -> IndexCorrupt:
    """The error for a file that the catalog names."""
    return IndexCorrupt(f"{error.filename} is missing", CURE)


def map_segment(folder: Path, info: SegmentInfo) -> VectorBlock:
    """Map a segment without reading it. Raises IndexCorrupt where name, size or header differ from the catalog's.

    A missing file raises FileNotFoundError: a compaction may have replaced it since the catalog was read.
    """
    check_header(folder, info)
    return _mapped(folder, info)


def _mapped(folder: Path, info: SegmentInfo) -> VectorBlock:
    body = np.memmap(folder / info.name, dtype=np.uint8, mode="r")
    split = HEADER_BYTES + 8 * info.rows
    end = split + NUMBER_BYTES * info.rows * info.dimension
    ids = body[HEADER_BYTES:split].view("<i8")
    rows = body[split:end].view("<f2").reshape(info.rows, info.dimension)
    return VectorBlock(cast("IntVector", ids.view(np.ndarray)), cast("HalfMatrix", rows.view(np.ndarray)))


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a segment through found: pieces that are whole, those that are not, faults of header and table."""

    whole: list[VectorBlock]
    damaged: list[int]  # numbers of pieces; piece i holds the rows from i * PIECE_ROWS on
    faults: list[str]


def read_segment(folder: Path, info: SegmentInfo, taken: Callable[[int], bool] = lambda _: True) -> Reading:
    """Compare every piece that is `taken`, by its number, with its checksum, and the table of them with its own.

    A header that is damaged is a fault and no obstacle: the catalog knows what it says. A piece is whole as well where
    only its entry in the table is damaged, which shows by what the catalog says of the whole table. Raises
    FileNotFoundError where there is no file, IndexCorrupt for one of another name or length than the catalog's.
    """
    faults = []
    try:
        check_header(folder, info)
    except IndexCorrupt as error:
        path = folder / info.name
        if not SEGMENT_NAME.fullmatch(info.name) or path.stat().st_size != _size(info.rows, info.dimension):
            raise
        faults.append(error.message)
    block = _mapped(folder, info)
    # As text: numpy breaks where Ctrl-C comes while it asks a Path for that.
    table = np.fromfile(str(folder / info.name), "<u4", offset=info.size - 4 * -(-info.rows // PIECE_ROWS))
    sound = zlib.crc32(table.tobytes()) == info.crc
    whole: list[tuple[int, VectorBlock]] = []
    damaged: list[int] = []
    found = table.copy()
    for i, stored in enumerate(table.tolist()):
        if sound and not taken(i):
            continue
        span = slice(i * PIECE_ROWS, (i + 1) * PIECE_ROWS)
        piece = VectorBlock(block.ids[span], block.rows[span])
        found[i] = zlib.crc32(piece.rows.data, zlib.crc32(piece.ids.data))
        whole.append((i, piece))
        if found[i] != stored:
            damaged.append(i)
    if not sound:
        faults.append(f"the checksums of {folder / info.name} are damaged")
        if zlib.crc32(found.tobytes()) == info.crc:
            damaged = []
    return Reading([piece for i, piece in whole if i not in damaged], damaged, faults)


def find_segments(folder: Path) -> Iterator[SegmentInfo]:
    """Segments in a folder by what their files say of themselves, where header and checksums hold."""
    for path in sorted(folder.glob("seg-*")):
        if not SEGMENT_NAME.fullmatch(path.name) or path.is_symlink():
            continue
        with path.open("rb") as file:
            data = file.read(HEADER_BYTES)
        if len(data) < HEADER_BYTES or zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
            continue
        magic, dimension, rows, crc = _HEADER.unpack(data[:-4])
        size = path.stat().st_size
        if magic != _MAGIC or rows < 1 or size != _size(rows, dimension):
            continue
        ids = _mapped(folder, SegmentInfo(path.name, 0, 0, rows, dimension, crc, size)).ids
        info = SegmentInfo(path.name, int(ids[0]), int(ids[-1]), rows, dimension, crc, size)
        reading = read_segment(folder, info)
        if not reading.damaged and not reading.faults:
            yield info
