"""Looking at an index: quickly at its shape, or at every stored byte and its checksum. It changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ragkit.errors import IndexCorrupt, IndexLocked, StoreError
from ragkit.numbers import count, number
from ragkit.reports import Finding
from ragkit.store.catalog import Catalog
from ragkit.store.lexical import LexicalUnusable
from ragkit.store.lock import WriterLock
from ragkit.store.segments import PIECE_ROWS, map_segment, read_segment, tail_block
from ragkit.store.wordindex import lexical_path, open_words
from ragkit.types import IntVector

_WAITING = ("chunk waits for its vector", "chunks wait for their vectors")
_STRANGE = ("vector in use was not", "vectors in use were not")
_REPAIR = "ragkit doctor --repair"  # the cure of all that is truth; a cache is made again by itself


def check_index(
    catalog: Catalog, folder: Path, at: int, *, data: bool = True, subset: tuple[int, int] = (1, 1)
) -> list[Finding]:
    """One finding for each part of the index, in a fixed order; several for a part with several faults.

    With `data` every stored byte is compared with its checksum, or with `subset` (n, m) the n-th of m parts that
    together are all of them; without it the shape is looked at: pages, counts, sizes, headers, what caches reflect.
    """
    n, m = subset

    def taken(i: int) -> bool:
        return i % m == n - 1

    findings = [
        *_part("catalog", lambda: _catalog(catalog, data, taken)),
        *_part("documents", lambda: _documents(catalog, taken) if data else _counts(catalog, at)),
        *_part("vectors", lambda: _vectors(catalog, folder / "vectors", data, taken)),
    ]
    if writer := _writer(folder):
        return [*findings, Finding("word index", True, f"not looked at: {writer}")]
    return [
        *findings,
        *_part("word index", lambda: _words(catalog, at, data)),
        *(_part("codes", lambda: _codes(catalog, folder)) if (folder / "ann").exists() else ()),
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
    # A value that passes no more for what it was stands behind the last three.
    except (
        sqlite3.DatabaseError,
        UnicodeDecodeError,
        OSError,
        StoreError,
        ValueError,
        TypeError,
        LookupError,
    ) as error:
        sound = False
        yield Finding(subject, False, f"it cannot be read: {error}", _REPAIR)
    if sound:
        yield Finding(subject, True, summary)


def _catalog(catalog: Catalog, data: bool, taken: Callable[[int], bool]) -> Iterator[Finding | str]:
    verification = catalog.verification()
    for problem in verification.pages(thorough=data, taken=taken):
        yield Finding("catalog", False, f"{catalog.path.name}: {problem}", _REPAIR)
    for problem in (*verification.small_tables(), *verification.references()):
        yield Finding("catalog", False, problem, _REPAIR)
    yield "the database is whole, settings and folders agree with their checksums"


def _counts(catalog: Catalog, at: int) -> Iterator[Finding | str]:
    counts = catalog.documents.counts(at)
    found = catalog.chunks.count(at)
    if found != counts["chunks"]:
        yield Finding("documents", False, f"there are {found} chunks, {counts['chunks']} were written", _REPAIR)
    documents = count(counts["documents"], "document")
    yield f"{documents} with {count(found, 'chunk')}; --data compares them with their checksums"


def _documents(catalog: Catalog, taken: Callable[[int], bool]) -> Iterator[Finding | str]:
    documents = chunks = 0
    verification = catalog.verification()
    for id in filter(taken, catalog.documents.ids()):
        try:
            chunks += verification.document(id)
            documents += 1
        except IndexCorrupt as error:
            yield Finding("documents", False, error.message, _REPAIR)
        except (sqlite3.DatabaseError, UnicodeDecodeError, ValueError, TypeError, LookupError) as error:
            yield Finding("documents", False, f"document {id} cannot be read: {error}", _REPAIR)
    for problem in verification.attributes():
        yield Finding("documents", False, problem, _REPAIR)
    yield f"{count(documents, 'document')} with {count(chunks, 'chunk')}, which agree with their checksums"


def _vectors(catalog: Catalog, folder: Path, data: bool, taken: Callable[[int], bool]) -> Iterator[Finding | str]:
    verification = catalog.verification()
    for problem in (*verification.segments(), *verification.tail()):
        yield Finding("vectors", False, problem, _REPAIR)
    if data:
        for problem in verification.names(taken):
            yield Finding("vectors", False, problem, _REPAIR)
    held: list[IntVector] = []
    pieces = 0
    for info in catalog.vectors.segments():
        try:
            if data:
                reading = read_segment(folder, info, lambda i, before=pieces: taken(before + i))  # type: ignore[misc]
                for problem in reading.faults:
                    yield Finding("vectors", False, problem, _REPAIR)
                for i in reading.damaged:
                    yield Finding("vectors", False, f"{_piece(info.name, i)} differs from its checksum", _REPAIR)
            held.append(map_segment(folder, info).ids)
        except FileNotFoundError:
            yield Finding("vectors", False, f"the segment {info.name} is missing", _REPAIR)
        except IndexCorrupt as error:
            yield Finding("vectors", False, error.message, _REPAIR)
        pieces += -(-info.rows // PIECE_ROWS)
    spans = catalog.spans()
    held += [tail_block(*batch, spans.of(batch[0]).dimension).ids for batch in catalog.vectors.tail()]
    ids = np.sort(np.concatenate([np.empty(0, np.int64), *held]))
    if not np.array_equal(ids, catalog.vectors.names()):
        named = catalog.vectors.count()
        told = f"{len(ids)} vectors are stored, {named} are named" + ", and not the same ones" * (len(ids) == named)
        yield Finding("vectors", False, told, _REPAIR)
    if waiting := catalog.chunks.count_waiting():
        yield Finding("embedding", False, f"{count(waiting, *_WAITING)}, found by words until then", _REPAIR)
    if lost := catalog.chunks.count_without_vector():
        yield Finding("vectors", False, count(lost, "chunk has no vector", "chunks have no vector"), _REPAIR)
    if strange := sum(catalog.chunks.count_vectors(*ids) for ids in spans.others()):
        yield Finding("vectors", False, f"{count(strange, *_STRANGE)} made by {spans.model}", _REPAIR)
    agreed = ", which agree with their checksums" if data else ""
    yield f"{count(len(ids), 'vector')} in {count(len(held), 'part')}{agreed}"


def _piece(name: str, i: int) -> str:
    return f"piece {i} of the segment {name}"


def _words(catalog: Catalog, at: int, data: bool) -> Iterator[Finding | str]:
    rebuild = "it is made again by the next search"
    if not lexical_path(catalog).exists():  # deleted, or left out of a copy: no fault of a cache
        yield "it is not there: the next search makes it"
        return
    try:
        index = open_words(catalog, thorough=data)
        seen, held = index.generation, len(index)
    except LexicalUnusable as error:
        yield Finding("word index", False, error.message, f"{_REPAIR}, or {rebuild}")
        return
    expected = catalog.documents.counts(at)["chunks"]
    if seen < at:
        yield f"it reflects generation {seen} of {at}: an interrupted run; the next command lets it catch up"
        return
    if seen > at:
        yield Finding("word index", False, f"it reflects generation {seen}, the catalog is at {at}", rebuild)
    elif held != expected:
        yield Finding("word index", False, f"it holds {count(held, 'chunk')}, the catalog {number(expected)}", _REPAIR)
    yield f"{count(held, 'chunk')}, at the catalog's generation {at}"


def _codes(catalog: Catalog, folder: Path) -> Iterator[Finding | str]:
    from ragkit.store.codes import codes_fault  # only large indexes have any

    segments = catalog.vectors.segments(catalog.spans().is_searched)
    if fault := codes_fault(folder, catalog.identity(), segments):
        yield Finding("codes", False, f"{fault}: they are not used, and search is exact", _REPAIR)
    yield "they agree with their checksum and with the segments"


def _files(catalog: Catalog, folder: Path) -> Iterator[Finding | str]:
    named = {info.name for info in catalog.vectors.segments()}
    stray = sum(path.name not in named for path in folder.glob("*"))  # none where the folder is missing
    left = f"; {stray} that an interrupted run left, which the next one deletes" if stray else ""
    yield f"{count(len(named), 'segment file')}, which the catalog names{left}"
