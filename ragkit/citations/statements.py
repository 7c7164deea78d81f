"""The sentences of an answer, each with the markers and the quotations that belong to it.

It knows nothing of documents.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ragkit.citations.markers import Marker
from ragkit.citations.quotes import Quotation, unquoted
from ragkit.sentences import sentences

_BETWEEN_MARKERS = re.compile(r"[\s,;.]*")
_LIST_ITEM = re.compile(r"\A\s*(?:[-*•–—]\s+|\d{1,3}[.)]\s+|#{1,6}\s+)")
_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Quoted:
    """A quotation's words with the brackets in it and, where it has markers, without; and the sources it names."""

    readings: tuple[str, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, `text[start:end]` of the answer, its markers included.

    `numbers` are those it names. `clauses` are its words up to each group of markers, with the group's numbers.
    `inherited` are those of the sentence with a colon before it, for its quotations only.
    """

    start: int
    end: int
    numbers: tuple[int, ...]
    clauses: tuple[tuple[str, tuple[int, ...]], ...]
    quoted: tuple[Quoted, ...]
    words: str
    inherited: tuple[int, ...] = ()


def read_sentences(text: str, markers: Sequence[Marker], quotations: Sequence[Quotation]) -> list[Sentence]:
    """In order; a sentence that a quotation crosses goes on to the end of that quotation's last sentence."""
    found: list[Sentence] = []
    handed_on: tuple[int, ...] = ()
    for start, end in _spans(text, markers, quotations):
        own = [marker for marker in markers if start <= marker.start < end]
        quoted = [quotation for quotation in quotations if start <= quotation.start < end]
        numbers = _numbers(own)
        words = _without(text, start, end, own)
        if not numbers and not _LETTER.search(words):
            continue
        found.append(
            Sentence(
                start,
                end,
                numbers,
                _clauses(text, start, own),
                tuple(_quoted(text, quotation, own) for quotation in quoted),
                _LIST_ITEM.sub("", words, count=1).strip(),
                () if numbers else handed_on,
            )
        )
        if numbers or not quoted:
            handed_on = numbers if words.rstrip(" *_").endswith(":") else ()
    return found


def _spans(text: str, markers: Sequence[Marker], quotations: Sequence[Quotation]) -> list[tuple[int, int]]:
    masked = list(text)
    for marker in markers:
        masked[marker.start : marker.end] = " " * (marker.end - marker.start)
    spans: list[list[int]] = []
    crossing = iter(quotations)
    quotation = next(crossing, None)
    for start, end in sentences("".join(masked)):
        while quotation and quotation.end <= start:
            quotation = next(crossing, None)
        if spans and quotation and quotation.start < start and spans[-1][1] > quotation.start:
            spans[-1][1] = max(end, spans[-1][1])
        else:
            spans.append([start, end])
    _take_in(text, markers, spans)
    return [(start, end) for start, end in spans]


def _take_in(text: str, markers: Sequence[Marker], spans: list[list[int]]) -> None:
    """Give each marker between sentences to the one before it, or at the start of a line to the one behind it."""
    index = 0
    for marker in markers:
        while index < len(spans) and spans[index][1] <= marker.start:
            index += 1
        if index < len(spans) and spans[index][0] <= marker.start:
            continue
        before = spans[index - 1] if index else None
        behind = spans[index] if index < len(spans) else None
        if before and ("\n" not in text[before[1] : marker.start] or _alone(text, marker, behind)):
            before[1] = marker.end
        elif behind:
            behind[0] = marker.start
        else:
            spans.append([marker.start, marker.end])


def _alone(text: str, marker: Marker, behind: list[int] | None) -> bool:
    """Whether nothing but markers stands in its line."""
    end = text.find("\n", marker.end)
    end = len(text) if end < 0 else end
    return behind is None or behind[0] >= end


def _quoted(text: str, quotation: Quotation, own: Sequence[Marker]) -> Quoted:
    start, end = quotation.inner_start, quotation.inner_end
    inside = [marker for marker in own if start <= marker.start < end]
    readings = [text[start:end], _without(text, start, end, inside)] if inside else [text[start:end]]
    if quotation.block:
        readings = [unquoted(reading) for reading in readings]
    following = [marker for marker in own if marker.start >= quotation.end]
    return Quoted(
        tuple(reading.strip() for reading in readings),
        _numbers(inside or _group(text, following)) or _numbers(own),
    )


def _group(text: str, markers: Sequence[Marker]) -> list[Marker]:
    """The first of the markers, and those directly behind it."""
    group: list[Marker] = []
    for marker in markers:
        if group and not _BETWEEN_MARKERS.fullmatch(text, group[-1].end, marker.start):
            break
        group.append(marker)
    return group


def _clauses(text: str, start: int, markers: Sequence[Marker]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    clauses = []
    rest = list(markers)
    while rest:
        group = _group(text, rest)
        clauses.append((_LIST_ITEM.sub("", text[start : group[0].start], count=1).strip(" ,;"), _numbers(group)))
        start, rest = group[-1].end, rest[len(group) :]
    return tuple(clauses)


def _without(text: str, start: int, end: int, markers: Sequence[Marker]) -> str:
    pieces = []
    for marker in markers:
        pieces.append(text[start : marker.start].rstrip(" \t"))
        start = marker.end
    return "".join([*pieces, text[start:end]])


def _numbers(markers: Sequence[Marker]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(number for marker in markers for number in marker.numbers))
