"""Markdown: the file's own text and lines, with its headings and front matter found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from ragkit.loaders.limits import DEFAULT_LIMITS, Limits
from ragkit.loaders.text import read_text
from ragkit.reports import Loaded
from ragkit.types import Document, Heading

if TYPE_CHECKING:
    from collections.abc import Iterator

_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")
_NO_PARAGRAPH = re.compile(r" {4}|\t| {0,3}(>|[-+*][ \t]|\d{1,9}[.)][ \t]|\||(?:[-*_][ \t]*){3,}$|<)")
_MARKS = re.compile(r"(?<!\\)(\*\*|__|`+)|!?\[([^\[\]]*)\]\([^()]*\)|\{#[\w-]+\}$")
_FRONT_LINE = re.compile(r"([A-Za-z][\w-]*):[ \t]+(\S.*)$")
_FRONT_KEYS = {"date": "created", "lang": "language"}


def load_markdown(stream: BinaryIO, source: str, limits: Limits = DEFAULT_LIMITS) -> Loaded:
    """Headings by # and by underline, outside code fences. Raises as `load_text` does."""
    text, metadata, problems, notes = read_text(stream, limits)
    front, body = _front_matter(text)
    headings = tuple(_headings(text, body))
    first = next((heading.text for heading in headings if heading.level == 1), "")
    metadata = {**front, **metadata}
    if first and not metadata.get("title"):
        metadata["title"] = first
    document = Document(source, text, media_type="text/markdown", headings=headings, metadata=metadata)
    return Loaded(document, problems, notes)


def _front_matter(text: str) -> tuple[dict[str, str | int | float], int]:
    """Its plain `key: value` lines, and the offset where the body begins."""
    if not text.startswith("---\n"):
        return {}, 0
    end = text.find("\n---\n", 3)
    if end < 0:
        return {}, 0
    found: dict[str, str | int | float] = {}
    for line in text[4:end].split("\n"):
        if match := _FRONT_LINE.match(line):
            key, value = match[1].lower(), match[2].strip().strip("\"'")
            if value and value[0] not in "[{|>&*!":
                found[_FRONT_KEYS.get(key, key)] = value
    found.pop("encoding", None)
    return found, end + len("\n---\n")


def _headings(text: str, start: int) -> Iterator[Heading]:
    fence = ""
    paragraph: tuple[int, str] | None = None  # the one line above, if it is a paragraph of one line
    lines_in_paragraph = 0
    for line in text[start:].split("\n"):
        here, start = start, start + len(line) + 1
        if fence:
            closing = _FENCE.match(line)
            if closing and closing[1].startswith(fence) and not closing[2].strip():
                fence = ""
            continue
        opening = _FENCE.match(line)
        if opening and not (opening[1][0] == "`" and "`" in opening[2]):
            fence, paragraph, lines_in_paragraph = opening[1], None, 0
            continue
        if atx := _ATX.match(line):
            if title := plain(_unclosed(line[atx.end() :])):
                yield Heading(here + line.index("#"), len(atx[1]), title)
            paragraph, lines_in_paragraph = None, 0
        elif paragraph and lines_in_paragraph == 1 and (setext := _SETEXT.match(line)):
            yield Heading(paragraph[0], 1 if setext[1][0] == "=" else 2, plain(paragraph[1]))
            paragraph, lines_in_paragraph = None, 0
        elif not line.strip():
            paragraph, lines_in_paragraph = None, 0
        elif lines_in_paragraph or not _NO_PARAGRAPH.match(line):
            lines_in_paragraph += 1
            paragraph = paragraph or (here, line)


def _unclosed(title: str) -> str:
    """Without the marks at its end that close a heading. Not by a pattern: many blanks would cost their square."""
    title = title.strip(" \t")
    without = title.rstrip("#")
    return without if not without or without[-1] in " \t" else title


def plain(markup: str) -> str:
    """A heading without its emphasis, code and link marks, whitespace as single spaces."""
    return " ".join(_MARKS.sub(lambda match: match[2] or "", markup).split())
