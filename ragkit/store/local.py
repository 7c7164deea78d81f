"""The local Store: catalog, segments and word index behind one door.

Readers never wait. A search looks at one snapshot: the catalog as of the generation that the word index
reflects, even while a writer is ahead of it. It knows nothing of files, models or answers.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ragkit.errors import ConfigError, IndexLocked, StoreError
from ragkit.filters import spellings
from ragkit.store.catalog import Catalog
from ragkit.store.catalog.chunks import WAITS
from ragkit.store.catalog.rows import unreadable
from ragkit.store.catalog.schema import FORMAT
from ragkit.store.lexical import LexicalUnusable
from ragkit.store.retrieval import View, repeats_the_words, retrieve
from ragkit.store.segments import map_segment, missing, tail_block, unit_rows
from ragkit.store.sizes import APPROXIMATE_FROM, LEAST_RECALL, Sizes
from ragkit.store.vectors import VectorSet
from ragkit.store.wordindex import delete as delete_word_index
from ragkit.store.wordindex import in_memory, lacking, open_words
from ragkit.types import Chunk, Document, FloatMatrix, FloatVector, Hit, Preparation

if TYPE_CHECKING:
    from ragkit.filters import Condition
    from ragkit.reports import DocumentInfo, Finding, IndexStatus
    from ragkit.store.writer import Writer

_T = TypeVar("_T")
_PAUSE = 0.01  # seconds, while a writer is at work
_NOTICED = 5000  # chunks: to bring them into the word index takes some seconds
_ATTEMPTS = 1000  # to meet catalog, segments and word index at one moment, while a writer changes them


class LocalStore:
    """An index in a folder. Safe to share between threads. Nothing is opened before it is needed.

    With `approximate_from` vectors or more, codes choose which of them a search looks at, if they were measured to find
    `least_recall` of the ten nearest; at 1 every search is exact.
    """

    def __init__(
        self,
        path: Path,
        *,
        approximate_from: int = APPROXIMATE_FROM,
        least_recall: float = LEAST_RECALL,
        sizes: Sizes = Sizes(),  # noqa: B008 - frozen
    ) -> None:
        self.path = path
        self._sizes = sizes
        self._approximate_from = approximate_from
        self._least_recall = least_recall
        self._idle: list[Catalog] = []  # connections that no thread is using
        self._lock = threading.Lock()
        self._view: View | None = None
        self._checked: tuple[int, str, Preparation | None] | None = None  # what `check_model` agreed to, and when
        self._warned = False

    def close(self) -> None:
        with self._lock:
            idle, self._idle, self._view = self._idle, [], None
        for catalog in idle:
            catalog.close()

    @contextmanager
    def writing(self, *, discard: bool = False) -> Iterator[Writer]:
        """The one writer; makes the index where there is none. Raises IndexLocked at once.

        With `discard` nothing is kept, and no index is made.
        """
        import tempfile  # no search needs these

        from ragkit.store.creation import create_index

        with tempfile.TemporaryDirectory() if discard and not self.exists() else nullcontext(self.path) as folder:
            path = self.path if folder is self.path else Path(folder) / "index"
            create_index(path)
            try:
                with self._writer(path, discard=discard) as writer:
                    yield writer
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                raise unreadable(path / "catalog.sqlite", error) from error

    def remove(self, *sources: str) -> int:
        """Take out documents, by their sources or by globs; gives how many. Folders that hold none are forgotten."""
        with self._catalog():  # raises IndexNotFound: removing makes no index
            pass
        with self.writing() as writer:
            named = {name for source in sources for name in writer.matching(source)}
            removed = sum(writer.remove(name) for name in named)
            for root in writer.roots() if named else ():
                if not any(True for of in (writer.listed, writer.failures) for _ in of(root.id)):
                    writer.remove_root(root)
            return removed

    def check_model(self, model: str, preparation: Preparation | None = None) -> None:
        """Raise IndexMismatch where another model made the vectors.

        Queries that are prepared in another way than those of whoever made the index find something, but not the
        best: that is warned of, once. What was agreed to is not asked again of the view that searches have: where a
        newer one is of another model, `search` notices.
        """
        checked = (self._view.generation, model, preparation) if self._view else None
        if checked and checked == self._checked:
            return
        with self._catalog() as catalog:
            catalog.check_model(model)
            kept = catalog.preparation() if preparation and not self._warned else None
        for name in ("query_prefix", "query_model") if preparation and kept else ():
            made_for, given = getattr(kept, name), getattr(preparation, name)
            if made_for != given:
                import logging  # few searches need it

                self._warned = True
                logging.getLogger("ragkit").warning(
                    "the index was made for the %s %r, now it is %r", name, made_for, given
                )
        self._checked = checked

    def search(
        self,
        query: str,
        vector: FloatVector | None,
        *,
        k: int,
        conditions: Sequence[Condition] = (),
        model: str = "",
    ) -> list[Hit]:
        """The k best passages, best first, by words and by `vector`; by one of them where the other is None or empty.

        Conditions are exact: whenever k passages fulfil them and a leg can score them, k are returned. Raises
        IndexMismatch where the index was moved to another model than `model` since the vector was made.
        """
        unit = None if vector is None else unit_rows(vector[None, :])[0]

        def find(catalog: Catalog, view: View) -> list[Hit]:
            if unit is not None and (model or view.model, len(unit)) != (view.model, view.dimension):
                catalog.check_model(model or view.model, len(unit))
            return retrieve(catalog, view, query, unit, k=k, conditions=conditions)

        return self._read(find)

    def idf(self, terms: Sequence[str]) -> Mapping[str, float]:
        """How much each term says: ln(1 + (N - n + 0.5) / (n + 0.5)) where n of N chunks hold it."""
        return self._read(lambda _, view: {term: view.words.idf(term) for term in terms})

    def exists(self) -> bool:
        return (self.path / "catalog.sqlite").exists()

    def documents(self, conditions: Sequence[Condition] = ()) -> list[DocumentInfo]:
        """The documents that fulfil the conditions, by source, and the files that failed: by name and time these."""
        with self._catalog() as catalog, catalog.snapshot() as at:
            return catalog.documents.infos(at, conditions)

    def document(self, source: str) -> Document:
        """The whole document as it was indexed. Raises ConfigError where there is none of that name."""
        with self._catalog() as catalog, catalog.snapshot() as at:
            for name in spellings(source):
                if document := catalog.documents.get(at, name):
                    return document
        raise ConfigError(f"{source!r} is not in the index", "see what is: ragkit list")

    def neighbours(self, id: int, before: int, after: int) -> list[Hit]:
        """A chunk with those around it, in order, score 0. Raises ConfigError for an id that is not in the index."""
        with self._catalog() as catalog, catalog.snapshot():
            found = catalog.chunks.by_id([id])
            if not found:
                raise ConfigError(
                    f"chunk {id} is not in the index", "take the id from a new search: the file has changed"
                )
            here = found[0]
            around = catalog.chunks.of_document(here.document, here.n - before, here.n + after)
            metadata = catalog.documents.record(here.document)["metadata"]
            return [Hit(stored.id, stored.chunk, 0.0, metadata=metadata) for stored in around]

    def vectors(self, limit: int, wanted: Collection[int] = ()) -> tuple[list[tuple[int, Chunk]], FloatMatrix]:
        """At most `limit` chunks at even distances, and those that are `wanted`, by id; and their vectors (n, d)."""

        def read(catalog: Catalog, view: View) -> tuple[list[tuple[int, Chunk]], FloatMatrix]:
            every = catalog.chunks.ids(view.at)
            taken = {every[i * len(every) // limit] for i in range(limit)} if limit < len(every) else set(every)
            stored = catalog.chunks.by_id(taken.union(set(wanted).intersection(every)))
            stored = [each for each in stored if each.vector != WAITS]
            names = np.array([each.vector for each in stored], np.int64)
            unique, places = np.unique(names, return_inverse=True)
            return [(each.id, each.chunk) for each in stored], view.vectors.rows(unique)[places]

        return self._read(read)

    def status(self) -> IndexStatus:
        from ragkit.reports import IndexStatus  # no search needs it

        with self._catalog() as catalog, catalog.snapshot() as at:
            meta = catalog.meta()
            counts = catalog.documents.counts(at)
            preparation = catalog.preparation() or Preparation()
            coded, recall = self._coding_of(catalog)
            model, vectors = meta.get("embedding_model", ""), catalog.vectors.count()
            others = catalog.vectors.count_in(catalog.spans().others())
            return IndexStatus(
                path=str(self.path),
                format=FORMAT,
                generation=at,
                vectors=vectors,
                size=sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file()),
                embedding_model=model,
                dimension=int(meta.get("dimension", 0)),
                created=meta["created"],
                changed=meta.get("changed", ""),
                roots=tuple(root.path for root in catalog.roots()),
                documents=counts["documents"],
                chunks=counts["chunks"],
                failed=counts["failed"],
                document_prefix=preparation.document_prefix,
                query_prefix=preparation.query_prefix,
                query_model=preparation.query_model,
                coded=coded,
                recall=recall,
                incomplete=counts["incomplete"],
                other_vectors=others,
                by_words=repeats_the_words(model, vectors - others),
            )

    def _coding_of(self, catalog: Catalog) -> tuple[int, float | None]:
        """How many vectors are found by codes, and what codes were measured to find; None without any."""
        if not (self.path / "ann").exists():
            return 0, None
        from ragkit.store.codes import CodesUnusable, open_codes, read_about

        try:
            recall = read_about(self.path, catalog.identity())[0].recall
        except CodesUnusable:
            return 0, None
        segments = catalog.vectors.segments(catalog.spans().is_searched)
        codes = open_codes(self.path, catalog.identity(), segments, self._least_recall)
        return len(codes) if codes else 0, recall

    def check(self, *, data: bool = True, subset: tuple[int, int] = (1, 1)) -> list[Finding]:
        """Compare every stored byte with its checksum, or the n-th of m parts; without `data` look at the shape."""
        from ragkit.store.check import check_index

        with self._catalog() as catalog, catalog.snapshot() as at:
            return check_index(catalog, self.path, at, data=data, subset=subset)

    def repair(
        self, cut: Callable[[Document], Sequence[Chunk]], key: Callable[[str, str, Chunk], bytes]
    ) -> list[Finding]:
        """Save what a damaged index still holds, and make its caches again; says what was done and what is lost.

        Documents whose chunks are damaged are `cut` again, `key` names the vector that a model makes of a chunk under
        a title. Raises IndexCorrupt where nothing can be saved.
        """
        from ragkit.store.repair import mend_caches, repair_index

        self.close()
        findings = repair_index(self.path, cut=cut, key=key)
        findings += mend_caches(self.path)
        self._writer(self.path).close()
        return findings

    @contextmanager
    def _catalog(self) -> Iterator[Catalog]:
        """A connection of this thread's own, for as long as the block lasts."""
        with self._lock:
            catalog = self._idle.pop() if self._idle else None
        if catalog and not catalog.is_current():  # a repair put another file in its place
            catalog.close()
            catalog = None
        catalog = catalog or Catalog(self.path)
        try:
            yield catalog
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter where a name in the schema is hit
            catalog.close()
            raise unreadable(catalog.path, error) from error
        except OSError as error:
            catalog.close()
            raise StoreError(
                f"{self.path} cannot be read: {error}", "mend its permissions or the disk, or allow more open files"
            ) from error
        except BaseException:
            catalog.close()
            raise
        with self._lock:
            self._idle.append(catalog)

    def _writer(self, path: Path, *, discard: bool = False, search: bool = False) -> Writer:
        from ragkit.store.writer import Writer  # few searches need it

        return Writer(
            path,
            discard=discard,
            approximate_from=self._approximate_from,
            least_recall=self._least_recall,
            sizes=self._sizes,
            search=search,
        )

    def _read(self, act: Callable[[Catalog, View], _T]) -> _T:
        """What `act` makes of a snapshot; once more with a new word index where only reading shows its damage."""
        try:
            with self._reading() as (catalog, view):
                return act(catalog, view)
        except LexicalUnusable:
            self._view = None
            delete_word_index(self.path)
            with self._reading() as (catalog, view):
                return act(catalog, view)

    @contextmanager
    def _reading(self) -> Iterator[tuple[Catalog, View]]:
        """A connection inside a snapshot, with the vectors and the words that belong to it."""
        with self._catalog() as catalog:
            behind_is_fine = in_memory_only = False
            replaced: set[str] = set()
            for attempt in range(_ATTEMPTS):
                with catalog.snapshot() as generation:
                    try:
                        view = self._view_of(catalog, generation, behind_is_fine, in_memory_only)
                    except FileNotFoundError as error:  # a compaction has replaced a segment since the snapshot began
                        if error.filename in replaced:  # and this one began later
                            raise missing(error) from error
                        replaced.add(error.filename)
                        continue
                    if view is not None:
                        yield catalog, view
                        return
                if attempt == 0:
                    _warn_of_waiting(catalog)
                try:  # a writer leaves with the word index up to date
                    self._writer(self.path, search=True).close()
                except IndexLocked:
                    behind_is_fine = True
                    time.sleep(_PAUSE)
                except (StoreError, OSError):
                    in_memory_only = True
        raise StoreError(f"the word index of {self.path} does not keep up with the catalog", "run: ragkit doctor")

    def _view_of(self, catalog: Catalog, generation: int, behind_is_fine: bool, in_memory_only: bool) -> View | None:
        """The view of this snapshot; None where the word index must catch up first, or is ahead of the snapshot.

        Raises FileNotFoundError for a segment that is not there.
        """
        view = self._view
        if view is not None and view.generation == view.at == generation:
            return view
        try:
            words = open_words(catalog)
            at = words.generation
            if not words.settled and not in_memory_only:  # a writer is between two commits, or was when it died
                return None
        except LexicalUnusable:
            words, at = None, 0
        if in_memory_only or (behind_is_fine and at == 0):
            words, at = in_memory(catalog, generation), generation
        if words is None or at > generation or (at < generation and not behind_is_fine):
            return None
        vectors = _vectors(catalog, self.path, self._least_recall)
        meta = catalog.meta()
        model, dimension = meta.get("embedding_model", ""), int(meta.get("dimension", 0))
        self._view = view = View(generation, at, model, dimension, vectors, words)
        return view


def _warn_of_waiting(catalog: Catalog) -> None:
    """Say what takes so long, where the word index is made by a search: it was deleted, or its run broken off."""
    if (chunks := lacking(catalog)) >= _NOTICED:
        import logging  # few searches need these

        from ragkit.numbers import count

        logging.getLogger("ragkit").warning(
            "%s are not in the word index yet: it is brought up to date first", count(chunks, "chunk")
        )


def _vectors(catalog: Catalog, folder: Path, least_recall: float) -> VectorSet:
    """The vectors of the index's model; those of another one are none of a search."""
    spans = catalog.spans()
    segments = catalog.vectors.segments(spans.is_searched)
    tail = [tail_block(*batch, spans.dimension) for batch in catalog.vectors.tail(spans.is_searched)]
    codes = None
    if (folder / "ann").exists():
        from ragkit.store.codes import open_codes  # only large indexes have any

        codes = open_codes(folder, catalog.identity(), segments, least_recall)
    covered = {name for name, _ in codes.about.segments} if codes else set()
    exact = [map_segment(folder / "vectors", info) for info in segments if info.name not in covered]
    coded = [map_segment(folder / "vectors", info) for info in segments if info.name in covered]
    return VectorSet([*tail, *exact], codes, coded)
