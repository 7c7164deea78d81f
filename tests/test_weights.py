"""What a question looks for in the word index, and which of it leads in a large one."""

from collections.abc import Mapping

import pytest

from ragkit import words
from ragkit.store import weights

TOTAL = 100_000
WORDS = {"договор": 40_000, "поставка": 9_000, "котельная": 700, "срок": 80_000}


class Counted:
    """An index of so many documents, of which so many hold each term."""

    def __init__(self, frequencies: Mapping[tuple[str, str], int]) -> None:
        self.frequencies = frequencies

    def __len__(self) -> int:
        return TOTAL

    def frequency(self, field: str, term: str) -> int:
        return self.frequencies.get((field, term), 0)


def counted(grams: int = 3_000) -> Counted:
    """The words above, and every 4-gram and sound of them, of a misspelt and of a foreign one, in `grams` documents."""
    held = {term(word): n for word, n in WORDS.items()}
    for word in (*WORDS, "котелная", "Floyd"):
        of = words.token_fields(word)
        held.update({("grams", gram): grams for gram in of.grams.split()})
        held.update({("cyrillic_roots", gram): grams for gram in of.latin_roots.split()})
    return Counted(held)


def term(word: str) -> tuple[str, str]:
    (stem,) = words.terms(word)
    return "terms", stem


def led(text: str, counts: Counted) -> set[tuple[str, str]]:
    asked = weights.in_chunks(text)
    found, leading = weights.wanted(text, asked, counts, is_led=True)
    assert leading.items() <= found.items() <= asked.items()
    return set(leading)


def test_nothing_leads_in_a_small_index() -> None:
    """There everything is looked for, with the weights it has."""
    asked = weights.in_chunks("договор поставки")
    assert weights.wanted("договор поставки", asked, counted(), is_led=False) == (asked, {})


def test_words_lead_and_their_grams_do_not() -> None:
    """A word that many documents hold is enough to find them; in more than half of all it finds nothing."""
    assert led("сроки договоров поставки", counted()) == {term("договор"), term("поставка")}


@pytest.mark.parametrize(("text", "field"), [("котелная", "grams"), ("Floyd", "cyrillic_roots")])
def test_a_word_that_nothing_holds_is_led_to_by_its_parts(text: str, field: str) -> None:
    """A misspelt word by its 4-grams, a foreign one by its sounds, beside words that are known."""
    leading = led(f"договор {text}", counted())
    assert term("договор") in leading
    assert field in {of for of, _ in leading}
    assert not {("grams", gram) for gram in words.grams("договор")} & leading


def test_parts_that_lead_are_the_rarest_and_have_an_end() -> None:
    """What is gone through for them is at most half as long as the index, however long the question is."""
    text = "котелная"
    grams = [("grams", gram) for gram in words.grams(text)]
    frequent = Counted({gram: 5_000 * n for n, gram in enumerate(grams, 1)})
    assert led(text, frequent) == set(grams[:4])  # 5, 10, 15 and 20 thousand: the fifth would be one too many


def test_a_gram_of_half_of_all_is_not_looked_for() -> None:
    """It says nothing where a word is known, and is all there is where none is."""
    asked = weights.in_chunks("договор")
    found, _ = weights.wanted("договор", asked, counted(grams=60_000), is_led=True)
    assert set(found) == {term("договор")}
    found, _ = weights.wanted("котелная", weights.in_chunks("котелная"), counted(grams=60_000), is_led=True)
    assert set(found) == {("grams", gram) for gram in words.grams("котелная")}
