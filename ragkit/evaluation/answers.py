"""Answers against what is expected of them: where they lead, what they say, and whether they refuse rightly.

It judges answers that are there; who wrote them, and from what, it does not know. Nothing is judged by a model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from ragkit.answers import Answer, Status
from ragkit.errors import ConfigError
from ragkit.evaluation.intervals import Interval, interval
from ragkit.evaluation.questions import Question
from ragkit.evaluation.retrieval import Pages, first_page, names_of

MEASURES = (
    "citation_precision",
    "citation_recall",
    "answer_contained",
    "answered",
    "refusal_precision",
    "refusal_recall",
)

_WORD = re.compile(r"\w+")
_MARKER = re.compile(r"\[\d+(?:\s*[,;]\s*\d+)*\]")  # of a source: a number that says nothing


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """The means of what could be judged, by measure; a measure that nothing could be judged by is not there.

    - citation_precision: of an answer's citations, the share that lead to an expected document or page; 0 for an
      answer without any. Over the answered questions that have expected sources.
    - citation_recall: the share of the expected sources that are cited; 0 where it refused. Over all questions that
      have expected sources.
    - answer_contained: whether the expected answer stands in the answer, or in the quotes that it cites, letter case,
      ё, punctuation and white space aside. Over all questions that have an expected answer.
    - answered: the share of the answerable questions that were answered, wholly or in part.
    - refusal_precision: the share of the refusals that were right. Over the refused questions.
    - refusal_recall: the share of the unanswerable questions that were refused.

    `values` are those of single questions, by measure and id.
    """

    questions: int
    refused: int
    means: Mapping[str, Interval]
    values: Mapping[str, Mapping[str, float]]


def score_answers(
    questions: Sequence[Question], answers: Mapping[str, Answer], *, pages: Pages = first_page
) -> AnswerScores:
    """Judge the answers that there are, by the id of their question.

    Args:
        questions: with what is expected; those without an answer are left out.
        answers: by the id of the question.
        pages: which pages a citation reaches over.

    Raises:
        ConfigError: none of the questions was answered.
    """
    values: dict[str, dict[str, float]] = {measure: {} for measure in MEASURES}
    judged = [question for question in questions if question.id in answers]
    if not judged:
        raise ConfigError(f"none of {len(questions)} questions has an answer", "answers go by the id of their question")
    for question in judged:
        for measure, value in _judge(question, answers[question.id], pages).items():
            values[measure][question.id] = value
    means = {measure: interval(list(found.values())) for measure, found in values.items() if found}
    refused = sum(answers[question.id].status is Status.REFUSED for question in judged)
    return AnswerScores(len(judged), refused, means, {measure: values[measure] for measure in means})


def contains(text: str, wanted: str) -> bool:
    """Whether the words of `wanted` stand in the text one after another, whatever stands between them but words."""
    words = normalised(wanted)
    return bool(words) and f" {words} " in f" {normalised(text)} "


def normalised(text: str) -> str:
    """The words in lower case, ё as е, soft hyphens and ligatures resolved, joined by single spaces."""
    plain = unicodedata.normalize("NFKC", text).replace("\u00ad", "").casefold().replace("ё", "е")
    return " ".join(_WORD.findall(plain))


def _judge(question: Question, answer: Answer, pages: Pages) -> dict[str, float]:
    """What of this answer can be judged, by measure."""
    refused = answer.status is Status.REFUSED
    found: dict[str, float] = {}
    if refused:
        found["refusal_precision"] = float(not question.answerable)
    if not question.answerable:
        found["refusal_recall"] = float(refused)
        return found
    found["answered"] = float(not refused)
    if question.sources:
        cited = [] if refused else [names_of(each, question.sources, pages) for each in answer.citations]
        expected = {name for name, grade in question.sources.items() if grade > 0}
        found["citation_recall"] = len(expected.intersection(chain.from_iterable(cited))) / len(expected)
        if not refused:
            right = [not expected.isdisjoint(names) for names in cited]
            found["citation_precision"] = sum(right) / len(right) if right else 0.0
    if question.answers:
        said = (
            ""
            if refused
            else "\n".join([_MARKER.sub("", answer.text), *(citation.quote for citation in answer.citations)])
        )
        found["answer_contained"] = float(any(contains(said, wanted) for wanted in question.answers))
    return found
