"""Texts in pieces: what is read is what was written, or a named error; never more than a piece."""

import zlib

import pytest

from ragkit.errors import IndexCorrupt
from ragkit.store.catalog.pieces import PIECE, piece_crc, pieces, place, unpacked

LONG = "Арендная плата вносится до пятого числа. " * 500


@pytest.mark.parametrize("text", ["", "дом", LONG, "\N{OLD ITALIC LETTER A}" * (PIECE + 1)])
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    """Whether its pieces are compressed or too short for that."""
    stored = list(pieces(7, text))
    assert [id for id, *_ in stored] == [place(7, n) for n in range(-(-len(text) // PIECE))]
    assert "".join(unpacked(*row) for row in stored) == text


def test_what_repeats_itself_takes_less_room_and_what_is_short_stays_readable() -> None:
    """The stored form is the smaller one."""
    assert sum(len(body) for _, body, _ in pieces(7, LONG)) < len(LONG.encode()) / 10
    assert [body for _, body, _ in pieces(7, "дом")] == ["дом"]


@pytest.mark.parametrize("at", [0, 1, 10, 40, -1])
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
        zlib.compress(b"a" * 50_000_000),
        zlib.compress(b"a" * (PIECE + 1)),
        zlib.compress(b"a" * 100)[:-6],
        zlib.compress(b"\xff\xfe"),
        b"no deflate",
    ],
    ids=["bomb", "too long", "cut off", "no text", "not compressed"],
)
def test_a_strangers_piece_with_a_right_checksum_is_refused(body: bytes) -> None:
    """A checksum proves nothing against somebody who makes it."""
    with pytest.raises(IndexCorrupt, match="text piece 0 of document 7"):
        unpacked(place(7, 0), body, piece_crc(place(7, 0), body))
