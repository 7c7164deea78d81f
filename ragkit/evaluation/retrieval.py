"""Questions through a search: each question's ranking of documents or pages, its measures, and two runs compared.

The search is a callable, so anything that finds passages can be measured. It knows no index.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ragkit.errors import ConfigError
from ragkit.evaluation.intervals import Difference, Interval, difference, interval
from ragkit.evaluation.measures import Grades, mrr, ndcg, recall

if TYPE_CHECKING:
    from ragkit.types import Document, Hit

KS = (1, 5, 10)
PAGE = "#page="  # between a document's source and a page, in the name of the page
_PASSAGES = 2  # asked for each place of the ranking: several passages of one document share a place
_MORE, _MOST = 4, 32  # times as many, up to so many, where they leave places empty: small passages would look worse


class Place(Protocol):
    """What stands somewhere in a document: a chunk, or a citation."""

    @property
    def source(self) -> str: ...
    @property
    def page(self) -> int | None: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


Search = Callable[[str, int], "Sequence[Hit]"]  # a query and how many passages -> hits, best first
Pages = Callable[[Place], Sequence[int]]  # the pages that a place reaches over, ascending


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One run: for each question, in order, what was found and how good that is.

    `values` are by the name of the measure, "ndcg@10", one for each of `queries`. `rankings` are names of documents,
    or of pages where the judgements name pages, best first. `seconds` are those of each search.
    """

    name: str
    queries: tuple[str, ...]
    rankings: tuple[tuple[str, ...], ...]
    values: Mapping[str, tuple[float, ...]]
    seconds: tuple[float, ...] = field(default=(), compare=False)

    def summary(self) -> dict[str, Interval]:
        """The mean of each measure over the questions, with its 95 % interval."""
        return {measure: interval(values) for measure, values in self.values.items()}


def first_page(place: Place) -> Sequence[int]:
    """The page on which a place begins, where nothing more is known."""
    return () if place.page is None else (place.page,)


def pages_by(document: Callable[[str], Document]) -> Pages:
    """All pages that a place reaches over, told from its document, which is read once."""
    known: dict[str, tuple[int, ...]] = {}

    def pages(place: Place) -> Sequence[int]:
        if place.page is None:
            return ()
        starts = known.get(place.source)
        if starts is None:
            starts = known[place.source] = document(place.source).page_starts
        last = bisect_right(starts, max(place.start, place.end - 1))
        return range(place.page, max(place.page, last) + 1)

    return pages


def names_of(place: Place, expected: Grades, pages: Pages = first_page) -> list[str]:
    """What a place is called where a question expects `expected`: its document, or pages of it.

    Where pages are expected, a place that reaches over some of these counts as them, and any other as the page on
    which it begins; a document that has no pages, or is expected as a whole, is itself.
    """
    if place.source in expected or not any(PAGE in name for name in expected):
        return [place.source]
    names = [f"{place.source}{PAGE}{page}" for page in pages(place)]
    return [name for name in names if name in expected] or names[:1] or [place.source]


def evaluate(
    search: Search,
    queries: Mapping[str, str],
    qrels: Mapping[str, Grades],
    *,
    ks: Sequence[int] = KS,
    k: int = 10,
    name: str = "",
    pages: Pages = first_page,
) -> Evaluation:
    """Ask every query that has judgements; measure nDCG@k and MRR@k, and recall at each of `ks` and at k.

    A document, or a page where a query's judgements name pages as "lease.pdf#page=3", stands at the place of its best
    passage. Twice k passages are asked for, and more where they are of fewer than k documents, up to 32 k.

    Args:
        search: called with the text of a query and the number of passages.
        queries: text by id.
        qrels: for each query's id grades by document or page; queries without any are left out.
        ks: places at which recall is measured.
        k: places of a ranking.
        name: what the run is called.
        pages: which pages a passage reaches over.

    Raises:
        ConfigError: no query has judgements, or one has none above 0, or a k below 1.
    """
    if k < 1 or any(each < 1 for each in ks):
        raise ConfigError(f"recall is wanted at {sorted({k, *ks})[0]} places", "ask for one or more")
    asked = tuple(id for id in queries if qrels.get(id))
    if not asked:
        raise ConfigError(
            f"none of {len(queries)} queries has a judgement ({len(qrels)} are judged)",
            "queries and judgements must share their ids",
        )
    cuts = sorted({each for each in (*ks, k) if each <= k})
    rankings, seconds = [], []
    for id in asked:
        ranking, took = _ranked(search, queries[id], k, qrels[id], pages)
        rankings.append(ranking)
        seconds.append(took)
    judged = [(qrels[id], ranking) for id, ranking in zip(asked, rankings, strict=True)]
    values = {f"ndcg@{k}": tuple(ndcg(grades, ranking, k) for grades, ranking in judged)}
    values |= {f"recall@{cut}": tuple(recall(grades, ranking, cut) for grades, ranking in judged) for cut in cuts}
    values[f"mrr@{k}"] = tuple(mrr(grades, ranking, k) for grades, ranking in judged)
    return Evaluation(name, asked, tuple(rankings), values, tuple(seconds))


def _ranked(search: Search, query: str, k: int, expected: Grades, pages: Pages) -> tuple[tuple[str, ...], float]:
    """At least k names where there are so many, best first, and the seconds of the first search.

    Of small passages, as of long documents, many share a place: a fixed number of them would leave places empty, and
    two sizes of passages could not be compared.
    """
    wanted = _PASSAGES * k
    began = time.perf_counter()
    hits = search(query, wanted)
    took = time.perf_counter() - began
    found = dict.fromkeys(name for hit in hits for name in names_of(hit.chunk, expected, pages))
    while len(found) < k and len(hits) >= wanted and wanted < _MOST * k:
        wanted *= _MORE
        hits = search(query, wanted)
        found |= dict.fromkeys(
            name for hit in hits for name in names_of(hit.chunk, expected, pages)
        )  # new ones behind those that are there
    return tuple(found), took


def compare(first: Evaluation, second: Evaluation) -> tuple[Difference, ...]:
    """For each measure of both, the second minus the first over the queries of both.

    Raises ConfigError where they share no query or no measure.
    """
    place = {id: i for i, id in enumerate(second.queries)}
    shared = [(i, place[id]) for i, id in enumerate(first.queries) if id in place]
    measures = [measure for measure in first.values if measure in second.values]
    if not shared or not measures:
        raise ConfigError(
            f"{first.name or 'the first run'} and {second.name or 'the second'} share {len(shared)} queries and "
            f"{len(measures)} measures",
            "compare runs over the same questions with the same k",
        )
    return tuple(
        difference(
            measure,
            [first.values[measure][i] for i, _ in shared],
            [second.values[measure][j] for _, j in shared],
        )
        for measure in measures
    )
