"""One search over one snapshot: candidates of each leg, every candidate scored by every leg, fused, merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragkit.filters import Condition
from ragkit.ranking import dense_weight, fuse, merge_neighbours
from ragkit.store.catalog import Catalog
from ragkit.store.catalog.chunks import WAITS
from ragkit.store.catalog.rows import damaged
from ragkit.store.lexical import LexicalIndex, LexicalUnusable
from ragkit.store.segments import VectorSet
from ragkit.types import FloatVector, Hit, IntVector

CANDIDATES = 100  # of each leg, at least: the legs' scores are compared over the union of them


@dataclass(frozen=True, slots=True)
class View:
    """What a search looks at. `at` is behind `generation` only while a writer is at work."""

    generation: int
    at: int
    model: str
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
    """The k best passages, best first. No words where the query is empty, no vectors where there is no `vector`."""
    documents = catalog.documents.matching(view.at, conditions) if conditions else None
    if documents is not None and not documents:
        return []
    wanted = max(CANDIDATES, 4 * k)
    while True:
        legs: dict[str, dict[int, float]] = {}
        if query:
            legs["lexical"] = dict(view.words.search(query, wanted, documents))
        if vector is not None:
            legs["dense"] = _dense(catalog, view, vector, wanted, documents)
        exhausted = all(len(leg) < wanted for leg in legs.values())
        hits = _hits(catalog, _complete(catalog, view, query, vector, legs), _ranks(legs), k)
        if len(hits) >= k or exhausted:
            return hits[:k]
        wanted *= 4


def _dense(
    catalog: Catalog, view: View, vector: FloatVector, wanted: int, documents: Sequence[int] | None
) -> dict[int, float]:
    """Cosine by chunk id of the nearest living chunks: `wanted` of them, or all that there are."""
    within = None if documents is None else _ascending(catalog.chunks.vectors_of_documents(documents))
    total = len(view.vectors) if within is None else len(within)
    n = wanted
    while True:
        nearest = dict(view.vectors.top(vector, n, within))
        chunks = catalog.chunks.with_vectors(view.at, nearest, documents)
        if len(chunks) >= wanted or n >= total:  # some vectors belong to no living chunk
            best = sorted(((chunk, nearest[v]) for chunk, v in chunks), key=lambda pair: (-pair[1], pair[0]))
            return dict(best[:wanted])
        n *= 4


def _complete(
    catalog: Catalog,
    view: View,
    query: str,
    vector: FloatVector | None,
    legs: Mapping[str, Mapping[int, float]],
) -> dict[str, dict[int, float]]:
    """The score of every candidate in every leg, with the fused one that orders them."""
    ids = sorted(set().union(*legs.values()))
    names = catalog.chunks.vectors(ids)
    if len(names) < len(ids):
        raise LexicalUnusable("the word index names chunks that the catalog does not have", "it is made again")
    full: dict[str, dict[int, float]] = {}
    if "lexical" in legs:
        missing = [id for id in ids if id not in legs["lexical"]]
        full["lexical"] = {**legs["lexical"], **(view.words.score(query, missing) if missing else {})}
    if "dense" in legs and vector is not None:
        missing = [id for id in ids if id not in legs["dense"] and names[id] != WAITS]
        cosines = view.vectors.scores(vector, _ascending({names[id] for id in missing}))
        if lost := [id for id in missing if names[id] not in cosines]:
            raise damaged(f"the vector of chunk {lost[0]}")
        full["dense"] = {**legs["dense"], **{id: cosines[names[id]] for id in missing}}
        # A chunk that waits for its vector is found by words, and is no nearer than any other.
        least = min(full["dense"].values(), default=0.0)
        full["dense"].update({id: least for id in ids if names[id] == WAITS})
    full["fused"] = fuse(full, dense_weight(catalog.meta().get("embedding_model", "")))
    return full


def _ranks(legs: Mapping[str, Mapping[int, float]]) -> dict[str, dict[int, int]]:
    """1-based place of each chunk in each leg that found it by itself; the legs are in order."""
    return {name: {id: rank for rank, id in enumerate(leg, 1)} for name, leg in legs.items()}


def _hits(
    catalog: Catalog,
    scores: Mapping[str, Mapping[int, float]],
    ranks: Mapping[str, Mapping[int, int]],
    k: int,
) -> list[Hit]:
    """The best candidates as hits, neighbours in a document merged, at least k where there are so many."""
    fused = scores["fused"]
    order = sorted(fused, key=lambda id: (-fused[id], id))
    taken = 2 * k
    while True:
        stored = {chunk.id: chunk for chunk in catalog.chunks.by_id(order[:taken])}
        hits = merge_neighbours(
            Hit(
                id,
                stored[id].chunk,
                fused[id],
                {name: leg[id] for name, leg in scores.items()},
                {name: leg[id] for name, leg in ranks.items() if id in leg},
            )
            for id in order[:taken]
        )
        if len(hits) >= k or taken >= len(order):
            return hits
        taken *= 2


def _ascending(ids: Iterable[int]) -> IntVector:
    return np.array(sorted(ids), dtype=np.int64)
