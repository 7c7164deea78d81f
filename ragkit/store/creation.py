"""Making an empty index: whole, or not at all."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import time
import uuid
from pathlib import Path

from ragkit.errors import StoreError
from ragkit.store.catalog import Catalog
from ragkit.store.catalog.rows import iso
from ragkit.store.segments import sync_folder


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
            f"cannot make an index at {path}: {error}", "choose a folder that can be written, and has room"
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


def _fill(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "vectors").mkdir(mode=0o700)
    Catalog.create(folder, {"identity": uuid.uuid4().hex, "created": iso(time.time_ns())})
