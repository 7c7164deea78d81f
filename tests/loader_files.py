"""Small documents made in memory: PDF by hand, docx by zipfile."""

from __future__ import annotations

import io
import zipfile

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def pdf(pages: list[list[str]], *, info: str = "", outline: list[tuple[str, int]] = (), extra: str = "") -> bytes:
    """A page for each list of lines; any letters, by one font whose codes are mapped to Unicode."""
    letters = sorted({char for page in pages for line in page for char in line})
    codes = {char: 33 + number for number, char in enumerate(letters)}
    assert len(letters) < 220
    contents = []
    for page in pages:
        shown = "".join(f"<{''.join(f'{codes[char]:02X}' for char in line)}> Tj T*\n" for line in page)
        contents.append(f"BT /F1 12 Tf 14 TL 50 780 Td\n{shown}ET\n" if page else "")
    return pdf_of_contents(contents, codes=codes, info=info, outline=list(outline), extra=extra)


def pdf_of_contents(
    contents: list[str],
    *,
    codes: dict[str, int] | None = None,
    info: str = "",
    outline: list[tuple[str, int]] | None = None,
    extra: str = "",
) -> bytes:
    """A page for each content stream. `extra` is put into every page's resources."""
    mapping = "\n".join(
        f"<{code:02X}> <{char.encode('utf-16-be').hex()}>" for char, code in (codes or {" ": 32}).items()
    )
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def\n"
        f"1 begincodespacerange <00> <FF> endcodespacerange\n{len(codes or ' ')} beginbfchar\n{mapping}\nendbfchar\n"
        "endcmap end end"
    )
    objects: dict[int, str] = {
        3: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 4 0 R >>",
        4: stream(cmap),
        6: f"<< {info} >>",
    }
    first = 10
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(contents)))
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>"
    for number, content in enumerate(contents):
        page = first + 2 * number
        resources = f"<< /Font << /F1 3 0 R >> {extra} >>"
        objects[page] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {page + 1} 0 R /Resources {resources} >>"
        )
        objects[page + 1] = stream(content)
    root = "<< /Type /Catalog /Pages 2 0 R"
    if outline:
        root += " /Outlines 5 0 R"
        begin = first + 2 * len(contents)
        objects[5] = (
            f"<< /Type /Outlines /First {begin} 0 R /Last {begin + len(outline) - 1} 0 R /Count {len(outline)} >>"
        )
        for number, (title, page) in enumerate(outline):
            here = begin + number
            following = f"/Next {here + 1} 0 R" if number + 1 < len(outline) else ""
            before = f"/Prev {here - 1} 0 R" if number else ""
            name = (b"\xfe\xff" + title.encode("utf-16-be")).hex()
            objects[here] = (
                f"<< /Title <{name}> /Parent 5 0 R {following} {before} /Dest [{first + 2 * (page - 1)} 0 R /Fit] >>"
            )
    objects[1] = root + " >>"
    objects.update(EXTRA_OBJECTS if extra else {})
    return assembled(objects)


# A form that draws itself twice, and a grey image of one pixel.
EXTRA_OBJECTS = {
    7: "<< /Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /XObject << /Me 7 0 R >> >>"
    " /Length 13 >>\nstream\n/Me Do /Me Do\nendstream",
    8: "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>"
    "\nstream\nA\nendstream",
}
FORMS = "/XObject << /Me 7 0 R /Im 8 0 R >>"
IMAGE = "q 500 0 0 700 40 40 cm /Im Do Q"


def stream(text: str) -> str:
    return f"<< /Length {len(text)} >>\nstream\n{text}\nendstream"


def assembled(objects: dict[int, str]) -> bytes:
    out = io.BytesIO(b"%PDF-1.7\n")
    out.seek(0, io.SEEK_END)
    places = {}
    for number in sorted(objects):
        places[number] = out.tell()
        out.write(f"{number} 0 obj\n{objects[number]}\nendobj\n".encode("latin-1"))
    table = out.tell()
    out.write(b"xref\n0 1\n0000000000 65535 f \n")
    for number, place in places.items():
        out.write(f"{number} 1\n{place:010} 00000 n \n".encode())
    out.write(f"trailer << /Size {max(objects) + 1} /Root 1 0 R /Info 6 0 R >>\nstartxref\n{table}\n%%EOF".encode())
    return out.getvalue()


def text_flood() -> bytes:
    """Forms drawing forms drawing text: a few hundred bytes that give tens of millions of letters."""
    levels = 8
    objects = {1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Kids [10 0 R] /Count 1 >>", 6: "<< >>"}
    objects[3] = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    resources = "/Resources << /Font << /F1 3 0 R >> /XObject << /X {} 0 R >> >>"
    objects[10] = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 11 0 R {resources.format(20)} >>"
    objects[11] = stream("/X Do")
    for level in range(levels):
        drawn = "/X Do " * 12 if level < levels - 1 else "BT /F1 12 Tf (flood of text) Tj ET"
        head = f"/Type /XObject /Subtype /Form /BBox [0 0 595 842] {resources.format(21 + level)}"
        objects[20 + level] = f"<< {head} /Length {len(drawn)} >>\nstream\n{drawn}\nendstream"
    objects[20 + levels] = objects[20 + levels - 1]
    return assembled(objects)


def docx(body: str, **parts: str | bytes) -> bytes:
    """A docx with this w:body. Parts: styles, numbering, footnotes, comments, header1, core: the inside of each."""
    roots = {"styles": "styles", "numbering": "numbering", "footnotes": "footnotes", "comments": "comments"}
    out = io.BytesIO()
    relations = ""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("word/document.xml", f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>")
        for number, (name, inside) in enumerate(parts.items()):
            if name == "core":
                package.writestr("docProps/core.xml", inside)
                continue
            root = roots.get(name, "hdr")
            kind = roots.get(name, "header")
            package.writestr(f"word/{name}.xml", f"<w:{root} {NAMESPACES}>{inside}</w:{root}>")
            identity = name if root == "hdr" else f"r{number}"
            relations += f'<Relationship Id="{identity}" Type="{RELATION}/{kind}" Target="{name}.xml"/>'
        package.writestr("word/_rels/document.xml.rels", f'<Relationships xmlns="x">{relations}</Relationships>')
        package.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="x"><Relationship Id="r1" Type="{RELATION}/officeDocument"'
            ' Target="word/document.xml"/></Relationships>',
        )
    return out.getvalue()


NAMESPACES = (
    f'xmlns:w="{W}" xmlns:r="{RELATION}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    ' xmlns:v="urn:schemas-microsoft-com:vml"'
)


def p(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{r(text)}</w:p>"


def r(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'
