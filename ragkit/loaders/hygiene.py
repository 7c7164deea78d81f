"""Clean text: NFC, `\\n` newlines, nothing invisible. It knows nothing of files and formats.

Loaders compute offsets on cleaned text only. Cleaned pieces joined by newlines are clean again, because no
normalisation crosses a newline: that is what lets a loader clean page by page and add up lengths.
"""

from __future__ import annotations

import re
import unicodedata

# One class for everything that must not pass. Legitimate text hardly has any of it, so that a search which finds
# nothing is all the work that most documents cost.
_UNCLEAN = re.compile(
    "\r\n|[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\xad"  # soft hyphen: a word must be found whether or not it could be broken there
    "\u200b\u2060\ufeff"  # zero-width space, word joiner, byte order mark: invisible, and they split a word
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff"  # lone surrogates: no UTF-8, no SQLite, no JSON
    "\ufdd0-\ufdef\ufffe\uffff"  # noncharacters
    "\U000e0000-\U000e007f"  # tag characters: text that a model reads and a person does not see
    "]"
)
_NEWLINES = frozenset(["\r\n", "\r", "\x85", "\u2028", "\u2029"])
# Possessive, and never begun inside a run: a run of feeds must not cost its square.
_FEEDS = re.compile("(?<=\n)[\f\v]++|(?<![\f\v])[\f\v]++(?=[\r\n])")
_LIGATURES = {
    "\ufb00": "ff",
    "\ufb01": "fi",
    "\ufb02": "fl",
    "\ufb03": "ffi",
    "\ufb04": "ffl",
    "\ufb05": "st",
    "\ufb06": "st",
}
_LIGATURE = re.compile("[\ufb00-\ufb06]")


def normalise(text: str) -> str:
    """The text as it is stored: NFC, newlines as `\\n`, no control, invisible or impossible characters.

    Lone surrogates become U+FFFD, so that a loss can be seen. A form feed becomes a newline unless it stands
    next to one. Bidirectional marks and joiners stay: scripts need them, and a screen can escape them.
    """
    if _UNCLEAN.search(text):
        text = _UNCLEAN.sub(_replacement, _FEEDS.sub("", text))
    return unicodedata.normalize("NFC", text)


def expand_ligatures(text: str) -> str:
    """Latin presentation ligatures as letters (ﬁ is fi), which NFC leaves alone and no one types."""
    return _LIGATURE.sub(lambda match: _LIGATURES[match[0]], text) if _LIGATURE.search(text) else text


def one_line(text: str) -> str:
    """Cleaned, with each run of whitespace as one space: for titles and headings."""
    return " ".join(normalise(text).split())


def _replacement(match: re.Match[str]) -> str:
    found = match[0]
    if found in _NEWLINES or found in "\f\v":
        return "\n"
    return "\ufffd" if "\ud800" <= found <= "\udfff" else ""
