"""Every question of a set asked of a trial, and answered by it, as far as a limit on tokens or money goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragkit.errors import BudgetExceeded, ConfigError, ProviderError
from ragkit.numbers import count
from ragkit_cli.options import settings
from ragkit_cli.render import near_path, one_line, say
from ragkit_cli.trials import Trial, is_paid

if TYPE_CHECKING:
    from ragkit.answers import Answer
    from ragkit.budget import Budget
    from ragkit.evaluation import Evaluation
    from ragkit.evaluation.sets import TestSet
    from ragkit.types import Hit
    from ragkit_cli.verdicts import Run

_REPLY = 300  # tokens of a first answer, for a limit to begin with


def budget_of(max_tokens: int | None, max_cost: float | None) -> Budget:
    """The limits. Raises ConfigError for one on money where nothing has a price."""
    from ragkit.budget import Budget

    chosen = settings()
    if max_cost is not None and not (chosen.embed_price or chosen.prompt_price or chosen.completion_price):
        raise ConfigError(
            f"--max-cost is {max_cost:g}, and nothing has a price",
            "set embed_price, prompt_price and completion_price, or use --max-tokens",
        )
    return Budget(max_tokens=max_tokens, max_cost=max_cost)


def run(trial: Trial, chosen: TestSet, k: int, budget: Budget, notes: list[str], *, quiet: bool) -> Run:
    """Ask every question that has expected sources."""
    from ragkit.evaluation import evaluate, judgements, pages_by
    from ragkit.evaluation.bill import Bill
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
                are = "is" if len(lacking) == 1 else "are"
                note = (
                    f"{count(len(lacking), 'expected source')} {are} not in {near_path(str(trial.rag.path))}, and count"
                )
                note += f" as not found: {', '.join(map(one_line, lacking[:3]))}{', …' if len(lacking) > 3 else ''}"
                notes += [note] if note not in notes else []
        embeds = is_paid(trial.settings, "embed") and trial.mode != "lexical"
        orders = trial.settings.rerank != "off"
        kinds = [*(["embeddings"] if embeds else []), *(["the order of the hits"] if orders else [])]
        requests = f", with requests for {' and '.join(kinds)}" if kinds else ""
        say(f"Asking {count(len(qrels), 'question')}: {one_line(trial.name)}{requests} …", quiet=quiet)
        bill = Bill(budget if kinds else None)
        ordered = trial.settings.candidates * trial.settings.chunk_size if orders else 0  # characters, at most

        def search(query: str, n: int) -> list[Hit]:
            if stopped := bill.refuses(len(query) + ordered):
                raise BudgetExceeded(stopped, "run again with a higher limit, or with a setting that asks no service")
            with bill.item():
                return trial.rag.search(query, n, mode=trial.mode)

        found = evaluate(
            search,
            queries,
            qrels,
            k=k,
            name=trial.name,
            pages=pages_by(trial.rag.document),
        )
    return Run(trial, trial.rag.status().chunks, found, None)


def answered(run: Run, chosen: TestSet, budget: Budget, notes: list[str], *, quiet: bool) -> tuple[Run, bool]:
    """Have every question answered, as far as the limit goes; and whether that was all of them."""
    from dataclasses import replace

    from ragkit.evaluation import pages_by, score_answers
    from ragkit.evaluation.bill import Bill

    trial, questions = run.trial, chosen.questions
    paid = is_paid(trial.settings, "chat")
    requests = f", {count(len(questions), 'request')} to the chat model" if paid else ""
    say(f"Answering {count(len(questions), 'question')}: {one_line(trial.name)}{requests} …", quiet=quiet)
    bill = Bill(budget if paid else None, reply=_REPLY)
    answers: dict[str, Answer] = {}
    stopped = ""
    for question in questions:
        if stopped := bill.refuses(len(question.text) + trial.settings.passages * trial.settings.chunk_size):
            break
        try:
            with bill.item():
                answers[question.id] = trial.rag.ask(question.text, trial.settings.passages, mode=trial.mode)
        except ProviderError as error:  # what was paid for is judged
            if not answers:
                raise
            stopped = f"the service failed: {error.message}"
            break
    if stopped:
        done = f"only the first {len(answers)}" if answers else "none"
        notes.append(f"{done} of {len(questions)} questions were answered: {stopped}")
    if not answers:
        return run, False
    scores = score_answers(questions, answers, pages=pages_by(trial.rag.document))
    return replace(run, answers=scores), not stopped
