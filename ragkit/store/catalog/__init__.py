"""The truth about documents and chunks, in SQLite: the only place with SQL, and the only file changed in place.

A document row is one version of one source. It is alive in every generation from `added` up to, and without,
`removed`; a commit is one generation. So a reader can look at the catalog as it was at the generation that
the word index reflects, while a writer goes on. Vectors are not here, except the tail that is not yet sealed.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ragkit.errors import IndexCorrupt, IndexMismatch, IndexNotFound, StoreError
from ragkit.ranking import is_offline
from ragkit.store.catalog.chunks import ChunkTable
from ragkit.store.catalog.documents import DocumentTable
from ragkit.store.catalog.meta import MetaTable
from ragkit.store.catalog.models import Spans
from ragkit.store.catalog.rows import DAMAGED_HINT, attribute_of, crc, damaged, unread_attribute, unreadable
from ragkit.store.catalog.schema import APPLICATION_ID, FORMAT, address, create, is_ours, keep_log
from ragkit.store.catalog.vectors import VectorTable
from ragkit.store.segments import sync_folder
from ragkit.types import Preparation

if TYPE_CHECKING:
    from ragkit.reports import Root
    from ragkit.store.catalog.restoring import Restoring
    from ragkit.store.catalog.verification import Verification

_WAIT = 5  # seconds for a lock of SQLite's, which only last for moments
_CACHE = 16_384  # KiB of pages that a connection keeps at most; of SQLite's 2000 a search of 100 000 chunks needs more
_INSIDE = ("catalog.sqlite", "vectors", "lexical", "ann")  # none of them may be a link to somewhere else


class Catalog:
    """One SQLite connection with its tables."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.path = folder / "catalog.sqlite"
        self._db = _connect(self.path, write=write)
        self._file = self.path.stat().st_ino
        self._meta = MetaTable(self._db)
        self.documents = DocumentTable(self._db, self._meta)
        self.chunks = ChunkTable(self._db, self.documents, self._meta)
        self.vectors = VectorTable(self._db, self._meta)

    @staticmethod
    def create(folder: Path, meta: dict[str, str]) -> None:
        """Make a new catalog in `folder`, durably; the folder is renamed to its place afterwards."""
        path = folder / "catalog.sqlite"
        db = create(path)
        try:
            for key, value in {"generation": "0", **meta}.items():
                MetaTable(db).set(key, value)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            db.close()
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        sync_folder(folder)

    def close(self) -> None:
        self._db.close()

    def is_current(self) -> bool:
        """Whether the file under the catalog's name is still the one that is open here."""
        try:
            return self.path.stat().st_ino == self._file
        except FileNotFoundError:
            return False

    @contextmanager
    def snapshot(self) -> Iterator[int]:
        """Everything read inside is of one moment; gives its generation."""
        self._db.execute("BEGIN")
        try:
            yield self.generation()
        finally:
            self._db.rollback()

    def begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def all_or_none(self) -> Savepoint:
        """What is done from here on within the transaction can be undone as a whole."""
        return Savepoint(self._db)

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        self._db.rollback()

    def checkpoint(self) -> None:
        """Move the log into the main file, so that a copy of the folder is small and whole.

        No reader is waited for: what one still needs stays in the log, until the next writer's end.
        """
        self._db.execute("PRAGMA busy_timeout=0")
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._db.execute(f"PRAGMA busy_timeout={1000 * _WAIT}")

    def free_space(self) -> int:
        """How many bytes of the file are pages of deleted rows."""
        (pages,), (size,) = (self._db.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_size"))
        return int(pages * size)

    def release_space(self) -> None:
        """Give the pages of deleted rows back to the disk."""
        self._db.executescript("PRAGMA incremental_vacuum")  # `execute` ends it after the first page

    def meta(self) -> dict[str, str]:
        return self._meta.all()

    def set_meta(self, key: str, value: str) -> None:
        self._meta.set(key, value)

    def remove_meta(self, key: str) -> None:
        self._meta.remove(key)

    def identity(self) -> str:
        return self._meta.identity()

    def spans(self) -> Spans:
        """Which model made which vectors."""
        return Spans(self.meta())

    def check_model(self, model: str, dimension: int | None = None) -> bool:
        """Whether this model made the vectors; False where there are none yet. Raises IndexMismatch for another."""
        made_by = self._meta.get("embedding_model")
        if made_by is None:
            return False
        made_in = int(self._meta.get("dimension") or 0)
        if made_by != model or (dimension is not None and made_in != dimension):
            if not self.vectors.count():  # its first ones were refused
                return False
            now = model if dimension is None else f"{model} (dimension {dimension})"
            back = "EMBED_PROVIDER=offline" if is_offline(made_by) else f"EMBED_MODEL={made_by.partition('?')[0]}"
            cure = (
                f"use it with RAGKIT_{back}, or search by words with --mode lexical; or move it to the other model: "
                "ragkit index --reembed"
            )
            if made_by == model:
                cure = (
                    "two dimensions cannot be compared: set query_model to one that goes with the index's model, "
                    "or index the folder into a new index with -i"
                )
            elif is_offline(model):
                cure = (
                    "no service is configured now: is GIGACHAT_CREDENTIALS or OPENAI_API_KEY set? --mode lexical "
                    "searches without one, and ragkit index --reembed moves the index to the offline embedder"
                )
            raise IndexMismatch(
                f"the index was made with the embedding model {made_by} (dimension {made_in}), now it is {now}", cure
            )
        return True

    def preparation(self) -> Preparation | None:
        """That of the embedder that made the newest vectors; None where it was not noted."""
        noted = self.meta().get("preparation")
        return Preparation(**json.loads(noted)) if noted else None

    def set_preparation(self, preparation: Preparation) -> None:
        self.set_meta("preparation", json.dumps(asdict(preparation)))

    def generation(self) -> int:
        return self._meta.generation()

    def next_generation(self) -> None:
        """Make what this transaction does one generation; `state` tells it from that of a copy of the index."""
        self._meta.set("generation", str(self.generation() + 1))
        self._meta.set("state", os.urandom(8).hex())

    def roots(self) -> list[Root]:
        from ragkit.reports import Root  # no search needs it

        roots = []
        for *fields, check in self._db.execute("SELECT id, path, prefix, crc FROM root ORDER BY id"):
            if check != crc(*fields):
                raise damaged(f"the row of the folder {fields[1]!r}")
            roots.append(Root(*fields))
        return roots

    def add_root(self, path: str, prefix: str) -> Root:
        from ragkit.reports import Root  # no search needs it

        root = Root(self._meta.take("root"), path, prefix)
        values = (root.id, path, prefix)
        self._db.execute("INSERT INTO root VALUES(?, ?, ?, ?)", (*values, crc(*values)))
        return root

    def remove_root(self, root: int) -> None:
        self._db.execute("DELETE FROM root WHERE id = ?", (root,))

    def restoring(self) -> Restoring:
        """What copies rows from a damaged catalog into this new one."""
        from ragkit.store.catalog.restoring import Restoring  # few commands need it

        return Restoring(self._db, self._meta, self.documents)

    def verification(self) -> Verification:
        """What compares every row with its checksum."""
        from ragkit.store.catalog.verification import Verification  # no search needs it

        return Verification(self._db, self._meta)


class Savepoint:
    """A place in the transaction to go back to."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute("SAVEPOINT block")

    def end(self, *, undo: bool) -> None:
        """Keep what was done since, or undo it. Where it was committed, nothing is left to do."""
        if self._db.in_transaction:
            if undo:
                self._db.execute("ROLLBACK TO block")
            self._db.execute("RELEASE block")


def refuse_links(folder: Path) -> None:
    """Raise IndexCorrupt where a part of an index is a link: one that came from elsewhere could lead anywhere."""
    if link := next((name for name in _INSIDE if (folder / name).is_symlink()), None):
        raise IndexCorrupt(f"{folder / link} is a link, and could lead anywhere", "put what it leads to in its place")


def _connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the catalog. Only a writer's connection can write or checkpoint.

    Older SQLite loses pages when two connections checkpoint at once (fixed in 3.51.3), hence mode=ro for readers.
    """
    if not path.exists():
        raise IndexNotFound(f"there is no index at {path.parent}", "make one: ragkit index FOLDER")
    refuse_links(path.parent)
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path} may not be read", "mend its permissions")
    uri = address(path, "rw" if write else "ro")
    log = path.with_name(path.name + "-wal")
    if not write and not log.exists() and not os.access(path.parent, os.W_OK):
        uri += "&immutable=1"  # a folder that cannot be written holds no log and gets none
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_WAIT, check_same_thread=False)
        try:
            _prepare(db, path, write=write)
        except BaseException:
            db.close()
            raise
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error
    return db


def _prepare(db: sqlite3.Connection, path: Path, *, write: bool) -> None:
    db.execute("PRAGMA trusted_schema=OFF")
    db.execute("PRAGMA cell_size_check=ON")
    db.execute(f"PRAGMA cache_size=-{_CACHE}")
    db.create_function("attribute_of", 4, attribute_of, deterministic=True)
    db.create_function("unread_attribute", 3, unread_attribute, deterministic=True)
    if path.stat().st_size == 0:
        raise unreadable(path, ValueError("it is empty"))
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise IndexCorrupt(f"{path} is not a catalog of ragkit", "name another folder with -i")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != FORMAT:
        raise IndexMismatch(
            f"{path} has format {version}, this version reads format {FORMAT}",
            "use the version of ragkit that made it, or index the folder into a new index",
        )
    if not is_ours(db):
        raise IndexCorrupt(f"the tables of {path} are not those of format {FORMAT}", DAMAGED_HINT)
    if write:
        keep_log(db, path)
        db.execute("PRAGMA synchronous=FULL")  # NORMAL loses acknowledged commits when the power fails
    else:
        db.execute("PRAGMA query_only=ON")
