"""What the tables are, and the check that a file has these and nothing else: no view, no trigger, no other text."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from ragkit.errors import StoreError

FORMAT = 3

# Columns stand in the order of their key: else quick_check of SQLite 3.40 sees NULL where there is none.
SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE root(
  id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, prefix TEXT NOT NULL UNIQUE, crc INTEGER NOT NULL);
CREATE TABLE document(
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, root INTEGER, added INTEGER NOT NULL, removed INTEGER,
  sha256 NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, checked_ns INTEGER NOT NULL,
  sidecar TEXT NOT NULL, indexed INTEGER NOT NULL, characters INTEGER NOT NULL, chunks INTEGER NOT NULL,
  record TEXT NOT NULL, problems TEXT NOT NULL, crc INTEGER NOT NULL, life INTEGER NOT NULL, state INTEGER NOT NULL,
  layout TEXT NOT NULL);
CREATE UNIQUE INDEX document_alive ON document(source) WHERE removed IS NULL;
CREATE INDEX document_removed ON document(removed) WHERE removed IS NOT NULL;
CREATE INDEX document_added ON document(added);
CREATE TABLE attribute(
  key INTEGER NOT NULL, value, document INTEGER NOT NULL, PRIMARY KEY(key, value, document)) WITHOUT ROWID;
CREATE TABLE text(id INTEGER PRIMARY KEY, body NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE chunk(
  id INTEGER PRIMARY KEY, document INTEGER NOT NULL, n INTEGER NOT NULL, start INTEGER NOT NULL,
  end INTEGER NOT NULL, page INTEGER, line INTEGER NOT NULL, heading TEXT NOT NULL, vector INTEGER NOT NULL,
  crc INTEGER NOT NULL);
CREATE INDEX chunk_document ON chunk(document, n);
CREATE INDEX chunk_vector ON chunk(vector);
CREATE TABLE vector(key BLOB PRIMARY KEY, id INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tail(first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE segment(
  name TEXT PRIMARY KEY, first INTEGER, last INTEGER, rows INTEGER, dimension INTEGER, crc INTEGER, size INTEGER,
  check_crc INTEGER NOT NULL);
CREATE TABLE failure(
  source TEXT PRIMARY KEY, root INTEGER, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, problems TEXT NOT NULL,
  crc INTEGER NOT NULL);
CREATE TABLE attribute_key(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE dictionary(crc INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE dictionary_copy(crc INTEGER NOT NULL, body BLOB NOT NULL);
"""
APPLICATION_ID = 0x7261676B  # "ragk"
_TEXTS = frozenset(statement.strip() for statement in SCHEMA.split(";") if statement.strip())


def address(path: Path, mode: str) -> str:
    """The file as an address that SQLite opens: "ro" to read, "rw" to write."""
    return f"{path.absolute().as_uri()}?mode={mode}"


def create(path: Path) -> sqlite3.Connection:
    """A new file, for its owner only, with empty tables; the caller closes the connection."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        keep_log(db, path)
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute(f"PRAGMA user_version={FORMAT}")
        db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
    except BaseException:
        db.close()
        raise
    return db


def keep_log(db: sqlite3.Connection, path: Path) -> None:
    """See that commits go to a write-ahead log: where SQLite cannot make one it goes on without, and says nothing.

    A commit without it ends in deleting a file, which a loss of power may undo.
    """
    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"{path} cannot have a write-ahead log: SQLite's mode is {mode!r}",
            "choose a folder on a local disk, or mend the disk, and run again",
        )


def is_ours(db: sqlite3.Connection) -> bool:
    """Whether the tables and indexes are those of this format, to the letter."""
    rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    texts = {text for *_, text in rows}
    return len(rows) == len(_TEXTS) and texts == _TEXTS and all(_is_named(*row) for row in rows)


def format_of(path: Path) -> int | None:
    """The format that a file says it has; None where the tables are ours, whatever it says."""
    with closing(sqlite3.connect(address(path, "ro"), uri=True)) as db:
        return None if is_ours(db) else int(db.execute("PRAGMA user_version").fetchone()[0])


def _is_named(kind: str, name: str, table: str, text: str) -> bool:
    """Whether the columns of the schema say what its text says."""
    words = text.replace("(", " ").split()
    if kind == "table":
        return words[:3] == ["CREATE", "TABLE", name] and table == name
    at = words.index("INDEX") if kind == "index" and "INDEX" in words else 0
    return bool(at) and words[at + 1] == name and words[at + 3] == table
