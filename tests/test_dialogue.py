"""Conversations: what a follow-up is searched as, what goes with it to the model, what it costs and what it leaves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from toys import Says

import ragkit
from ragkit.answers import Status
from ragkit.dialogue import LONGEST_ADDITION, MOST_CHARACTERS, MOST_TURNS, Dialogue, Turn
from ragkit.errors import ConfigError, RagkitError, ServerError
from ragkit.messages import ChatOptions, Completion, Message
from ragkit.prompts import NO_ANSWER
from ragkit.rag import RAG
from ragkit.sandbox import Sandbox

LEASE = "Договор аренды заключён на одиннадцать месяцев. Залог возвращают в течение десяти рабочих дней."
KETTLE = "Гарантия на чайник действует двадцать четыре месяца со дня покупки."
FIRST = "Когда возвращают залог?"
FOLLOWING = "А сколько она длится?"
STANDING = "Сколько длится гарантия на чайник?"


class Recorded(Says):
    """Keeps the options too."""

    def __init__(self, *answers: Message | str, reason: str = "stop") -> None:
        super().__init__(*answers, reason=reason)
        self.options: list[ChatOptions | None] = []

    def complete(self, messages: Sequence[Message], *, options: ChatOptions | None = None, **_: object) -> Completion:
        self.options.append(options)
        return super().complete(messages, options=options)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Says | None], RAG]]:
    """A RAG of two notes, around a model of the test's choice."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "lease.txt").write_text(LEASE, "utf-8")
    (tmp_path / "docs" / "kettle.txt").write_text(KETTLE, "utf-8")
    rags: list[RAG] = []

    def build(model: Says | None) -> RAG:
        rag = ragkit.open(tmp_path / "index", provider="offline", chat=model)
        if not rags:
            rag.index_folder(tmp_path / "docs")
        rags.append(rag)
        return rag

    yield build
    for rag in rags:
        rag.close()


def test_a_follow_up_is_searched_in_a_form_of_its_own(opened: Callable[[Says | None], RAG]) -> None:
    """The model is asked for it once, with the turns before; the search finds what the words as asked do not name."""
    model = Recorded("За десять дней [1].", f"«{STANDING}»", "Двадцать четыре месяца [1].")
    heard: list[str] = []
    with Dialogue(opened(model), k=1) as dialogue:
        dialogue.ask(FIRST, searching=heard.append)
        assert (dialogue.rewritten, len(model.told)) == ("", 1)
        answer = dialogue.ask(FOLLOWING, searching=heard.append)
    assert heard == [dialogue.rewritten] == [STANDING]
    asked = model.told[1][-1].content
    assert [each in asked for each in (FIRST, "За десять дней", FOLLOWING)] == [True] * 3
    assert (answer.question, answer.hits[0].chunk.source) == (FOLLOWING, "kettle.txt")
    assert dialogue.turns[1] == Turn(FOLLOWING, answer.text, answer.citations, STANDING, dialogue.turns[1].time)


@pytest.mark.parametrize(
    "said",
    ["", "  ", NO_ANSWER, FOLLOWING, "слово " * LONGEST_ADDITION, f"{FIRST} {FOLLOWING}"],
    ids=["empty", "blank", "none", "same", "long", "retold"],
)
def test_a_useless_rewriting_falls_back_to_the_question(opened: Callable[[Says | None], RAG], said: str) -> None:
    """An empty, absurdly long, unchanged one, or one that tells the conversation again, is not searched for."""
    model = Says("За десять дней [1].", said, "Не знаю [1].")
    heard: list[str] = []
    dialogue = Dialogue(opened(model))
    dialogue.ask(FIRST)
    answer = dialogue.ask(FOLLOWING, searching=heard.append)
    assert (dialogue.rewritten, answer.status) == ("", Status.ANSWERED)
    assert heard == [FOLLOWING]
    assert FOLLOWING in model.told[2][-1].content


def test_earlier_turns_stand_between_the_rules_and_the_question(opened: Callable[[Says | None], RAG]) -> None:
    """Without sources and markers, whose numbers mean other sources now; the rules are the same in each turn."""
    model = Says("За десять дней [1].", STANDING, "Два года [1].")
    dialogue = Dialogue(opened(model))
    dialogue.ask(FIRST)
    dialogue.ask(FOLLOWING)
    first, _, second = model.told
    assert [message.role for message in second] == ["system", "user", "assistant", "user"]
    assert [message.content for message in second[1:3]] == [FIRST, "За десять дней."]
    assert second[0] == first[0]


def test_a_refused_question_is_known_to_the_rewriting_alone(opened: Callable[[Says | None], RAG]) -> None:
    """The model is not shown an answer that there was none of."""
    model = Says(NO_ANSWER, STANDING, "Два года [1].")
    dialogue = Dialogue(opened(model))
    assert dialogue.ask(FIRST).status is Status.REFUSED
    dialogue.ask(FOLLOWING)
    assert FIRST in model.told[1][-1].content
    assert [message.role for message in model.told[2]] == ["system", "user"]
    assert dialogue.turns[0].answer == ""


def test_history_is_bounded_and_begins_at_one_place_for_several_turns(opened: Callable[[Says | None], RAG]) -> None:
    """The oldest turns go, several at once, so that those in between share their beginning."""
    texts = [f"Ответ {n}. " + "Слово. " * 20 for n in range(3 * MOST_TURNS)]
    model = Says(*[each for text in texts for each in ("", text)][1:])
    dialogue = Dialogue(opened(model))
    for n in range(len(texts)):
        dialogue.ask(f"Когда возвращают залог, {n}?")
    histories = [told[1:-1] for told in model.told[::2]]
    sizes = [sum(len(message.content) for message in each) for each in histories]
    assert max(len(each) for each in histories) == 2 * MOST_TURNS
    assert max(sizes) <= MOST_CHARACTERS
    beginnings = [each[0].content for each in histories if each]
    assert len(set(beginnings)) <= 1 + len(texts) // (MOST_TURNS // 2)
    assert histories[-1][-1].content == texts[-2]


def test_one_long_turn_is_cut(opened: Callable[[Says | None], RAG]) -> None:
    """The last turn always goes with the question, as much of it as there is room for."""
    model = Says("", "Да [1].")
    dialogue = Dialogue(opened(model), turns=[Turn("Что?", "старое"), Turn(FIRST, "слово " * MOST_CHARACTERS)])
    dialogue.ask(FOLLOWING)
    told = model.told[1]
    assert [message.content[:5] for message in told[1:3]] == [FIRST[:5], "слово"]
    assert len(told[2].content) == MOST_CHARACTERS // 2


def test_answers_share_a_session_and_rewritings_have_their_own(opened: Callable[[Says | None], RAG]) -> None:
    """A fresh uuid for each dialogue; one that is given is used."""
    model = Recorded("Да [1].", STANDING, "Да [1].")
    rag = opened(model)
    dialogue = Dialogue(rag)
    dialogue.ask(FIRST)
    dialogue.ask(FOLLOWING)
    first, rewriting, second = [options.session_id for options in model.options if options]
    assert first == second == dialogue.session != rewriting
    assert re.fullmatch(r"[0-9a-f-]{36}", first)
    assert Dialogue(rag).session != first
    assert Dialogue(rag, session="mine").session == "mine"


def test_without_a_model_answers_quote_the_documents(opened: Callable[[Says | None], RAG], tmp_path: Path) -> None:
    """Nothing is rewritten, and nothing is billed; an image has no passages."""
    dialogue = Dialogue(opened(None))
    assert "десяти рабочих дней" in dialogue.ask(FIRST).text
    answer = dialogue.ask("Сколько действует гарантия на чайник?")
    assert (answer.mode, dialogue.rewritten) == ("extractive", "")
    assert dialogue.usage.total_tokens == 0
    with pytest.raises(ConfigError, match="is empty"):
        dialogue.ask("  ")
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    dialogue.about(tmp_path / "cat.jpg")
    with pytest.raises(ConfigError, match="no chat model"):
        dialogue.ask(FIRST)


def test_a_failed_question_is_no_turn_and_its_bill_counts(
    opened: Callable[[Says | None], RAG], ragkit_sandbox_env: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    """An error leaves the conversation as it was; what was billed before it is in `usage`."""
    assert ragkit_sandbox_env
    opened(None)
    with ragkit.open(tmp_path / "index", embed_provider="offline", retries=0) as rag, Dialogue(rag) as dialogue:
        usage = dialogue.ask(FIRST).usage
        assert usage == dialogue.usage
        sandbox.inject("500", times=None, path="/chat/completions")
        with pytest.raises(ServerError):
            dialogue.ask(FOLLOWING)
        assert (len(dialogue.turns), dialogue.file) == (1, None)
        sandbox.reset()
        dialogue.ask(FOLLOWING)
        assert dialogue.usage.total_tokens > usage.total_tokens
        assert len(dialogue.turns) == 2


def test_the_second_turn_is_cheap(
    opened: Callable[[Says | None], RAG], ragkit_sandbox_env: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    """One X-Session-ID for all answers, and tokens from GigaChat's cache from the second on."""
    assert ragkit_sandbox_env
    opened(None)
    with ragkit.open(tmp_path / "index", embed_provider="offline") as rag, Dialogue(rag) as dialogue:
        cached = [dialogue.ask(each).usage.precached_prompt_tokens for each in (FIRST, FOLLOWING, FIRST)]
    assert cached[0] == 0 < cached[1] < cached[2]
    chats = [each for each in sandbox.stats.requests if each.path.endswith("/chat/completions")]
    sessions = [each.headers["x-session-id"] for each in chats]
    assert sessions.count(dialogue.session) == 3
    assert len(set(sessions)) == 2  # the rewritings'


def test_a_file_is_uploaded_once_and_deleted_at_the_end(
    ragkit_sandbox_env: dict[str, str], sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several questions, one upload; what was with the service before stays there. No index is needed."""
    assert ragkit_sandbox_env
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kettle, kept = tmp_path / "kettle.txt", tmp_path / "kept.txt"
    kettle.write_text(KETTLE, "utf-8")
    kept.write_text(LEASE, "utf-8")
    with ragkit.open(tmp_path / "index") as rag:
        rag.ask_file(kept, FIRST, keep=True)
        with Dialogue(rag) as dialogue:
            dialogue.about(kettle)
            assert "двадцать четыре" in dialogue.ask("Сколько действует гарантия?").text
            assert "двадцать четыре" in dialogue.ask("Сколько действует гарантия на чайник?").text
            dialogue.about(kept)
            assert "десяти рабочих" in dialogue.ask(FIRST).text
            assert sandbox.stats.routes["POST /files"] == 2
        with pytest.raises(ConfigError, match="no file"):
            dialogue.about(tmp_path)
        service = rag.chat()
        assert isinstance(service, ragkit.GigaChat)
        assert [file.name for file in service.files()] == ["kept.txt"]


def test_a_file_that_is_too_long_has_a_cure(
    ragkit_sandbox_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conversation has its file read whole; where the model refuses that, the hint names the other way."""
    assert ragkit_sandbox_env
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    long = tmp_path / "long.txt"
    long.write_text("Прибор хранится в шкафу. " * 40_000, "utf-8")
    with ragkit.open(tmp_path / "index", retries=0) as rag, Dialogue(rag) as dialogue:
        dialogue.about(long)
        with pytest.raises(RagkitError) as error:
            dialogue.ask("Где прибор?")
    assert "ragkit ask --file" in error.value.hint


def test_without_a_model_a_file_is_answered_from_its_passages(
    opened: Callable[[Says | None], RAG], tmp_path: Path
) -> None:
    """As `RAG.ask_file` does it: nothing is uploaded, and the reason is said."""
    kettle = tmp_path / "kettle.txt"
    kettle.write_text(KETTLE, "utf-8")
    with Dialogue(opened(None)) as dialogue:
        dialogue.about(kettle)
        answer, again = (dialogue.ask("Сколько действует гарантия на чайник?") for _ in range(2))
    assert "двадцать четыре" in answer.text
    assert again.notes == ()
    assert [each.source for each in answer.citations] == ["kettle.txt"]
    assert "no chat model is configured" in answer.notes[0]
