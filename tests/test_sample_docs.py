"""The sample documents, each with what its text must hold and what must not be left in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from ragkit.chunking import RecursiveChunker
from ragkit.loaders import load
from ragkit.positions import Positions
from ragkit.reports import Loaded

SAMPLES = Path(__file__).parents[1] / "sample_docs"


@dataclass(frozen=True)
class Row:
    """`placed` names passages with their page (None without pages) and the last heading above them."""

    name: str
    must_include: list[str]
    must_not_include: list[str]
    placed: list[tuple[str, int | None, str]]
    encoding: str = ""
    unread_pages: tuple[int, ...] = ()


ROWS = [
    Row(
        "dogovor-arendy.pdf",
        ["пользование помещение площадью", "документально подтверждённую", "Шкаф металлический ШМ-2 2 11 200"],
        ["пло-", "задолжен-", "\u00ad", "\ufffe"],
        [
            ("Договор действует 11 месяцев", 1, "1. Предмет договора"),
            ("Залог возвращается Арендатору в течение десяти рабочих дней", 2, "3.4. Обеспечительный платёж"),
            ("Огнетушитель ОП-4", 3, "Приложение 1. Имущество, передаваемое с помещением"),
        ],
    ),
    Row(
        "thermologger-tl40.pdf",
        ["cell with the plus sign up and hold the\nbutton again", "certificate for three points: -20, 0 and +40"],
        ["The cell 5. Calibration", "and hold the degrees"],  # the two columns of page 2 read across
        [("The warranty period is 24 months", 1, ""), ("This is error E3", 2, ""), ("climatic\nversion U3", 2, "")],
    ),
    Row(
        "akt-vozvrata.pdf",
        ["копия снята сканером (следующая\nстраница)", "папке 04-12"],
        ["04417"],  # stands on the scanned page only
        [("Поэтажный план", 1, "")],
        unread_pages=(2,),
    ),
    Row(
        "reglament-otpuskov.docx",
        [
            "2. Заявление подаётся не позднее чем за 14 календарных дней",
            "Склад | Кайгородов Г. Э. | 20 ноября",
            "Перечень должностей утверждён приказом",
            "Контрольный экземпляр хранится в канцелярии",
        ],
        ["[^1]", "<w:"],
        [
            ("28 календарных дней", None, "Продолжительность"),
            ("не более чем на 10 календарных дней", None, "Перенос и отзыв"),
        ],
    ),
    Row(
        "price.html",
        ["Замена датчика SH-31 | логгер TL-40 | 15 | 3 200", "ул. Портовую, д.\u00a08", "скидка составляет 12\u00a0%"],
        ["<td>", "&nbsp;", "console.log", "padding"],
        [("Замена игл", None, "Поверка и калибровка"), ("учебных заведений", None, "Скидки")],
    ),
    Row(
        "svodka-api.md",
        ["Токен действует\n30 минут", '"sku": "TL-40"', "| 429 | слишком часто |"],
        [],
        [("Не более 60 запросов", None, "Какой предел частоты запросов?"), ("три года", None, "Хранение")],
        encoding="utf-8",
    ),
    Row(
        "oak-drying.md",
        ["starting\nat 45 °C", "| Drying time | 17 days | 21 days |"],
        [],
        [("For furniture boards", None, "Conclusion")],
        encoding="utf-8",
    ),
    Row("onboarding.txt", ["A lost badge costs 600 roubles"], [], [("Sick leave", None, "")], encoding="utf-8"),
    Row(
        "instrukciya-vp210.txt",
        ["по ГОСТ 16588-91", "18,0 ± 0,5 %", "отличается от 20 °С", "«Пуск»"],
        ["\ufffd", "Р’", "Âë"],
        [("Калибровку по контрольному блоку КБ-2", None, "")],
        encoding="cp1251",
    ),
    Row(
        "protokol-07.txt",
        ["датчиков SH-31 до 15 апреля 2026 г.", "POST /v1/reports"],
        ["\ufffd", "оПНРНЙНК"],
        [("Следующее совещание: 9 апреля", None, "")],
        encoding="koi8-r",
    ),
    Row(
        "release-notes.txt",
        ["battery life rises from 11 to 18 months"],
        ["\x00", "\ufeff"],
        [("Version 2.2.4", None, "")],
        encoding="utf-16-le",
    ),
]


def loaded(row: Row) -> Loaded:
    with (SAMPLES / row.name).open("rb") as stream:
        return load(stream, row.name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_text_is_what_a_reader_sees(row: Row) -> None:
    """Broken words are joined, columns read one after the other, letters right, markup and scripts gone."""
    result = loaded(row)
    for wanted in row.must_include:
        assert wanted in result.document.text
    for unwanted in row.must_not_include:
        assert unwanted not in result.document.text
    assert tuple(problem.page for problem in result.problems) == row.unread_pages
    if row.encoding:
        assert result.document.metadata["encoding"] == row.encoding


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_passages_have_their_place(row: Row) -> None:
    """Page and heading of a passage are those that the printed document shows, in the document and in its chunk."""
    document = loaded(row).document
    positions = Positions(document)
    chunks = RecursiveChunker()(document)
    for passage, page, heading in row.placed:
        assert document.text.count(passage) == 1
        offset = document.text.index(passage)
        assert positions.page(offset) == page
        assert positions.headings(offset)[-1:] == ((heading,) if heading else ())
        assert any(passage in chunk.text for chunk in chunks)


def test_every_sample_is_in_the_table() -> None:
    """Nothing lies in the folder that the table does not describe, and all of it is small."""
    files = sorted(SAMPLES.iterdir())
    assert [path.name for path in files] == sorted(row.name for row in ROWS)
    assert sum(path.stat().st_size for path in files) < 400_000
