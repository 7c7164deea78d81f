"""Answers without a model: the right sentence of the right page, whole and verbatim, or a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from toys import colour_rag

import ragkit
from ragkit.answers import Answer, Status, Verification
from ragkit.extractive.expected import Wanted, wanted
from ragkit.extractive.passages import quotable
from ragkit.extractive.question import Question
from ragkit.positions import Positions
from ragkit.rag import RAG
from ragkit.sentences import sentences
from ragkit.types import Chunk, Document, Heading

SAMPLES = Path(__file__).parents[1] / "sample_docs"


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RAG]:
    with ragkit.open(tmp_path_factory.mktemp("samples") / "index") as rag:
        rag.index_folder(SAMPLES)
        yield rag


ROWS = [  # question, document, page, what the first quote must include
    ("В какой срок возвращается залог?", "dogovor-arendy.pdf", 2, "десяти рабочих дней"),
    ("Какая неустойка за просрочку арендной платы?", "dogovor-arendy.pdf", 2, "0,1 %"),
    ("За сколько дней подавать заявление на отпуск?", "reglament-otpuskov.docx", None, "14 календарных"),
    ("Как часто калибровать влагомер ВП-210?", "instrukciya-vp210.txt", None, "раза в 6 месяцев"),
    ("Сколько запросов в минуту разрешает Сводка API?", "svodka-api.md", None, "Не более 60 запросов"),
    ("Сколько стоит замена датчика SH-31?", "price.html", None, "3 200"),
    ("Кто ищет второго поставщика датчиков?", "protokol-07.txt", None, "найти второго поставщика датчиков"),
    ("Когда следующее совещание?", "protokol-07.txt", None, "9 апреля 2026 г. в 10:00"),
    ("How long is the warranty of the TL-40?", "thermologger-tl40.pdf", 1, "24 months"),
    ("What does error E3 mean?", "thermologger-tl40.pdf", 2, "the humidity sensor does not answer"),
    ("How many boards had end cracks with the gentle schedule?", "oak-drying.md", None, "end cracks"),
    ("What is the password of the guest Wi-Fi?", "onboarding.txt", None, "changes every Monday"),
]


@pytest.mark.parametrize(("question", "source", "page", "include"), ROWS, ids=[row[0] for row in ROWS])
def test_the_first_quote_answers(rag: RAG, question: str, source: str, page: int | None, include: str) -> None:
    """With the document and the page where it stands."""
    answer = rag.ask(question)
    first = answer.citations[0]
    assert (answer.status, first.source, first.page) == (Status.ANSWERED, source, page)
    assert include in " ".join(first.quote.split())


@pytest.mark.parametrize("question", [row[0] for row in ROWS])
def test_quotes_are_whole_sentences_verbatim(rag: RAG, question: str) -> None:
    """Slices of the document that begin and end where sentences do, with the page and line of their own beginning."""
    answer = rag.ask(question)
    assert 1 <= len(answer.citations) <= 3
    for n, citation in enumerate(answer.citations, 1):
        document = rag.document(citation.source)
        spans = sentences(document.text)
        assert citation.quote == document.text[citation.start : citation.end]
        assert citation.verification is Verification.EXACT
        assert citation.start in {start for start, _ in spans}
        assert citation.end in {end for _, end in spans}
        positions = Positions(document)
        assert (citation.page, citation.line) == (positions.page(citation.start), positions.line(citation.start))
        assert citation.marker == f"[{n}]"
        assert f"{' '.join(citation.quote.split())} [{n}]" in answer.text


@pytest.mark.parametrize(
    "question",
    [
        "Сколько стоит билет на Луну?",
        "Who won the 2010 football championship?",
        "Каков рецепт борща?",
        "What is the capital of France?",
        "Какой длины Волга?",
    ],
)
def test_what_no_document_says_is_refused(rag: RAG, question: str) -> None:
    """With a reason, and without a quote."""
    answer = rag.ask(question)
    assert (answer.status, answer.text, answer.citations) == (Status.REFUSED, "", ())
    assert answer.reason == "no passage is about what the question asks"
    assert answer.hits


@pytest.mark.parametrize("question", ["Кто ты и где я?", "what is it?", "???", "😀"])
def test_a_question_without_words_is_refused(rag: RAG, question: str) -> None:
    """Words of grammar, signs and emoji name nothing to look for."""
    answer = rag.ask(question)
    assert (answer.status, answer.reason) == (Status.REFUSED, "the question has no word to look for")


def test_one_quote_is_enough_where_it_says_all(rag: RAG) -> None:
    """What only shares a word with the question is not put beside it."""
    for question in ("В какой срок возвращается залог?", "Когда следующее совещание?"):
        assert len(rag.ask(question).citations) == 1


def test_a_row_of_a_table_is_shown_below_its_head(rag: RAG) -> None:
    """The citation is the row alone, since it must stand in the document as it is."""
    answer = rag.ask("Сколько стоит замена датчика SH-31?")
    assert answer.citations[0].quote == "Замена датчика SH-31 | логгер TL-40 | 15 | 3 200"
    head, row = answer.text.splitlines()[:2]
    assert head == "Услуга | Прибор | Срок, рабочих дней | Цена, руб."
    assert row == "Замена датчика SH-31 | логгер TL-40 | 15 | 3 200 [1]"


# -- one document, one question

PUMP = """Pump P-7 Manual

Pump P-7 for P-7 systems

Maintenance

The oil is changed every 500 hours by a mechanic of the maker.

Storage

Keep it dry and away from the frost of winter nights.
"""


def ask(tmp_path: Path, question: str, text: str, headings: tuple[Heading, ...] = ()) -> Answer:
    with colour_rag(tmp_path / "index") as rag:
        rag.add([Document("a", text, headings=headings)])
        return rag.ask(question)


@pytest.mark.parametrize("marked", [True, False])
def test_a_heading_is_quoted_with_the_sentence_below_it_or_not_at_all(tmp_path: Path, marked: bool) -> None:
    """Whether the format tells headings or they only look like it; and a title of many matching words does not win."""
    names = ("Pump P-7 Manual", "Maintenance", "Storage")
    headings = tuple(Heading(PUMP.index(name), 1, name) for name in names) if marked else ()
    answer = ask(tmp_path, "Maintenance of the P-7 pump", PUMP, headings)
    assert answer.citations[0].quote == "Maintenance\n\n" + PUMP.split("\n\n")[3]
    answer = ask(tmp_path, "How often is the oil of the P-7 changed?", PUMP, headings)
    assert answer.citations[0].quote == PUMP.split("\n\n")[3]
    assert len(answer.citations) == 1


def test_a_question_in_the_text_is_not_its_answer(tmp_path: Path) -> None:
    """What follows it is."""
    text = "Where is the blue key kept?\nIn the drawer below the clock.\n\nThe key of the barn was lost by the miller."
    first = ask(tmp_path, "Where is the blue key kept?", text).citations[0]
    assert first.quote.endswith("In the drawer below the clock.")


def test_a_line_that_ends_in_a_colon_brings_what_follows(tmp_path: Path) -> None:
    """Alone it would promise and not say."""
    text = "For the entry you need two papers:\n- a passport and a red form.\n\nThe office closes in the evening."
    first = ask(tmp_path, "What do you need for the entry?", text).citations[0]
    assert first.quote == "For the entry you need two papers:\n- a passport and a red form."


def test_a_sentence_cut_by_its_passage_is_quoted_whole(tmp_path: Path) -> None:
    """Passages are 200 characters here, the sentence is longer."""
    sentence = (
        "The ferry to the island leaves " + "in calm weather and with enough passengers on board " * 6 + "at noon."
    )
    first = ask(tmp_path, "When does the ferry to the island leave?", f"Welcome.\n\n{sentence}\n\nGoodbye.").citations[
        0
    ]
    assert first.quote == sentence


def test_one_code_does_not_swamp_the_word_that_is_asked_for() -> None:
    """TL-40 gives three terms and is one word; a part of it is worth little."""
    asked = Question("How long is the warranty of the TL-40?", lambda terms: dict.fromkeys(terms, 1.0))
    whole, part, word = (asked.share(asked.met(text)) for text in ("The TL-40 logger", "40 hours", "The warranty"))
    assert whole == pytest.approx(word)
    assert part < word / 2


def test_words_are_met_in_their_other_forms() -> None:
    """Inflected, derived, misspelt, and in the other script; each worth less than the word itself."""
    asked = Question("калибровать влагомер Panthers", lambda terms: dict.fromkeys(terms, 1.0))
    calibrate, meter, panthers = asked.met("Калибровку влагомеров Пантерс проводят раз в год")
    assert meter == 1
    assert 0.5 < calibrate <= 1
    assert 0.3 < panthers < 1
    assert asked.met("дождь и снег") == [0, 0, 0]


@pytest.mark.parametrize(
    ("question", "kind", "good", "bad"),
    [
        ("Сколько стоит поверка?", Wanted.PRICE, "Поверка стоит 2 400 руб.", "Поверка длится 5 дней."),
        ("How much does it cost?", Wanted.PRICE, "It is sold for $40.", "It weighs 40 kilograms."),
        ("Как часто меняют масло?", Wanted.FREQUENCY, "Масло меняют раз в год.", "Масла входит 5 литров."),
        ("How often is it cleaned?", Wanted.FREQUENCY, "It is cleaned every spring.", "It is cleaned with soap."),
        ("Как долго сохнет краска?", Wanted.PERIOD, "Краска сохнет двое суток.", "Краска сохнет на солнце."),
        ("How long is the course?", Wanted.PERIOD, "The course takes three weeks.", "The course is in English."),
        ("Когда построен мост?", Wanted.NUMBER, "Мост построен в 1902 году.", "Мост построен из камня."),
        ("How many doors has the P-7?", Wanted.NUMBER, "The P-7 has two doors.", "The P-7 has doors of oak."),
        ("Кто отвечает за склад?", Wanted.PERSON, "За склад отвечает Глеб Кайгородов.", "За склад отвечает кладовщик."),
        ("Who won the cup?", Wanted.PERSON, "The cup was won by Anna Berg.", "The cup was won in spring."),
    ],
)
def test_what_is_asked_for_is_looked_for(question: str, kind: Wanted, good: str, bad: str) -> None:
    """A price, a frequency, a period, a number that the question does not have, a name."""
    assert wanted(question) is kind
    asked = Question(question, lambda terms: dict.fromkeys(terms, 1.0))
    assert asked.fits(good)
    assert not asked.fits(bad)


def test_other_questions_want_nothing_in_particular() -> None:
    """Every sentence fits them."""
    assert wanted("Где хранится прибор?") is wanted("Why is the sky blue?") is None
    assert Question("Why is the sky blue?", lambda terms: dict.fromkeys(terms, 1.0)).fits("Because.")


def test_a_word_is_explained_before_a_colon_a_dash_or_a_verb() -> None:
    """Only where a meaning is asked."""
    asked = Question("What does error E3 mean?", lambda terms: dict.fromkeys(terms, 1.0))
    assert asked.defines("This is error E3: the sensor does not answer.")
    assert not asked.defines("The light went on after E3 was mended.")
    assert Question("Что такое биение?", lambda terms: dict.fromkeys(terms, 1.0)).defines("Биение — это отклонение.")
    assert not Question("Where is E3?", lambda terms: dict.fromkeys(terms, 1.0)).defines("E3: no answer.")


def test_the_head_and_the_rule_of_a_table_are_not_quotable() -> None:
    """Rows are, each with the head; a single row has none."""
    text = "Prices.\n\n| Item | Price |\n|---|---|\n| Pen | 2 |\n| Ink | 5 |\n\nEnd of list."
    document = Document("a", text)
    found = [(s.text, s.head) for s in quotable(document, Chunk("a", 0, len(text), text))]
    head = "| Item | Price |"
    assert found == [("Prices.", ""), ("| Pen | 2 |", head), ("| Ink | 5 |", head), ("End of list.", "")]


def test_a_long_table_keeps_its_head() -> None:
    """Also where the passage begins far below it."""
    rows = [f"| Item {n} | {n} roubles and some words to make it longer |" for n in range(100)]
    text = "Prices.\n\n| Item | Price |\n|---|---|\n" + "\n".join(rows)
    start = text.index(rows[80])
    found = list(quotable(Document("a", text), Chunk("a", start, len(text), text[start:])))
    assert [sentence.text for sentence in found] == rows[80:]
    assert {sentence.head for sentence in found} == {"| Item | Price |"}


def test_a_pasted_page_is_asked_by_its_rarest_words() -> None:
    """Forty at most, so that its length does not make it slow."""
    asked = Question(
        " ".join(f"word{n}" for n in range(500)), lambda terms: {t: 9.0 if "77" in t else 1.0 for t in terms}
    )
    assert len(asked.weights) == 40
    assert asked.share(asked.met("word77 word377")) > asked.share(asked.met("word1 word2"))


def test_a_sentence_of_two_copies_is_quoted_once(tmp_path: Path) -> None:
    """The same words in another file, or broken into other lines, say nothing new."""
    text = "The deposit is returned to the tenant within ten working days."
    with ragkit.open(tmp_path / "index") as rag:
        rag.add(
            [Document("a", text), Document("b", text.replace("tenant ", "tenant\n")), Document("c", "Boats are blue.")]
        )
        answer = rag.ask("When is the deposit returned to the tenant?")
    assert len(answer.citations) == 1
