"""The text of a docx part in reading order: paragraphs, tables, boxes, notes; each once.

Works on the XML by local names and knows nothing of zip files. Hidden runs and deletions are left out;
insertions count as text, as a reader sees them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ragkit.loaders.docx_lists import Lists
from ragkit.loaders.docx_styles import Style, is_on, level_by_id, outline_level
from ragkit.loaders.hygiene import normalise
from ragkit.loaders.markup import Element, attribute, child, children, local_name

_MAX_DEPTH = 40  # of tables, boxes and content controls in one another
_CELL_GAP = " | "
# Containers whose children count as if they stood in their place: Word's, drawings that may hold a box, formulas.
_TRANSPARENT = frozenset(
    [
        *("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "hyperlink", "fldSimple", "bdo", "dir"),
        *("ruby", "rubyBase", "AlternateContent", "Choice", "Fallback", "object", "pict", "drawing", "inline"),
        *("anchor", "graphic", "graphicData", "wsp", "wgp", "grpSp", "wpc", "txbx", "textbox", "shape", "rect", "oval"),
        *("roundrect", "group", "line", "polyline", "shapetype", "oMath", "oMathPara", "f", "num", "den", "e", "sup"),
        *("sub", "sSup", "sSub", "sSubSup", "rad", "deg", "nary", "d", "func", "fName", "m", "mr", "acc", "bar", "box"),
        *("eqArr", "groupChr", "limLow", "limUpp", "lim", "borderBox", "sPre"),
    ]
)
_NOTES = {"footnoteReference": "footnote", "endnoteReference": "endnote", "commentReference": "comment"}
_SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": ""}


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a table row, a note. `tight` blocks follow the one before on the next line."""

    text: str
    level: int = 0
    tight: bool = False


@dataclass(slots=True)
class Body:
    """Reads parts; what it met on the way is kept: `hidden` characters left out, `headers` named by sections."""

    styles: dict[str, Style]
    lists: Lists
    note: Callable[[str, str], Element | None] = lambda _kind, _identity: None
    hidden: int = 0
    headers: list[str] = field(default_factory=list)
    _aside: list[Element] = field(default_factory=list)  # boxes and notes met within the current paragraph

    def blocks(self, parent: Element, depth: int = 0) -> list[Block]:
        """The blocks of a part's body, a cell, a box or a note."""
        found: list[Block] = []
        if depth > _MAX_DEPTH:
            text = normalise("".join(element.text or "" for element in parent.iter() if local_name(element) == "t"))
            return [Block(text)] if text.strip() else []
        for element in parent:
            name = local_name(element)
            if name == "p":
                found += self._paragraph(element, depth)
            elif name == "tbl":
                found += self._table(element, depth)
            elif name == "AlternateContent":
                found += self.blocks(_alternative(element), depth + 1)
            elif name == "sectPr":
                self._section(element)
            elif name in _TRANSPARENT:
                found += self.blocks(element, depth + 1)
        return found

    def _paragraph(self, paragraph: Element, depth: int) -> list[Block]:
        properties = child(paragraph, "pPr")
        if (section := child(properties, "sectPr")) is not None:
            self._section(section)
        identity = attribute(child(properties, "pStyle"), "val")
        style = self.styles.get(identity, Style())
        outer, self._aside = self._aside, []
        text = normalise(self._inline(paragraph, style.hidden, depth)).strip()
        aside, self._aside = self._aside, outer
        numbering = child(properties, "numPr")
        numbering = style.numbering if numbering is None else numbering
        blocks = []
        if text:
            label = self.lists.label(numbering)
            level = outline_level(properties) or style.level or (0 if self.styles else level_by_id(identity))
            listed = numbering is not None and not level
            if level:
                text = " ".join(text.split())
            blocks.append(Block(f"{label} {text}" if label else text, level, tight=listed))
        for element in aside:
            blocks += self.blocks(element, depth + 1)
        return blocks

    def _inline(self, parent: Element, hidden: bool, depth: int) -> str:
        pieces = []
        for element in parent:
            name = local_name(element)
            if name == "r":
                concealed = hidden or self._is_hidden(child(element, "rPr"))
                text = self._inline(element, concealed, depth)
                self.hidden += len(text) if concealed else 0
                pieces.append("" if concealed else text)
            elif name == "t":
                pieces.append(element.text or "")
            elif name in _SIGNS:
                pieces.append(_SIGNS[name])
            elif name in _NOTES:
                self._aside += self._note(name, element)
            elif name == "txbxContent":
                self._aside += [] if hidden else [element]
            elif name == "AlternateContent":
                pieces.append(self._inline(_alternative(element), hidden, depth))
            elif name in _TRANSPARENT:
                pieces.append(self._inline(element, hidden, depth))
        return "".join(pieces)

    def _note(self, name: str, reference: Element) -> list[Element]:
        note = self.note(_NOTES[name], attribute(reference, "id"))
        return [] if note is None else [note]

    def _is_hidden(self, properties: Element | None) -> bool:
        vanish = child(properties, "vanish")
        if vanish is not None:
            return is_on(vanish)
        identity = attribute(child(properties, "rStyle"), "val")
        return identity in self.styles and self.styles[identity].hidden

    def _section(self, section: Element) -> None:
        for element in section:
            if local_name(element) in ("headerReference", "footerReference"):
                self.headers.append(attribute(element, "id"))

    def _table(self, table: Element, depth: int) -> list[Block]:
        """A block for each row, its cells in order; a merged cell's text in its first row and column only."""
        found: list[Block] = []
        merging: set[int] = set()  # columns whose cell above goes on downwards
        for row in _through(table, "tr"):
            if child(child(row, "trPr"), "del") is not None:
                continue
            cells, column, goes_on = [], 0, set()
            for cell in _through(row, "tc"):
                properties = child(cell, "tcPr")
                merge = child(properties, "vMerge")
                below = merge is not None and attribute(merge, "val", "continue") == "continue" and column in merging
                cells.append("" if below else self._cell(cell, depth))
                if merge is not None:
                    goes_on.add(column)
                column += _span(attribute(child(properties, "gridSpan"), "val"))
            merging = goes_on
            if any(cells):
                found.append(Block(_CELL_GAP.join(cells).rstrip(), tight=bool(found)))
        return found

    def _cell(self, cell: Element, depth: int) -> str:
        return " ".join(re.sub(r"\s+", " ", block.text) for block in self.blocks(cell, depth + 1))


def _span(text: str) -> int:
    return int(text) if re.fullmatch(r"\d{1,3}", text) else 1


def _through(parent: Element, name: str, depth: int = 0) -> list[Element]:
    """The rows or cells of `parent`, also those that content controls wrap."""
    found: list[Element] = []
    for element in parent:
        if local_name(element) == name:
            found.append(element)
        elif local_name(element) in _TRANSPARENT and depth < _MAX_DEPTH:
            found += _through(element, name, depth + 1)
    return found


def _alternative(element: Element) -> Element:
    """The one reading of several that gives text: what Word wrote first, else its fallback."""
    choices = [*children(element, "Choice"), *children(element, "Fallback")]
    for choice in choices:
        if any(local_name(inner) == "t" and inner.text for inner in choice.iter()):
            return choice
    return choices[0] if choices else element
