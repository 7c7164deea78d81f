"""shim.c, compiled and loaded: what happens at the n-th system call that changes a file below a folder."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import shutil
import subprocess
import sys
from enum import IntFlag
from pathlib import Path

_OFF, _KILL, _FAIL = range(3)


class Kind(IntFlag):
    """Kinds of calls. MAKE makes, empties or cuts a file; OPEN is every opening, also for reading."""

    WRITE = 1
    SYNC = 2
    MAKE = 4
    NAME = 8
    OPEN = 16
    CHANGE = WRITE | SYNC | MAKE | NAME


class Flag(IntFlag):
    NONE = 0
    TORN = 1  # half of the n-th write is done, then comes the end or the error
    STAYS = 2  # all calls after the n-th fail too
    NO_FILE_SYNC = 4  # such a call does nothing, and says that it did
    NO_FOLDER_SYNC = 8


def why_not() -> str:
    """Why the harness cannot run here; empty where it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"the shim speaks to Linux on x86-64, this is {sys.platform} on {platform.machine()}"
    if not _compiler():
        return "the shim is C, and there is no C compiler here"
    if "Seccomp:" not in Path("/proc/self/status").read_text():
        return "this kernel has no seccomp"
    return ""


def compile_shim(folder: Path) -> Path:
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([_compiler(), "-O1", "-fPIC", "-shared", "-o", library, source], check=True)
    return library


def _compiler() -> str:
    return shutil.which("cc") or shutil.which("gcc") or ""


class Shim:
    """Of this process and its children, from construction on. There must be no second thread by then."""

    def __init__(self, library: Path) -> None:
        self._c = ctypes.CDLL(str(library))
        self._c.shim_count.restype = ctypes.c_long
        if error := self._c.shim_install():
            raise OSError(error, f"the system does not let calls be trapped: {os.strerror(error)}")

    def disarm(self) -> None:
        self._arm("", _OFF)

    def count(self, root: Path, kinds: Kind, part: str = "") -> None:
        """Count the calls of these kinds, on paths with `part` in them, from now on."""
        self._arm(str(root), _OFF, kinds=kinds, part=part)

    def trace(self, root: Path, to: int, flags: Flag = Flag.NONE) -> None:
        """Write every change below `root` to an open file."""
        self._arm(str(root), _OFF, flags=flags, trace=to)

    def kill(self, root: Path, at: int, *, torn: bool = False) -> None:
        """End this process before its `at`-th change; where `torn`, in the middle of its `at`-th write."""
        self._arm(str(root), _KILL, at, Kind.WRITE if torn else Kind.CHANGE, flags=Flag.TORN if torn else Flag.NONE)

    def fail(
        self,
        root: Path,
        at: int,
        kinds: Kind,
        error: int,
        flags: Flag = Flag.NONE,
        *,
        part: str = "",
        trace: int = -1,
    ) -> None:
        """Let the `at`-th call of these kinds, on a path with `part` in it, fail."""
        self._arm(str(root), _FAIL, at, kinds, error, flags, trace, part)

    def note(self, number: int) -> None:
        """Put a number into the trace."""
        self._c.shim_note(ctypes.c_long(number))

    @property
    def counted(self) -> int:
        return int(self._c.shim_count())

    @property
    def failed(self) -> int:
        """How many calls were made to fail."""
        return int(self._c.shim_fired())

    def _arm(
        self,
        root: str,
        mode: int,
        at: int = 0,
        kinds: Kind = Kind.CHANGE,
        error: int = errno.EIO,
        flags: Flag = Flag.NONE,
        trace: int = -1,
        part: str = "",
    ) -> None:
        self._c.shim_arm(root.encode(), part.encode(), mode, ctypes.c_long(at), int(kinds), error, int(flags), trace)
