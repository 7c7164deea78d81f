"""Damaged documents by a seed: the same number is the same file, wherever it is made.

A mutant is a small sound document of one format after one to four mutations, of its bytes or, for docx, of a part
inside its zip.
"""

from __future__ import annotations

import io
import random
import re
import struct
import zipfile
from collections.abc import Callable, Iterator

from loader_files import FORMS, IMAGE, docx, p, pdf, pdf_of_contents, r

Mutation = Callable[[bytes, random.Random], bytes]
LEASE = "Пункт 3.1. Залог возвращается в течение десяти рабочих дней; the deposit is returned in ten working days."
TABLE = (
    "<w:tbl>" + ("<w:tr>" + "".join(f"<w:tc>{p(f'ячейка {n}')}</w:tc>" for n in range(3)) + "</w:tr>") * 3 + "</w:tbl>"
)
STYLES = '<w:style w:type="paragraph" w:styleId="a1"><w:name w:val="heading 1"/></w:style>'
MARKDOWN = f"# Договор\n\n{LEASE}\n\n| срок | сумма |\n|---|---|\n| 10 | 20 |\n\n```\nx = 1\n```\n\n> > * пункт\n\n[1]: http://x\n"
HTML = (
    f'<!doctype html><html><head><meta charset="utf-8"><title>Договор</title></head><body><h1>Глава 1</h1><p>{LEASE}'
    '<table><tr><td colspan="2">1</td><td>2</td></tr></table><ul><li>раз<li>два</ul><pre>x  y</pre>&amp;&#1078;'
    "<script>alert(1)</script></body></html>"
)
CORE = (
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Договор</dc:title></cp:coreProperties>'
)


def _members(data: bytes) -> list[tuple[str, bytes]] | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            return [(info.filename, package.read(info)) for info in package.infolist()]
    except Exception:  # noqa: BLE001 - damaged by a mutation before: whatever it is, its bytes are mutated instead
        return None


def _zipped(members: list[tuple[str, bytes]], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Without the time of day, so that a seed gives the same bytes at any time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as package:
        for name, content in members:
            info = zipfile.ZipInfo(name if name not in package.NameToInfo else f"{name}x")
            info.compress_type = kind
            package.writestr(info, content)
    return out.getvalue()


def _undated(data: bytes) -> bytes:
    return _zipped(_members(data) or [])


SEEDS: dict[str, tuple[bytes, ...]] = {
    "pdf": (
        pdf([[LEASE[:60]], ["Вторая страница"]], info="/Title (x)", outline=[("Вторая", 2)]),
        pdf_of_contents(["BT /F1 12 Tf 50 700 Td (survives) Tj ET " + IMAGE], extra=FORMS),
    ),
    "docx": (
        _undated(
            docx(
                p("Глава", '<w:pStyle w:val="a1"/>') + p(LEASE) + TABLE + p("конец"),
                styles=STYLES,
                footnotes=f'<w:footnote w:id="1">{p("сноска")}</w:footnote>',
                header1=p("колонтитул"),
                core=CORE,
            )
        ),
        _undated(docx(f'<w:p>{r("раз")}<w:ins w:id="1">{r("два")}</w:ins></w:p>{p(LEASE)}')),
    ),
    "html": (HTML.encode(), HTML.replace("utf-8", "windows-1251").encode("cp1251", "replace")),
    "md": (MARKDOWN.encode(), MARKDOWN.replace("\n", "\r\n").encode("cp1251", "replace")),
    "txt": tuple(
        (LEASE + "\n\n" + LEASE.upper()).encode(name) for name in ("utf-8", "cp1251", "koi8-r", "utf-16", "cp866")
    ),
}
HUGE = (b"0", b"-1", b"2147483648", b"4294967295", b"9223372036854775808", b"99999999999999999999", b"1e309", b"NaN")
STRANGE = (
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x1b[31m",
    b"\xe2\x80\xae",
    b"\xef\xbf\xbf",
    b"\xcc\x81" * 300,
)
NESTS = (
    b"[",
    b"<<",
    b"(",
    b"<div>",
    b"<table><tr><td>",
    b"<w:tbl><w:tr><w:tc>",
    b"<w:p><w:r>",
    b"> ",
    b"* ",
    b"&",
    b"q ",
    b"<!--",
)
HEADERS = (
    b"%PDF-9.9\n",
    b"PK\3\4",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\x89PNG\r\n\x1a\n",
    b"<?xml version='1.0' encoding='x'?>",
)
DTD = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'


def mutants(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes, of all formats in turn."""
    suffixes = list(SEEDS)
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        suffix = suffixes[number % len(suffixes)]
        data = chance.choice(SEEDS[suffix])
        for _ in range(chance.randint(1, 4)):
            data = chance.choice(ZIP_MUTATIONS if suffix == "docx" and chance.random() < 0.6 else MUTATIONS)(
                data, chance
            )
        yield f"{number:05}.{suffix}", data


def _span(data: bytes, chance: random.Random, most: int = 200) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + chance.randint(1, most))


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 4, 30)) if changed else 0):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randint(0, len(data))]


def duplicate_block(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 2, 500)) + data[end:]


def delete_block(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance)
    return data[:start] + data[end:]


def swap_blocks(data: bytes, chance: random.Random) -> bytes:
    a, b, c, d = sorted(chance.randint(0, len(data)) for _ in range(4))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def splice(data: bytes, chance: random.Random) -> bytes:
    other = chance.choice(SEEDS[chance.choice(list(SEEDS))])
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def change_header(data: bytes, chance: random.Random) -> bytes:
    return chance.choice(HEADERS) + data[chance.choice((0, 4, 8)) :]


def inflate_number(data: bytes, chance: random.Random) -> bytes:
    places = [match.span() for match in re.finditer(rb"\d+", data)]
    if not places:
        return data
    start, end = chance.choice(places)
    return data[:start] + chance.choice(HUGE) + data[end:]


def insert_strange(data: bytes, chance: random.Random) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.choice(STRANGE) * chance.choice((1, 1, 100)) + data[at:]


def nest(data: bytes, chance: random.Random) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.choice(NESTS) * chance.choice((3, 300, 20_000)) + data[at:]


def damage_part(data: bytes, chance: random.Random) -> bytes:
    """Any mutation of the bytes, on one part inside."""
    members = _members(data)
    if not members:
        return flip_bits(data, chance)
    at = chance.randrange(len(members))
    members[at] = (members[at][0], chance.choice(MUTATIONS)(members[at][1], chance))
    return _zipped(members, chance.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)))


def damage_xml(data: bytes, chance: random.Random) -> bytes:
    """A tag lost, doubled or renamed, a document type with entities, parts of another namespace."""
    members = _members(data)
    if not members:
        return truncate(data, chance)
    at = chance.randrange(len(members))
    text = members[at][1].decode("utf-8", "replace")
    tags = [match.span() for match in re.finditer(r"<[^>]+>", text)] or [(0, 0)]
    start, end = chance.choice(tags)
    text = chance.choice(
        (
            text[:start] + text[end:],
            text[:end] + text[start:end] * chance.choice((1, 3000)) + text[end:],
            text[:start] + text[start:end].replace("w:", "v:") + text[end:],
            DTD + text[:end] + "&b;&f;" + text[end:],
            text.replace('"http://', '"urn:', 1),
            text[:end] + "\0\x0b" + text[end:],
        )
    )
    members[at] = (members[at][0], text.encode())
    return _zipped(members, chance.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)))


def damage_members(data: bytes, chance: random.Random) -> bytes:
    """Parts lost, renamed out of the folder, bombs, thousands of them, lying sizes and checksums."""
    members = _members(data)
    if not members:
        return delete_block(data, chance)
    kind = chance.randrange(6)
    at = chance.randrange(len(members))
    if kind == 0:
        del members[at]
    elif kind == 1:
        members[at] = (chance.choice(("../../x.xml", "/etc/passwd", "word\\document.xml", "a" * 3000)), members[at][1])
    elif kind == 2:
        members[at] = (members[at][0], members[at][1] + b" " * 30_000_000)
    elif kind == 3:
        members += [(f"word/{number}.xml", b"") for number in range(6000)]
    packed = bytearray(_zipped(members, chance.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))))
    if kind >= 4:  # a size or checksum in the table at the end
        entry = packed.rfind(b"PK\1\2")
        struct.pack_into(
            "<I", packed, entry + chance.choice((16, 20, 24, 42)), chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF))
        )
    return bytes(packed)


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    truncate,
    duplicate_block,
    delete_block,
    swap_blocks,
    splice,
    change_header,
    inflate_number,
    insert_strange,
    nest,
)
ZIP_MUTATIONS: tuple[Mutation, ...] = (damage_part, damage_xml, damage_members)
