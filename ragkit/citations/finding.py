"""Where any of many strings stand in a long text: one pass for all of them, where `str.find` makes one for each.

The text is read as blocks of eight characters; a string of fifteen has a whole block of it wherever it stands. Twenty
strings are found in 1.75 million characters in 1.5 to 2 ms, where `str.find` takes 0.9 ms for each.
It knows nothing of quotes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LEAST = 15  # characters of a string that is found in the common pass: a block, and 7 until the next one begins
MOST = 3000  # places of each string
_BLOCK = 8
_PIECE = 1 << 16  # characters that are hashed at once: what a processor keeps at hand
_BITS = 17  # of a hash: with the 160 blocks of twenty strings one in 800 is looked at in vain


def find_all(text: str, wanted: Collection[str]) -> dict[str, list[int]]:
    """The offsets of each string in the text, `MOST` of them at most; a line's end in the text counts as a space.

    Strings of fewer than `LEAST` characters are looked for one by one, and only as they are.
    """
    import numpy as np

    found: dict[str, list[int]] = {
        string: list(islice(occurrences(text, string), MOST)) if len(string) < LEAST else [] for string in wanted
    }
    parts = [(string, offset) for string in found if len(string) >= LEAST for offset in range(_BLOCK)]
    if not parts:
        return found
    hashes = np.concatenate(list(_hashes("".join(string[offset : offset + _BLOCK] for string, offset in parts))))
    parts_of = defaultdict(list)
    for hash_, part in zip(hashes.tolist(), parts, strict=True):
        parts_of[hash_].append(part)
    known = np.zeros(1 << _BITS, np.bool_)
    known[hashes] = True
    for start, hashes in zip(range(0, len(text), _PIECE), _hashes(text), strict=True):
        hits = np.flatnonzero(known.take(hashes))
        for index, hash_ in zip(hits.tolist(), hashes[hits].tolist(), strict=True):
            for string, offset in parts_of[hash_]:
                at = start + _BLOCK * index - offset
                if text[at] != string[0] and text[at] != "\n":
                    continue  # most of them; what follows is dearer
                if at >= 0 and text[at : at + len(string)].replace("\n", " ") == string and len(found[string]) < MOST:
                    found[string].append(at)
    return found


def occurrences(text: str, wanted: str, start: int = 0, end: int | None = None) -> Iterator[int]:
    """The offsets of one string in text[start:end], ascending."""
    at = text.find(wanted, start, end)
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1, end)


def _hashes(text: str) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    """For each piece of the text those of its whole blocks, from the low bytes of their characters."""
    import numpy as np

    buffer = np.empty(1, f"U{min(_PIECE, len(text) + _BLOCK - len(text) % _BLOCK)}")  # the fastest way to code points
    for start in range(0, len(text), _PIECE):
        buffer[0] = text[start : start + _PIECE]
        codes = buffer.view(np.uint32).astype(np.uint8)
        breaks = (codes == ord("\n")).view(np.uint8)
        breaks *= ord(" ") - ord("\n")
        codes += breaks  # many times faster than by an index
        blocks = codes.view(np.uint64)[: (len(text) - start) // _BLOCK]
        blocks *= np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing (Knuth, TAOCP 6.4): the high bits depend on all
        blocks >>= np.uint64(64 - _BITS)
        yield blocks.view(np.int64)
