"""Saving what a damaged index still holds: a new catalog beside the old one, then one rename.

Only what a checksum proves is kept. Texts are never made up; what follows from a text, its chunks and the names of
their vectors, is made from it again. Vectors that are lost are embedded by someone else: their chunks wait for them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

import numpy as np

from ragkit.errors import IndexCorrupt, IndexMismatch, IndexNotFound, StoreError
from ragkit.reports import Finding
from ragkit.store.catalog import Catalog, refuse_links
from ragkit.store.catalog.chunks import WAITS, ChunkRow
from ragkit.store.catalog.models import Spans
from ragkit.store.catalog.rows import chunk_crc, iso
from ragkit.store.catalog.salvage import SETTINGS, Salvage
from ragkit.store.catalog.schema import format_of
from ragkit.store.check import check_index
from ragkit.store.lexical import LexicalUnusable
from ragkit.store.lock import WriterLock
from ragkit.store.segments import (
    NUMBER_BYTES,
    Reading,
    SegmentInfo,
    VectorBlock,
    find_segments,
    read_segment,
    sync_folder,
    tail_block,
    write_segment,
)
from ragkit.store.wordindex import lexical_path, open_words
from ragkit.types import Chunk, Document

_TRUTH = {"catalog", "documents", "vectors"}  # subjects of findings that this mends
_CRITICAL = {"embedding_model", "dimension", "models"}  # without them nobody knows what a vector is
_OF_SOMETHING = ("recipe ", "canary ")  # settings of a folder, of a model: without them it is looked at again
_AGAIN = "ragkit index FOLDER"

Cut = Callable[[Document], Sequence[Chunk]]
Key = Callable[[str, str, Chunk], bytes]  # of the vector that a model makes of a chunk under a title


def repair_index(folder: Path, *, cut: Cut, key: Key) -> list[Finding]:
    """Make the catalog anew from what holds, where anything does not; says what was done and what is lost.

    Raises IndexCorrupt where nothing can be proved, IndexMismatch for another format, IndexLocked beside a writer.
    """
    if not (folder / "catalog.sqlite").exists():
        raise IndexNotFound(f"there is no index at {folder}", "make one: ragkit index FOLDER")
    refuse_links(folder)
    lock = WriterLock(folder / "writer.lock")
    try:
        for left in folder.glob("repair-*"):  # of a repair that was killed
            shutil.rmtree(left)
        if _is_sound(folder):
            return []
        scratch = folder / f"repair-{uuid.uuid4().hex[:8]}"
        scratch.mkdir(mode=0o700)
        try:
            findings = _Repair(folder, scratch, cut, key).run()
            kept = _swap(folder, scratch / "catalog.sqlite")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        for cache in ("lexical", "ann"):
            shutil.rmtree(folder / cache, ignore_errors=True)
    finally:
        lock.release()
    message = f"the catalog is new; {kept.name} is the damaged one, to be deleted when nothing of it is missed"
    return [Finding("repair", True, message), *findings]


def _is_sound(folder: Path) -> bool:
    try:
        catalog = Catalog(folder)
    except IndexMismatch:
        if format_of(folder / "catalog.sqlite") is None:  # our tables under another number: a flipped bit
            return False
        raise
    except StoreError:
        return False
    try:
        with catalog.snapshot() as at:
            findings = check_index(catalog, folder, at)
    except (sqlite3.DatabaseError, StoreError, ValueError, LookupError):
        return False
    finally:
        catalog.close()
    return all(finding.ok for finding in findings if finding.subject in _TRUTH)


def _swap(folder: Path, new: Path) -> Path:
    """Put the new catalog in the place of the old one, which is kept; a crash leaves one of them, whole."""
    old = folder / "catalog.sqlite"
    kept = folder / f"catalog.sqlite.damaged-{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:4]}"
    _link(old, kept)
    log = folder / "catalog.sqlite-wal"
    if log.exists() and log.stat().st_size:  # SQLite could not read it: it would be taken for the new one's
        _link(log, folder / f"{kept.name}-wal")
    sync_folder(folder)
    for name in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        (folder / name).unlink(missing_ok=True)
    new.replace(old)
    sync_folder(folder)
    return kept


def _link(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:  # a file system without links
        shutil.copyfile(old, new)


def mend_caches(folder: Path) -> list[Finding]:
    """Delete caches that are damaged; the next writer makes them again."""
    findings = []
    with closing(Catalog(folder)) as catalog:
        try:
            if lexical_path(catalog).exists():  # else there is nothing to say of it
                open_words(catalog, thorough=True)
        except LexicalUnusable as error:
            findings.append(Finding("word index", True, f"it was made again: {error.message}"))
            shutil.rmtree(folder / "lexical", ignore_errors=True)
        if (folder / "ann").exists():
            from ragkit.store.codes import codes_fault  # only large indexes have any

            segments = catalog.vectors.segments(catalog.spans().is_searched)
            if fault := codes_fault(folder, catalog.identity(), segments):
                findings.append(Finding("codes", True, f"they were made again: {fault}"))
                shutil.rmtree(folder / "ann", ignore_errors=True)
    return findings


class _Repair:
    """One new catalog. The steps of `run` are in the order in which they need each other."""

    def __init__(self, folder: Path, scratch: Path, cut: Cut, key: Key) -> None:
        self._vectors = folder / "vectors"
        self._vectors.mkdir(mode=0o700, exist_ok=True)
        self._home = folder.resolve().parent
        self._cut = cut
        self._key = key
        self._findings: list[Finding] = []
        self._old = Salvage(folder, scratch)
        self._settings = self._old.settings()
        left_out = ("generation", "unused")  # what a repair changes, and what is counted again
        Catalog.create(scratch, {name: text for name, text in self._settings.items() if name not in left_out})
        self._new = Catalog(scratch, write=True)
        self._spans = Spans(self._settings)
        self._held: set[int] = set()  # vectors whose rows are whole
        self._named: set[int] = set()  # those of them that have a name
        self._folders: dict[int, str] = {}
        self._titles: dict[int, str] = {}

    def run(self) -> list[Finding]:
        try:
            self._new.begin()
            segments, tail = self._rows()
            self._refuse_without_model()
            self._names()
            self._documents()
            self._chunks()
            self._vectors_again(segments, tail)
            self._generation()
            self._new.commit()
            self._new.checkpoint()
        finally:
            self._old.close()
            self._new.close()
        for table, what in (("failure", "files without text"), ("root", "folders")):
            if lost := self._old.lost.get(table, 0):
                number = "all" if table in self._old.unreadable else lost
                self._lose("catalog", f"{number} rows about {what} were lost", _AGAIN)
        if self._old.lost_settings:
            self._note("catalog", f"settings that were lost: {', '.join(map(repr, self._old.lost_settings))}")
        return self._findings

    def _lose(self, subject: str, message: str, hint: str) -> None:
        self._findings.append(Finding(subject, False, message, hint))

    def _note(self, subject: str, message: str) -> None:
        self._findings.append(Finding(subject, True, message))

    def _highest(self, table: str) -> int:
        return self._old.highest(table, self._settings.get(f"last {table}"))

    # -- vectors that are there

    def _rows(self) -> tuple[list[tuple[SegmentInfo, Reading]], list[tuple[int, VectorBlock, bytes]]]:
        """Everything that holds of segments and tail; notes the ids."""
        segments = []
        named = list(self._old.segments())
        if self._old.lost.get("segment"):  # a segment says of itself what it is
            known = {info.name for info in named}
            named += [info for info in find_segments(self._vectors) if info.name not in known]
        for info in sorted(named, key=lambda info: info.first):
            try:
                reading = read_segment(self._vectors, info)
            except (FileNotFoundError, IndexCorrupt) as error:
                self._note("vectors", f"the segment {info.name} is lost: {error}")
                continue
            ids = {int(id) for piece in reading.whole for id in piece.ids}
            if not self._held.isdisjoint(ids):  # left by a crash, after its rows went elsewhere
                continue
            self._held |= ids
            for i in reading.damaged:
                self._note("vectors", f"piece {i} of the segment {info.name} was damaged")
            segments.append((info, reading))
        tail = []
        for first, rows, body in self._old.tail(self._highest("vector")):
            dimension = len(body) // (NUMBER_BYTES * max(rows, 1))
            block = tail_block(first, rows, body, dimension)
            self._held.update(block.ids.tolist())
            tail.append((first, block, body))
        return segments, tail

    def _refuse_without_model(self) -> None:
        lost = [
            name
            for name in self._old.lost_settings
            if name in _CRITICAL or (name not in SETTINGS and not name.startswith(_OF_SOMETHING))
        ]
        if self._held and (lost or not _CRITICAL - {"models"} <= self._settings.keys()):
            raise IndexCorrupt(
                "the name of the embedding model is damaged, so nobody knows what the vectors are",
                "restore the index from a copy, or index the folders into a new index with -i",
            )

    def _names(self) -> None:
        restoring = self._new.restoring()
        lost = 0

        def held() -> Iterator[tuple[int, bytes, int]]:
            nonlocal lost
            for row in self._old.names():
                if row[0] in self._held:
                    self._named.add(row[0])
                    yield row
                else:
                    lost += 1

        restoring.names(held())
        restoring.last("vector", max(self._held, default=0))
        if lost:
            self._note("vectors", f"{lost} vectors were lost")

    # -- documents

    def _documents(self) -> None:
        restoring = self._new.restoring()
        if self._old.dictionary:
            restoring.dictionary(self._old.dictionary)
        for root in self._old.roots(self._highest("root")):
            restoring.root(root)
            self._folders[root[0]] = str(self._home / root[1])
        for failure in self._old.failures():
            restoring.failure(failure)
        known: set[int] = set()
        for row in self._old.documents(self._highest("document")):
            known.add(row.id)
            restoring.last("document", row.id)
            if row.has_life and row.removed is not None:
                continue
            text = self._old.text(row.id, row.characters) if row.has_content and row.has_life else None
            if text is None:
                what = "its text" if row.has_content and row.has_life else "its row"
                self._taken_out(row.source, what, row.root)
                continue
            restoring.document(row, text, root=row.root if row.has_state and row.root in self._folders else None)
            self._titles[row.id] = row.document().title
            if not row.has_state:
                self._note("documents", f"{row.source}: what was known of its file was lost, it will be read again")
        for id in sorted((self._old.mentioned("text") | self._old.mentioned("chunk")) - known):
            self._taken_out(f"document {id}, whose name is lost,", "its row", None)

    def _taken_out(self, source: str, what: str, root: int | None) -> None:
        place = self._folders.get(root) if root is not None else None
        hint = (
            f"ragkit index {shlex.quote(place)}"
            if place
            else "ragkit index FOLDER, if it came from one; else add it again"
        )
        self._lose("documents", f"{source} was taken out: {what} is damaged", hint)

    # -- chunks

    def _chunks(self) -> None:
        found: dict[int, int] = dict.fromkeys(self._titles, 0)
        for id, rows in groupby(self._old.chunks(self._highest("chunk")), key=lambda row: row.document):
            if id not in found:
                continue
            source, text = self._text(id)
            whole = [(row, chunk) for row in rows if (chunk := row.chunk(source, text))]
            again = [self._with_vector(row, chunk, self._titles[id]) for row, chunk in whole]
            self._new.chunks.put(again)
            found[id] += len(again)
        self._new.restoring().last("chunk", self._highest("chunk") if "last chunk" not in self._settings else 0)
        for id, count in found.items():
            if count != self._new.documents.chunk_count(id):
                source = self._recut(id)
                self._note("documents", f"{source} was cut again from its stored text")
        if waiting := self._new.chunks.count_waiting():
            self._note("vectors", f"{waiting} chunks wait to be embedded again")

    def _text(self, id: int) -> tuple[str, str]:
        source, characters = self._new.documents.length(id)
        return source, self._new.documents.text(id, 0, characters)

    def _with_vector(self, row: ChunkRow, chunk: Chunk, title: str) -> ChunkRow:
        vector = row.vector if row.vector in self._named else self._vector(chunk, title, row.vector)
        check = chunk_crc(row.id, row.document, row.n, chunk, vector)
        return row._replace(vector=vector, crc=check)

    def _vector(self, chunk: Chunk, title: str, had: int = WAITS) -> int:
        """The vector of a chunk: the one whose name follows from model and text; a row without a name is given that."""
        if not self._spans.model:
            return WAITS
        name = self._key(self._spans.model, title, chunk)
        found = self._new.vectors.ids([name]).get(name)
        if found is None and had in self._held and had not in self._named and self._spans.is_searched(had):
            self._new.restoring().name(had, name)
            self._named.add(had)
            return had
        return WAITS if found is None else found

    def _recut(self, id: int) -> str:
        source, _ = self._text(id)
        document = self._new.documents.get(1 << 60, source)
        if document is None:
            raise StoreError(f"{source} is not in the new catalog", "this should not happen: report it")
        chunks = self._cut(document)
        self._new.restoring().recut(id, len(chunks))
        self._new.chunks.add(id, chunks, [self._vector(chunk, self._titles[id]) for chunk in chunks])
        return source

    # -- vectors into the new catalog

    def _vectors_again(
        self, segments: Iterable[tuple[SegmentInfo, Reading]], tail: Iterable[tuple[int, VectorBlock, bytes]]
    ) -> None:
        """Name the segments that are whole, write others again without what is lost; the tail likewise."""
        table = self._new.vectors
        for info, reading in segments:
            kept = list(self._kept(reading.whole))
            if not reading.damaged and not reading.faults and sum(len(b.ids) for b in kept) == info.rows:
                table.add_segment(info)
            elif kept:
                table.add_segment(write_segment(self._vectors, kept))
        for first, block, body in tail:
            kept = list(self._kept([block]))
            if kept and len(kept[0].ids) == len(block.ids):
                table.add_tail(first, len(block.ids), body)
            elif kept:
                table.add_segment(write_segment(self._vectors, kept))

    def _kept(self, blocks: Iterable[VectorBlock]) -> Iterator[VectorBlock]:
        for block in blocks:
            keep = np.array([int(id) in self._named for id in block.ids], bool)
            if keep.all():
                yield block
            elif keep.any():
                yield VectorBlock(block.ids[keep], block.rows[keep])

    def _generation(self) -> None:
        """One that no reader has seen."""
        said = int(self._settings.get("generation", 0))
        self._new.set_meta("generation", str(max(said, self._new.documents.newest())))
        self._new.next_generation()
        self._new.set_meta("changed", iso(time.time_ns()))
        if "created" not in self._settings:
            self._new.set_meta("created", "")
        if "identity" not in self._settings:
            self._new.set_meta("identity", uuid.uuid4().hex)
        for name in ("moving_to", "given_up", "unfinished", "purged"):
            if name in self._old.lost_settings:
                self._new.remove_meta(name)
