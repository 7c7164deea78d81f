"""Making an empty index: whole, or not at all."""

from __future__ import annotations

import shutil
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
        new.mkdir(mode=0o700, parents=True)
        (new / "vectors").mkdir(mode=0o700)
        Catalog.create(new, {"identity": uuid.uuid4().hex, "created": iso(time.time_ns())})
        if path.exists():
            path.rmdir()
        new.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        if (path / "catalog.sqlite").exists():  # another process was faster
            return
        raise StoreError(f"cannot make an index at {path}: {error}", "choose a folder that can be written") from error
