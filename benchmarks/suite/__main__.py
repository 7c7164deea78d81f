"""ragkit beside raw faiss and numpy, which are the limit, and beside its peers, in one run.

    python benchmarks/suite/peers.py ~/peers                         # once; without it, peers are "not installed"
    python -m benchmarks.suite --peers ~/peers/bin/python            # everything, 100 000 vectors of 1024 numbers
    python -m benchmarks.suite --peers ~/peers/bin/python --quick    # 5 000, to see that it works
    python -m benchmarks.suite --parts shell ingest                  # these again, the others as they were
    python -m benchmarks.suite --report                              # tables and plots again, from what was measured

It is run from the project's root. Results go to benchmarks/results: suite.json, suite.md, suite.png; with them the
table of README.md is written anew. A quick run or one with --results writes to another place and leaves README alone.
Parts that are not measured stay as they were, and say when that was.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.suite import report
from benchmarks.suite.engines import ENGINES, PEER, USUAL
from benchmarks.suite.given import Given, make
from benchmarks.suite.machine import description
from benchmarks.suite.rounds import ROOT, Plan, measure, save

RESULTS = ROOT / "benchmarks" / "results"
PARTS = ("engines", "shell", "ingest", "embedding")
STARTS = 5  # at most
QUICK = 5_000


def main() -> None:
    options = arguments()
    results = options.results or RESULTS
    if options.report:
        report.write(results, readme=ROOT / "README.md" if results == RESULTS else None)
        return
    if options.quick and not options.results:
        results = Path(tempfile.gettempdir()) / "ragkit-suite-quick"
    with tempfile.TemporaryDirectory(prefix="ragkit-suite-") as temporary:
        work = options.work or Path(temporary)
        run(options, work, results)
    report.write(results, readme=ROOT / "README.md" if results == RESULTS else None)
    print((results / "suite.md").read_text("utf-8"))


def run(options: argparse.Namespace, work: Path, results: Path) -> None:
    """Measure what is wanted, beside what was measured before of other parts."""
    rows = min(options.vectors, QUICK) if options.quick else options.vectors
    path = results / "suite.json"
    before: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    began = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - began:7.0f} s  {what}", file=sys.stderr, flush=True)

    say(f"making {rows} {options.kind} vectors of {options.dimension} numbers, texts, and the right answers")
    given = make(
        work / f"given-{options.kind}-{rows}-{options.dimension}",
        rows=rows,
        dimension=options.dimension,
        kind=options.kind,
    )
    peers = str(options.peers or sys.executable)
    pythons = {name: peers if entry.role == PEER else sys.executable for name, entry in ENGINES.items()}
    machine = description() | {"threads": options.threads, "date": date.today().isoformat()}
    measured = beside(before, options.parts, machine, vars(given.about) | {"text_bytes": given.text_bytes})
    results.mkdir(parents=True, exist_ok=True)
    if "engines" in options.parts:
        folder = work / f"engines-{options.kind}-{rows}-{options.dimension}"
        folder.mkdir(parents=True, exist_ok=True)
        names = with_their_base(options.only or USUAL)
        plan = Plan(
            given.folder,
            folder,
            pythons,
            threads=options.threads,
            rounds=options.rounds,
            cold=starts(options),
        )
        measured["engines"] = measure(plan, names, say)
        save(measured, path)
    for part, found in other_parts(options, given, peers, work, say):
        measured[part] = found | {"machine": machine}
        save(measured, path)


def starts(options: argparse.Namespace) -> int:
    """How many new processes of each are timed."""
    return min(STARTS, options.rounds)


def beside(
    before: dict[str, Any], parts: Sequence[str], machine: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """What stays of an earlier run: the parts that are not measured now, each with the machine as it was then.

    "machine" and "given" of the whole are those of the engines.
    """
    kept = {part: before[part] for part in PARTS if part in before and part not in parts}
    theirs = before if "engines" in kept else {"machine": machine, "given": given}
    dated = {part: each if part == "engines" else {"machine": before["machine"]} | each for part, each in kept.items()}
    return {"machine": theirs["machine"], "given": theirs["given"], **dated}


def other_parts(
    options: argparse.Namespace, given: Given, peers: str, work: Path, say: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Shell, files and services, each in a file of its own."""
    from benchmarks.suite import embedding, ingest, shell

    if "shell" in options.parts:
        yield "shell", shell.measure(given, peers, work / "shell", starts(options), options.threads, say)
    if "ingest" in options.parts:
        yield "ingest", ingest.measure(peers, work / "ingest", 3, options.threads, say, small=options.quick)
    if "embedding" in options.parts:
        yield "embedding", embedding.measure(peers, 3, say, small=options.quick)


def with_their_base(names: Sequence[str]) -> list[str]:
    """An engine that searches in another's index needs that one built."""
    wanted = {*names, *(ENGINES[name].index_of for name in names)}
    return [name for name in ENGINES if name in wanted]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.suite", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--kind", choices=["clustered", "anisotropic"], default="clustered")
    parser.add_argument("--only", nargs="+", choices=list(ENGINES), metavar="NAME", help=", ".join(ENGINES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what is measured")
    parser.add_argument("--rounds", type=int, default=9, help=f"of searches; of new processes at most {STARTS}")
    parser.add_argument("--threads", type=int, default=1, help="of each process, for numpy, faiss and Rust alike")
    parser.add_argument("--peers", type=Path, help="the Python of the peers' environment")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} vectors, to see that it works")
    parser.add_argument("--work", type=Path, help="keep what is built here; a run that broke off goes on from it")
    parser.add_argument("--results", type=Path, help="write there instead")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
