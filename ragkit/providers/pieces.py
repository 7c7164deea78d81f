"""Cutting a text that is too long for a model: where lines or words end, never inside what is seen as one sign.

It knows no models and no tokens; how many pieces there should be is the caller's affair.
"""

from __future__ import annotations

import re
import unicodedata

SHORTEST = 16  # characters: a piece that small is not too long, whatever the service says

_ENDS = (re.compile(r"(?=\n)"), re.compile(r"(?=\s)"))  # of lines, of words: the better ones first
_JOINER = "\u200d"


def pieces(text: str, parts: int) -> list[str]:
    """About equal pieces without the blank ones; fewer than two where the text is too short for that."""
    size = max(SHORTEST, -(-len(text) // parts))
    found = []
    start = 0
    while (left := len(text) - start) > size:
        cut = _cut(text, start, start + -(-left // -(-left // size)))  # no crumb is left over
        found.append(text[start:cut])
        start = cut
    return [piece for piece in (*found, text[start:]) if piece.strip()]


def _cut(text: str, start: int, most: int) -> int:
    """Where to cut between `start` and `most`: at the last line or word that ends in the second half, else anywhere.

    Where all of it is one character, as under a pile of accents, that is cut too: it could not be sent otherwise.
    """
    middle = (start + most) // 2
    for end in _ENDS:
        if ends := [match.start() for match in end.finditer(text, middle, most + 1) if match.start() > start]:
            return ends[-1]
    return next((at for at in range(most, start, -1) if not _joined(text, at)), most)


def _joined(text: str, at: int) -> bool:
    """Whether the signs before and after `at` make one character together."""
    before, after = text[at - 1], text[at]
    if before == _JOINER or after == _JOINER or unicodedata.category(after)[0] == "M":
        return True  # marks include the selectors that colour an emoji
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True  # the tone of a skin, the name of a flag
    if "\u1160" <= after <= "\u11ff":
        return True  # the vowel and the end of a Korean syllable in parts
    return _is_flag(before) and _is_flag(after) and _flags_before(text, at) % 2 == 1


def _is_flag(sign: str) -> bool:
    """Half of a flag: two such letters make one."""
    return "\U0001f1e6" <= sign <= "\U0001f1ff"


def _flags_before(text: str, at: int) -> int:
    count = 0
    while count < at and _is_flag(text[at - count - 1]):
        count += 1
    return count
