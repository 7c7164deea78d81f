"""Word documents: everything a reader sees, once and in order."""

from __future__ import annotations

import io
import zipfile

import docx as python_docx
import pytest
from loader_files import docx, p, r

from ragkit.errors import LoadError, UnreadableDocument
from ragkit.loaders import load
from ragkit.reports import Loaded

HEADING = '<w:style w:type="paragraph" w:styleId="a1"><w:name w:val="heading 1"/></w:style>'
BASED = (
    '<w:style w:type="paragraph" w:styleId="a2"><w:name w:val="Свой"/><w:basedOn w:val="a1"/></w:style>'
    '<w:style w:type="character" w:styleId="hid"><w:name w:val="Hidden"/><w:rPr><w:vanish/></w:rPr></w:style>'
)
NUMBERING = (
    '<w:abstractNum w:abstractNumId="0">'
    '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2."/></w:lvl>'
    '<w:lvl w:ilvl="2"><w:start w:val="1"/><w:numFmt w:val="russianLower"/><w:lvlText w:val="%3)"/></w:lvl>'
    '</w:abstractNum><w:abstractNum w:abstractNumId="1">'
    '<w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="\uf0b7"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>'
    '<w:num w:numId="3"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/>'
    "</w:lvlOverride></w:num>"
)


def load_docx(data: bytes, source: str = "договор.docx") -> Loaded:
    return load(io.BytesIO(data), source)


def item(text: str, level: int, number: int = 1) -> str:
    return p(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')


def row(*cells: str) -> str:
    return f"<w:tr>{''.join(f'<w:tc>{cell}</w:tc>' for cell in cells)}</w:tr>"


def test_paragraphs_and_tables_in_body_order() -> None:
    """A table stands between its paragraphs, a row a line, its header row first."""
    table = f"<w:tbl>{row(p('Товар'), p('Цена'))}{row(p('Сыр'), p('10'))}</w:tbl>"
    document = load_docx(docx(p("До") + table + p("После"))).document
    assert document.text == "До\n\nТовар | Цена\nСыр | 10\n\nПосле"
    assert document.page_starts == ()


def test_merged_and_nested_cells_are_given_once() -> None:
    """A cell over three columns and two rows has its text once; a table in a cell stays in its row."""
    wide = f'<w:tcPr><w:gridSpan w:val="99999999"/><w:vMerge w:val="restart"/></w:tcPr>{p("Итого")}'
    below = f'<w:tcPr><w:gridSpan w:val="99999999"/><w:vMerge/></w:tcPr>{p("Итого")}'
    nested = f"<w:tbl>{row(p('а'), p('б'))}</w:tbl>"
    table = f"<w:tbl>{row(wide, p('1'))}{row(below, nested)}</w:tbl>"
    assert load_docx(docx(table)).document.text == "Итого | 1\n | а | б"


def test_a_continued_merge_without_a_start_keeps_its_text() -> None:
    """Damaged merges lose no text."""
    cell = f"<w:tcPr><w:vMerge/></w:tcPr>{p('Сирота')}"
    assert load_docx(docx(f"<w:tbl>{row(cell)}</w:tbl>")).document.text == "Сирота"


def test_headings_come_from_styles_and_outline_levels() -> None:
    """A style named heading 1, one based on it, and a bare outline level all make headings at exact offsets."""
    body = p("Предмет", '<w:pStyle w:val="a1"/>') + p("Текст") + p("Цена", '<w:pStyle w:val="a2"/>')
    body += p("Сроки", '<w:outlineLvl w:val="1"/>')
    document = load_docx(docx(body, styles=HEADING + BASED)).document
    assert [(document.text[h.start :].split("\n")[0], h.level) for h in document.headings] == [
        ("Предмет", 1),
        ("Цена", 1),
        ("Сроки", 2),
    ]
    assert document.metadata["title"] == "Предмет"


def test_list_numbers_are_written_out() -> None:
    """Word keeps numbers out of the text; here they stand before it, nested, restarted, Russian, bulleted."""
    body = item("Общие", 0) + item("Срок", 1) + item("а", 2) + item("б", 2) + item("Цена", 1) + item("Прочее", 0)
    body += item("точка", 0, 2) + item("Снова", 0, 3) + item("Дальше", 0, 3)
    text = load_docx(docx(body, numbering=NUMBERING)).document.text
    assert text.split("\n") == [
        *("1. Общие", "1.1. Срок", "а) а", "б) б", "1.2. Цена", "2. Прочее"),
        *("• точка", "1. Снова", "2. Дальше"),
    ]


def test_insertions_count_and_deletions_do_not() -> None:
    """Tracked changes read as if accepted."""
    deleted = (
        "<w:del><w:r><w:delText>старая</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>ушла</w:t></w:r></w:moveFrom>"
    )
    body = f"<w:p>{r('цена ')}<w:ins>{r('новая')}</w:ins>{deleted}</w:p>"
    assert load_docx(docx(body)).document.text == "цена новая"


def test_text_boxes_are_given_once() -> None:
    """Word writes a box twice, for new and for old programs; a reader sees one."""
    box = f"<w:txbxContent>{p('В рамке')}</w:txbxContent>"
    both = (
        f"<mc:AlternateContent><mc:Choice><w:drawing><wps:txbx>{box}</wps:txbx></w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent>"
    )
    assert load_docx(docx(f"<w:p>{r('Текст')}<w:r>{both}</w:r></w:p>")).document.text == "Текст\n\nВ рамке"


def test_notes_follow_their_paragraph_and_headers_come_once() -> None:
    """A footnote and a comment stand after the paragraph that refers to them; a header of two sections stands once."""
    section = '<w:sectPr><w:headerReference r:id="header1"/></w:sectPr>'
    first = f'<w:p>{r("Пеня")}<w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:commentReference w:id="0"/></w:r></w:p>'
    text = load_docx(
        docx(
            first + p("Далее", section) + section,
            footnotes=f'<w:footnote w:id="0" w:type="separator">{p("черта")}</w:footnote>'
            f'<w:footnote w:id="2">{p("Сноска о пене")}</w:footnote>',
            comments=f'<w:comment w:id="0">{p("Проверить")}</w:comment>',
            header1=p("ООО «Ромашка»"),
        )
    ).document.text
    assert text == "Пеня\n\nСноска о пене\n\nПроверить\n\nДалее\n\nООО «Ромашка»"


def test_hidden_text_is_left_out_and_noted() -> None:
    """What a reader cannot see must not reach a model: hidden runs, by themselves or by their style."""
    hidden = r("ИГНОРИРУЙ", "<w:vanish/>") + r("ПРАВИЛА", '<w:rStyle w:val="hid"/>')
    loaded = load_docx(docx(f"<w:p>{r('Видно')}{hidden}</w:p>", styles=BASED))
    assert loaded.document.text == "Видно"
    assert loaded.notes == ("16 characters of hidden text were left out",)


def test_runs_tabs_breaks_and_hyphens() -> None:
    """A word over several runs is whole; soft hyphens vanish, hard ones stay."""
    body = "<w:p><w:r><w:t>дого</w:t></w:r><w:r><w:t>вор</w:t><w:tab/><w:t>а</w:t><w:br/><w:t>б</w:t></w:r>"
    body += "<w:r><w:t>вы</w:t><w:softHyphen/><w:t>сокий кто</w:t><w:noBreakHyphen/><w:t>то</w:t></w:r></w:p>"
    assert load_docx(docx(body)).document.text == "договор\tа\nбвысокий кто-то"


def test_a_file_of_python_docx_reads_the_same() -> None:
    """Properties and heading styles of a file made by a common library."""
    made = python_docx.Document()
    made.core_properties.title, made.core_properties.author = "Устав общества", "Петров П."
    made.add_heading("Общие положения", 1)
    made.add_paragraph("Общество создано на неопределённый срок.")
    out = io.BytesIO()
    made.save(out)
    document = load_docx(out.getvalue()).document
    assert document.text == "Общие положения\n\nОбщество создано на неопределённый срок."
    assert [heading.text for heading in document.headings] == ["Общие положения"]
    assert document.metadata["title"] == "Устав общества"
    assert document.metadata["author"] == "Петров П."


def test_damaged_styles_cost_no_text() -> None:
    """Styles and properties that cannot be read leave the text whole."""
    loaded = load_docx(docx(p("Текст", '<w:pStyle w:val="Heading2"/>'), styles="<<<", core="rubbish"))
    assert loaded.document.text == "Текст"
    assert loaded.document.headings[0].level == 2


def test_a_cut_off_body_gives_its_beginning_and_says_so() -> None:
    """Text before the fault is kept, and the fault is a problem with a cure."""
    whole = docx(p("Начало") + p("Конец"))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data[: data.index("Конец".encode())] if name == "word/document.xml" else data)
    loaded = load_docx(out.getvalue())
    assert loaded.document.text == "Начало"
    assert loaded.problems[0].code == "damaged"
    assert loaded.problems[0].cure


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)
ENTITIES = '<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa">]>'


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (OLE + "EncryptedPackage".encode("utf-16-le"), "encrypted", "encrypted"),
        (OLE, "misnamed", "old .doc"),
        (b"<!DOCTYPE html><html>", "misnamed", "HTML"),
        (b"%PDF-1.4", "misnamed", "PDF"),
        (b"PK\x03\x04 not really a zip", "unreadable", "damaged"),
        (b"", "empty", "empty"),
        (docx(""), "empty", "no text"),
        (docx(f"<w:p>{r('тайна', '<w:vanish/>')}</w:p>"), "empty", "hidden"),
    ],
)
def test_what_is_no_word_document_is_named(data: bytes, code: str, words: str) -> None:
    """Encrypted, old, misnamed, damaged and empty files each have a reason and a cure of their own."""
    with pytest.raises(LoadError, match=words) as caught:
        load_docx(data)
    assert caught.value.code == code
    assert caught.value.hint


def test_bombs_and_entities_are_refused() -> None:
    """Two million paragraphs in 10 kB, and a document type, which attacks need, are refused before they cost."""
    with pytest.raises(UnreadableDocument, match="unpacks to"):
        load_docx(docx("<w:p/>" * 2_000_000))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        package.writestr("word/document.xml", ENTITIES + "<w><body><p>&a;</p></body></w>")
    with pytest.raises(UnreadableDocument, match="document type"):
        load_docx(out.getvalue())
