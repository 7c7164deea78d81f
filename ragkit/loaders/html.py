"""HTML pages: what a reader sees, by blocks, with headings. Scripts, styles and hidden parts are left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import BinaryIO

from ragkit.loaders.encoding import Decoded, UnknownEncodingError, decode
from ragkit.loaders.hygiene import normalise, one_line
from ragkit.loaders.limits import DEFAULT_LIMITS, Limits, check_text_size, read_at_most, unreadable
from ragkit.loaders.markup import Element, attribute, local_name, parse_html
from ragkit.loaders.sniff import binary_kind
from ragkit.loaders.titles import sensible_title
from ragkit.reports import Loaded, Problem
from ragkit.types import Document, Heading

_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,100}?encoding=[\"']([\w.-]+)"
)
_SKIPPED = frozenset(
    ["script", "style", "template", "noscript", "head", "iframe", "object", "svg", "canvas", "select", "datalist"]
)
_TIGHT = frozenset(["li", "dt", "dd", "tr", "caption", "option", "figcaption"])
_BLOCKS = _TIGHT | frozenset(
    [
        *("address", "article", "aside", "blockquote", "body", "center", "details", "dialog", "div", "dl", "fieldset"),
        *("figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "legend", "main"),
        *("menu", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "ul"),
    ]
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\n\r\f]+")
_SPACE_RUN = re.compile(r"[ \t]+")
_CELL_GAP = " | "


def load_html(stream: BinaryIO, source: str, limits: Limits = DEFAULT_LIMITS) -> Loaded:
    """Raises UnreadableDocument: empty, binary, an encoding that cannot be told."""
    data = read_at_most(stream, limits)
    check_text_size(len(data) // 2, limits)
    if kind := binary_kind(data):
        raise unreadable(f"it is not HTML but {kind}", "give it the suffix of its kind, or remove it", "misnamed")
    decoded = _decode(data)
    root, fault = parse_html(normalise(decoded.text))
    writer = _Writer(limits)
    writer.walk(root)
    text, headings = writer.finish()
    if not text:
        raise unreadable(
            f"it shows no text{fault and '; reading ended early: '}{fault}",
            "remove it, or save the page after it has loaded",
            "empty",
        )
    metadata: dict[str, str | int | float] = {"encoding": decoded.encoding}
    first = next((heading.text for heading in headings if heading.level == 1), "")
    if title := sensible_title(next((element.text or "" for element in root.iter("title")), "")) or first:
        metadata["title"] = title
    if language := one_line(attribute(root, "lang")):
        metadata["language"] = language
    for element in root.iter("meta"):
        if attribute(element, "name").lower() == "author" and (author := one_line(attribute(element, "content"))):
            metadata["author"] = author
    document = Document(source, text, media_type="text/html", headings=headings, metadata=metadata)
    cure = "save it as UTF-8 and index again"
    problems = [Problem(decoded.damage, cure, code="encoding")] if decoded.damage else []
    if fault:
        problems.append(Problem(f"reading ended early: {fault}", "save the page anew and index again", code="damaged"))
    notes = [decoded.note] if decoded.note else []
    if writer.hidden:
        notes.append(f"{writer.hidden} hidden parts were left out")
    return Loaded(document, tuple(problems), tuple(notes))


def _decode(data: bytes) -> Decoded:
    """UTF-8 and byte order marks before what the page says of itself: pages are saved anew in other encodings."""
    match = _CHARSET.search(data[:4096])
    declared = (match[1] or match[2]).decode("ascii", "replace") if match else ""
    if declared and declared.lower() not in ("utf-8", "utf8", "utf-16"):
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            try:
                return Decoded(data.decode(declared), declared.lower())
            except (LookupError, UnicodeDecodeError):
                pass
    try:
        return decode(data)
    except UnknownEncodingError as error:
        cure = "save it as UTF-8 and index again"
        raise unreadable(f"its encoding could not be told: {error}", cure, "encoding") from error


@dataclass(slots=True)
class _Writer:
    """Collects blocks of text; the walk keeps its own stack, for pages nest deeper than Python calls."""

    limits: Limits
    hidden: int = 0
    _blocks: list[tuple[str, int, bool]] = field(default_factory=list)  # text, heading level, tight
    _pieces: list[str] = field(default_factory=list)
    _level: int = 0
    _tight: bool = False
    _preformatted: int = 0
    _rows: int = 0  # rows that are open: blocks inside a cell do not end it
    _size: int = 0

    def walk(self, root: Element) -> None:
        stack: list[tuple[Element, bool]] = [(root, False)]
        while stack:
            element, closing = stack.pop()
            name = local_name(element)
            if closing:
                self._close(name)
                self._write(element.tail or "")
                continue
            if not name or name in _SKIPPED or self._is_hidden(element):
                self._write(element.tail or "")
                continue
            self._open(name)
            self._write(element.text or "")
            stack.append((element, True))
            stack.extend((child, False) for child in reversed(element))

    def _is_hidden(self, element: Element) -> bool:
        style = element.get("style")
        hidden = element.get("hidden") is not None or (style is not None and bool(_HIDDEN.search(style)))
        self.hidden += hidden
        return hidden

    def _open(self, name: str) -> None:
        if name == "br":
            self._pieces.append(" " if self._rows else "\n")
        elif name in ("td", "th") and self._rows:
            self._pieces.append("\0")  # a cell's edge: not in the text, which has been cleaned
        elif name in _BLOCKS and (not self._rows or name == "tr"):
            self._end_block()
            self._tight = name in _TIGHT
            self._level = int(name[1]) if name[0] == "h" and name[1:].isdigit() else self._level
        elif name in _BLOCKS:
            self._pieces.append(" ")
        self._rows += name == "tr"
        self._preformatted += name == "pre"

    def _close(self, name: str) -> None:
        self._rows -= name == "tr"
        if name in _BLOCKS and not self._rows:
            self._end_block()
        elif name in _BLOCKS:
            self._pieces.append(" ")
        self._preformatted -= name == "pre"

    def _write(self, text: str) -> None:
        if text:
            self._pieces.append(text if self._preformatted else _SPACE.sub(" ", text))
            self._size += len(text)
            check_text_size(self._size, self.limits)

    def _end_block(self) -> None:
        text = "".join(self._pieces)
        if "\0" in text:
            cells = [" ".join(cell.split()) for cell in text.lstrip("\0 ").split("\0")]
            text = _CELL_GAP.join(cells) if any(cells) else ""
        elif self._preformatted:
            text = text.strip("\n")
        else:
            text = "\n".join(line.strip() for line in _SPACE_RUN.sub(" ", text).split("\n")).strip()
        if text.strip():
            self._blocks.append((" ".join(text.split()) if self._level else text, self._level, self._tight))
        self._pieces, self._level, self._tight = [], 0, False

    def finish(self) -> tuple[str, tuple[Heading, ...]]:
        """The text and its headings, at their offsets."""
        self._end_block()
        pieces: list[str] = []
        headings: list[Heading] = []
        offset = 0
        for text, level, tight in self._blocks:
            clean = normalise(text)
            gap = "" if not pieces else "\n" if tight else "\n\n"
            offset += len(gap)
            if level:
                headings.append(Heading(offset, level, clean))
            pieces += (gap, clean)
            offset += len(clean)
        return "".join(pieces), tuple(headings)
