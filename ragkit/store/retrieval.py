"""One search over one snapshot: candidates of each leg, every candidate scored by every leg, fused, merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragkit.errors import StoreError
from ragkit.filters import Condition
from ragkit.ranking import dense_weight, fuse, is_offline, merge_neighbours
from ragkit.store import depth
from ragkit.store.catalog import Catalog
from ragkit.store.catalog.chunks import WAITS
from ragkit.store.catalog.rows import damaged
from ragkit.store.catalog.selection import FEW, Selection
from ragkit.store.lexical import LexicalIndex, LexicalUnusable
from ragkit.store.vectors import VectorSet
from ragkit.types import FloatVector, Hit, IntVector

CANDIDATES = 100  # of each leg, at least: the legs' scores are compared over the union of them
_MULTIPLIED = 4096  # vectors that repeat the words are looked at up to so many: some 10 ms of a new process
_WIDER = 4  # times as many are looked at where too few of them may be returned


@dataclass(frozen=True, slots=True)
class View:
    """What a search looks at. `at` is behind `generation` only while a writer is at work."""

    generation: int
    at: int
    model: str
    dimension: int
    vectors: VectorSet
    words: LexicalIndex


def retrieve(
    catalog: Catalog,
    view: View,
    query: str,
    vector: FloatVector | None,
    *,
    k: int,
    conditions: Sequence[Condition] = (),
) -> list[Hit]:
    """The k best passages, best first. No words where the query is empty, no vectors where there is no `vector`.

    Documents that fulfil the conditions are listed where they are few, and every vector of theirs is looked at. Where
    they are many, candidates are those of a search without conditions that fulfil them, as far down as it takes: as
    exact as that search is.
    """
    selection = catalog.documents.selection(view.at, conditions) if conditions else None
    by_words = repeats_the_words(view.model, len(view.vectors))
    wanted = max(CANDIDATES, 4 * k) if query and vector is not None else 2 * k  # for neighbours come as one
    while True:
        if selection and selection.is_few and not len(selection.documents()):
            return []
        legs: dict[str, dict[int, float]] = {}
        vectors: dict[int, int] = {}
        if query:
            legs["lexical"] = _words(view, query, wanted, selection)
        if vector is not None and by_words and len(legs.get("lexical", ())) >= wanted:
            legs["dense"] = {}  # what the words found has its cosines all the same
        elif vector is not None:
            legs["dense"], vectors = _dense(catalog, view, vector, wanted, selection)
        exhausted = all(len(leg) < wanted for leg in legs.values())
        hits = _hits(catalog, _complete(catalog, view, query, vector, legs, vectors), _ranks(legs), k)
        if len(hits) >= k or exhausted:
            return hits[:k]
        wanted *= _WIDER


def repeats_the_words(model: str, vectors: int) -> bool:
    """Whether vectors are not worth looking at all of them: they say what words say, and are many.

    Where they are few they are looked at: on four sets candidates of both legs rank .001 better than those of words.
    """
    return is_offline(model) and vectors > _MULTIPLIED


def _words(view: View, query: str, wanted: int, selection: Selection | None) -> dict[int, float]:
    """Score by chunk id of the `wanted` best, or of all that share something with the query, best first."""
    if selection is None:
        return dict(view.words.search(query, wanted))
    if not selection.is_few:
        found = view.words.search_among(query, wanted, selection.among)
        if found is not None:
            return dict(found)
    return dict(view.words.search(query, wanted, selection.documents().tolist()))


def _dense(
    catalog: Catalog, view: View, vector: FloatVector, wanted: int, selection: Selection | None
) -> tuple[dict[int, float], dict[int, int]]:
    """Cosine by chunk id of the nearest living chunks: `wanted` of them, or all that there are; and their vectors."""
    within = selection.vectors() if selection and selection.is_few else None
    n = depth.first(wanted) if selection and within is None else wanted
    nearest: dict[int, float] = {}
    chunks: list[tuple[int, int]] = []
    while True:
        found = dict(view.vectors.top(vector, n, within))
        chunks += catalog.chunks.with_vectors(view.at, found.keys() - nearest.keys(), selection)
        nearest |= found
        total = len(view.vectors) if within is None else len(within)
        if len(chunks) >= wanted or n >= total:  # some vectors belong to no living chunk
            best = sorted(((chunk, nearest[v]) for chunk, v in chunks), key=lambda pair: (-pair[1], pair[0]))
            return dict(best[:wanted]), dict(chunks)
        if not selection or within is not None:
            n *= _WIDER
        elif FEW * len(chunks) < n:
            within, n = selection.vectors(), wanted  # codes find what is nearest, and less surely what is farther
        else:
            n = depth.next_after(n, wanted, len(chunks))


def _complete(
    catalog: Catalog,
    view: View,
    query: str,
    vector: FloatVector | None,
    legs: Mapping[str, Mapping[int, float]],
    vectors: Mapping[int, int],
) -> dict[str, dict[int, float]]:
    """The score of every candidate in every leg, with the fused one that orders them.

    `vectors` are those of the candidates that the dense leg found.
    """
    ids = sorted(set().union(*legs.values()))
    full: dict[str, dict[int, float]] = {}
    if "lexical" in legs:
        missing = [id for id in ids if id not in legs["lexical"]]
        full["lexical"] = {**legs["lexical"], **(view.words.score(query, missing) if missing else {})}
    if "dense" in legs and vector is not None:
        missing = [id for id in ids if id not in legs["dense"]]
        unknown = [id for id in missing if id not in vectors]
        names = {**(catalog.chunks.vectors(unknown) if unknown else {}), **vectors}
        if any(id not in names for id in missing):
            raise _lost(catalog, [id for id in missing if id not in names])
        waiting = [id for id in missing if names[id] == WAITS]
        missing = [id for id in missing if names[id] != WAITS]
        cosines = view.vectors.scores(vector, _ascending({names[id] for id in missing})) if missing else {}
        if lost := [id for id in missing if names[id] not in cosines]:
            raise damaged(f"the vector of chunk {lost[0]}")
        full["dense"] = {**legs["dense"], **{id: cosines[names[id]] for id in missing}}
        # A chunk that waits for its vector is found by words, and is no nearer than any other.
        full["dense"].update(dict.fromkeys(waiting, min(full["dense"].values(), default=0.0)))
    full["fused"] = fuse(full, dense_weight(view.model))
    return full


def _lost(catalog: Catalog, ids: Sequence[int]) -> StoreError:
    """What is wrong with candidates that cannot be returned."""
    if known := catalog.chunks.vectors(ids):
        return damaged(f"the document of chunk {next(iter(known))}")
    return LexicalUnusable("the word index names chunks that the catalog does not have", "it is made again")


def _ranks(legs: Mapping[str, Mapping[int, float]]) -> dict[str, dict[int, int]]:
    """1-based place of each chunk in each leg that found it by itself; the legs are in order."""
    return {name: {id: rank for rank, id in enumerate(leg, 1)} for name, leg in legs.items()}


def _hits(
    catalog: Catalog,
    scores: Mapping[str, Mapping[int, float]],
    ranks: Mapping[str, Mapping[int, int]],
    k: int,
) -> list[Hit]:
    """The k best candidates as hits, neighbours in a document merged; fewer where there are not so many.

    What is merged shows by the places of the chunks: only texts that are returned are read.
    """
    fused = scores["fused"]
    order = sorted(fused, key=lambda id: (-fused[id], id))
    taken = 2 * k
    while True:
        rows = catalog.chunks.rows(order[:taken])
        if len(rows) < len(order[:taken]):
            raise _lost(catalog, [id for id in order[:taken] if id not in rows])
        best_first = [rows[id] for id in order[:taken]]
        merged = merge_neighbours((row.document, row.start, row.end) for row in best_first)
        if len(merged) >= k or taken >= len(order):
            break
        taken *= 2
    groups = [[best_first[place] for place in group] for group in merged[:k]]
    passages = catalog.chunks.passages([sorted(group, key=lambda row: (row.start, -row.end)) for group in groups])
    return [
        Hit(
            best.id,
            passage,
            fused[best.id],
            {name: leg[best.id] for name, leg in scores.items()},
            {name: leg[best.id] for name, leg in ranks.items() if best.id in leg},
            metadata,
        )
        for (best, *_), (passage, metadata) in zip(groups, passages, strict=True)
    ]


def _ascending(ids: Iterable[int]) -> IntVector:
    return np.array(sorted(ids), dtype=np.int64)
