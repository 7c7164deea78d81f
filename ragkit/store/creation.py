"""Making an empty index: whole, or not at all."""

from __future__ import annotations

import errno
import re
import shutil
import sqlite3
import time
import uuid
from contextlib import suppress
from pathlib import Path

from ragkit.errors import StoreError
from ragkit.store.catalog import Catalog
from ragkit.store.catalog.rows import iso
from ragkit.store.segments import sync_folder

_LEFT_OVER = 3600  # seconds: nobody takes so long to make an empty index


def create_index(path: Path) -> None:
    """Make an empty index at `path`, whole or not at all. An index that is already there is left alone.

    Raises StoreError where something else stands there, or the folder cannot be made.
    """
    if (path / "catalog.sqlite").exists():
        return
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreError(f"{path} is there and is not an index", "name another place with -i")
    new = path.with_name(f"{path.name}.new-{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        _fill(new)
        if path.exists():
            path.rmdir()
        new.rename(path)
    except BaseException as error:
        shutil.rmtree(new, ignore_errors=True)
        if not isinstance(error, OSError | sqlite3.Error):
            raise
        if (path / "catalog.sqlite").exists():  # another process was faster
            return
        raise StoreError(
            f"cannot make an index at {path}: {error}", "name a place that can be written, and has room, with -i"
        ) from error


def keep_names(path: Path) -> None:
    """Make the names of the index and of the folders above it durable: whoever made them may have died before.

    Those above that may not be opened, or stand on another disk, were there before.
    """
    device = path.stat().st_dev
    for folder in path.absolute().parents:
        if folder.stat().st_dev != device:
            return
        try:
            sync_folder(folder)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EINVAL):
                raise


def _sweep(path: Path) -> None:
    """Delete what processes that died while they made this index have left beside it."""
    name = re.compile(re.escape(path.name) + r"\.new-[0-9a-f]{8}")
    with suppress(OSError):  # whoever makes one now may be done with it in between
        for folder in path.parent.iterdir():
            if name.fullmatch(folder.name) and folder.stat().st_mtime < time.time() - _LEFT_OVER:
                shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "vectors").mkdir(mode=0o700)
    Catalog.create(folder, {"identity": uuid.uuid4().hex, "created": iso(time.time_ns())})
