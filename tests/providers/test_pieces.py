"""Where a text that is too long is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.providers.pieces import SHORTEST, pieces

FAMILY = "\U0001f468\U0001f3fd\u200d\U0001f469\U0001f3fd\u200d\U0001f467\U0001f3fd"  # one sign of eight characters
ACCENTED = "e\u0301\u0323"
RUSSIA = "\U0001f1f7\U0001f1fa"
KOREAN = "\u1112\u1161\u11ab"  # 한, in parts


@given(st.text("ab \n\tя検" + ACCENTED + FAMILY + RUSSIA, max_size=300), st.integers(2, 9))
def test_nothing_is_lost_but_blanks(text: str, parts: int) -> None:
    """Pieces are in order, none is longer than its part, and together they are the text."""
    cut = pieces(text, parts)
    assert max(map(len, cut), default=0) <= max(SHORTEST, -(-len(text) // parts))
    assert "".join("".join(cut).split()) == "".join(text.split())
    assert all(piece.strip() for piece in cut)


def test_lines_part_before_words_and_words_before_letters() -> None:
    """The last end of a line in the second half of a piece, else that of a word."""
    assert pieces("a" * 20 + "\n" + "b c" * 7, 2) == ["a" * 20, "\nb cb cb cb", " cb cb cb c"]
    assert pieces("eins zwei drei vier fünf sechs sieben acht", 2) == [
        "eins zwei drei vier",
        " fünf sechs",
        " sieben acht",
    ]
    assert [piece.strip() for piece in pieces("alpha\tbravo\tcharlie\tdelta\techo", 2)] == [
        "alpha\tbravo",
        "charlie",
        "delta\techo",
    ]


def test_a_text_without_any_space_is_cut_too() -> None:
    """As scripts without spaces are, and encoded files."""
    assert list(map(len, pieces("検索" * 50, 4))) == [25, 25, 25, 25]


@pytest.mark.parametrize("sign", [FAMILY, ACCENTED, RUSSIA, KOREAN, "❤\ufe0f"], ids=ascii)
@pytest.mark.parametrize("shift", range(8))
def test_what_is_seen_as_one_sign_is_not_cut(sign: str, shift: int) -> None:
    """Neither families, nor accents, nor flags, nor syllables in parts."""
    text = "x" * shift + sign * 40
    for parts in (2, 3, 7):
        for piece in pieces(text, parts):
            rest = piece.lstrip("x")
            assert rest == sign * (len(rest) // len(sign))


def test_one_sign_without_end_is_cut_all_the_same() -> None:
    """Accents piled on one letter: nothing else could be sent."""
    assert "".join(pieces("a" + "\u0301" * 99, 4)) == "a" + "\u0301" * 99
    assert max(map(len, pieces("a" + "\u0301" * 99, 4))) == 25


def test_a_short_text_stays_whole() -> None:
    """What is that short is not too long for any model."""
    assert pieces("a" * SHORTEST, 5) == ["a" * SHORTEST]
    assert pieces(" ", 2) == []
