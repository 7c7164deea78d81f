"""The words of an index by their sound."""

import pytest

from ragkit.store import vocabulary
from ragkit.store.inverted import InvertedIndex
from ragkit.store.vocabulary import Vocabulary

WORDS = ["пэнтерс", "котельн", "договор", "договоренн", "гитарист", "floyd", "кембридж", "2017", "x86"]


@pytest.fixture
def known() -> Vocabulary:
    made = Vocabulary(InvertedIndex(None, vocabulary.FIELDS, new=True, stored=vocabulary.STORED))
    with made.learning(1) as learn:
        learn(WORDS[:5])
        learn(WORDS[3:])
    return made


@pytest.mark.parametrize(
    ("term", "like"),
    [
        ("panther", "пэнтерс"),
        ("котелн", "котельн"),
        ("флойд", "floyd"),
        ("cambridg", "кембридж"),
        ("gitarist", "гитарист"),
    ],
)
def test_words_that_sound_alike_are_found(known: Vocabulary, term: str, like: str) -> None:
    """Of the other script, and of the same where they are misspelt."""
    assert like in dict(known.like(term, own=True))


def test_a_word_is_not_like_itself(known: Vocabulary) -> None:
    """Others that share its beginning are."""
    found = dict(known.like("договор", own=True))
    assert found.keys() == {"договоренн"}
    assert found["договоренн"] > 0


@pytest.mark.parametrize("term", ["", "2017", "ъ", "щщщщ", "ۼۼۼ"])
def test_what_has_no_sound_is_like_nothing(known: Vocabulary, term: str) -> None:
    """Numbers, and what no word sounds like."""
    assert known.like(term, own=True) == []


def test_words_of_the_other_script_are_found_among_many_like_ones(known: Vocabulary) -> None:
    """Those of its own script do not take their places, and are not there where they are not wanted."""
    with known.learning(2) as learn:
        learn([f"panther{end}" for end in "abcdefghijklmnopqrstuvwxyz"])
    assert [word for word, _ in known.like("panthera", own=False)] == ["пэнтерс"]


def test_what_is_like_a_word_does_not_depend_on_the_order_of_texts() -> None:
    """Of more words that are equally like it than are wanted, none is taken rather than those that came first."""
    ends = [f"{a}{b}" for a in "bcdfghj" for b in "bcdfghjlm"]
    made = [Vocabulary(InvertedIndex(None, vocabulary.FIELDS, new=True, stored=vocabulary.STORED)) for _ in range(2)]
    for one, order in zip(made, (ends, ends[::-1]), strict=True):
        with one.learning(1) as learn:
            learn(["kotelna"])
        for generation, end in enumerate(order, 2):
            with one.learning(generation) as learn:
                learn([f"kotel{end}"])
    first, second = ([word for word, _ in one.like("kotelnaia", own=True)] for one in made)
    assert first == second
    assert "kotelna" in first


def test_words_are_learnt_once(known: Vocabulary) -> None:
    """Numbers are none of them; what is learnt again, in another update, is not written again."""
    before = len(known.index)
    assert before == len(WORDS) - 2
    with known.learning(2) as learn:
        learn(WORDS)
    assert known.index.generation() == 1
    with known.learning(2) as learn:
        learn(WORDS)
        learn(["новое"])
    assert (len(known.index), known.index.generation()) == (before + 1, 2)


def test_many_words_are_written_as_they_come(known: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, few are kept in memory; none is lost and none is there twice."""
    monkeypatch.setattr(vocabulary, "_REMEMBERED", 50)
    before = len(known.index)
    made = [f"слово{chr(1072 + n % 32)}{chr(1072 + n // 32)}" for n in range(300)]
    with known.learning(2) as learn:
        for n in range(0, 300, 10):
            learn([*made[n : n + 10], made[0]])
    assert len(known.index) == before + 300
    assert all(known.index.frequency("word", word) == 1 for word in made)


def test_an_error_while_words_are_learnt_leaves_the_generation(known: Vocabulary) -> None:
    """The update is done again; what was written before does no harm."""

    def breaks() -> None:
        with known.learning(2) as learn:
            learn(["новое"])
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        breaks()
    assert known.index.generation() == 1
