"""A refusal is a state: every way to an answer that ends in one gives the same word for it, and the nearest hits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from toys import Says, colour_rag

from ragkit.answers import Answer, Refusal, Status
from ragkit.assembly import build
from ragkit.dialogue import Dialogue
from ragkit.errors import BudgetExceeded, ContentRejected
from ragkit.generative import Layout, from_passages
from ragkit.messages import Completion, FunctionCall, Message
from ragkit.prompts import NO_ANSWER
from ragkit.rag import RAG
from ragkit.settings import load_settings
from ragkit.types import Chunk, Document, Hit

QUESTION = "Когда возвращают залог?"
LEASE = Document("lease.txt", "Договор аренды.\n\nЗалог возвращают в течение десяти дней.")
KEY = Document("key.txt", "Ключ от подвала лежит у консьержки.")
SEARCHES = Message("assistant", "", function_call=FunctionCall("search_documents", {"query": "залог"}))


class Forbids(Says):
    """A service that refuses the topic by an error, once it has said what it was given."""

    def complete(self, messages: Sequence[Message], **said: object) -> Completion:
        if not self.answers:
            raise ContentRejected("400: the prompt triggered content_filter", status=400)
        return super().complete(messages, **said)  # type: ignore[arg-type]  # handed on as it came


@pytest.fixture
def rag_of(tmp_path: Path) -> Iterator[Callable[[Says | None], RAG]]:
    """A RAG over two documents, with a model of the test's own or none."""
    opened: list[RAG] = []

    def made(chat: Says | None) -> RAG:
        settings = load_settings({"index": tmp_path / "index", "provider": "offline"}, environ={}, cwd=tmp_path)
        opened.append(build(settings, chat=chat))
        opened[-1].add([LEASE, KEY])
        return opened[-1]

    yield made
    for rag in opened:
        rag.close()


Way = Callable[[RAG], Answer]


def passages(rag: RAG) -> Answer:
    return rag.ask(QUESTION)


def agent(rag: RAG) -> Answer:
    return rag.ask(QUESTION, agentic=True)


def file(rag: RAG) -> Answer:
    path = rag.path.parent / "lease.txt"
    path.write_text(LEASE.text, "utf-8")
    return rag.ask_file(path, QUESTION, route="attachment")


def file_in_passages(rag: RAG) -> Answer:
    path = rag.path.parent / "lease.txt"
    path.write_text(LEASE.text, "utf-8")
    return rag.ask_file(path, QUESTION, route="retrieval")


def whole(rag: RAG) -> Answer:
    return rag.ask(QUESTION, route="attachment")


WAYS = [passages, agent, file, file_in_passages, whole]


def check(answer: Answer, refusal: Refusal) -> None:
    assert (answer.status, answer.refusal, answer.citations, answer.statements) == (Status.REFUSED, refusal, (), ())
    assert answer.reason
    assert answer.hits
    assert NO_ANSWER not in answer.text


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_finds_no_answer(rag_of: Callable[[Says | None], RAG], way: Way) -> None:
    """Not in the sources, whichever way it was given them."""
    check(way(rag_of(Says(NO_ANSWER))), Refusal.NOT_IN_SOURCES)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", ["blacklist", "content_filter"])
def test_a_service_that_ends_with_a_refusal(rag_of: Callable[[Says | None], RAG], way: Way, reason: str) -> None:
    """Filtered, with what the model says instead as the text."""
    answer = way(rag_of(Says("Не люблю об этом.", reason=reason)))
    check(answer, Refusal.FILTERED)
    assert answer.text == "Не люблю об этом."


@pytest.mark.parametrize("way", WAYS)
def test_a_service_that_refuses_by_an_error(rag_of: Callable[[Says | None], RAG], way: Way) -> None:
    """The same state, with the words of the service: a topic that is refused is no failure to try again."""
    answer = way(rag_of(Forbids()))
    check(answer, Refusal.FILTERED)
    assert "triggered content_filter" in answer.reason


@pytest.mark.parametrize("chat", [Says(SEARCHES, NO_ANSWER), Forbids(SEARCHES)])
def test_an_agent_keeps_what_it_found(rag_of: Callable[[Says | None], RAG], chat: Says) -> None:
    """A refusal after a search has the hits of that search."""
    answer = agent(rag_of(chat))
    assert answer.status is Status.REFUSED
    assert answer.hits[0].chunk.source == "lease.txt"


def test_an_agent_whose_searches_find_nothing(rag_of: Callable[[Says | None], RAG]) -> None:
    """By words alone there may be no hit at all: that is why."""
    searches = Message("assistant", "", function_call=FunctionCall("search_documents", {"query": "жираф"}))
    answer = rag_of(Says(searches, NO_ANSWER)).ask("Где жираф?", mode="lexical", agentic=True)
    assert (answer.refusal, answer.hits) == (Refusal.NOTHING_RELEVANT, ())


@pytest.mark.parametrize("question", ["Кто изобрёл синхрофазотрон?", "Кто ты и где я?"])
def test_without_a_model_what_nothing_is_about(rag_of: Callable[[Says | None], RAG], question: str) -> None:
    """Nothing relevant, with the nearest all the same."""
    check(rag_of(None).ask(question), Refusal.NOTHING_RELEVANT)


@pytest.mark.parametrize(
    ("chat", "route"), [(None, None), (None, "auto"), (Says(), None), (Says(), "auto"), (Says(), "attachment")]
)
def test_where_nothing_is_indexed(tmp_path: Path, chat: Says | None, route: str | None) -> None:
    """An index without passages, or none that the conditions leave: no model is paid, and the conditions are named."""
    settings = load_settings({"index": tmp_path / "index", "provider": "offline"}, environ={}, cwd=tmp_path)
    with build(settings, chat=chat) as rag:
        rag.add([KEY])
        conditions = ["source=contracts/*", "source!=key.txt"]
        for agentic in [False, True] if chat and not route else [False]:
            left_out = rag.ask(QUESTION, where=conditions, route=route, agentic=agentic)
            assert (left_out.status, left_out.refusal, left_out.hits) == (Status.REFUSED, Refusal.NOTHING_INDEXED, ())
            assert "source=contracts/*" in left_out.reason
            assert "source!=key.txt" in left_out.reason
        rag.remove("*")
        for agentic in [False, True] if chat and not route else [False]:
            empty = rag.ask(QUESTION, route=route, agentic=agentic)
            assert (empty.status, empty.refusal) == (Status.REFUSED, Refusal.NOTHING_INDEXED)
            assert empty.reason == "nothing is indexed that could answer"
    assert chat is None or not chat.told


@pytest.mark.parametrize("chat", [None, Says()])
def test_where_no_passage_has_a_word_of_the_question(rag_of: Callable[[Says | None], RAG], chat: Says | None) -> None:
    """By words alone: nothing relevant, and not an empty index; no model is paid."""
    answer = rag_of(chat).ask("Где жираф?", mode="lexical")
    assert (answer.status, answer.refusal, answer.hits) == (Status.REFUSED, Refusal.NOTHING_RELEVANT, ())
    assert answer.mode == ("generative" if chat else "extractive")


def test_an_answer_is_no_refusal(rag_of: Callable[[Says | None], RAG]) -> None:
    """The word is there for refusals only, not for what is partial."""
    assert rag_of(Says("Через десять дней [1].")).ask(QUESTION).refusal is None
    partial = rag_of(Says("Через год.")).ask(QUESTION)
    assert (partial.status, partial.refusal) == (Status.PARTIAL, None)
    assert rag_of(None).ask(QUESTION).refusal is None


def test_a_topic_that_is_refused_is_a_turn_of_a_conversation(rag_of: Callable[[Says | None], RAG]) -> None:
    """Also where the service refuses to rewrite the question: the reason is told, and the conversation goes on."""
    rag = rag_of(Forbids("Через десять дней [1]."))
    with Dialogue(rag) as dialogue:
        dialogue.ask(QUESTION)
        check(dialogue.ask("А о запретном?"), Refusal.FILTERED)
    assert [turn.answer for turn in dialogue.turns] == ["Через десять дней [1].", ""]


def test_a_prompt_without_room_is_a_limit() -> None:
    """No model is asked without any source; the limit and what the rules take are both said."""
    model = Says()
    hit = Hit(1, Chunk("lease.txt", 0, len(LEASE.text), LEASE.text), 1.0)
    with pytest.raises(BudgetExceeded, match=r"may have 100 tokens"):
        from_passages(model, QUESTION, [hit], document=lambda _: LEASE, layout=Layout(budget=100))
    changed = from_passages(model, QUESTION, [hit], document=lambda _: KEY)
    check(changed, Refusal.NOT_IN_SOURCES)
    assert "have changed" in changed.reason
    assert not model.told


def test_a_rag_put_together_by_hand_refuses_alike(tmp_path: Path) -> None:
    """Around a store and an embedder of one's own."""
    with colour_rag(tmp_path / "index") as rag:
        rag.add([Document("sea.txt", "The whale is blue.")])
        check(rag.ask("Какова столица Франции?"), Refusal.NOTHING_RELEVANT)
