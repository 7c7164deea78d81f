"""Where sentences begin, in Russian and English prose, lists and tables.

One pass of compiled patterns over the text, linear in its length. It knows nothing of documents, pages or
headings; two rules of thumb stand in for a grammar: what follows a full stop, and what precedes it.
"""

from __future__ import annotations

import re
from itertools import pairwise

# Possessive quantifiers and the lookbehind keep runs such as "....." or ")))))" linear: one start for each run.
_TERMINAL = re.compile(r"(?<![.!?…])[.!?…]++[\"'»”’)\]]*+(?=\s)")
_OPENING = re.compile(r"[\s\"'«“„‘(\[—–-]*+")
_TAIL = re.compile(r"[\w.\-]*+\Z")
_NUMBERING = re.compile(r"\(?\d{1,4}(?:\.\d{1,4})*+\Z")
_PARAGRAPH = re.compile(r"(?:\A|\n[^\S\n]*+\n)\s*+")
_MARKER = re.compile(r"(?:[-*•–—▪●]|#{1,6}|\(?\d{1,3}(?:\.\d{1,3})*+[.)]|[a-zа-яё]\))[^\S\n]")

_GOES_ON = frozenset("|,;:)]}/=+&%<>")  # no sentence begins with one of these: a cell of a table ends, a formula

_LONGEST_ABBREVIATION = 6
_LONGEST_TITLE = 160  # characters between « and »: what is longer is speech, and has sentences of its own
_LOOKBACK = 24  # characters before a full stop that are read for an abbreviation
_FULL_LINE = 0.75  # a line shorter than this share of the widest was ended by its writer, not by the margin

# Bound to what follows, whatever it is: "им. Ленина", "ст. 15", "Mr. Smith", "e.g. Python".
_BINDING = frozenset(
    """
    адм акад англ бул вып г гл гр гражд д дер доп доц ж зав зам и им инв ист к кан кв корп лат литер мкр напр наб
    нач обл оз оф п пгт пер пл пом пос пп пр прил примеч проф просп р разд ред с св ср ст стр сокр соотв
    см т табл тел тов ул ун-т утв уч ф ф-т ч чл ш яз г-н г-жа р-н т.е т.к т.н т.ч т.о и.о в.о
    adm approx apt ave capt cf cmdr dept dr e.g esp gen gov hon i.e lt maj messrs mr mrs ms mt prof rep rev sen sgt
    st viz vs
    """.split()  # noqa: SIM905 -- a list of a hundred quoted words is harder to read and to extend
)
# Bound to a number or a small letter only; before a capital they may end the sentence: "и др. Затем", "5 млн. Это".
_TRAILING = frozenset(
    """
    в вв га гг др долл ед коп кг км м мин млн млрд мл мм прим проч рис руб сек тыс час чел шт э экз н.э т.д т.п
    a.m art ch co col corp ed eds eq eqs etc fig figs inc jr ltd no nos op p p.m pp ref refs sec sr tab vol vols
    """.split()  # noqa: SIM905 -- as above
)
_COUNTED = frozenset(
    {"г", "гг", "в", "вв", "м", "см", "ч", "р", "с", "т", "э"}
)  # after a number they may end a sentence


def sentences(text: str) -> list[tuple[int, int]]:
    """The spans of the sentences, in order; list items and table rows count as sentences.

    No span begins or ends with white space, and every other character lies in exactly one span. Linear in
    the length of the text, also where it has no separator at all.
    """
    starts = sentence_starts(text, paragraph_starts(text))
    spans = []
    for start, following in pairwise([*starts, len(text)]):
        spans.append((start, start + len(text[start:following].rstrip())))
    return spans


def paragraph_starts(text: str) -> list[int]:
    """Offsets of the first visible character of the text and after each blank line, ascending."""
    return [match.end() for match in _PARAGRAPH.finditer(text) if match.end() < len(text)]


def sentence_starts(text: str, paragraphs: list[int]) -> list[int]:
    """Offsets where a sentence, list item, table row or paragraph begins, ascending.

    `paragraphs` are the text's `paragraph_starts`.
    """
    return sorted({*paragraphs, *_written_lines(text, paragraphs), *_after_terminals(text)})


def _after_terminals(text: str) -> list[int]:
    """Where a sentence begins after a full stop, a question mark, an exclamation mark or an ellipsis."""
    certain: list[int] = []
    before_small_letter: list[int] = []
    size = len(text)
    for match in _TERMINAL.finditer(text):
        stop, end = match.span()
        opening = _OPENING.match(text, end)
        if opening is None or opening.end() == size:
            continue
        following = text[opening.end()]
        if following in _GOES_ON:
            continue
        # The sentence begins at its dash or quote, not at the letter behind it.
        start = end + len(text[end : opening.end()]) - len(text[end : opening.end()].lstrip())
        if _in_a_title(text, stop, end):
            continue
        full_stop = end - stop == 1 and text[stop] == "."
        if full_stop and not text[max(0, stop - _LONGEST_ABBREVIATION - 1) : stop].isalpha():
            if _binds(text, stop, following):
                continue
        elif full_stop and stop <= _LONGEST_ABBREVIATION and _binds(text, stop, following):
            continue
        (before_small_letter if following.islower() else certain).append(start)
    # In a text without capitals a small letter after a full stop begins a sentence like any other.
    if len(before_small_letter) > 2 * len(certain):
        certain += before_small_letter
    return certain


def _in_a_title(text: str, stop: int, end: int) -> bool:
    """Whether the stop stands between quotation marks that close soon: «Информационная технология. Стадии создания»."""
    opened = text.rfind("«", max(0, stop - _LONGEST_TITLE), stop)
    if opened < 0 or text.find("»", opened, end) >= 0:
        return False
    closed = text.find("»", end, opened + _LONGEST_TITLE)
    return closed >= 0 and text.find("\n\n", opened, closed) < 0


def _binds(text: str, stop: int, following: str) -> bool:
    """Whether the full stop at `stop` belongs to an abbreviation, an initial or a number of a list."""
    window = text[max(0, stop - _LOOKBACK) : stop]
    match = _TAIL.search(window)
    tail = match.group() if match else ""
    if not tail:
        return False
    if tail[0].isdigit() or tail[-1].isdigit():
        line = text[max(0, stop - _LOOKBACK) : stop].rpartition("\n")[2].strip()
        at_line_start = len(line) < _LOOKBACK and (len(line) < len(window.strip()) or stop <= _LOOKBACK)
        return at_line_start and _NUMBERING.match(line) is not None
    lowered = tail.lower()
    letter = tail.rpartition(".")[2]
    if len(letter) == 1 and letter.isupper():
        return True  # an initial: "А. С. Пушкин", "J. Smith", "U.S."
    if not following.islower() and not following.isdigit():
        before = window[: len(window) - len(tail)].rstrip()
        if lowered in ("д", "п") and before.endswith("т."):
            return False  # "и т. д. Затем"
        counted = before.endswith(("н.", "X", "V", "I")) or before[-1:].isdigit()
        opens = stop < _LOOKBACK or any(mark in before for mark in ".!?\n")
        if lowered in _COUNTED and counted:
            return opens  # "родился в далёком 1799 г. Отец" ends here, "В 2017 г. Компания" does not
    if lowered in _BINDING:
        return True
    return lowered in _TRAILING and (following.islower() or following.isdigit())


def _written_lines(text: str, paragraphs: list[int]) -> list[int]:
    """Starts of lines that the writer began: list items, table rows, lines after a line that had room left."""
    starts: list[int] = []
    for begin, end in pairwise([*paragraphs, len(text)]):
        if text.find("\n", begin, end) < 0:
            continue
        lines = text[begin:end].split("\n")
        widest = max(map(len, lines)) * _FULL_LINE
        offset = begin
        previous = ""
        for line in lines:
            visible = line.lstrip()
            if previous and visible:
                first = visible[0]
                if (
                    "\t" in line
                    or "|" in line
                    or "\t" in previous
                    or "|" in previous
                    or (
                        not first.islower()
                        and len(previous) < widest
                        and len(previous) + visible.find(" ") + 1 < widest
                    )
                    or (not first.isalpha() and _MARKER.match(visible))
                    or (visible[1:2] == ")" and _MARKER.match(visible))
                ):
                    starts.append(offset + len(line) - len(visible))
            if visible:
                previous = line
            offset += len(line) + 1
    return starts
