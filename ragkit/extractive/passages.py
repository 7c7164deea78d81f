"""The sentences of a passage that may be quoted, each with its surroundings: heading, table head, neighbours.

It knows where sentences stand and what they hang on, and nothing of questions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ragkit.positions import PATH_SEPARATOR
from ragkit.sentences import sentences
from ragkit.tables import RULE, head_row
from ragkit.types import Chunk, Document

_AROUND = 600  # characters before and after a passage, where a sentence that it cuts may begin and end
_NEAR = 200  # characters before a sentence that say what it speaks of
_BEGINNING = 200  # characters at the top of a document that say what it is about
_LONGEST_LABEL = 100  # characters
_ENDED = re.compile(r"[.!?…:;,]['\"»”’)\]*_]*\Z")
_MARKS = "#*_ \t"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A span that may be quoted. `label` is where the heading line begins that stands right above it.

    `above` is what it stands under: headings, a table's head; `before` the text just before. `plain` is False for
    a line that is no sentence: a title, a heading, an item without a full stop.
    """

    start: int
    end: int
    text: str
    above: str
    before: str
    plain: bool = True
    label: int | None = None
    head: str = ""  # the head of the table, where it is a row


def quotable(document: Document, chunk: Chunk) -> Iterator[Sentence]:
    """Every sentence that the passage touches, whole also where it runs on beyond it.

    A line that ends in a colon comes with what follows; a heading, and a question, only as a label of that.
    """
    text = document.text
    first = max(0, chunk.start - _AROUND)
    spans = [(first + start, first + end) for start, end in sentences(text[first : chunk.end + _AROUND])]
    labels = {" ".join(heading.text.split()) for heading in document.headings}
    kinds = [_kind(text, start, end, labels) for start, end in spans]
    head = ""
    for i, (start, end) in enumerate(spans):
        kind = kinds[i]
        if kind not in ("row", "rule"):
            head = ""
        elif not head and kind == "row":
            head = head_row(text, start) if i == 0 else text[start:end]
            if head == text[start:end] and i + 1 < len(spans) and kinds[i + 1] in ("row", "rule"):
                continue  # the head itself answers nothing
        if start >= chunk.end or end <= chunk.start or kind in ("heading", "question", "rule"):
            continue
        if text[end - 1] == ":" and i + 1 < len(spans):
            end = spans[i + 1][1]
        labelled = i > 0 and kind != "row" and kinds[i - 1] in ("heading", "question", "line")
        label = spans[i - 1][0] if labelled else None
        near = text[max(0, start - _NEAR) : start]
        above = (
            f"{chunk.heading.replace(PATH_SEPARATOR, ' ')}\n{head}\n{text[label:start] if label is not None else ''}"
        )
        yield Sentence(start, end, text[start:end], above, near, kind != "line", label, head)


def about(document: Document) -> str:
    """What says of every sentence of a document what it is about: its title and beginning."""
    return f"{document.title}\n{document.text[:_BEGINNING]}"


def _kind(text: str, start: int, end: int, labels: set[str]) -> str:
    """ "heading", "question", "row" or "rule" of a table, "line" without an end, or "" for a sentence."""
    span = text[start:end]
    if " ".join(span.strip(_MARKS).split()) in labels:
        return "heading"
    if "|" in span and "\n" not in span:
        return "rule" if RULE.match(span) else "row"
    if span.rstrip("\"'»”’)]*_").endswith("?"):
        return "question"
    line = text.rfind("\n", 0, start) + 1 == start and (end == len(text) or text[end : end + 1] == "\n")
    if line and end - start <= _LONGEST_LABEL and "\n" not in span and not _ENDED.search(span):
        return "line"
    return ""
