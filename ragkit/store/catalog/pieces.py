"""A document's text as it is stored: in pieces, each compressed where that makes it smaller. It runs no SQL."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from ragkit.store.catalog.rows import crc, damaged

# Characters in one row. A passage is cut out of one or two of them, at 40 to 90 µs each. Encyclopaedic Russian takes
# .27 of its bytes in UTF-8; pieces of 4096 characters would take .28 and leave a good part of every page empty.
PIECE = 8192
_PIECES = 1 << 20  # in one document, at most
_BARE = -zlib.MAX_WBITS  # deflate without a header and a checksum: the row has one
_UTF_8, _REFERENCES = b"u", b"r"  # the first byte of a compressed piece
_SHORT = "cp1251"  # one byte for each letter of Russian and English
_MOST = 4 * PIECE  # bytes of a piece: no more are unpacked, whatever a stranger's index says


def pieces(document: int, text: str) -> Iterator[tuple[int, str | bytes, int]]:
    """A row for each piece, in order: its id, its stored form, the checksum of both."""
    for n in range(-(-len(text) // PIECE)):
        body = text[n * PIECE : (n + 1) * PIECE]
        raw = body.encode()
        packed = _packed(body, raw)
        id, stored = place(document, n), packed if len(packed) < len(raw) else body
        yield id, stored, piece_crc(id, stored)


def _packed(body: str, raw: bytes) -> bytes:
    """A byte for the encoding, then deflate: Russian of a byte a letter takes a sixth less than in UTF-8.

    Other letters, such as a stress mark, are written as references: "&#769;".
    """
    encoding = _UTF_8
    if not body.isascii() and "&#" not in body:
        short = body.encode(_SHORT, "xmlcharrefreplace")
        if len(short) < len(raw):
            raw, encoding = short, _REFERENCES
    return encoding + zlib.compress(raw, wbits=_BARE)


def _decoded(encoding: bytes, raw: bytes) -> str:
    if encoding == _UTF_8:
        return raw.decode()
    text = raw.decode(_SHORT)
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


def unpacked(id: int, body: str | bytes, check: int) -> str:
    """The text of a stored piece. Raises IndexCorrupt where it is not what was written."""
    document, n = divmod(id, _PIECES)
    fault = damaged(f"text piece {n} of document {document}")
    if not isinstance(body, str | bytes) or piece_crc(id, body) != check:
        raise fault
    if isinstance(body, str):
        return body
    unpacking = zlib.decompressobj(_BARE)
    try:
        text = _decoded(body[:1], unpacking.decompress(body[1:], _MOST))
    except (zlib.error, ValueError) as error:  # the checksum is right: somebody else made it
        raise fault from error
    if not unpacking.eof or len(text) > PIECE:
        raise fault
    return text
