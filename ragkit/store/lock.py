"""One writer at a time: a lock file that names its holder. The system frees it when the holder dies.

A search that brings the word index up to date, because a writer died before it could, holds the lock as well; it
stands in no writer's way, who waits until that is done.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from ragkit.errors import IndexLocked, StoreError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        os.lseek(handle, 1 << 20, os.SEEK_SET)  # a byte far behind the text, which stays readable
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _unlock(handle: int) -> None:
        """Closing does."""
else:
    import fcntl

    def _try_lock(handle: int) -> None:
        # flock, not lockf: only flock refuses a second handle in the same process
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(handle: int) -> None:
        # Closing alone would not, as long as a child that was forked in C has the handle as well.
        fcntl.flock(handle, fcntl.LOCK_UN)


_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # the note would be written over what a stranger's link leads to


_NOTE_SECONDS = 0.08  # until a holder that has just begun has written its note
_SEARCH_SECONDS = 60.0  # that a writer waits for a search; making a word index anew takes longest
_POLL = 0.005

_held: WeakSet[WriterLock] = WeakSet()
_opening = threading.Lock()  # no fork may come between opening a handle and keeping it in `_held`
_forks_are_watched = False


class WriterLock:
    """Held from construction to `release`. Raises IndexLocked at once, with the holder's pid, where another has it.

    With `search` it is held by no writer: a writer that comes meanwhile waits, where another search is refused.
    """

    def __init__(self, path: Path, *, search: bool = False) -> None:
        _watch_forks()
        note = _own_note(search)  # made before: as little time as can be between the lock and its note
        with _opening:
            try:
                self._handle = os.open(path, os.O_CREAT | os.O_RDWR | _NO_FOLLOW, 0o600)
            except OSError as error:
                raise StoreError(
                    f"{path.parent} cannot be written: {error.strerror}",
                    "mend its permissions, or name another place with -i",
                ) from error
            _held.add(self)
        try:
            self._take(path, search)
            os.ftruncate(self._handle, 0)
            os.write(self._handle, note)
        except IndexLocked:
            self._close()
            raise
        except OSError as error:
            self._close()
            raise StoreError(
                f"{path.parent} cannot be written: {error.strerror}", "make room or mend the disk, and run again"
            ) from error
        except BaseException:  # an interrupt while it waits
            self._close()
            raise

    def release(self) -> None:
        """Free the lock. In a child that was forked meanwhile there is nothing to free: it is the parent's."""
        if self in _held:
            with suppress(OSError):  # a note that stays is told by its process, which is gone or holds nothing
                os.ftruncate(self._handle, 0)
            with suppress(OSError):
                _unlock(self._handle)
            self._close()

    def _close(self) -> None:
        _held.discard(self)
        os.close(self._handle)

    def _take(self, path: Path, search: bool) -> None:
        since, last = time.monotonic(), None
        while True:
            try:
                return _try_lock(self._handle)
            except OSError as error:
                note = _note(path)
                if note != last:  # one search after another may come, and each has a moment without a note
                    since, last = time.monotonic(), note
                patience = _NOTE_SECONDS if not note else 0.0 if search or not note.get("search") else _SEARCH_SECONDS
                if time.monotonic() - since >= patience:
                    holder = f"process {note['pid']} on {note['host']} since {note['since']}" if note else ""
                    raise IndexLocked(
                        f"{path.parent} is being written by {holder or 'another process'}",
                        "wait until it is done, then run again",
                    ) from error
            time.sleep(_POLL)


def _watch_forks() -> None:
    """Have every child close what it inherits: a lock is free when its holder is gone, whatever it has forked."""
    global _forks_are_watched
    if not _forks_are_watched and hasattr(os, "register_at_fork"):
        _forks_are_watched = True
        os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_forget)


def _forget() -> None:
    for lock in list(_held):
        with suppress(OSError):
            lock._close()
    _opening.release()


def _own_note(search: bool) -> bytes:
    import socket  # 3 ms that readers need not pay

    note = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    return json.dumps({**note, "search": True} if search else note).encode()


def _note(path: Path) -> dict[str, Any]:
    """What the holder says of itself; empty where it has not said it yet, or the note is that of one who is dead."""
    try:
        note = json.loads(path.read_text("utf-8"))
        return note if {"pid", "host", "since"} <= note.keys() and _lives(note) else {}
    except (OSError, ValueError, AttributeError):
        return {}


def _lives(note: dict[str, Any]) -> bool:
    import socket

    if sys.platform == "win32" or note["host"] != socket.gethostname():
        return True  # it cannot be asked
    try:
        os.kill(int(note["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is somebody else's
    return True
