"""Chunks are slices of their document, bounded in size, that together hold every visible character of it."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ragkit.chunking import RecursiveChunker
from ragkit.errors import ConfigError
from ragkit.positions import Positions, contextual_text, line_of, page_of
from ragkit.types import Chunk, Document, Heading

DATA = Path(__file__).parents[1].parent / "shared" / "data"
WORDS = [
    "Залог",
    "возвращается",
    "в",
    "течение",
    "10",
    "дней",
    "ст.",
    "4.2",
    "the",
    "warranty",
    "is",
    "e.g.",
    "😀",
    "е\u0301",
]
JOINS = [" ", " ", " ", ". ", ".\n", "\n", "\n\n", "\n \n\n", "! — ", "\t|\t", "\u00a0", ""]
pieces = st.lists(
    st.tuples(st.sampled_from([*WORDS, "а" * 90, "😀" * 40, "\u0301" * 70]), st.sampled_from(JOINS)), max_size=80
)
mixed = pieces.map(lambda drawn: "".join(word + join for word, join in drawn))
texts = st.one_of(mixed, st.text(max_size=300))


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = draw(texts)
    offsets = st.integers(0, len(text))
    pages = tuple(sorted({0, *draw(st.lists(offsets, max_size=4))})) if draw(st.booleans()) else ()
    places = sorted(draw(st.sets(offsets, max_size=5)))
    headings = tuple(Heading(place, draw(st.integers(1, 4)), text[place : place + 12]) for place in places)
    return Document("a.txt", text, page_starts=pages, headings=headings)


def check(document: Document, chunks: list[Chunk], size: int) -> None:
    text, covered = document.text, 0
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.text == chunk.text.strip() != ""
        assert len(chunk.text) <= size
        assert not text[covered : chunk.start].strip(), "text between two chunks is in none"
        covered = max(covered, chunk.end)
        assert chunk.page == page_of(document, chunk.start)
        assert chunk.line == line_of(document, chunk.start)
    assert not text[covered:].strip(), "text behind the last chunk is in none"
    starts, ends = [chunk.start for chunk in chunks], [chunk.end for chunk in chunks]
    assert starts == sorted(set(starts))
    assert ends == sorted(set(ends))


@given(documents(), st.integers(1, 120), st.integers(0, 60))
@example(Document("a", "Глава 1\n\n" + "б" * 50, headings=(Heading(0, 1, "Глава 1"),)), 20, 5)
@example(Document("a", "\u0301" * 100), 1, 0)
@example(Document("a", "в 😀\n\nЗалог "), 3, 1)
@example(Document("a", "Итого по разделу" + " " * 150 + "без НДС"), 60, 30)
def test_generated(document: Document, size: int, overlap: int) -> None:
    """Every chunk of every text is a slice within the limit, and no visible character is lost."""
    check(document, RecursiveChunker(size=size, overlap=min(overlap, size // 2))(document), size)


def real_texts() -> list[Path]:
    return sorted([*(DATA / "chunking" / "corpora").glob("*.md"), *(DATA / "documents_ru").glob("*.txt")])


@pytest.mark.skipif(not real_texts(), reason="the measuring data is not beside the project")
def test_real_texts() -> None:
    """The same holds for reports, speeches, chat logs, laws and tenders, at the default size."""
    for path in real_texts():
        raw = path.read_bytes()
        text = raw.decode("utf-8") if path.name != "tests__data__txt__cp1251.txt" else raw.decode("cp1251")
        document = Document(path.name, unicodedata.normalize("NFC", text.replace("\r\n", "\n")))
        check(document, RecursiveChunker()(document), RecursiveChunker().size)


@pytest.mark.skipif(not (DATA / "retrieval").is_dir(), reason="the measuring data is not beside the project")
def test_real_articles() -> None:
    """And for long scientific articles."""
    for line in (DATA / "retrieval" / "covidqa_en" / "corpus.jsonl").read_text("utf-8").splitlines()[:10]:
        document = Document("article", json.loads(line)["text"])
        check(document, RecursiveChunker()(document), 800)


@pytest.mark.parametrize(
    "unit", [".", "а", ".)", "\n ", ". ", "- ", "a\n", "a\n\n", "e\u0301", "\u0301", "👩\u200d", "Да. Нет, " * 9 + "\n"]
)
def test_chunks_grow_with_the_text_only(unit: str) -> None:
    """Four times the text makes about four times the chunks, also without a separator and in runs of marks."""
    once, fourfold = (len(RecursiveChunker()(Document("a", unit * (size // len(unit))))) for size in (20_000, 80_000))
    assert fourfold <= 4 * once + 4
    assert once <= 20_000 / 400 + 1


def test_sizes_that_cannot_be() -> None:
    """A size below 1 and an overlap above half of the size are refused with both numbers."""
    with pytest.raises(ConfigError, match="0"):
        RecursiveChunker(size=0)
    with pytest.raises(ConfigError, match="60 at chunk size 100"):
        RecursiveChunker(size=100, overlap=60)


def document_with(*sections: tuple[int, str, str]) -> Document:
    text, headings = "", []
    for level, heading, body in sections:
        headings.append(Heading(len(text), level, heading))
        text += f"{heading}\n\n{body}\n\n" if body else f"{heading}\n\n"
    return Document("договор.txt", text, headings=tuple(headings))


SENTENCE = "Арендатор обязан содержать помещение в исправном состоянии. "


def test_a_section_begins_its_own_chunk() -> None:
    """A chunk ends before a heading, and nothing is repeated across it."""
    document = document_with((1, "Договор", SENTENCE * 5), (2, "Залог", SENTENCE * 5))
    first, second = RecursiveChunker(size=400, overlap=100)(document)
    assert first.text.endswith("состоянии.")
    assert second.text.startswith("Залог\n\nАрендатор")
    assert (first.heading, second.heading) == ("Договор", "Договор › Залог")


def test_a_heading_goes_with_its_text() -> None:
    """A heading that would end a chunk moves to the next one, and headings above it go along."""
    for filler in range(1, 12):
        document = document_with((1, "Правила", SENTENCE * filler), (2, "Отпуск", ""), (3, "Перенос", SENTENCE * 3))
        for chunk in RecursiveChunker(size=300, overlap=60)(document):
            assert not chunk.text.endswith(("Правила", "Отпуск", "Перенос"))


@pytest.mark.parametrize("title", ["7. Disposal", "Возврат залога", "РЕШИЛИ:"])
def test_a_title_that_no_loader_found_goes_with_its_text(title: str) -> None:
    """A short line without a full stop, or with a colon, does not end a chunk when a sentence follows it."""
    for filler in range(2, 9):
        text = "\n".join([*[SENTENCE.strip()] * filler, title, *[SENTENCE.strip()] * 4])
        chunks = RecursiveChunker(size=300, overlap=0)(Document("a.txt", text))
        assert not any(chunk.text.endswith(title) for chunk in chunks)


def test_a_long_token_does_not_leave_its_heading_behind() -> None:
    """Where no word ends in reach the token under a heading is cut, and the heading stays with its beginning."""
    chunks = RecursiveChunker(size=100, overlap=0)(document_with((1, "Ключ", "a" * 450)))
    assert [len(chunk.text) for chunk in chunks] == [100, 100, 100, 100, 56]
    assert chunks[0].text.startswith("Ключ\n\naaa")


def test_an_underlined_heading_keeps_its_line() -> None:
    """Markdown's underline belongs to the heading above it."""
    text = SENTENCE * 4 + "\n\nЗалог\n=====\n\n" + SENTENCE * 4
    document = Document("a.md", text, headings=(Heading(text.index("Залог"), 1, "Залог"),))
    assert any(
        chunk.text.startswith("Залог\n=====\n\nАрендатор") for chunk in RecursiveChunker(size=300, overlap=0)(document)
    )


def test_short_sections_stay_together() -> None:
    """Forty answers of sixty characters make a handful of chunks, each named after its first section."""
    document = document_with(*((2, f"Вопрос {number}", SENTENCE.strip()) for number in range(40)))
    chunks = RecursiveChunker(size=800, overlap=200)(document)
    assert len(chunks) <= 5
    assert chunks[0].heading == "Вопрос 0"
    assert all(chunk.text.startswith("Вопрос") for chunk in chunks)


def test_table_rows_stay_whole() -> None:
    """A row that fits is never cut; the chunk ends behind one."""
    rows = [f"Модель М-{number} | {number * 990} руб. | гарантия {number % 3 + 1} года" for number in range(60)]
    chunks = RecursiveChunker(size=300, overlap=60)(Document("прайс.txt", "\n".join(rows)))
    assert {line for chunk in chunks for line in chunk.text.split("\n")} == set(rows)


def test_overlap_begins_at_a_sentence() -> None:
    """What is repeated begins with a sentence, and gives way to a sentence that would not fit behind it."""
    text = " ".join(f"Предложение {number} о сроках возврата залога и ремонте." for number in range(40))
    first, second, *_ = RecursiveChunker(size=300, overlap=100)(Document("a", text))
    assert 0 < first.end - second.start <= 100
    assert second.text.startswith("Предложение")
    long = "Короткое начало здесь. " * 12 + "Длинное " + "очень " * 45 + "предложение."
    assert any(
        "Длинное" in chunk.text and "предложение." in chunk.text
        for chunk in RecursiveChunker(size=300, overlap=150)(Document("a", long))
    )


def test_pages_and_lines() -> None:
    """Page and line are those of the first character: from the top of its page, or of the document without pages."""
    text = "Первая страница.\nВторая строка.\n\nВторая страница.\nЕщё строка."
    paged = Document("a.pdf", text, page_starts=(0, text.index("Вторая страница")))
    positions = Positions(paged)
    assert [
        (positions.page(text.index(word)), positions.line(text.index(word))) for word in ("Вторая строка", "Ещё")
    ] == [(1, 2), (2, 2)]
    assert Positions(Document("a.txt", text)).page(0) is None
    assert Positions(Document("a.txt", text)).line(text.index("Ещё")) == 5


def test_a_chunk_ends_with_a_page_that_ends_a_paragraph() -> None:
    """A page break between paragraphs is preferred to a later paragraph; a sentence that runs on is not torn."""
    page = SENTENCE * 3
    text = page.strip() + "\n\n" + SENTENCE.strip() + "\n\n" + page
    document = Document("a.pdf", text, page_starts=(0, len(page.strip()) + 2))
    assert RecursiveChunker(size=270, overlap=0)(document)[1].page == 2
    running = "Арендодатель возвращает залог полностью\n\nв течение десяти рабочих дней. " + SENTENCE * 3
    document = Document("a.pdf", running, page_starts=(0, running.index("в течение")))
    assert "полностью\n\nв течение" in RecursiveChunker(size=100, overlap=0)(document)[0].text


def test_heading_paths_follow_levels() -> None:
    """A heading closes those of its level and deeper; offsets above the first heading have no path."""
    text = "до\nA\nB\nC\nD\nконец"
    headings = tuple(
        Heading(text.index(label), level, label) for label, level in (("A", 1), ("B", 3), ("C", 2), ("D", 1))
    )
    positions = Positions(Document("a", text, headings=headings))
    assert [positions.heading(text.index(label)) for label in ("до", "A", "B", "C", "D", "конец")] == [
        "",
        "A",
        "A › B",
        "A › C",
        "D",
        "D",
    ]


def test_letters_keep_their_accents() -> None:
    """A token longer than a chunk is cut between letters, not between a letter and its accent."""
    chunks = RecursiveChunker(size=7, overlap=0)(Document("a", "e\u0301" * 20))
    assert all(chunk.text.startswith("e") for chunk in chunks)


@pytest.mark.parametrize(
    ("title", "heading", "text", "expected"),
    [
        ("", "", "Текст.", "Текст."),
        ("Договор", "", "Текст.", "Договор\nТекст."),
        ("Договор", "Залог", "Текст.", "Договор › Залог\nТекст."),
        ("Договор", "договор › Залог", "Текст.", "договор › Залог\nТекст."),
        ("Договор", "Договор › Залог", "## Залог\n\nТекст.", "Договор\n## Залог\n\nТекст."),
        ("Договор", "", "Договор\n\nТекст.", "Договор\n\nТекст."),
    ],
)
def test_context_is_said_once(title: str, heading: str, text: str, expected: str) -> None:
    """Title and heading path stand before the text that is indexed, without what the text begins with."""
    assert contextual_text(title, Chunk("a", 0, len(text), text, heading=heading)) == expected


@pytest.mark.parametrize("length", [100, 250, 400, 700, 1200])
def test_an_edit_changes_the_chunks_around_it_only(length: int) -> None:
    """Boundaries find themselves again: a moved or changed paragraph leaves nearly all texts as they were."""
    paragraphs = [f"Абзац {n}. " + f"Слово {n * 7919 % 1000} стоит здесь. " * (length // 24) for n in range(200)]
    moved = paragraphs[:50] + paragraphs[51:120] + paragraphs[50:51] + paragraphs[120:]
    changed = [*paragraphs[:30], "Совсем другой абзац. " * (length // 20), *paragraphs[31:]]

    def texts(of: list[str]) -> set[str]:
        return {chunk.text for chunk in RecursiveChunker()(Document("a", "\n\n".join(of)))}

    before = texts(paragraphs)
    assert len(texts(moved) - before) <= (8 if length < 500 else 0)
    assert len(texts(changed) - before) <= 4


def test_a_title_as_long_as_a_book_is_not_put_before_every_chunk() -> None:
    """It is cut as a heading is: with 400,000 letters of it before each chunk, a file would be embedded 500 times."""
    chunk = Chunk("a", 0, 5, "Залог", heading="Глава 1")
    found = contextual_text("Договор аренды " * 30_000, chunk)
    assert found.startswith("Договор аренды Договор")
    assert found.endswith("… › Глава 1\nЗалог")
    assert len(found) < 200
