"""Makes the sample documents that no editor writes: PDF, docx and texts in old encodings, from tests/sample_texts.

    pip install -e '.[samples]'
    python tests/make_sample_docs.py [--fonts FOLDER]

Texts, names and figures are invented. The same library versions give the same bytes. The fonts are DejaVu Sans
(Debian: fonts-dejavu-core), whose licence allows embedding; only the letters used are embedded. The other files of
sample_docs are written by hand.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import docx
from docx.shared import Pt
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

HERE = Path(__file__).parent
TEXTS = HERE / "sample_texts"
TARGET = HERE.parent / "sample_docs"
MADE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WIDTH, HEIGHT, MARGIN = 595, 842, 62  # points; A4
ENCODED = {"instrukciya-vp210.txt": "cp1251", "protokol-07.txt": "koi8-r", "release-notes.txt": "utf-16"}
SCAN = """АКТ ПРИЁМА-ПЕРЕДАЧИ
к договору № 17-А

г. Приозёрск, 1 сентября 2025 г.

Арендодатель передал, а Арендатор принял
помещение по адресу: ул. Портовая, д. 8, оф. 21.

Показания счётчика электричества: 04417.
Ключей: 3 комплекта. Пропусков: 2.
Замечаний к состоянию помещения нет.

Ладогин ____________   Мережкова ____________"""
# A Russian word may be broken behind a vowel where a consonant and a vowel follow.
SYLLABLE = re.compile(
    r"(?<=[аеёиоуыэюя])(?=[бвгджзйклмнпрстфхцчшщ][аеёиоуыэюя])|(?<=[аеёиоуыэюя][лмнрстк])(?=[бвгдзклмнпрст][аеёиоуыэюя])"
)


def main() -> None:
    """Make every file anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts/truetype/dejavu"))
    fonts = parser.parse_args().fonts
    os.environ["SOURCE_DATE_EPOCH"] = str(int(MADE.timestamp()))  # read by reportlab in place of the clock
    for name in ("DejaVuSans", "DejaVuSans-Bold"):
        pdfmetrics.registerFont(TTFont(name, fonts / f"{name}.ttf"))
    TARGET.mkdir(exist_ok=True)
    for name, encoding in ENCODED.items():
        (TARGET / name).write_bytes((TEXTS / name).read_text("utf-8").encode(encoding))
    write_pdf("dogovor-arendy", "Договор аренды № 17-А", "ООО «Северный причал»", outline=True)
    write_pdf("thermologger-tl40", "ThermoLogger TL-40 User Manual", "Quiet Harbour Instruments", two_columns={2})
    write_pdf("akt-vozvrata", "Опись и акт к договору № 17-А", "ООО «Тихая гавань»", scan=scanned(fonts))
    write_docx("reglament-otpuskov")


@dataclass
class Column:
    """Where the next line goes. Points, from the lower left corner of the page."""

    left: float
    width: float
    y: float = HEIGHT - MARGIN
    bottom: float = MARGIN


@dataclass
class Layout:
    """One PDF, written line by line; `section` numbers the bookmarks."""

    canvas: Canvas
    outline: bool
    column: Column = field(default_factory=lambda: Column(MARGIN, WIDTH - 2 * MARGIN))
    spare: list[Column] = field(default_factory=list)
    section: int = 0

    def put(self, block: str) -> None:
        """One block of the source: a heading, a table or a paragraph."""
        if marks := re.match(r"(#+) ", block):
            self.heading(block[marks.end() :], len(marks[1]))
        elif block.startswith("| "):
            self.table([[cell.strip() for cell in row.strip("| ").split("|")] for row in block.split("\n")])
        else:
            self.paragraph(block.replace("**", ""))

    def heading(self, text: str, level: int) -> None:
        size = {1: 15, 2: 12, 3: 10.5}[level]
        self.column.y -= 6
        self.lines(text, "DejaVuSans-Bold", size, keep=3)
        if self.outline:
            key = f"section-{self.section}"
            self.section += 1
            top = self.column.y + 2 * size
            self.canvas.bookmarkPage(key, fit="XYZ", left=0, top=top, zoom=0)
            self.canvas.addOutlineEntry(text, key, level - 1)
        self.column.y -= 5

    def paragraph(self, text: str) -> None:
        self.lines(text, "DejaVuSans", 10)
        self.column.y -= 8

    def lines(self, text: str, font: str, size: float, keep: int = 1) -> None:
        """The text broken to the column, which goes on in the next one; `keep` lines need room at least."""
        for line in broken(text, font, size, self.column.width):
            if self.column.y - keep * size * 1.4 < self.column.bottom and self.spare:
                self.column = self.spare.pop(0)
            self.column.y -= size * 1.4
            self.canvas.setFont(font, size)
            self.canvas.drawString(self.column.left, self.column.y, line)

    def table(self, rows: list[list[str]]) -> None:
        places = [0.0, 0.48, 0.68]
        for number, row in enumerate(rows):
            self.column.y -= 16
            self.canvas.setFont("DejaVuSans-Bold" if number == 0 else "DejaVuSans", 9)
            for cell, place in zip(row, places, strict=True):
                self.canvas.drawString(self.column.left + 4 + place * self.column.width, self.column.y, cell)
            self.canvas.rect(self.column.left, self.column.y - 4, self.column.width, 16)
        self.column.y -= 16


def write_pdf(
    name: str,
    title: str,
    author: str,
    *,
    outline: bool = False,
    two_columns: frozenset[int] | set[int] = frozenset(),
    scan: bytes = b"",
) -> None:
    """A PDF of the source's pages, which `---` parts; a scan becomes a last page without text."""
    canvas = Canvas(str(TARGET / f"{name}.pdf"), pagesize=(WIDTH, HEIGHT), pageCompression=1)
    canvas.setTitle(title)
    canvas.setAuthor(author)
    layout = Layout(canvas, outline)
    pages = (TEXTS / f"{name}.md").read_text("utf-8").strip().split("\n\n---\n\n")
    for number, page in enumerate(pages, 1):
        half = (WIDTH - 2 * MARGIN - 24) / 2
        columns = (
            [Column(MARGIN, half, bottom=HEIGHT * 0.55), Column(MARGIN + half + 24, half)]
            if number in two_columns
            else [Column(MARGIN, WIDTH - 2 * MARGIN)]
        )
        layout.column, layout.spare = columns[0], columns[1:]
        for block in page.split("\n\n"):
            layout.put(block)
        if len(pages) > 1:
            canvas.setFont("DejaVuSans", 8)
            canvas.drawCentredString(WIDTH / 2, MARGIN / 2, f"{title} · {number} / {len(pages)}")
        canvas.showPage()
    if scan:
        canvas.drawImage(ImageReader(io.BytesIO(scan)), 0, 0, WIDTH, HEIGHT)
        canvas.showPage()
    canvas.save()


def broken(text: str, font: str, size: float, width: float) -> list[str]:
    """Lines that fit; Russian words are broken with a hyphen as a typesetter does."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        rest = word
        while rest:
            wider = f"{line} {rest}".strip()
            if pdfmetrics.stringWidth(wider, font, size) <= width:
                line, rest = wider, ""
                continue
            head = next(
                (
                    rest[:cut]
                    for cut in reversed([match.start() for match in SYLLABLE.finditer(rest)])
                    if cut > 2
                    and len(rest) - cut > 3
                    and pdfmetrics.stringWidth(f"{line} {rest[:cut]}-", font, size) <= width
                ),
                "",
            )
            lines.append(f"{line} {head}-".strip() if head else line)
            line, rest = "", rest[len(head) :]
    return [*lines, line]


def scanned(fonts: Path) -> bytes:
    """A sheet as a scanner gives it: grey, a little askew, with dust; JPEG."""
    page = Image.new("L", (827, 1169), 246)
    font = ImageFont.truetype(fonts / "DejaVuSans.ttf", 25)
    ImageDraw.Draw(page).multiline_text((95, 150), SCAN, fill=40, font=font, spacing=14)
    page = page.rotate(0.6, Image.Resampling.BILINEAR, fillcolor=246)
    dust = random.Random(17)
    for _ in range(300):
        page.putpixel((dust.randrange(827), dust.randrange(1169)), dust.randrange(90, 200))
    target = io.BytesIO()
    page.save(target, "JPEG", quality=35)
    return target.getvalue()


def write_docx(name: str) -> None:
    """Headings, a numbered list, a table with a header row, a footnote, a header and a footer."""
    document = docx.Document()
    properties = document.core_properties
    properties.title, properties.author, properties.comments = "Регламент предоставления отпусков", "Отдел кадров", ""
    properties.created = properties.modified = MADE.replace(tzinfo=None)
    document.styles["Normal"].font.size = Pt(11)
    section = document.sections[0]
    section.header.paragraphs[0].text = "ООО «Тихая гавань» · Р-05 · редакция 2"
    section.footer.paragraphs[0].text = "Контрольный экземпляр хранится в канцелярии"
    footnote = ""
    for block in (TEXTS / f"{name}.md").read_text("utf-8").strip().split("\n\n"):
        if marks := re.match(r"(#+) ", block):
            document.add_heading(block[marks.end() :], len(marks[1]))
        elif block.startswith("| "):
            rows = [[cell.strip() for cell in row.strip("| ").split("|")] for row in block.split("\n")]
            table = document.add_table(0, len(rows[0]), style="Table Grid")
            for row in rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
            repeated = docx.oxml.OxmlElement("w:tblHeader")
            table.rows[0]._tr.get_or_add_trPr().append(repeated)
        elif block.startswith("[^1]: "):
            footnote = block.removeprefix("[^1]: ")
        elif block.startswith("1. "):
            for item in block.split("\n"):
                document.add_paragraph(item.split(". ", 1)[1], style="List Number")
        else:
            document.add_paragraph(block)
    raw = io.BytesIO()
    document.save(raw)
    (TARGET / f"{name}.docx").write_bytes(with_footnote(raw, footnote))


def with_footnote(package: io.BytesIO, text: str) -> bytes:
    """The package with a footnote part for the mark [^1], every file of it dated the same day."""
    main = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    content = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    note = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        f'<w:footnotes xmlns:w="{main}">'
        '<w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
        '<w:footnote w:type="continuationSeparator" w:id="0"><w:p><w:r><w:continuationSeparator/></w:r></w:p>'
        "</w:footnote>"
        '<w:footnote w:id="1"><w:p><w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:footnoteRef/></w:r>'
        f'<w:r><w:t xml:space="preserve"> {text}</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )
    mark = (
        '</w:t></w:r><w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:footnoteReference w:id="1"/></w:r>'
        '<w:r><w:t xml:space="preserve">'
    )
    edits = {
        "word/document.xml": ("[^1]", mark),
        "word/_rels/document.xml.rels": (
            "</Relationships>",
            f'<Relationship Id="rIdNotes" Type="{kind}" Target="footnotes.xml"/></Relationships>',
        ),
        "[Content_Types].xml": (
            "</Types>",
            f'<Override PartName="/word/footnotes.xml" ContentType="{content}"/></Types>',
        ),
    }
    target = io.BytesIO()
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        parts = {name: old.read(name) for name in old.namelist() if "thumbnail" not in name}
        parts["_rels/.rels"] = re.sub(rb"<Relationship [^>]*thumbnail[^>]*/>", b"", parts["_rels/.rels"])
        parts["word/footnotes.xml"] = note.encode()
        for name, (before, after) in edits.items():
            assert parts[name].decode().count(before) == 1, name
            parts[name] = parts[name].decode().replace(before, after).encode()
        for name, data in parts.items():
            new.writestr(zipfile.ZipInfo(name, MADE.timetuple()[:6]), data, zipfile.ZIP_DEFLATED)
    return target.getvalue()


if __name__ == "__main__":
    main()
