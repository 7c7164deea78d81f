"""Questions through a search: documents and pages at the place of their best passage; two runs compared."""

from __future__ import annotations

import pytest

from ragkit.errors import ConfigError
from ragkit.evaluation import compare, evaluate, pages_by
from ragkit.evaluation.retrieval import names_of
from ragkit.types import Chunk, Document, Hit


def hit(source: str, page: int | None = None, start: int = 0, end: int = 10) -> Hit:
    return Hit(1, Chunk(source, start, end, "x" * (end - start), page), 1.0)


FOUND = {
    "deposit": [hit("lease.pdf", 4), hit("lease.pdf", 2), hit("kettle.md"), hit("lease.pdf", 2)],
    "warranty": [hit("lease.pdf", 1), hit("kettle.md"), hit("kettle.md")],
    "nothing": [],
}


def search(query: str, k: int) -> list[Hit]:
    return FOUND[query][:k]


def test_a_document_stands_at_the_place_of_its_best_passage() -> None:
    """Passages of one document take one place, so the kettle is second for both questions."""
    queries = {"q1": "deposit", "q2": "warranty"}
    found = evaluate(search, queries, {"q1": {"kettle.md": 1}, "q2": {"kettle.md": 1}}, name="toy")
    assert found.rankings == (("lease.pdf", "kettle.md"), ("lease.pdf", "kettle.md"))
    assert found.values["mrr@10"] == (0.5, 0.5)
    assert found.values["recall@1"] == (0, 0)
    assert found.values["recall@5"] == (1, 1)
    assert found.values["ndcg@10"] == pytest.approx([0.6309, 0.6309], abs=1e-4)  # 1 / log2(3)
    assert (found.name, found.queries, len(found.seconds)) == ("toy", ("q1", "q2"), 2)
    assert found.summary()["mrr@10"].mean == 0.5


def test_pages_count_where_pages_are_expected() -> None:
    """Page 2 of the lease is behind its page 4; pages of others count too, and what has none is a document."""
    found = evaluate(search, {"q": "deposit"}, {"q": {"lease.pdf#page=2": 1}})
    assert found.rankings == (("lease.pdf#page=4", "lease.pdf#page=2", "kettle.md"),)
    assert found.values["mrr@10"] == (0.5,)
    other = evaluate(search, {"q": "deposit"}, {"q": {"kettle.md": 1, "other.pdf#page=1": 1}})
    assert other.rankings == (("lease.pdf#page=4", "lease.pdf#page=2", "kettle.md"),)
    whole = evaluate(search, {"q": "deposit"}, {"q": {"lease.pdf": 1, "other.pdf#page=1": 1}})
    assert whole.rankings == (("lease.pdf", "kettle.md"),)


def test_a_passage_over_two_pages_is_on_both() -> None:
    """It begins on page 1 and ends on page 2, the page expected; one that ends where page 2 begins does not."""
    whole = Document("a.pdf", "x" * 30, page_starts=(0, 10, 20))
    pages = pages_by({"a.pdf": whole}.__getitem__)
    expected = {"a.pdf#page=2": 1}
    assert list(pages(hit("a.pdf", 1, 5, 25).chunk)) == [1, 2, 3]
    assert names_of(hit("a.pdf", 1, 5, 15).chunk, expected, pages) == ["a.pdf#page=2"]
    assert names_of(hit("a.pdf", 1, 5, 10).chunk, expected, pages) == ["a.pdf#page=1"]
    assert names_of(hit("a.pdf", 3, 22, 25).chunk, expected, pages) == ["a.pdf#page=3"]
    assert names_of(hit("b.md").chunk, expected, pages) == ["b.md"]
    assert names_of(hit("a.pdf", 1, 5, 25).chunk, {"a.pdf#page=2": 1, "a.pdf#page=3": 1}, pages) == [
        "a.pdf#page=2",
        "a.pdf#page=3",
    ]


def test_a_document_whose_name_looks_like_a_page_is_a_document() -> None:
    """Collections may call their documents what they like."""
    assert names_of(hit("wiki#page=3").chunk, {"wiki#page=3": 1}) == ["wiki#page=3"]


def test_queries_without_judgements_are_not_asked() -> None:
    """Their measures could not be taken; where none is left it is an error."""
    assert evaluate(search, {"q": "deposit", "x": "unknown"}, {"q": {"kettle.md": 1}}).queries == ("q",)
    with pytest.raises(ConfigError, match="none of 1 queries"):
        evaluate(search, {"x": "deposit"}, {"q": {"kettle.md": 1}})
    with pytest.raises(ConfigError, match="0 places"):
        evaluate(search, {"q": "deposit"}, {"q": {"kettle.md": 1}}, k=0)


def test_nothing_found_is_0_and_not_an_error() -> None:
    """Every measure, for a search that finds nothing."""
    found = evaluate(search, {"q": "nothing"}, {"q": {"kettle.md": 1}})
    assert {value for values in found.values.values() for value in values} == {0.0}


def test_twice_as_many_passages_are_asked_for_as_places() -> None:
    """So that passages of one document leave room for others."""
    asked = []

    def counting(query: str, k: int) -> list[Hit]:
        asked.append(k)
        return search(query, k)

    evaluate(counting, {"q": "deposit"}, {"q": {"kettle.md": 1}}, k=7)
    assert asked == [14]


def test_more_passages_are_asked_for_until_places_are_filled() -> None:
    """Or small passages would seem worse: here the third document has its best passage behind 60 of two others."""
    passages = [hit(name, start=i) for i in range(30) for name in ("a", "b")] + [hit("c")]
    asked = []

    def found(_: str, k: int) -> list[Hit]:
        asked.append(k)
        return passages[:k]

    run = evaluate(found, {"q": "?"}, {"q": {"c": 1}}, k=3)
    assert run.rankings == (("a", "b", "c"),)
    assert run.values["recall@3"] == (1.0,)
    assert asked == [6, 24, 96]
    assert len(run.seconds) == 1
    asked.clear()
    endless = [hit("a", start=i) for i in range(1000)]
    evaluate(lambda _, k: asked.append(k) or endless[:k], {"q": "?"}, {"q": {"c": 1}}, k=3)  # type: ignore[func-returns-value]
    assert asked == [6, 24, 96]


def test_runs_are_compared_over_the_questions_of_both() -> None:
    """By id and not by place, whatever else each was asked."""
    judged = {"a": {"kettle.md": 1}, "b": {"lease.pdf": 1}, "c": {"kettle.md": 1}}
    first = evaluate(search, {"a": "deposit", "b": "deposit"}, judged)
    second = evaluate(search, {"c": "deposit", "b": "nothing", "a": "warranty"}, judged)
    found = {each.measure: each for each in compare(first, second)}
    assert found["mrr@10"].interval.count == 2
    assert (found["mrr@10"].first, found["mrr@10"].second) == (0.75, 0.25)
    assert (found["mrr@10"].better, found["mrr@10"].worse) == (0, 1)
    with pytest.raises(ConfigError, match="share 0 queries"):
        compare(evaluate(search, {"a": "deposit"}, judged), evaluate(search, {"c": "deposit"}, judged))
