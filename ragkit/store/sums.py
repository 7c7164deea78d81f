"""Checksums of the word index's files, noted after each update, since tantivy compares its own only when asked.

Opening an index looks at the size and the times of each file, and reads again the ones that were touched since they
were noted: a damage that the file system knows of is noticed then, one that it does not know of by reading all.
"""

from __future__ import annotations

import json
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragkit.store.catalog import Catalog
from ragkit.store.inverted import LexicalUnusable

_NAME = "sums.json"
_READ = 1 << 20  # bytes at once: files have hundreds of millions
_LONGEST_FOOTER = 1 << 12  # bytes; tantivy's has about 100
_PARTS = ("chunks", "sections", "words")
_COMMITS = "meta.json"  # the segments that count; replaced by every commit
_OWN_FILES = ".managed.json"  # what may be deleted one day; replaced before a file is made, and after some are deleted
_LISTS = (_COMMITS, _OWN_FILES)  # all other files are written once
_UNFINISHED = ".tmp"  # what the names of lists begin with until they are whole
_FOOTER = re.compile(rb'"crc":(\d+)\}')
_CURE = "it is made again from the catalog when the index is next used"


@dataclass(frozen=True, slots=True)
class Noted:
    """The generation of the note, and the parts whose list of segments is no longer the one that was noted."""

    generation: int
    other_lists: frozenset[str]

    def compare(self, path: Path, generations: Mapping[str, int]) -> None:
        """Raise LexicalUnusable where the parts, which say that they are at these generations, are not what was noted.

        A list of segments may differ where a part is newer: a writer is just noting it, or could not any more. Words
        are not written at each generation, so a part may be older whose list is the one that was noted.
        """
        for part, generation in generations.items():
            if generation <= self.generation and part in self.other_lists:
                raise LexicalUnusable(f"the list of segments of {path / part} differs from its checksum", _CURE)


def note(catalog: Catalog, path: Path, generation: int) -> None:
    """Note the checksums of a word index that was just brought to `generation`. Only the writer may.

    Raises LexicalUnusable where a file is not what it was, or not what tantivy wrote.
    """
    try:
        before = _read(path)["files"]
    except LexicalUnusable:
        before = {}
    for part in _PARTS:
        for unfinished in (path / part).glob(_UNFINISHED + "*"):  # by a death
            with suppress(OSError):  # it takes room, and nobody reads it
                unfinished.unlink()
    files = {}
    for name, stat in _files(path):
        known = before.get(name)
        if not known or known[:3] != _stamp(stat):
            found = _crc(path / name)
            if known and known[3] != found and not name.endswith(_LISTS):
                raise LexicalUnusable(f"{path / name} differs from its checksum", _CURE)
            if not known and not _is_whole(path / name):
                raise LexicalUnusable(f"{path / name} differs from the checksum at its end", _CURE)
            known = [*_stamp(stat), found]
        files[name] = known
    said = {
        "identity": catalog.identity(),
        "generation": generation,
        "state": catalog.meta().get("state", ""),
        "files": files,
    }
    text = json.dumps(said)
    new = path / f"{_NAME}.new"
    new.unlink(missing_ok=True)  # left over from a crash, or a link to a file that is not ours
    whole = json.dumps({"sums": said, "crc": zlib.crc32(text.encode())}).encode()
    handle = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        while whole:
            whole = whole[os.write(handle, whole) :]
    finally:
        os.close(handle)
    new.replace(path / _NAME)


def verify(catalog: Catalog, path: Path, *, thorough: bool = False) -> Noted:
    """Compare the files of a word index with what was noted of them, before anything reads them.

    Raises LexicalUnusable where it belongs to another index, or to a copy of this one that went another way, and
    where a file is damaged. What a writer added since the note is compared with tantivy's own checksums when
    `thorough`, which reads every file.
    """
    said = _read(path)
    noted = said["generation"]
    of_here = said["identity"] == catalog.identity()
    if not of_here or (noted == catalog.generation() and said["state"] != catalog.meta().get("state", "")):
        raise LexicalUnusable(f"the word index at {path} is of another index", _CURE)
    lists = set()
    for name, stat in _files(path):
        known = said["files"].get(name)
        if known is None:
            if thorough and not _is_whole(path / name):
                raise LexicalUnusable(f"{path / name} differs from the checksum at its end", _CURE)
        elif (thorough or known[:3] != _stamp(stat)) and _crc(path / name) != known[3]:
            part, _, file = name.partition("/")
            if file == _COMMITS:
                lists.add(part)
            elif file != _OWN_FILES or not _names_all(path / name, said["files"]):
                raise LexicalUnusable(f"{path / name} differs from its checksum", _CURE)
    return Noted(noted, frozenset(lists))


def is_noted(path: Path, generation: int) -> bool:
    """Whether the note is of this generation, and of the files as the file system knows them."""
    try:
        said = _read(path)
    except LexicalUnusable:
        return False
    found = {name: _stamp(stat) for name, stat in _files(path)}
    return said["generation"] == generation and found == {name: known[:3] for name, known in said["files"].items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        whole = json.loads(b"".join(_pieces(path / _NAME)))
        said: dict[str, Any] = whole["sums"]
        if whole["crc"] == zlib.crc32(json.dumps(said).encode()):
            return said
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LexicalUnusable(f"the checksums of {path} cannot be read: {error}", _CURE) from error
    raise LexicalUnusable(f"the checksums of {path} are damaged", _CURE)


def _files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    for part in _PARTS:
        try:
            with os.scandir(path / part) as entries:
                for entry in entries:
                    if not entry.name.endswith(".lock") and not entry.name.startswith(_UNFINISHED):
                        yield f"{part}/{entry.name}", entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # a writer has replaced the index, or deleted a file of an older commit
            continue


def _names_all(own_files: Path, noted: Iterable[str]) -> bool:
    """Whether tantivy's list of its own files still names those that were noted, but for what is deleted.

    A writer adds to it as it goes, long before the commit: that others are named says nothing. Their names are taken
    out after they are gone.
    """
    folder = own_files.parent
    try:
        named = set(json.loads(b"".join(_pieces(own_files))))
    except (OSError, ValueError, TypeError):
        return False
    files = [file for part, _, file in (name.partition("/") for name in noted) if part == folder.name]
    return all(file in named or file == _OWN_FILES or not (folder / file).exists() for file in files)


def _stamp(stat: os.stat_result) -> list[int]:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _crc(path: Path) -> int:
    try:
        return _crc_of(_pieces(path))
    except FileNotFoundError:
        return -1


def _crc_of(pieces: Iterable[bytes]) -> int:
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return crc


def _pieces(path: Path, start: int = 0, end: int = sys.maxsize) -> Iterator[bytes]:
    """The bytes from start to end, by handle: an interrupt finds no file object that is not closed yet."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        os.lseek(handle, start, os.SEEK_SET)
        while piece := os.read(handle, min(_READ, end - start)):
            start += len(piece)
            yield piece
    finally:
        os.close(handle)


def _is_whole(path: Path) -> bool:
    """Whether a file agrees with tantivy's own checksum: JSON with the crc32 of all before it, its length, a magic."""
    if path.name in _LISTS:
        return True
    size = path.stat().st_size
    ending = b"".join(_pieces(path, max(0, size - _LONGEST_FOOTER)))
    length = int.from_bytes(ending[-8:-4], "little")
    left = size - 8 - length
    found = _FOOTER.search(ending[-8 - length : -8])
    return left >= 0 and found is not None and _crc_of(_pieces(path, 0, left)) == int(found[1])
