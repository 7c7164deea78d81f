"""Measures and intervals by hand, and what holds for every ranking."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import ConfigError
from ragkit.evaluation import difference, interval, mrr, ndcg, recall

NAMES = [f"d{i}" for i in range(12)]
GRADES = st.dictionaries(st.sampled_from(NAMES), st.integers(-1, 3)).filter(lambda g: any(v > 0 for v in g.values()))
RANKINGS = st.permutations(NAMES).flatmap(lambda names: st.integers(0, 12).map(lambda n: list(names)[:n]))
VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def test_ndcg_by_hand() -> None:
    """Grades 3, 2, 1; found are the 1 first and the 3 third: (1/1 + 3/2) / (3/1 + 2/1.585 + 1/2)."""
    grades = {"best": 3, "good": 2, "fair": 1, "bad": 0}
    found = ndcg(grades, ["fair", "bad", "best"])
    assert found == pytest.approx(2.5 / (3 + 2 / math.log2(3) + 0.5))
    assert found == pytest.approx(0.5250, abs=1e-4)
    assert ndcg(grades, ["fair", "bad", "best"], k=1) == pytest.approx(1 / 3)


def test_recall_and_mrr_by_hand() -> None:
    """Of three relevant ones the first stands in place 2, another in 4, the third nowhere."""
    grades = {"a": 1, "b": 1, "c": 1, "x": 0, "y": -1}
    ranking = ["x", "a", "y", "b"]
    assert [recall(grades, ranking, k) for k in (1, 2, 4, 10)] == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3])
    assert mrr(grades, ranking) == 1 / 2
    assert mrr(grades, ranking, k=1) == 0
    assert mrr(grades, []) == 0


def test_what_is_found_twice_counts_once() -> None:
    """The second time takes no place and adds no gain."""
    assert ndcg({"a": 1, "b": 1}, ["a", "a", "a", "b"], k=2) == 1
    assert recall({"a": 1, "b": 1}, ["a", "a"], k=2) == 0.5


def test_without_anything_relevant_nothing_can_be_measured() -> None:
    """An error, not 0 and not 1."""
    for measure in (ndcg, recall, mrr):
        for grades in ({}, {"a": 0, "b": -1}):
            with pytest.raises(ConfigError, match="none is relevant"):
                measure(grades, ["a"])


@given(GRADES, RANKINGS, st.integers(1, 12))
def test_measures_lie_between_0_and_1(grades: dict[str, int], ranking: list[str], k: int) -> None:
    """And the ranking by grades has nDCG 1 and reciprocal rank 1, at every k."""
    for measure in (ndcg, recall, mrr):
        assert 0 <= measure(grades, ranking, k) <= 1 + 1e-12
    best = sorted(grades, key=lambda name: -grades[name])
    assert ndcg(grades, best, k) == pytest.approx(1)
    assert mrr(grades, best, k) == 1
    assert recall(grades, best, len(NAMES)) == 1


@given(GRADES, RANKINGS, st.randoms())
def test_the_order_of_an_irrelevant_tail_changes_nothing(grades: dict[str, int], ranking: list[str], random) -> None:  # type: ignore[no-untyped-def]  # hypothesis' own
    """What is not relevant after the last relevant one may stand in any order, or not at all."""
    last = max((i for i, name in enumerate(ranking) if grades.get(name, 0) > 0), default=-1)
    head, tail = ranking[: last + 1], ranking[last + 1 :]
    shuffled = list(tail)
    random.shuffle(shuffled)
    for measure in (ndcg, recall, mrr):
        assert measure(grades, ranking) == measure(grades, head + shuffled) == measure(grades, head)


@given(GRADES, RANKINGS)
def test_moving_a_relevant_one_up_never_harms(grades: dict[str, int], ranking: list[str]) -> None:
    """A relevant thing changed with the irrelevant one before it: no measure falls."""
    for i in range(1, len(ranking)):
        if grades.get(ranking[i], 0) > 0 >= grades.get(ranking[i - 1], 0):
            better = [*ranking[: i - 1], ranking[i], ranking[i - 1], *ranking[i + 1 :]]
            for measure in (ndcg, recall, mrr):
                assert measure(grades, better) >= measure(grades, ranking) - 1e-12


@given(VALUES)
def test_an_interval_contains_its_mean(values: list[float]) -> None:
    """Inside the smallest and the largest value, and the same each time."""
    found = interval(values, resamples=200)
    assert found.mean == pytest.approx(sum(values) / len(values))
    assert min(values) - 1e-9 <= found.low <= found.mean <= found.high <= max(values) + 1e-9
    assert found == interval(values, resamples=200)
    assert found.count == len(values)


def test_an_interval_is_as_wide_as_theory_says() -> None:
    """400 questions, half right: ± 1.96 · sqrt(.25 / 400) = ± .049. Four times as many: half as wide."""
    found = interval([0.0, 1.0] * 200)
    assert (found.mean - found.low, found.high - found.mean) == pytest.approx((0.049, 0.049), abs=0.006)
    more = interval([0.0, 1.0] * 800)
    assert more.high - more.low == pytest.approx((found.high - found.low) / 2, abs=0.008)


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of 300 samples of 50 answers that are right with probability .7, about 95 % have .7 in their interval."""
    import numpy as np

    generator = np.random.default_rng(3)
    samples = [list((generator.random(50) < 0.7).astype(float)) for _ in range(300)]
    intervals = [interval(sample) for sample in samples]
    assert 0.90 <= sum(each.low <= 0.7 <= each.high for each in intervals) / 300 <= 0.98


def test_pairs_show_what_two_intervals_hide() -> None:
    """Hard and easy questions for both, and the second a little better on each: the difference is certain."""
    first = [i / 40 for i in range(40)]
    second = [value + 0.02 for value in first]
    found = difference("ndcg@10", first, second)
    assert found.interval.mean == pytest.approx(0.02)
    assert found.significant
    assert (found.better, found.worse) == (40, 0)
    assert interval(first).high > interval(second).low  # side by side they overlap
    back = difference("ndcg@10", second, first)
    assert (back.interval.mean, back.worse) == (pytest.approx(-0.02), 40)


def test_a_difference_by_chance_is_none() -> None:
    """One question up, one down; and five that differ in one direction are too few to tell."""
    assert not difference("mrr@10", [0.5] * 20, [0.5] * 18 + [1.0, 0.0]).significant
    five = difference("mrr@10", [0.0] * 5, [1.0] * 5)
    assert five.interval.low > 0
    assert not five.significant
    assert difference("mrr@10", [0.0] * 6, [1.0] * 6).significant


def test_no_values_have_no_mean() -> None:
    """An error, not a number that is none."""
    with pytest.raises(ConfigError, match="nothing"):
        interval([])
