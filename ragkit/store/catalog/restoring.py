"""Putting rows that proved themselves into a new catalog, under the ids that they had."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from ragkit.reports import FileStamp
from ragkit.store.catalog.dictionary import DictionaryTable
from ragkit.store.catalog.documents import DocumentTable
from ragkit.store.catalog.meta import MetaTable
from ragkit.store.catalog.pieces import Dictionary
from ragkit.store.catalog.rows import crc
from ragkit.store.catalog.vectors import name_of
from ragkit.store.catalog.verification import DocumentRow


class Restoring:
    """Writes what a damaged catalog still holds."""

    def __init__(self, db: sqlite3.Connection, meta: MetaTable, documents: DocumentTable) -> None:
        self._db = db
        self._meta = meta
        self._documents = documents

    def last(self, table: str, number: int) -> None:
        """That number was given, if none above it was."""
        self._meta.set(f"last {table}", str(max(number, int(self._meta.get(f"last {table}") or 0))))

    def root(self, row: tuple[int, str, str, int]) -> None:
        self._db.execute("INSERT INTO root VALUES(?, ?, ?, ?)", row)
        self.last("root", row[0])

    def failure(self, row: tuple[Any, ...]) -> None:
        self._db.execute("INSERT INTO failure VALUES(?, ?, ?, ?, ?, ?)", row)

    def document(self, row: DocumentRow, text: str, *, root: int | None) -> None:
        """A living version with its text. Where what is known of its file does not hold, the next run looks again."""
        known = row.has_state
        self._documents.put(
            row.id,
            row.document(text),
            row.record,
            row.layout,
            root=root,
            stamp=row.stamp if known else FileStamp(),
            indexed=row.indexed if known else 0,
            problems=row.problems if known else "",
            chunks=row.chunks,
            added=row.added,
        )
        self.last("document", row.id)

    def dictionary(self, dictionary: Dictionary) -> None:
        """Both copies, before the first text: short ones are compressed with it again."""
        DictionaryTable(self._db).put(dictionary.words)

    def names(self, rows: Iterable[tuple[int, bytes, int]]) -> None:
        """A damaged tree may give a row twice."""
        self._db.executemany("INSERT OR IGNORE INTO vector(id, key, crc) VALUES(?, ?, ?)", rows)

    def name(self, id: int, key: bytes) -> None:
        self.names([(id, name_of(key), crc(id, name_of(key)))])

    def recut(self, document: int, chunks: int) -> None:
        """A version has another number of chunks now; the rows of those it had are deleted."""
        self._db.execute("DELETE FROM chunk WHERE document = ?", (document,))
        row = self._db.execute(
            "SELECT source, sha256, characters, record, layout, added FROM document WHERE id = ?", (document,)
        ).fetchone()
        source, sha256, characters, record, layout, added = row
        check = crc(source, sha256, characters, chunks, record, layout)
        self._db.execute(
            "UPDATE document SET chunks = ?, crc = ?, life = ? WHERE id = ?",
            (chunks, check, crc(document, check, added, None), document),
        )
