"""The tables of documents, their texts, their attributes, and the files that gave nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragkit.errors import ConfigError
from ragkit.filters import Condition
from ragkit.store.catalog.rows import (
    ALIVE,
    attributes,
    crc,
    damaged,
    info_from,
    iso,
    matching,
    problems_from,
    problems_text,
    record_text,
)
from ragkit.types import Document, Heading

if TYPE_CHECKING:
    from ragkit.reports import DocumentInfo, FileStamp, Known, Problem

_PIECE = 16_384  # characters of a document's text in one row: a passage is cut out of one or two of them


class DocumentTable:
    """Versions of documents. Reading methods take `at`, the generation to look at."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def known(self) -> dict[str, Known]:
        """Every living document by source."""
        from ragkit.reports import FileStamp, Known  # no search needs them

        rows = self._db.execute(
            "SELECT source, root, sha256, size, mtime_ns, checked_ns, sidecar, problems FROM document"
            " WHERE removed IS NULL"
        )
        return {
            source: Known(root, sha256, FileStamp(*stamp), problems_from(problems))
            for source, root, sha256, *stamp, problems in rows
        }

    def failures(self) -> dict[str, int | None]:
        """Every file that gave nothing, by source, with its root."""
        return dict(self._db.execute("SELECT source, root FROM failure").fetchall())

    def counts(self, at: int) -> dict[str, int]:
        """How many documents and chunks are alive, and how many files gave nothing."""
        documents, chunks = self._db.execute(
            f"SELECT count(*), coalesce(sum(chunks), 0) FROM document WHERE {ALIVE}", {"at": at}
        ).fetchone()
        failed = self._db.execute("SELECT count(*) FROM failure").fetchone()[0]
        return {"documents": documents, "chunks": chunks, "failed": failed}

    def add(
        self,
        document: Document,
        *,
        root: int | None,
        stamp: FileStamp,
        problems: Sequence[Problem],
        chunks: int,
        added: int,
    ) -> int:
        """Insert a version of the document with its text and attributes; gives its id."""
        record = record_text(document)
        check = crc(document.source, document.sha256, len(document.text), chunks, record)
        cursor = self._db.execute(
            "INSERT INTO document(source, root, added, sha256, size, mtime_ns, checked_ns, sidecar, indexed,"
            " characters, chunks, record, problems, crc) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (document.source, root, added, document.sha256, stamp.size, stamp.mtime_ns, stamp.checked_ns, stamp.sidecar,
             iso(time.time_ns()), len(document.text), chunks, record, problems_text(problems), check),
        )  # fmt: skip
        id = int(cursor.lastrowid or 0)
        pieces = [document.text[i : i + _PIECE] for i in range(0, len(document.text), _PIECE)]
        self._db.executemany(
            "INSERT INTO text VALUES(?, ?, ?, ?)", [(id, n, body, crc(body)) for n, body in enumerate(pieces)]
        )
        self._db.executemany(
            "INSERT INTO attribute VALUES(?, ?, ?)",
            [(id, key, value) for key, value in attributes(document, stamp).items()],
        )
        self.forget_failure(document.source)
        return id

    def touch(self, source: str, stamp: FileStamp) -> None:
        """The file has a new time, and the same bytes."""
        (id,) = self._db.execute("SELECT id FROM document WHERE source = ? AND removed IS NULL", (source,)).fetchone()
        self._db.execute(
            "UPDATE document SET size = ?, mtime_ns = ?, checked_ns = ?, sidecar = ? WHERE id = ?",
            (stamp.size, stamp.mtime_ns, stamp.checked_ns, stamp.sidecar, id),
        )
        self._db.execute(
            "UPDATE attribute SET value = ? WHERE document = ? AND key = 'modified'", (iso(stamp.mtime_ns), id)
        )

    def retire(self, source: str, removed: int) -> int:
        """Mark the living version as gone from generation `removed` on; gives how many there were (0 or 1)."""
        return self._db.execute(
            "UPDATE document SET removed = ? WHERE source = ? AND removed IS NULL", (removed, source)
        ).rowcount

    def set_failure(self, source: str, root: int | None, stamp: FileStamp, problems: Sequence[Problem]) -> None:
        """Remember that the file gave nothing, and why; a version from before stays, with that problem."""
        self._db.execute(
            "UPDATE document SET problems = ? WHERE source = ? AND removed IS NULL", (problems_text(problems), source)
        )
        self._db.execute(
            "INSERT OR REPLACE INTO failure VALUES(?, ?, ?, ?, ?)",
            (source, root, stamp.size, stamp.mtime_ns, problems_text(problems)),
        )

    def forget_failure(self, source: str) -> int:
        return self._db.execute("DELETE FROM failure WHERE source = ?", (source,)).rowcount

    def purge(self, before: int) -> int:
        """Delete the rows of versions that were gone at generation `before`; gives how many versions."""
        ids = [row[0] for row in self._db.execute("SELECT id FROM document WHERE removed <= ?", (before,))]
        for table in ("chunk", "text", "attribute"):
            self._db.executemany(f"DELETE FROM {table} WHERE document = ?", [(id,) for id in ids])
        self._db.executemany("DELETE FROM document WHERE id = ?", [(id,) for id in ids])
        return len(ids)

    def infos(self, at: int, conditions: Sequence[Condition] = ()) -> list[DocumentInfo]:
        """The documents that fulfil the conditions, by source; without conditions, the failed files as well."""
        self._check_keys(conditions)
        where, values = matching(conditions)
        rows = self._db.execute(
            "SELECT source, sha256, size, mtime_ns, indexed, characters, chunks, record, problems, crc"
            f" FROM document WHERE {ALIVE}{where}",
            {"at": at, **values},
        ).fetchall()
        infos = [info_from(*row) for row in rows]
        if not conditions:
            from ragkit.reports import DocumentInfo  # no search needs it

            living = {info.source for info in infos}
            failed = self._db.execute("SELECT source, size, mtime_ns, problems FROM failure").fetchall()
            infos += [
                DocumentInfo(source, size=size, modified=iso(mtime_ns), problems=problems_from(problems))
                for source, size, mtime_ns, problems in failed
                if source not in living
            ]
        return sorted(infos, key=lambda info: info.source)

    def get(self, at: int, source: str) -> Document | None:
        """The version that is alive at that generation; None where there is none."""
        row = self._db.execute(
            f"SELECT id, sha256, characters, chunks, record, crc FROM document WHERE source = :source AND {ALIVE}",
            {"source": source, "at": at},
        ).fetchone()
        if row is None:
            return None
        id, sha256, characters, chunks, record, check = row
        if check != crc(source, sha256, characters, chunks, record):
            raise damaged(f"the record of {source}")
        fields = json.loads(record)
        return Document(
            source,
            self.text(id, 0, characters),
            sha256,
            fields["media_type"],
            tuple(fields["page_starts"]),
            tuple(Heading(*heading) for heading in fields["headings"]),
            fields["metadata"],
        )

    def text(self, document: int, start: int, end: int) -> str:
        """Characters start to end of a document version. Raises IndexCorrupt where they are not what was written."""
        rows = self._db.execute(
            "SELECT n, body, crc FROM text WHERE document = ? AND n BETWEEN ? AND ? ORDER BY n",
            (document, start // _PIECE, max(end - 1, start) // _PIECE),
        ).fetchall()
        for n, body, check in rows:
            if crc(body) != check:
                raise damaged(f"text piece {n} of document {document}")
        first = rows[0][0] * _PIECE if rows else 0
        return "".join(body for _, body, _ in rows)[start - first : end - first]

    def title(self, id: int) -> str:
        (record,) = self._db.execute("SELECT record FROM document WHERE id = ?", (id,)).fetchone()
        return str(json.loads(record)["metadata"].get("title", ""))

    def matching(self, at: int, conditions: Sequence[Condition]) -> list[int]:
        """Ids of the living documents that fulfil every condition, ascending.

        Raises ConfigError for a key that no document has.
        """
        self._check_keys(conditions)
        where, values = matching(conditions)
        rows = self._db.execute(f"SELECT id FROM document WHERE {ALIVE}{where} ORDER BY id", {"at": at, **values})
        return [row[0] for row in rows]

    def _check_keys(self, conditions: Sequence[Condition]) -> None:
        for key in {condition.key for condition in conditions} - {"source"}:
            if self._db.execute("SELECT 1 FROM attribute WHERE key = ? LIMIT 1", (key,)).fetchone() is None:
                known = [row[0] for row in self._db.execute("SELECT DISTINCT key FROM attribute ORDER BY key")]
                raise ConfigError(f"no document has the key {key!r}", f"the keys are: {', '.join(['source', *known])}")

    def changes(self, since: int, at: int) -> tuple[list[int], list[int]]:
        """Ids of the document versions that came and that went between two generations."""
        came = self._db.execute(
            f"SELECT id FROM document WHERE added > :since AND {ALIVE} ORDER BY id", {"since": since, "at": at}
        ).fetchall()
        went = self._db.execute(
            "SELECT id FROM document WHERE removed > ? AND removed <= ? AND added <= ?", (since, at, since)
        ).fetchall()
        return [row[0] for row in came], [row[0] for row in went]

    def living(self) -> list[int]:
        """The versions that will be alive after the next commit."""
        return [row[0] for row in self._db.execute("SELECT id FROM document WHERE removed IS NULL ORDER BY id")]

    def ids(self) -> list[int]:
        """Every version whose rows are still here."""
        return [row[0] for row in self._db.execute("SELECT id FROM document ORDER BY id")]

    def verify(self, id: int) -> int:
        """Read a version's record and text and compare them with their checksums; gives its number of chunks.

        Raises IndexCorrupt, naming what is damaged.
        """
        row = self._db.execute(
            "SELECT source, sha256, characters, chunks, record, crc FROM document WHERE id = ?", (id,)
        ).fetchone()
        if row is None:
            raise damaged(f"the row of document {id}")
        source, sha256, characters, chunks, record, check = row
        if check != crc(source, sha256, characters, chunks, record):
            raise damaged(f"the record of {source}")
        if len(self.text(id, 0, characters)) != characters:
            raise damaged(f"the text of {source}")
        return int(chunks)
