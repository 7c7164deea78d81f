"""The table of chunks: spans of documents' texts, and the vectors that belong to them."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ragkit.store.catalog.documents import DocumentTable
from ragkit.store.catalog.meta import MetaTable
from ragkit.store.catalog.rows import ALIVE, chunk_crc, damaged, id_array
from ragkit.store.catalog.selection import Selection
from ragkit.types import Chunk, Metadata

WAITS = 0  # in the place of a vector's id: it was lost in a repair, and the chunk is found by words until it has one
_PORTION = 1024  # chunks


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with its ids: its own, its document version's, its vector's. `n` is its place in the document."""

    id: int
    document: int
    n: int
    vector: int
    chunk: Chunk


class ChunkRow(NamedTuple):
    """A row as it is stored."""

    id: int
    document: int
    n: int
    start: int
    end: int
    page: int | None
    line: int
    heading: str
    vector: int
    crc: int

    def chunk(self, source: str, text: str, at: int = 0) -> Chunk | None:
        """The chunk, where the row holds beside the `text` of its document from the character `at` on."""
        own = text[self.start - at : self.end - at]
        chunk = Chunk(source, self.start, self.end, own, self.page, self.heading, self.line)
        return chunk if self.crc == chunk_crc(self.id, self.document, self.n, chunk, self.vector) else None


class ChunkTable:
    """Chunks by id, by place and by vector."""

    def __init__(self, db: sqlite3.Connection, documents: DocumentTable, meta: MetaTable) -> None:
        self._db = db
        self._meta = meta
        self._documents = documents

    def add(self, document: int, chunks: Sequence[Chunk], vectors: Sequence[int]) -> None:
        """`vectors[i]` is the id of the vector of `chunks[i]`."""
        first = self._meta.take("chunk", len(chunks))
        self.put(
            ChunkRow(
                first + n, document, n, c.start, c.end, c.page, c.line, c.heading, vector,
                chunk_crc(first + n, document, n, c, vector),
            )
            for n, (c, vector) in enumerate(zip(chunks, vectors, strict=True))
        )  # fmt: skip

    def put(self, rows: Iterable[ChunkRow]) -> None:
        self._db.executemany("INSERT INTO chunk VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def give_vectors(self, chunks: Sequence[StoredChunk], vectors: Sequence[int]) -> None:
        """Put the vector `vectors[i]` in the place of the one that `chunks[i]` had."""
        self._db.executemany(
            "UPDATE chunk SET vector = ?, crc = ? WHERE id = ?",
            [
                (vector, chunk_crc(stored.id, stored.document, stored.n, stored.chunk, vector), stored.id)
                for stored, vector in zip(chunks, vectors, strict=True)
            ],
        )

    def rows(self, ids: Iterable[int]) -> dict[int, ChunkRow]:
        """Each of these chunks that is there, as it is stored: `passages` tells whether it holds."""
        rows = self._db.execute(
            f"SELECT {', '.join(ChunkRow._fields)} FROM chunk WHERE id IN (SELECT value FROM json_each(?))",
            (id_array(ids),),
        )
        return {row[0]: ChunkRow(*row) for row in rows}

    def passages(self, groups: Sequence[Sequence[ChunkRow]]) -> list[tuple[Chunk, Metadata]]:
        """Each group, neighbours in one document, as one passage from the first of them to the last.

        Page, heading and line are those of the group's first row; the metadata is the document's. Every row is
        compared with its checksum. Raises IndexCorrupt where one does not hold.
        """
        spans = [(rows[0].document, min(row.start for row in rows), max(row.end for row in rows)) for rows in groups]
        records = self._documents.records({document for document, _, _ in spans})
        passages: list[tuple[Chunk, Metadata]] = []
        for rows, (document, start, end), text in zip(groups, spans, self._documents.texts(spans), strict=True):
            if document not in records:
                raise damaged(f"the document of chunk {rows[0].id}")
            source, record = records[document]
            chunks = [row.chunk(source, text, start) for row in rows]
            first = chunks[0]
            if first is None or None in chunks:
                raise damaged(f"chunk {rows[chunks.index(None)].id} of {source}")
            passage = replace(first, end=end, text=text) if len(rows) > 1 else first
            passages.append((passage, dict(record["metadata"])))  # hits of one document share nothing
        return passages

    def by_id(self, ids: Iterable[int]) -> list[StoredChunk]:
        """The chunks in ascending order of id; ids that are gone are left out."""
        return self._select("c.id IN (SELECT value FROM json_each(:ids)) ORDER BY c.id", {"ids": id_array(ids)})

    def ids(self, at: int) -> list[int]:
        """Every living chunk, ascending."""
        rows = self._db.execute(
            f"SELECT c.id FROM chunk c JOIN document d ON d.id = c.document WHERE {ALIVE} ORDER BY c.id", {"at": at}
        )
        return [row[0] for row in rows]

    def count(self, at: int) -> int:
        """How many chunks are alive."""
        if self._documents.has_dead(at):
            return len(self.ids(at))
        return int(self._db.execute("SELECT count(*) FROM chunk").fetchone()[0])

    def of_document(self, document: int, first: int = 0, last: int = 1 << 60) -> list[StoredChunk]:
        """Chunks number first to last, inclusive, of a document version, in order."""
        return self._select(
            "c.document = :d AND c.n BETWEEN :a AND :b ORDER BY c.n",
            {"d": document, "a": first, "b": last},
            neighbours=True,
        )

    def portions(self, document: int) -> Iterator[list[StoredChunk]]:
        """All chunks of a document version, in order, some at a time: there may be a hundred thousand."""
        for first in itertools.count(0, _PORTION):
            found = self.of_document(document, first, first + _PORTION - 1)
            if found:
                yield found
            if len(found) < _PORTION:
                return

    def _select(self, where: str, values: dict[str, Any], *, neighbours: bool = False) -> list[StoredChunk]:
        """The text of `neighbours`, which are of one document, is read once for all of them."""
        rows = self._db.execute(
            "SELECT c.id, c.document, c.n, c.vector, c.crc, d.source, c.start, c.end, c.page, c.heading, c.line"
            f" FROM chunk c JOIN document d ON d.id = c.document WHERE {where}",
            values,
        ).fetchall()
        found = []
        low, high = (min(row[6] for row in rows), max(row[7] for row in rows)) if neighbours and rows else (0, 0)
        around = self._documents.text(rows[0][1], low, high) if high else ""
        for id, document, n, vector, check, source, start, end, page, heading, line in rows:
            text = around[start - low : end - low] if high else self._documents.text(document, start, end)
            chunk = Chunk(source, start, end, text, page, heading, line)
            if check != chunk_crc(id, document, n, chunk, vector):
                raise damaged(f"chunk {id} of {source}")
            found.append(StoredChunk(id, document, n, vector, chunk))
        return found

    def with_vectors(
        self, at: int, vectors: Iterable[int], selection: Selection | None = None
    ) -> list[tuple[int, int]]:
        """(chunk id, vector id) of the living chunks with these vectors; where given, of these documents only."""
        sql = "SELECT c.id, c.vector FROM chunk c WHERE c.vector IN (SELECT value FROM json_each(:ids))"
        if selection:
            sql += f" AND {selection.sql}"
        if self._documents.has_dead(at):
            sql += f" AND EXISTS (SELECT 1 FROM document WHERE id = c.document AND {ALIVE})"
        values = {**(selection.values if selection else {}), "ids": id_array(vectors), "at": at}
        return self._db.execute(sql, values).fetchall()

    def vectors(self, ids: Iterable[int]) -> dict[int, int]:
        """Vector id by chunk id."""
        return dict(
            self._db.execute(
                "SELECT id, vector FROM chunk WHERE id IN (SELECT value FROM json_each(?))", (id_array(ids),)
            ).fetchall()
        )

    def count_vectors(self, first: int, last: int) -> int:
        """How many vectors from the first to the last, inclusive, chunks have."""
        row = self._db.execute(
            "SELECT count(DISTINCT vector) FROM chunk WHERE vector BETWEEN ? AND ? AND vector != ?",
            (first, last, WAITS),
        ).fetchone()
        return int(row[0])

    def count_without_vector(self) -> int:
        """Chunks whose vector has no name: 0 in a sound index."""
        row = self._db.execute(
            "SELECT count(*) FROM chunk WHERE vector != ? AND vector NOT IN (SELECT id FROM vector)", (WAITS,)
        ).fetchone()
        return int(row[0])

    def count_waiting(self) -> int:
        """Chunks whose vector was lost, and is not made again yet."""
        return int(self._db.execute("SELECT count(*) FROM chunk WHERE vector = ?", (WAITS,)).fetchone()[0])

    def waiting(self) -> list[StoredChunk]:
        """Those chunks, in order of id."""
        return self._select("c.vector = :waits ORDER BY c.id", {"waits": WAITS})
