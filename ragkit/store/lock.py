"""One writer at a time: a lock file that names its holder. The system frees it when the holder dies."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from ragkit.errors import IndexLocked, StoreError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        os.lseek(handle, 1 << 20, os.SEEK_SET)  # a byte far behind the text, which stays readable
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(handle: int) -> None:
        # flock, not lockf: only flock refuses a second handle in the same process
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # the note would be written over what a stranger's link leads to


class WriterLock:
    """Held from construction to `release`. Raises IndexLocked at once, with the holder's pid, where another has it."""

    def __init__(self, path: Path) -> None:
        try:
            self._handle = os.open(path, os.O_CREAT | os.O_RDWR | _NO_FOLLOW, 0o600)
        except OSError as error:
            raise StoreError(
                f"{path.parent} cannot be written: {error.strerror}",
                "mend its permissions, or name another place with -i",
            ) from error
        try:
            _try_lock(self._handle)
        except OSError as error:
            holder = _holder(path)
            os.close(self._handle)
            raise IndexLocked(
                f"{path.parent} is being written by {holder}", "wait until it is done, then run again"
            ) from error
        try:
            _write_note(self._handle)
        except OSError as error:
            os.close(self._handle)
            raise StoreError(
                f"{path.parent} cannot be written: {error.strerror}", "make room or mend the disk, and run again"
            ) from error

    def release(self) -> None:
        os.close(self._handle)


def _write_note(handle: int) -> None:
    import socket  # 3 ms that readers need not pay

    note = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, json.dumps(note).encode())


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text("utf-8"))
        return f"process {note['pid']} on {note['host']} since {note['since']}"
    except (OSError, ValueError, KeyError):  # the holder has the lock but has not written its note yet
        return "another process"
