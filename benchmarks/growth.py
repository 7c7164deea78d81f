"""How ragkit grows: index time, change, search, first hit, memory and disk from a thousand chunks to a million.

    python -m benchmarks.growth                                # 10^3 to 10^6 chunks of 1024 numbers
    python -m benchmarks.growth --sizes 1000000 --again        # this again, both kinds; the others as they were
    python -m benchmarks.growth --sizes 1000,10000 --kind clustered --again
    python -m benchmarks.growth --report                       # tables and plot again

It is run from the project's root. Each size is measured like an engine of the suite, beside exact search over the same
rows in a mapped file; the largest with "anisotropic" vectors besides, which all share a strong component as those of
services do. Vectors and texts are made in blocks and kept in files, so that memory does not grow with them; 10^6 take
some 20 GB of disk for a while. What was measured is kept size by size in results/growth.json: a run that broke off
goes on from there, if it is started without --again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.suite.engines import ENGINES, FOR_GROWTH
from benchmarks.suite.given import make
from benchmarks.suite.growing import write_growth
from benchmarks.suite.machine import description
from benchmarks.suite.rounds import ROOT, Plan, measure, save
from ragkit.store.sizes import APPROXIMATE_FROM, SEAL_ROWS


def main() -> None:
    options = arguments()
    results: Path = options.results
    results.mkdir(parents=True, exist_ok=True)
    path = results / "growth.json"
    measured: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    began = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - began:7.0f} s  {what}", file=sys.stderr, flush=True)

    wanted = [] if options.report else of_sizes(options.sizes, options.kind)
    for size, kind in wanted:
        name = f"{kind} {size} x {options.dimension}"
        if name in measured and not options.again:
            say(f"{name}: measured before")
            continue
        with tempfile.TemporaryDirectory(prefix="ragkit-growth-", dir=options.work) as folder:
            measured[name] = one(options, Path(folder), size, kind, partial(_said, say, name))
        save(measured, path)
    if measured:
        write_growth(results)
        print((results / "growth.md").read_text("utf-8"))


def of_sizes(sizes: Sequence[int], kind: str | None = None) -> list[tuple[int, str]]:
    """The sizes in their order, and the largest of the other kind besides; or all of one kind."""
    if kind:
        return [(size, kind) for size in sorted(sizes)]
    return [*((size, "clustered") for size in sorted(sizes)), (max(sizes), "anisotropic")]


def _said(say: Callable[[str], None], name: str, what: str) -> None:
    say(f"{name}: {what}")


def one(options: argparse.Namespace, folder: Path, size: int, kind: str, say: Callable[[str], None]) -> dict[str, Any]:
    """One size, whose files are deleted when it is measured."""
    began = time.perf_counter()
    say("making vectors, texts, and the right answers")
    machine = description() | {"threads": options.threads, "date": date.today().isoformat()}
    queries = min(100, size // 5)
    given = make(folder / "given", rows=size, dimension=options.dimension, queries=queries, kind=kind)
    place = folder / "engines"
    place.mkdir()
    pythons = dict.fromkeys(ENGINES, sys.executable)
    plan = Plan(given.folder, place, pythons, threads=options.threads, rounds=options.rounds, cold=options.rounds)
    engines = measure(plan, FOR_GROWTH, say)
    if state := engines["ragkit"].get("state"):
        shutil.copy(place / "ragkit.log", Path(tempfile.gettempdir()) / "ragkit-growth.log")
        sys.exit(f"ragkit {state}; all it said is in {tempfile.gettempdir()}/ragkit-growth.log")
    about = vars(given.about) | {"text_bytes": given.text_bytes}
    store = {"seal": SEAL_ROWS, "codes": APPROXIMATE_FROM}
    seconds = time.perf_counter() - began
    return {"machine": machine, "given": about, "store": store, "engines": engines, "seconds": seconds}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = "1000,10000,100000,1000000"
    parser.add_argument("--sizes", type=lambda text: [int(each) for each in text.split(",")], default=sizes)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--kind", choices=["clustered", "anisotropic"], help="of this only; without it, the largest size has both"
    )
    parser.add_argument("--again", action="store_true", help="measure what was measured before, too")
    parser.add_argument("--work", type=Path, help="a folder with room, for what is built and deleted")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
