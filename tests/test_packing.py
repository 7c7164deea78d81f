"""What goes into a prompt: what fits, merged, whole, each thing once; and what does not is named."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from ragkit.chunking import RecursiveChunker
from ragkit.loaders.html import load_html
from ragkit.packing import CHANGED, MARGIN, NO_ROOM, Packed, pack
from ragkit.packing.sameness import Wording
from ragkit.packing.spans import Text
from ragkit.positions import Positions
from ragkit.prompts import grounded
from ragkit.tables import head_row, table_end, table_start
from ragkit.types import Chunk, Document, Heading, Hit

Asked = list[list[str]]


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def found(document: Document, *spans: tuple[int, int] | str, score: float = 1.0) -> list[Hit]:
    """Hits on these spans, or on the places where these words stand."""
    hits: list[Hit] = []
    for span in spans:
        start, end = (
            (document.text.index(span), document.text.index(span) + len(span)) if isinstance(span, str) else span
        )
        here = Positions(document)
        chunk = Chunk(
            document.source,
            start,
            end,
            document.text[start:end],
            here.page(start),
            here.heading(start),
            here.line(start),
        )
        hits.append(Hit(len(hits), chunk, score))
    return hits


def packed(
    documents: Sequence[Document], hits: Sequence[Hit], budget: int = 10_000, asked: Asked | None = None, **said: object
) -> Packed:
    """Tokens are words, and a header with its marks has some of them."""
    known = {document.source: document for document in documents}

    def count(texts: Sequence[str]) -> tuple[list[int], bool]:
        assert all(texts)
        if asked is not None:
            asked.append(list(texts))
        return words(texts), True

    result = pack(hits, budget=budget, count=count, document=known.__getitem__, **said)  # type: ignore[arg-type]  # a table of arguments
    assert result.tokens <= budget
    for passage in result.passages:
        chunk = passage.hit.chunk
        assert chunk.text == known[chunk.source].text[chunk.start : chunk.end]
        here = Positions(known[chunk.source])
        assert (chunk.page, chunk.heading, chunk.line) == (
            here.page(chunk.start),
            here.heading(chunk.start),
            here.line(chunk.start),
        )
    return result


def texts(result: Packed) -> list[str]:
    return [hit.chunk.text for hit in result.hits]


LEASE_TEXT = """# Договор

Стороны заключили договор.

## Залог

Залог равен месячной плате. Залог возвращают за десять дней.

Из него вычитают долги.

## Срок

Договор заключён на год.

## Прочее

Споры решает суд."""
LEASE = Document(
    "lease.md",
    LEASE_TEXT,
    headings=(
        Heading(0, 1, "Договор"),
        *(Heading(LEASE_TEXT.index(f"## {name}"), 2, name) for name in ("Залог", "Срок", "Прочее")),
    ),
    metadata={"title": "Договор аренды"},
)
PRICES = Document(
    "prices.md",
    """Цены на услуги.

Услуга | Цена
Стрижка | 500
Укладка | 700. С феном 900.
Окраска | 1500
Бритьё | 300

Скидок нет.""",
)


def test_best_come_first_and_the_rest_is_named() -> None:
    """Every hit is in a passage or in `dropped`, with its place; a smaller one still fits behind a larger one."""
    pages = Document("a.pdf", "Один два три.\n" + "слово " * 60 + "\nЧетыре пять.", page_starts=(0, 14))
    note = Document("note.txt", "Семь восемь девять десять.")
    hits = [*found(note, note.text), *found(pages, (14, 373), "Четыре пять.")]
    result = packed([pages, note], hits, 30)
    assert texts(result) == [note.text, "Четыре пять."]
    assert [(each.source, each.page, each.reason) for each in result.dropped] == [("a.pdf", 2, NO_ROOM)]
    assert str(result.dropped[0]) == f"a.pdf, page 2 was left out: {NO_ROOM}"
    assert packed([pages, note], [], 30) == Packed((), (), 0, True)


def test_tokens_are_those_of_the_sources_in_the_prompt() -> None:
    """What is counted is what is sent: text, header, marks."""
    hits = found(LEASE, "Договор заключён на год.", "Из него вычитают долги.", "Стороны заключили договор.")
    asked: Asked = []
    result = packed([LEASE], hits, asked=asked)
    content = grounded("Когда?", result.passages)[1].content
    sources = content[content.index("[1]") : content.index("\n\nВопрос:")]
    assert result.tokens == len(sources.split())
    assert len(asked) == 1


def test_a_budget_is_kept_and_used() -> None:
    """One token less drops the last hit."""
    hits = found(LEASE, "Договор заключён на год.", "Споры решает суд.")
    whole = packed([LEASE], hits)
    assert len(packed([LEASE], hits, whole.tokens).passages) == 2
    assert len(packed([LEASE], hits, whole.tokens - 1).passages) == 1
    assert packed([LEASE], hits, 0).passages == ()
    assert len(packed([LEASE], hits, 0).dropped) == 2


def test_estimates_get_a_margin() -> None:
    """A service that cannot count is not trusted to the last token."""
    hits = found(LEASE, "Договор заключён на год.")
    counted = pack(hits, budget=100, count=lambda asked: (words(asked), True), document=lambda _: LEASE)
    guessed = pack(hits, budget=100, count=lambda asked: (words(asked), False), document=lambda _: LEASE)
    assert (counted.counted, guessed.counted) == (True, False)
    assert counted.tokens * MARGIN <= guessed.tokens <= counted.tokens * MARGIN + 2


def test_passages_that_overlap_or_touch_become_one() -> None:
    """In the place of the best; white space between them is theirs, anything else keeps them apart."""
    hits = found(
        LEASE, "Споры решает суд.", "Из него вычитают долги.", "возвращают за десять дней.", "плате. Залог возвращают"
    )
    result = packed([LEASE], hits)
    assert texts(result) == [
        "Споры решает суд.",
        "плате. Залог возвращают за десять дней.\n\nИз него вычитают долги.",
    ]
    assert result.hits[1].id == hits[1].id
    assert not result.dropped


def test_what_overlaps_is_counted_once() -> None:
    """Two halves of a passage fit where the passage fits."""
    document = Document("a.txt", " ".join(f"слово{n}" for n in range(100)))
    whole = packed([document], found(document, (0, len(document.text))))
    middle = document.text.index("слово50")
    parts = found(document, (0, document.text.index("слово70") - 1), (middle, len(document.text)))
    result = packed([document], parts, whole.tokens + 4)  # a part of a word at each border
    assert texts(result) == [document.text]
    assert result.tokens == whole.tokens


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Залог возвращают за десять дней.", "Залог  возвращают\nза десять дней.", True),
        ("Залог — «десять» рублей", 'ЗАЛОГ - "десять" рублей', True),
        ("Нет.", "Да.", False),
        ("x > 5", "x < 5", False),
        ("Раз.", "Раз. Два три четыре пять шесть.", False),
        ("Раз два три четыре пять шесть семь.", "Два три четыре пять шесть семь.", True),
        ("Раз два три четыре пять шесть.", "Раз два три четыре пять шесть. Семь восемь девять десять.", False),
    ],
)
def test_what_says_the_same(first: str, second: str, same: bool) -> None:
    """The second adds nothing to the first; the first may add something to the second."""
    assert Wording(first).says(Wording(second)) is same


LONG = " ".join(f"Пункт договора {name} обязывает сторону платить вовремя." for name in "абвгдежзиклмнопрстуф")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("Пункт договора ж", "Статья договора ж"), True),
        (("сторону платить вовремя. Пункт договора и", "сторону не платить вовремя. Пункт договора и"), False),
        (("договора ж обязывает", "договора ж 15 обязывает"), False),
    ],
)
def test_another_word_is_the_same_text_and_another_number_is_not(change: tuple[str, str], same: bool) -> None:
    """Two versions of a contract that differ in a term are both shown."""
    later = LONG.replace(*change)
    assert later != LONG
    assert Wording(LONG).says(Wording(later)) is same


def test_the_same_text_in_two_documents_is_given_once() -> None:
    """The first stays; what was dropped names it. A text that was dropped hides no other."""
    copy = Document("copy.md", LEASE.text)
    text = "Договор заключён на год."
    result = packed([LEASE, copy], [*found(LEASE, text), *found(copy, text)])
    assert [hit.chunk.source for hit in result.hits] == ["lease.md"]
    assert str(result.dropped[0]) == "copy.md, line 13 was left out: lease.md, line 13 says the same"
    big = Document("big.md", "слово " * 50 + "\n\n" + "Раз два три четыре пять шесть семь восемь. " * 20)
    small = Document("small.md", big.text[302:].strip()[:42])
    first = found(LEASE, "Споры решает суд.")
    result = packed([LEASE, big, small], [*first, *found(big, (302, len(big.text) - 1)), *found(small, small.text)], 40)
    assert [hit.chunk.source for hit in result.hits] == ["lease.md", "small.md"]
    assert [each.reason for each in result.dropped] == [NO_ROOM]


def test_a_passage_inside_a_table_gets_the_first_row() -> None:
    """Beside its text, which stays what the document says; a passage that begins with that row needs nothing."""
    result = packed([PRICES], found(PRICES, "Окраска | 1500"), 19)
    assert [(passage.hit.chunk.text, passage.head) for passage in result.passages] == [
        ("Окраска | 1500", "Услуга | Цена")
    ]
    assert "Услуга | Цена\nОкраска | 1500" in grounded("Цена?", result.passages)[1].content
    assert packed([PRICES], found(PRICES, "Услуга | Цена\nСтрижка | 500"), 20).passages[0].head == ""
    assert packed([PRICES], found(PRICES, "Скидок нет."), 20).passages[0].head == ""


def test_a_table_is_completed_where_there_is_room() -> None:
    """From its first row to its last, and no further; not where another hit would lose its place."""
    table = PRICES.text[17:-13]
    assert texts(packed([PRICES], found(PRICES, "Окраска | 1500"))) == [table]
    assert packed([PRICES], found(PRICES, "Окраска | 1500")).passages[0].head == ""
    assert texts(packed([PRICES], found(PRICES, "Цены на услуги.\n\nУслуга | Цена"))) == [f"Цены на услуги.\n\n{table}"]
    both = [*found(PRICES, "Окраска | 1500"), *found(LEASE, "Договор заключён на год.")]
    assert texts(packed([PRICES, LEASE], both, 28)) == ["Окраска | 1500", "Договор заключён на год."]


def test_a_row_that_was_cut_is_completed_in_a_table_that_is_too_large() -> None:
    """A cell without its neighbours says nothing; four thousand characters of table would say too much."""
    rows = "\n".join(f"Услуга номер {n} | Стоит {n}00 рублей" for n in range(300))
    document = Document("t.md", f"Имя | Цена\n{rows}")
    (passage,) = packed([document], found(document, "номер 77 | Стоит")).passages
    assert (passage.head, passage.hit.chunk.text) == ("Имя | Цена", "Услуга номер 77 | Стоит 7700 рублей")


def test_tables_of_html_have_heads() -> None:
    """As the loader writes them, with a caption between two of them."""
    page = (
        "<p>Тарифы</p><table><tr><th>Тариф</th><th>Цена</th></tr><tr><td>А</td><td>1</td></tr></table>"
        "<table><caption>Скидки</caption><tr><th>Кому</th><th>Сколько</th></tr><tr><td>Детям</td><td>5</td></tr></table>"
    )
    text = load_html(io.BytesIO(page.encode()), "a.html").document.text
    assert head_row(text, text.index("А |")) == "Тариф | Цена"
    assert head_row(text, text.index("Детям")) == "Кому | Сколько"
    assert text[table_start(text, text.index("Детям")) : table_end(text, text.index("Детям"), 999)].count("\n") == 1


def test_parents_widen_to_the_section_that_fits() -> None:
    """The smallest section that holds the passage and more, its heading with it; all else comes first."""
    hits = found(LEASE, "Залог возвращают за десять дней.", "Споры решает суд.")
    wide = packed([LEASE], hits, parents=True)
    assert texts(wide)[0] == LEASE.text[LEASE.text.index("## Залог") : LEASE.text.index("\n\n## Срок")]
    assert texts(wide)[1] == "## Прочее\n\nСпоры решает суд."
    assert wide.hits[0].chunk.heading == "Договор › Залог"
    narrow = packed([LEASE], hits)
    assert texts(narrow) == [hit.chunk.text for hit in hits]
    assert texts(packed([LEASE], hits, narrow.tokens + 1, parents=True)) == texts(narrow)


@pytest.mark.parametrize(
    ("span", "section"),
    [
        ("Залог равен", "## Залог … долги."),
        ("долги.\n\n## Срок\n\nДоговор", "# Договор … суд."),
        ("# Договор\n\nСтороны заключили договор.", "# Договор … суд."),
        ("Стороны", "# Договор … договор."),
        (LEASE.text, ""),
    ],
)
def test_the_smallest_section_around_a_span(span: str, section: str) -> None:
    """A section's own text, else the section with those below it; what runs over two is in the one above."""
    start = LEASE.text.index(span)
    around = Text(LEASE).section(start, start + len(span))
    first, _, last = section.partition(" … ")
    assert around is None if not section else around is not None
    if around:
        assert LEASE.text[slice(*around)].startswith(first)
        assert LEASE.text[slice(*around)].endswith(last)
    assert Text(PRICES).section(0, 5) is None


def test_a_first_hit_that_is_too_long_keeps_whole_sentences_around_its_best() -> None:
    """It is said to be shortened, and what is shown is as much as fits; nothing comes after it."""
    sentences = [f"Предложение номер {n} говорит о деле {n}." for n in range(50)]
    sentences[30] = "Залог возвращают через десять дней после выезда."
    document = Document("long.txt", " ".join(sentences))
    hits = [*found(document, document.text), *found(LEASE, "Споры решает суд.")]
    asked: Asked = []
    result = packed([document, LEASE], hits, 60, asked, question="Когда возвращают залог?")
    (passage,) = result.passages
    assert passage.shortened
    assert sentences[30] in passage.hit.chunk.text
    kept = passage.hit.chunk.text.split(". ")
    assert len(kept) > 5
    assert f"{kept[0]}." in sentences
    assert passage.hit.chunk.text.endswith(".")
    assert 60 - 7 < result.tokens <= 60
    assert [each.reason for each in result.dropped] == [NO_ROOM]
    assert "сокращено:" in grounded("Когда?", result.passages)[1].content
    assert len(asked) == 2
    assert texts(packed([document], hits[:1], 60))[0].startswith("Предложение номер 0 ")


def test_a_table_that_is_too_long_loses_whole_rows() -> None:
    """A row with several sentences in a cell is one; what is left has the first row before it."""
    rows = [f"Услуга {n} | Описание. Ещё описание. Цена {n}00" for n in range(40)]
    document = Document("t.md", "\n".join(["Имя | Всё о ней", *rows]))
    (passage,) = packed([document], found(document, document.text), 60, question="Цена 2500").passages
    assert set(passage.hit.chunk.text.split("\n")) <= set(rows)
    assert rows[25] in passage.hit.chunk.text
    assert passage.head == "Имя | Всё о ней"


def test_a_sentence_that_alone_is_too_long_is_cut_between_words_and_said_to_be() -> None:
    """There is no border to cut at; a few words would not be worth it."""
    document = Document("endless.txt", "слово " * 500 + "конец")
    (passage,) = packed([document], found(document, document.text), 60).passages
    assert passage.shortened
    assert 30 < len(passage.hit.chunk.text.split()) < 60
    assert set(passage.hit.chunk.text.split()) == {"слово"}
    assert packed([document], found(document, document.text), 15).passages == ()


def test_a_document_that_changed_meanwhile_gives_no_wrong_text() -> None:
    """A hit of its earlier version is named, not shown as what the document says."""
    hits = found(LEASE, "Споры решает суд.", "Договор заключён на год.")
    now = Document("lease.md", LEASE.text.replace("Спор", "Вопрос"), headings=LEASE.headings)
    result = packed([now], hits)
    assert [each.reason for each in result.dropped] == [CHANGED]
    assert texts(result) == ["Договор заключён на год."]


def test_what_a_passage_hides_is_not_counted() -> None:
    """Text that is taken out of the prompt takes no room in it; counted is what is sent."""
    document = Document("a.txt", "Видно. " + "\U000e0041" * 5000)
    asked: Asked = []
    packed([document], found(document, document.text), asked=asked)
    assert "Видно." in asked[0]


def test_chunks_of_a_document_grow_together_again() -> None:
    """Whatever is chosen, in whatever order: the same passages twice, all of the hits in them, no word twice."""
    paragraphs = [" ".join(f"Слово{p}и{s} стоит здесь." for s in range(9)) for p in range(12)]
    document = Document("a.md", "\n\n".join(paragraphs))
    chunks = RecursiveChunker(size=300, overlap=80)(document)
    order: Callable[[int], int] = lambda n: n * 7 % len(chunks)  # noqa: E731 - a permutation
    hits = [Hit(n, chunks[order(n)], 1.0) for n in range(len(chunks))]
    assert texts(packed([document], hits)) == [document.text]
    some = packed([document], hits[:6])
    assert some == packed([document], hits[:6])
    spans = sorted((hit.chunk.start, hit.chunk.end) for hit in some.hits)
    assert all(end < start for (_, end), (start, _) in pairwise(spans))
    assert all(any(a <= hit.chunk.start and hit.chunk.end <= b for a, b in spans) for hit in hits[:6])
