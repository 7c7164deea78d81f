"""A process with one engine in it: what it takes and holds is that engine's own.

    python -m benchmarks.suite.worker ENGINE STEP GIVEN FOLDER

A step is "build", "first" (open, one search, and no more) or "serve", which does what the lines of standard input
say, one JSON object each. Answers are lines of JSON on standard output; whatever a library prints goes to standard
error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.suite.engine import Engine
from benchmarks.suite.engines import ENGINES
from benchmarks.suite.given import WANTED, Given
from benchmarks.suite.judging import complete, recall, right
from benchmarks.suite.machine import Watch, cpu_seconds, memory, sizes

NOT_INSTALLED = 3  # exit code


def timed(act: Callable[[], object]) -> dict[str, float]:
    """Seconds on the clock and of the processor."""
    began, cpu = time.perf_counter(), cpu_seconds()
    act()
    return {"seconds": time.perf_counter() - began, "cpu": cpu_seconds() - cpu}


def ask(engine: Engine, what: str, queries: range, *, limit: float = 30.0) -> dict[str, Any]:
    """Milliseconds of each search, and whether what it gave is right; no new search after `limit` seconds.

    `what` is "all" for searches without a filter, "changed" for the same after the changes, or a field.
    """
    given, times, scores, whole = engine.given, [], [], []
    field = what if what in WANTED else ""
    until, cpu = time.perf_counter() + limit, 0.0
    for query in queries:
        began, cpu_began = time.perf_counter(), time.process_time()
        result = engine.filtered(query, field, WANTED[field]) if field else engine.search(query)
        times.append(round((time.perf_counter() - began) * 1000, 4))
        cpu += time.process_time() - cpu_began
        found, true = engine.found(result), given.truth[what][query]
        good = right(found, true, field, WANTED[field]) if field else recall(found, true)
        scores.append(round(good, 4))
        if found:
            whole.append(complete(found, given))
        if time.perf_counter() > until:
            break
    return {"ms": times, "cpu_ms": round(cpu * 1000, 3), "right": scores, "complete": bool(whole) and all(whole)}


def change(engine: Engine) -> dict[str, Any]:
    """Change one, the median of three; delete 1 %, add 1 %; and whether searches know of it.

    Each is timed until it is durable.
    """
    given = engine.given
    engine.search(0)  # whatever is loaded at the first use is not part of a change
    replaced = [timed(partial(engine.replace, old, new)) for old, new in given.replacements]
    taken = {
        "replace": sorted(replaced, key=lambda each: each["seconds"])[len(replaced) // 2],
        "delete": timed(lambda: engine.delete(given.deleted)),
        "add": timed(lambda: engine.add(given.added)),
    }
    return {**taken, "after": ask(engine, "changed", range(min(50, given.about.queries)))}


def serve(engine: Engine, tell: Callable[[object], None]) -> None:
    """Do what each line says: {"ask": …, "first": …, "count": …}, {"memory": 1} or {"change": 1}."""
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "ask" in order:
                tell(ask(engine, order["ask"], range(order["first"], order["first"] + order["count"])))
            elif "change" in order:
                tell(change(engine))
            else:
                tell(memory())
        except NotImplementedError as error:
            tell({"unsupported": str(error) or "the library has no such thing"})


def versions(libraries: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "from its sources"
    return found


def main() -> None:
    name, step, given, place = sys.argv[1:5]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer

    def tell(answer: object) -> None:
        answers.write(json.dumps(answer) + "\n")

    try:
        kind = ENGINES[name].load()
    except ImportError as error:
        tell({"missing": str(error)})
        sys.exit(NOT_INSTALLED)
    folder = Path(place)
    folder.mkdir(parents=True, exist_ok=True)
    engine = kind(folder, Given(Path(given)))
    if step == "build":
        before = memory()
        with Watch() as watch:
            taken = timed(engine.build)
        said = {
            "before": before,
            "after": memory(),
            "peak": max(watch.most, memory()["anonymous"]),
            "note": kind.note,
            "hybrid": kind.hybrid,
        }
        tell({**taken, **said, "disk": sizes(folder), "versions": versions(ENGINES[name].libraries)})
    elif step == "first":
        engine.open()
        found = engine.found(engine.search(0))
        tell({"hit": found[0].id, "cpu": cpu_seconds()})
    else:
        tell({"open": timed(engine.open), "note": kind.note, "hybrid": kind.hybrid})
        serve(engine, tell)
    answers.flush()
    engine.close()


if __name__ == "__main__":
    main()
