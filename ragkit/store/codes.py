"""The codes of an index on disk, and the choice of candidates by them: a cache beside the truth.

`ann/codes` says what there is: the centre, the lists that near vectors share, the recall that was measured, and the
parts. A part holds where each list begins, then ids and codes by list. It is mapped, and of it a search reads the
lists that are near its query; so opening a million codes takes no longer than opening few.

An index may come from a stranger. The one file is under a checksum; a part's lengths and its places of lists are
checked when it is opened, and whatever else is in it can only choose other candidates.
"""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from ragkit.store.segments import SegmentInfo, wide
from ragkit.types import FloatMatrix, FloatVector, IntVector

if TYPE_CHECKING:
    from ragkit.store.ann import CodeMatrix, Coder

BoolVector: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.bool_]]"  # (n,)
Alive: TypeAlias = "Callable[[IntVector], BoolVector]"  # which rows, by their ids
_MAGIC = b"RAGKITA4"
_LENGTH = struct.Struct("<I")  # of the JSON before the arrays; and the crc32 of everything at the end
_PART = re.compile(r"part-[0-9a-f]{32}")
_TIMES = 10  # candidates for each that is wanted: so the hundredth nearest is found as well as the first ten
_ALL = 1.5  # times as many as are wanted: of so few codes tell no faster than their rows which are nearest
_COMPARED = 1 << 22  # rows times lists at once: 16 MB of float32
MOVED = 65_536  # rows of a part that are written at once: 9 MB at 1024 dimensions
_READ_THROUGH = 16_000_000  # bytes of a part up to which opening compares its checksum; above, only `check` does


class CodesUnusable(Exception):
    """Why the codes on disk are not used."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of codes."""

    name: str
    rows: int
    crc: int


@dataclass(frozen=True, slots=True)
class About:
    """What the codes say of themselves. `recall` is what a search finds of the ten nearest, as it was measured."""

    identity: str
    dimension: int
    lists: int
    margin: float  # of nearness: a search looks at the nearest list, and at those that are so much less near
    rescored: int  # candidates for each search, at least
    recall: float
    measured: int  # rows, when recall was
    segments: frozenset[tuple[str, int]]  # names and checksums of those whose every row has its code in some part
    parts: tuple[Part, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Of the centres of the lists."""
        return self.lists, self.dimension


@dataclass(frozen=True, slots=True)
class Stretch:
    """The arrays of a part: list i is ids[starts[i]:starts[i + 1]] with the codes at the same places."""

    starts: IntVector  # (lists + 1,)
    ids: IntVector  # (n,)
    codes: CodeMatrix  # (n, bytes)


def by_list(assigned: IntVector, ids: IntVector, codes: CodeMatrix, lists: int) -> Stretch:
    """Rows in the order of their lists: row i belongs to the list `assigned[i]`."""
    order = np.argsort(assigned, kind="stable")
    starts = np.searchsorted(assigned[order], np.arange(lists + 1))
    return Stretch(cast("IntVector", starts), ids[order], codes[order])


class Lists:
    """Near vectors share a list: the one whose centre, of `centroids` (lists, d), is nearest."""

    def __init__(self, centroids: FloatMatrix) -> None:
        self.centroids = centroids
        self._halves = 0.5 * np.einsum("ij,ij->i", centroids, centroids)  # half the squared lengths, (lists,)

    def nearness(self, rows: FloatMatrix) -> FloatMatrix:
        """Of each row to each list, (n, lists): half the squared distance from the centre, less is farther."""
        near = rows @ self.centroids.T
        near -= self._halves
        return cast("FloatMatrix", near)

    def nearest(self, rows: FloatMatrix) -> IntVector:
        """The list of each row, (n,)."""
        found = np.empty(len(rows), np.int64)
        step = max(1, _COMPARED // len(self.centroids))
        for low in range(0, len(rows), step):
            found[low : low + step] = self.nearness(rows[low : low + step]).argmax(axis=1)
        return found


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes that are open: about them, the lists, and the parts."""

    about: About
    coder: Coder
    lists: Lists
    parts: tuple[Stretch, ...]

    def __len__(self) -> int:
        return sum(len(part.ids) for part in self.parts)

    def candidates(self, query: FloatVector, n: int) -> IntVector:
        """Ids among which the `n` nearest are, ascending."""
        wanted = min(max(_TIMES * n, self.about.rescored), len(self))
        near = list(self._near(query, wanted))
        if sum(len(ids) for ids, _ in near) <= _ALL * wanted:
            found = np.concatenate([ids for ids, _ in near])
        else:
            found = self.coder.nearest(near, query, wanted)
        found.sort()
        once = np.append(True, found[1:] > found[:-1])  # np.unique hashes them, which takes twice as long
        return cast("IntVector", found[once])

    def _near(self, query: FloatVector, wanted: int) -> Iterator[tuple[IntVector, CodeMatrix]]:
        """The lists within the margin of the nearest one, and more where they hold too little."""
        nearness = self.lists.nearness(query[None, :])[0]
        near = np.flatnonzero(nearness >= nearness.max() - self.about.margin)
        held = np.diff(np.sum([part.starts for part in self.parts], axis=0))  # codes in each list
        if held[near].sum() < wanted:
            order = np.argsort(-nearness)
            near = np.sort(order[: max(len(near), np.searchsorted(np.cumsum(held[order]), wanted) + 1)])
        return self._stretches(near)

    def _stretches(self, lists: IntVector) -> Iterator[tuple[IntVector, CodeMatrix]]:
        """What these lists hold, ascending; neighbours at once."""
        apart = lists[1:] > lists[:-1] + 1
        firsts, lasts = lists[np.append(True, apart)], lists[np.append(apart, True)]
        for part in self.parts:
            for low, high in zip(part.starts[firsts].tolist(), part.starts[lasts + 1].tolist(), strict=True):
                yield part.ids[low:high], part.codes[low:high]


def open_codes(folder: Path, identity: str, segments: Sequence[SegmentInfo], least_recall: float) -> Codes | None:
    """The codes, where there are any that are whole, belong to this index and its segments, and find enough."""
    try:
        about, centre, centroids = read_about(folder, identity)
        if least_recall >= 1 or about.recall < least_recall or not about.segments <= {info.key for info in segments}:
            return None
        parts = tuple(map_part(folder, part, *about.shape) for part in about.parts)
    except CodesUnusable:
        return None
    from ragkit.store.ann import Coder

    return Codes(about, Coder(centre), Lists(centroids), parts)


def codes_fault(folder: Path, identity: str, segments: Sequence[SegmentInfo]) -> str:
    """Why codes that are there are not used, every byte read; empty where they are, and where there are none."""
    if not (folder / "ann" / "codes").exists():
        return ""
    try:
        about, _, _ = read_about(folder, identity)
        for part in about.parts:
            map_part(folder, part, *about.shape, thorough=True)
    except CodesUnusable as error:
        return str(error)
    if not about.segments <= {info.key for info in segments}:
        return "the codes are those of other segments"
    return ""


def read_about(folder: Path, identity: str) -> tuple[About, FloatVector, FloatMatrix]:
    """What `ann/codes` says, the centre (d,) and the centres of the lists (lists, d). Raises CodesUnusable."""
    try:
        data = memoryview((folder / "ann" / "codes").read_bytes())  # 9 MB at a million rows: not to be copied
    except OSError as error:
        raise CodesUnusable(f"the codes cannot be read: {error}") from error
    start = len(_MAGIC) + _LENGTH.size
    sound = len(data) > start + _LENGTH.size and data[: len(_MAGIC)] == _MAGIC
    if not sound or zlib.crc32(data[: -_LENGTH.size]) != _LENGTH.unpack(data[-_LENGTH.size :])[0]:
        raise CodesUnusable("the codes differ from their checksum")
    end = start + _LENGTH.unpack(data[len(_MAGIC) : start])[0]
    try:
        about = _about(json.loads(bytes(data[start:end])))
    except (ValueError, KeyError, TypeError) as error:
        raise CodesUnusable(f"what the codes say of themselves cannot be read: {error}") from error
    numbers = data[end : -_LENGTH.size]
    if about.identity != identity:
        raise CodesUnusable("the codes are those of another index")
    if min(about.dimension, about.lists, about.rescored) < 1 or not about.margin >= 0 or not about.parts:
        raise CodesUnusable("what the codes say of themselves makes no sense")
    if len(numbers) != 4 * about.dimension + 2 * about.dimension * about.lists:
        raise CodesUnusable("the codes are cut off")
    centre = np.frombuffer(numbers, "<f4", about.dimension).copy()
    centroids = wide(np.frombuffer(numbers, "<f2", offset=centre.nbytes).reshape(about.lists, about.dimension))
    if not (np.isfinite(centre).all() and np.isfinite(centroids).all()):
        raise CodesUnusable("a centre of the codes is not a number")
    return about, centre, centroids


def _about(said: dict[str, Any]) -> About:
    parts = tuple(
        Part(
            str(part["name"]),
            int(part["rows"]),
            int(part["crc"]),
        )
        for part in said["parts"]
    )
    if not all(_PART.fullmatch(part.name) and part.rows > 0 for part in parts):  # a name becomes a path
        raise ValueError("a part has an impossible name or length")
    numbers: dict[str, Any] = {name: int(said[name]) for name in ("dimension", "lists", "rescored", "measured")}
    segments = frozenset((str(name), int(crc)) for name, crc in said["segments"])
    numbers |= {name: float(said[name]) for name in ("margin", "recall")}
    return About(identity=str(said["identity"]), segments=segments, parts=parts, **numbers)


def write_about(folder: Path, about: About, centre: FloatVector, centroids: FloatMatrix) -> None:
    """Put it in the place of the one before; parts that it does not name are deleted. No link is written through.

    `centroids` are numbers of half precision, and kept as such.
    """
    text = json.dumps({**asdict(about), "segments": sorted(about.segments)}).encode()
    data = b"".join(
        (_MAGIC, _LENGTH.pack(len(text)), text, centre.astype("<f4").tobytes(), centroids.astype("<f2").tobytes())
    )
    place = folder / "ann"
    new = place / "codes.new"
    new.unlink(missing_ok=True)  # left over from a crash, or a link to a file that is not ours
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(data + _LENGTH.pack(zlib.crc32(data)))
    new.replace(place / "codes")
    named = {part.name for part in about.parts}
    for path in place.glob("part-*"):
        if path.name not in named:
            path.unlink()


def map_part(folder: Path, part: Part, lists: int, dimension: int, *, thorough: bool = False) -> Stretch:
    """Map a part; small ones, and all where `thorough`, are compared with their checksum. Raises CodesUnusable."""
    from ragkit.store.ann import code_bytes

    path = folder / "ann" / part.name
    width = code_bytes(dimension)
    ids_at = 8 * (lists + 1)
    codes_at = ids_at + 8 * part.rows
    size = codes_at + width * part.rows
    try:
        if path.is_symlink() or path.stat().st_size != size:
            raise CodesUnusable(f"{path} does not have its {size} bytes")
        # As text: numpy breaks where Ctrl-C comes while it asks a Path for that.
        body = np.memmap(str(path), np.uint8, mode="r").view(np.ndarray)
    except OSError as error:
        raise CodesUnusable(f"the codes cannot be read: {error}") from error
    if (thorough or size <= _READ_THROUGH) and zlib.crc32(body.data) != part.crc:
        raise CodesUnusable(f"{path} differs from its checksum")
    starts = body[:ids_at].view("<i8").copy()
    if starts[0] != 0 or starts[-1] != part.rows or (np.diff(starts) < 0).any():
        raise CodesUnusable(f"the lists of {path} are out of order")
    ids = body[ids_at:codes_at].view("<i8")
    return Stretch(
        cast("IntVector", starts), cast("IntVector", ids), cast("CodeMatrix", body[codes_at:].reshape(-1, width))
    )


def write_part(folder: Path, sources: Sequence[Stretch], alive: Alive | None = None) -> Part | None:
    """A new part of the rows of all these; where given, of those whose ids are `alive`. None where there are none.

    Some lists at a time are in memory, however many rows there are.
    """
    import uuid  # 3 ms that no search need pay

    counts = np.zeros(len(sources[0].starts), np.int64)
    for lists, _, _ in _portions(sources, alive):
        counts += np.bincount(lists + 1, minlength=len(counts))
    starts = np.cumsum(counts)
    if not starts[-1]:
        return None
    place = folder / "ann"
    place.mkdir(mode=0o700, exist_ok=True)
    name = f"part-{uuid.uuid4().hex}"
    crc = 0
    with os.fdopen(os.open(place / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        for array in chain([starts.astype("<i8")], _columns(sources, alive)):
            crc = zlib.crc32(array.data, crc)
            file.write(array.data)
    return Part(name, int(starts[-1]), crc)


def _columns(sources: Sequence[Stretch], alive: Alive | None) -> Iterator[np.ndarray[Any, Any]]:
    """The ids, and after them the codes, as a part has them."""
    columns: tuple[Callable[[Stretch], np.ndarray[Any, Any]], ...] = attrgetter("ids"), attrgetter("codes")
    for column in columns:
        for _, spans, order in _portions(sources, alive):
            yield np.concatenate([column(source)[span] for source, span in zip(sources, spans, strict=True)])[order]


def _portions(
    sources: Sequence[Stretch], alive: Alive | None
) -> Iterator[tuple[IntVector, list[slice[int, int, None]], IntVector]]:
    """Some lists after others: the list of each row, where they stand in each of the sources, and their order."""
    held = np.cumsum(sum(np.diff(source.starts) for source in sources))
    low = before = 0
    while low < len(held):
        high = max(low + 1, int(np.searchsorted(held, before + MOVED, side="right")))
        spans = [slice(int(source.starts[low]), int(source.starts[high])) for source in sources]
        of = [np.repeat(np.arange(low, high), np.diff(source.starts[low : high + 1])) for source in sources]
        lists = np.concatenate(of)
        order = np.argsort(lists, kind="stable")
        if alive is not None:
            ids = np.concatenate([source.ids[span] for source, span in zip(sources, spans, strict=True)])
            order = order[alive(ids)[order]]
        yield lists[order], spans, order
        low, before = high, int(held[high - 1])
