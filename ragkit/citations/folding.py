"""The form in which a quote and a document are compared: everything that print and typing change is taken out.

Two texts have the same form where they differ in white space, hyphens and dashes, soft hyphens, kinds of quotation
marks and apostrophes, marks of Markdown, ligatures and full-width letters, stress marks, ё and е, and letter case.
Words, digits, signs and all other punctuation stay, so another number, another word or a missing "не" shows.
It knows nothing of answers.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate

_DASH = "\\-\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
_QUOTATION = "\"'`´«»‹›“”„‟‘’‚‛\u02bc\u2032\u2033\u3003「」『』"
_INVISIBLE = (  # what the frame of a prompt takes out too, and marks that stand on letters
    "\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u0300-\u036f"
)
_MARKUP = "*_|\\\\•▪●◦‣\ufffe\uffff"
_ODD = "\ufb00-\ufb06\uff01-\uff0c\uff0e-\uff5e№ßİ²³¹⁰⁴-⁹₀-₉\u2150-\u218b™℠"
_GAP = rf"(?:[\s{_DASH}{_QUOTATION}{_INVISIBLE}{_MARKUP}…]|\.{{2,}}+)"
# Where something may have to be changed. Single spaces and ends of lines, most of it by far, are passed over fast.
_SPECIAL = rf"\s{_DASH}{_QUOTATION}{_INVISIBLE}{_MARKUP}{_ODD}….>#"
_RUN = re.compile(rf"[{_SPECIAL}](?:(?<![ \n])|(?=[\d{_SPECIAL}]))[{_SPECIAL}]*+")
# In order: between digits a dash stays, for 5-10 is not 510; other gaps stay as one space, for 1, 5 is not 1,5;
# the sign of a number stays; lines lose Markdown's marks of quotes and headings; every other gap goes; what NFKC or
# lower-casing would lengthen is looked up one by one.
_CHANGED = re.compile(
    rf"((?<=\d)\s*+[{_DASH}]\s*+(?=\d)|(?<![\w)\]{_DASH}])[{_DASH}](?=\d))"
    rf"|((?:(?<=\d)|(?<=\d[.,:;/])){_GAP}++(?=\d))"
    rf"|((?:(?:^|(?<=\n))[^\S\n]*+(?:(?:>++|#++(?=[^\S\n]))[^\S\n]*+)++|(?:(?![{_DASH}]\d){_GAP})++|(?<=[^\W\d_])[{_DASH}])++)"
    rf"|[{_ODD}]"
)
_DASHED, _SPACED, _DROPPED = 1, 2, 3
_WORD = re.compile(r"[^ \n]+")
_AFTER_LETTER = re.compile(r"[^\W\d_]\Z")


class Folded:
    """A text's form, and where each part of it stands in the text.

    Args:
        text: begins at `offset` of a larger one, to which the spans belong that are asked for.
        pieces: of the form, each with the span of the text that it comes from. It is what stands there without
            spaces and ends of lines; where the span is empty, all of it comes from the one character there.
    """

    def __init__(self, text: str, offset: int, pieces: list[tuple[str, int, int]]) -> None:
        # İ is looked up one by one: what else there is keeps its length when it is lowered.
        self.form = "".join([piece for piece, _, _ in pieces]).lower().replace("ё", "е").replace("ς", "σ")
        self._text = text
        self._offset = offset
        self._pieces = pieces

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the text whose form is `form[start:end]`, which is not empty."""
        return self._raw(start), self._raw(end - 1) + 1

    def _raw(self, offset: int) -> int:
        index = bisect_right(self._starts, offset) - 1
        _, start, end = self._pieces[index]
        left = offset - self._starts[index]
        for word in _WORD.finditer(self._text, start, end):
            size = word.end() - word.start()
            if left < size:
                return self._offset + word.start() + left
            left -= size
        return self._offset + start  # of one character

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate((len(piece) for piece, _, _ in self._pieces[:-1]), initial=0))


def fold(text: str, offset: int = 0) -> Folded:
    """The form of a text that begins at `offset` of a larger one."""
    pieces: list[tuple[str, int, int]] = []
    done = 0

    def put(end: int) -> None:
        if piece := text[done:end].replace(" ", "").replace("\n", ""):
            pieces.append((piece, done, end))

    for run in _RUN.finditer(text):
        at, end = run.span()
        while at < end:
            match = _CHANGED.match(text, at)
            if match is None:
                at += 1
                continue
            put(at)
            if match.lastindex != _DROPPED and (piece := _instead(match, pieces[-1][0] if pieces else "")):
                pieces.append((piece, at, at))
            at = done = match.end()
    put(len(text))
    return Folded(text, offset, pieces)


def form_of(text: str) -> str:
    """The form of a quote, whose accents may have been typed apart."""
    return fold(unicodedata.normalize("NFC", text)).form


def _instead(match: re.Match[str], before: str) -> str:
    """A digit above or below the line is one like others behind a letter, м², and not behind a digit, 10²."""
    if match.lastindex == _DASHED:
        return "-"
    if match.lastindex == _SPACED:
        return " "
    character = match[0]
    if unicodedata.category(character) == "No" and not _AFTER_LETTER.search(before):
        return character
    return {"ß": "ss", "İ": "i"}.get(character) or unicodedata.normalize("NFKC", character)
