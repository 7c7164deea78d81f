"""The table of chunks: spans of documents' texts, and the vectors that belong to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ragkit.store.catalog.documents import DocumentTable
from ragkit.store.catalog.rows import ALIVE, chunk_crc, damaged, id_array
from ragkit.types import Chunk


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with its ids: its own, its document version's, its vector's. `n` is its place in the document."""

    id: int
    document: int
    n: int
    vector: int
    chunk: Chunk


class ChunkTable:
    """Chunks by id, by place and by vector."""

    def __init__(self, db: sqlite3.Connection, documents: DocumentTable) -> None:
        self._db = db
        self._documents = documents

    def add(self, document: int, chunks: Sequence[Chunk], vectors: Sequence[int]) -> None:
        """`vectors[i]` is the id of the vector of `chunks[i]`."""
        self._db.executemany(
            "INSERT INTO chunk(document, n, start, end, page, line, heading, vector, crc)"
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (document, n, c.start, c.end, c.page, c.line, c.heading, vector, chunk_crc(document, n, c, vector))
                for n, (c, vector) in enumerate(zip(chunks, vectors, strict=True))
            ],
        )

    def give_vectors(self, chunks: Sequence[StoredChunk], vectors: Sequence[int]) -> None:
        """Put the vector `vectors[i]` in the place of the one that `chunks[i]` had."""
        self._db.executemany(
            "UPDATE chunk SET vector = ?, crc = ? WHERE id = ?",
            [
                (vector, chunk_crc(stored.document, stored.n, stored.chunk, vector), stored.id)
                for stored, vector in zip(chunks, vectors, strict=True)
            ],
        )

    def by_id(self, ids: Iterable[int]) -> list[StoredChunk]:
        """The chunks in ascending order of id; ids that are gone are left out."""
        return self._select("c.id IN (SELECT value FROM json_each(:ids)) ORDER BY c.id", {"ids": id_array(ids)})

    def ids(self, at: int) -> list[int]:
        """Every living chunk, ascending."""
        rows = self._db.execute(
            f"SELECT c.id FROM chunk c JOIN document d ON d.id = c.document WHERE {ALIVE} ORDER BY c.id", {"at": at}
        )
        return [row[0] for row in rows]

    def of_document(self, document: int, first: int = 0, last: int = 1 << 60) -> list[StoredChunk]:
        """Chunks number first to last, inclusive, of a document version, in order."""
        return self._select(
            "c.document = :d AND c.n BETWEEN :a AND :b ORDER BY c.n", {"d": document, "a": first, "b": last}
        )

    def _select(self, where: str, values: dict[str, Any]) -> list[StoredChunk]:
        rows = self._db.execute(
            "SELECT c.id, c.document, c.n, c.vector, c.crc, d.source, c.start, c.end, c.page, c.heading, c.line"
            f" FROM chunk c JOIN document d ON d.id = c.document WHERE {where}",
            values,
        ).fetchall()
        found = []
        for id, document, n, vector, check, source, start, end, page, heading, line in rows:
            chunk = Chunk(source, start, end, self._documents.text(document, start, end), page, heading, line)
            if check != chunk_crc(document, n, chunk, vector):
                raise damaged(f"chunk {id} of {source}")
            found.append(StoredChunk(id, document, n, vector, chunk))
        return found

    def with_vectors(
        self, at: int, vectors: Iterable[int], documents: Iterable[int] | None = None
    ) -> list[tuple[int, int]]:
        """(chunk id, vector id) of the living chunks with these vectors; where given, of these documents only."""
        only = "" if documents is None else " AND d.id IN (SELECT value FROM json_each(:documents))"
        return self._db.execute(
            "SELECT c.id, c.vector FROM chunk c JOIN document d ON d.id = c.document"
            f" WHERE c.vector IN (SELECT value FROM json_each(:vectors)) AND {ALIVE}{only}",
            {"at": at, "vectors": id_array(vectors), "documents": id_array(documents or ())},
        ).fetchall()

    def vectors(self, ids: Iterable[int]) -> dict[int, int]:
        """Vector id by chunk id."""
        return dict(
            self._db.execute(
                "SELECT id, vector FROM chunk WHERE id IN (SELECT value FROM json_each(?))", (id_array(ids),)
            ).fetchall()
        )

    def vectors_of_documents(self, documents: Iterable[int]) -> list[int]:
        """The vectors that the chunks of these document versions use, each once, ascending."""
        rows = self._db.execute(
            "SELECT DISTINCT vector FROM chunk WHERE document IN (SELECT value FROM json_each(?)) ORDER BY vector",
            (id_array(documents),),
        )
        return [row[0] for row in rows]

    def vectors_in_use(self) -> list[int]:
        """Every vector that a chunk has, once, ascending."""
        return [row[0] for row in self._db.execute("SELECT DISTINCT vector FROM chunk ORDER BY vector")]

    def count_without_vector(self) -> int:
        """Chunks whose vector has no name: 0 in a sound index."""
        row = self._db.execute("SELECT count(*) FROM chunk WHERE vector NOT IN (SELECT id FROM vector)").fetchone()
        return int(row[0])
