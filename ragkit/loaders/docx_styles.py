"""Properties and styles of a docx, by python-docx. It knows nothing of the text.

python-docx is given a small package with these two parts and an empty body: it reads a whole body by repeating
merged cells, where 920 bytes can take all memory.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass

import docx

from ragkit.loaders.hygiene import one_line
from ragkit.loaders.markup import Element, attribute, child, children
from ragkit.loaders.titles import sensible_name, sensible_title

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_SHELL = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{_TYPES}.document.main+xml"/>'
    f'<Override PartName="/word/styles.xml" ContentType="{_TYPES}.styles+xml"/>'
    '<Override PartName="/docProps/core.xml" '
    'ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="r1" Type="{_RELATION}/officeDocument" Target="word/document.xml"/>'
    '<Relationship Id="r2" Target="docProps/core.xml" '
    'Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"/></Relationships>',
    "word/_rels/document.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    f'relationships"><Relationship Id="r1" Type="{_RELATION}/styles" Target="styles.xml"/></Relationships>',
    "word/document.xml": f'<w:document xmlns:w="{_W}"><w:body/></w:document>',
}
_EMPTY_STYLES = f'<w:styles xmlns:w="{_W}"/>'.encode()
_EMPTY_CORE = b'<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"/>'
_MAX_STYLES = 20_000
_HEADING = re.compile(r"(?:heading|заголовок|überschrift|titre|título)\s*([1-9])", re.IGNORECASE)
_HEADING_ID = re.compile(r"Heading([1-9])|([1-9])")


@dataclass(frozen=True, slots=True)
class Style:
    """What a style says that matters to the text; `level` 0 is no heading, `numbering` the w:numPr element."""

    level: int = 0
    hidden: bool = False
    numbering: Element | None = None


def properties_and_styles(core: bytes | None, styles: bytes | None) -> tuple[dict[str, str], dict[str, Style]]:
    """Metadata (title, author, created, modified, language) and styles by id.

    A part that python-docx cannot read counts as absent: neither keeps text out.
    """
    return _properties(core or _EMPTY_CORE), _styles(styles or _EMPTY_STYLES)


def _open(core: bytes, styles: bytes) -> docx.document.Document:
    shell = io.BytesIO()
    with zipfile.ZipFile(shell, "w") as package:
        for name, content in _SHELL.items():
            package.writestr(name, content)
        package.writestr("docProps/core.xml", core)
        package.writestr("word/styles.xml", styles)
    shell.seek(0)
    return docx.Document(shell)


def _properties(core: bytes) -> dict[str, str]:
    try:
        known = _open(core, _EMPTY_STYLES).core_properties
        found = {
            "title": sensible_title(known.title),
            "author": sensible_name(known.author),
            "created": known.created.isoformat() if known.created else "",
            "modified": known.modified.isoformat() if known.modified else "",
            "language": one_line(known.language),
        }
    except Exception:  # noqa: BLE001 - damaged properties raise anything, and must not keep the text out
        return {}
    return {key: value for key, value in found.items() if value}


def _styles(styles: bytes) -> dict[str, Style]:
    try:
        root: Element = _open(_EMPTY_CORE, styles).styles.element
    except Exception:  # noqa: BLE001 - as above
        return {}
    elements: dict[str, Element] = {}
    for element in children(root, "style"):
        elements[attribute(element, "styleId")] = element
        if len(elements) == _MAX_STYLES:
            break
    return {identity: _style(identity, elements) for identity in elements}


def _style(identity: str, elements: dict[str, Element]) -> Style:
    """The style with what it inherits."""
    level, hidden, numbering = 0, False, None
    for _ in range(12):  # styles based on each other in a ring must end
        element = elements.get(identity)
        if element is None:
            break
        properties = child(element, "pPr")
        level = level or outline_level(properties) or _named_level(attribute(child(element, "name"), "val"))
        hidden = hidden or is_on(child(child(element, "rPr"), "vanish"))
        numbering = child(properties, "numPr") if numbering is None else numbering
        identity = attribute(child(element, "basedOn"), "val")
    return Style(level, hidden, numbering)


def outline_level(properties: Element | None) -> int:
    """1 to 9 from w:outlineLvl, 0 where it is absent or says body text."""
    value = attribute(child(properties, "outlineLvl"), "val")
    return int(value) + 1 if value in set("012345678") else 0


def _named_level(name: str) -> int:
    match = _HEADING.fullmatch(name.strip())
    return int(match[1]) if match else int(name.strip().lower() in ("title", "название"))


def is_on(element: Element | None) -> bool:
    """Whether a switch such as w:vanish is there and not set to false."""
    return element is not None and attribute(element, "val", "true") not in ("0", "false", "off")


def level_by_id(identity: str) -> int:
    """The level that a style's id suggests, for files whose styles cannot be read."""
    match = _HEADING_ID.fullmatch(identity)
    return int(match[1] or match[2]) if match else 0
