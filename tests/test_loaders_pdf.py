"""PDF: pages, whole words, outlines, and the reason of every page without text."""

from __future__ import annotations

import io

import pypdf
import pytest
from loader_files import FORMS, IMAGE, pdf, pdf_of_contents

from ragkit.errors import UnreadableDocument
from ragkit.loaders import load
from ragkit.loaders.pages import Page, document_of_pages
from ragkit.loaders.pdf_words import whole_words
from ragkit.loaders.titles import iso_date, sensible_title
from ragkit.reports import Loaded


def load_pdf(data: bytes) -> Loaded:
    return load(io.BytesIO(data), "отчёт.pdf")


def test_pages_begin_where_their_text_begins() -> None:
    """`page_starts` has an entry for each page, and the text from it to the next is that page's."""
    document = load_pdf(pdf([["Первая страница", "вторая строка"], ["Вторая страница"]])).document
    assert document.text == "Первая страница\nвторая строка\n\nВторая страница"
    assert document.page_starts == (0, document.text.index("Вторая страница"))
    assert document.metadata["pages"] == 2


def test_an_outline_becomes_headings_on_their_pages() -> None:
    """A title stands where it is printed on the page it points to, else at that page's start."""
    pages = [["Введение", "текст"], ["продолжение", "Глава  первая"], ["конец"]]
    outline = [("Введение", 1), ("Глава первая", 2), ("Нет такого текста", 3)]
    document = load_pdf(pdf(pages, outline=outline)).document
    assert [(h.text, document.text[h.start :].split("\n")[0]) for h in document.headings] == [
        ("Введение", "Введение"),
        ("Глава первая", "Глава первая" if "Глава первая" in document.text else "Глава  первая"),
        ("Нет такого текста", "конец"),
    ]


def test_properties_become_metadata_where_they_say_something() -> None:
    """Title, author and dates are taken; what programs put there by themselves is not."""
    info = "/Title (Annual Report 2024) /Author (A. Writer) /CreationDate (D:20240505101500+03'00')"
    assert load_pdf(pdf([["text"]], info=info)).document.metadata == {
        "title": "Annual Report 2024",
        "author": "A. Writer",
        "created": "2024-05-05T10:15:00+03:00",
        "pages": 1,
    }
    assert "title" not in load_pdf(pdf([["text"]], info="/Title (Microsoft Word - report.doc)")).document.metadata


@pytest.mark.parametrize(
    ("title", "sensible"),
    [
        ("Годовой отчёт", "Годовой отчёт"),
        ("Microsoft Word - Годовой отчёт", "Годовой отчёт"),
        ("Microsoft Word - Документ1", ""),
        ("Документ (2)", ""),
        ("untitled", ""),
        ("0001213900-23-024631", ""),
        ("495064_CLEAN.PDF", ""),
        ("Договор\n поставки ", "Договор поставки"),
    ],
)
def test_titles_that_a_person_would_recognise(title: str, sensible: str) -> None:
    """Placeholders, file names and numbers are no titles."""
    assert sensible_title(title) == sensible


def test_dates() -> None:
    """PDF dates become ISO 8601; what is none becomes nothing."""
    assert iso_date("D:2024") == "2024-01-01"
    assert iso_date("D:20240505101500Z") == "2024-05-05T10:15:00Z"
    assert iso_date("D:20241399") == ""
    assert iso_date("вчера") == ""


@pytest.mark.parametrize(
    ("page", "whole"),
    [
        ("Это иссле\x02дование важно", "Это исследование\nважно"),
        ("Это иссле-\r\nдование важно", "Это исследование\nважно"),
        ("Это иссле\xad\r\nдование важно", "Это исследование\nважно"),
        ("вы\xadсокий", "высокий"),
        ("кто и то: кто-\nто пришёл", "кто и то: кто-то\nпришёл"),
        ("из-за и из-\nза угла", "из-за и из-за\nугла"),
        ("Нью-\nЙорк большой", "Нью-Йорк\nбольшой"),
        ("ДОГО-\nВОР поставки", "ДОГОВОР\nпоставки"),
        ("COVID\ufffe19 pandemic", "COVID-19 pandemic"),
        ("oﬃce ﬁles", "office files"),
        ("long\ufffeterm plan; long-term", "long-term\nplan; long-term"),
        ("- пункт\n- пункт", "- пункт\n- пункт"),
        ("1990-\n2000", "1990-\n2000"),
    ],
)
def test_broken_words_become_whole(page: str, whole: str) -> None:
    """A hyphen at a line end goes where it broke a word and stays where the document writes it elsewhere."""
    assert whole_words([page]) == [whole]


def test_words_of_other_pages_decide_about_hyphens() -> None:
    """The whole document is the dictionary."""
    assert whole_words(["бизнес-\nплан готов", "наш бизнес-план"])[0] == "бизнес-план\nготов"


def test_whole_words_take_linear_time() -> None:
    """A page that is one endless word, or hyphens only, does not hang."""
    for page in ("а" * 300_000, "а-\n" * 100_000, "-\n" * 100_000, "\x02" * 100_000, "а\x02" * 100_000):
        assert whole_words([page])


def test_a_broken_word_in_a_real_file_is_found_whole() -> None:
    """From the bytes of a PDF to the text: the word is whole, the line after it begins anew."""
    text = load_pdf(pdf([["Проводится иссле-", "дование рынка", "и ещё строка"]])).document.text
    assert text == "Проводится исследование\nрынка\nи ещё строка"


def test_scanned_and_blank_pages_are_told_apart() -> None:
    """A page that is an image is a problem with a page and a cure; a blank one is a note."""
    words = "BT /F1 12 Tf 50 700 Td (Enough words to make this page a page of text, as any reader would say) Tj ET"
    loaded = load_pdf(pdf_of_contents([words, IMAGE, ""], extra=FORMS))
    (problem,) = loaded.problems
    assert (problem.page, problem.code) == (2, "no_text")
    assert "OCR" in problem.cure
    assert loaded.notes == ("page 3 is blank",)
    assert len(loaded.document.page_starts) == 3


@pytest.mark.parametrize(
    ("contents", "code", "words"),
    [
        ([IMAGE], "no_text", "its only page has no text layer"),
        ([IMAGE, IMAGE], "no_text", "each of its 2 pages has no text layer"),
        ([""], "empty", "is blank"),
    ],
)
def test_a_file_without_any_text_says_why(contents: list[str], code: str, words: str) -> None:
    """Nothing but scans and nothing at all are different reasons with different cures."""
    with pytest.raises(UnreadableDocument, match=words) as caught:
        load_pdf(pdf_of_contents(contents, extra=FORMS))
    assert caught.value.code == code
    assert caught.value.hint


def test_garbled_pages_are_reported_and_kept_out() -> None:
    """A text layer of private-use letters is no text: the page is named, its rubbish is not indexed."""
    loaded = document_of_pages("a.pdf", [Page("Слова"), Page("\ue001\ue002\ue003 \ue004")], [], {})
    assert loaded.document.text == "Слова\n\n"
    assert loaded.problems[0].code == "garbled"
    assert loaded.problems[0].page == 2


def test_letters_by_their_places_in_the_font_are_put_back() -> None:
    """A font without a map to Unicode gives М as "F"; such pages are read as Russian where that then fits."""
    line = "Уголовный кодекс Российской Федерации состоит из общей и особенной части"
    spoiled = "".join(chr(ord(char) - 0x3D6) if "А" <= char <= "я" else char for char in line)
    assert spoiled.startswith("M]heh\\guc dh^_dk")
    loaded = document_of_pages("a.pdf", [Page("\n".join([spoiled] * 4 + ["http://example.invalid/"]))], [], {})
    assert loaded.document.text == "\n".join([line] * 4 + ["http://example.invalid/"])
    assert loaded.notes == ("1 pages had letters by their places in the font: letters were put back",)


def encrypted(user: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf([["secret"]])))
    writer.encrypt(user, "owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_an_encrypted_file_names_its_cure_and_an_empty_password_opens() -> None:
    """A password that a reader must type is the reader's to remove; a lock on printing alone is no obstacle."""
    with pytest.raises(UnreadableDocument, match="is encrypted") as caught:
        load_pdf(encrypted("пароль"))
    assert (caught.value.code, caught.value.hint) == ("encrypted", "remove the password and index again")
    assert load_pdf(encrypted("")).document.text == "secret"


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty"), (b"<!doctype html><p>x", "misnamed"), (b"PK\x03\x04....", "misnamed"), (b"rubbish", "unreadable")],
)
def test_what_is_no_pdf_is_named(data: bytes, code: str) -> None:
    """Empty, misnamed and damaged files have reasons of their own."""
    with pytest.raises(UnreadableDocument) as caught:
        load_pdf(data)
    assert caught.value.code == code
    assert caught.value.hint


def test_the_second_parser_reads_what_the_first_cannot() -> None:
    """A file whose trailer points nowhere opens in pypdf only; the note says so."""
    loaded = load_pdf(pdf([["Найдено вторым"]]).replace(b"/Root 1 0 R", b"/Root 9 0 R"))
    assert loaded.document.text == "Найдено вторым"
    assert "the first parser failed" in loaded.notes[0]
