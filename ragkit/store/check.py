"""Reading an index through: every checksum, every count, every cache. It changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ragkit.errors import IndexCorrupt, IndexLocked, StoreError
from ragkit.reports import Finding
from ragkit.store.catalog import Catalog
from ragkit.store.lexical import LexicalIndex, LexicalUnusable
from ragkit.store.lock import WriterLock
from ragkit.store.segments import map_segment, segment_is_intact, tail_block
from ragkit.store.wordindex import lexical_path

_LOST = "restore the index from a copy, or delete it and index the folder again"


def check_index(catalog: Catalog, folder: Path, at: int) -> list[Finding]:
    """One finding for each part of the index, in a fixed order; several for a part with several faults."""
    findings = [
        *_part("catalog", lambda: _catalog(catalog)),
        *_part("documents", lambda: _documents(catalog)),
        *_part("vectors", lambda: _vectors(catalog, folder / "vectors")),
    ]
    if writer := _writer(folder):
        return [*findings, Finding("word index", True, f"not looked at: {writer}")]
    return [
        *findings,
        *_part("word index", lambda: _words(catalog, at)),
        *_part("files", lambda: _files(catalog, folder / "vectors")),
    ]


def _writer(folder: Path) -> str:
    """Who is writing the index now; empty where nobody is, or where nobody could."""
    try:
        WriterLock(folder / "writer.lock").release()
    except IndexLocked as error:
        return error.message
    except StoreError:
        return ""
    return ""


def _part(subject: str, look: Callable[[], Iterator[Finding | str]]) -> Iterator[Finding]:
    """Faults of one part, or that it is sound: the last text that `look` gives says how much was read."""
    sound, summary = True, ""
    try:
        for seen in look():
            if isinstance(seen, Finding):
                sound = False
                yield seen
            else:
                summary = seen
    except (sqlite3.DatabaseError, UnicodeDecodeError, OSError, StoreError) as error:
        sound = False
        yield Finding(subject, False, f"it cannot be read: {error}", _LOST)
    if sound:
        yield Finding(subject, True, summary)


def _catalog(catalog: Catalog) -> Iterator[Finding | str]:
    for problem in catalog.sqlite_problems():
        yield Finding("catalog", False, f"{catalog.path.name}: {problem}", _LOST)
    yield "the database is whole"


def _documents(catalog: Catalog) -> Iterator[Finding | str]:
    documents = chunks = 0
    for id in catalog.documents.ids():
        try:
            expected = catalog.documents.verify(id)
            found = len(catalog.chunks.of_document(id))
        except IndexCorrupt as error:
            yield Finding("documents", False, error.message, _LOST)
            continue
        if found != expected:
            yield Finding("documents", False, f"document {id} has {found} chunks, {expected} were written", _LOST)
        documents += 1
        chunks += found
    yield f"{documents} documents with {chunks} chunks agree with their checksums"


def _vectors(catalog: Catalog, folder: Path) -> Iterator[Finding | str]:
    held = []
    spans = catalog.spans()
    for info in catalog.vectors.segments():
        try:
            block = map_segment(folder, info)
        except FileNotFoundError:
            yield Finding("vectors", False, f"segment {info.name} is missing", _LOST)
            continue
        except IndexCorrupt as error:
            yield Finding("vectors", False, error.message, _LOST)
            continue
        if not segment_is_intact(folder, info):
            yield Finding("vectors", False, f"segment {info.name} differs from its checksum", _LOST)
        held.append(block.ids)
    try:
        held += [tail_block(*batch, spans.of(batch[0]).dimension).ids for batch in catalog.vectors.tail()]
    except IndexCorrupt as error:
        yield Finding("vectors", False, error.message, _LOST)
    ids = np.sort(np.concatenate([np.empty(0, np.int64), *held]))
    if not np.array_equal(ids, catalog.vectors.names()):
        yield Finding("vectors", False, f"{len(ids)} vectors are stored, {catalog.vectors.count()} are named", _LOST)
    if lost := catalog.chunks.count_without_vector():
        yield Finding("vectors", False, f"{lost} chunks have no vector", _LOST)
    if strange := sum(not spans.is_searched(id) for id in catalog.chunks.vectors_in_use()):
        yield Finding("vectors", False, f"{strange} vectors in use were not made by {spans.model}", _LOST)
    yield f"{len(ids)} vectors in {len(held)} parts agree with their checksums"


def _words(catalog: Catalog, at: int) -> Iterator[Finding | str]:
    rebuild = "it is made again by the next search"
    try:
        index = LexicalIndex.open(lexical_path(catalog))
        seen, count = index.generation, len(index)
    except LexicalUnusable as error:
        yield Finding("word index", False, error.message, rebuild)
        return
    expected = catalog.documents.counts(at)["chunks"]
    if seen < at:
        yield f"it reflects generation {seen} of {at}: an interrupted run; the next command lets it catch up"
        return
    if seen > at:
        yield Finding("word index", False, f"it reflects generation {seen}, the catalog is at {at}", rebuild)
    elif count != expected:
        yield Finding(
            "word index",
            False,
            f"it holds {count} chunks, the catalog {expected}",
            f"delete {lexical_path(catalog)}: {rebuild}",
        )
    yield f"{count} chunks, at the catalog's generation {at}"


def _files(catalog: Catalog, folder: Path) -> Iterator[Finding | str]:
    named = {info.name for info in catalog.vectors.segments()}
    stray = sum(path.name not in named for path in folder.iterdir())
    left = f"; {stray} that an interrupted run left, which the next one deletes" if stray else ""
    yield f"{len(named)} segment files, each named by the catalog{left}"
