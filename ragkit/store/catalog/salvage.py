"""Reading a catalog that may be damaged: rows that agree with their checksums, around pages that cannot be read.

What it gives is proved by a checksum, whatever the file looks like; what it cannot prove it leaves out.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from ragkit.errors import IndexCorrupt
from ragkit.store.catalog.chunks import ChunkRow
from ragkit.store.catalog.dictionary import TABLES, copies
from ragkit.store.catalog.pieces import DOCUMENT, PIECE, Dictionary, place, unpacked
from ragkit.store.catalog.rows import crc
from ragkit.store.catalog.schema import address, create, is_ours
from ragkit.store.catalog.vectors import NAME, SEGMENT_COLUMNS, tail_crc
from ragkit.store.catalog.verification import DOCUMENT_COLUMNS, DocumentRow
from ragkit.store.segments import SegmentInfo

_RANGE = 4096  # ids that are asked for at once, and halved around what cannot be read
# The highest id to look for where nothing says how many were given: some seconds where none of them can be read.
_UNKNOWN = 1 << 20
_UNKNOWN_FEW = 1 << 14  # in tables that have few rows
_PAGE = 4096
Bounds = Callable[[int, int], tuple[object, object]]
_FAULTS = (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError)
SETTINGS = (  # the names that settings can have, beside recipes
    "identity", "created", "changed", "generation", "state", "embedding_model", "dimension", "preparation", "models",
    "moving_to", "given_up", "unfinished", "purged", "unused", "last document", "last chunk", "last vector",
    "last root",
)  # fmt: skip


class Salvage:
    """A damaged catalog. `lost` counts, table by table, rows that do not hold or cannot be read.

    `lost_settings` are their names, as far as those can be read. Of tables that are `unreadable` nobody knows how many
    rows they had: what is counted as lost are the places where one could be.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.lost: dict[str, int] = {}
        self.lost_settings: list[str] = []
        self.unreadable: set[str] = set()
        self._path = folder / "catalog.sqlite"
        db = self._opened(self._path) or self._opened(_with_new_beginning(self._path, scratch), patched=True)
        if db is None:
            raise IndexCorrupt(
                f"{self._path} cannot be read at all", "restore it from a copy, or index the folders into a new index"
            )
        self._db = db

    def close(self) -> None:
        self._db.close()

    def _opened(self, path: Path, *, patched: bool = False) -> sqlite3.Connection | None:
        db = sqlite3.connect(address(path, "rw"), uri=True, isolation_level=None)
        try:
            db.execute("PRAGMA trusted_schema=OFF")
            db.execute("PRAGMA cell_size_check=ON")
            if is_ours(db):
                with suppress(*_FAULTS):  # what the log holds goes into the file that is kept
                    if not patched:
                        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                db.execute("PRAGMA query_only=ON")
                return db
        except _FAULTS:
            pass
        db.close()
        return None

    def _miss(self, table: str, rows: int = 1) -> None:
        self.lost[table] = self.lost.get(table, 0) + rows

    def settings(self) -> dict[str, str]:
        """Settings that hold; one whose name alone is damaged is proved by its checksum."""
        found: dict[str, str] = {}
        try:
            rows = self._all("SELECT key, value, crc FROM meta")
        except _FAULTS:
            rows = []
            for key in SETTINGS:
                try:
                    rows += self._all("SELECT key, value, crc FROM meta WHERE key = ?", key)
                except _FAULTS:
                    self.lost_settings.append(key)
        for key, value, check in rows:
            proved = next((name for name in (key, *SETTINGS) if crc(name, value) == check), None)
            if proved is None:
                self.lost_settings.append(str(key))
            else:
                found[str(proved)] = value
        return found

    def _all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def highest(self, table: str, said: str | None, key: str = "id") -> int:
        """The highest id that a row of the table can have."""
        try:
            found = self._all(f"SELECT coalesce(max({key}), 0) FROM {table} NOT INDEXED")[0][0]
            return max(int(found), int(said or 0))
        except _FAULTS:
            if not said:
                self.unreadable.add(table)
            return int(said or (_UNKNOWN_FEW if table in ("root", "failure", "segment") else _UNKNOWN))

    def _ranges(
        self, table: str, columns: str, highest: int, key: str = "id", bounds: Bounds = lambda low, high: (low, high)
    ) -> Iterator[tuple[Any, ...]]:
        """The rows whose keys are those of 0 to `highest`, ascending, but those on pages that cannot be read."""
        spans = [(low, min(low + _RANGE - 1, highest)) for low in range(0, highest + 1, _RANGE)][::-1]
        while spans:
            low, high = spans.pop()
            try:
                yield from self._all(
                    f"SELECT {columns} FROM {table} NOT INDEXED WHERE {key} BETWEEN ? AND ? ORDER BY {key}",
                    *bounds(low, high),
                )
            except _FAULTS:
                if low == high:
                    self._miss(table)
                else:
                    middle = (low + high) // 2
                    spans += [(middle + 1, high), (low, middle)]

    def roots(self, highest: int) -> Iterator[tuple[int, str, str, int]]:
        for row in self._ranges("root", "id, path, prefix, crc", highest):
            if row[3] == crc(*row[:3]):
                yield row
            else:
                self._miss("root")

    def failures(self) -> Iterator[tuple[Any, ...]]:
        columns = "source, root, size, mtime_ns, problems, crc"
        for row in self._ranges("failure", columns, self.highest("failure", None, "rowid"), "rowid"):
            if row[-1] == crc(*row[:-1]):
                yield row
            else:
                self._miss("failure")

    def documents(self, highest: int) -> Iterator[DocumentRow]:
        """Every row that can be read; it says itself what of it holds."""
        for row in self._ranges("document", DOCUMENT_COLUMNS, highest):
            yield DocumentRow(row)

    def mentioned(self, table: str) -> set[int]:
        """The ids of documents that rows of another table belong to, as far as they can be read."""
        try:
            document = DOCUMENT if table == "text" else "document"
            return {row[0] for row in self._all(f"SELECT DISTINCT {document} FROM {table}")}
        except _FAULTS:
            return set()

    @cached_property
    def dictionary(self) -> Dictionary | None:
        """What short texts are compressed with, of the copy that holds; None where neither does, or there is none."""
        for table in TABLES:
            with suppress(*_FAULTS):
                if words := next(filter(None, copies(self._db, table)), None):
                    return Dictionary(words)
        return None

    def text(self, document: int, characters: int) -> str | None:
        """The whole text of a document; None where a piece of it does not hold.

        Piece by piece: going from one to the next would lead to a page that only other documents need.
        """
        text = []
        try:
            for n in range(-(-characters // PIECE)):
                rows = self._all("SELECT id, body, crc FROM text WHERE id = ?", place(document, n))
                if not rows:
                    return None
                text += [unpacked(id, body, check, lambda: self.dictionary) for id, body, check in rows]
        except (*_FAULTS, IndexCorrupt):
            return None
        whole = "".join(text)
        return whole if len(whole) == characters else None

    def chunks(self, highest: int) -> Iterator[ChunkRow]:
        """Rows by id; whether they hold shows beside their text."""
        for row in self._ranges("chunk", ", ".join(ChunkRow._fields), highest):
            yield ChunkRow(*row)

    def names(self) -> Iterator[tuple[int, bytes, int]]:
        """In order of their first bytes; those that share them with one that cannot be read are left out as well."""
        for row in self._ranges("vector", "id, key, crc", (1 << 16) - 1, "key", _beginning):
            if row[2] == crc(*row[:2]):
                yield row
            else:
                self._miss("vector")

    def tail(self, highest: int) -> Iterator[tuple[int, int, bytes]]:
        highest = self.highest("tail", str(highest), "first")
        for first, rows, body, check in self._ranges("tail", "first, rows, body, crc", highest, "first"):
            if check == tail_crc(first, rows, body):
                yield first, rows, body
            else:
                self._miss("tail")

    def segments(self) -> Iterator[SegmentInfo]:
        columns = f"{SEGMENT_COLUMNS}, check_crc"
        for *fields, check in self._ranges("segment", columns, self.highest("segment", None, "rowid"), "rowid"):
            if check == crc(*fields):
                yield SegmentInfo(*fields)
            else:
                self._miss("segment")


def _beginning(low: int, high: int) -> tuple[bytes, bytes]:
    """The least and the greatest name of a vector whose first two bytes are these numbers, or between them."""
    return low.to_bytes(2, "big"), high.to_bytes(2, "big").ljust(NAME, b"\xff")


def _with_new_beginning(path: Path, scratch: Path) -> Path:
    """A copy whose first page, which says what the tables are, is that of a new catalog; rows must prove themselves.

    In every catalog the tables begin on the same pages: they were made in one transaction, and are never changed.
    """
    model = create(scratch / "model.sqlite")
    model.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    model.close()
    page = bytearray((scratch / "model.sqlite").read_bytes()[:_PAGE])
    copy = Path(shutil.copyfile(path, scratch / "copy.sqlite"))
    log = path.with_name(path.name + "-wal")
    if log.exists():
        shutil.copyfile(log, scratch / "copy.sqlite-wal")
    pages = copy.stat().st_size // _PAGE
    page[28:32] = pages.to_bytes(4, "big")  # length of the file in pages
    page[32:40] = bytes(8)  # no free pages are known
    with copy.open("r+b") as file:
        file.write(page)
    return copy
