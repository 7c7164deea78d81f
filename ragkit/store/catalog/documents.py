"""The tables of documents, their texts, their attributes, and the files that gave nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from ragkit.errors import ConfigError, IndexCorrupt
from ragkit.filters import Condition
from ragkit.store.catalog.meta import MetaTable
from ragkit.store.catalog.pieces import PIECE, Dictionary, pieces, places, places_of, unpacked
from ragkit.store.catalog.rows import (
    ALIVE,
    ATTRIBUTE,
    RECORD,
    attributes,
    attributes_of,
    check_record,
    crc,
    damaged,
    id_array,
    info_from,
    iso,
    layout_from,
    layout_text,
    packed_sha256,
    problems_from,
    problems_text,
    record_from,
    record_text,
    sha256_from,
    state_crc,
)
from ragkit.store.catalog.selection import Selection, has_dead
from ragkit.types import Document, Heading

if TYPE_CHECKING:
    from ragkit.reports import DocumentInfo, FileStamp, Known, Problem
    from ragkit.store.catalog.dictionary import DictionaryTable

_SELECTIONS = 4  # that are kept: 16 bytes for each of the documents' chunks and vectors that were listed


class DocumentTable:
    """Versions of documents. Reading methods take `at`, the generation to look at."""

    def __init__(self, db: sqlite3.Connection, meta: MetaTable) -> None:
        self._db = db
        self._meta = meta
        self._selections: dict[tuple[Condition, ...], Selection] = {}
        self._selected_at = (0, 0)  # SQLite's number for what others committed, and the generation
        self._count = 0

    def known(self, sources: Collection[str]) -> dict[str, Known]:
        """Those of these documents that are alive, by source."""
        from ragkit.reports import FileStamp, Known  # no search needs them

        rows = self._db.execute(
            "SELECT id, source, root, sha256, problems, chunks, size, mtime_ns, checked_ns, sidecar FROM document"
            " WHERE source IN (SELECT value FROM json_each(?)) AND removed IS NULL",
            (json.dumps(list(sources)),),
        )
        return {
            source: Known(root, sha256_from(sha256), FileStamp(*stamp), problems_from(problems), id, chunks)
            for id, source, root, sha256, problems, chunks, *stamp in rows
        }

    def listed(self, root: int | None = None) -> Iterator[tuple[int, str]]:
        """Id and source of every living document, or of those of one root, in order of id."""
        return self._db.execute(  # in the order of the table, and not by way of an index
            "SELECT id, source FROM document WHERE +removed IS NULL AND (:root IS NULL OR root = :root) ORDER BY id",
            {"root": root},
        )

    def failures(self, root: int | None = None) -> Iterator[tuple[int, str]]:
        """Id and source of every file that gave nothing, or of one root's, in order of id."""
        return self._db.execute(
            "SELECT rowid, source FROM failure WHERE :root IS NULL OR root = :root ORDER BY rowid", {"root": root}
        )

    def known_failures(self, sources: Collection[str], root: int) -> dict[str, int]:
        """The id of each of these files that gave nothing, by source, where it is the root's."""
        rows = self._db.execute(
            "SELECT source, rowid FROM failure WHERE source IN (SELECT value FROM json_each(?)) AND root = ?",
            (json.dumps(list(sources)), root),
        )
        return dict(rows.fetchall())

    def has(self, source: str) -> bool:
        """Whether there is a living document, or a file that gave nothing, of that name."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM document WHERE source = :source AND removed IS NULL)"
            " OR EXISTS (SELECT 1 FROM failure WHERE source = :source)",
            {"source": source},
        ).fetchone()
        return bool(row[0])

    def sources(self) -> set[str]:
        """The names of all of those."""
        rows = self._db.execute("SELECT source FROM document WHERE removed IS NULL UNION SELECT source FROM failure")
        return {row[0] for row in rows}

    def counts(self, at: int) -> dict[str, int]:
        """How many documents and chunks are alive, how many files gave nothing, of how many some is missing."""
        documents, chunks, partly = self._db.execute(
            f"SELECT count(*), total(chunks), total(problems != :none) FROM document WHERE {ALIVE}",
            {"at": at, "none": problems_text(())},
        ).fetchone()
        failed, gone = self._db.execute(
            "SELECT count(*), total(NOT EXISTS ("
            " SELECT 1 FROM document d WHERE d.source = failure.source AND removed IS NULL)) FROM failure"
        ).fetchone()
        return {"documents": documents, "chunks": int(chunks), "failed": failed, "incomplete": int(partly + gone)}

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
        id = self._meta.take("document")
        self.dictionaries.make_at(id)
        self.put(
            id,
            document,
            record_text(document),
            layout_text(document),
            root=root,
            stamp=stamp,
            indexed=int(time.time()),
            problems=problems_text(problems),
            chunks=chunks,
            added=added,
        )
        self.forget_failure(document.source)
        return id

    def put(
        self,
        id: int,
        document: Document,
        record: str,
        layout: str,
        *,
        root: int | None,
        stamp: FileStamp,
        indexed: int,
        problems: str,
        chunks: int,
        added: int,
    ) -> None:
        """Insert the rows of a version under this id; of the document text, names and metadata are looked at."""
        sha256 = packed_sha256(document.sha256)
        check = crc(document.source, sha256, len(document.text), chunks, record, layout)
        self._db.execute(
            "INSERT INTO document VALUES(?, ?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (id, document.source, root, added, sha256, stamp.size, stamp.mtime_ns, stamp.checked_ns,
             stamp.sidecar, indexed, len(document.text), chunks, record, problems, check,
             crc(id, check, added, None), state_crc(id, root, stamp, indexed, problems), layout),
        )  # fmt: skip
        self._db.executemany("INSERT INTO text VALUES(?, ?, ?)", pieces(id, document.text, self.dictionary))
        self._add_attributes(id, attributes(document.source, document.media_type, document.metadata, stamp.mtime_ns))

    def _add_attributes(self, id: int, values: Mapping[str, object]) -> None:
        add = "INSERT OR REPLACE INTO attribute SELECT id, ?, ? FROM attribute_key WHERE name = ?"
        rows = [(value, id, key) for key, value in values.items()]
        if self._db.executemany(add, rows).rowcount < len(rows):  # a key is new
            self._db.executemany("INSERT OR IGNORE INTO attribute_key(name) VALUES(?)", [(key,) for key in values])
            self._db.executemany(add, rows)

    def _delete_attributes(self, ids: Sequence[int]) -> None:
        """And the names of keys that no other version has. What they are follows from each version's own row."""
        names: set[str] = set()
        made = 0

        def rows() -> Iterator[tuple[str, object, int]]:
            nonlocal made
            for id in ids:
                for key, value in self._attributes(id).items():
                    names.add(key)
                    made += 1
                    yield key, value, id

        try:
            deleted = self._db.executemany(f"DELETE FROM attribute WHERE {ATTRIBUTE}", rows()).rowcount
        except (IndexCorrupt, ValueError, TypeError):  # a row that does not hold, or a stranger's
            deleted = -1
        unused = "NOT EXISTS (SELECT 1 FROM attribute WHERE key = attribute_key.id)"
        if deleted == made:
            self._db.executemany(f"DELETE FROM attribute_key WHERE name = ? AND {unused}", [(name,) for name in names])
        elif ids:  # go through all of them
            sql = "DELETE FROM attribute WHERE document IN (SELECT value FROM json_each(?))"
            self._db.execute(sql, (id_array(ids),))
            self._db.execute(f"DELETE FROM attribute_key WHERE {unused}")

    def _attributes(self, id: int) -> dict[str, str | int | float]:
        """Those of a version, by its row. Raises IndexCorrupt, ValueError or TypeError where that does not hold."""
        try:
            *row, mtime_ns = self._db.execute(f"SELECT {RECORD}, mtime_ns FROM document WHERE id = ?", (id,)).fetchone()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0):
                raise
            raise damaged(f"the record of document {id}") from error  # it is no UTF-8 any more
        check_record(*row)
        source, _, _, _, record, *_ = row
        return attributes_of(source, record, mtime_ns)

    def touch(self, source: str, stamp: FileStamp) -> None:
        """The file has a new time, and the same bytes."""
        ((id, root, _, indexed, problems),) = self._states(source)
        fields = self.record(id)
        self._delete_attributes([id])
        state = state_crc(id, root, stamp, indexed, problems)
        self._db.execute(
            "UPDATE document SET size = ?, mtime_ns = ?, checked_ns = ?, sidecar = ?, state = ? WHERE id = ?",
            (stamp.size, stamp.mtime_ns, stamp.checked_ns, stamp.sidecar, state, id),
        )
        self._add_attributes(id, attributes(source, fields["media_type"], fields["metadata"], stamp.mtime_ns))

    def _states(self, source: str) -> list[tuple[int, int | None, FileStamp, int, str]]:
        """Id, root, stamp, time of indexing and problems of the living version, where there is one.

        Raises IndexCorrupt where they do not hold: with a new checksum nobody would ever know.
        """
        from ragkit.reports import FileStamp  # no search needs it

        rows = self._db.execute(
            "SELECT id, root, size, mtime_ns, checked_ns, sidecar, indexed, problems, state FROM document"
            " WHERE source = ? AND removed IS NULL",
            (source,),
        ).fetchall()
        states = [(id, root, FileStamp(*stamp), indexed, told) for id, root, *stamp, indexed, told, _ in rows]
        if any(state_crc(*state) != row[-1] for state, row in zip(states, rows, strict=True)):
            raise damaged(f"what is known of the file {source}")
        return states

    def record(self, id: int) -> dict[str, Any]:
        """What is known of a version beside its text. Raises IndexCorrupt where it does not hold."""
        return self.records([id])[id][1]

    def records(self, ids: Iterable[int]) -> dict[int, tuple[str, dict[str, Any]]]:
        """The same of each of these versions that is here, with its source."""
        rows = self._db.execute(
            f"SELECT id, {RECORD} FROM document WHERE id IN (SELECT value FROM json_each(?))", (id_array(ids),)
        )
        found = {}
        for id, *row in rows:
            check_record(*row)
            source, _, _, _, record, *_ = row
            found[id] = source, record_from(record)
        return found

    def retire(self, source: str, removed: int) -> int:
        """Mark the living version as gone from generation `removed` on; gives how many there were (0 or 1)."""
        rows = self._db.execute(
            "SELECT id, crc, added FROM document WHERE source = ? AND removed IS NULL", (source,)
        ).fetchall()
        self._db.executemany(
            "UPDATE document SET removed = ?, life = ? WHERE id = ?",
            [(removed, crc(id, check, added, removed), id) for id, check, added in rows],
        )
        return len(rows)

    def set_failure(self, source: str, root: int | None, stamp: FileStamp, problems: Sequence[Problem]) -> None:
        """Remember that the file gave nothing, and why; a version from before stays, with that problem."""
        told = problems_text(problems)
        self._db.executemany(
            "UPDATE document SET problems = ?, state = ? WHERE id = ?",
            [
                (told, state_crc(id, of, before, indexed, told), id)
                for id, of, before, indexed, _ in self._states(source)
            ],
        )
        values = (source, root, stamp.size, stamp.mtime_ns, told)
        self._db.execute("INSERT OR REPLACE INTO failure VALUES(?, ?, ?, ?, ?, ?)", (*values, crc(*values)))

    def forget_failure(self, source: str) -> int:
        return self._db.execute("DELETE FROM failure WHERE source = ?", (source,)).rowcount

    def purge(self, before: int) -> int:
        """Delete the rows of versions that were gone at generation `before`; gives how many versions."""
        ids = [row[0] for row in self._db.execute("SELECT id FROM document WHERE removed <= ?", (before,))]
        chunks = self._db.executemany("DELETE FROM chunk WHERE document = ?", [(id,) for id in ids]).rowcount
        self._delete_attributes(ids)
        self._db.executemany("DELETE FROM text WHERE id BETWEEN ? AND ?", [places(id) for id in ids])
        self._db.executemany("DELETE FROM document WHERE id = ?", [(id,) for id in ids])
        if ids:  # a word index from before does not know what went, and cannot catch up any more
            self._meta.set("purged", str(before))
            unused, seen = self._meta.unused()
            self._meta.set_unused(unused + max(chunks, 0), seen)  # their vectors, perhaps
            if self._db.execute("SELECT 1 FROM document LIMIT 1").fetchone() is None:
                self.dictionaries.remove()  # no word of what went stays
        return len(ids)

    def infos(self, at: int, conditions: Sequence[Condition] = ()) -> list[DocumentInfo]:
        """The documents and the failed files that fulfil the conditions, by source."""
        from ragkit.reports import DocumentInfo  # no search needs it

        columns = "source, sha256, size, mtime_ns, indexed, characters, chunks, record, layout, problems, crc"
        values: dict[str, object] = {"at": at}
        chosen = unread = "true"
        if conditions:
            selection = self.selection(at, conditions)
            values |= selection.values | {"ids": id_array(selection.documents().tolist())}
            chosen, unread = "id IN (SELECT value FROM json_each(:ids))", selection.sql_unread
        rows = self._db.execute(f"SELECT {columns} FROM document WHERE {ALIVE} AND {chosen}", values)
        infos = [info_from(*row) for row in rows]
        failed = self._db.execute(
            f"SELECT source, size, mtime_ns, problems FROM failure f WHERE {unread}"
            f" AND NOT EXISTS (SELECT 1 FROM document WHERE source = f.source AND {ALIVE})",
            values,
        )
        infos += [
            DocumentInfo(source, size=size, modified=iso(mtime_ns), problems=problems_from(problems))
            for source, size, mtime_ns, problems in failed
        ]
        return sorted(infos, key=lambda info: info.source)

    def get(self, at: int, source: str) -> Document | None:
        """The version that is alive at that generation; None where there is none."""
        row = self._db.execute(
            f"SELECT id, {RECORD} FROM document WHERE source = :source AND {ALIVE}", {"source": source, "at": at}
        ).fetchone()
        if row is None:
            return None
        check_record(*row[1:])
        id, _, sha256, characters, _, record, layout, _ = row
        fields, places = record_from(record), layout_from(layout)
        return Document(
            source,
            self.text(id, 0, characters),
            sha256_from(sha256),
            fields["media_type"],
            tuple(places["page_starts"]),
            tuple(Heading(*heading) for heading in places["headings"]),
            fields["metadata"],
        )

    def text(self, document: int, start: int, end: int) -> str:
        """Characters start to end of a document version. Raises IndexCorrupt where they are not what was written."""
        return self.texts([(document, start, end)])[0]

    def texts(self, spans: Sequence[tuple[int, int, int]]) -> list[str]:
        """The same for each (document, start, end), all read at once: a statement takes as long as a piece."""
        wanted = [places_of(*span) for span in spans]
        rows = self._db.execute(
            "SELECT id, body, crc FROM text WHERE id IN (SELECT value FROM json_each(?))",
            (id_array({id for ids in wanted for id in ids}),),
        )
        dictionary = cache(self.dictionary)
        found = {id: unpacked(id, body, check, dictionary) for id, body, check in rows}
        texts = []
        for (document, start, end), ids in zip(spans, wanted, strict=True):
            if end > start and not found.keys() >= set(ids):
                raise damaged(f"the text of document {document}")
            first = start // PIECE * PIECE
            texts.append("".join([found[id] for id in ids if id in found])[start - first : end - first])
        return texts

    def dictionary(self) -> Dictionary | None:
        """What pieces are packed with that need one; None where there is none, or none that holds."""
        return self.dictionaries.get()

    @cached_property
    def dictionaries(self) -> DictionaryTable:
        from ragkit.store.catalog.dictionary import DictionaryTable  # an index of few or of long texts has none

        return DictionaryTable(self._db)

    def title(self, id: int) -> str:
        return str(self.record(id)["metadata"].get("title", ""))

    def selection(self, at: int, conditions: Sequence[Condition]) -> Selection:
        """The living documents that fulfil every condition; what was found is kept until the index changes.

        Raises ConfigError for a key that no document has.
        """
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if (version, at) != self._selected_at:
            self._selections.clear()
            self._selected_at = version, at
            self._count = self._db.execute("SELECT count(*) FROM document").fetchone()[0]
        key = tuple(conditions)
        found = self._selections.pop(key, None)
        if found is None:
            self._check_keys(conditions)
            found = Selection(self._db, at, self._count, conditions)
        self._selections[key] = found  # the newest stands last
        if len(self._selections) > _SELECTIONS:
            del self._selections[next(iter(self._selections))]
        return found

    def has_dead(self, at: int) -> bool:
        """Whether there are versions that are not alive at that generation."""
        return has_dead(self._db, at)

    def _check_keys(self, conditions: Sequence[Condition]) -> None:
        for key in {condition.key for condition in conditions} - {"source"}:
            if self._db.execute("SELECT 1 FROM attribute_key WHERE name = ?", (key,)).fetchone() is None:
                known = [row[0] for row in self._db.execute("SELECT name FROM attribute_key ORDER BY name")]
                raise ConfigError(f"no document has the key {key!r}", f"the keys are: {', '.join(['source', *known])}")

    def changes(self, since: int, at: int, reached: int) -> tuple[list[int], list[int]]:
        """Ids of the document versions that came and that went between two generations.

        Of those that came and went, too, the ones that generation `reached` had: who took part of it may know them.
        """
        came = self._db.execute(
            f"SELECT id FROM document WHERE added > :since AND {ALIVE} ORDER BY id", {"since": since, "at": at}
        ).fetchall()
        went = self._db.execute(
            "SELECT id FROM document WHERE removed > ? AND removed <= ? AND added <= ?", (since, at, reached)
        ).fetchall()
        return [row[0] for row in came], [row[0] for row in went]

    def chunks_since(self, generation: int) -> int:
        """How many chunks the versions have that came after that generation."""
        row = self._db.execute(
            "SELECT total(chunks) FROM document WHERE added > ? AND removed IS NULL", (generation,)
        ).fetchone()
        return int(row[0])

    def chunk_count(self, id: int) -> int:
        """How many chunks a version has, by its own row."""
        return int(self._db.execute("SELECT chunks FROM document WHERE id = ?", (id,)).fetchone()[0])

    def length(self, id: int) -> tuple[str, int]:
        """The source of a version, and how many characters it has."""
        source, characters = self._db.execute("SELECT source, characters FROM document WHERE id = ?", (id,)).fetchone()
        return str(source), int(characters)

    def newest(self) -> int:
        """The generation of the newest version; 0 where there is none."""
        return int(self._db.execute("SELECT coalesce(max(added), 0) FROM document").fetchone()[0])

    def living(self) -> list[int]:
        """The versions that will be alive after the next commit."""
        return [row[0] for row in self._db.execute("SELECT id FROM document WHERE removed IS NULL ORDER BY id")]

    def ids(self) -> list[int]:
        """Every version whose rows are still here."""
        return [row[0] for row in self._db.execute("SELECT id FROM document ORDER BY id")]
