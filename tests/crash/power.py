"""Loss of power at every call of a life: the states that a disk may be left in, each of them opened and looked at."""

from __future__ import annotations

import errno
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import takewhile
from math import inf
from pathlib import Path

from crash.deaths import calls_of_a_life
from crash.disk import MODES, Disk, Record, read_trace
from crash.forks import Report, Say, folder, fork, share, some
from crash.judge import Fault, check_searches, step_of
from crash.life import State, life, live, open_store, states
from crash.shim import Flag, Kind, Shim
from ragkit.errors import StoreError
from ragkit.store.local import LocalStore

_SEARCHED = 0.03  # of the states are searched too, caches and all: that costs ten times as much as reading the truth
_CATALOG = "catalog.sqlite"
_CACHE = ("home/index/lexical/", "home/index/ann/", "home/index/writer.lock")

Content = dict[str, tuple[bytes | bytearray, bytes]]


def power(
    shim: Shim,
    *,
    per_call: int,
    seed: int,
    jobs: int,
    rounds: int = 1,
    seconds: float = inf,
    store: Callable[[Path], LocalStore] = open_store,
    flags: Flag = Flag.NONE,
    stop: bool = False,
) -> Report:
    """Lose power after every call of a life, in `per_call` ways wherever the truth is on its way to the disk.

    That again in every round, in other ways; no round is begun when the time is over.
    `store` and `flags` break what is looked at; with `stop` the first fault is enough.
    """
    with folder() as place:
        records = trace(shim, place, store, flags)
        work = list(range(1, len(records) + 1))

        until = time.monotonic() + seconds

        def do(ends: Iterator[int], report: Report) -> None:
            replay, mine = _Replay(place, records, per_call, seed, report), set(ends)
            for _ in takewhile(lambda n: not n or time.monotonic() < until, range(rounds)):
                replay.run(mine, stop=stop)
                report.counts["rounds of a worker"] += 1

        report = share(jobs, work, do)
    report.counts["calls of a life"] = sum(record.operation != "N" for record in records)
    report.counts["syncs"] = sum(record.operation in "SD" for record in records)
    return report


def failed_syncs(shim: Shim, *, points: int, seed: int, jobs: int, seconds: float = inf) -> Report:
    """Let one sync of the catalog fail, go on when it is mended, and lose power at every acknowledgement that follows.

    A system that could not write what was to be synced drops it, and shows it to readers all the same: what was seen
    after the failure is not what is on the disk.
    """
    every = list(range(1, calls_of_a_life(shim, Kind.SYNC, _CATALOG) + 1))

    def do(work: Iterator[int], report: Report) -> None:
        for at in work:
            with folder() as place:
                records = trace(shim, place, open_store, fails=at)
                failure = next((n for n, record in enumerate(records, 1) if record.operation == "F"), len(records))
                replay = _Replay(place, records, 0, seed, report)
                before = len(report.faults)
                replay.run({n for n in range(failure, len(records) + 1) if records[n - 1].operation == "N"}, stop=True)
                report.counts["syncs failed"] += failure < len(records)
                report.faults[before:] = [f"sync {at} failed: {fault}" for fault in report.faults[before:]]

    return share(jobs, some(every, points, random.Random(seed)), do, seconds=seconds)


def trace(
    shim: Shim, place: Path, store: Callable[[Path], LocalStore], flags: Flag = Flag.NONE, *, fails: int = 0
) -> list[Record]:
    """Every call of one whole life in `place`/life, with the acknowledgements between them.

    Where a sync `fails`, the life goes on after it, beside a reader that keeps the catalog open.
    """
    root = place / "life"
    root.mkdir()
    log = place / "trace"
    index = root / "home" / "index"

    def act(_: Say) -> None:
        to = os.open(log, os.O_CREAT | os.O_WRONLY, 0o600)
        if not fails:
            shim.trace(root, to, flags)
            live(store(index), life(), 0, shim.note)
            return
        shim.fail(root, fails, Kind.SYNC, errno.EIO, part=_CATALOG, trace=to)
        reader = store(index)

        def acknowledge(n: int) -> None:
            shim.note(n)
            reader.documents()

        with suppress(StoreError):
            live(store(index), life(), 0, acknowledge)
        live(store(index), life(), step_of(index, states(life())), acknowledge)

    ended = fork(act, quiet=bool(fails))
    if not ended.ok:
        raise RuntimeError(f"a life that nobody cut short failed: {ended.last('raised')}")
    return list(read_trace(log))


class _Replay:
    """One worker's part of the states. Those with the same bytes under the same names are one, and counted once."""

    def __init__(self, place: Path, records: list[Record], per_call: int, seed: int, report: Report) -> None:
        self._records = records
        self._root = place / "life"
        self._scratch = place / f"state-{os.getpid()}"
        self._per_call = per_call
        self._seed = seed
        self._round = 0
        self._report = report
        self._expected: list[State] = states(life())
        self._verdicts: dict[frozenset[tuple[str, bytes]], int | str] = {}  # a step, or what is wrong
        self._seen: set[frozenset[tuple[str, bytes]]] = set()

    def run(self, ends: set[int], *, stop: bool) -> None:
        disk = Disk(self._root)
        self._round += 1
        acknowledged = 0
        for n, record in enumerate(self._records, 1):
            disk.do(record)
            if record.operation == "N":
                acknowledged = record.number
            if n in ends:
                self._lose_power(disk, n, acknowledged)
            if stop and self._report.faults:
                return

    def _lose_power(self, disk: Disk, n: int, acknowledged: int) -> None:
        chance = random.Random(f"{self._seed} {self._round} {n}")
        # Where only a cache is on its way, the truth is the same in every state.
        modes = (*MODES, *map(str, range(self._per_call))) if disk.waits(_CACHE) else ("none", "0")
        for mode in modes:
            state = disk.after(mode, chance)
            self._report.counts["states made"] += 1
            truth = frozenset((path, digest) for path, (_, digest) in state.items() if not path.startswith(_CACHE))
            if truth not in self._verdicts:
                self._verdicts[truth] = self._judge({path: state[path] for path, _ in truth})
                self._report.counts["states of the truth"] += 1
            verdict = self._verdicts[truth]
            where = f"call {n}, {mode}"
            self._compare(verdict, where, acknowledged)  # also where it was seen: more is acknowledged by now
            whole = frozenset((path, digest) for path, (_, digest) in state.items())
            if whole not in self._seen:
                self._seen.add(whole)
                self._report.counts["states"] += 1
                if chance.random() < _SEARCHED and isinstance(verdict, int):
                    self._search(state, verdict, where)

    def _compare(self, verdict: int | str, where: str, acknowledged: int) -> None:
        if isinstance(verdict, str):
            self._report.counts["damaged"] += 1
            self._report.fault(f"{where}: {verdict}")
        elif verdict not in (acknowledged, acknowledged + 1):
            self._report.counts["lost"] += verdict < acknowledged
            self._report.fault(f"{where}: {acknowledged} steps acknowledged, {verdict} found")

    def _judge(self, state: Content) -> int | str:
        try:
            return step_of(self._lay_out(state), self._expected)
        except Fault as fault:
            return str(fault)

    def _search(self, state: Content, found: int, where: str) -> None:
        self._report.counts["searched"] += 1
        try:
            check_searches(self._lay_out(state), self._expected[found])
        except Fault as fault:
            self._report.fault(f"{where}: searched: {fault}")

    def _lay_out(self, state: Content) -> Path:
        """The index of a state as files."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        for path, (content, _) in state.items():
            file = self._scratch / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return self._scratch / "home" / "index"
