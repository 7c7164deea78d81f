"""The one writer: every change of an index passes here, and becomes true in one SQLite commit.

Segments are written and synced before the commit that names them, and deleted after the commit that forgets
them. Caches follow the commit. After any error of the disk the writer refuses to go on: what was committed is
safe, and only reopening tells what that is.
"""

from __future__ import annotations

import base64
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import numpy as np

from ragkit.errors import StoreError
from ragkit.filters import meant
from ragkit.ranking import is_offline
from ragkit.reports import FileStamp, Known, Problem, Root
from ragkit.store.catalog import Catalog, Savepoint
from ragkit.store.catalog.rows import iso
from ragkit.store.compaction import Rewritten, by_model, compact, seal
from ragkit.store.creation import keep_names
from ragkit.store.heap import release, return_large
from ragkit.store.lexical import LexicalUnusable
from ragkit.store.lock import WriterLock
from ragkit.store.moving import move
from ragkit.store.segments import SegmentInfo, VectorBlock, check_headers, stored_rows, unit_rows
from ragkit.store.sizes import APPROXIMATE_FROM, LEAST_RECALL, SEAL_ROWS, Sizes
from ragkit.store.wordindex import Tell, catch_up, shrink
from ragkit.types import Chunk, Document, FloatMatrix, FloatVector, Preparation

if TYPE_CHECKING:
    from ragkit.store.coding import Background

__all__ = ["SEAL_ROWS", "Writer"]

_T = TypeVar("_T")


class Writer:
    """Holds the writer's lock from construction to `close`. Not thread-safe: it belongs to one run.

    Everything between two calls of `commit` becomes true together or not at all; with `discard`, not at all. With
    `search` it only brings caches up to date, for a search.
    """

    def __init__(
        self,
        folder: Path,
        *,
        discard: bool = False,
        approximate_from: int = APPROXIMATE_FROM,
        least_recall: float = LEAST_RECALL,
        sizes: Sizes = Sizes(),  # noqa: B008 - frozen
        search: bool = False,
    ) -> None:
        self._folder = folder
        self._approximate_from = approximate_from
        self._least_recall = least_recall
        self._sizes = sizes
        self._discard = discard
        self._vectors = folder / "vectors"
        self._failed = ""
        self._pending: list[VectorBlock] = []
        self._changed = False
        self._added = False  # vectors, by this writer
        self._background: Background | None = None
        self._coded = 0  # rows that codes were last begun to be made of
        self._lock = WriterLock(folder / "writer.lock", search=search)
        try:
            self._catalog = Catalog(folder, write=True)
            try:
                self._vectors.mkdir(mode=0o700, exist_ok=True)  # a copy may leave an empty folder out
                if not self._catalog.generation():
                    keep_names(folder)  # before the first commit
                self._sweep()
                check_headers(self._vectors, self._catalog.vectors.segments())
            except BaseException:
                self._catalog.close()
                raise
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise self._cannot(error) from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._discard |= kind is not None
        if self._added and not self._discard and not self._failed:
            with self._guarded():
                self._catalog.remove_meta("unfinished")
        self.close()

    def known(self, sources: Collection[str]) -> dict[str, Known]:
        """Those of these documents that are here, by source."""
        return self._catalog.documents.known(sources)

    def listed(self, root: int | None = None) -> Iterator[tuple[int, str]]:
        """Id and source of every document, or of those of one root, in order of id; nothing is changed meanwhile."""
        return self._catalog.documents.listed(root)

    def failures(self, root: int | None = None) -> Iterator[tuple[int, str]]:
        """The same of every file that gave nothing; a file has another id once it fails again."""
        return self._catalog.documents.failures(root)

    def known_failures(self, sources: Collection[str], root: int) -> dict[str, int]:
        """The id of each of these files that gave nothing, by source, where it is the root's."""
        return self._catalog.documents.known_failures(sources, root)

    def document(self, source: str) -> Document | None:
        """The document as it will be after the next commit; None where there is none."""
        return self._catalog.documents.get(self._catalog.generation() + 1, source)

    def matching(self, source: str) -> list[str]:
        """The sources that are this one, or that the glob matches, files that failed among them; in order."""
        documents = self._catalog.documents
        return [source] if documents.has(source) else sorted(meant(source, documents.sources()))

    def stored(self, keys: Iterable[bytes]) -> set[bytes]:
        """Which of these keys have a vector."""
        return set(self._catalog.vectors.ids(keys))

    def roots(self) -> list[Root]:
        return self._catalog.roots()

    def passages(self) -> Iterator[tuple[str, list[Chunk]]]:
        """Title and chunks of every document, as they will be after the next commit."""
        for id in self._catalog.documents.living():
            chunks = [stored.chunk for stored in self._catalog.chunks.of_document(id)]
            yield self._catalog.documents.title(id), chunks

    def waiting(self) -> list[tuple[str, int, Chunk]]:
        """Title, id and chunk of everything that lost its vector in a repair."""
        stored = self._catalog.chunks.waiting()
        return [(self._catalog.documents.title(each.document), each.id, each.chunk) for each in stored]

    def end_waiting(self, keys: Mapping[int, bytes]) -> None:
        """Give chunks that wait, by id, the vectors under these keys; those that have none yet go on waiting."""
        vectors = self._catalog.vectors.ids(set(keys.values()))
        here = [each for each in self._catalog.chunks.waiting() if keys.get(each.id) in vectors]
        if here:
            with self._guarded():
                self._catalog.chunks.give_vectors(here, [vectors[keys[each.id]] for each in here])
                self._changed = True

    @property
    def model(self) -> str:
        """The model that the index is searched with; empty before there are vectors."""
        return self._catalog.spans().model

    def check_model(self, model: str) -> None:
        """Raise IndexMismatch where the index is searched with another model."""
        self._catalog.check_model(model)

    def set_model(
        self,
        model: str,
        dimension: int,
        preparation: Preparation = Preparation(),  # noqa: B008 - frozen
    ) -> None:
        """Say which model makes the vectors. Raises IndexMismatch where the index holds another one's."""
        known = self._catalog.check_model(model, dimension)
        if known and self._catalog.preparation() == preparation:
            return
        with self._guarded():
            self._catalog.set_preparation(preparation)
            if not known:
                self._catalog.set_meta("embedding_model", model)
                self._catalog.set_meta("dimension", str(dimension))
                self._changed = True

    def canary(self, model: str) -> tuple[str, FloatVector] | None:
        """The text that is kept to recognise a model by, and the unit vector (d,) that the model made of it then."""
        kept = self._catalog.meta().get(f"canary {model}")
        if kept is None:
            return None
        encoded, _, text = kept.partition(" ")
        return text, np.frombuffer(base64.b64decode(encoded), dtype="<f4")

    def keep_canary(self, model: str, text: str, vector: FloatVector) -> None:
        """Keep them from the next commit on."""
        with self._guarded():
            encoded = base64.b64encode(unit_rows(vector[None, :])[0].astype("<f4").tobytes()).decode()
            self._catalog.set_meta(f"canary {model}", f"{encoded} {text}")

    def add_vectors(self, keys: Sequence[bytes], vectors: FloatMatrix, *, model: str = "") -> None:
        """Store new vectors, (n, d), under their n keys, none of which is known yet.

        Those of another `model` than the index's are kept beside them, and no search sees them until `move_to`.
        """
        spans = self._catalog.spans()
        model = model or spans.model
        dimension = spans.dimension_of(model) or vectors.shape[-1]
        if vectors.shape != (len(keys), dimension):
            raise StoreError(
                f"{len(keys)} texts gave vectors of shape {vectors.shape}, the index has dimension {dimension}",
                "check the embedding model: it must return one vector of that dimension for each text",
            )
        if not keys:
            return
        rows = stored_rows(vectors)
        with self._guarded():
            first = self._catalog.vectors.add(keys)
            if not spans.continued(first, model, dimension):
                self._catalog.set_meta("models", spans.text())
            if model != spans.model:
                self._move_on(model)
            if "unfinished" not in self._catalog.meta():
                self._catalog.set_meta("unfinished", str(first))
            self._added = True
            # No new generation: until a chunk has one of them, no answer differs.
            self._pending.append(VectorBlock(np.arange(first, first + len(keys), dtype=np.int64), rows))

    def _move_on(self, model: str) -> None:
        """The move that is under way goes to `model`; what was embedded for another one is given up."""
        before = self._catalog.meta().get("moving_to", model)
        self._catalog.set_meta("moving_to", model)
        if before != model:
            self._catalog.set_meta("given_up", before)

    def move_to(
        self,
        model: str,
        key: Callable[[str, Chunk], bytes],
        preparation: Preparation = Preparation(),  # noqa: B008 - frozen
    ) -> None:
        """Search with another model from the next commit on: `key` names the new vector of a chunk under a title.

        What was done before is committed first, and dead versions of documents are deleted: they stay behind.
        Raises StoreError where a vector is missing; the index is then as it was.
        """
        self.commit()
        if not self._discard:
            self.publish()
            with self._guarded():
                self._catalog.documents.purge(self._catalog.generation())
                self._catalog.commit()
        with self._guarded():
            move(self._catalog, model, key, preparation)
            self._changed = True

    def replace(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        keys: Sequence[bytes],
        *,
        root: int | None = None,
        stamp: FileStamp = FileStamp(),  # noqa: B008 - frozen
        problems: Sequence[Problem] = (),
    ) -> None:
        """Put a version of the document in the place of the one before. `keys[i]` names the vector of `chunks[i]`."""
        with self._guarded():
            vectors = self._catalog.vectors.ids(set(keys))
            added = self._catalog.generation() + 1
            self._catalog.documents.retire(document.source, added)
            id = self._catalog.documents.add(
                document, root=root, stamp=stamp, problems=problems, chunks=len(chunks), added=added
            )
            self._catalog.chunks.add(id, chunks, [vectors[key] for key in keys])
            self._changed = True

    def remove(self, source: str) -> int:
        """Take the document out, and what is remembered of its failures; gives how many documents there were."""
        with self._guarded():
            removed = self._catalog.documents.retire(source, self._catalog.generation() + 1)
            forgotten = self._catalog.documents.forget_failure(source)
            self._changed |= bool(removed or forgotten)
        return removed

    def touch(self, source: str, stamp: FileStamp) -> None:
        """Note the file's new times; its content is the same."""
        with self._guarded():
            self._catalog.documents.touch(source, stamp)

    def fail(self, source: str, root: int | None, stamp: FileStamp, problems: Sequence[Problem]) -> None:
        """Remember that the file gave nothing. An earlier version of it stays in the index."""
        with self._guarded():
            self._catalog.documents.set_failure(source, root, stamp, problems)

    @property
    def failed(self) -> bool:
        """Whether an error of the disk has stopped this writer."""
        return bool(self._failed)

    def add_root(self, path: str, prefix: str) -> Root:
        with self._guarded():
            return self._catalog.add_root(path, prefix)

    def remove_root(self, root: Root) -> None:
        """Forget a root with its documents and failures; their vectors stay for reuse."""
        with self._guarded():
            for source in {source for of in (self.listed, self.failures) for _, source in of(root.id)}:
                self.remove(source)
            self._catalog.remove_root(root.id)

    def cut_by(self, root: Root, recipe: str) -> int:
        """Documents of a root are cut by this from now on; gives the least id of those that were already."""
        name, meta = f"recipe {root.id}", self._catalog.meta()
        first, _, before = meta.get(name, "").partition(" ")
        if first and before == recipe:
            return int(first)
        following = int(meta.get("last document", 0)) + 1
        with self._guarded():
            self._catalog.set_meta(name, f"{following} {recipe}")
        return following

    def commit(self) -> None:
        """Make everything since the last commit true. Returns when it would survive a loss of power."""
        if self._discard or not self._catalog.in_transaction:
            return
        with self._guarded():
            sealed = self._store_pending()
            if self._changed:
                self._catalog.next_generation()
                self._catalog.set_meta("changed", iso(time.time_ns()))
            self._catalog.commit()
            # Only now: an interrupt before this leaves them to the next commit, beside the names they belong to.
            self._pending = []
            self._changed = False
        if sealed:
            self._code_meanwhile()

    def publish(self, tell: Tell | None = None) -> None:
        """Let readers see what was committed so far."""
        return_large()
        try:
            catch_up(self._catalog, tell)
        except OSError as error:
            raise LexicalUnusable(
                f"cannot write the word index: {error}", "it is made again from the catalog when the index is next used"
            ) from error
        release()

    def close(self) -> None:
        """Finish: commit, unless to be discarded; caches catch up, what is dead is deleted, the lock is freed."""
        try:
            if not self._discard and not self._failed:
                self.commit()
            if self._catalog.in_transaction:
                self._catalog.rollback()
            if not self._failed:
                self.publish()
                if self._background:
                    self._background.end(wanted=True)
                with self._by_itself():
                    rewritten = compact(self._catalog, self._vectors, self._sizes)
                    shrink(self._catalog, self._sizes)
                    self._catalog.checkpoint()
                    self._update_codes(rewritten)
        finally:
            if self._background:
                self._background.end(wanted=False)
            self._catalog.close()
            self._lock.release()

    def _coded_segments(self) -> list[SegmentInfo]:
        """Those of the index's model; of one that repeats the words none: no search looks for its nearest."""
        spans = self._catalog.spans()
        return [] if is_offline(spans.model) else self._catalog.vectors.segments(spans.is_searched)

    def _making_codes(self, segments: Sequence[SegmentInfo]) -> Callable[..., None]:
        """What brings the codes to these segments; it asks the catalog nothing, and may run in another thread."""
        from ragkit.store.coding import update_codes  # only large indexes need faiss

        return partial(
            update_codes,
            self._folder,
            self._catalog.identity(),
            segments,
            are_wanted=self._has_many(segments),
            least_recall=self._least_recall,
        )

    def _update_codes(self, rewritten: Rewritten) -> None:
        segments = self._coded_segments()
        if self._has_many(segments) or (self._folder / "ann").exists():
            self._making_codes(segments)(rewritten=rewritten)

    def _has_many(self, segments: Sequence[SegmentInfo]) -> bool:
        """Whether with the tail, which has no codes, there are enough vectors for some of them to be worth it."""
        sealed = sum(info.rows for info in segments)
        return sealed > 0 and sealed + self._catalog.vectors.tail_rows() >= self._approximate_from

    def _code_meanwhile(self) -> None:
        """Let codes be made of what was sealed, in a large run, while the next texts are read and embedded."""
        if self._background and self._background.running:
            return
        segments = self._coded_segments()
        rows = sum(info.rows for info in segments)
        if rows < max(self._approximate_from, self._sizes.beside, 2 * self._coded):
            return
        from ragkit.store.coding import Background

        self._coded = rows
        make = self._making_codes(segments)
        self._background = Background(lambda go_on: make(go_on=go_on))

    def _store_pending(self) -> bool:
        """In the catalog, or where enough have come together in a file of their own, which is told."""
        if not self._pending:
            return False
        rows = self._catalog.vectors.tail_rows() + sum(len(block.ids) for block in self._pending)
        if rows >= self._sizes.seal:
            seal(self._catalog, self._vectors, self._pending)
            return True
        for blocks in by_model(self._pending, self._catalog.spans()):
            together = np.concatenate([block.rows for block in blocks])
            self._catalog.vectors.add_tail(int(blocks[0].ids[0]), len(together), together.tobytes())
        return False

    def _sweep(self) -> None:
        """Delete segment files that no commit names: a crash left them."""
        named = {info.name for info in self._catalog.vectors.segments()}
        for path in self._vectors.glob("seg-*"):
            if path.name not in named:
                path.unlink()

    def _by_itself(self) -> _Guarded[None]:
        """Run what begins and commits by itself; what it has begun when it fails is undone, what it committed stays."""
        return _Guarded(lambda: None, lambda _, error: self._undo(error))

    def _undo(self, error: BaseException | None) -> None:
        if isinstance(error, OSError | sqlite3.Error):
            raise self._stop(error) from error
        if error and self._catalog.in_transaction:
            self._catalog.rollback()

    def _guarded(self) -> _Guarded[Savepoint]:
        """Run changes inside the transaction, all of them or none; refuse all others after an error of the disk."""
        return _Guarded(self._enter, self._leave)

    def _enter(self) -> Savepoint:
        if self._failed:
            raise StoreError(f"this writer stopped at an error: {self._failed}", "mend its cause and run again")
        try:
            self._catalog.begin()
            return self._catalog.all_or_none()
        except (OSError, sqlite3.Error) as error:
            raise self._stop(error) from error

    def _leave(self, savepoint: Savepoint, error: BaseException | None) -> None:
        if isinstance(error, OSError | sqlite3.Error):
            raise self._stop(error) from error
        try:
            savepoint.end(undo=error is not None)
            if error:  # an interrupt, perhaps when all was done: vectors wait as long as their names do
                waiting = self._pending if self._catalog.in_transaction else []
                self._pending = [block for block in waiting if self._catalog.vectors.is_named(int(block.ids[0]))]
        except (OSError, sqlite3.Error) as failure:
            raise self._stop(failure) from failure

    def _stop(self, error: Exception) -> StoreError:
        self._failed = f"{type(error).__name__}: {error}"
        self._catalog.rollback()
        return self._cannot(error)

    def _cannot(self, error: Exception) -> StoreError:
        return StoreError(
            f"writing {self._folder} failed: {error}",
            "nothing that was committed is lost; make room or mend the disk, and run again to continue",
        )


class _Guarded(Generic[_T]):
    """A block of changes. No generator: one that an interrupt leaves behind would undo the block some time later."""

    def __init__(self, enter: Callable[[], _T], leave: Callable[[_T, BaseException | None], None]) -> None:
        self._on_entry, self._on_exit = enter, leave

    def __enter__(self) -> None:
        self._entered = self._on_entry()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._on_exit(self._entered, error)
