"""eval and map: how well the index answers a user's own questions, and what it looks like."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragkit.errors import ConfigError
from ragkit.settings import MODES
from ragkit_cli.exits import DONE, PROVIDER
from ragkit_cli.options import index_option, json_option, open_index, quiet_option, settings
from ragkit_cli.render import count, near_path, number, one_line, out, out_json, say, spent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragkit.evaluation import Evaluation
    from ragkit.evaluation.bill import Bill
    from ragkit.evaluation.sets import TestSet
    from ragkit.settings import Settings
    from ragkit.types import Answer
    from ragkit_cli.trials import Trial
    from ragkit_cli.verdicts import Pair, Run

_PLACES = 10  # of a ranking that are judged
_DRAFTS = 50
_PICTURES = (".html", ".png")


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
    from ragkit.budget import Budget
    from ragkit.evaluation.bill import Bill
    from ragkit.evaluation.sets import read_set
    from ragkit_cli.trials import Trials

    quiet = quiet or as_json
    if make is not None:
        if path or split or modes or compare or answers or plot:
            raise ConfigError("--make drafts questions and measures nothing", "leave the other arguments out")
        return _draft(make, limit or _DRAFTS, index, max_tokens, max_cost, as_json=as_json, quiet=quiet)
    if path is None:
        raise ConfigError("no questions are named", "name a file or a folder; --make drafts a file")
    _check_picture(plot)
    chosen = read_set(path, split)
    bill = Bill(Budget(max_tokens=max_tokens, max_cost=max_cost))
    k = limit or _PLACES
    notes = list(chosen.notes)
    with ExitStack() as stack:
        trials = Trials(stack, chosen, bill, quiet=quiet)
        firsts = trials.first(index, _modes(modes, all_unless=compare is not None))
        seconds = trials.second(firsts, compare) if compare else []
        if len(seconds) == 1:
            firsts = firsts[:1]
        runs = [_run(trial, chosen, k, notes, quiet=quiet) for trial in [*firsts, *seconds]]
        complete = True
        if answers:
            answering = [0, len(firsts)] if seconds else [0]
            for place in answering:
                runs[place], done = _answered(runs[place], chosen, bill, notes, quiet=quiet)
                complete = complete and done
    pairs = _pairs(runs[: len(firsts)], runs[len(firsts) :])
    if plot:
        _plot(plot, runs, chosen, k)
    _report(chosen, runs, pairs, notes, bill, plot, as_json=as_json, quiet=quiet)
    return DONE if complete else PROVIDER


@click.command("map")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), required=True, help="A .html, or a .png.")
@click.option("--query", metavar="TEXT", help="Mark a query and its hits.")
@click.option("-n", "--limit", metavar="N", type=click.IntRange(1, 100), help="Hits to mark; 10.")
@click.option("--most", metavar="N", type=click.IntRange(1, 100_000), help="Passages to draw; 5000.")
@index_option
@json_option
@quiet_option
def map_command(
    output: str,
    query: str | None,
    limit: int | None,
    most: int | None,
    index: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """
    \b
    ragkit map -o map.html
    ragkit map -o map.html --query "возврат залога"

    Draw the index: every passage a dot, coloured by document, those with like vectors near each other. A page of
    HTML shows each passage's place and words under the pointer; it needs no network and runs no script.
    """
    from ragkit.evaluation.mapping import MOST_POINTS

    _check_picture(output)
    chosen = settings(index=index)
    with open_index(chosen) as rag:
        drawn = rag.map(query or "", limit or _PLACES, most=most or MOST_POINTS)
    title = f"Map of {near_path(str(chosen.index))}"
    if output.lower().endswith(".png"):
        from ragkit.evaluation.png import map_png

        map_png(output, drawn, title)
    else:
        from ragkit.evaluation.map_html import map_page

        Path(output).write_text(map_page(drawn, title), "utf-8")
    if as_json:
        out_json(
            "map",
            {
                "path": output,
                "points": len(drawn.points),
                "chunks": drawn.chunks,
                "documents": drawn.documents,
                "explained": list(drawn.explained),
                "query": drawn.query,
                "hits": [point.id for point in sorted(drawn.points, key=lambda point: point.hit) if point.hit],
            },
        )
        return DONE
    out(near_path(output))
    from ragkit.evaluation.drawing import told

    say(told(drawn), quiet=quiet)
    return DONE


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

    if Path(path).exists():
        raise ConfigError(f"{path} exists already", "name another file: somebody may have worked on this one")
    chosen = settings(index=index)
    with open_index(chosen) as rag, metered() as meter:
        rag.status()  # raises IndexNotFound
        if _is_paid(chosen, "chat"):
            say(f"Asking the chat model for {count(n, 'question')}: a request each, or up to two …", quiet=quiet)
        drafts = rag.draft_questions(n, max_tokens=max_tokens, max_cost=max_cost)
    write_questions(path, drafts.rows)
    if as_json:
        from ragkit_cli import payload

        found = {"path": path, "drafts": len(drafts.rows), "by": drafts.by, "notes": list(drafts.notes)}
        out_json("drafts", found | {"usage": payload.of_usage(meter.usage)})
        return DONE
    for row in drafts.rows[:3]:
        out(one_line(str(row["question"])))
    if len(drafts.rows) > 3:
        out(f"… and {number(len(drafts.rows) - 3)} more")
    for note in drafts.notes:
        say(one_line(note), quiet=quiet)
    if drafts.by == EXTRACTIVE:
        say(
            "No chat model wrote these: they repeat words of the documents, so they are easier to find than a reader's "
            "own questions. Rewrite them in your words.",
            quiet=quiet,
        )
    else:
        say(f"{one_line(drafts.by)}: {spent(meter.usage, chosen.currency)}", quiet=quiet)
    say(f'Read {near_path(path)}, mend or delete lines, take out "draft"; then: ragkit eval {path}', quiet=quiet)
    return DONE


def _modes(said: str | None, *, all_unless: bool) -> list[str]:
    """The modes named; without any all of them, or when comparing the one that is set."""
    if said is None:
        return [] if all_unless else list(MODES)
    named = list(dict.fromkeys(mode.strip() for mode in said.split(",")))
    for mode in named:
        if mode not in MODES:
            raise ConfigError(f"the mode is {mode!r}", f"choose some of: {', '.join(MODES)}")
    return named


def _run(trial: Trial, chosen: TestSet, k: int, notes: list[str], *, quiet: bool) -> Run:
    """Ask every question that has expected sources."""
    from ragkit.evaluation import evaluate, judgements, pages_by
    from ragkit.evaluation.questions import missing
    from ragkit_cli.verdicts import Run

    queries, qrels = judgements(chosen.questions)
    found: Evaluation | None = None
    if qrels:
        if not chosen.documents:
            known = {info.source: info.pages for info in trial.rag.documents() if info.chunks}
            lacking = missing(chosen.questions, known)
            if len(lacking) == len({name for grades in qrels.values() for name in grades}):
                raise ConfigError(
                    f"none of the expected sources is in {trial.rag.path}, such as {lacking[0]!r}",
                    "write sources as `ragkit list` shows them, or name the index with -i",
                )
            if lacking:
                note = f"{count(len(lacking), 'expected source')} not in {near_path(str(trial.rag.path))}, and counted "
                note += f"as not found: {', '.join(map(one_line, lacking[:3]))}{', …' if len(lacking) > 3 else ''}"
                notes += [note] if note not in notes else []
        paid = _is_paid(trial.settings, "embed") and trial.mode != "lexical"
        requests = ", a request for an embedding each" if paid else ""
        say(f"Asking {count(len(qrels), 'question')}: {one_line(trial.name)}{requests} …", quiet=quiet)
        found = evaluate(
            lambda query, n: trial.rag.search(query, n, mode=trial.mode),
            queries,
            qrels,
            k=k,
            name=trial.name,
            pages=pages_by(trial.rag.document),
        )
    return Run(trial, trial.rag.status().chunks, found, None)


def _answered(run: Run, chosen: TestSet, bill: Bill, notes: list[str], *, quiet: bool) -> tuple[Run, bool]:
    """Have every question answered, as far as the limit goes; and whether that was all of them."""
    from dataclasses import replace

    from ragkit.evaluation import pages_by, score_answers

    trial = run.trial
    paid = _is_paid(trial.settings, "chat")
    requests = f", {count(len(chosen.questions), 'request')} to the chat model" if paid else ""
    say(f"Answering {count(len(chosen.questions), 'question')}: {one_line(trial.name)}{requests} …", quiet=quiet)
    answers: dict[str, Answer] = {}
    for question in chosen.questions:
        if stopped := bill.refuses(len(question.text) + trial.settings.passages * trial.settings.chunk_size):
            notes.append(f"only the first {len(answers)} of {len(chosen.questions)} questions were answered: {stopped}")
            break
        with bill.item():
            answers[question.id] = trial.rag.ask(question.text, trial.settings.passages, mode=trial.mode)
    if not answers:
        return run, False
    scores = score_answers(chosen.questions, answers, pages=pages_by(trial.rag.document))
    return replace(run, answers=scores), len(answers) == len(chosen.questions)


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


def _check_picture(path: str | None) -> None:
    """Refuse a picture that could not be drawn before the work for it is done."""
    if path is None:
        return
    if not path.lower().endswith(_PICTURES):
        raise ConfigError(f"{path} is to be drawn", f"name a file that ends in {' or '.join(_PICTURES)}")
    if not Path(path).absolute().parent.is_dir():
        raise ConfigError(f"the folder of {path} does not exist", "make it, or name another")
    if path.lower().endswith(".png"):
        from ragkit.evaluation.png import check_png

        check_png()


def _plot(path: str, runs: Sequence[Run], chosen: TestSet, k: int) -> None:
    from ragkit.evaluation import judgements
    from ragkit.evaluation.drawing import curves
    from ragkit_cli.verdicts import rows_of

    found = [run.found for run in runs if run.found]
    if not found:
        raise ConfigError("no question has expected sources, so there is no recall to draw", "leave --plot out")
    _, qrels = judgements(chosen.questions)
    drawn = curves(found, qrels, k)
    title = f"Recall by k: {chosen.name}"
    about = f"Means of {count(len(found[0].queries), 'question')}; the bands are 95 % intervals (bootstrap)."
    if path.lower().endswith(".png"):
        from ragkit.evaluation.png import curves_png

        curves_png(path, drawn, title, about)
    else:
        from ragkit.evaluation.curves_html import curves_page

        Path(path).write_text(curves_page(drawn, title, about, rows_of(runs)), "utf-8")


def _report(
    chosen: TestSet,
    runs: Sequence[Run],
    pairs: Sequence[Pair],
    notes: Sequence[str],
    bill: Bill,
    plot: str | None,
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
            "plot": plot or "",
            "usage": payload.of_usage(bill.usage),
        }
        out_json("eval", found)
        return
    chunks = ", ".join(dict.fromkeys(count(run.chunks, "chunk") for run in runs))
    out(f"{one_line(chosen.name)}: {count(asked, 'question')} asked of {chunks}; means with 95 % intervals")
    out()
    print_runs(runs)
    for pair in pairs:
        out()
        print_pair(pair)
    for note in notes:
        say(one_line(note), quiet=quiet)
    if bill.usage.total_tokens:
        say(f"Indexing and answering: {spent(bill.usage, runs[0].trial.settings.currency)}", quiet=quiet)
    if plot:
        say(f"Drawn: {near_path(plot)}", quiet=quiet)


def _is_paid(chosen: Settings, role: str) -> bool:
    from ragkit.services import OFFLINE, provider_of

    return provider_of(chosen, role) != OFFLINE
