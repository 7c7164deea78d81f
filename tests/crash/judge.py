"""What an index holds, compared with what it must: nothing acknowledged lost, nothing by half, no vector wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crash.life import NEW, OLD, SIZES, State, chunks, key, open_store, queries, unit_vector
from ragkit.errors import RagkitError
from ragkit.store.local import LocalStore, _vectors
from ragkit.store.sizes import LEAST_RECALL


class Fault(Exception):
    """The index is not what it must be."""


def step_of(path: Path, states: list[State]) -> int:
    """At which step the index at `path` is, by everything that the catalog and the segments hold. It changes nothing.

    Raises Fault where it is at none.
    """
    if not (path / "catalog.sqlite").exists():
        return 0
    store = open_store(path)
    try:
        with store._catalog() as catalog, catalog.snapshot() as at:
            infos = catalog.documents.infos(at, ())
            model = catalog.spans().model
            held = {info.source: info for info in infos if info.chunks}
            documents = {}
            stored = []
            for id in catalog.documents.living():
                cut = catalog.chunks.of_document(id)
                source = cut[0].chunk.source
                document = catalog.documents.get(at, source)
                if document is None or [each.chunk for each in cut] != chunks(source, document.text):
                    raise Fault(f"the chunks of {source} are not those of its text")
                documents[source] = document.text
                stored += cut
            if held.keys() != documents.keys():
                raise Fault(f"listed are {sorted(held)}, there are {sorted(documents)}")
            if stored:
                names = np.array(sorted({each.vector for each in stored}), np.int64)
                rows = _vectors(catalog, path, LEAST_RECALL).rows(names)
                place = {int(name): i for i, name in enumerate(names)}
                found = rows[[place[each.vector] for each in stored]]
                expected = np.stack([unit_vector(model, each.chunk.text) for each in stored])
                if wrong := np.flatnonzero(np.abs(found - expected).max(axis=1) > 5e-4).tolist():
                    raise Fault(f"the vector of chunk {stored[wrong[0]].id} is not that of its text")
            failures = frozenset(source for _, source in catalog.documents.failures())
            for n, state in enumerate(states):
                if (documents, failures, model) == (state.documents, state.failures, state.model):
                    kept = [key(model, each) for each in state.kept]
                    if lost := len(kept) - len(catalog.vectors.ids(kept)):
                        raise Fault(f"{lost} vectors are lost that were paid for and not yet used")
                    return n
        raise Fault(f"it is at no step: {sorted(documents)}, {sorted(failures)}, {model!r}")
    except (RagkitError, OSError) as error:
        raise Fault(f"{type(error).__name__}: {error}") from error
    finally:
        store.close()


def check_searches(path: Path, state: State) -> None:
    """Raise Fault where a search does not find what it must. Whatever is wrong with caches must not be seen."""
    if not state.documents:
        return
    store = open_store(path)
    try:
        for query in queries(state):
            found = store.search(query, None, k=3)
            if not found or not found[0].chunk.text.startswith(query):
                raise Fault(f"the words {query!r} are not found first")
            (best,) = store.search("", unit_vector(state.model, query), k=1)
            if not best.chunk.text.startswith(query) or abs(best.score - 1) > 1e-5:
                raise Fault(f"the vector of {query!r} is not found first, but {best.chunk.text!r} with {best.score}")
        everything = store.search(" ".join(queries(state)), None, k=1000)
        expected = sum(len(chunks(source, body)) for source, body in state.documents.items())
        if (count := sum(len(hit.chunk.text.split("\n")) for hit in everything)) > expected:
            raise Fault(f"{count} chunks are found, {expected} are there")
    except (RagkitError, OSError) as error:
        raise Fault(f"{type(error).__name__}: {error}") from error
    finally:
        store.close()


def check_sound(store: LocalStore, path: Path) -> None:
    """Raise Fault for any finding of the store's own check, and for files that nothing names."""
    if findings := [finding.message for finding in store.check() if not finding.ok]:
        raise Fault("; ".join(findings))
    with store._catalog() as catalog, catalog.snapshot():
        named = {info.name for info in catalog.vectors.segments()}
        if (mode := catalog._db.execute("PRAGMA journal_mode").fetchone()[0]) != "wal":
            raise Fault(f"the catalog is in the mode {mode!r}: its commits may be undone by a loss of power")
        unused = len(catalog.vectors.unused())
        used = catalog.vectors.count() - unused
    if stray := {file.name for file in (path / "vectors").iterdir()} - named:
        raise Fault(f"left over: {sorted(stray)}")
    if unused > 2 * max(SIZES.kept_unused, used):
        raise Fault(f"{unused} unused vectors are kept beside {used}")


__all__ = ["NEW", "OLD", "Fault", "check_searches", "check_sound", "step_of"]
