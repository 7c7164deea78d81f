"""The tables of vectors: their names, the batches that are not sealed yet, and the segments that are."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence

from ragkit.store.catalog.meta import MetaTable
from ragkit.store.catalog.rows import crc, damaged, id_array
from ragkit.store.segments import SegmentInfo

NAME = 16  # bytes: two of 2**40 keys have the same name with a chance of 2**-49
SEGMENT_COLUMNS = "name, first, last, rows, dimension, crc, size"


def tail_crc(first: int, rows: int, body: bytes) -> int:
    """The checksum of a batch, with its place."""
    return zlib.crc32(body, crc(first, rows))


def name_of(key: bytes) -> bytes:
    """What is kept of a key."""
    import hashlib  # no search needs it

    return hashlib.blake2b(key, digest_size=NAME).digest()


class VectorTable:
    """A vector's key comes from its model and text; the row itself stands in the tail or in a segment."""

    def __init__(self, db: sqlite3.Connection, meta: MetaTable) -> None:
        self._db = db
        self._meta = meta

    def ids(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        """Ids of the vectors that are stored under these keys; unknown keys are left out."""
        found: dict[bytes, int] = {}
        for key in keys:
            row = self._db.execute("SELECT id FROM vector WHERE key = ?", (name_of(key),)).fetchone()
            if row:
                found[key] = row[0]
        return found

    def add(self, keys: Sequence[bytes]) -> int:
        """Name new vectors. Ids are consecutive, and never used twice; gives the first."""
        first = self._meta.take("vector", len(keys))
        rows = [(id, name_of(key)) for id, key in enumerate(keys, first)]
        self._db.executemany("INSERT INTO vector(id, key, crc) VALUES(?, ?, ?)", [(*row, crc(*row)) for row in rows])
        return first

    def is_named(self, id: int) -> bool:
        """Every vector may be looked at, here and below: they are found by name."""
        return self._db.execute("SELECT 1 FROM vector WHERE id = ?", (id,)).fetchone() is not None

    def names(self) -> list[int]:
        """Every id that has a name, ascending."""
        return [row[0] for row in self._db.execute("SELECT id FROM vector ORDER BY id")]

    def count(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM vector").fetchone()[0])

    def count_in(self, spans: Iterable[tuple[int, int]]) -> int:
        """How many have ids in these spans, first and last of each included."""
        count = "SELECT count(*) FROM vector WHERE id BETWEEN ? AND ?"
        return sum(int(self._db.execute(count, span).fetchone()[0]) for span in spans)

    def unused(self) -> list[int]:
        """Vectors that no chunk row uses any more, ascending: oldest first."""
        rows = self._db.execute("SELECT id FROM vector WHERE id NOT IN (SELECT vector FROM chunk) ORDER BY id")
        return [row[0] for row in rows]

    def note_unused(self, count: int) -> None:
        """Keep how many `unused` has just given: `most_unused` counts on from there."""
        self._meta.set_unused(count, int(self._meta.get("last vector") or 0))

    def most_unused(self) -> int:
        """No fewer than the vectors that `unused` gives; only ids that were given since the last time are looked at."""
        count, seen = self._meta.unused()
        last = int(self._meta.get("last vector") or 0)
        if last > seen:
            used = self._db.execute("SELECT count(DISTINCT vector) FROM chunk WHERE vector > ?", (seen,)).fetchone()[0]
            count += last - seen - used
            self._meta.set_unused(count, last)
        return count

    def remove(self, ids: Sequence[int]) -> None:
        """Delete the names of vectors that nothing uses."""
        if not ids:
            return
        removed = self._db.execute(
            "DELETE FROM vector WHERE id IN (SELECT value FROM json_each(?))", (id_array(ids),)
        ).rowcount
        count, seen = self._meta.unused()
        self._meta.set_unused(max(0, count - removed), seen)

    def add_tail(self, first: int, rows: int, body: bytes) -> None:
        self._db.execute("INSERT INTO tail VALUES(?, ?, ?, ?)", (first, rows, tail_crc(first, rows, body), body))

    def tail(self, wanted: Callable[[int], bool] = lambda _: True) -> list[tuple[int, int, bytes]]:
        """(first id, number of rows, bytes) of each batch that is not sealed yet, in order.

        Only batches whose first id is `wanted` are read.
        """
        firsts = [first for (first,) in self._db.execute("SELECT first FROM tail ORDER BY first") if wanted(first)]
        rows = self._db.execute(
            "SELECT first, rows, crc, body FROM tail WHERE first IN (SELECT value FROM json_each(?)) ORDER BY first",
            (id_array(firsts),),
        ).fetchall()
        for first, count, check, body in rows:
            if tail_crc(first, count, body) != check:
                raise damaged(f"the batch of vectors from {first} on")
        return [(first, count, body) for first, count, _, body in rows]

    def tail_rows(self) -> int:
        return int(self._db.execute("SELECT coalesce(sum(rows), 0) FROM tail").fetchone()[0])

    def clear_tail(self) -> None:
        self._db.execute("DELETE FROM tail")

    def segments(self, wanted: Callable[[int], bool] = lambda _: True) -> list[SegmentInfo]:
        """The sealed segments in order of their ids, those whose first id is `wanted`."""
        found = []
        for *fields, check in self._db.execute(f"SELECT {SEGMENT_COLUMNS}, check_crc FROM segment ORDER BY first"):
            if check != crc(*fields):
                raise damaged(f"the row of the segment {fields[0]!r}")
            found.append(SegmentInfo(*fields))
        return [info for info in found if wanted(info.first)]

    def add_segment(self, info: SegmentInfo) -> None:
        fields = (info.name, info.first, info.last, info.rows, info.dimension, info.crc, info.size)
        self._db.execute("INSERT INTO segment VALUES(?, ?, ?, ?, ?, ?, ?, ?)", (*fields, crc(*fields)))

    def remove_segments(self, names: Iterable[str]) -> None:
        self._db.executemany("DELETE FROM segment WHERE name = ?", [(name,) for name in names])
