"""Walking a folder and opening what is in it, safely: regular files below it and nothing else.

Hidden files and folders are passed over. What cannot be read is a problem with a name, never left out in
silence. It knows nothing of formats, except that NAME.meta.json belongs to NAME.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ragkit.errors import LoadError
from ragkit.reports import FileStamp, Problem
from ragkit.types import Metadata

SIDECAR = ".meta.json"
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below the folder. `source` is its POSIX path relative to the folder; `problem` why it cannot be read."""

    source: str
    path: str
    stamp: FileStamp = FileStamp()  # noqa: RUF009 - frozen
    problem: Problem | None = None


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
    for file in _walk(os.fspath(folder), "", os.path.realpath(folder), max_file_size):
        if not left_out or not file.path.startswith(left_out):
            yield file


def find(path: Path, *, max_file_size: int) -> FoundFile:
    """One file, as `walk` of its folder would find it; with a problem where it would not be found."""
    with os.scandir(path.parent) as entries:
        siblings = [entry for entry in entries if entry.name in (path.name, path.name + SIDECAR)]
    found = [
        file
        for entry in siblings
        if entry.name == path.name
        for file in _entry(entry, "", os.path.realpath(path.parent), _sidecars(siblings), max_file_size)
    ]
    return found[0] if found else FoundFile(path.name, os.fspath(path), problem=Problem("a hidden file", "rename it"))


def _walk(folder: str, prefix: str, root: str, max_file_size: int) -> Iterator[FoundFile]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        reason = f"the folder cannot be read: {error.strerror}"
        yield FoundFile(f"{prefix}", folder, problem=Problem(reason, "mend its permissions", code="unreadable_folder"))
        return
    sidecars = _sidecars(entries)
    for entry in entries:
        yield from _entry(entry, prefix, root, sidecars, max_file_size)


def _sidecars(entries: list[os.DirEntry[str]]) -> dict[str, str]:
    """The stamp of each sidecar by the name of the file that it belongs to."""
    names = {entry.name for entry in entries}
    stamps = {}
    for entry in entries:
        owner = entry.name.removesuffix(SIDECAR)
        if owner != entry.name and owner in names and entry.is_file(follow_symlinks=False):
            details = entry.stat(follow_symlinks=False)
            stamps[owner] = f"{details.st_size}:{details.st_mtime_ns}"
    return stamps


def _entry(
    entry: os.DirEntry[str], prefix: str, root: str, sidecars: dict[str, str], max_file_size: int
) -> Iterator[FoundFile]:
    is_sidecar = entry.name.endswith(SIDECAR) and entry.name.removesuffix(SIDECAR) in sidecars
    if is_sidecar or entry.name.startswith("."):
        return
    source = prefix + entry.name
    try:
        source.encode()
    except UnicodeEncodeError:
        shown = source.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        yield FoundFile(shown, entry.path, problem=Problem("its name is not valid UTF-8", "rename it", code="name"))
        return
    try:
        if entry.is_symlink():
            yield from _link(entry, source, root)
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, source + "/", root, max_file_size)
        else:
            details = entry.stat(follow_symlinks=False)
            stamp = FileStamp(details.st_size, details.st_mtime_ns, sidecar=sidecars.get(entry.name, ""))
            yield FoundFile(source, entry.path, stamp, _file_problem(details, max_file_size))
    except OSError as error:
        yield FoundFile(source, entry.path, problem=Problem(_reason(error), "look at its permissions and its disk"))


def _link(entry: os.DirEntry[str], source: str, root: str) -> Iterator[FoundFile]:
    """Links are not followed. One to a place in the folder loses nothing: the place itself is indexed."""
    target = os.path.realpath(entry.path)
    if not os.path.exists(target):  # noqa: PTH110 - a string is at hand, and this loop is hot
        yield FoundFile(
            source, entry.path, problem=Problem("a link that leads nowhere", "mend or delete it", code="link")
        )
    elif target != root and not target.startswith(root + os.sep):
        problem = Problem("a link that leads out of the folder", f"index {target} itself", code="link")
        yield FoundFile(source, entry.path, problem=problem)


def _file_problem(details: os.stat_result, max_file_size: int) -> Problem | None:
    if not stat.S_ISREG(details.st_mode):
        return Problem("not a regular file (a pipe, a socket or a device)", "move it out of the folder", code="kind")
    if details.st_size > max_file_size:
        reason = f"it has {details.st_size:,} bytes, the limit is {max_file_size:,}"
        return Problem(reason, "split it, or raise max_file_size", code="too_large")
    return None


@contextmanager
def opened(file: FoundFile) -> Iterator[OpenFile]:
    """Open the file and read its checksum. Raises LoadError where it cannot be read or is not what was found.

    Raises it too at the end of the block, when the file has changed since: what was read is no version of it.
    """
    try:
        handle = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | _NO_FOLLOW)
    except OSError as error:
        raise _load_error(_reason(error), "look at its permissions and its disk") from error
    with os.fdopen(handle, "rb") as stream:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise _load_error("it is no longer a regular file", "index again")
        checked_ns = time.time_ns()
        try:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise _load_error(_reason(error), "look at its disk") from error
        stream.seek(0)
        stamp = FileStamp(before.st_size, before.st_mtime_ns, checked_ns, file.stamp.sidecar)
        yield OpenFile(stream, sha256, stamp, _sidecar_metadata(file))
        after = os.fstat(handle)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise _load_error("it changed while it was read", "index again when it is finished", "changed")


def _sidecar_metadata(file: FoundFile) -> Metadata:
    """The keys of NAME.meta.json. Raises LoadError where that is not a flat JSON object."""
    if not file.stamp.sidecar:
        return {}
    name = file.path + SIDECAR
    try:
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC | _NO_FOLLOW), "rb") as stream:
            fields = json.loads(stream.read(1 << 20))
    except (OSError, ValueError, RecursionError) as error:
        raise _load_error(f"its {SIDECAR} cannot be read: {error}", "write it as one JSON object", "sidecar") from error
    fault = metadata_fault(fields) if isinstance(fields, dict) else "it is no JSON object"
    if fault:
        raise _load_error(f"its {SIDECAR}: {fault}", 'write it like {"year": 2024, "author": "…"}', "sidecar")
    return {key: int(value) if isinstance(value, bool) else value for key, value in fields.items()}


def metadata_fault(metadata: Mapping[Any, Any]) -> str:
    """What of the metadata cannot be stored and compared; empty where all can."""
    for key, value in metadata.items():
        if not isinstance(key, str) or not is_text(key):
            return f"the key {key!r} is not text"
        if isinstance(value, str):
            storable = is_text(value)
        else:
            storable = isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1 << 63
        if not storable:
            return f"the value of {key!r} is neither text nor a number of common size: {value!r:.40}"
    return ""


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
    return f"it cannot be read: {error.strerror or error}"
