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
from ragkit.store.catalog.models import Spans
from ragkit.store.catalog.rows import unreadable
from ragkit.store.catalog.vectors import VectorTable
from ragkit.store.segments import sync_folder
from ragkit.types import Preparation

if TYPE_CHECKING:
    from ragkit.reports import Root

FORMAT = 1
_APPLICATION_ID = 0x7261676B  # "ragk"

_SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE root(id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, prefix TEXT NOT NULL UNIQUE);
CREATE TABLE document(
  id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, root INTEGER, added INTEGER NOT NULL, removed INTEGER,
  sha256 TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, checked_ns INTEGER NOT NULL,
  sidecar TEXT NOT NULL, indexed TEXT NOT NULL, characters INTEGER NOT NULL, chunks INTEGER NOT NULL,
  record TEXT NOT NULL, problems TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE UNIQUE INDEX document_alive ON document(source) WHERE removed IS NULL;
CREATE INDEX document_removed ON document(removed) WHERE removed IS NOT NULL;
CREATE INDEX document_added ON document(added);
CREATE TABLE attribute(
  document INTEGER NOT NULL, key TEXT NOT NULL, value, PRIMARY KEY(key, value, document)) WITHOUT ROWID;
CREATE INDEX attribute_document ON attribute(document);
CREATE TABLE text(
  document INTEGER NOT NULL, n INTEGER NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL,
  PRIMARY KEY(document, n)) WITHOUT ROWID;
CREATE TABLE chunk(
  id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, n INTEGER NOT NULL, start INTEGER NOT NULL,
  end INTEGER NOT NULL, page INTEGER, line INTEGER NOT NULL, heading TEXT NOT NULL, vector INTEGER NOT NULL,
  crc INTEGER NOT NULL);
CREATE INDEX chunk_document ON chunk(document, n);
CREATE INDEX chunk_vector ON chunk(vector);
CREATE TABLE vector(id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE);
CREATE TABLE tail(first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE segment(
  name TEXT PRIMARY KEY, first INTEGER, last INTEGER, rows INTEGER, dimension INTEGER, crc INTEGER, size INTEGER);
CREATE TABLE failure(
  source TEXT PRIMARY KEY, root INTEGER, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, problems TEXT NOT NULL);
"""


class Catalog:
    """One SQLite connection with its tables."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.path = folder / "catalog.sqlite"
        self._db = _connect(self.path, write=write)
        self.documents = DocumentTable(self._db)
        self.chunks = ChunkTable(self._db, self.documents)
        self.vectors = VectorTable(self._db)

    @staticmethod
    def create(folder: Path, meta: dict[str, str]) -> None:
        """Make a new catalog in `folder`, durably; the folder is renamed to its place afterwards."""
        path = folder / "catalog.sqlite"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={FORMAT}")
            db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            db.executemany("INSERT INTO meta VALUES(?, ?)", {"generation": "0", **meta}.items())
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            db.close()
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        sync_folder(folder)

    def close(self) -> None:
        self._db.close()

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
        """Move the log into the main file, so that a copy of the folder is small and whole."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def release_space(self) -> None:
        """Give the pages of deleted rows back to the disk."""
        self._db.execute("PRAGMA incremental_vacuum").fetchall()

    def meta(self) -> dict[str, str]:
        return dict(self._db.execute("SELECT key, value FROM meta"))

    def set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (key, value))

    def remove_meta(self, key: str) -> None:
        self._db.execute("DELETE FROM meta WHERE key = ?", (key,))

    def spans(self) -> Spans:
        """Which model made which vectors."""
        return Spans(self.meta())

    def check_model(self, model: str, dimension: int | None = None) -> bool:
        """Whether this model made the vectors; False where there are none yet. Raises IndexMismatch for another."""
        meta = self.meta()
        if "embedding_model" not in meta:
            return False
        made_by, made_in = meta["embedding_model"], int(meta["dimension"])
        if made_by != model or (dimension is not None and made_in != dimension):
            now = model if dimension is None else f"{model} (dimension {dimension})"
            cure = "go back to that model, or move the index to the other one: ragkit index --reembed"
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
        return int(self._db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0])

    def roots(self) -> list[Root]:
        from ragkit.reports import Root  # no search needs it

        return [Root(*row) for row in self._db.execute("SELECT id, path, prefix FROM root ORDER BY id")]

    def add_root(self, path: str, prefix: str) -> Root:
        from ragkit.reports import Root  # no search needs it

        cursor = self._db.execute("INSERT INTO root(path, prefix) VALUES(?, ?)", (path, prefix))
        return Root(int(cursor.lastrowid or 0), path, prefix)

    def remove_root(self, root: int) -> None:
        self._db.execute("DELETE FROM root WHERE id = ?", (root,))

    def sqlite_problems(self) -> list[str]:
        """What SQLite's own check of the file says; empty where it is whole."""
        return [row[0] for row in self._db.execute("PRAGMA integrity_check(10)") if row[0] != "ok"]


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


def _connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the catalog. Only a writer's connection can write or checkpoint.

    Older SQLite loses pages when two connections checkpoint at once (fixed in 3.51.3), hence mode=ro for readers.
    """
    if not path.exists():
        raise IndexNotFound(f"there is no index at {path.parent}", "make one: ragkit index FOLDER")
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path} may not be read", "mend its permissions")
    uri = f"file:{_quoted(path)}?mode={'rw' if write else 'ro'}"
    log = path.with_name(path.name + "-wal")
    if not write and not log.exists() and not os.access(path.parent, os.W_OK):
        uri += "&immutable=1"  # a folder that cannot be written holds no log and gets none
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5, check_same_thread=False)
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
    if path.stat().st_size == 0:
        raise unreadable(path, ValueError("it is empty"))
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise IndexCorrupt(f"{path} is not a catalog of ragkit", "name another folder with -i")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != FORMAT:
        raise IndexMismatch(
            f"{path} has format {version}, this version reads format {FORMAT}",
            "use the version of ragkit that made it, or index the folder into a new index",
        )
    if write:
        db.execute("PRAGMA synchronous=FULL")  # NORMAL loses acknowledged commits when the power fails
    else:
        db.execute("PRAGMA query_only=ON")


def _quoted(path: Path) -> str:
    return path.absolute().as_posix().replace("%", "%25").replace("?", "%3f").replace("#", "%23")
