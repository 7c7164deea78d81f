"""Markers of sources in an answer: known in the forms that models write, brought to [1] or [1, 2], also piece by piece.

It knows how many sources there were, and nothing of what they say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

LONGEST = 120  # characters between the brackets of a marker; what is longer is something else
_LONGEST_CODE = 1000  # characters of `code` in a line
_TAIL = 200  # characters before a bracket that are remembered

_SPECIAL = re.compile(r"(?<![ \t])[ \t]*+[\[【［]|`+|(?<![ \t])[ \t]++\Z")
_STOP = re.compile(r"[\]】］\[【［\n]")
_CLOSING = frozenset("]】］")
_WORD = (
    r"(?:источник\w{0,3}|ист|документ\w{0,3}|док|отрыв\w{0,4}|фрагмент\w{0,3}|sources?|src|documents?|docs?|passages?"
    r"|refs?|citations?|№|#)\.?[ \t:№#]*+"
)
_BETWEEN = r"[ \t]*+(?:[,;–—-]|и|and|&)[ \t]*+"
_NUMBER = r"\d{1,3}+(?!\d)"  # no more: [2024] is a year
_CONTENT = re.compile(
    rf"[ \t]*+\^?(?:{_WORD})?(?P<numbers>{_NUMBER}(?:{_BETWEEN}(?:{_WORD})?{_NUMBER})*+)[ \t]*+"
    r"(?:(?::\d+)?†.*|[,:;]?[ \t]*+(?:стр|с|pp?|pages?|lines?|строк\w{1,2}|п)\b\.?[\d \t,–—-]*+)?",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"(\d+)(?:[ \t]*[–—-][ \t]*(?:\D*?)(\d+))?")
_PLAIN = re.compile(r"\[\d+(?:[ \t]*[,;][ \t]*\d+)*\]")
_REMOVED = re.compile(rf"[ \t]?{_PLAIN.pattern}")
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*\Z", re.ASCII)
_CODE_LIKE = re.compile(r"[_$\d]|[a-z][A-Z]")


def without_markers(text: str) -> str:
    """A text whose sources are not there any more, or never were."""
    return _REMOVED.sub("", text)


@dataclass(frozen=True, slots=True)
class Marker:
    """Where it stands in the cleaned text, and the numbers of the sources that it names, in its order."""

    start: int
    end: int
    numbers: tuple[int, ...]


class Cleaner:
    """Takes markers of sources that were not given out of a text that comes in pieces.

    What may still become a marker is held back: a bracket with the spaces before it, and code in backticks, in which
    nothing is a marker. How the text is cut into pieces makes no difference.

    Args:
        most: sources 1 to `most` were given. With 0 nothing is a marker.
        literal: whether a bracket stands in a source just so, behind the text that is its first argument.
    """

    def __init__(self, most: int, literal: Callable[[str, str], bool]) -> None:
        self.markers: list[Marker] = []
        self.code: list[tuple[int, int]] = []  # spans of the cleaned text
        self.removed = 0  # numbers that were taken out; those of a range count as one
        self._most = most
        self._literal = literal
        self._pieces: list[str] = []
        self._size = 0
        self._tail = ""
        self._held = ""
        self._fence = 0  # backticks of the fence that is open
        self._swallow = False  # a marker began the line: the spaces behind it go with it

    @property
    def text(self) -> str:
        """All that was cleaned so far."""
        return "".join(self._pieces)

    def feed(self, piece: str) -> str:
        return self._advance(piece, final=False)

    def finish(self) -> str:
        return self._advance("", final=True)

    def _advance(self, piece: str, *, final: bool) -> str:
        known = len(self._pieces)
        raw, at = self._held + piece, 0
        while at < len(raw):
            if self._swallow:
                raw, at = raw[at:].lstrip(" \t"), 0
                self._swallow = not raw
                continue
            following = self._line_of_code(raw, at, final) if self._fence else self._step(raw, at, final)
            if following is None:
                break
            at = following
        self._held = raw[at:]
        return "".join(self._pieces[known:])

    def _put(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._size += len(text)
            self._tail = (self._tail + text)[-_TAIL:]

    def _step(self, raw: str, at: int, final: bool) -> int | None:
        """Take what stands from `at` on, up to one bracket or piece of code; None where more must come first."""
        match = _SPECIAL.search(raw, at) if self._most else None
        if match is None:
            self._put(raw[at:])
            return len(raw)
        start, end = match.span()
        if start > at:
            self._put(raw[at:start])
            return start
        if raw[end - 1] == "`":
            return self._code(raw, start, end, final)
        if raw[end - 1] in " \t":
            if not final:
                return None
            self._put(raw[start:end])
            return end
        return self._bracket(raw, start, end - 1, final)

    def _code(self, raw: str, start: int, end: int, final: bool) -> int | None:
        if end == len(raw) and not final:
            return None  # more backticks may come
        ticks = end - start
        if ticks >= 3 and not self._tail.rpartition("\n")[2].strip():
            self.code.append((self._size, self._size + ticks))
            self._put(raw[start:end])
            self._fence = ticks
            return end
        stop = raw.find("\n", end, end + _LONGEST_CODE)
        settled = stop >= 0 or len(raw) >= end + _LONGEST_CODE or final
        stop = stop if stop >= 0 else min(len(raw), end + _LONGEST_CODE)
        closing = re.compile(rf"(?<!`)`{{{ticks}}}(?!`)").search(raw, end, stop) if ticks <= LONGEST else None
        if closing is None or (closing.end() == len(raw) and not settled):
            if not settled:
                return None
            self._put(raw[start:end])
            return end
        self.code.append((self._size, self._size + closing.end() - start))
        self._put(raw[start : closing.end()])
        return closing.end()

    def _line_of_code(self, raw: str, at: int, final: bool) -> int | None:
        stop = raw.find("\n", at) + 1
        if not stop:
            if not final:
                return None
            stop = len(raw)
        line = raw[at:stop].strip()
        if self._tail.endswith("\n") and len(line) >= self._fence and line == "`" * len(line):
            self._fence = 0
        self.code[-1] = (self.code[-1][0], self._size + stop - at)
        self._put(raw[at:stop])
        return stop

    def _bracket(self, raw: str, start: int, bracket: int, final: bool) -> int | None:
        """`start` is that of the spaces before the bracket."""
        inner = bracket + 1
        if inner == len(raw) and not final:
            return None
        doubled = raw[inner : inner + 1] == "["
        inner += doubled
        closing = _STOP.search(raw, inner, bracket + LONGEST)
        if closing is None and not final and len(raw) < bracket + LONGEST:
            return None
        if closing is None or closing[0] not in _CLOSING:
            return self._leave(raw, start, bracket + 1)
        end = closing.end()
        if doubled:
            if end == len(raw) and not final:
                return None
            if raw[end : end + 1] not in _CLOSING:
                return self._leave(raw, start, bracket + 1)
            end += 1
        found = _CONTENT.fullmatch(raw, inner, closing.start())
        if found is None:
            return self._leave(raw, start, bracket + 1)
        if end == len(raw) and not final:
            return None
        if raw[end : end + 1] == "(" or self._is_other(found["numbers"], raw[end : end + 1], glued=start == bracket):
            return self._leave(raw, start, end)
        self._take(raw[start:bracket], raw[bracket:end], found["numbers"])
        return end

    def _leave(self, raw: str, start: int, end: int) -> int:
        self._put(raw[start:end])
        return end

    def _is_other(self, numbers: str, following: str, *, glued: bool) -> bool:
        """Whether the numbers in brackets are no marker: array[0], an interval [0, 1], a footnote's text [1]: …"""
        line = self._tail.rpartition("\n")[2]
        if following == ":" and not line.strip():
            return True
        zero = any(not number.strip("0") for number in re.findall(r"\d+", numbers))
        after_word = glued and (line[-1:].isalnum() or line[-1:] in ("_", ")"))
        if zero:
            return after_word or not numbers.strip().isdigit()
        name = _IDENTIFIER.search(line) if after_word else None
        return name is not None and _CODE_LIKE.search(name[0]) is not None

    def _take(self, spaces: str, bracket: str, content: str) -> None:
        """Put a marker as it may be shown, or nothing where it names no given source."""
        good, strange = _numbers(content, self._most)
        if strange and self._literal(self._tail + spaces, bracket):
            self._put(spaces + bracket)
            return
        self.removed += strange
        if not good:
            self._swallow = not self._tail or self._tail.endswith("\n")
            return
        shown = bracket if not strange and _PLAIN.fullmatch(bracket) else f"[{', '.join(map(str, good))}]"
        self._put(spaces)
        self.markers.append(Marker(self._size, self._size + len(shown), good))
        self._put(shown)


def _numbers(content: str, most: int) -> tuple[tuple[int, ...], int]:
    """The numbers from 1 to `most` that a marker names, each once, and how many others."""
    good: dict[int, None] = {}
    strange = 0
    for first, last in _NUMBERS.findall(content):
        low = int(first)
        high = int(last) if last else low
        if low > high:  # no range
            for number in (low, high):
                strange += not 1 <= number <= most
                good.update(dict.fromkeys([number] if 1 <= number <= most else []))
            continue
        strange += low < 1 or high > most
        good.update(dict.fromkeys(range(max(low, 1), min(high, most) + 1)))
    return tuple(good), strange
