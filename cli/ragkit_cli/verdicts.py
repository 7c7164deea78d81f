"""What an evaluation found, as text for a person and as JSON: means with intervals, and what differs for sure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragkit.numbers import count
from ragkit_cli.render import columns, one_line, out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ragkit.evaluation import AnswerScores, Difference, Evaluation, Interval
    from ragkit_cli.payload import Json
    from ragkit_cli.trials import Trial

NAMES = {
    "ndcg": "nDCG",
    "recall": "recall",
    "mrr": "MRR",
    "citation_precision": "citation precision",
    "citation_recall": "citation recall",
    "answer_contained": "expected answer given",
    "answered": "answered",
    "refusal_precision": "refusal precision",
    "refusal_recall": "refusal recall",
}


@dataclass(frozen=True, slots=True)
class Run:
    """A trial with what came of it. `found` or `answers` is None where that was not looked at."""

    trial: Trial
    chunks: int
    found: Evaluation | None
    answers: AnswerScores | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs and their differences, by measure."""

    first: Run
    second: Run
    differences: tuple[Difference, ...]


def print_runs(runs: Sequence[Run]) -> None:
    """A column for each run."""
    found = [run.found.summary() if run.found else {} for run in runs]
    names = [one_line(run.trial.name) for run in runs]
    if any(found):
        rows = [[_named(m), *(_cell(means.get(m)) for means in found)] for m in _union(found)]
        took = [f"{1000 * statistics.median(run.found.seconds):.1f}" if run.found else "–" for run in runs]
        print_table(["", *names], [*rows, ["ms a search", *took]])
    answered = [run for run in runs if run.answers]
    if answered:
        if any(found):
            out()
        means = [run.answers.means for run in answered if run.answers]
        head = ["answers", *(one_line(run.trial.name) for run in answered)]
        print_table(head, [[_named(m), *(_cell(each.get(m), counted=True) for each in means)] for m in _union(means)])


def print_pair(pair: Pair) -> None:
    """Both with their difference, and in a sentence each whether it is one."""
    first, second = one_line(pair.first.trial.name), one_line(pair.second.trial.name)
    rows = [
        [_named(each.measure), f"{each.first:.3f}", f"{each.second:.3f}", _signed(each.interval), verdict(each)]
        for each in pair.differences
    ]
    print_table(["", first, second, "difference", ""], rows)
    lead = pair.differences[0]
    out()
    out(f"{sentence(lead, first, second)}")


def sentence(each: Difference, first: str, second: str) -> str:
    """Whether a difference is one, in plain words."""
    name = _named(each.measure)
    of = f"{count(each.better, 'question')} better, {each.worse} worse, of {each.interval.count}"
    if each.significant:
        way = "better" if each.interval.mean > 0 else "worse"
        return f"{second} is significantly {way} than {first} in {name}: {_signed(each.interval)}; {of}."
    why = "the 95 % interval of the difference reaches over 0"
    if each.interval.low > 0 or each.interval.high < 0:
        why = "too few questions differ to tell"
    elif not each.better + each.worse:
        why = "they agree on every question"
    return f"No significant difference in {name} between {first} and {second}: {why}; {of}."


def verdict(each: Difference) -> str:
    if not each.significant:
        return "not significant"
    return "better" if each.interval.mean > 0 else "worse"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for line in columns([head, *rows]):
        out(line)


def rows_of(runs: Sequence[Run]) -> list[list[str]]:
    """The measures of each run as rows of plain text, the first a heading."""
    found = [run.found.summary() for run in runs if run.found]
    head = ["", *(run.trial.name for run in runs if run.found)]
    return [head, *([_named(m), *(_cell(means.get(m)) for means in found)] for m in _union(found))]


def of_run(run: Run) -> Json:
    """A run for machines, with every question's own values."""
    found, answers = run.found, run.answers
    return {
        "name": run.trial.name,
        "mode": run.trial.mode,
        "index": run.trial.index,
        "chunks": run.chunks,
        "measures": [_of_interval(m, each) for m, each in found.summary().items()] if found else [],
        "milliseconds": 1000 * statistics.median(found.seconds) if found else 0.0,
        "questions": [
            {
                "id": id,
                "found": list(found.rankings[i]),
                "scores": {measure: values[i] for measure, values in found.values.items()},
            }
            for i, id in enumerate(found.queries)
        ]
        if found
        else [],
        "answers": [
            {
                "questions": answers.questions,
                "refused": answers.refused,
                "measures": [_of_interval(m, each) for m, each in answers.means.items()],
            }
        ]
        if answers
        else [],
    }


def of_pair(pair: Pair) -> Json:
    """A comparison for machines."""
    return {
        "first": pair.first.trial.name,
        "second": pair.second.trial.name,
        "differences": [
            {
                "measure": each.measure,
                "first": each.first,
                "second": each.second,
                "difference": each.interval.mean,
                "low": each.interval.low,
                "high": each.interval.high,
                "questions": each.interval.count,
                "better": each.better,
                "worse": each.worse,
                "significant": each.significant,
            }
            for each in pair.differences
        ],
    }


def _of_interval(measure: str, each: Interval) -> Json:
    return {"measure": measure, "mean": each.mean, "low": each.low, "high": each.high, "questions": each.count}


def _union(found: Sequence[Mapping[str, Interval]]) -> list[str]:
    return list(dict.fromkeys(measure for means in found for measure in means))


def _named(measure: str) -> str:
    """ndcg@10 as nDCG@10."""
    kind, at, k = measure.partition("@")
    return f"{NAMES[kind]}{at}{k}"


def _cell(each: Interval | None, *, counted: bool = False) -> str:
    if each is None:
        return "–"
    of = f" of {each.count}" if counted else ""
    return f"{each.mean:.3f} [{each.low:.3f}, {each.high:.3f}]{of}"


def _signed(each: Interval) -> str:
    return f"{each.mean:+.3f} [{each.low:+.3f}, {each.high:+.3f}]".replace("-", "−")
