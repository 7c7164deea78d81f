"""A full disk, an error of it, a missing permission, too many open files: at the n-th call, once or from then on."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from math import inf
from pathlib import Path

from crash.deaths import calls_of_a_life
from crash.forks import Ended, Report, Say, folder, fork, share, some
from crash.judge import Fault, check_searches, check_sound, step_of
from crash.life import Step, life, live, open_store, states
from crash.shim import Flag, Kind, Shim
from ragkit.errors import IndexCorrupt, IndexLocked, IndexMismatch, IndexNotFound, RagkitError
from ragkit.store.lexical import LexicalUnusable
from ragkit.store.local import LocalStore
from ragkit.store.writer import Writer

# What each kind of call can fail with.
_ERRORS = {
    Kind.WRITE: (errno.ENOSPC, errno.EIO),
    Kind.SYNC: (errno.ENOSPC, errno.EIO),
    Kind.MAKE: (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE),
    Kind.NAME: (errno.ENOSPC, errno.EIO, errno.EACCES),
    Kind.OPEN: (errno.EIO, errno.EACCES, errno.EMFILE),
}
# These would send somebody to mend or delete an index that has nothing.
_MISLEADING = (IndexCorrupt, IndexLocked, IndexMismatch, IndexNotFound)


@dataclass(frozen=True, slots=True)
class Point:
    kind: Kind
    error: int
    flags: Flag
    at: int
    part: str = ""  # of the path

    def __str__(self) -> str:
        return f"{errno.errorcode[self.error]} at {self.kind.name} {self.at} of {self.part or 'all'}, {self.flags!r}"


# Each of these was once answered with an error of somebody else's, or with one that sent the reader astray.
KNOWN = [
    Point(Kind.WRITE, errno.ENOSPC, Flag.NONE, 3, "catalog.sqlite"),  # while the catalog is made
    Point(Kind.NAME, errno.EIO, Flag.NONE, 2, "index.new-"),
    Point(Kind.SYNC, errno.EIO, Flag.NONE, 6, "catalog.sqlite"),  # SQLite goes on without a log, and says nothing
    Point(Kind.MAKE, errno.ENOSPC, Flag.NONE, 2, "writer.lock"),  # the note of who is writing
    Point(Kind.WRITE, errno.ENOSPC, Flag.STAYS, 1, "writer.lock"),
    Point(Kind.NAME, errno.ENOSPC, Flag.STAYS, 1, "lexical"),  # the folder of the word index
    Point(Kind.OPEN, errno.EACCES, Flag.STAYS, 40, "meta.json"),  # going back to before a failed update of it
    Point(Kind.OPEN, errno.EIO, Flag.STAYS, 150, "lexical"),
    Point(Kind.WRITE, errno.EIO, Flag.STAYS, 1, "lexical"),
    Point(Kind.MAKE, errno.EACCES, Flag.NONE, 2, "catalog.sqlite-wal"),  # not damaged: kept from being written
    Point(Kind.OPEN, errno.EACCES, Flag.STAYS, 12, "catalog.sqlite"),
    *(Point(Kind.WRITE, errno.EIO, Flag.NONE, at, "seg-") for at in range(1, 13)),  # sealing, bulk loads, merging
    Point(Kind.NAME, errno.EIO, Flag.NONE, 1, "seg-"),  # deleting what was merged
    Point(Kind.OPEN, errno.EMFILE, Flag.STAYS, 1, "codes"),
]


def faults(shim: Shim, *, points: int | None, seed: int, jobs: int, seconds: float = inf) -> Report:
    """Let `points` calls of lives fail, in every way each can; all of them where it is None."""
    every = []
    for kind, errors in _ERRORS.items():
        flags = [Flag.NONE, Flag.STAYS] + ([Flag.TORN, Flag.TORN | Flag.STAYS] if kind == Kind.WRITE else [])
        calls = range(1, calls_of_a_life(shim, kind) + 1)
        every += [Point(kind, error, flag, at) for error in errors for flag in flags for at in calls]
    steps = life()

    def do(work: Iterator[Point], report: Report) -> None:
        for point in work:
            with folder() as place:
                _one(shim, place, steps, point, report)

    return share(jobs, [*KNOWN, *some(every, points, random.Random(seed))], do, seconds=seconds)


def _one(shim: Shim, place: Path, steps: list[Step], point: Point, report: Report) -> None:
    end = fork(lambda say: _suffer(shim, place, steps, point, say), quiet=True)
    report.counts["points"] += 1
    report.counts["calls failed"] += end.last("failed", 0)
    report.counts["hit"] += end.last("failed", 0) > 0
    report.counts["accepted after an error"] += end.last("accepted", 0)
    report.counts["resumed"] += end.ok
    report.counts["lost"] += bool(end.last("lost", 0))
    errors = [each["error"] for each in end.said if "error" in each]
    report.counts["seen as an error"] += bool(errors)
    report.counts["no matter"] += not errors and end.last("failed", 0) > 0
    for error in errors:
        report.counts[error] += 1
    if not end.ok:
        report.fault(f"{point}: {_why(end)}")


def _suffer(shim: Shim, place: Path, steps: list[Step], point: Point, say: Say) -> None:
    """A life with a fault in it; the cause goes, and the same process goes on with the same store."""
    index = place / "home" / "index"
    expected = states(steps)
    store = open_store(index)
    shim.fail(place, point.at, point.kind, point.error, point.flags, part=point.part)
    acknowledged = _try(store, steps, shim, say, point)
    say(failed=shim.failed)
    shim.disarm()
    found = step_of(index, expected)
    if found not in (acknowledged, acknowledged + 1):
        say(lost=int(found < acknowledged))
        raise Fault(f"{acknowledged} steps acknowledged, {found} found")
    if point.at % 2:
        check_searches(index, expected[found])
    live(store, steps, found, lambda _: None)
    with store.writing():
        pass
    if (last := step_of(index, expected)) != len(steps):
        raise Fault(f"it went on to step {last} of {len(steps)}")
    check_searches(index, expected[-1])
    check_sound(store, index)


def _try(store: LocalStore, steps: list[Step], shim: Shim, say: Say, point: Point) -> int:
    """Live until an error; gives what was acknowledged. Every error must be ours, and fit what happened."""
    acknowledged = 0
    try:
        for _, together in groupby(enumerate(steps, 1), key=lambda pair: pair[1].run):
            with store.writing() as writer:
                for n, step in together:
                    try:
                        step.act(writer)
                        writer.commit()
                    except LexicalUnusable:  # a cache: the commit before is acknowledged, and the writer good
                        writer.commit()
                        raise
                    except RagkitError:
                        _again(writer, step, shim, say, point)
                        raise
                    acknowledged = n
    except RagkitError as error:
        say(error=type(error).__name__)
        if isinstance(error, _MISLEADING) or not error.hint or "savepoint" in error.message:
            raise Fault(f"misleading: {type(error).__name__}: {error.message} ({error.hint})") from error
    return acknowledged


def _again(writer: Writer, step: Step, shim: Shim, say: Say, point: Point) -> None:
    """A writer that has met an error refuses everything, whether its cause is gone or not."""
    failed = shim.failed
    if point.at % 3:
        shim.disarm()
    try:
        step.act(writer)
        writer.commit()
    except RagkitError:
        pass
    else:
        say(accepted=1)
        raise Fault("a writer took more after an error")
    finally:
        say(failed=max(failed, shim.failed))


def _why(end: Ended) -> str:
    if end.hung:
        return "it hung"
    return str(end.last("raised") or f"status {end.status}")


__all__ = ["Point", "faults"]
