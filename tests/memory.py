"""A store of plain dictionaries, small enough to be believed: what the local store is compared with.

It keeps the promises of `protocols.Store` and `protocols.Writer` and nothing more: no disk, no threads, exact
cosines, and "lexical" is the number of words that a passage shares with the query.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from ragkit.errors import ConfigError, IndexMismatch, IndexNotFound, StoreError
from ragkit.filters import Condition, meant
from ragkit.ranking import merge_neighbours
from ragkit.reports import DocumentInfo, FileStamp, Finding, IndexStatus, Known, Problem, Root
from ragkit.types import Chunk, Document, FloatMatrix, FloatVector, Hit, Metadata, Preparation


@dataclass
class Entry:
    """One document with all that belongs to it; `ids` are those of its chunks."""

    document: Document
    chunks: Sequence[Chunk]
    keys: Sequence[bytes]
    ids: range
    root: int | None
    stamp: FileStamp
    problems: Sequence[Problem]
    version: int


@dataclass
class State:
    """Everything that a commit makes true."""

    entries: dict[str, Entry] = field(default_factory=dict)
    vectors: dict[bytes, FloatVector] = field(default_factory=dict)
    dimensions: dict[str, int] = field(default_factory=dict)  # of models that the index may be moved to
    canaries: dict[str, tuple[str, FloatVector]] = field(default_factory=dict)
    failures: dict[str, tuple[int | None, FileStamp, Sequence[Problem]]] = field(default_factory=dict)
    roots: list[Root] = field(default_factory=list)
    recipes: dict[int, tuple[int, str]] = field(default_factory=dict)
    model: tuple[str, int] | None = None
    preparation: Preparation = Preparation()  # noqa: RUF009 - frozen
    next_id: int = 1
    next_version: int = 1


class MemoryWriter:
    """Works on a copy of the state; `commit` hands the copy over."""

    failed = False

    def __init__(self, store: MemoryStore, discard: bool) -> None:
        self._store, self._discard = store, discard
        self._now = copy.deepcopy(store.state or State())

    def known(self, sources: Collection[str]) -> Mapping[str, Known]:
        return {
            source: Known(
                entry.root, entry.document.sha256, entry.stamp, tuple(entry.problems), entry.version, len(entry.chunks)
            )
            for source, entry in self._now.entries.items()
            if source in sources
        }

    def listed(self, root: int | None = None) -> Iterator[tuple[int, str]]:
        entries = [entry for entry in self._now.entries.values() if root in (None, entry.root)]
        yield from sorted((entry.version, entry.document.source) for entry in entries)

    def failures(self, root: int | None = None) -> Iterator[tuple[int, str]]:
        for id, (source, (of, _, _)) in enumerate(self._now.failures.items()):
            if root in (None, of):
                yield id, source

    def known_failures(self, sources: Collection[str], root: int) -> Mapping[str, int]:
        return {source: id for id, source in self.failures(root) if source in sources}

    def document(self, source: str) -> Document | None:
        entry = self._now.entries.get(source)
        return entry.document if entry else None

    def passages(self) -> Iterator[tuple[str, Sequence[Chunk]]]:
        for entry in self._now.entries.values():
            yield entry.document.title, entry.chunks

    def waiting(self) -> Sequence[tuple[str, int, Chunk]]:
        return []

    def end_waiting(self, keys: Mapping[int, bytes]) -> None:
        if keys:
            raise NotImplementedError

    def stored(self, keys: Iterable[bytes]) -> set[bytes]:
        return set(keys) & self._now.vectors.keys()

    @property
    def model(self) -> str:
        return self._now.model[0] if self._now.model else ""

    def check_model(self, model: str) -> None:
        if self.model not in ("", model):
            raise IndexMismatch(f"{self.model} made the vectors, not {model}")

    def set_model(
        self,
        model: str,
        dimension: int,
        preparation: Preparation = Preparation(),  # noqa: B008 - frozen
    ) -> None:
        if self._now.model not in (None, (model, dimension)):
            raise IndexMismatch(f"{self._now.model} made the vectors, not {(model, dimension)}")
        self._now.model, self._now.preparation = (model, dimension), preparation

    def canary(self, model: str) -> tuple[str, FloatVector] | None:
        return self._now.canaries.get(model)

    def keep_canary(self, model: str, text: str, vector: FloatVector) -> None:
        self._now.canaries[model] = text, vector

    def add_vectors(self, keys: Sequence[bytes], vectors: FloatMatrix, *, model: str = "") -> None:
        if model:
            self._now.dimensions[model] = vectors.shape[1]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = (vectors / lengths).astype(np.float16).astype(np.float32)  # as a folder keeps them
        self._now.vectors.update(zip(keys, rows, strict=True))

    def move_to(
        self,
        model: str,
        key: Callable[[str, Chunk], bytes],
        preparation: Preparation = Preparation(),  # noqa: B008 - frozen
    ) -> None:
        moved = {
            source: replace(entry, keys=[key(entry.document.title, chunk) for chunk in entry.chunks])
            for source, entry in self._now.entries.items()
        }
        if lacking := [s for s, entry in moved.items() if not set(entry.keys) <= self._now.vectors.keys()]:
            raise StoreError(f"chunks of {lacking[0]} have no vector of {model}")
        self._now.entries = moved
        dimension = self._now.dimensions.get(model)
        self._now.model = (model, dimension) if dimension else None
        self._now.preparation = preparation if dimension else Preparation()

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
        assert set(keys) <= self._now.vectors.keys()
        ids = range(self._now.next_id, self._now.next_id + len(chunks))
        self._now.next_id = ids.stop
        self._now.failures.pop(document.source, None)
        self._now.entries[document.source] = Entry(
            document, chunks, keys, ids, root, stamp, problems, self._now.next_version
        )
        self._now.next_version += 1

    def remove(self, source: str) -> int:
        self._now.failures.pop(source, None)
        return int(self._now.entries.pop(source, None) is not None)

    def touch(self, source: str, stamp: FileStamp) -> None:
        self._now.entries[source].stamp = stamp

    def fail(self, source: str, root: int | None, stamp: FileStamp, problems: Sequence[Problem]) -> None:
        self._now.failures[source] = (root, stamp, problems)

    def roots(self) -> Sequence[Root]:
        return list(self._now.roots)

    def cut_by(self, root: Root, recipe: str) -> int:
        first, before = self._now.recipes.get(root.id, (0, None))
        if before != recipe:
            first = self._now.next_version
            self._now.recipes[root.id] = first, recipe
        return first

    def add_root(self, path: str, prefix: str) -> Root:
        root = Root(len(self._now.roots) + 1, path, prefix)
        self._now.roots.append(root)
        return root

    def remove_root(self, root: Root) -> None:
        self._now.roots.remove(root)
        for _, source in [*self.listed(root.id), *self.failures(root.id)]:
            self.remove(source)

    def commit(self) -> None:
        if not self._discard:
            self._store.state = copy.deepcopy(self._now)

    def publish(self, tell: Callable[[int, int], None] | None = None) -> None:
        """Searches look at the state itself."""


class MemoryStore:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.state: State | None = None

    @contextmanager
    def writing(self, *, discard: bool = False) -> Iterator[MemoryWriter]:
        if self.state is None and not discard:
            self.state = State()
        writer = MemoryWriter(self, discard)
        yield writer  # an exception goes through here, and what was not committed is gone
        writer.commit()

    def _state(self) -> State:
        if self.state is None:
            raise IndexNotFound(f"there is no index at {self.path}")
        return self.state

    def remove(self, *sources: str) -> int:
        every = self._state().entries
        names = {name for source in sources for name in meant(source, every)}
        with self.writing() as writer:
            return sum(writer.remove(name) for name in names)

    def check_model(self, model: str, preparation: Preparation | None = None) -> None:  # noqa: ARG002 - only warned of
        made_by = self._state().model
        if made_by and made_by[0] != model:
            raise IndexMismatch(f"{made_by[0]} made the vectors, not {model}")

    def search(
        self, query: str, vector: FloatVector | None, *, k: int, conditions: Sequence[Condition] = (), model: str = ""
    ) -> list[Hit]:
        if vector is not None and model:
            self.check_model(model)
        hits = []
        asked = set(words(query))
        for entry in self._matching(conditions):
            for id, chunk, key in zip(entry.ids, entry.chunks, entry.keys, strict=True):
                scores = {}
                if vector is not None:
                    cosine = float(self._state().vectors[key] @ (vector / np.linalg.norm(vector)))
                    scores["dense"] = min(1.0, cosine)
                if asked:
                    scores["lexical"] = float(len(asked.intersection(words(chunk.text))))
                if vector is not None or scores["lexical"]:
                    hits.append(Hit(id, chunk, sum(scores.values()), scores, metadata=entry.document.metadata))
        hits.sort(key=lambda hit: (-hit.score, hit.id))
        groups = merge_neighbours((hit.chunk.source, hit.chunk.start, hit.chunk.end) for hit in hits)
        return [self._whole([hits[place] for place in group]) for group in groups[:k]]

    def _whole(self, hits: Sequence[Hit]) -> Hit:
        """The best of neighbours, which comes first, with the passage that all make together."""
        first, end = min((hit.chunk for hit in hits), key=lambda chunk: chunk.start), max(hit.chunk.end for hit in hits)
        text = self._state().entries[first.source].document.text[first.start : end]
        return replace(hits[0], chunk=replace(first, end=end, text=text))

    def idf(self, terms: Sequence[str]) -> Mapping[str, float]:
        return dict.fromkeys(terms, 1.0)

    def documents(self, conditions: Sequence[Condition] = ()) -> list[DocumentInfo]:
        infos = {entry.document.source: info(entry) for entry in self._matching(conditions)}
        for source, (_, stamp, problems) in self._state().failures.items():
            if source not in infos and (source in self._state().entries or not fulfils({"source": source}, conditions)):
                continue
            infos[source] = replace(infos.get(source, DocumentInfo(source, size=stamp.size)), problems=tuple(problems))
        return [infos[source] for source in sorted(infos)]

    def _matching(self, conditions: Sequence[Condition]) -> list[Entry]:
        return [
            entry
            for entry in self._state().entries.values()
            if fulfils({"source": entry.document.source, **entry.document.metadata}, conditions)
        ]

    def document(self, source: str) -> Document:
        if source not in self._state().entries:
            raise ConfigError(f"{source!r} is not in the index")
        return self._state().entries[source].document

    def neighbours(self, id: int, before: int, after: int) -> list[Hit]:
        for entry in self._state().entries.values():
            if id in entry.ids:
                n = entry.ids.index(id)
                near = list(zip(entry.ids, entry.chunks, strict=True))[max(0, n - before) : n + after + 1]
                return [Hit(of, chunk, 0.0, metadata=entry.document.metadata) for of, chunk in near]
        raise ConfigError(f"chunk {id} is not in the index")

    def vectors(self, limit: int, wanted: Collection[int] = ()) -> tuple[list[tuple[int, Chunk]], FloatMatrix]:
        state = self._state()
        every = {
            id: (chunk, state.vectors[key])
            for entry in state.entries.values()
            for id, chunk, key in zip(entry.ids, entry.chunks, entry.keys, strict=True)
        }
        ids = sorted(every)
        taken = {ids[i * len(ids) // limit] for i in range(limit)} if limit < len(ids) else set(ids)
        chosen = sorted(taken | (set(wanted) & set(ids)))
        rows = [every[id][1] for id in chosen]
        return [(id, every[id][0]) for id in chosen], np.stack(rows) if rows else np.empty((0, 0), np.float32)

    def status(self) -> IndexStatus:
        state = self._state()
        model, dimension = state.model or ("", 0)
        return IndexStatus(
            str(self.path), 1, 0, len(state.entries), sum(len(entry.ids) for entry in state.entries.values()),
            len(state.vectors), len(state.failures), 0, model, dimension, "", "", tuple(r.path for r in state.roots),
            **asdict(state.preparation),
        )  # fmt: skip

    def check(self, *, data: bool = True, subset: tuple[int, int] = (1, 1)) -> list[Finding]:
        return [Finding("memory", True, f"nothing to check: {data}, {subset}")]

    def repair(
        self, cut: Callable[[Document], Sequence[Chunk]], key: Callable[[str, str, Chunk], bytes]
    ) -> list[Finding]:
        return [Finding("memory", True, f"nothing to repair with {cut} and {key}")]

    def close(self) -> None:
        """There is nothing to let go of."""


def info(entry: Entry) -> DocumentInfo:
    document = entry.document
    return DocumentInfo(
        document.source,
        document.media_type,
        document.title,
        len(document.text),
        len(document.page_starts) or None,
        len(entry.chunks),
        entry.stamp.size,
        document.sha256,
        metadata=document.metadata,
        problems=tuple(entry.problems),
    )


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def fulfils(values: Metadata, conditions: Sequence[Condition]) -> bool:
    """Equality and globs are all that is compared here."""
    return all(
        fnmatchcase(str(values.get(c.key)), c.value) if c.op == "glob" else str(values.get(c.key)) == c.value
        for c in conditions
    )
