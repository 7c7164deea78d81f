"""Answers that a model writes: what it is told, how its words are read, and what becomes of files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from toys import Says

from ragkit.answers import Answer, Status, Support, Verification
from ragkit.errors import ConfigError, IndexNotFound, NotFound, ServerError
from ragkit.generative import Layout, from_passages
from ragkit.generative.agentic import from_searches
from ragkit.generative.attached import from_files
from ragkit.messages import Delta, FunctionCall, Message, RemoteFile, TokenCount
from ragkit.prompts import NO_ANSWER, Template, grounded, language_of
from ragkit.providers.lengths import estimated_tokens
from ragkit.types import Chunk, Document, Hit
from ragkit.uploads import Uploads

QUESTION = "Когда возвращают залог?"
DOCUMENTS = {
    "lease.pdf": Document(
        "lease.pdf", "Договор аренды\n\nЗалог возвращают в течение десяти дней.", page_starts=(0, 16)
    ),
    "note.txt": Document("note.txt", "Ключ.\nЗалог лежит в сейфе."),
}
HITS = [
    Hit(1, Chunk("lease.pdf", 16, 55, "Залог возвращают в течение десяти дней.", page=2, heading="3. Залог"), 1.0),
    Hit(2, Chunk("note.txt", 6, 26, "Залог лежит в сейфе.", line=2), 0.5),
]


def ask(model: Says, hits: Sequence[Hit] = HITS, **more: Any) -> Answer:
    return from_passages(model, QUESTION, hits, document=DOCUMENTS.__getitem__, **more)


def search_with(model: Says, search: Callable[[str], Sequence[Hit]], **more: Any) -> Answer:
    return from_searches(model, QUESTION, search, document=DOCUMENTS.__getitem__, **more)


@pytest.mark.parametrize(
    ("text", "language"), [("Что такое API?", "ru"), ("How long?", "en"), ("Что такое REST API GET", "en")]
)
def test_the_rules_are_in_the_language_of_the_question(text: str, language: str) -> None:
    """Most letters decide."""
    assert language_of(text) == language


def test_markers_lead_to_the_passages() -> None:
    """Each source that is named is cited, with its own place."""
    answer = ask(Says("В сейфе [2], вернут за десять дней [1][2]."))
    assert answer.status is Status.ANSWERED
    assert {(c.marker, c.source, c.page, c.line) for c in answer.citations} == {
        ("[2]", "note.txt", None, 2),
        ("[1]", "lease.pdf", 2, 1),
    }
    assert (answer.mode, answer.model) == ("generative", "parrot:1")


def test_markers_of_sources_that_were_not_given_are_taken_out() -> None:
    """A source that the model made up is not shown, and that is said."""
    answer = ask(Says("За десять дней [1, 9]. Или за год [7]."))
    assert answer.text == "За десять дней [1]. Или за год."
    assert [citation.marker for citation in answer.citations] == ["[1]"]
    assert "2 markers" in answer.notes[0]


@pytest.mark.parametrize(
    ("said", "reason", "status", "about"),
    [
        (NO_ANSWER, "stop", Status.REFUSED, "no answer"),
        (f"{NO_ANSWER} [1]", "stop", Status.REFUSED, "no answer"),
        (f"«{NO_ANSWER.lower()}»!", "stop", Status.REFUSED, "no answer"),
        (f"**{NO_ANSWER}**: в источниках об этом нет", "stop", Status.REFUSED, "no answer"),
        ("", "stop", Status.REFUSED, "no answer"),
        ("За десять [1]", "length", Status.PARTIAL, "limit of tokens"),
        ("Не люблю говорить об этом", "blacklist", Status.REFUSED, "refuses this topic"),
        ("За десять [1]", "error", Status.PARTIAL, "not valid"),
        ("За десять [1]", "weird", Status.PARTIAL, "weird"),
        ("За десять дней.", "stop", Status.PARTIAL, "names no source"),
    ],
)
def test_how_an_answer_ended_is_told(said: str, reason: str, status: Status, about: str) -> None:
    """Every reason to stop that is not the plain one reaches the reader."""
    answer = ask(Says(said, reason=reason))
    assert answer.status is status
    assert about in answer.reason
    assert NO_ANSWER not in answer.text


def test_without_passages_nothing_is_asked() -> None:
    """No model is paid for a question that nothing indexed is near to."""
    model = Says()
    assert ask(model, []).status is Status.REFUSED
    assert not model.told


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("За десять [1].", "За десять [1]."),
        (NO_ANSWER, ""),
        (f"**{NO_ANSWER}**", ""),
        (f"{NO_ANSWER}. Об этом ничего нет.", ""),
        ("NO", "NO"),
        ("No answer is short.", "No answer is short."),
    ],
)
def test_pieces_are_told_as_they_come(said: str, shown: str) -> None:
    """All of the text, and nothing of the word that stands for no answer."""
    pieces: list[str] = []
    ask(Says(said), told=lambda delta: pieces.append(delta.text))
    assert "".join(pieces) == shown


@pytest.mark.parametrize(
    "said", ["В items[0] и x_1[12] лежит ключ [1].", "Договор [2024] года [1].", "«Да»[1]", "Срок десять дней[1][2]"]
)
def test_brackets_that_are_no_markers_stay(said: str) -> None:
    """An index in code, a year: nothing of the text is lost."""
    assert ask(Says(said)).text == said


def test_news_of_a_function_is_told_before_any_text() -> None:
    """What the service does meanwhile does not wait for the first word."""

    class Busy(Says):
        def stream(self, messages: Sequence[Message], **said: object) -> Iterator[Delta]:
            yield Delta(progress="осталось 00:09")
            yield from super().stream(messages, **said)

    told: list[Delta] = []
    ask(Busy("Да [1]."), told=told.append)
    assert told[0].progress == "осталось 00:09"


def test_each_quote_is_compared_with_its_document() -> None:
    """A true quote has its own place, an invented one is named; each sentence has its support."""
    answer = ask(Says("Срок такой: «возвращают в течение десяти дней» [1]. Он «лежит в банке» [2]. Удачи!"))
    true, false = answer.citations
    assert (true.verification, true.page, true.start, true.quote) == (
        Verification.EXACT,
        2,
        22,
        "возвращают в течение десяти дней",
    )
    assert (false.verification, false.source, false.line) == (Verification.NOT_FOUND, "note.txt", 0)
    assert [each.support for each in answer.statements] == [Support.VERIFIED, Support.NOT_FOUND, Support.UNCITED]
    assert (answer.status, "1 of the quotes" in answer.reason) == (Status.PARTIAL, True)


def test_what_the_prompt_has_no_room_for_is_named() -> None:
    """Passages that do not fit are dropped with their source and page, and cannot be cited."""
    model = Says("Да [2].")
    one = estimated_tokens("\n".join(message.content for message in grounded(QUESTION, HITS[:1])))
    # Much longer than the marks around a passage, of which no two prompts have the same.
    long = Hit(2, Chunk("note.txt", 6, 26, "Залог лежит в сейфе. " * 60, line=2), 0.5)
    answer = ask(model, [HITS[0], long], layout=Layout(budget=round(1.5 * one)))
    assert answer.dropped
    assert "note.txt" in answer.dropped[0]
    assert "сейфе" not in model.told[0][-1].content
    assert answer.citations == ()


def test_a_service_that_counts_is_asked_where_it_is_close() -> None:
    """Real counts decide what fits; far from the limit nothing is asked."""

    class Counts(Says):
        counted = 0

        def count_tokens(self, texts: Sequence[str], _: str = "") -> tuple[list[TokenCount], bool]:
            self.counted += 1
            return [TokenCount(len(text) // 4, len(text)) for text in texts], True

    near, far = Counts("Да [1]."), Counts("Да [1].")
    ask(near, layout=Layout(budget=600))
    ask(far)
    assert (near.counted > 0, far.counted) == (True, 0)


def test_the_words_of_the_prompt_can_be_replaced(tmp_path: Path) -> None:
    """A template of the user's own; numbering and frame stay."""
    file = tmp_path / "prompt.txt"
    file.write_text("Отвечай стихами.\n{sources}\nВопрос: {question}", "utf-8")
    model = Says("Да [1].")
    ask(model, layout=Layout(template=Template.read(file)))
    told = "\n".join(message.content for message in model.told[0])
    assert "Отвечай стихами." in told
    assert "[1] " in told


def test_quotes_of_an_attached_file_are_compared_too(tmp_path: Path, uploads: Uploads) -> None:
    """Against the text that our loader reads from the same file."""
    lease = tmp_path / "lease.txt"
    lease.write_text("Договор.\nЗалог возвращают за десять рабочих дней.", "utf-8")
    answer = from_files(
        Shelf("Так: «Залог возвращают за десять рабочих дней»."), QUESTION, [lease], uploads=uploads, load=load
    )
    [citation] = answer.citations
    assert (citation.source, citation.line, citation.verification) == ("lease.txt", 2, Verification.EXACT)


# -- a model that searches


def call(query: str) -> Message:
    return Message("assistant", "", function_call=FunctionCall("search_documents", {"query": query}))


def test_an_agent_searches_in_its_own_words_and_numbers_stay() -> None:
    """Passages found again keep their number; what the answer names leads to them."""
    model = Says(call("залог срок"), call("залог где"), "За десять дней [2].")
    queries: list[str] = []

    def search(query: str) -> list[Hit]:
        queries.append(query)
        return HITS if "где" in query else HITS[1:]

    news: list[str] = []
    answer = search_with(model, search, rounds=5, told=lambda delta: news.append(delta.progress or delta.text))
    assert queries == ["залог срок", "залог где"]
    assert [hit.chunk.source for hit in answer.hits] == ["note.txt", "lease.pdf"]
    assert [citation.source for citation in answer.citations] == ["lease.pdf"]
    assert news == ["ищу: залог срок", "ищу: залог где", "За десять дней [2]."]
    assert '"number": 2' in model.told[-1][-1].content


def test_an_agent_has_to_answer_in_the_end() -> None:
    """After the last search that it is allowed, the model is asked with functions switched off."""
    model = Says(call("раз"), call("два"), "Не знаю.")
    answer = search_with(model, lambda _: HITS, rounds=2)
    assert model.choices == ["auto", "auto", "none"]
    assert answer.text == "Не знаю."


def test_an_agent_that_never_searched_has_no_sources() -> None:
    """What it says names no source, and markers of its own making are taken out."""
    answer = search_with(Says("За год [1]."), lambda _: HITS, rounds=3)
    assert (answer.text, answer.status) == ("За год.", Status.PARTIAL)


def test_an_error_of_the_search_is_not_the_models_to_answer() -> None:
    """A missing index or an empty account ends the question; an empty query is told to the model."""

    def search(query: str) -> list[Hit]:
        raise IndexNotFound(f"no index for {query}")

    with pytest.raises(IndexNotFound):
        search_with(Says(call("залог")), search, rounds=3)
    assert search_with(Says(call(" "), "Не знаю."), search, rounds=3).text == "Не знаю."


# -- files


class Shelf(Says):
    """A model whose service keeps files, by number; `down` makes deleting fail."""

    account = "shelf"

    def __init__(self, *answers: str, down: bool = False) -> None:
        super().__init__(*answers)
        self.kept: dict[str, bytes] = {}
        self.uploaded: list[str] = []
        self.down = down

    def upload(self, path: str | Path, *, name: str = "", purpose: str = "general") -> RemoteFile:
        id = f"file-{len(self.uploaded)}"
        self.uploaded.append(Path(path).name)
        self.kept[id] = Path(path).read_bytes()
        return RemoteFile(id, name or Path(path).name, len(self.kept[id]), purpose=purpose)

    def files(self) -> list[RemoteFile]:
        return [self.file(id) for id in self.kept]

    def file(self, id: str) -> RemoteFile:
        if id not in self.kept:
            raise NotFound("gone", status=404)
        return RemoteFile(id, id, len(self.kept[id]))

    def content(self, id: str) -> bytes:
        return self.kept[id]

    def delete(self, id: str) -> bool:
        if self.down:
            raise ServerError("down", status=500)
        return self.kept.pop(id, None) is not None


@pytest.fixture
def lease(tmp_path: Path) -> Path:
    path = tmp_path / "lease.txt"
    path.write_text("Залог возвращают за десять дней.", "utf-8")
    return path


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "state" / "uploads.json")


def load(path: Path) -> Document:
    return Document(path.name, path.read_text("utf-8"))


def test_a_file_is_uploaded_asked_about_and_deleted(lease: Path, uploads: Uploads) -> None:
    """The id is in the message; afterwards nothing of the file is left with the service."""
    shelf = Shelf("За десять дней.")
    answer = from_files(shelf, QUESTION, [lease], uploads=uploads, load=load)
    assert (answer.text, answer.mode, answer.status) == ("За десять дней.", "attached", Status.ANSWERED)
    assert shelf.told[0][-1].attachments == ("file-0",)
    assert not shelf.kept


def test_a_kept_file_is_not_uploaded_again(lease: Path, uploads: Uploads) -> None:
    """The same bytes under another name are known; without `keep` a kept file stays too; changed bytes are sent."""
    shelf = Shelf("раз", "два", "три", "четыре")
    from_files(shelf, QUESTION, [lease], uploads=uploads, load=load, keep=True)
    copy = lease.with_name("copy.txt")
    copy.write_bytes(lease.read_bytes())
    again = from_files(shelf, QUESTION, [copy], uploads=uploads, load=load)
    assert shelf.uploaded == ["lease.txt"]
    assert "not uploaded again" in again.notes[0]
    shelf.kept.clear()  # deleted from elsewhere
    from_files(shelf, QUESTION, [lease], uploads=uploads, load=load, keep=True)
    lease.write_text("Залог не возвращают.", "utf-8")
    from_files(shelf, QUESTION, [lease], uploads=uploads, load=load)
    assert shelf.uploaded == ["lease.txt"] * 3
    assert list(shelf.kept) == ["file-1"]


def test_the_file_is_deleted_when_the_question_fails(lease: Path, uploads: Uploads) -> None:
    """An error leaves nothing behind; a file that cannot be deleted is named with its cure."""
    shelf = Shelf()
    with pytest.raises(IndexError):
        from_files(shelf, QUESTION, [lease], uploads=uploads, load=load)
    assert not shelf.kept
    answer = from_files(Shelf("за десять", down=True), QUESTION, [lease], uploads=uploads, load=load)
    assert "ragkit files delete file-0" in answer.notes[0]


def test_images_go_one_in_a_message(tmp_path: Path, uploads: Uploads) -> None:
    """As the service wants it; the question stands with the last."""
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for path in paths:
        path.write_bytes(b"\x89PNG")
    shelf = Shelf("Три картинки.")
    from_files(shelf, "Что здесь?", paths, uploads=uploads, load=load)
    assert [len(message.attachments) for message in shelf.told[0]] == [0, 1, 1, 1]
    assert shelf.told[0][-1].content == "Что здесь?"


def test_what_a_service_would_drop_is_refused_first(tmp_path: Path, lease: Path, uploads: Uploads) -> None:
    """Two documents without functions, more than ten images, images beside documents, no file at all."""
    other = tmp_path / "other.txt"
    other.write_text("Ещё", "utf-8")
    images = [tmp_path / f"{n}.png" for n in range(11)]
    for path in images:
        path.write_bytes(b"\x89PNG")
    shelf = Shelf("Оба прочитаны.")
    for paths, said in (
        ([lease, other], "reads the first one only"),
        (images, "11 images"),
        ([lease, images[0]], "is an image"),
        ([tmp_path / "none.txt"], "is no file"),
        ([], "no file is named"),
    ):
        with pytest.raises(ConfigError, match=said):
            from_files(shelf, QUESTION, paths, uploads=uploads, load=load)
    assert not shelf.uploaded
    from_files(shelf, QUESTION, [lease, other], uploads=uploads, load=load, functions=True)
    assert shelf.choices == ["auto"]


def test_a_service_without_files_gets_the_text(lease: Path, uploads: Uploads, tmp_path: Path) -> None:
    """Documents as our loaders read them, pictures as they are; what is too long is sent to the index."""
    model = Says("За десять.", "Кот.")
    from_files(model, QUESTION, [lease], uploads=uploads, load=load)
    assert "Залог возвращают за десять дней." in model.told[0][-1].content
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG")
    from_files(model, "Кто это?", [picture], uploads=uploads, load=load)
    assert model.told[1][-1].pictures[0].data == b"\x89PNG"
    both = Says("Оба.")
    (tmp_path / "elsewhere").mkdir()
    twin = tmp_path / "elsewhere" / "lease.txt"
    twin.write_text("Залог возвращают за год.", "utf-8")
    answer = from_files(both, QUESTION, [lease, twin], uploads=uploads, load=load)
    assert both.told[0][-1].content.count("Залог возвращают") == 2
    assert len({hit.chunk.source for hit in answer.hits}) == 2
    lease.write_text("а" * 200_001, "utf-8")
    with pytest.raises(ConfigError, match="fit into a question"):
        from_files(model, QUESTION, [lease], uploads=uploads, load=load)


def test_a_damaged_memory_of_uploads_costs_an_upload(lease: Path, tmp_path: Path) -> None:
    """The file is a convenience: what cannot be read is forgotten."""
    place = tmp_path / "uploads.json"
    place.write_text("{", "utf-8")
    shelf = Shelf()
    file, known = Uploads(place).upload(shelf, lease)
    assert not known
    Uploads(place).remember(shelf, lease, file)
    assert Uploads(place).upload(shelf, lease) == (shelf.file("file-0"), True)
