"""The local Store: catalog, segments, word index and ANN codes behind one door.

Readers never wait. A search looks at one snapshot: the catalog as of the generation that the word index
reflects, even while a writer is ahead of it. It knows nothing of files, models or answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ragkit.errors import ConfigError, IndexCorrupt, IndexLocked, IndexNotFound, StoreError
from ragkit.filters import Condition
from ragkit.ranking import fuse, merge_neighbours
from ragkit.store.catalog import FORMAT, Catalog
from ragkit.store.catalog.chunks import StoredChunk
from ragkit.store.compaction import tail_blocks
from ragkit.store.lexical import LexicalIndex, LexicalUnusable
from ragkit.store.segments import VectorSet, map_segment, unit_rows
from ragkit.store.wordindex import in_memory, lexical_path
from ragkit.store.writer import Writer, check_model, create_index
from ragkit.types import Document, DocumentInfo, FloatVector, Hit, IndexStatus

CANDIDATES = 100  # of each leg, at least; the legs' scores are compared over the union of them
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _View:
    """What a search looks at. `at` is behind `generation` only while a writer is at work."""

    generation: int
    at: int
    vectors: VectorSet
    words: LexicalIndex


class LocalStore:
    """An index in a folder. Safe to share between threads. Nothing is opened before it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[Catalog] = []  # connections that no thread is using
        self._lock = threading.Lock()
        self._view: _View | None = None
        self._closed = False

    # -- reading

    def exists(self) -> bool:
        return (self.path / "catalog.sqlite").exists()

    def search(
        self, query: str, vector: FloatVector | None, *, k: int, conditions: Sequence[Condition] = ()
    ) -> list[Hit]: ...

    def documents(self, conditions: Sequence[Condition] = ()) -> list[DocumentInfo]:
        """The documents that fulfil the conditions, by source; without conditions, files that failed too."""
        with self._catalog() as catalog, catalog.snapshot() as at:
            return catalog.documents.infos(at, conditions)

    def document(self, source: str) -> Document:
        """The whole document as it was indexed. Raises ConfigError where there is none of that name."""
        with self._catalog() as catalog, catalog.snapshot() as at:
            document = catalog.documents.get(at, source)
        if document is None:
            raise ConfigError(f"{source!r} is not in the index", "see what is: ragkit list")
        return document

    def neighbours(self, id: int, before: int, after: int) -> list[StoredChunk]:
        """A chunk with those around it, in order. Raises ConfigError for an id that is not in the index."""
        with self._catalog() as catalog, catalog.snapshot():
            found = catalog.chunks.by_id([id])
            if not found:
                raise ConfigError(f"chunk {id} is not in the index", "ids come from ragkit search, until the file changes")
            here = found[0]
            return catalog.chunks.of_document(here.document, here.n - before, here.n + after)
