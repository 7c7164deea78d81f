"""Death at every call that changes a file: before it, or in the middle of it; and again while recovering."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import inf
from pathlib import Path

from crash.forks import Ended, Report, Say, folder, fork, share, some
from crash.judge import Fault, check_searches, check_sound, step_of
from crash.life import Step, life, live, open_store, states
from crash.shim import Kind, Shim

_TWICE = 0.25  # so often the next run dies too

Point = tuple[int, bool, int]  # the change or write to die at, whether torn, the same in recovering (0 for none)


def calls_of_a_life(shim: Shim, kinds: Kind = Kind.CHANGE, part: str = "") -> int:
    """How many calls of these kinds, on paths with `part` in them, a life makes. Threads make it differ a little."""
    with folder() as place:

        def act(say: Say) -> None:
            shim.count(place, kinds, part)
            live(open_store(place / "home" / "index"), life(), 0, lambda _: None)
            say(calls=shim.counted)

        ended = fork(act)
    if not ended.ok:
        raise RuntimeError(f"a life that nobody cut short failed: {ended.last('raised')}")
    return int(ended.last("calls"))


def deaths(shim: Shim, *, points: int | None, seed: int, jobs: int, seconds: float = inf) -> Report:
    """Die at `points` places of a life, at all of them where it is None."""
    chance = random.Random(seed)
    calls = calls_of_a_life(shim)
    places = [(at, False) for at in range(1, calls + 1)]
    places += [(at, True) for at in range(1, calls_of_a_life(shim, Kind.WRITE) + 1)]
    every = [(*place, chance.randrange(1, 200) if chance.random() < _TWICE else 0) for place in places]
    steps = life()

    def do(work: Iterator[Point], report: Report) -> None:
        for point in work:
            with folder() as place:
                _one(shim, place, steps, point, report)

    report = share(jobs, some(every, points, chance), do, seconds=seconds)
    report.counts["calls of a life"] = calls
    return report


def _one(shim: Shim, place: Path, steps: list[Step], point: Point, report: Report) -> None:
    at, torn, again = point
    index = place / "home" / "index"
    expected = states(steps)

    def dies(say: Say, at: int) -> None:
        done = step_of(index, expected)
        say(began=done)
        shim.kill(place, at, torn=torn)
        live(open_store(index), steps, done, lambda n: say(done=n))
        shim.disarm()

    def goes_on(say: Say) -> None:
        done = step_of(index, expected)
        say(found=done)
        if at % 2:  # else what is wrong with a cache is for the writer to find
            check_searches(index, expected[done])
        store = open_store(index)
        live(store, steps, done, lambda _: None)
        with store.writing():  # what a dead run left over is deleted, also where nothing was left to do
            pass
        if (last := step_of(index, expected)) != len(steps):
            raise Fault(f"it went on to step {last} of {len(steps)}")
        check_searches(index, expected[-1])
        check_sound(store, index)

    first = fork(lambda say: dies(say, at))
    acknowledged, ends = first.last("done", 0), [first]
    where = f"{'write' if torn else 'change'} {at}, then {again}"
    if again and first.killed:
        second = fork(lambda say: dies(say, again))
        ends.append(second)
        # What the second life found is as good as acknowledged to it: both lives may die between a commit and its word.
        began = second.last("began", acknowledged)
        _compare(report, where, acknowledged, began, second)
        acknowledged = second.last("done", began)
    for end in ends:
        report.counts["points"] += 1
        report.counts["killed"] += end.killed
        report.counts["torn"] += end.killed and torn
        if not (end.killed or end.ok):
            report.fault(f"{where}: it ended otherwise: {_why(end)}")
    after = fork(goes_on)
    found = after.last("found", -1)
    if _compare(report, where, acknowledged, found, after):
        if after.ok:
            report.counts["resumed"] += 1
        else:
            report.fault(f"{where}: from step {found}: {_why(after)}")
    report.counts["lives cut short"] += 1


def _compare(report: Report, where: str, acknowledged: int, found: int, end: Ended) -> bool:
    """Whether there is what was acknowledged, and at most the step after it."""
    if found in (acknowledged, acknowledged + 1):
        return True
    report.counts["lost"] += found < acknowledged
    report.fault(f"{where}: {acknowledged} steps acknowledged, {found} found: {_why(end)}")
    return False


def _why(end: Ended) -> str:
    return str(end.last("raised") or f"status {end.status}")
