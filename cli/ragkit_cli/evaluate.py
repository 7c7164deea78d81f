"""eval: how well an index answers questions whose answers are known."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragkit.errors import ConfigError
from ragkit.numbers import count, number
from ragkit.settings import MODES
from ragkit_cli.exits import DONE, PROVIDER
from ragkit_cli.options import index_option, json_option, open_index, quiet_option, settings
from ragkit_cli.pictures import check_folder, check_picture, draw_curves
from ragkit_cli.render import near_path, one_line, out, out_json, say, spent
from ragkit_cli.trials import is_paid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragkit.evaluation.sets import TestSet
    from ragkit.types import Usage
    from ragkit_cli.verdicts import Pair, Run

_PLACES = 10  # of a ranking that are judged
_DRAFTS = 50


@click.command("eval")
@click.argument("path", metavar="[DIR|FILE]", required=False, type=click.Path())
@click.option("--split", metavar="NAME", help="Judgements of a collection: qrels/NAME.tsv. Else qrels.tsv, or test.")
@click.option("--mode", "modes", metavar="MODE,…", help="How to search: hybrid, dense, lexical; all unless comparing.")
@click.option("-n", "--limit", metavar="N", type=click.IntRange(1, 1000), help="Places judged, 10; drafts made, 50.")
@click.option("--compare", metavar="INDEX|NAME=VALUE,…", help="Another index, or other settings, beside the first.")
@click.option("--answers", is_flag=True, help="Also answer every question, and score citations and refusals.")
@click.option("--plot", metavar="FILE", type=click.Path(), help="Draw recall by k: a .html, or a .png with matplotlib.")
@click.option("--make", metavar="FILE", type=click.Path(), help="Draft questions from the index for review instead.")
@click.option("--max-tokens", metavar="N", type=click.IntRange(min=0), help="Stop before more is billed than that.")
@click.option("--max-cost", metavar="MONEY", type=click.FloatRange(min=0), help="The same in money.")
@index_option
@json_option
@quiet_option
def eval_command(
    path: str | None,
    split: str | None,
    modes: str | None,
    limit: int | None,
    compare: str | None,
    answers: bool,
    plot: str | None,
    make: str | None,
    max_tokens: int | None,
    max_cost: float | None,
    index: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """
    \b
    ragkit eval --make questions.jsonl
    ragkit eval questions.jsonl
    ragkit eval questions.jsonl --compare chunk_size=400
    ragkit eval beir/scifact --plot recall.html

    Measure how well questions find what answers them: nDCG, recall and MRR for each way of searching, with 95 %
    intervals. The questions are your own, one JSON object a line with "question" and "sources" (a document, or
    file.pdf#page=3), asked of your index; or a collection in the layout of BEIR, which is indexed for the purpose,
    and kept with -i. docs/evaluation.md tells more.
    """
    from ragkit.evaluation.sets import read_set
    from ragkit.metering import metered
    from ragkit_cli.measuring import answered, budget_of, run
    from ragkit_cli.trials import Trials

    quiet = quiet or as_json
    if make is not None:
        if path or split or modes or compare or answers or plot:
            raise ConfigError("--make drafts questions and measures nothing", "leave the other arguments out")
        return _draft(make, limit or _DRAFTS, index, max_tokens, max_cost, as_json=as_json, quiet=quiet)
    if path is None:
        raise ConfigError("no questions are named", "name a file or a folder; --make drafts a file")
    check_picture(plot)
    chosen = read_set(path, split)
    _check_sources(chosen, answers=answers, plot=plot)
    budget = budget_of(max_tokens, max_cost)
    k = limit or _PLACES
    notes = list(chosen.notes)
    with ExitStack() as stack:
        meter = stack.enter_context(metered())
        trials = Trials(stack, chosen, budget, quiet=quiet)
        firsts = trials.first(index, _modes(modes, all_unless=compare is not None))
        seconds = trials.second(firsts, compare) if compare else []
        if len(seconds) < len(firsts) and compare:
            raise ConfigError(
                f"--mode names {len(firsts)} modes, and --compare {compare} sets one", "leave one mode for the first"
            )
        runs = [run(trial, chosen, k, budget, notes, quiet=quiet) for trial in [*firsts, *seconds]]
        complete = True
        if answers:
            answering = [0, len(firsts)] if seconds else [0]
            for place in answering:
                runs[place], done = answered(runs[place], chosen, budget, notes, quiet=quiet)
                complete = complete and done
    pairs = _pairs(runs[: len(firsts)], runs[len(firsts) :])
    failed: OSError | None = None
    if plot:
        try:
            draw_curves(plot, runs, chosen, k)
        except OSError as error:  # what was measured, and paid for, is printed first
            failed = OSError(error.errno, error.strerror or str(error), plot)
    drawn = plot if plot and not failed else ""
    _report(chosen, runs, pairs, notes, meter.usage, drawn, as_json=as_json, quiet=quiet)
    if failed:
        raise failed
    return DONE if complete else PROVIDER


def _check_sources(chosen: TestSet, *, answers: bool, plot: str | None) -> None:
    """Raises ConfigError where no ranking can be judged, and one would have to be."""
    if any(question.answerable and question.sources for question in chosen.questions):
        return
    if plot:
        raise ConfigError("no question has expected sources, so there is no recall to draw", "leave --plot out")
    if not answers:
        raise ConfigError(
            "no question has expected sources, so there is no search to judge",
            'give questions "sources", or have them answered with --answers',
        )


def _draft(
    path: str,
    n: int,
    index: str | None,
    max_tokens: int | None,
    max_cost: float | None,
    *,
    as_json: bool,
    quiet: bool,
) -> int:
    """Questions from the index into a new file."""
    from ragkit.evaluation import write_questions
    from ragkit.evaluation.drafting import EXTRACTIVE
    from ragkit.metering import metered
    from ragkit_cli.measuring import budget_of

    if Path(path).exists():
        raise ConfigError(f"{path} exists already", "name another file: somebody may have worked on this one")
    check_folder(path)
    budget_of(max_tokens, max_cost)
    chosen = settings(index=index)
    with open_index(chosen) as rag, metered() as meter:
        rag.status()  # raises IndexNotFound
        if is_paid(chosen, "chat"):
            say(f"Asking the chat model for {count(n, 'question')}: a request each, or up to two …", quiet=quiet)
        drafts = rag.draft_questions(n, max_tokens=max_tokens, max_cost=max_cost)
    if drafts.rows:
        write_questions(path, drafts.rows)
    if as_json:
        from ragkit_cli import payload

        found = {"path": path, "drafts": len(drafts.rows), "by": drafts.by, "notes": list(drafts.notes)}
        out_json("drafts", found | {"usage": payload.of_usage(meter.usage)})
        return DONE if drafts.complete else PROVIDER
    for row in drafts.rows[:3]:
        out(one_line(str(row["question"])))
    if len(drafts.rows) > 3:
        out(f"… and {number(len(drafts.rows) - 3)} more")
    for note in drafts.notes:
        say(one_line(note), quiet=quiet)
    if not drafts.rows:
        say("No question was drafted, and no file written.", quiet=quiet)
        return DONE if drafts.complete else PROVIDER
    if drafts.by == EXTRACTIVE:
        say(
            "No chat model wrote these: they repeat words of the documents, so they are easier to find than a reader's "
            "own questions. Rewrite them in your words.",
            quiet=quiet,
        )
    else:
        say(f"{one_line(drafts.by)}: {spent(meter.usage)}", quiet=quiet)
    say(f'Read {near_path(path)}, mend or delete lines, take out "draft"; then: ragkit eval {path}', quiet=quiet)
    return DONE if drafts.complete else PROVIDER


def _modes(said: str | None, *, all_unless: bool) -> list[str]:
    """The modes named; without any all of them, or when comparing the one that is set."""
    if said is None:
        return [] if all_unless else list(MODES)
    named = list(dict.fromkeys(mode.strip() for mode in said.split(",")))
    for mode in named:
        if mode not in MODES:
            raise ConfigError(f"the mode is {mode!r}", f"choose some of: {', '.join(MODES)}")
    return named


def _pairs(firsts: Sequence[Run], seconds: Sequence[Run]) -> list[Pair]:
    from ragkit.evaluation import compare, difference
    from ragkit_cli.verdicts import Pair

    pairs = []
    for first, second in zip(firsts, seconds, strict=bool(seconds)):
        found = compare(first.found, second.found) if first.found and second.found else ()
        if first.answers and second.answers:
            for measure, values in first.answers.values.items():
                others = second.answers.values.get(measure, {})
                ids = [id for id in values if id in others]
                if ids:
                    pairwise = ([values[id] for id in ids], [others[id] for id in ids])
                    found = (*found, difference(measure, *pairwise))
        pairs.append(Pair(first, second, found))
    return pairs


def _report(
    chosen: TestSet,
    runs: Sequence[Run],
    pairs: Sequence[Pair],
    notes: Sequence[str],
    usage: Usage,
    plot: str,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    from ragkit.evaluation.intervals import FEW
    from ragkit_cli import payload
    from ragkit_cli.verdicts import of_pair, of_run, print_pair, print_runs

    asked = max((len(run.found.queries) for run in runs if run.found), default=0)
    notes = [*notes]
    if asked < FEW and asked:
        notes.append(f"{count(asked, 'question')}: with fewer than {FEW} the intervals are a rough guide")
    if as_json:
        found = {
            "name": chosen.name,
            "questions": len(chosen.questions),
            "asked": asked,
            "runs": [of_run(run) for run in runs],
            "comparisons": [of_pair(pair) for pair in pairs],
            "notes": notes,
            "plot": plot,
            "usage": payload.of_usage(usage),
        }
        out_json("eval", found)
        return
    chunks = " and of ".join(dict.fromkeys(count(run.chunks, "chunk") for run in runs))
    asking = f"{count(asked, 'question')} asked of {chunks}"
    if not asked:
        asking = f"{count(len(chosen.questions), 'question')}, none with expected sources"
    out(f"{one_line(chosen.name)}: {asking}; means with 95 % intervals")
    out()
    print_runs(runs)
    for pair in pairs:
        out()
        print_pair(pair)
    for note in notes:
        say(one_line(note), quiet=quiet)
    if usage.total_tokens:
        say(f"Billed: {spent(usage)}", quiet=quiet)
    if plot:
        say(f"Drawn: {near_path(plot)}", quiet=quiet)
