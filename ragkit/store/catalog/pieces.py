"""A document's text as it is stored: in pieces, each compressed where that makes it smaller. It runs no SQL.

A short piece may need the index's dictionary beside it: words that it refers to instead of holding them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property

from ragkit.errors import IndexCorrupt
from ragkit.store.catalog.rows import crc, damaged

# Characters in one row. A passage is cut out of one or two of them, at 40 to 90 µs each. Encyclopaedic Russian takes
# .27 of its bytes in UTF-8; pieces of 4096 characters would take .28 and leave a good part of every page empty.
PIECE = 8192
_PIECES = 1 << 20  # in one document, at most
_BARE = -zlib.MAX_WBITS  # deflate without a header and a checksum: the row has one
_UTF_8, _REFERENCES = b"u", b"r"  # the first byte of a compressed piece; the capital where it needs the dictionary
# Bytes of a text that is tried with it; with 2048 documentation and abstracts take 3 % more, with any length 1 % less.
SHORT = 4096
_BYTE = "cp1251"  # one byte for each letter of Russian and English
_MOST = 4 * PIECE  # bytes of a piece: no more are unpacked, whatever a stranger's index says


class Dictionary:
    """Words that deflate begins with, as bytes."""

    def __init__(self, words: bytes) -> None:
        self.words = words
        self.crc = zlib.crc32(words)

    @cached_property
    def _begun(self) -> zlib._Compress:
        return zlib.compressobj(wbits=_BARE, zdict=self.words)

    def packed(self, raw: bytes) -> bytes:
        packing = self._begun.copy()  # a new one would read the words again
        return packing.compress(raw) + packing.flush()


def _no_dictionary() -> Dictionary | None:
    return None


def pieces(
    document: int, text: str, dictionary: Callable[[], Dictionary | None] = _no_dictionary
) -> Iterator[tuple[int, str | bytes, int]]:
    """A row for each piece, in order: its id, its stored form, the checksum of both."""
    for n in range(-(-len(text) // PIECE)):
        body = text[n * PIECE : (n + 1) * PIECE]
        encoding, raw = encoded(body)
        packed = encoding + zlib.compress(raw, wbits=_BARE)
        if len(raw) < SHORT and (words := dictionary()):
            packed = min(packed, encoding.upper() + words.packed(raw), key=len)
        id, stored = place(document, n), packed if len(packed) < len(body.encode()) else body
        yield id, stored, piece_crc(id, stored)


def encoded(body: str) -> tuple[bytes, bytes]:
    """A byte for the encoding, and the text in it: Russian of a byte a letter takes a sixth less than in UTF-8.

    Other letters, such as a stress mark, are written as references: "&#769;".
    """
    raw = body.encode()
    if not body.isascii() and "&#" not in body:
        short = body.encode(_BYTE, "xmlcharrefreplace")
        if len(short) < len(raw):
            return _REFERENCES, short
    return _UTF_8, raw


def _decoded(encoding: bytes, raw: bytes) -> str:
    if encoding == _UTF_8:
        return raw.decode()
    text = raw.decode(_BYTE)
    return re.sub("&#([0-9]{1,7});", _letter, text) if "&#" in text else text


def _letter(reference: re.Match[str]) -> str:
    """Raises ValueError for a number that is no letter's."""
    return chr(int(reference[1])).encode().decode()


def place(document: int, n: int) -> int:
    """The id of the row of a document's n-th piece: the rows of a document stand together, in one tree."""
    return document * _PIECES + n


def places(document: int) -> tuple[int, int]:
    """The first and the last id that rows of a document can have."""
    return place(document, 0), place(document, _PIECES - 1)


def places_of(document: int, start: int, end: int) -> range:
    """The ids of the rows with the characters start to end; the one at the start where these are none."""
    return range(place(document, start // PIECE), place(document, max(end - 1, start) // PIECE) + 1)


# The document that a row of the table of texts belongs to, as SQL.
DOCUMENT = f"id / {_PIECES}"


def piece_crc(id: int, body: str | bytes) -> int:
    """The checksum of a piece as it is stored, with its place."""
    return zlib.crc32(body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body, crc(id))


def unpacked(
    id: int, body: str | bytes, check: int, dictionary: Callable[[], Dictionary | None] = _no_dictionary
) -> str:
    """The text of a stored piece. Raises IndexCorrupt where it is not what was written, or where its words are gone."""
    if not isinstance(body, str | bytes) or piece_crc(id, body) != check:
        raise _damaged(id)
    if isinstance(body, str):
        return body
    encoding = body[:1]
    unpacking = zlib.decompressobj(_BARE)
    if encoding in (_UTF_8.upper(), _REFERENCES.upper()):
        encoding, words = encoding.lower(), dictionary()
        if words is None:
            raise _damaged(id)
        unpacking = zlib.decompressobj(_BARE, zdict=words.words)
    try:
        text = _decoded(encoding, unpacking.decompress(body[1:], _MOST))
    except (zlib.error, ValueError) as error:  # the checksum is right: somebody else made it
        raise _damaged(id) from error
    if not unpacking.eof or len(text) > PIECE:
        raise _damaged(id)
    return text


def _damaged(id: int) -> IndexCorrupt:
    document, n = divmod(id, _PIECES)
    return damaged(f"text piece {n} of document {document}")
