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
from dataclasses import dataclass

_DASH = "\\-\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
_QUOTATION = "\"'`´«»‹›“”„‟‘’‚‛\u02bc\u2032\u2033\u3003「」『』"
_INVISIBLE = (  # what the frame of a prompt takes out too, and marks that stand on letters
    "\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u0300-\u036f"
)
_MARKUP = "*_|\\\\•▪●◦‣\ufffe\uffff"
_ODD = "\ufb00-\ufb06\uff01-\uff0c\uff0e-\uff5e№ßİ²³¹⁰⁴-⁹₀-₉\u2150-\u218b™℠"
_GAP = rf"(?:[\s{_DASH}{_QUOTATION}{_INVISIBLE}{_MARKUP}…]|\.{{2,}}+)"
# Where something may have to be changed: one class of characters, so that the rest of a text is passed over fast.
_RUN = re.compile(rf"[\s{_DASH}{_QUOTATION}{_INVISIBLE}{_MARKUP}{_ODD}….>#]+")
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
_AFTER_LETTER = re.compile(r"[^\W\d_]\Z")


@dataclass(frozen=True, slots=True)
class Folded:
    """A text's form, and where each part of it stands in the text.

    The characters of `form` from `forms[i]` on come from those of the text from `raws[i]` on, one by one, up to
    `forms[i + 1]`; where `single[i]`, all of them come from the one character at `raws[i]`.
    """

    form: str
    forms: tuple[int, ...]
    raws: tuple[int, ...]
    single: tuple[bool, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the text whose form is `form[start:end]`, which is not empty."""
        return self._raw(start), self._raw(end - 1) + 1

    def place(self, offset: int) -> int:
        """Where in the form the text's character at `offset`, or the first behind it that has a form, stands."""
        index = bisect_right(self.raws, offset) - 1
        if index < 0:
            return 0
        following = self.forms[index + 1] if index + 1 < len(self.forms) else len(self.form)
        if self.single[index]:
            return self.forms[index] if self.raws[index] == offset else following
        return min(self.forms[index] + offset - self.raws[index], following)

    def _raw(self, offset: int) -> int:
        index = bisect_right(self.forms, offset) - 1
        return self.raws[index] if self.single[index] else self.raws[index] + offset - self.forms[index]


def fold(text: str, offset: int = 0) -> Folded:
    """The form of a text that begins at `offset` of a larger one."""
    pieces: list[str] = []
    forms: list[int] = []
    raws: list[int] = []
    single: list[bool] = []
    size = done = 0

    def put(piece: str, raw: int, alone: bool) -> None:
        nonlocal size
        if piece:
            pieces.append(piece)
            forms.append(size)
            raws.append(raw + offset)
            single.append(alone)
            size += len(piece)

    for run in _RUN.finditer(text):
        at, end = run.span()
        if end - at == 1 and text[at] in " \n" and not text[end : end + 1].isdigit():  # most of them by far
            if at > done:  # as `put` does; a call for each word would cost as much as all else
                pieces.append(text[done:at])
                forms.append(size)
                raws.append(done + offset)
                single.append(False)
                size += at - done
            done = end
            continue
        while at < end:
            match = _CHANGED.match(text, at)
            if match is None:
                at += 1
                continue
            put(text[done:at], done, False)
            if match.lastindex != _DROPPED:
                put(_instead(match, pieces), at, True)
            at = done = match.end()
    put(text[done:], done, False)
    # İ is looked up above: what is left keeps its length when it is lowered.
    form = "".join(pieces).lower().replace("ё", "е").replace("ς", "σ")
    return Folded(form, tuple(forms), tuple(raws), tuple(single))


def form_of(text: str) -> str:
    """The form of a quote, whose accents may have been typed apart."""
    return fold(unicodedata.normalize("NFC", text)).form


def _instead(match: re.Match[str], before: list[str]) -> str:
    """A digit above or below the line is one like others behind a letter, м², and not behind a digit, 10²."""
    if match.lastindex == _DASHED:
        return "-"
    if match.lastindex == _SPACED:
        return " "
    character = match[0]
    if unicodedata.category(character) == "No" and not (before and _AFTER_LETTER.search(before[-1])):
        return character
    return {"ß": "ss", "İ": "i"}.get(character) or unicodedata.normalize("NFKC", character)
