"""Walking a folder and opening what is in it, safely: regular files below it and nothing else.

Hidden files and folders are passed over, and so are indexes. What cannot be read is a problem with a name, never left
out in silence. It knows nothing of formats, except that NAME.meta.json belongs to NAME.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import sys
import time
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from ragkit.errors import LoadError
from ragkit.numbers import number
from ragkit.reports import FileStamp, Problem
from ragkit.types import Metadata

SIDECAR = ".meta.json"
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
_FOLDER = getattr(os, "O_DIRECTORY", 0)
_BY_NAMES = {os.open, os.stat} <= os.supports_dir_fd and os.scandir in os.supports_fd  # not on Windows
_BLOCK = 1 << 20
_PORTION = 512  # of what a folder holds that is looked at at once
_LONGEST_SIDECAR = 1 << 20  # bytes
_INDEX = {"catalog.sqlite", "writer.lock"}  # every index holds these, and no folder of documents


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below the folder. `source` is its POSIX path relative to the folder; `problem` why it cannot be read.

    `root` is the folder, with which `path` begins; `most` the bytes that it may have when it is opened.
    """

    source: str
    path: str
    stamp: FileStamp = FileStamp()  # noqa: RUF009 - frozen
    problem: Problem | None = None
    root: str = ""
    most: int = sys.maxsize


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is open at its start, with the sha256 of its bytes and what its sidecar says."""

    stream: BinaryIO
    sha256: str
    stamp: FileStamp
    metadata: Metadata


def walk(folder: Path, *, max_file_size: int, without: Path | None = None) -> Iterator[FoundFile]:
    """Every file below the folder that is not hidden, in order of path within each folder; none of `without`."""
    left_out = "" if without is None else os.fspath(without) + os.sep
    place = _Place(os.fspath(folder), os.path.realpath(folder), max_file_size)
    # Without recursion: how deep folders may lie is the file system's business and not the interpreter's.
    waiting = [_listing(place, "", "")]
    while waiting:
        for found in waiting[-1]:
            if isinstance(found, _Folder):
                waiting.append(_listing(place, found.source + "/", found.below))
                break
            if not left_out or not found.path.startswith(left_out):
                yield found
        else:
            waiting.pop()


def find(path: Path, *, max_file_size: int) -> FoundFile:
    """One file, as `walk` of its folder would find it; with a problem where it would not be found."""
    place = _Place(os.fspath(path.parent), os.path.realpath(path.parent), max_file_size)
    found = _listing(place, "", "", only=(path.name, path.name + SIDECAR))
    for file in found:
        if isinstance(file, FoundFile) and file.path == os.fspath(path):
            return file
        if isinstance(file, FoundFile) and file.problem and file.problem.code == "unreadable_folder":
            return replace(file, source=path.name)
    return FoundFile(path.name, os.fspath(path), problem=Problem("a hidden file", "rename it"))


@dataclass(frozen=True, slots=True)
class _Place:
    """The folder of a walk: as it was named, as it really is; and the size of the largest file to read."""

    root: str
    real: str
    most: int

    def path(self, below: str) -> str:
        return os.path.join(self.root, below)  # noqa: PTH118 - this loop is hot


@dataclass(frozen=True, slots=True)
class _Folder:
    source: str
    below: str


def _listing(place: _Place, prefix: str, below: str, only: tuple[str, ...] = ()) -> Iterator[FoundFile | _Folder]:
    """What one folder holds, in order of name; `below` is its path relative to the root, "" for the root.

    Names are held, of which there may be a million, and what is found of them some at a time; so it is open while it
    is looked at, and not while those below it are.
    """
    names: _Names | None = None
    done = 0
    try:
        while names is None or done < len(names.every):
            with _folder(place.root, below) as folder:
                if names is None:
                    names = _names(folder, only)
                    if below and _INDEX.issubset(names.every):
                        return
                portion = names.every[done : done + _PORTION]
                found = [each for name in portion if (each := _entry(name, folder, names, place, prefix, below))]
            done += _PORTION
            yield from found
    except OSError as error:
        problem = Problem(
            f"the folder cannot be read: {error.strerror}", "mend its permissions", code="unreadable_folder"
        )
        yield FoundFile(prefix, place.path(below), problem=problem)


@dataclass(frozen=True, slots=True)
class _Names:
    """The names in a folder in order, which of them are links and folders, and the sidecars' stamps by their files."""

    every: list[str]
    links: set[str]
    folders: set[str]
    sidecars: dict[str, str]


def _names(folder: int | str, only: tuple[str, ...]) -> _Names:
    every: list[str] = []
    links: set[str] = set()
    folders: set[str] = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if only and entry.name not in only:
                continue
            every.append(entry.name)
            with suppress(OSError):  # the system had to be asked; it is asked again, and then reported
                if entry.is_symlink():
                    links.add(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.add(entry.name)
    every.sort()
    owners = {name.removesuffix(SIDECAR) for name in every if name.endswith(SIDECAR)}.intersection(every)
    sidecars = {}
    for owner in owners:
        with suppress(FileNotFoundError):  # deleted since the folder was listed
            details = _details(folder, owner + SIDECAR)
            if stat.S_ISREG(details.st_mode):
                sidecars[owner] = f"{details.st_size}:{details.st_mtime_ns}"
    return _Names(every, links, folders, sidecars)


def _details(folder: int | str, name: str) -> os.stat_result:
    """Of a link its own. Raises OSError."""
    if isinstance(folder, int):
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    return os.lstat(os.path.join(folder, name))  # noqa: PTH118 - this loop is hot


@contextmanager
def _folder(root: str, below: str) -> Iterator[int | str]:
    """A folder, open where the system can list one that is, else by its path. Raises OSError for a link below the root.

    From the root it is reached name by name, so that no link that is put there meanwhile leads out of it.
    """
    if not _BY_NAMES:
        yield os.path.join(root, below)  # noqa: PTH118
        return
    here = os.open(root, os.O_RDONLY | os.O_CLOEXEC | _FOLDER)
    try:
        for name in below.split(os.sep) if below else ():  # noqa: PTH206 - no Path for each of many folders
            deeper = os.open(name, _FLAGS | _FOLDER, dir_fd=here)
            os.close(here)
            here = deeper
        yield here
    finally:
        os.close(here)


def _entry(
    name: str, folder: int | str, names: _Names, place: _Place, prefix: str, below: str
) -> FoundFile | _Folder | None:
    is_sidecar = name.endswith(SIDECAR) and name.removesuffix(SIDECAR) in names.sidecars
    if is_sidecar or name.startswith("."):
        return None
    source = prefix + name
    relative = f"{below}{os.sep}{name}" if below else name
    path = place.path(relative)
    if not is_text(source):
        return FoundFile(_shown(source), path, problem=Problem("its name is not valid UTF-8", "rename it", code="name"))
    if name in names.folders:
        return _Folder(source, relative)
    try:
        if name in names.links:
            return _link(path, source, place.real)
        details = _details(folder, name)
    except OSError as error:
        return FoundFile(source, path, problem=Problem(_reason(error), "look at its permissions and its disk"))
    stamp = FileStamp(details.st_size, details.st_mtime_ns, sidecar=names.sidecars.get(name, ""))
    return FoundFile(source, path, stamp, _file_problem(details, place.most), place.root, place.most)


def _link(path: str, source: str, root: str) -> FoundFile | None:
    """Links are not followed. One to a place in the folder loses nothing: the place itself is indexed."""
    target = os.path.realpath(path)
    if not os.path.exists(target):  # noqa: PTH110 - a string is at hand, and this loop is hot
        return FoundFile(source, path, problem=Problem("a link that leads nowhere", "mend or delete it", code="link"))
    if target != root and not target.startswith(os.path.join(root, "")):  # noqa: PTH118 - as above
        problem = Problem("a link that leads out of the folder", f"index {_shown(target)} itself", code="link")
        return FoundFile(source, path, problem=problem)
    return None


def _shown(name: str) -> str:
    """A name of any bytes as text that can be stored and printed."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _file_problem(details: os.stat_result, max_file_size: int) -> Problem | None:
    if not stat.S_ISREG(details.st_mode):
        return Problem("not a regular file (a pipe, a socket or a device)", "move it out of the folder", code="kind")
    if details.st_size > max_file_size:
        reason = f"it has {number(details.st_size)} bytes, the limit is {number(max_file_size)}"
        return Problem(reason, "split it, or raise max_file_size", code="too_large")
    return None


@contextmanager
def opened(file: FoundFile) -> Iterator[OpenFile]:
    """Open the file and read its checksum. Raises LoadError where it cannot be read or is not what was found.

    Raises it too at the end of the block, when the file has changed since: what was read is no version of it.
    """
    with _regular(file, file.path) as stream:
        before = os.fstat(stream.fileno())
        if problem := _file_problem(before, file.most):
            raise _load_error(problem.reason, problem.cure, problem.code)
        checked_ns = time.time_ns()
        sha256 = _checksum(stream, before.st_size, file.most)
        stamp = FileStamp(before.st_size, before.st_mtime_ns, checked_ns, file.stamp.sidecar)
        try:
            yield OpenFile(stream, sha256, stamp, _sidecar_metadata(file))
        except LoadError as error:  # half a file may be read as a damaged one
            _check_unchanged(stream, before, error)
            raise
        _check_unchanged(stream, before)


def _check_unchanged(stream: BinaryIO, before: os.stat_result, cause: LoadError | None = None) -> None:
    after = os.fstat(stream.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise _load_error("it changed while it was read", "index again when it is finished", "changed") from cause


def _regular(file: FoundFile, path: str) -> BinaryIO:
    """The open file at `path`, which is regular and has no link above it up to the root. Raises LoadError."""
    folder, name = os.path.split(path)
    try:
        if _BY_NAMES:
            root = file.root or folder
            with _folder(root, folder[len(root) :].strip(os.sep)) as place:
                handle = os.open(name, _FLAGS, dir_fd=int(place))
        else:
            handle = os.open(path, _FLAGS)
    except OSError as error:
        raise _load_error(_reason(error), "look at its permissions and its disk") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # before Python makes a file of it, which a folder cannot be
        os.close(handle)
        raise _load_error("it is no longer a regular file", "index again")
    return os.fdopen(handle, "rb")


def _checksum(stream: BinaryIO, size: int, most: int) -> str:
    """The sha256 of all bytes; the stream stands at its start again. Raises LoadError."""
    digest, left, block = hashlib.sha256(), most, bytearray(min(max(size, 1 << 12), _BLOCK))
    try:
        while read := stream.readinto(block):  # type: ignore[attr-defined]  # a BufferedReader has it
            left -= read
            if left < 0:  # whoever writes on may be faster than this loop
                raise _load_error(f"it grew beyond {number(most)} bytes while it was read", "index again", "too_large")
            digest.update(memoryview(block)[:read])
        stream.seek(0)
    except OSError as error:
        raise _load_error(_reason(error), "look at its disk") from error
    return digest.hexdigest()


def _sidecar_metadata(file: FoundFile) -> Metadata:
    """The keys of NAME.meta.json. Raises LoadError where that is not a flat JSON object."""
    if not file.stamp.sidecar:
        return {}
    try:
        with _regular(file, file.path + SIDECAR) as stream:
            fields = json.loads(stream.read(_LONGEST_SIDECAR))
    except LoadError as error:
        raise _load_error(f"its {SIDECAR}: {error.message}", error.hint, "sidecar") from error
    except (OSError, ValueError, RecursionError) as error:
        raise _load_error(f"its {SIDECAR} cannot be read: {error}", "write it as one JSON object", "sidecar") from error
    fault = metadata_fault(fields) if isinstance(fields, dict) else "it is no JSON object"
    if fault:
        raise _load_error(f"its {SIDECAR}: {fault}", 'write it like {"year": 2024, "author": "…"}', "sidecar")
    return composed(fields)


def metadata_fault(metadata: Mapping[Any, Any]) -> str:
    """What of the metadata cannot be stored and compared; empty where all can."""
    if not isinstance(metadata, Mapping):
        return f"its metadata is no mapping of names to values: {metadata!r:.40}"
    names: set[str] = set()
    for key, value in metadata.items():
        if not isinstance(key, str) or not key or not is_text(key):
            return f"the key {key!r} is no name"
        if (name := _composed(key)) in names:
            return f"two of its keys are the same name, {name!r}"
        names.add(name)
        if isinstance(value, str):
            if not is_text(value):
                return f"the value of {key!r} is not valid Unicode: {value!r:.40}"
        elif not isinstance(value, int | float):
            return f"the value of {key!r} is {value!r:.40}, neither text nor number"
        elif not abs(value) < 1 << 63:  # so that it is true of what is no number
            return f"the value of {key!r} is no number of common size: {value!r:.40}"
    return ""


def composed(metadata: Metadata) -> Metadata:
    """The metadata in NFC, as texts are stored: й in a key or a value is one character, however it was written."""
    return {_composed(key): _composed(value) if isinstance(value, str) else value for key, value in metadata.items()}


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def is_text(text: str) -> bool:
    """Whether it is valid Unicode: a lone surrogate is not."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _load_error(message: str, hint: str, code: str = "unreadable") -> LoadError:
    error = LoadError(message, hint)
    error.code = code
    return error


def _reason(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return "it has become a link"
    if error.errno == errno.ENOTDIR:
        return "a folder above it has become something else"
    return f"it cannot be read: {error.strerror or error}"
