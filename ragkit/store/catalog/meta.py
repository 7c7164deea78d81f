"""The table of settings of an index: its identity, its model, its generation, and the last number given to a row."""

from __future__ import annotations

import re
import sqlite3

from ragkit.errors import IndexCorrupt
from ragkit.store.catalog.rows import crc, damaged

_IDENTITY = re.compile(r"[0-9a-f]{32}")


class MetaTable:
    """Names with texts. Every row is compared with its checksum whenever it is read: there are few."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def all(self) -> dict[str, str]:
        found = {}
        for key, value, check in self._db.execute("SELECT key, value, crc FROM meta"):
            if check != crc(key, value):
                raise damaged(f"the setting {key!r}")
            found[key] = value
        return found

    def get(self, key: str) -> str | None:
        row = self._db.execute("SELECT value, crc FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        if row[1] != crc(key, row[0]):
            raise damaged(f"the setting {key!r}")
        return str(row[0])

    def set(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES(?, ?, ?)", (key, value, crc(key, value)))

    def remove(self, key: str) -> None:
        self._db.execute("DELETE FROM meta WHERE key = ?", (key,))

    def generation(self) -> int:
        generation = self.get("generation")
        if generation is None:
            raise damaged("the number of the last commit")
        return int(generation)

    def identity(self) -> str:
        """The name of the index; it becomes that of a folder, so one of another shape is refused."""
        identity = self.get("identity") or ""
        if not _IDENTITY.fullmatch(identity):
            raise IndexCorrupt(f"{identity!r} is not the name of an index", "index the folder into a new index")
        return identity

    def unused(self) -> tuple[int, int]:
        """No fewer than the vectors that nothing uses, among those up to an id; and that id."""
        count, seen = (self.get("unused") or "0 0").split()
        return int(count), int(seen)

    def set_unused(self, count: int, seen: int) -> None:
        self.set("unused", f"{count} {seen}")

    def take(self, table: str, n: int = 1) -> int:
        """The first of n numbers for new rows. None is given twice, also after its row was deleted."""
        last = int(self.get(f"last {table}") or 0)
        self.set(f"last {table}", str(last + n))
        return last + 1
