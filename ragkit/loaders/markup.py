"""lxml, bounded: XML and HTML to trees. Nothing is fetched, no entity is expanded, no huge tree is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from lxml import etree, html  # type: ignore[import-untyped]  # ships no types

from ragkit.loaders.limits import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

Element: TypeAlias = Any  # lxml.etree._Element

_DAMAGED = "open it in its program, save it anew and index again"


def parse_xml(data: bytes, name: str) -> tuple[Element, str]:
    """The root, and "" or what is wrong: then only what stands before the fault is in the tree.

    Raises UnreadableDocument for what is no XML at all, and for a document type, which office programs never
    write and attacks need.
    """
    fault = ""
    try:
        root = etree.fromstring(data, _xml_parser(recover=False))
    except etree.XMLSyntaxError as error:
        fault = f"{name} is damaged at line {error.lineno}: {error.msg}"
        try:
            root = etree.fromstring(data, _xml_parser(recover=True))
        except etree.XMLSyntaxError:
            root = None
        if root is None:
            raise unreadable(fault, _DAMAGED) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise unreadable(f"{name} has a document type declaration, as attacks have", _DAMAGED, "refused")
    return root, fault


def _xml_parser(*, recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        recover=recover,
    )


def parse_html(text: str) -> tuple[Element, str]:
    """The root of a page, mended as browsers do, and "" or why reading ended before the page did.

    Raises UnreadableDocument where there is nothing.
    """
    # Encoded anew, for lxml refuses text that declares an encoding of its own. Without huge_tree it drops silently
    # what nests deeper than 256; with it the process's limits are the bound.
    parser = html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True)
    root = html.document_fromstring(text.encode(), parser=parser) if text.strip() else None
    if root is None:
        raise unreadable("it is empty", "remove it, or put text into it", "empty")
    fatal = [entry for entry in parser.error_log if entry.level == etree.ErrorLevels.FATAL]
    return root, f"{fatal[0].message} at line {fatal[0].line}" if fatal else ""


def local_name(element: Element) -> str:
    """The tag without its namespace; "" for comments and the like."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(element: Element, name: str) -> Iterator[Element]:
    """Children of that local name, whichever namespace: strict and transitional files differ in that alone."""
    for child in element:
        if local_name(child) == name:
            yield child


def child(element: Element | None, name: str) -> Element | None:
    return None if element is None else next(children(element, name), None)


def attribute(element: Element | None, name: str, default: str = "") -> str:
    """The attribute's value by local name."""
    if element is None:
        return default
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return default
