"""Every row of the catalog compared with its checksum, and the tables with each other. It changes nothing."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterator
from typing import Any

from ragkit.reports import FileStamp
from ragkit.store.catalog.chunks import ChunkRow
from ragkit.store.catalog.dictionary import TABLES, copies
from ragkit.store.catalog.documents import DocumentTable
from ragkit.store.catalog.meta import MetaTable
from ragkit.store.catalog.pieces import DOCUMENT, PIECE, places
from ragkit.store.catalog.rows import (
    ATTRIBUTE,
    attributes_of,
    crc,
    damaged,
    id_array,
    record_from,
    sha256_from,
    state_crc,
)
from ragkit.store.catalog.vectors import SEGMENT_COLUMNS, tail_crc
from ragkit.types import Document

_LARGE = ("text", "chunk", "vector", "attribute", "document")  # tables whose length follows the documents'
_SMALL = ("meta", "root", "segment", "tail", "failure", "attribute_key", *TABLES)
_BLOCK = 4096  # names of vectors that are looked at together

# What a document's row holds, in the order of `DocumentRow`.
DOCUMENT_COLUMNS = (
    "id, source, root, added, removed, sha256, size, mtime_ns, checked_ns, sidecar, indexed, characters, chunks,"
    " record, problems, crc, life, state, layout"
)


class DocumentRow:
    """A document's row with three judgements: whether content, life and state are what was written."""

    def __init__(self, row: tuple[Any, ...]) -> None:
        (
            self.id, self.source, self.root, self.added, self.removed, self.sha256, size, mtime_ns, checked_ns, sidecar,
            self.indexed, self.characters, self.chunks, self.record, self.problems, self.crc, self.life, self.state,
            self.layout,
        ) = row  # fmt: skip
        self.stamp = FileStamp(size, mtime_ns, checked_ns, sidecar)

    @property
    def has_content(self) -> bool:
        """Name, length, record and layout."""
        values = (self.source, self.sha256, self.characters, self.chunks, self.record, self.layout)
        return bool(self.crc == crc(*values))

    @property
    def has_life(self) -> bool:
        """From when to when it is in the index."""
        return bool(self.life == crc(self.id, self.crc, self.added, self.removed))

    @property
    def has_state(self) -> bool:
        """Its folder, its file's size and time, its problems."""
        return bool(self.state == state_crc(self.id, self.root, self.stamp, self.indexed, self.problems))

    def document(self, text: str = "") -> Document:
        """The document, of a row that has its content; headings and pages are left out."""
        fields = record_from(self.record)
        return Document(self.source, text, sha256_from(self.sha256), fields["media_type"], metadata=fields["metadata"])


class Verification:
    """Faults, one after another, in words. `taken(i)` chooses among documents and blocks of names by number."""

    def __init__(self, db: sqlite3.Connection, meta: MetaTable) -> None:
        self._db = db
        self._meta = meta
        self._documents = DocumentTable(db, meta)
        self._seen = array("q")  # documents that have all the attributes that they should, and how many these are
        self._attributes = array("q")

    def pages(self, *, thorough: bool, taken: Callable[[int], bool]) -> Iterator[str]:
        """What SQLite's own check of the file says; in full the large tables take turns."""
        if not thorough:
            yield from self._pragma("quick_check(10)")
        elif all(taken(i) for i in range(len(_LARGE))):
            yield from self._pragma("integrity_check(10)")
        else:
            for table in (*_SMALL, *(table for i, table in enumerate(_LARGE) if taken(i))):
                yield from self._pragma(f"integrity_check({table})")

    def _pragma(self, text: str) -> list[str]:
        return [str(row[0]) for row in self._db.execute(f"PRAGMA {text}") if row[0] != "ok"]

    def small_tables(self) -> Iterator[str]:
        """Settings, folders and failures, row by row."""
        for key, value, check in self._db.execute("SELECT key, value, crc FROM meta"):
            if check != crc(key, value):
                yield f"the setting {key!r} differs from its checksum"
        for *fields, check in self._db.execute("SELECT id, path, prefix, crc FROM root"):
            if check != crc(*fields):
                yield f"the row of the folder {fields[1]!r} differs from its checksum"
        for *fields, check in self._db.execute("SELECT source, root, size, mtime_ns, problems, crc FROM failure"):
            if check != crc(*fields):
                yield f"what is remembered of {fields[0]!r}, a file without text, differs from its checksum"
        yield from self._dictionary()

    def _dictionary(self) -> Iterator[str]:
        """The two copies of the words that short texts are compressed with; one is enough to read them."""
        found = [copies(self._db, table) for table in TABLES]
        for table, words in zip(TABLES, found, strict=True):
            if None in words:
                yield f"the words for short texts in the table {table} differ from their checksum"
        if found[0] != found[1] or len(found[0]) > 1:
            yield "the two copies of the words for short texts are not the same"

    def references(self) -> Iterator[str]:
        """Rows of no document, and numbers beyond the last one that was given."""
        for table, document in (("chunk", "document"), ("text", DOCUMENT), ("attribute", "document")):
            lost = self._db.execute(
                f"SELECT count(*), min({document}) FROM {table} WHERE {document} NOT IN (SELECT id FROM document)"
            ).fetchone()
            if lost[0]:
                yield f"{lost[0]} rows of {table} belong to no document, the first to document {lost[1]}"
        strange = self._db.execute(
            "SELECT name FROM attribute_key WHERE NOT EXISTS (SELECT 1 FROM attribute WHERE key = id)"
        ).fetchall()
        if strange:
            yield f"{len(strange)} keys belong to no document, the first is {strange[0][0]!r}"
        for table in ("document", "chunk", "vector", "root"):
            highest = self._db.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
            if highest > int(self._meta.get(f"last {table}") or 0):
                yield f"the {table} {highest} has a number that was never given"
        last = self._db.execute("SELECT max(max(added), max(coalesce(removed, 0))) FROM document").fetchone()[0]
        if (last or 0) > self._meta.generation():
            yield f"a document is of generation {last}, the index is at {self._meta.generation()}"

    def document(self, id: int) -> int:
        """Read everything of a version; gives its number of chunks. Raises IndexCorrupt, naming what is damaged."""
        row = self._db.execute(f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise damaged(f"the row of document {id}")
        found = DocumentRow(row)
        for sound, what in (
            (found.has_content, "the record"),
            (found.has_life, "the time in the index"),
            (found.has_state, "what is known of the file"),
        ):
            if not sound:
                raise damaged(f"{what} of {found.source} (document {id})")
        text = self._documents.text(id, 0, found.characters)
        if len(text) != found.characters:
            raise damaged(f"the text of {found.source} (document {id})")
        pieces = self._db.execute("SELECT count(*) FROM text WHERE id BETWEEN ? AND ?", places(id)).fetchone()[0]
        if pieces != -(-found.characters // PIECE):
            raise damaged(f"the text of {found.source} (document {id})")
        made = attributes_of(found.source, found.record, found.stamp.mtime_ns)
        for key, value in made.items():
            rows = self._db.execute(f"SELECT value FROM attribute WHERE {ATTRIBUTE}", (key, value, id)).fetchall()
            if [_typed(stored) for (stored,) in rows] != [_typed(value)]:
                raise damaged(_filtered(found.source, id))
        self._seen.append(id)
        self._attributes.append(len(made))
        rows = self._db.execute(
            f"SELECT {', '.join(ChunkRow._fields)} FROM chunk WHERE document = ? ORDER BY n", (id,)
        ).fetchall()
        if [row[2] for row in rows] != list(range(found.chunks)):
            raise damaged(f"the list of chunks of {found.source} (document {id})")
        for row in map(ChunkRow._make, rows):
            if row.chunk(found.source, text) is None:
                raise damaged(f"chunk {row.id} of {found.source} (document {id})")
        return int(found.chunks)

    def attributes(self) -> Iterator[str]:
        """Attributes that documents should not have, of those that were looked at; none has too few."""
        where = "WHERE document IN (SELECT value FROM json_each(?))"
        seen = (id_array(self._seen),)
        (count,) = self._db.execute(f"SELECT count(*) FROM attribute {where}", seen).fetchone()
        if count == sum(self._attributes):
            return
        found = dict(self._db.execute(f"SELECT document, count(*) FROM attribute {where} GROUP BY document", seen))
        for id, expected in zip(self._seen, self._attributes, strict=True):
            if found.get(id, 0) != expected:
                yield damaged(_filtered(self._documents.length(id)[0], id)).message

    def names(self, taken: Callable[[int], bool]) -> Iterator[str]:
        """The names of vectors, some at a time as they stand: a damaged one is out of order, and found by no bounds."""
        for n, (id, key, check) in enumerate(self._db.execute("SELECT id, key, crc FROM vector")):
            if taken(n // _BLOCK) and check != crc(id, key):
                yield f"the name of vector {id} differs from its checksum"

    def tail(self) -> Iterator[str]:
        """The batches of vectors that are not sealed yet; a row each, since they may be large."""
        for (first,) in self._db.execute("SELECT first FROM tail ORDER BY first").fetchall():
            row = self._db.execute("SELECT first, rows, body, crc FROM tail WHERE first = ?", (first,)).fetchone()
            if row is None or tail_crc(*row[:3]) != row[3]:
                yield f"the batch of vectors from {first} on differs from its checksum"

    def segments(self) -> Iterator[str]:
        """The rows that name the segments."""
        for *fields, check in self._db.execute(f"SELECT {SEGMENT_COLUMNS}, check_crc FROM segment"):
            if check != crc(*fields):
                yield f"the row of the segment {fields[0]!r} differs from its checksum"


def _filtered(source: str, id: int) -> str:
    return f"the list of what {source} (document {id}) can be filtered by"


def _typed(value: object) -> tuple[str, str]:
    """For comparing: a number that became a text is another value, and so is a whole one that became a fraction."""
    value = int(value) if isinstance(value, bool) else value
    return type(value).__name__, repr(value)
