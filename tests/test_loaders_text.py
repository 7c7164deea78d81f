"""Plain text: encodings, hygiene, lines."""

from __future__ import annotations

import io
import tracemalloc
import unicodedata
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import LoadError, UnsupportedFormat
from ragkit.loaders import load, supported_suffixes
from ragkit.loaders.hygiene import normalise
from ragkit.loaders.letters import mend_letters

CONTRACT = (
    "Договор № 17 от 5 мая 2024 г.\n"
    "Пункт 3.1: срок поставки — 30 календарных дней.\n"
    "За просрочку начисляется пеня 0,1 % за каждый день, Поставщик обязан уплатить её по требованию."
)


def text_of(data: bytes, source: str = "договор.txt") -> str:
    return load(io.BytesIO(data), source).document.text


@pytest.mark.parametrize(
    ("codec", "shown"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32-le"),
        ("cp1251", "cp1251"),
        ("koi8-r", "koi8-r"),
        ("cp866", "cp866"),
        ("mac-cyrillic", "mac-cyrillic"),
        ("iso8859-5", "iso8859-5"),
    ],
)
def test_every_cyrillic_encoding_is_read_and_named(codec: str, shown: str) -> None:
    """The eleven ways to write Russian all give the same text, and the metadata says which it was."""
    written = CONTRACT.replace("—", "-") if codec in ("koi8-r", "cp866", "iso8859-5") else CONTRACT
    written = written.replace("№", "N") if codec == "koi8-r" else written
    document = load(io.BytesIO(written.encode(codec)), "договор.txt").document
    assert document.text == written
    assert document.metadata["encoding"] == shown


def test_a_guess_is_told() -> None:
    """A guessed encoding stands in the notes with how well it fits; a certain one needs no note."""
    assert (
        "read as cp1251, guessed by letter frequency" in load(io.BytesIO(CONTRACT.encode("cp1251")), "a.txt").notes[0]
    )
    assert load(io.BytesIO(CONTRACT.encode()), "a.txt").notes == ()


def test_ukrainian_and_western_text_are_read_too() -> None:
    """Letters that Russian lacks, or a few accents between Latin letters, are no reason to refuse."""
    ukrainian = "Усі люди народжуються вільними і рівними у своїй гідності та правах."
    assert text_of(ukrainian.encode("cp1251")) == ukrainian
    western = "The naïve café – open “daily” since the summer."
    assert text_of(western.encode("cp1252")) == western


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (bytes(range(256)) * 40, "binary"),
        ("合同第三条：交货期三十天。".encode("gb18030") * 20, "encoding"),
        ("Zażółć gęślą jaźń i jeszcze trochę polskich liter".encode("cp1250"), "encoding"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "binary"),
        (b"%PDF-1.7 ...", "binary"),
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\n \n\t\n", "empty"),
    ],
)
def test_what_is_no_readable_text_is_refused_with_a_cure(data: bytes, code: str) -> None:
    """Binaries, unknown encodings and empty files never become a document, and the error says what to do."""
    with pytest.raises(LoadError) as caught:
        text_of(data)
    assert caught.value.code == code
    assert caught.value.hint


def test_bytes_that_fit_every_encoding_are_never_mojibake() -> None:
    """Random bytes above ASCII are refused, whatever they are."""
    noise = bytes(128 + (number * 73 + number // 7) % 128 for number in range(4000))
    with pytest.raises(LoadError, match="encoding could not be told"):
        text_of(noise)


def test_mojibake_that_was_saved_as_utf8_is_put_back() -> None:
    """cp1251 that some program showed as cp1252 and saved is Russian again, and the note says so."""
    spoiled = "\n".join([CONTRACT] * 3).encode("cp1251").decode("cp1252").encode()
    loaded = load(io.BytesIO(spoiled), "a.txt")
    assert loaded.document.text == "\n".join([CONTRACT] * 3)
    assert "cp1251 that was shown as cp1252" in loaded.notes[0]


def test_code_listings_and_accents_are_no_mojibake() -> None:
    """Names with underscores, arrays and powers, French and German stay as they are written."""
    for text in ("get_all_rows(a[i][j])^2 \\alpha_beta " * 40, "Les élèves étaient très étonnés à Noël. " * 20):
        assert mend_letters(text) == (text, "")


def test_two_encodings_in_one_file_are_told_apart_by_lines() -> None:
    """Lines in cp1251 within UTF-8 are read, and the note says from which line on."""
    loaded = load(io.BytesIO(CONTRACT.encode() + b"\n" + CONTRACT.encode("cp1251")), "a.txt")
    assert loaded.document.text == f"{CONTRACT}\n{CONTRACT}"
    assert "3 of 6 lines, from line 4 on, are not UTF-8" in loaded.notes[0]


def test_a_few_broken_bytes_are_shown_and_reported() -> None:
    """UTF-8 with a cut letter keeps the rest, marks the place, and is not passed over in silence."""
    loaded = load(io.BytesIO(CONTRACT.encode()[:-1]), "a.txt")
    cut = CONTRACT.encode().replace("срок".encode(), b"\xd1\xd1\x80\xd0\xbe\xd0\xba")
    loaded = load(io.BytesIO(cut), "a.txt")
    assert "\ufffdрок поставки" in loaded.document.text
    assert loaded.problems[0].code == "encoding"
    assert "1 broken characters" in loaded.problems[0].reason


def test_lines_are_the_lines_of_the_file() -> None:
    """Windows and old Mac newlines count like \\n, so that a cited line can be found in an editor."""
    assert text_of(b"one\r\ntwo\rthree\n\nfive").split("\n") == ["one", "two", "three", "", "five"]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("й", "й"),
        ("a\0b", "ab"),
        ("\ud800x", "\ufffdx"),
        ("вы\u00adсокий", "высокий"),
        ("сло\u200bво", "слово"),
        ("ок\U000e0049\U000e0067", "ок"),
        ("one\ftwo", "one\ntwo"),
        ("one\n\ftwo", "one\ntwo"),
        ("a\x1b[31mb", "a[31mb"),
        ("a\u2028b", "a\nb"),
        ("👨\u200d👩", "👨\u200d👩"),
        ("\tкод", "\tкод"),
    ],
)
def test_hygiene(written: str, stored: str) -> None:
    """What is stored is composed, visible and possible in UTF-8; joiners and tabs, which carry sense, stay."""
    assert normalise(written) == stored


@given(st.text(st.characters(), max_size=200))
def test_clean_text_is_clean_for_good(text: str) -> None:
    """Any string becomes NFC text without controls that UTF-8 can hold, and cleaning it again changes nothing."""
    clean = normalise(text)
    clean.encode()
    assert unicodedata.is_normalized("NFC", clean)
    assert not any(unicodedata.category(char) in ("Cs", "Cc") and char not in "\t\n" for char in clean)
    assert normalise(clean) == clean


@pytest.mark.parametrize(
    ("source", "cure"),
    [
        ("old.doc", "save it as .docx"),
        ("book.djvu", "run OCR"),
        ("scan.PNG", "run OCR"),
        ("all.zip", "unpack it"),
        ("table.xlsx", ".pdf"),
        ("README", "name it .txt"),
        ("x.unknown", ".txt"),
    ],
)
def test_unsupported_formats_name_their_cure(source: str, cure: str) -> None:
    """What to do depends on the kind of file, and it is said before a byte is read."""
    with pytest.raises(UnsupportedFormat) as caught:
        load(io.BytesIO(b"x"), source)
    assert cure in caught.value.hint


def test_the_suffixes_are_known_without_parsers() -> None:
    """The table lists lower-case suffixes with dots; case in file names does not matter."""
    assert {".txt", ".md", ".html", ".pdf", ".docx"} <= set(supported_suffixes())
    assert text_of(b"text", "READ.TXT") == "text"


def peak_of(stream: BinaryIO) -> int:
    """The most bytes that are held while it is read."""
    load(stream, "a.txt")  # what is made once is there
    tracemalloc.start()
    try:
        load(stream, "a.txt")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        ("The tenant pays the deposit on the first day.\n" * 25_000).encode(),
        (CONTRACT * 4000).encode(),
        (CONTRACT * 4000).replace("\n", "\r\n").encode(),
        (CONTRACT * 4000).encode("cp1251"),
        (CONTRACT * 2500).encode("utf-16"),
        (CONTRACT * 4000).encode() + b"\xff",
    ],
    ids=["English", "Russian", "lines of Windows", "cp1251", "UTF-16", "one broken byte"],
)
def test_a_long_text_is_read_in_a_few_times_its_size(data: bytes) -> None:
    """A list of its letters took 36 times as much: 45 MB of Russian did not fit into the memory of a parser."""
    assert peak_of(io.BytesIO(data)) < 10 * len(data)


def test_a_short_file_takes_no_room_for_a_long_one(tmp_path: Path) -> None:
    """What is asked for is what the file has, and not the longest that it might be."""
    (tmp_path / "a.txt").write_text(CONTRACT, "utf-8")
    with (tmp_path / "a.txt").open("rb") as stream:
        assert peak_of(stream) < 1 << 20
