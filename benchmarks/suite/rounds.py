"""The order of a run: build one after another, then searches in interleaved rounds, then changes.

Every engine is in a process of its own, which is called by lines of JSON. It knows no engine, only their names.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.suite.engines import ENGINES
from benchmarks.suite.given import Given
from benchmarks.suite.machine import environment

ROOT = Path(__file__).parents[2]
MEASURES = {"all": 40, "half": 10, "twentieth": 10, "hundredth": 10, "rare": 10}  # searches in each round
Result = dict[str, Any]


class Failed(Exception):
    """An engine's process ended where an answer was due; the end of what it said is the reason."""


@dataclass(frozen=True)
class Plan:
    """How a run is done. `pythons` is the interpreter for each engine."""

    given: Path
    folder: Path
    pythons: Mapping[str, str]
    threads: int = 1
    rounds: int = 5
    cold: int = 5

    def start(self, name: str, step: str) -> Process:
        place = self.folder / (ENGINES[name].index_of or name)
        command = [self.pythons[name], "-m", "benchmarks.suite.worker", name, step, str(self.given), str(place)]
        return Process(command, environment(self.threads), self.folder / f"{name}.log")


class Process:
    """A worker, and the lines that go to and fro."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**variables, "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdin
        assert self._process.stdout
        self._in: IO[str] = self._process.stdin
        self._out: IO[str] = self._process.stdout

    def answer(self, order: Mapping[str, Any] | None = None) -> Result:
        """The next line; after an order that is sent first."""
        if order is not None:
            try:
                self._in.write(json.dumps(order) + "\n")
                self._in.flush()
            except BrokenPipeError as error:
                raise Failed(self._last_words()) from error
        line = self._out.readline()
        if not line:
            self._process.wait()
            raise Failed(self._last_words())
        return dict(json.loads(line))

    def end(self) -> None:
        self._in.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()

    def _last_words(self) -> str:
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else f"it ended with {self._process.returncode}"


def measure(plan: Plan, names: Sequence[str], say: Callable[[str], None]) -> dict[str, Result]:
    """What each engine took and whether it was right, by name; one that is missing or fails says so in "state"."""
    results: dict[str, Result] = {name: {"role": ENGINES[name].role} for name in names}

    def well(some: Iterable[str] = names) -> list[str]:
        return [name for name in some if "state" not in results[name]]

    def step(name: str, what: str, act: Callable[..., Result], *given: Any) -> None:
        say(f"{name}: {what}")
        try:
            results[name].update(act(*given))
        except Failed as error:
            results[name]["state"] = f"failed: {error}"

    for name in names:
        if shutil.which(plan.pythons[name]) is None:
            results[name]["state"] = f"not installed: there is no {plan.pythons[name]}"
        else:
            step(name, "build", build, plan, name)
    for name in names:  # one that searches in another's index shares its fate
        if state := results.get(ENGINES[name].index_of, {}).get("state"):
            results[name]["state"] = state
    for turn in range(plan.cold):
        for name in _rotated(well(), turn):
            step(name, f"first hit, {turn + 1} of {plan.cold}", first, plan, name, results[name])
    with ExitStack() as ends:
        workers = {name: plan.start(name, "serve") for name in well()}
        for name, worker in workers.items():
            ends.callback(worker.end)
            step(name, "open", worker.answer)
        questions = Given(plan.given).about.queries
        for turn in range(plan.rounds + 1):  # the first only warms up
            for name in _rotated(well(workers), turn):
                what = f"searches, round {turn} of {plan.rounds}"
                step(name, what, search, workers[name], results[name], turn, questions)
        for name in well(workers):
            results[name]["memory"] = workers[name].answer({"memory": 1})
    for name in well():
        if not ENGINES[name].index_of:
            step(name, "changes", changes, plan, name)
    return results


def build(plan: Plan, name: str) -> Result:
    """Build in a folder that was empty, unless this very run was begun before and got beyond that."""
    if ENGINES[name].index_of:
        return {}
    place, done = plan.folder / name, plan.folder / f"{name}.json"
    if done.exists():
        return dict(json.loads(done.read_text("utf-8")))
    shutil.rmtree(place, ignore_errors=True)
    worker = plan.start(name, "build")
    try:
        answer = worker.answer()
    finally:
        worker.end()
    if "missing" in answer:
        return {"state": f"not installed: {answer['missing']}"}
    result = {"build": answer, "versions": answer.pop("versions")}
    done.write_text(json.dumps(result), "utf-8")
    return result


def first(plan: Plan, name: str, result: Result) -> Result:
    """Seconds from the start of a process to its first hit; its files are in the page cache by then."""
    began = time.perf_counter()
    worker = plan.start(name, "first")
    try:
        answer = worker.answer()
        taken = time.perf_counter() - began
    finally:
        worker.end()
    if "missing" in answer:
        return {"state": f"not installed: {answer['missing']}"}
    return {"cold": [*result.get("cold", []), taken], "cold_cpu": [*result.get("cold_cpu", []), answer["cpu"]]}


def search(worker: Process, result: Result, turn: int, questions: int) -> Result:
    """One round of each measure; what is unsupported is asked for once."""
    measures: dict[str, Any] = result.setdefault("search", {})
    for what, wanted in MEASURES.items():
        before = measures.setdefault(what, {"rounds": []})
        if "unsupported" in before:
            continue
        count = min(wanted, questions)
        answer = worker.answer({"ask": what, "first": turn * count % (questions - count + 1), "count": count})
        if "unsupported" in answer:
            measures[what] = answer
        elif turn:
            before["rounds"].append(answer)
    return {}


def changes(plan: Plan, name: str) -> Result:
    """Changes alter what was built: a copy takes them, so that a run can be repeated."""
    place, kept = plan.folder / name, plan.folder / f"{name}.kept"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(place, kept)
    try:
        worker = plan.start(name, "serve")
        try:
            worker.answer()
            return {"change": worker.answer({"change": 1})}
        finally:
            worker.end()
    finally:
        shutil.rmtree(place)
        kept.rename(place)


def save(measured: Result, path: Path) -> None:
    """What is broken off leaves the file as it was."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(readable(measured), "utf-8")
    part.replace(path)


def readable(measured: Result) -> str:
    """JSON with a line for each thing, and lists of figures on one."""
    text = json.dumps(measured, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^\[\]{}\"]*\]", lambda figures: " ".join(figures[0].split()), text) + "\n"


def _rotated(names: Sequence[str], turn: int) -> list[str]:
    """Each goes first once, so that none always follows the same other."""
    if not names:
        return []
    at = turn % len(names)
    return [*names[at:], *names[:at]]
