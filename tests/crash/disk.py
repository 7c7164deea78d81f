"""What a disk may hold after the power failed: the trace of a life, replayed onto files and folders.

A write is safe once its file was synced; a name, once its folder was. What is not safe may be there or not, each
change by itself, and of a write any sectors of 512 bytes. It knows nothing of stores.
"""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath

SECTOR = 512  # bytes that reach the disk together
_HEAD = struct.Struct("<cHHQQQ")  # operation, lengths of two paths, inode, offset, length of the data

Change = tuple[int, bytes | None]  # a write at an offset; a file cut or grown to that length where there is no data
MODES = ("all", "none", "names only", "data only")  # and any other name for chance


@dataclass(frozen=True, slots=True)
class Record:
    """One call as shim.c wrote it: C made, W wrote, T cut, S file synced, D folder synced, F a sync that failed,
    R renamed, U deleted, M folder made, N a number of the harness's own.
    """

    operation: str
    path: str
    other: str
    number: int
    offset: int
    data: bytes


def read_trace(path: Path) -> Iterator[Record]:
    data = path.read_bytes()
    at = 0
    while at < len(data):
        operation, first, second, number, offset, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        parts = []
        for size in (first, second, length):
            parts.append(data[at : at + size])
            at += size
        yield Record(operation.decode(), parts[0].decode(), parts[1].decode(), number, offset, parts[2])


@dataclass(slots=True, eq=False)
class File:
    safe: bytearray = field(default_factory=bytearray)
    waiting: list[Change] = field(default_factory=list)
    _digest: bytes = b""

    def change(self, offset: int, data: bytes | None) -> None:
        self.waiting.append((offset, data))

    def sync(self) -> None:
        for change in self.waiting:
            _apply(self.safe, change)
        self.waiting = []
        self._digest = b""

    def after(self, mode: str, chance: random.Random) -> tuple[bytes | bytearray, bytes]:
        """What may be left of it, with its digest."""
        kept = list(_kept(self.waiting, mode, chance)) if self.waiting else []
        if not kept:
            self._digest = self._digest or _digest(self.safe)
            return self.safe, self._digest
        content = bytearray(self.safe)
        for change in kept:
            _apply(content, change)
        return content, _digest(content)


def _digest(content: bytes | bytearray) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


@dataclass(slots=True, eq=False)
class Folder:
    now: dict[str, File | Folder] = field(default_factory=dict)
    safe: dict[str, File | Folder] = field(default_factory=dict)
    waiting: list[dict[str, File | Folder | None]] = field(default_factory=list)

    def name(self, names: dict[str, File | Folder | None]) -> None:
        """Give names or, with None, take them away: one change, of which a crash leaves all or nothing."""
        _rename(self.now, names)
        self.waiting.append(names)

    def sync(self) -> None:
        self.safe, self.waiting = dict(self.now), []

    def after(self, mode: str, chance: random.Random) -> dict[str, File | Folder]:
        share = {"all": 1.0, "names only": 1.0, "none": 0.0, "data only": 0.0}.get(mode, chance.choice((0.0, 0.5, 1.0)))
        found = dict(self.safe)
        for names in self.waiting:
            if chance.random() < share:
                _rename(found, names)
        return found


class Disk:
    """Everything below `root`, as the calls up to some moment left it."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._top = Folder()
        self._files: dict[int, File] = {}  # by inode

    def do(self, record: Record) -> None:
        match record.operation:
            case "C":
                self._files[record.number] = made = File()
                self._name(record.path, made)
            case "O":  # in no folder: of it nothing is left
                self._files[record.number] = File()
            case "M":
                self._name(record.path, Folder())
            case "W":
                self._files[record.number].change(record.offset, record.data)
            case "T":
                self._files[record.number].change(record.offset, None)
            case "S":
                self._files[record.number].sync()
            case "D":
                self._folder(record.path).sync()
            case "F":  # the system drops what it could not write, and thinks that it is written
                if record.number in self._files:
                    self._files[record.number].waiting = []
            case "U":
                self._name(record.path, None)
            case "R":
                old, new = PurePosixPath(record.path), PurePosixPath(record.other)
                moved = self._folder(str(old.parent)).now[old.name]
                if old.parent == new.parent:
                    self._folder(str(old.parent)).name({old.name: None, new.name: moved})
                else:
                    self._name(record.other, moved)
                    self._name(record.path, None)
            case "N":
                pass
            case other:
                raise ValueError(f"the replay does not know the call {other!r} on {record.path}")

    def waits(self, besides: tuple[str, ...]) -> bool:
        """Whether anything waits to be safe, besides what is below these paths and SQLite's shared memory."""
        return any(
            thing.waiting and not path.startswith(besides) and not path.endswith("-shm")
            for path, thing in self._walk(self._top, "")
        )

    def after(self, mode: str, chance: random.Random) -> dict[str, tuple[bytes | bytearray, bytes]]:
        """One state that a loss of power now may leave: content and digest of every file, by path below the root."""
        found: dict[str, tuple[bytes | bytearray, bytes]] = {}

        def collect(folder: Folder, at: str) -> None:
            for name, thing in folder.after(mode, chance).items():
                if isinstance(thing, Folder):
                    collect(thing, f"{at}{name}/")
                elif not name.endswith("-shm"):  # shared memory of SQLite's, made anew after any crash
                    found[at + name] = thing.after(mode, chance)

        collect(self._top, "")
        return found

    def _walk(self, folder: Folder, at: str) -> Iterator[tuple[str, File | Folder]]:
        yield at, folder
        for name, thing in folder.now.items():
            if isinstance(thing, Folder):
                yield from self._walk(thing, f"{at}{name}/")
            else:
                yield at + name, thing

    def _folder(self, path: str) -> Folder:
        folder = self._top
        for name in PurePosixPath(path).relative_to(self._root).parts:
            below = folder.now[name]
            assert isinstance(below, Folder), path
            folder = below
        return folder

    def _name(self, path: str, thing: File | Folder | None) -> None:
        pure = PurePosixPath(path)
        self._folder(str(pure.parent)).name({pure.name: thing})


def _rename(entries: dict[str, File | Folder], names: dict[str, File | Folder | None]) -> None:
    for name, thing in names.items():
        if thing is None:
            entries.pop(name, None)
        else:
            entries[name] = thing


def _kept(waiting: list[Change], mode: str, chance: random.Random) -> Iterator[Change]:
    """Which changes, and which sectors of them, reached the disk."""
    if mode in MODES:
        yield from waiting if mode in ("all", "data only") else ()
        return
    share, torn = chance.choice(((0.0, 0.0), (1.0, 0.0), (0.5, 0.25), (0.9, 0.1), (0.1, 0.1)))
    for offset, data in waiting:
        drawn = chance.random()
        if drawn < share:
            yield offset, data
        elif data is not None and drawn < share + torn:
            # Sectors of the file, not of the write: what stands in one sector goes or stays together.
            edges = [offset, *range(offset // SECTOR * SECTOR + SECTOR, offset + len(data), SECTOR), offset + len(data)]
            for start, end in pairwise(edges):
                if chance.random() < 0.5:
                    yield start, data[start - offset : end - offset]


def _apply(content: bytearray, change: Change) -> None:
    offset, data = change
    end = offset + (0 if data is None else len(data))
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset:end] = data
