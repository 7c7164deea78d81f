"""Frequent words of an index's own texts, which short pieces are compressed with.

All pieces that need it are lost with it, so it is kept twice, in two tables: no page holds parts of both. It is made
once and never changed.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

from ragkit.errors import IndexCorrupt
from ragkit.store.catalog.pieces import SHORT, Dictionary, encoded, place, unpacked

TABLES = ("dictionary", "dictionary_copy")
# Bytes. Of 545 bytes of invented text deflate leaves 286, beside 4096 bytes of words 188, 8192 184, 16 384 182; of 638
# of Russian documentation 349, 274, 262, 252; of English sentences of 172 it leaves 118, 100, 96, 92. To try it takes
# 15 to 30 µs for each piece that is written; to unpack one takes no longer, it is shorter.
MOST = 8192
EVERY = 1024  # versions: how often a writer looks whether there is enough to make it of, and of how many it is made
_ENOUGH = 8 * MOST  # bytes of short texts; it takes 2 * MOST itself
# Texts that must have a word, for it stays when they are removed. 2 would save 2 % more of sentences, 8 up to 10 less.
_COMMON = 4
_SHORTEST = 3  # bytes: deflate refers to nothing that is shorter
_LEAST = 1024  # bytes: fewer common words save too little


class DictionaryTable:
    """Both copies."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._kept: Dictionary | None = None

    def get(self) -> Dictionary | None:
        """The first that holds; None where none does. A writer's may go, with a transaction, so it is asked for."""
        for table in TABLES:
            try:
                if self._kept and self._has(table, self._kept):
                    return self._kept
                words = next(filter(None, copies(self._db, table)), None)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF != sqlite3.SQLITE_CORRUPT:
                    raise
                continue
            if words:
                self._kept = Dictionary(words)
                return self._kept
        return None

    def _has(self, table: str, dictionary: Dictionary) -> bool:
        return self._db.execute(f"SELECT 1 FROM {table} WHERE crc = ?", (dictionary.crc,)).fetchone() is not None

    def put(self, words: bytes) -> None:
        for table in TABLES:
            self._db.execute(f"INSERT INTO {table} VALUES(?, ?)", (zlib.crc32(words), words))

    def remove(self) -> None:
        """Nothing is left that needs it."""
        for table in TABLES:
            self._db.execute(f"DELETE FROM {table}")

    def make_at(self, document: int) -> None:
        """Make it when the number of this new version is a multiple of `EVERY`, of that many versions before it.

        Not where there is one, whether it holds or not, and not where they have too few short texts.
        """
        if document % EVERY or any(self._db.execute(f"SELECT 1 FROM {table}").fetchone() for table in TABLES):
            return
        rows = self._db.execute(
            "SELECT id, body, crc FROM text WHERE id BETWEEN ? AND ? AND length(body) < ? LIMIT ?",
            (place(max(document - EVERY, 0), 0), place(document, 0), SHORT, 2 * EVERY),
        ).fetchall()
        texts = []
        for row in rows:
            with suppress(IndexCorrupt):  # whoever reads that document will be told
                texts.append(encoded(unpacked(*row))[1])
        texts = [text for text in texts if len(text) < SHORT]
        if sum(map(len, texts)) >= _ENOUGH and len(words := frequent(texts)) >= _LEAST:
            self.put(words)


def frequent(texts: Sequence[bytes]) -> bytes:
    """The words that take the most room in the texts, those that take more of it last: they cost the least."""
    count = Counter(word for text in texts for word in text.split())
    texts_with = Counter(word for text in texts for word in set(text.split()))
    common = (word for word, n in texts_with.items() if n >= _COMMON and len(word) >= _SHORTEST)
    taken: list[bytes] = []
    room = MOST - 1  # a space at the beginning, one after each word
    for word in sorted(common, key=lambda word: (count[word] * len(word), word), reverse=True):
        if len(word) < room:
            taken.append(word)
            room -= len(word) + 1
    return b" ".join([b"", *reversed(taken), b""])


def copies(db: sqlite3.Connection, table: str) -> list[bytes | None]:
    """The words of each row of the table: one, or none; None for words that are not what was written."""
    rows: Iterable[tuple[object, object]] = db.execute(f"SELECT crc, body FROM {table}")
    return [
        body if isinstance(body, bytes) and 0 < len(body) <= MOST and zlib.crc32(body) == check else None
        for check, body in rows
    ]
