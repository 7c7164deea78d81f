"""Whether passages are about a question: title, passage and the word search's own score together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import ragkit
from ragkit.relevance import RELEVANT, by_words, least_by_words
from ragkit.types import Chunk, Document, Hit, Status

SONG = Document(
    "clowns.txt",
    "Sondheim wrote it for the actress Glynis Johns, who created the role of Desirée on Broadway.",
    metadata={"title": "Send In the Clowns"},
)
RIVER = Document("river.txt", "The river runs through the old town and floods the meadows in spring.")


def even(terms: Sequence[str]) -> Mapping[str, float]:
    return dict.fromkeys(terms, 1.0)


def hit(text: str, **scores: float) -> Hit:
    return Hit(1, Chunk("a.txt", 0, len(text), text), 1.0, scores)


def by(question: str, *hits: Hit, title: str = "") -> float:
    return by_words(question, hits, idf=even, title=lambda _: title)


def test_the_title_is_part_of_the_passage() -> None:
    """A passage that says "it" is about what its document is called."""
    question = "who wrote send in the clowns"
    assert by(question, hit(SONG.text)) < by(question, hit(SONG.text), title=SONG.title) == pytest.approx(1.0)


def test_a_question_about_a_title_is_answered(tmp_path: Path) -> None:
    """The whole way: passages that name the song in their title only are not refused."""
    with ragkit.open(tmp_path / "index") as rag:
        rag.add([SONG, RIVER])
        assert rag.ask("who sang the song send in the clowns").status is Status.ANSWERED
        assert rag.ask("how do whales sleep").status is Status.REFUSED


def test_a_higher_score_of_the_word_search_is_never_less_relevant() -> None:
    """With the same words covered, relevance rises with the score, and stays within 0 to 1."""
    found = [by("договор поставки", hit("Договор подписан.", lexical=score)) for score in (0.0, 1.0, 4.0, 50.0)]
    assert found == sorted(found)
    assert found[0] < RELEVANT < found[-1] <= 1


def test_without_a_word_search_coverage_decides_alone() -> None:
    """Hits of vectors only have no score of words, and are not held to be weak for it."""
    assert by("договор поставки", hit("Договор поставки.", dense=0.9)) == pytest.approx(1.0)
    assert by("договор поставки", hit("Река и город.", dense=0.9)) == 0


def test_a_small_index_asks_for_less() -> None:
    """The threshold rises with the number of passages, as read off the idf of an unknown word, up to its highest."""
    sizes = (1, 10, 100, 1_000, 100_000)
    least = [least_by_words(lambda terms, n=n: dict.fromkeys(terms, math.log(2 * n + 2))) for n in sizes]
    assert least == sorted(least)
    assert least[0] < 0.2 < least[2] < least[3] == least[4] == RELEVANT


def test_nothing_found_is_not_relevant() -> None:
    """No hits, and a question of stop words."""
    assert by("договор") == 0
    assert by("и в на", hit("и в на", lexical=3.0)) == 0
