"""Whole words from broken lines of a PDF's pages. It knows nothing of PDF.

A hyphen at the end of a line either broke a word (иссле-дование) or belongs to it (кто-то). The page does not
say which, so the rest of the document is asked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ragkit.loaders.hygiene import expand_ligatures, normalise

if TYPE_CHECKING:
    from collections.abc import Iterable

# pdfium writes a hyphen at the end of a line as U+0002 or U+FFFE and leaves the newline out; others keep both.
_BROKEN = re.compile(
    "(?<![^\\W\\d_])([^\\W\\d_]++)(?:[\x02\ufffe]\n?|([-\u2010\xad])\n)([^\\W\\d_]+)([^\\s\x02\ufffe]*)[ \t]*\n?"
)
_CANDIDATE = re.compile("[\x02\ufffe]|[-\u2010\xad]\n")
_LINE_END = re.compile("[ \t]*\r\n?|[ \t]+\n")
_LEFT_MARKS = re.compile("[\x02\ufffe]")
_WORD = re.compile(r"[^\W\d_]+(?:[-\u2010\u2011][^\W\d_]+)*")
# What follows a hyphen in Russian whatever precedes it: кто-то, что-либо, когда-нибудь, всё-таки, дай-ка.
_PARTICLES = frozenset(["то", "либо", "нибудь", "таки", "ка"])


def whole_words(pages: Iterable[str]) -> list[str]:
    """Each page as clean text: broken words joined, ligatures as letters, newlines as `\\n`.

    The line break moves behind the completed word, so that lines keep their numbers.
    """
    rough = [expand_ligatures(_LINE_END.sub("\n", page)) for page in pages]
    if any(_CANDIDATE.search(page) for page in rough):
        known = _Words(rough)
        rough = [_BROKEN.sub(known.join, page) if _CANDIDATE.search(page) else page for page in rough]
    return [normalise(_LEFT_MARKS.sub("-", page)).rstrip() for page in rough]


class _Words:
    """The words of a document that stand unbroken within a line."""

    def __init__(self, pages: list[str]) -> None:
        text = "\n".join(pages).lower().replace("\u2010", "-").replace("\u2011", "-")
        self._whole = set(_WORD.findall(text))
        # Halves of broken words are no evidence that they are words.
        unbroken = _BROKEN.sub(" ", text)
        self._alone = set(re.findall(r"(?<![\w-])[^\W\d_]+(?![\w-])", unbroken))

    def join(self, match: re.Match[str]) -> str:
        left, mark, right, rest = match.groups()
        hyphen = "-" if mark != "\xad" and self._is_hyphenated(left, right) else ""
        return f"{left}{hyphen}{right}{rest}\n"

    def _is_hyphenated(self, left: str, right: str) -> bool:
        first, second = left.lower(), right.lower()
        if f"{first}-{second}" in self._whole:
            return True
        if first + second in self._whole:
            return False
        if right[0].isupper():  # Нью-Йорк, Non-Executive; but ДОГО-ВОР
            return not (left.isupper() and len(left) > 1 and right.isupper())
        return first in self._alone and (second in self._alone or second in _PARTICLES)
