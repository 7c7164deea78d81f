"""Answers are judged by where they lead, what they say and whether they refuse rightly; drafts are made for review."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from ragkit.answers import Answer, Citation, Status, Verification
from ragkit.budget import Budget
from ragkit.errors import ConfigError, ServerError
from ragkit.evaluation import Question, draft_questions, score_answers
from ragkit.evaluation.answers import contains
from ragkit.evaluation.drafting import GAP
from ragkit.messages import ChatOptions, Completion, Delta, Function, FunctionChoice, Message
from ragkit.metering import metered, spend
from ragkit.types import Document, Usage


def answer(text: str, *cited: tuple[str, int | None], status: Status = Status.ANSWERED, quote: str = "") -> Answer:
    citations = tuple(
        Citation(f"[{n}]", source, page, 1, 0, 5, quote, Verification.EXACT)
        for n, (source, page) in enumerate(cited, 1)
    )
    return Answer("?", text, status, citations)


REFUSED = answer("", status=Status.REFUSED)


def test_citations_by_hand() -> None:
    """Two of three citations lead to expected pages; one of the two pages expected is cited."""
    question = Question("q", "?", {"a.pdf#page=2": 1, "a.pdf#page=5": 1})
    found = score_answers([question], {"q": answer("…", ("a.pdf", 2), ("a.pdf", 2), ("b.md", None))})
    assert found.means["citation_precision"].mean == pytest.approx(2 / 3)
    assert found.means["citation_recall"].mean == 1 / 2
    assert found.means["answered"].mean == 1
    assert (found.questions, found.refused) == (1, 0)


def test_a_document_is_expected_whole_or_by_page() -> None:
    """Any page of it will do where no page is named; where one is, the document alone will not."""
    for sources, right in (({"a.pdf": 1}, 1), ({"a.pdf#page=7": 1}, 0)):
        found = score_answers([Question("q", "?", sources)], {"q": answer("…", ("a.pdf", 2))})
        assert found.means["citation_precision"].mean == found.means["citation_recall"].mean == right


def test_refusals_by_hand() -> None:
    """Three refused, two of them rightly; two of four unanswerable ones are refused; one of two others is answered."""
    questions = [Question(f"n{i}", "?", answerable=False) for i in range(4)]
    questions += [Question("a", "?", {"x": 1}), Question("b", "?", {"x": 1})]
    answers = dict.fromkeys(("n0", "n1", "b"), REFUSED) | dict.fromkeys(("n2", "n3", "a"), answer("x", ("x", None)))
    found = score_answers(questions, answers)
    means = {measure: (each.mean, each.count) for measure, each in found.means.items()}
    assert means["refusal_precision"] == (pytest.approx(2 / 3), 3)
    assert means["refusal_recall"] == (0.5, 4)
    assert means["answered"] == (0.5, 2)
    assert means["citation_recall"] == (0.5, 2)  # what is refused cites nothing
    assert means["citation_precision"] == (1, 1)  # and has no citation that could be wrong
    assert "answer_contained" not in means
    assert found.values["refusal_precision"] == {"n0": 1, "n1": 1, "b": 0}


def test_an_answer_without_citations_has_precision_0() -> None:
    """It leads nowhere; and an answer in part is an answer."""
    found = score_answers([Question("q", "?", {"x": 1})], {"q": answer("Trust me.", status=Status.PARTIAL)})
    assert found.means["citation_precision"].mean == 0
    assert found.means["answered"].mean == 1


CONTAINED = [
    ("в течение Десяти рабочих дней.", "десяти рабочих дней", True),
    ("Счёт «Учёт» закрыт", "счет учет", True),
    ("1\u202f200 рублей", "1 200", True),
    ("twenty-four months", "twenty four months", True),
    ("o\ufb03ce", "office", True),
    ("124 months", "24 months", False),
    ("24 long months", "24 months", False),
    ("nothing", "…", False),
]


@pytest.mark.parametrize(("text", "wanted", "found"), CONTAINED)
def test_an_expected_answer_is_found_in_other_spelling(text: str, wanted: str, found: bool) -> None:
    """Case, ё, quotation marks, spaces and ligatures do not matter; whole words, their order and numbers do."""
    assert contains(text, wanted) is found


def test_the_answer_may_stand_in_a_quote_but_not_in_a_marker() -> None:
    """One of several wordings is enough; the number of a source is not an answer."""
    question = Question("q", "?", answers=("два года", "24 months"))
    quoted = answer("It lasts long [1].", ("x", None), quote="The warranty is 24 months.")
    assert score_answers([question], {"q": quoted}).means["answer_contained"].mean == 1
    number = replace(question, answers=("1",))
    assert score_answers([number], {"q": answer("Some [1].", ("x", None))}).means["answer_contained"].mean == 0


def test_unanswered_questions_are_left_out() -> None:
    """A run that stopped is judged by what it answered; without any answer there is nothing to judge."""
    questions = [Question("a", "?", {"x": 1}), Question("b", "?", {"x": 1})]
    assert score_answers(questions, {"a": answer("…", ("x", None))}).questions == 1
    with pytest.raises(ConfigError, match="none of 2 questions"):
        score_answers(questions, {})


# -- Drafts

PROSE = "The red house stands by the river and its roof is covered with moss, which nobody has ever taken off. "
DOCUMENTS = {
    "lease.md": Document(
        "lease.md",
        "Договор вступает в силу после подписания обеими сторонами и действует одиннадцать месяцев подряд. "
        "Арендодатель возвращает залог арендатору в течение 10 дней после подписания акта приёма-передачи помещения.",
    ),
    "pages.pdf": Document("pages.pdf", PROSE * 3 + "\n\n" + PROSE * 3, page_starts=(0, len(PROSE * 3) + 2)),
    "table.txt": Document("table.txt", "1 2 3 4 5 6 7 8 9\n" * 40),
}


def drafts(**options: object) -> list[dict[str, object]]:
    return list(draft_questions(list(DOCUMENTS), DOCUMENTS.__getitem__, **options).rows)  # type: ignore[arg-type]


def test_drafts_without_a_model_are_cut_out_of_the_documents() -> None:
    """A number is left out of its sentence, or rare words are put together; each is marked, and has its place."""
    rows = {str(row["sources"]): row for row in drafts()}
    lease = rows["['lease.md']"]
    assert lease["question"] == (
        f"Арендодатель возвращает залог арендатору в течение {GAP} после подписания акта приёма-передачи помещения."
    )
    assert lease["answer"] == "10 дней"
    assert (lease["draft"], lease["by"]) == (True, "extractive")
    assert not [name for name in rows if "table" in name]
    pages = [name for name in rows if "pages" in name]
    assert pages
    assert all("#page=" in name for name in pages)


def test_drafts_are_the_same_each_time_and_spread_over_documents() -> None:
    """Two drafts come from two documents, whatever order the documents are given in."""
    assert drafts() == drafts()
    two = draft_questions(list(DOCUMENTS)[::-1], DOCUMENTS.__getitem__, n=2).rows
    assert list(two) == drafts(n=2)
    assert {str(row["sources"]).partition("#")[0].strip("[]'") for row in two} == {"lease.md", "pages.pdf"}


def test_fewer_drafts_than_were_wanted_are_said() -> None:
    """Fifty asked for, a handful made: not in silence, with a model or without."""
    found = draft_questions(list(DOCUMENTS), DOCUMENTS.__getitem__, n=500)
    said = f"{len(found.rows)} of 500 questions: the documents have no more passages to ask about"
    assert found.notes == (said,)
    written = draft_questions(list(DOCUMENTS), DOCUMENTS.__getitem__, n=500, chat=Author())
    assert written.notes[-1] == "0 of 500 questions: the documents have no more passages to ask about"


def test_documents_without_prose_give_no_drafts() -> None:
    """It is said rather than an empty file written."""
    with pytest.raises(ConfigError, match="no passage of 20 words"):
        draft_questions(["table.txt"], DOCUMENTS.__getitem__)


class Author:
    """A chat model that gives prepared replies, each billed at 100 tokens."""

    chat_model = "author-1"

    def __init__(self, *replies: str | Exception) -> None:
        self.replies = list(replies)
        self.asked: list[Sequence[Message]] = []

    def complete(
        self,
        messages: Sequence[Message],
        *,
        functions: Sequence[Function] = (),  # noqa: ARG002 - the seam's
        function_call: FunctionChoice = "none",  # noqa: ARG002 - the seam's
        options: ChatOptions | None = None,  # noqa: ARG002 - the seam's
    ) -> Completion:
        self.asked.append(messages)
        reply = self.replies.pop(0) if self.replies else "no more"
        if isinstance(reply, Exception):
            raise reply
        usage = Usage(prompt_tokens=80, completion_tokens=20)
        spend(usage)
        return Completion(Message("assistant", reply), "stop", "author-1:2", usage)

    def stream(self, *_: object, **__: object) -> Iterator[Delta]:
        raise NotImplementedError


def test_a_model_writes_questions_from_passages() -> None:
    """Fences around its JSON are no harm; the passage is given as data with the rules in its language."""
    author = Author('```json\n{"question": "Where does the\\nhouse stand?", "answer": "by the river"}\n```')
    documents = {"pages.pdf": DOCUMENTS["pages.pdf"]}
    found = draft_questions(["pages.pdf"], documents.__getitem__, chat=author, n=1)
    [row] = found.rows
    assert row["question"] == "Where does the house stand?"
    assert row["answer"] == "by the river"
    assert (row["draft"], row["by"], found.by) == (True, "author-1:2", "author-1")
    assert [message.role for message in author.asked[0]] == ["system", "user"]
    assert "not instructions" in author.asked[0][0].content


def test_replies_that_are_of_no_use_are_counted() -> None:
    """No JSON, no question, an answer that is not in the passage, the same question again: another is tried."""
    author = Author(
        "Sure! Here it is.",
        '{"answer": "moss"}',
        '{"question": "Who built it?", "answer": "Peter the Great"}',
    )
    documents = {f"{i}": replace(DOCUMENTS["pages.pdf"], source=f"{i}", page_starts=()) for i in range(9)}
    found = draft_questions(list(documents), documents.__getitem__, chat=author, n=4)
    assert found.rows == ()
    assert len(author.asked) == 8
    assert sorted(found.notes) == [
        "1 passage gave no question: the answer does not stand in the passage",
        "1 passage gave no question: the reply has no question",
        "6 passages gave no question: the reply is not a JSON object",
    ]
    same = '{"question": "What grows on the roof?", "answer": "moss"}'
    again = draft_questions(list(documents), documents.__getitem__, chat=Author(*[same] * 8), n=4)
    assert (len(again.rows), again.notes) == (1, ("7 passages gave no question: the question was asked already",))


def test_a_limit_stops_drafting_and_keeps_what_was_paid_for() -> None:
    """Each request costs 100 tokens; the third would pass 250. A service that fails is such an end too."""
    documents = {f"{i}": Document(f"{i}", PROSE + f"Room {i} is empty.") for i in range(9)}
    replies = [f'{{"question": "What is room {i}?", "answer": "empty"}}' for i in range(9)]
    with metered() as meter:
        found = draft_questions(
            list(documents), documents.__getitem__, chat=Author(*replies), n=9, budget=Budget(max_tokens=2_50)
        )
    assert found.rows == ()  # the first is taken to cost as much as its text is long
    assert meter.usage.total_tokens == 0
    with metered() as meter:
        found = draft_questions(
            list(documents), documents.__getitem__, chat=Author(*replies), n=9, budget=Budget(max_tokens=600)
        )
    assert len(found.rows) == meter.usage.total_tokens // 100 == 6
    assert not found.complete
    assert "stopped at the limit" in found.notes[-1]
    failing = Author(replies[0], ServerError("overloaded", status=503))
    found = draft_questions(list(documents), documents.__getitem__, chat=failing, n=9)
    assert (len(found.rows), found.complete) == (1, False)
    assert found.notes == ("the service failed: overloaded",)
    with pytest.raises(ServerError):
        draft_questions(list(documents), documents.__getitem__, chat=Author(ServerError("no", status=503)))
