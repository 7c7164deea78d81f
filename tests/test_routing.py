"""Whole documents or their passages: which, for what reason, and that both ways give an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from toys import ColourEmbedder, Says, colour_rag

from ragkit.answers import Answer, Status, Support, Verification
from ragkit.assembly import build
from ragkit.budget import Prices
from ragkit.chunking import RecursiveChunker
from ragkit.dialogue import Dialogue
from ragkit.errors import BudgetExceeded, ConfigError, IndexNotFound, UnreadableDocument
from ragkit.generative.attached import LONGEST_TEXT, from_files
from ragkit.loaders.isolation import ParserPool
from ragkit.messages import Message, Talk
from ragkit.metering import metered, spend
from ragkit.prompts import NO_ANSWER
from ragkit.providers.lengths import estimated_tokens
from ragkit.rag import RAG
from ragkit.reports import DocumentInfo
from ragkit.routing import ATTACHMENT, CONTEXT, RETRIEVAL, WHOLE, Abilities, choose
from ragkit.routing.material import Material, look, of_index
from ragkit.routing.money import ANSWER, affordable, check_limit
from ragkit.routing.retrieval import answer_by_retrieval
from ragkit.settings import ROUTES, load_settings
from ragkit.store.local import LocalStore
from ragkit.types import Document, FloatMatrix, Usage
from ragkit.uploads import Uploads

QUESTION = "Сколько длится гарантия?"
ASKED = estimated_tokens(QUESTION)
KEEPS = Abilities(keeps_files=True, context=131_072)
INLINE = Abilities(context=131_072)
SCAN = UnreadableDocument("scan.pdf has no text", "recognise it first")


def text(tokens: int, name: str = "report.pdf", size: int = 100_000) -> Material:
    return Material(name, size, "text", tokens * 3, tokens)


def image(name: str = "photo.png") -> Material:
    return Material(name, 2_000_000, "image")


def unread(name: str = "scan.pdf") -> Material:
    return Material(name, 2_000_000, error=SCAN)


@pytest.mark.parametrize(
    ("materials", "abilities", "kind", "reason"),
    [
        # sizes
        ([text(900)], KEEPS, ATTACHMENT, "report.pdf has about 900 tokens: the model reads all of it"),
        ([text(WHOLE)], INLINE, ATTACHMENT, "20\u202f000 tokens: the model reads all"),
        ([text(WHOLE + 1)], KEEPS, RETRIEVAL, "20\u202f001 tokens, more than the 20\u202f000"),
        ([text(CONTEXT)], Abilities(), RETRIEVAL, "too many for the 32\u202f768 of the model"),
        # limits of the service
        (
            [text(900, size=41 << 20)],
            KEEPS,
            RETRIEVAL,
            "991\u202f616 bytes, and the service takes 41\u202f943\u202f040",
        ),
        ([text(900, size=41 << 20)], INLINE, ATTACHMENT, "reads all of it"),
        ([text(LONGEST_TEXT // 3 + 1)], INLINE, RETRIEVAL, "200\u202f001 characters, and 200\u202f000 fit"),
        ([text(9), text(9, "b.txt")], KEEPS, RETRIEVAL, "reads one document in a request, and 2 are asked about"),
        ([text(9), text(9, "b.txt")], Abilities(keeps_files=True, documents=0), ATTACHMENT, "text of 2 documents"),
        ([text(9), text(9, "b.txt")], INLINE, ATTACHMENT, "the text of 2 documents has about 18 tokens"),
        ([text(900, "page.html")], KEEPS, RETRIEVAL, "takes no files like page.html"),
        ([text(900, "page.html")], INLINE, ATTACHMENT, "reads all of it"),
        ([text(900, "page.html", size=0)], KEEPS, ATTACHMENT, "reads all of it"),  # of an index: no file is uploaded
        # what has no text
        ([image()], KEEPS, ATTACHMENT, "photo.png is an image: only the model"),
        ([image()], INLINE, ATTACHMENT, "photo.png is an image"),
        ([Material("talk.mp3", 9, "audio")], KEEPS, ATTACHMENT, "talk.mp3 is a recording"),
        ([unread()], KEEPS, ATTACHMENT, "no text of scan.pdf could be read here: the model gets the file"),
        ([text(900), unread()], KEEPS, RETRIEVAL, "one document in a request.*; no text of scan.pdf could be read"),
        # no model at all
        ([text(900)], None, RETRIEVAL, "no chat model is configured"),
    ],
)
def test_the_way_follows_from_size_limits_and_kind(
    materials: list[Material], abilities: Abilities | None, kind: str, reason: str
) -> None:
    """Whole where all of it fits and is worth it, and the reason has the numbers that decided."""
    chosen = choose(materials, QUESTION, abilities=abilities)
    assert chosen.kind == kind
    assert re.search(reason, chosen.reason), chosen.reason


def test_the_limit_of_the_context_leaves_room_for_an_answer() -> None:
    """Question, document and 2000 tokens more have to fit."""
    room = CONTEXT - 2_000 - ASKED
    assert choose([text(room)], QUESTION, abilities=Abilities(), whole=10**6).kind == ATTACHMENT
    assert choose([text(room + 1)], QUESTION, abilities=Abilities(), whole=10**6).kind == RETRIEVAL


def test_what_a_question_costs_is_told() -> None:
    """Attached, all of it is paid for; searched, its vectors once and its best passages."""
    abilities = Abilities(keeps_files=True, prices=Prices(embedding=10.0, prompt=100.0))
    whole = choose([text(10_000)], QUESTION, abilities=abilities)
    assert (whole.kind, whole.estimated_tokens) == (ATTACHMENT, 10_000 + ASKED)
    assert whole.cost == pytest.approx((10_000 + ASKED) * 100 / 1e6)
    parts = choose([text(10_000)], QUESTION, abilities=abilities, route=RETRIEVAL)
    assert parts.estimated_tokens == 12_000 + ASKED
    assert parts.cost == pytest.approx((2_000 + ASKED) * 100 / 1e6 + 10_000 * 10 / 1e6)
    there = choose([text(10_000)], QUESTION, abilities=abilities, route=RETRIEVAL, indexed=True)
    assert there.estimated_tokens == 2_000 + ASKED
    assert choose([text(500)], QUESTION, route=RETRIEVAL, indexed=True).estimated_tokens == 500 + ASKED
    assert choose([image()], QUESTION, abilities=abilities).estimated_tokens is None


def test_a_limit_on_money_decides() -> None:
    """Over it passages are searched for, and both sums are said."""
    abilities = Abilities(keeps_files=True, prices=Prices(prompt=100.0))
    chosen = choose([text(10_000)], QUESTION, abilities=abilities, max_cost=0.5)
    assert chosen.kind == RETRIEVAL
    assert "would cost 1.00" in chosen.reason
    assert "0.5 is the limit" in chosen.reason
    assert choose([text(10_000)], QUESTION, abilities=abilities, max_cost=2.0).kind == ATTACHMENT


def test_a_limit_that_no_way_keeps_is_an_error() -> None:
    """Both sums are said; what cannot be estimated is not taken either."""
    abilities = Abilities(keeps_files=True, prices=Prices(prompt=100.0, embedding=10.0))
    for route in ROUTES:
        with pytest.raises(BudgetExceeded, match=r"would cost about .*, and 0\.01 is the limit"):
            choose([text(10_000)], QUESTION, abilities=abilities, route=route, max_cost=0.01)
    with pytest.raises(ConfigError, match="cannot be told before"):
        choose([image()], QUESTION, abilities=abilities, max_cost=1.0)


def test_an_answer_has_its_price_too() -> None:
    """So many tokens as an answer usually has at most are put aside for it."""
    abilities = Abilities(prices=Prices(prompt=100.0, completion=1_000.0))
    assert choose([text(500)], QUESTION, abilities=abilities).cost == pytest.approx(
        (500 + ASKED) * 100 / 1e6 + ANSWER * 1_000 / 1e6
    )
    assert affordable(Prices(prompt=100.0, completion=1_000.0), 0.6) in (999, 1_000)
    assert affordable(Prices(prompt=100.0, completion=1_000.0), 0.4) == 0


@pytest.mark.parametrize(("limit", "message"), [(-1.0, "max_cost is -1.0"), (float("nan"), "max_cost is nan")])
def test_a_limit_is_a_number_that_can_be_kept(limit: float, message: str) -> None:
    """Not below zero, and not without prices; where no model answers it needs none."""
    with pytest.raises(ConfigError, match=message):
        check_limit(limit, Prices(prompt=1.0), answers=True)
    for prices in (None, Prices(), Prices(completion=1.0)):
        with pytest.raises(ConfigError, match="no price of a prompt is known") as caught:
            check_limit(1.0, prices, answers=True)
        assert "prompt_price" in caught.value.hint
    check_limit(1.0, None, answers=False)


def test_texts_without_files_have_to_fit() -> None:
    """No service is asked whether it takes them: they are a prompt, and the model's context is known."""
    notes = Material("note", characters=150_000, tokens=50_000)
    with pytest.raises(
        ConfigError, match=r"note has with the question about 50\u202f0\d\d tokens, too many for the 32\u202f768"
    ) as caught:
        choose([notes], QUESTION, route=ATTACHMENT, abilities=Abilities())
    assert "context_tokens" in caught.value.hint
    assert choose([notes], QUESTION, route=ATTACHMENT, abilities=INLINE).kind == ATTACHMENT


def test_a_way_that_was_asked_for_is_taken() -> None:
    """Whatever the sizes: the service has the last word on its limits."""
    assert choose([text(10**6)], QUESTION, route=ATTACHMENT, abilities=KEEPS).kind == ATTACHMENT
    assert choose([text(5)], QUESTION, route=RETRIEVAL, abilities=KEEPS).kind == RETRIEVAL
    assert "as was asked" in choose([text(5)], QUESTION, route=RETRIEVAL).reason


def test_a_way_that_leads_nowhere_is_refused() -> None:
    """With what is in the way, and the way out."""
    for route in ("auto", ATTACHMENT):
        with pytest.raises(ConfigError, match=r"no chat model .* photo\.png"):
            choose([image()], QUESTION, route=route)
    with pytest.raises(ConfigError, match=r"photo\.png is an image"):
        choose([text(5), image()], QUESTION, route=RETRIEVAL, abilities=KEEPS)
    with pytest.raises(ConfigError, match=r"no chat model .* report\.pdf"):
        choose([text(5)], QUESTION, route=ATTACHMENT)
    with pytest.raises(ConfigError, match="the route is 'both'"):
        choose([text(5)], QUESTION, route="both")
    with pytest.raises(ConfigError, match="nothing to ask about"):
        choose([], QUESTION)


@pytest.mark.parametrize(
    ("abilities", "route", "name"),
    [
        (None, "auto", "scan.pdf"),
        (INLINE, "auto", "scan.pdf"),
        (KEEPS, RETRIEVAL, "scan.pdf"),
        (KEEPS, "auto", "a.djvu"),
    ],
)
def test_a_file_without_text_says_why_where_only_text_helps(abilities: Abilities | None, route: str, name: str) -> None:
    """The error of its loader, with its cure."""
    with pytest.raises(UnreadableDocument) as caught:
        choose([unread(name)], QUESTION, route=route, abilities=abilities)
    assert caught.value.hint == "recognise it first"


# -- what is asked about


def load(path: Path) -> Document:
    if path.name.startswith("scan"):
        raise SCAN
    return Document(path.name, path.read_text("utf-8"))


def test_files_are_looked_at(tmp_path: Path) -> None:
    """Kind by the name, text by the loader; two of one name keep their texts apart."""
    for name, content in (("a/notes.txt", "красный кит"), ("b/notes.txt", "чай"), ("scan.pdf", "%"), ("x.png", "%")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    one, two, scan, picture = look(
        [tmp_path / name for name in ("a/notes.txt", "b/notes.txt", "scan.pdf", "x.png")], load
    )
    assert (one.kind, one.characters, one.tokens) == ("text", 11, estimated_tokens("красный кит"))
    assert one.size == len("красный кит".encode())
    assert one.document
    assert two.document
    assert one.document.source != two.document.source
    assert (scan.tokens, scan.error) == (None, SCAN)
    assert (picture.kind, picture.tokens, picture.error) == ("image", None, None)
    with pytest.raises(ConfigError, match="is no file"):
        look([tmp_path / "none.txt"], load)


def counted(texts: Sequence[str]) -> tuple[list[int], bool]:
    return [len(text) for text in texts], False


def test_an_index_is_material_too() -> None:
    """Its texts need no upload, and files that gave nothing are none of it; what may fit is read and counted."""
    infos = [
        DocumentInfo("a.pdf", characters=26_000, size=9),
        DocumentInfo("b.txt", characters=2_600),
        DocumentInfo("c"),
    ]
    documents = {each.source: Document(each.source, "я" * each.characters) for each in infos}
    read: list[str] = []

    def document(source: str) -> Document:
        read.append(source)
        return documents[source]

    rough = of_index(infos, document, limit=3_000, count=counted)
    assert [(each.name, each.size, each.document) for each in rough] == [("a.pdf", 0, None), ("b.txt", 0, None)]
    assert 10_000 < (rough[0].tokens or 0) < 10_200  # a token has 2.6 letters; a header and marks are counted too
    assert 1_000 < (rough[1].tokens or 0) < 1_200
    assert not read
    exact = of_index(infos, document, limit=10_000, count=counted)
    assert read == ["a.pdf", "b.txt"]
    assert [each.document for each in exact] == [documents["a.pdf"], documents["b.txt"]]
    assert 26_000 < (exact[0].tokens or 0) < 26_200
    assert choose(rough, QUESTION, abilities=KEEPS).kind == ATTACHMENT
    assert choose(rough * 3, QUESTION, abilities=KEEPS).kind == RETRIEVAL


def test_many_short_documents_are_many_headers() -> None:
    """What frames a document in a prompt is a part of what it costs to read it."""
    infos = [DocumentInfo(f"{n}.txt", characters=10) for n in range(1_000)]
    notes = of_index(infos, lambda source: Document(source, "0123456789"), limit=30_000, count=counted)
    assert sum(each.tokens or 0 for each in notes) > 30_000


# -- both ways


class BilledColours(ColourEmbedder):
    """A token for each text."""

    def embed_documents(self, texts: list[str]) -> FloatMatrix:  # type: ignore[override]  # a list is enough here
        spend(Usage(embedding_tokens=len(texts)))
        return super().embed_documents(texts)


COLOURS = [Document("sea.txt", "The whale is blue."), Document("tea.txt", "The tea is green.")]


def billed_rag(index: Path, chat: Says) -> RAG:
    return RAG(
        LocalStore(index),
        BilledColours(),
        RecursiveChunker(size=200, overlap=0),
        lambda: ParserPool(1),
        max_file_size=1 << 20,
        chat=lambda: chat,
    )


def test_both_ways_give_an_answer_of_one_kind(tmp_path: Path) -> None:
    """The mode says which it was; from passages it has citations, and the reason for the way is a note."""
    file = tmp_path / "sea.txt"
    file.write_text(COLOURS[0].text, "utf-8")
    whole = from_files(
        Says("Blue."), "What colour is the whale?", [file], uploads=Uploads(tmp_path / "u.json"), load=load
    )
    route = choose([text(5)], "What colour is the whale?", route=RETRIEVAL)
    with metered() as meter:
        parts = answer_by_retrieval(
            COLOURS,
            route,
            opened=lambda place: billed_rag(place, Says("Blue [1].")),
            ask=lambda rag: rag.ask("What colour is the whale?"),
        )
    assert isinstance(whole, Answer)
    assert isinstance(parts, Answer)
    assert (whole.mode, parts.mode) == ("attached", "generative")
    assert whole.status is parts.status is Status.ANSWERED
    assert parts.citations[0].source == "sea.txt"
    assert parts.notes[0] == route.reason
    assert parts.usage == meter.usage == Usage(embedding_tokens=2)
    assert list(parts.timings) == ["index", "search", "answer"]


def test_a_temporary_index_leaves_nothing_behind() -> None:
    """Not even where the question fails."""
    places: list[Path] = []

    def opened(place: Path) -> RAG:
        places.append(place)
        return colour_rag(place)

    route = choose([text(5)], QUESTION, route=RETRIEVAL)
    answer_by_retrieval(COLOURS, route, opened=opened, ask=lambda rag: rag.ask("blue whale"))
    with pytest.raises(ConfigError):
        answer_by_retrieval(COLOURS, route, opened=opened, ask=lambda rag: rag.ask(" "))
    assert len(places) == 2
    assert not any(place.parent.exists() for place in places)


def test_an_index_that_stays_pays_for_vectors_once(tmp_path: Path) -> None:
    """The second question finds them there."""
    route = choose([text(5)], QUESTION, route=RETRIEVAL)
    costs = []
    for _ in range(2):
        answer = answer_by_retrieval(
            COLOURS,
            route,
            opened=lambda place: billed_rag(place, Says("Blue [1].")),
            ask=lambda rag: rag.ask("blue whale", where={"source": "sea.txt"}),
            place=tmp_path / "kept",
        )
        costs.append(answer.usage.embedding_tokens)
        assert {hit.chunk.source for hit in answer.hits} == {"sea.txt"}
    assert costs == [2, 0]


# -- ragkit.RAG.ask_file


@pytest.fixture
def lease(tmp_path: Path) -> Path:
    file = tmp_path / "lease.txt"
    file.write_text("Арендодатель возвращает залог в течение десяти рабочих дней.", "utf-8")
    return file


def rag_with(chat: Says | None, folder: Path, **settings: object) -> RAG:
    """As `ragkit.open` makes it, with a model of the test's own."""
    settings = {"index": folder / "index", "provider": "offline", **settings}
    return build(load_settings(settings, environ={}, cwd=folder), chat=chat)


def test_the_library_chooses_by_itself(tmp_path: Path, lease: Path) -> None:
    """A short text is read whole by the model; with passages asked for, the same question has the same Answer."""
    with rag_with(Says("Десять дней.", "Десять рабочих дней [1]."), tmp_path) as rag:
        whole = rag.ask_file(lease, "Когда возвращается залог?")
        parts = rag.ask_file([lease], "Когда возвращается залог?", route="retrieval")
    assert (whole.mode, parts.mode) == ("attached", "generative")
    assert "the model reads all of it" in whole.notes[0]
    assert parts.notes[0] == "passages are searched for, as was asked"
    assert parts.citations[0].source == "lease.txt"
    assert not (tmp_path / "index").exists()


def test_the_context_that_a_person_set_decides(tmp_path: Path, lease: Path) -> None:
    """A model of few tokens gets passages of what a larger one would read."""
    lease.write_text("\n".join([lease.read_text("utf-8"), *(f"Полка {n}: газеты." for n in range(300))]), "utf-8")
    with rag_with(Says("Десять рабочих дней [1]."), tmp_path, context_tokens=3_000) as rag:
        answer = rag.ask_file(lease, "Когда возвращается залог?")
    assert "too many for the 3\u202f000 of the model" in answer.notes[0]
    assert answer.mode == "generative"


def test_without_a_model_its_own_sentences_answer(tmp_path: Path, lease: Path) -> None:
    """Several files too; what has no text needs a model."""
    other = tmp_path / "cellar.txt"
    other.write_text("Ключ от подвала лежит у консьержки.", "utf-8")
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"\x89PNG")
    with rag_with(None, tmp_path) as rag:
        answer = rag.ask_file([lease, other], "Где лежит ключ от подвала?")
        with pytest.raises(ConfigError, match=r"no chat model .* photo\.png") as caught:
            rag.ask_file(photo, "Что на снимке?")
        with pytest.raises(ConfigError, match="the route is 'both'"):
            rag.ask_file(lease, "Что?", route="both")
        with pytest.raises(ConfigError, match="only where they are attached"):
            rag.ask_file(lease, "Что?", route="retrieval", keep=True)
    assert "GIGACHAT_CREDENTIALS" in caught.value.hint
    assert answer.mode == "extractive"
    assert {each.source for each in answer.citations} == {"cellar.txt"}
    assert "no chat model is configured" in answer.notes[0]


def test_an_image_is_attached(tmp_path: Path) -> None:
    """Whatever else: only the model can make something of it."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"\x89PNG")
    with rag_with(Says("Кот."), tmp_path) as rag:
        answer = rag.ask_file(photo, "Кто это?")
    assert (answer.mode, answer.notes[0]) == (
        "attached",
        "photo.png is an image: only the model can make something of it",
    )


def test_a_rag_that_makes_no_other_attaches(tmp_path: Path, lease: Path) -> None:
    """One put together by hand, around a store of its own."""
    rag = billed_rag(tmp_path / "index", Says("Десять дней."))
    assert rag.ask_file(lease, "Когда возвращается залог?").mode == "attached"
    with pytest.raises(ConfigError, match="no index can be made here"):
        rag.ask_file(lease, "Когда?", route="retrieval")


# -- ragkit.RAG.ask over an index


SHELF = [
    Document(
        "lease.pdf",
        "Договор аренды квартиры\n\nЗалог\nАрендодатель возвращает залог в течение десяти рабочих дней.",
        page_starts=(0, 25),
        metadata={"title": "Договор"},
    ),
    Document("cellar.txt", "Дом.\nКлюч от подвала лежит у консьержки."),
]


def test_a_small_index_is_read_as_a_whole(tmp_path: Path) -> None:
    """All documents are numbered sources; a quote has the page and line where it stands, and nothing is searched."""
    model = Says("Срок такой: «возвращает залог в течение десяти рабочих дней» [2]. Ключ «лежит у консьержки» [1].")
    with rag_with(model, tmp_path) as rag:
        rag.add(SHELF)
        answer = rag.ask("Что и когда возвращают?", 1, route="auto")
    key, deposit = sorted(answer.citations, key=lambda each: each.source)
    assert (deposit.source, deposit.page, deposit.line, deposit.marker) == ("lease.pdf", 2, 2, "[2]")
    assert SHELF[0].text[deposit.start : deposit.end] == deposit.quote
    assert (deposit.verification, key.verification) == (Verification.EXACT, Verification.EXACT)
    assert (key.source, key.page, key.line) == ("cellar.txt", None, 2)
    assert [each.support for each in answer.statements] == [Support.VERIFIED] * 2
    assert (answer.status, answer.mode) == (Status.ANSWERED, "attached")
    assert [(hit.chunk.source, hit.chunk.text) for hit in answer.hits] == [
        ("cellar.txt", SHELF[1].text),
        ("lease.pdf", SHELF[0].text),
    ]
    assert re.fullmatch(r"the text of 2 documents has about \d+ tokens: the model reads all of it", answer.notes[0])
    assert list(answer.timings) == ["read", "answer"]
    [told] = model.told
    assert "[2] Договор (lease.pdf), стр. 1–2" in told[-1].content


def test_an_invented_quote_of_a_whole_document_is_named(tmp_path: Path) -> None:
    """Verification is that of passages: a quote that stands nowhere, and an answer without any source."""
    with rag_with(Says("Он «лежит в синей банке на полке» [1].", "У консьержки."), tmp_path) as rag:
        rag.add(SHELF)
        invented = rag.ask("Где ключ?", route="attachment")
        bare = rag.ask("Где ключ?", route="attachment")
    assert (invented.status, invented.citations[0].verification) == (Status.PARTIAL, Verification.NOT_FOUND)
    assert (bare.status, bare.reason) == (Status.PARTIAL, "the answer names no source")
    assert bare.notes[0] == "the model reads all of the text of 2 documents, as was asked"


def test_a_sentence_in_the_models_own_words_leads_to_a_place(tmp_path: Path) -> None:
    """Of a whole document the few sentences that have most of its words, one place for each such sentence."""
    shelf = "\n".join(f"Полка {n}: газеты и журналы за прошлые годы." for n in range(40))
    long = Document(
        "house.pdf",
        f"{shelf}\nКлюч от подвала висит у консьержки.\n{shelf}\nДворник убирает снег зимой.\n{shelf}",
        page_starts=(0, len(shelf) + 1),
    )
    model = Says("Ключи хранит консьержка, от подвала тоже [1]. Зимой снегом занят дворник [1]. It rains [1].")
    with rag_with(model, tmp_path) as rag:
        rag.add([long])
        answer = rag.ask("У кого ключ?", route="attachment")
    key, snow = answer.citations
    assert ("консьержки" in key.quote, "Дворник" in snow.quote) == (True, True)
    assert {each.verification for each in answer.citations} == {Verification.UNCHECKED}
    assert (key.page, snow.page) == (2, 2)
    assert snow.line > 30
    for each in answer.citations:
        assert long.text[each.start : each.end] == each.quote
        assert len(each.quote) < 200


def test_a_refusal_to_answer_from_all_of_it_names_the_nearest(tmp_path: Path) -> None:
    """Passages that have words of the question; where none has, the documents themselves."""
    with rag_with(Says(NO_ANSWER, NO_ANSWER), tmp_path) as rag:
        rag.add(SHELF)
        near = rag.ask("Сколько весит ключ?", route="attachment")
        far = rag.ask("Сколько лет жирафу?", route="attachment")
    assert [hit.chunk.source for hit in near.hits] == ["cellar.txt"]
    assert near.hits[0].id
    assert [(hit.id, hit.chunk.source) for hit in far.hits] == [(0, "cellar.txt"), (0, "lease.pdf")]


def test_conditions_choose_what_is_read(tmp_path: Path) -> None:
    """Only documents that fulfil them are given to the model, or counted."""
    with rag_with(Says("Да [1]."), tmp_path) as rag:
        rag.add([*SHELF, Document("long.txt", "Полка с газетами. " * 20_000)])
        answer = rag.ask("Где ключ?", route="auto", where={"source": "cellar.txt"})
    assert (answer.mode, [hit.chunk.source for hit in answer.hits]) == ("attached", ["cellar.txt"])
    assert "cellar.txt has about" in answer.notes[0]


def test_a_large_index_is_searched(tmp_path: Path) -> None:
    """By auto with the numbers as the reason; where all of it was asked for, that is an error with both."""
    with rag_with(Says("У консьержки [1]."), tmp_path) as rag:
        rag.add([*SHELF, Document("long.txt", "Полка с газетами. " * 20_000)])
        answer = rag.ask("Где ключ от подвала?", route="auto")
        with pytest.raises(
            ConfigError, match=r"3 documents has with the question about 139\u202f\d+ tokens, too many for the 32"
        ):
            rag.ask("Где ключ?", route="attachment")
    assert answer.mode == "generative"
    assert re.match(r"the text of 3 documents has with the question about 139\u202f\d+ tokens", answer.notes[0])
    assert answer.citations


def test_passages_are_the_usual_way(tmp_path: Path) -> None:
    """Without a route nothing is chosen and nothing said of it; asked for, it is said."""
    with rag_with(Says("Да [1].", "Да [1]."), tmp_path) as rag:
        rag.add(SHELF)
        usual = rag.ask("Где ключ?")
        asked = rag.ask("Где ключ?", route="retrieval")
    assert (usual.mode, usual.notes) == ("generative", ())
    assert (asked.mode, asked.notes) == ("generative", ("passages are searched for, as was asked",))


def test_without_a_model_an_index_is_searched(tmp_path: Path) -> None:
    """By auto with that reason; all of it can be read by nobody. A limit on money holds by itself."""
    with rag_with(None, tmp_path) as rag:
        with pytest.raises(IndexNotFound):
            rag.ask("Где ключ?", route="auto")
        rag.add(SHELF)
        answer = rag.ask("Где лежит ключ от подвала?", route="auto", max_cost=1.0)
        with pytest.raises(ConfigError, match="no chat model is configured") as caught:
            rag.ask("Где ключ?", route="attachment")
        with pytest.raises(ConfigError, match="the route is 'both'"):
            rag.ask("Где ключ?", route="both")
        with pytest.raises(ConfigError, match="the question is empty"):
            rag.ask("  ", route="auto")
    assert (answer.mode, answer.status) == ("extractive", Status.ANSWERED)
    assert "no chat model is configured that could read a whole document" in answer.notes[0]
    assert "GIGACHAT_CREDENTIALS" in caught.value.hint


def test_what_is_not_in_the_index_is_named(tmp_path: Path) -> None:
    """Whoever is told that the model reads all of it learns which files gave no text."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "cellar.txt").write_text(SHELF[1].text, "utf-8")
    (docs / "letter.doc").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with rag_with(Says("Да [1]."), tmp_path) as rag:
        rag.index_folder(docs)
        answer = rag.ask("Где ключ?", route="auto")
    assert answer.mode == "attached"
    assert "the model reads all of it; letter.doc could not be read: " in answer.notes[0]


def test_a_limit_on_money_chooses_and_shortens(tmp_path: Path) -> None:
    """What is too dear as a whole is searched; of passages as many go as can be paid for, the others are named."""
    model = Says("Да [1].", "Да [1].", "Да [1].")
    shelves = [Document(f"{n}.txt", f"Полка {n}. " + f"Ключ номер {n} лежит на полке. " * 20) for n in range(20)]
    with rag_with(model, tmp_path, prompt_price=1_000.0, completion_price=1_000.0) as rag:
        rag.add(shelves)
        whole = rag.ask("Где ключ?", route="auto", max_cost=100.0)
        parts = rag.ask("Где ключ?", route="auto", max_cost=4.0)
        fewer = rag.ask("Где ключ?", route="auto", max_cost=1.6)
        for route in (None, "auto", "attachment"):
            with pytest.raises(BudgetExceeded, match=r"0\.51 (is the limit|leaves? \d+ tokens? for the prompt)"):
                rag.ask("Где ключ?", route=route, max_cost=0.51)
        with pytest.raises(ConfigError, match="no route and no limit"):
            rag.ask("Где ключ?", agentic=True, max_cost=1.0)
    assert whole.mode == "attached"
    assert (parts.mode, len(parts.hits)) == ("generative", 6)
    assert re.search(r"would cost \d+\.?\d*, and 4 is the limit", parts.notes[0])
    assert fewer.dropped
    assert 0 < len(fewer.hits) < 6
    prompts = ["".join(message.content for message in messages) for messages in model.told]
    assert estimated_tokens(prompts[2]) <= 1_100
    with rag_with(model, tmp_path) as rag, pytest.raises(ConfigError, match="no price of a prompt is known"):
        rag.ask("Где ключ?", max_cost=1.0)


def test_a_limit_on_money_holds_for_files_too(tmp_path: Path, lease: Path) -> None:
    """A file that is too dear is searched, by auto; where it was to be attached that is an error."""
    lease.write_text("\n".join([lease.read_text("utf-8"), *(f"Полка {n}: газеты." for n in range(900))]), "utf-8")
    with rag_with(Says("Да.", "Десять рабочих дней [1]."), tmp_path, prompt_price=1_000.0) as rag:
        assert rag.ask_file(lease, "Когда возвращается залог?", max_cost=100.0).mode == "attached"
        parts = rag.ask_file(lease, "Когда возвращается залог?", max_cost=3.0)
        with pytest.raises(BudgetExceeded):
            rag.ask_file(lease, "Когда возвращается залог?", route="attachment", max_cost=3.0)
    assert parts.mode == "generative"
    assert "3 is the limit" in parts.notes[0]


def test_earlier_turns_go_with_whole_documents(tmp_path: Path) -> None:
    """They stand between the rules and the question, and count for what fits."""
    model = Says("Да [1].", "Да [1].")
    turns = (Message("user", "Где ключ? " * 1_050), Message("assistant", "У консьержки."))
    with rag_with(model, tmp_path, context_tokens=6_000) as rag:
        rag.add(SHELF)
        assert rag.ask("А залог?", route="auto", talk=Talk(turns[1:], nonce="0" * 32)).mode == "attached"
        assert "too many for the 6\u202f000" in rag.ask("А залог?", route="auto", talk=Talk(turns)).notes[0]
    assert model.told[0][1] == turns[1]
    assert "<data-00000000" in model.told[0][-1].content


def test_a_conversation_takes_a_route_and_tells_its_reason_once(tmp_path: Path) -> None:
    """Until it is another; where whole documents are read no question is rewritten for a search."""
    model = Says("У консьержки [1].", "За десять дней [2].", "Да [1].")
    with rag_with(model, tmp_path) as rag:
        rag.add(SHELF)
        with Dialogue(rag, route="attachment") as dialogue:
            first, second = dialogue.ask("Где ключ?"), dialogue.ask("А залог?")
            rag.remove("lease.pdf")
            third = dialogue.ask("А где теперь?")
    assert first.notes == ("the model reads all of the text of 2 documents, as was asked",)
    assert second.notes == ()
    assert third.notes == ("the model reads all of cellar.txt, as was asked",)
    assert {answer.mode for answer in (first, second, third)} == {"attached"}
    assert len(model.told) == 3
    assert "У консьержки" in model.told[1][2].content
