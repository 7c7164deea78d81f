"""Children of one warm process: each does something to a store and says what it saw, until it ends or is ended."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

Say = Callable[..., None]
_DEADLINE = 120  # seconds for one child: more is a hang


@dataclass(slots=True)
class Ended:
    """How a child ended, and what it had said."""

    status: int
    said: list[dict[str, Any]]

    @property
    def killed(self) -> bool:
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL

    @property
    def hung(self) -> bool:
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGALRM

    @property
    def ok(self) -> bool:
        return self.status == 0

    def last(self, name: str, default: Any = None) -> Any:
        return next((each[name] for each in reversed(self.said) if name in each), default)


@dataclass(slots=True)
class Report:
    """Counts, and for each thing that went wrong a line that says where."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, other: dict[str, Any]) -> None:
        self.counts.update(other["counts"])
        self.faults += other["faults"]

    def fault(self, text: str) -> None:
        self.counts["faults"] += 1
        self.faults.append(text)

    def plain(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "faults": self.faults}


def fork(act: Callable[[Say], None], *, quiet: bool = False) -> Ended:
    """Run `act` in a child. What it says is kept even where the child is killed right after."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _be(act, writing, quiet)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = [json.loads(line) for line in pipe if line.endswith(b"\n")]
    return Ended(os.waitpid(child, 0)[1], said)


def _be(act: Callable[[Say], None], writing: int, quiet: bool) -> None:
    signal.alarm(_DEADLINE)
    if quiet:  # a library in Rust prints what it panics at
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

    def say(**what: Any) -> None:
        os.write(writing, json.dumps(what).encode() + b"\n")

    try:
        act(say)
    except BaseException as error:  # noqa: BLE001 - said to the parent, which counts it
        frame = traceback.extract_tb(error.__traceback__)[-1]
        say(raised=f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})")
        os._exit(1)
    os._exit(0)


def share(
    jobs: int, work: Iterable[Any], do: Callable[[Iterator[Any], Report], None], *, seconds: float = float("inf")
) -> Report:
    """Do the work in `jobs` children, each with its own part of it; none of it is begun when the time is over."""
    every = list(work)
    until = time.monotonic() + seconds
    total = Report()
    children = []
    for job in range(jobs):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            report = Report()
            try:
                do(takewhile(lambda _: time.monotonic() < until, every[job::jobs]), report)
            except BaseException:  # noqa: BLE001 - said to the parent, which fails
                report.fault(f"the harness itself failed: {traceback.format_exc()}")
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(json.dumps(report.plain()).encode())
            os._exit(0)
        os.close(writing)
        children.append((child, reading))
    for child, reading in children:
        with os.fdopen(reading, "rb") as pipe:
            total.add(json.loads(pipe.read()))
        os.waitpid(child, 0)
    return total


def some(every: list[Any], number: int | None, chance: random.Random) -> list[Any]:
    """That many of them, spread evenly from a random place on, in random order; all where no number is given."""
    number = len(every) if number is None else min(number, len(every))
    step = len(every) / max(1, number)
    start = chance.random() * step
    taken = [every[min(int(start + i * step), len(every) - 1)] for i in range(number)]
    return chance.sample(taken, number)


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder, in memory where the system has such a place: syncing costs nothing there."""
    shared = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="ragkit-crash-", dir=shared if os.access(shared, os.W_OK) else None))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
