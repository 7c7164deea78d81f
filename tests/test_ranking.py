"""Fusing legs, merging neighbours, thinning repetition, judging relevance."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import ConfigError
from ragkit.ranking import coverage, dense_weight, fuse, gram_vectors, merge_neighbours, mmr, varied
from ragkit.relevance import RELEVANT
from ragkit.types import Chunk, FloatMatrix, Hit

TEXT = "".join(f"Предложение номер {n} этого документа. " for n in range(400))


def order(fused: dict[int, float]) -> list[int]:
    return sorted(fused, key=lambda id: -fused[id])


def scores(best: list[int], n: int = 150, seed: int = 0, noise: float = 1.0) -> dict[int, float]:
    """A leg that puts these first, clearly, and the others by chance below."""
    chance = random.Random(seed)
    leg = {id: noise * chance.random() for id in range(n)}
    leg.update({id: 4.0 - 0.2 * place for place, id in enumerate(best)})
    return leg


def flat(n: int = 150, seed: int = 1) -> dict[int, float]:
    """A leg that knows nothing: scores by chance around one value."""
    chance = random.Random(seed)
    return {id: 0.8 + 0.01 * chance.gauss(0, 1) for id in range(n)}


def test_one_leg_alone_is_stretched() -> None:
    """The only leg orders, from 1 to 0."""
    assert fuse({"lexical": {7: 3.0, 8: 5.0, 9: 4.0}}) == {7: 0.0, 8: 1.0, 9: 0.5}
    assert fuse({"dense": {7: 0.5}}) == {7: 1.0}
    assert fuse({"lexical": {}, "dense": {7: 0.1, 8: 0.2}}) == {7: 0.0, 8: 1.0}
    assert fuse({}) == {}


def test_legs_that_agree_are_weighed() -> None:
    """What both legs put high is first, and where they differ the words win by 0.6 to 0.4."""
    fused = fuse({"lexical": scores([1, 2, 3, 4, 5, 6]), "dense": scores([2, 1, 3, 5, 4, 6], seed=5)})
    assert order(fused)[:2] == [1, 2]
    assert set(order(fused)[:6]) == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("useful", "useless"), [("lexical", "dense"), ("dense", "lexical")])
def test_a_leg_that_says_nothing_is_not_heard(useful: str, useless: str, seed: int) -> None:
    """A model that does not know the language leaves the best by words the best, and the reverse."""
    best = [11, 22, 33, 44, 55]
    fused = order(fuse({useful: scores(best, seed=seed), useless: flat(seed=seed + 100)}))
    assert set(fused[:5]) == set(best)


def test_words_without_a_match_leave_the_order_to_the_vectors() -> None:
    """All zero from the word index, as for a query in a language that it does not hold."""
    dense = scores([5, 6, 7], noise=0.3)
    assert order(fuse({"lexical": dict.fromkeys(range(150), 0.0), "dense": dense})) == order(dense)


def test_the_offline_embedder_weighs_little() -> None:
    """It repeats the word index, so it only settles what that leaves open."""
    assert dense_weight("ragkit-offline/1-512") < 0.1 < dense_weight("any-other-model")


@given(
    st.dictionaries(st.integers(0, 50), st.tuples(st.floats(0, 100), st.floats(-1, 1)), max_size=30),
    st.floats(0, 1),
)
def test_fused_scores_lie_between_0_and_1(both: dict[int, tuple[float, float]], weight: float) -> None:
    """Any scores, even equal ones, give a number for each candidate; the best of both legs stays the best."""
    lexical, dense = ({id: pair[leg] for id, pair in both.items()} for leg in (0, 1))
    fused = fuse({"lexical": lexical, "dense": dense}, weight)
    assert fused.keys() == both.keys()
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in fused.values())
    for id in both:
        if lexical[id] == max(lexical.values()) and dense[id] == max(dense.values()):
            assert fused[id] == pytest.approx(max(fused.values()))


def grown(*spans: tuple[int, int]) -> list[list[int]]:
    """Of one document."""
    return merge_neighbours(("a.txt", start, end) for start, end in spans)


def test_overlapping_spans_become_one() -> None:
    """In the place of the better."""
    assert grown((900, 1400), (5000, 5100), (700, 1000)) == [[0, 2], [1]]


def test_a_span_between_two_joins_both() -> None:
    """The gap closes whichever comes first."""
    assert grown((0, 100), (200, 300), (100, 200)) == [[0, 1, 2]]
    assert grown((200, 300), (0, 100), (90, 210)) == [[0, 1, 2]]
    assert grown((0, 10), (20, 30), (40, 50), (0, 50)) == [[0, 1, 2, 3]]


def test_other_sources_and_gaps_stay_apart() -> None:
    """One character between two passages is text that was not found."""
    assert grown((0, 100), (101, 200)) == [[0], [1]]
    assert merge_neighbours([("a.txt", 0, 100), ("b.txt", 50, 150)]) == [[0], [1]]


def test_a_span_inside_another_adds_nothing() -> None:
    """The larger passage holds it."""
    assert grown((100, 200), (0, 800)) == grown((0, 800), (100, 200)) == [[0, 1]]


def test_the_better_of_two_neighbours_grows() -> None:
    """Where both would be too long."""
    assert grown((1000, 2300), (0, 1200), (2300, 3000)) == [[0, 1], [2]]
    assert grown((0, 1200), (2300, 3000), (1000, 2300)) == [[0, 2], [1]]


def test_merged_spans_stay_a_passage() -> None:
    """Twenty neighbours are several passages, not the whole document."""
    spans = [(600 * n, 600 * n + 800) for n in range(20)]
    groups = grown(*spans)
    assert all(spans[max(group)][1] - spans[min(group)][0] <= 2400 for group in groups)
    assert 1 < len(groups) < 20


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 900)), max_size=12))
def test_every_span_is_in_one_group(pieces: list[tuple[int, int]]) -> None:
    """Best first, groups and in groups; each group is one stretch without a gap, and no two that touch could grow."""
    spans = [(start, start + length) for start, length in pieces]
    groups = grown(*spans)
    assert sorted(place for group in groups for place in group) == list(range(len(spans)))
    assert groups == sorted(sorted(group) for group in groups)
    wholes = []
    for group in groups:
        ordered = sorted(spans[place] for place in group)
        start, end = ordered[0]
        for low, high in ordered[1:]:
            assert low <= end
            end = max(end, high)
        wholes.append((start, end))
    for (start, end), (low, high) in pairwise(sorted(wholes)):
        assert low > end or max(end, high) - start > 2400


PASSAGE = (
    "Договор поставки оборудования заключён в Москве 5 мая. Стороны согласовали цену и срок. "
    "Оплата производится в течение тридцати дней после подписания акта."
)


@pytest.mark.parametrize(
    "question",
    [
        "Где заключён договор поставки?",
        "Когда производят оплату?",
        "какие сроки оплаты после подписания актов",
        "договр поставки оборудования",
        "Moskva",
    ],
)
def test_what_the_passage_speaks_of_is_relevant(question: str) -> None:
    """Inflected and misspelt words count, and names in the other script."""
    assert coverage(question, PASSAGE, {}) >= RELEVANT


@pytest.mark.parametrize(
    "question", ["Кто написал роман Война и мир?", "How do whales sleep?", "Высота горы Эверест", "и в на", "", "???"]
)
def test_what_it_does_not_speak_of_is_not(question: str) -> None:
    """Another subject, and a question without a word to look for."""
    assert coverage(question, PASSAGE, {}) < RELEVANT


def test_rare_words_count_more() -> None:
    """A common word in the passage does not make up for a rare one that is missing."""
    common = {"договор": 0.1, "неустойк": 5.0}
    assert coverage("договор неустойка", PASSAGE, common) < 0.1
    assert coverage("договор неустойка", PASSAGE, {"договор": 5.0, "неустойк": 0.1}) > 0.9


def test_words_that_stand_together_count_more() -> None:
    """The same words far apart cover less."""
    filler = "слово за словом " * 60
    near = f"Договор поставки. {filler}"
    far = f"Договор. {filler} Поставки."
    assert coverage("договор поставки", near, {}) > coverage("договор поставки", far, {}) > 0


@given(st.text(max_size=60), st.text(max_size=400))
def test_coverage_is_a_share(query: str, passage: str) -> None:
    """From 0 to 1, for any texts; a text covers itself."""
    assert 0 <= coverage(query, passage, {}) <= 1 + 1e-9
    assert coverage(query, query, {}) in (0.0, pytest.approx(1.0))


# -- variety

SAME, OTHER = [1.0, 0.0], [0.0, 1.0]


def rows(*vectors: list[float]) -> FloatMatrix:
    return np.array(vectors, np.float32)


def test_a_repetition_waits_for_something_else() -> None:
    """Two rows alike and one unlike: the second is passed over, by the formula of the paper."""
    vectors = rows(SAME, SAME, OTHER)
    assert [place for place, _ in mmr(vectors, [0.9, 0.8, 0.5], k=3, trade=0.7)] == [0, 2, 1]
    values = [value for _, value in mmr(vectors, [0.9, 0.8, 0.5], k=3, trade=0.7)]
    assert values == pytest.approx([0.7 * 0.9, 0.7 * 0.5 - 0.3 * 0.0, 0.7 * 0.8 - 0.3 * 1.0])


def test_the_trade_goes_from_variety_alone_to_relevance_alone() -> None:
    """At 1 the order is that of relevance, at 0 only likeness counts; of equals the first is taken."""
    vectors = rows(SAME, SAME, OTHER)
    assert [place for place, _ in mmr(vectors, [0.2, 0.9, 0.5], k=3, trade=1.0)] == [1, 2, 0]
    assert [place for place, _ in mmr(vectors, [0.2, 0.9, 0.5], k=3, trade=0.0)] == [0, 2, 1]


@given(st.integers(0, 12), st.integers(1, 15), st.floats(0, 1), st.integers(0, 1000))
def test_rows_are_taken_once_and_values_fall(n: int, k: int, trade: float, seed: int) -> None:
    """As many as there are, each once, the same every time; a value never rises, so it can order a list."""
    chance = np.random.default_rng(seed)
    vectors = chance.normal(size=(n, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevances = chance.random(n).tolist()
    taken = mmr(vectors, relevances, k=k, trade=trade)
    places, values = [place for place, _ in taken], [value for _, value in taken]
    assert len(places) == len(set(places)) == min(k, n)
    assert all(after <= before + 1e-9 for before, after in pairwise(values))
    assert taken == mmr(vectors, relevances, k=k, trade=trade)


def test_a_trade_that_is_none_is_refused() -> None:
    """With what it means; and so are lists of different lengths."""
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="mmr is"):
            mmr(rows(SAME), [1.0], k=1, trade=wrong)
    with pytest.raises(ConfigError, match="1 vectors came with 2"):
        mmr(rows(SAME), [1.0, 0.5], k=1, trade=0.5)


def test_texts_alone_tell_repetition() -> None:
    """Inflected words share 4-grams; a text is like itself, and one without words like nothing."""
    vectors = gram_vectors(["гарантия на насос", "гарантии на насосы", "оплата до пятого числа", "…"])
    likeness = vectors @ vectors.T
    assert np.diag(likeness).tolist() == pytest.approx([1, 1, 1, 0])
    assert likeness[0, 1] > 0.5 > 0.1 > likeness[0, 2]
    assert gram_vectors([]).shape == (0, 0)


def test_hits_that_say_the_same_again_make_room() -> None:
    """Of two copies one comes later; `score` falls with the list, and what it was stays in `scores`."""
    texts = ["Срок гарантии двенадцать месяцев.", "Срок гарантии двенадцать месяцев!", "Насос меняют в сервисе."]
    hits = [
        Hit(n, Chunk("a", 0, len(text), text), score, {"fused": score})
        for n, (text, score) in enumerate(zip(texts, (0.9, 0.89, 0.6), strict=True))
    ]
    found = varied([*hits, Hit(3, Chunk("b", 0, 4, "Цена"), 0.2)], k=3, trade=0.5)
    assert [hit.id for hit in found] == [0, 2, 3]
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert found[0].scores == {"fused": 0.9, "mmr": found[0].score}
    assert [hit.id for hit in varied(hits, k=2, trade=1.0)] == [0, 1]
    assert [hit.id for hit in varied(hits, k=2, trade=0.5, vectors=rows(SAME, OTHER, SAME))] == [0, 1]
    assert varied([], k=3, trade=0.5) == []
