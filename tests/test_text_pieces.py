"""Texts in pieces: what is read is what was written, or a named error; never more than a piece."""

import random
import zlib

import pytest

from ragkit.errors import IndexCorrupt
from ragkit.store.catalog.pieces import PIECE, piece_crc, pieces, place, unpacked

LONG = "Арендная плата вносится до пятого числа. " * 500
TEXTS = {
    "empty": "",
    "short": "дом",
    "long": LONG,
    "old letters": "\N{OLD ITALIC LETTER A}" * (PIECE + 1),
    "stressed": "За\u0301мок и замо\u0301к, naïve 中 \N{OLD ITALIC LETTER A}. " * 20,
    "accented": "élève, à l’été, où? " * 40,
    "references": "Ударение пишут как &#769; или &#x301;, а &#1078; значит ж. " * 20,
    "almost references": "a &\u0301 b; &&\u0301#769; #\u0301; Ж&amp;# " * 20,
    "every letter of a byte": "".join(map(chr, range(256))) * 4,
}


def stranger(body: bytes) -> bytes:
    """Bare deflate, as pieces have it."""
    return zlib.compress(body, wbits=-15)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    """Whether its pieces are compressed or too short for that, and whatever its letters are."""
    stored = list(pieces(7, text))
    assert [id for id, *_ in stored] == [place(7, n) for n in range(-(-len(text) // PIECE))]
    assert "".join(unpacked(*row) for row in stored) == text


def test_what_repeats_itself_takes_less_room_and_what_is_short_stays_readable() -> None:
    """The stored form is the smaller one."""
    assert sum(len(body) for _, body, _ in pieces(7, LONG)) < len(LONG.encode()) / 10
    assert [body for _, body, _ in pieces(7, "дом")] == ["дом"]


def test_one_letter_of_another_alphabet_costs_a_few_bytes() -> None:
    """And not another encoding of the whole piece."""
    chance = random.Random(1)
    plain = " ".join("".join(chance.choices("оеаинтсрвлкмдпу", k=6)) for _ in range(500))
    ((_, usual, _),), ((_, marked, _),) = pieces(7, plain), pieces(7, plain.replace(" ", "\u0301 ", 3))
    assert len(marked) < 1.05 * len(usual) < 0.9 * len(zlib.compress(plain.encode()))


@pytest.mark.parametrize("at", [0, 1, 10, 30, -1])
def test_a_flipped_bit_is_named(at: int) -> None:
    """The checksum is over the bytes that are stored, with their place."""
    ((_, body, check),) = pieces(7, "Ключ лежит под камнем. " * 40)
    assert isinstance(body, bytes)
    damaged = bytearray(body)
    damaged[at] ^= 4
    for document, n, bytes_ in ((7, 0, bytes(damaged)), (8, 0, body), (7, 1, body)):
        with pytest.raises(IndexCorrupt, match=f"text piece {n} of document {document} is damaged"):
            unpacked(place(document, n), bytes_, check)


@pytest.mark.parametrize(
    "body",
    [
        b"u" + stranger(b"a" * 50_000_000),
        b"r" + stranger(b"a" * 50_000_000),
        b"u" + stranger(b"a" * (PIECE + 1)),
        b"u" + stranger(b"a" * 100)[:-2],
        b"u" + stranger(b"\xff\xfe"),
        b"r" + stranger(b"\x98"),
        b"r" + stranger(b"&#9999999;"),
        b"r" + stranger(b"&#55357;"),
        b"u",
        b"",
        b"no deflate",
    ],
    ids=[
        *("bomb", "Russian bomb", "too long", "cut off", "no text", "no Russian", "no letter", "half a letter"),
        *("nothing", "no bytes", "not compressed"),
    ],
)
def test_a_strangers_piece_with_a_right_checksum_is_refused(body: bytes) -> None:
    """A checksum proves nothing against somebody who makes it."""
    with pytest.raises(IndexCorrupt, match="text piece 0 of document 7"):
        unpacked(place(7, 0), body, piece_crc(place(7, 0), body))
