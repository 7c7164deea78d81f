"""What a question looks for in the word index, and by what of it chunks are chosen."""

from collections.abc import Mapping

import pytest

from ragkit import words
from ragkit.store import weights
from ragkit.store.weights import KNOWN, RARE

LIKE = {"вэзденет": [("везде", 10.0)], "котелн": [("котельн", 12.0)], "floyd": [("флойд", 10.0), ("floid", 9.0)]}


class Counted:
    """Words of an index, each in so many chunks; what is like them is as above."""

    def __init__(self, frequencies: Mapping[str, int]) -> None:
        self.frequencies = frequencies

    def __len__(self) -> int:
        return 4000

    def frequency(self, term: str) -> int:
        return self.frequencies.get(term, 0)

    def idf(self, term: str) -> float:
        return {"везде": 0.0}.get(term, 4.0)

    def like(self, term: str, *, own: bool) -> list[tuple[str, float]]:
        return [(other, weight) for other, weight in LIKE.get(term, []) if own or other.isascii() != term.isascii()]


def wanted(text: str, **frequencies: int) -> weights.Wanted:
    return weights.in_chunks(text, Counted(frequencies))


def test_words_of_the_index_are_looked_for_as_they_are() -> None:
    """Each as often as the question has it, and pairs by their names; they choose chunks."""
    (contract,), (delivery,) = words.terms("договор"), words.terms("поставки")
    found = wanted("договор договор поставки", **{contract: 3, delivery: 2})
    assert found.each["terms", contract] == 2 * found.each["terms", delivery]
    assert {field for field, _ in found.each} == {"terms", "pairs"}
    assert (found.best_of, found.choosing) == ([], found.each)


def test_stop_words_are_looked_for_where_there_is_nothing_else() -> None:
    """A question of words of grammar alone finds those."""
    assert ("stops", "кто") in wanted("кто они").choosing
    assert not any(field == "stops" for field, _ in wanted("кто поставил").each)


def test_a_word_that_hardly_anything_holds_is_looked_for_as_those_it_sounds_like() -> None:
    """A misspelt word is that of the index, weighed by what both share; it chooses chunks."""
    (misspelt,) = words.terms("котелная")
    found = wanted("котелная", котелн=RARE)
    assert found.best_of == [{("terms", "котельн"): pytest.approx(weights.LIKE_WEIGHT * 12 / 4)}]
    assert found.choosing.keys() == {("terms", misspelt), ("terms", "котельн")}


def test_a_word_that_more_hold_is_no_other_of_its_script() -> None:
    """Only how it is written in the other script is looked for besides."""
    assert wanted("котелная", котелн=RARE + 1).best_of == []
    assert [list(best) for best in wanted("Floyd", floyd=RARE + 1).best_of] == [[("terms", "флойд")]]
    assert ("terms", "флойд") in wanted("Floyd", floyd=KNOWN - 1).choosing


def test_a_word_that_many_hold_chooses_by_itself() -> None:
    """Those that sound like it count where they stand in what it finds."""
    found = wanted("Floyd", floyd=KNOWN)
    assert found.choosing == found.each
    assert found.best_of


def test_common_words_choose_nothing_beside_others() -> None:
    """They hold up a search among many chunks; a question that has only such words goes by them."""
    (contract,), (delivery,) = words.terms("договор"), words.terms("поставки")
    found = wanted("договор поставки", **{contract: 1001, delivery: 1000})
    assert {term for _, term in found.each.keys() - found.choosing.keys()} == {contract}
    found = wanted("договор поставки", **{contract: 1001, delivery: 1001})
    assert found.choosing == found.each


def test_a_word_of_every_chunk_is_worth_no_more_than_any() -> None:
    """Its idf, which is nearly nothing, does not make a weight without end."""
    (best,) = wanted("вэзденет").best_of
    assert best == {("terms", "везде"): pytest.approx(10 * weights.LIKE_WEIGHT * 10)}


def test_sections_are_asked_for_4_grams() -> None:
    """And for nothing else."""
    assert {field for field, _ in weights.in_sections("договор поставки")} == {"grams"}
    assert weights.counted(["аааа", "бббб", "аааа", "аааа"]).split() == ["аааа", "аааа", "бббб"]
