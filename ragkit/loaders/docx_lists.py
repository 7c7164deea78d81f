"""The numbers that Word shows before list items and numbered headings, which its files do not contain."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ragkit.loaders.markup import Element, attribute, child, children

_DEPTH = 9
_ROMAN = dict(m=1000, cm=900, d=500, cd=400, c=100, xc=90, l=50, xl=40, x=10, ix=9, v=5, iv=4, i=1)  # noqa: C408 - table
_LETTERS = {
    "Letter": "abcdefghijklmnopqrstuvwxyz",
    "russian": "абвгдежзиклмнопрстуфхцчшщэюя",  # Word leaves out ё, й, ъ, ы, ь
}
_BULLET = "•"


@dataclass(slots=True)
class _Level:
    start: int
    form: str
    pattern: str


class Lists:
    """Counts list items in document order: `label` must be asked once for each, in that order."""

    def __init__(self, root: Element | None) -> None:
        self._abstract: dict[str, dict[int, _Level]] = {}
        self._lists: dict[str, tuple[str, dict[int, _Level]]] = {}
        self._counters: dict[str, list[int]] = {}
        self._restarted: set[str] = set()
        if root is None:
            return
        for element in children(root, "abstractNum"):
            self._abstract[attribute(element, "abstractNumId")] = _levels(element)
        for element in children(root, "num"):
            abstract = attribute(child(element, "abstractNumId"), "val")
            overrides: dict[int, _Level] = {}
            for override in children(element, "lvlOverride"):
                depth = _number(attribute(override, "ilvl"), 0)
                level = child(override, "lvl")
                known = _level(level) if level is not None else self._abstract.get(abstract, {}).get(depth)
                start = attribute(child(override, "startOverride"), "val")
                if known and start:
                    known = _Level(_number(start, 1), known.form, known.pattern)
                if known:
                    overrides[depth] = known
            self._lists[attribute(element, "numId")] = (abstract, overrides)

    def label(self, numbering: Element | None) -> str:
        """What stands before the paragraph with this w:numPr ("1.2.", "а)", "•"), "" where nothing does."""
        identity = attribute(child(numbering, "numId"), "val")
        if identity not in self._lists:
            return ""
        abstract, overrides = self._lists[identity]
        levels = {**self._abstract.get(abstract, {}), **overrides}
        depth = min(max(_number(attribute(child(numbering, "ilvl"), "val"), 0), 0), _DEPTH - 1)
        level = levels.get(depth)
        if level is None:
            return ""
        counters = self._counters.setdefault(abstract, [-1] * _DEPTH)
        if overrides and identity not in self._restarted:  # a list that restarts what it shares with another
            self._restarted.add(identity)
            for place in overrides:
                if 0 <= place < _DEPTH:
                    counters[place] = -1
        counters[depth] = level.start if counters[depth] < 0 else counters[depth] + 1
        counters[depth + 1 :] = [-1] * (_DEPTH - depth - 1)
        return _render(level, levels, counters)


def _levels(abstract: Element) -> dict[int, _Level]:
    return {_number(attribute(level, "ilvl"), 0): _level(level) for level in children(abstract, "lvl")}


def _level(element: Element) -> _Level:
    return _Level(
        _number(attribute(child(element, "start"), "val"), 1),
        attribute(child(element, "numFmt"), "val", "decimal"),
        attribute(child(element, "lvlText"), "val"),
    )


def _number(text: str, default: int) -> int:
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else default


def _render(level: _Level, levels: dict[int, _Level], counters: list[int]) -> str:
    if level.form == "bullet":
        return _BULLET if level.pattern.strip() else ""
    if level.form == "none":
        return ""

    def number(match: re.Match[str]) -> str:
        depth = int(match[1]) - 1
        known = levels.get(depth)
        value = counters[depth] if counters[depth] >= 0 else known.start if known else 1
        return _form(value, known.form if known else "decimal")

    return re.sub(r"%([1-9])", number, level.pattern).strip()


def _form(value: int, form: str) -> str:
    """`value` as Word's number format `form` writes it; decimal where the format is not known here."""
    upper = form.startswith("upper") or form.endswith("Upper")
    text = str(value)
    if form.endswith("Roman") and 0 < value < 4000:
        text = _roman(value)
    elif value > 0 and (letters := next((row for key, row in _LETTERS.items() if key in form), "")):
        turn, place = divmod(value - 1, len(letters))
        text = letters[place] * min(turn + 1, 20)  # after z comes aa, then bb
    elif form == "decimalZero":
        text = f"{value:02}"
    return text.upper() if upper else text


def _roman(value: int) -> str:
    text = ""
    for sign, worth in _ROMAN.items():
        text += sign * (value // worth)
        value %= worth
    return text
