"""Every quote of an answer is found in the stored text, or said not to stand there."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragkit.answers import Support, Verification
from ragkit.citations import Reader, Verified, verify
from ragkit.citations.finding import LEAST, find_all, occurrences
from ragkit.citations.folding import fold, form_of
from ragkit.positions import Positions
from ragkit.types import Chunk, Document, Hit

ROOT = Path(__file__).parents[1]
LEASE = Document(
    "dogovor.txt",
    """Договор аренды

1.1 Залог в размере 50 000 рублей возвра-
щается арендатору в течение 30 дней после окончания договора. Залог не возвращается, если помещение повреждено.

2. Ещё одно условие: арендатор обязан вернуть ООО «Ромашка» ключи [15] в исходном состоянии; пени — 0,5 % в день.
Площадь зала 120 м² — по ГОСТ 25.13. Срок аренды 5–10 лет, скидка 12,5 процента для всех постоянных клиентов.
""",
)
HOUSE = Document(
    "rules.txt",
    "The tenant shall not be liable for ordinary wear and tear of the premises. The ofﬁcial notice is sent by post. "
    "The deposit is non-refundable after the first month of rent.\n",
)
SOURCES = {document.source: document for document in (LEASE, HOUSE)}


def hit(document: Document, start: int = 0, end: int | None = None) -> Hit:
    end = len(document.text) if end is None else end
    return Hit(0, Chunk(document.source, start, end, document.text[start:end]), 1.0)


def check(answer: str, hits: Sequence[Hit] = (hit(LEASE), hit(HOUSE))) -> Verified:
    return verify(answer, hits, SOURCES.__getitem__)


@pytest.mark.parametrize(
    ("quote", "verification"),
    [
        ("Залог не возвращается, если помещение повреждено.", "exact"),
        ("возвращается арендатору в течение 30 дней", "normalized"),  # hyphenated at the line's end
        ("еще одно условие: арендатор обязан вернуть ООО „Ромашка“", "normalized"),
        ("обязан вернуть ООО «Ромашка» ключи [15] в исходном состоянии", "exact"),
        ("в исходном состоянии; **пени** - 0,5 % в день", "normalized"),
        ("Площадь зала 120 м2 – по ГОСТ 25.13", "normalized"),
        ("Залог не возвращается … помещение повреждено", "normalized"),
        ("Залог не возвращается, если помещение повреждено…", "normalized"),
        ("Залог в размере 60 000 рублей", "not_found"),
        ("Залог возвращается, если помещение повреждено.", "not_found"),
        ("Залог … возвращается, если помещение повреждено", "not_found"),  # the ellipsis hides a "не"
        ("Залог не возвращается, если помещение испорчено", "not_found"),
        ("арендатор обязан вернуть залог в исходном состоянии", "not_found"),
        ("пени — 5 % в день", "not_found"),  # 0,5
        ("Срок аренды 510 лет, скидка", "not_found"),
        ("10 лет, скидка 12,5 процента для всех", "not_found"),  # of 5–10
        ("скидка 125 процента для всех", "not_found"),
        ("The tenant shall not be liable for ordinary wear", "not_found"),  # of source 2
        ("аренды", "unchecked"),
    ],
)
def test_a_quote_is_what_the_document_says(quote: str, verification: str) -> None:
    """Print may change a quote; a number, a negation, a word, an order and a source may not change."""
    (citation,) = check(f"Сказано: «{quote}» [1].").citations
    assert citation.verification == verification
    assert citation.marker == "[1]"
    assert citation.source == "dogovor.txt"
    if verification == "not_found":
        assert (citation.page, citation.line, citation.start, citation.end) == (None, 0, 0, 0)
        assert citation.quote == quote
    else:
        assert citation.quote == LEASE.text[citation.start : citation.end]
        assert citation.line == Positions(LEASE).line(citation.start)


def test_an_ellipsis_stays_within_a_paragraph_or_passage() -> None:
    """Parts that stand far apart, or in the other order, are stitched and not quoted."""
    for quote in (
        "Залог не возвращается … для всех постоянных клиентов",
        "помещение повреждено … в течение 30 дней после окончания",
    ):
        (citation,) = check(f"«{quote}» [1]", [hit(LEASE, 0, 60)]).citations
        assert citation.verification is Verification.NOT_FOUND


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("The official notice is sent by post.", True),  # a ligature in print
        ("The tenant shall be liable for ordinary wear", False),
        ("refundable after the first month of rent", False),  # non-refundable
        ("the deposit is non-refundable after the first month", True),
    ],
)
def test_english_too(quote: str, found: bool) -> None:
    """Ligatures are letters, and a negation that is part of a word cannot be cut off."""
    (citation,) = check(f"“{quote}” [2]").citations
    assert (citation.verification in ("exact", "normalized")) is found


@pytest.mark.parametrize(
    ("written", "shown", "removed"),
    [
        ("Залог возвращают [1], [2]. Да [7].", "Залог возвращают [1], [2]. Да.", 1),
        ("Да [1, 9][2-5]【2†source】[источник 1]", "Да [1][2][2][1]", 2),
        (
            "array[0], [sic], [1](http://a.b), [9](c), [ ] и [0, 1]",
            "array[0], [sic], [1](http://a.b), [9](c), [ ] и [0, 1]",
            0,
        ),
        ("`a[7]` и\n```\nb [8]\n```\nконец [8]", "`a[7]` и\n```\nb [8]\n```\nконец", 1),
        ("[9] Начало. [1", "Начало. [1", 1),
        ("ООО «Ромашка» ключи [15] в исходном", "ООО «Ромашка» ключи [15] в исходном", 0),  # the document's own
        (f"Да [999], в [2024] году и [{'9' * 9000}]", f"Да, в [2024] году и [{'9' * 9000}]", 1),  # no such numbers
    ],
)
def test_markers_of_no_source_are_taken_out(written: str, shown: str, removed: int) -> None:
    """What is no marker stays as it is; markers in other forms come as [1]."""
    verified = check(written)
    assert (verified.text, verified.removed) == (shown, removed)


def test_a_sentence_carries_its_support() -> None:
    """Verified, not found, or not cited; a marker behind the full stop belongs to the sentence before it."""
    verified = check(
        "Залог не возвращается, если помещение повреждено. [1] Просто слова. Залог возвращают сразу [1]. "
        "Там же «скидка 12,5 процента для всех»! “The rent is due on the first day” [2]"
    )
    assert [(s.support, s.markers) for s in verified.statements] == [
        (Support.VERIFIED, (1,)),
        (Support.UNCITED, ()),
        (Support.NOT_FOUND, (1,)),
        (Support.VERIFIED, ()),
        (Support.NOT_FOUND, (2,)),
    ]
    assert all(verified.text[s.start : s.end] == s.text for s in verified.statements)
    assert [c.verification for c in verified.citations] == ["exact", "exact", "not_found"]


def test_a_copied_sentence_is_compared_whole() -> None:
    """Only at the beginning of a sentence is a dash or a number the mark of a list."""
    document = Document(
        "bands.txt", "More senior uses of the 902-\n928 MHz band came in 2020. It is #1 of all bands in use.\n"
    )
    for answer in (
        "- More senior uses of the 902- 928 MHz band came in 2020. [1]",
        "It is #1 of all bands in use [1].",
    ):
        verified = verify(answer, [hit(document)], lambda _: document)
        assert [s.support for s in verified.statements] == [Support.VERIFIED]


def test_a_quote_of_another_source_is_told_where_it_stands() -> None:
    """The citation says not found, a note says where."""
    verified = check("“The tenant shall not be liable for ordinary wear” [1]")
    assert verified.citations[0].verification is Verification.NOT_FOUND
    assert "[2] rules.txt, line 1" in verified.notes[0]


def test_a_quote_belongs_to_the_marker_that_follows_it() -> None:
    """Also in Markdown's quotes, behind a colon, and with the marker inside the quotation marks."""
    both = check("«Залог не возвращается, если» [1], а “liable for ordinary wear and tear” [2].")
    assert [(c.marker, c.verification) for c in both.citations] == [("[1]", "exact"), ("[2]", "exact")]
    block = check("Согласно [1]:\n\n> Залог не возвращается,\n> если помещение повреждено.\n")
    assert [s.support for s in block.statements] == [Support.VERIFIED, Support.VERIFIED]
    inside = check("«Залог не возвращается, если помещение повреждено [1].»")
    assert [(c.marker, c.verification) for c in inside.citations] == [("[1]", "exact")]


def test_a_source_that_is_only_named_comes_as_its_passage() -> None:
    """Every marker of the text leads somewhere."""
    (citation,) = check("Деньги отдают не всегда [1].").citations
    assert (citation.verification, citation.end) == (Verification.UNCHECKED, len(LEASE.text))


def test_the_place_is_that_of_the_quote() -> None:
    """Page and line are those of the quote, in the passage that is cited where it stands there too."""
    pages = [
        "Начало страницы один.\nСрок аренды составляет ровно пять лет.\n\n",
        "Ещё текст.\nСрок аренды составляет\nровно пять лет.\n",
    ]
    document = Document("two.pdf", "".join(pages), page_starts=(0, len(pages[0])))
    for first, page, line in ((0, 1, 2), (len(pages[0]), 2, 2)):
        verified = verify(
            "«срок аренды составляет ровно пять лет» [1]",
            [hit(document, first, first + 70)],
            {"two.pdf": document}.get,  # type: ignore[arg-type]  # it has the source
        )
        assert [(c.page, c.line) for c in verified.citations] == [(page, line)]


def test_documents_are_asked_for_once_and_only_when_needed() -> None:
    """An answer without quotes and markers reads no document."""
    asked: list[str] = []

    def document(source: str) -> Document:
        asked.append(source)
        return SOURCES[source]

    verify("Не знаю.", [hit(LEASE), hit(HOUSE)], document)
    assert asked == []
    verify("«Залог не возвращается, если» [1]. «Срок аренды 5–10 лет, скидка» [1].", [hit(LEASE), hit(HOUSE)], document)
    assert asked == ["dogovor.txt"]


def test_a_quote_is_found_far_from_its_passage() -> None:
    """Also set otherwise, over lines, behind pictographs, with a short one; of two places the nearer is told."""
    filling = "Обычные слова стоят здесь много раз подряд 🙂, и никто их не цитирует.\n" * 2000
    told = "Арендатор вправе продлить\nсрок аренды ещё на одиннадцать месяцев."
    document = Document("long.txt", f"{told}\n{filling}{told}\n{filling}{LEASE.text}")
    last = document.text.rindex(told)
    for quote, verification, start in (
        (told, "exact", last),
        ("**арендатор** вправе продлить срок аренды еще на одиннадцать месяцев", "normalized", last),
        ("вправе продлить … на одиннадцать месяцев", "normalized", last + told.index("вправе")),
        ("возвращается арендатору в течение 30 дней", "normalized", document.text.index("возвра-\nщается")),
        ("срок аренды", "unchecked", last + told.index("срок")),
        ("срок арены", "not_found", 0),
        ("Арендатор вправе продлить срок аренды на одиннадцать месяцев", "not_found", 0),
    ):
        verified = verify(f"«{quote}» [1]", [hit(document, last - 3000, last - 1000)], lambda _: document)
        (citation,) = verified.citations
        assert (citation.verification, citation.start) == (verification, start)


BLOCKS = st.text("аб🙂 \n\0\ud800", max_size=40)


@pytest.mark.parametrize("answer", ["::=[1]::::::::::::", "---------------------[1].", "«::::::::::::::::» [1]"])
def test_signs_without_a_word_are_verified(answer: str) -> None:
    """There is nothing to look for, and no error."""
    assert {each.support for each in check(answer).statements} == {Support.NOT_FOUND}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["ааб бба абб аба а", "ббббббббббббббббб"]) | BLOCKS, max_size=12), st.data())
def test_many_strings_are_found_as_each_alone(pieces: list[str], data: st.DataObject) -> None:
    """Each place of each, wherever it stands, with the ends of lines for spaces."""
    text = "".join(pieces)
    start = data.draw(st.integers(0, len(text)))
    text += data.draw(st.sampled_from(["", "".join(map(str, range(20_000)))])) + text
    taken = text[start : start + data.draw(st.integers(LEAST, 30))].replace("\n", " ")
    wanted = {string for string in (taken, "ааб бба абб аба а", "б" * LEAST) if len(string) >= LEAST}
    alone = {string: list(occurrences(text.replace("\n", " "), string)) for string in wanted}
    assert {string: sorted(places) for string, places in find_all(text, wanted).items()} == alone


WORDS = st.lists(
    st.text("абвеёж ﬁ-\n.,«»", min_size=1, max_size=7) | st.sampled_from(["не", "12,5", "№ 7"]), min_size=5
)


@settings(max_examples=60, deadline=None)
@given(WORDS, st.data())
def test_what_stands_in_a_document_is_exact(words: list[str], data: st.DataObject) -> None:
    """Five words and more are found to the letter, wherever they stand and whatever passage was given."""
    words = ["".join(word.split()) or "слово" for word in words]
    text = " ".join(f"{word}{i}" for i, word in enumerate(words))
    document = Document("any.txt", f"{text}\n")
    spans = [i for i, c in enumerate(f" {text}") if c == " "]
    first = data.draw(st.integers(0, len(words) - 5))
    last = data.draw(st.integers(first + 5, len(words)))
    quote = text[spans[first] : ([*spans, len(text) + 1])[last] - 1]
    cut = data.draw(st.integers(0, len(text) - 1))
    verified = verify(f"“{quote}” [1]", [hit(document, cut)], lambda _: document)
    if sum(map(str.isalnum, quote)) >= 12:
        assert verified.citations[0].verification is Verification.EXACT
        assert verified.citations[0].quote == quote


MARKS = st.text('abя 1,29[]【】«»"“”>`\n.…-:*(ﬁё†', max_size=80)


@settings(max_examples=150, deadline=None)
@given(MARKS, st.lists(st.integers(0, 80)))
def test_pieces_make_no_difference(text: str, cuts: list[int]) -> None:
    """Any text can be read, and a stream shows what the whole would."""
    hits = [hit(LEASE), hit(HOUSE)]
    reader, shown = Reader(hits, SOURCES.__getitem__), ""
    places = [0, *sorted(cuts), len(text)]
    for start, end in pairwise(places):
        shown += reader.feed(text[start:end])
        assert reader.shown == len(shown)
    verified = reader.finish()
    assert verified == verify(text, hits, SOURCES.__getitem__)
    assert verified.text.startswith(shown)
    assert all(verified.text[s.start : s.end] == s.text for s in verified.statements)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60) | st.text(" -–\n.>12ﬁ№²İßё…«*", max_size=60))
def test_a_form_knows_where_it_comes_from(text: str) -> None:
    """Each character of the form leads to the text that it was made of."""
    folded = fold(text)
    for at in range(len(folded.form)):
        start, end = folded.span(at, at + 1)
        assert 0 <= start < end <= len(text)
    if folded.form:
        start, end = folded.span(0, len(folded.form))
        alone = form_of(text[start:end]).strip(" -")  # whether a dash is a sign depends on what stands before it
        assert alone in folded.form or not text.isprintable()


def planted() -> ModuleType:
    spec = importlib.util.spec_from_file_location("planted", ROOT / "benchmarks" / "citations.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["planted"] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def test_planted_answers_are_told_apart() -> None:
    """Of true and false quotes of the sample documents, of every kind, each is judged rightly."""
    bench = planted()
    books = [book for book in map(bench.bound, bench.read(ROOT / "no data")) if len(book.prose) >= 8]
    judged = bench.planted(books, 160, random.Random(7))
    assert len(judged) == len(bench.TRUE) + len(bench.FALSE)
    assert [case.answer for cases in judged.values() for case, right in cases if not right] == []
