"""Files that break parsers, one line a class: what became of each, and what it cost.

    python benchmarks/hostile.py [--data ../shared/data] [--jobs 2] [--list]

Every file must end as text or as a named reason. A class is what the manifest says of why a file is here, cut to
its first words. "memory" is the growth of this process, which only hands the files over.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ragkit.errors import LoadError
from ragkit.loaders.isolation import ParserPool


@dataclass(frozen=True)
class Outcome:
    kind: str
    code: str
    seconds: float
    detail: str
    unclean: int
    expectation: str


def outcome(pool: ParserPool, root: Path, row: dict[str, str]) -> Outcome:
    begun = time.perf_counter()
    text, damaged = "", False
    try:
        with (root / row["file"]).open("rb") as file:
            loaded = pool.load(file, row["file"])
        text, damaged = loaded.document.text, bool(loaded.problems)
        code, detail = "text", f"{len(text)} characters; {'; '.join([*loaded.notes, *map(str, loaded.problems)])[:150]}"
    except LoadError as error:
        code, detail = error.code, f"{error.message} -> {error.hint}"
    unclean = sum((char < " " and char not in "\t\n") or "\ud800" <= char <= "\udfff" for char in text)
    return Outcome(
        kind(row), code, time.perf_counter() - begun, detail, unclean, judged(row["expect"], code, text, damaged)
    )


def kind(row: dict[str, str]) -> str:
    family = row["file"].split("/")[0]
    if "/gen_" in row["file"]:
        return f"{family} generated"
    return f"{family} {row['file'].split('/')[1].split('_')[0]}"


def judged(expectation: str, code: str, text: str, damaged: bool) -> str:
    """ "met" or "missed", where the manifest's expectation says more than text or error."""
    wanted, _, word = expectation.partition(":")
    if wanted == "text":
        return "met" if code == "text" and word in text else "missed"
    if wanted in ("error", "reject"):
        return "met" if code != "text" or damaged else "missed"  # text before the fault, and the fault named
    if wanted in ("empty", "empty-scan"):
        return "met" if code in ("empty", "no_text") else "missed"
    return "met"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1].parent / "shared" / "data")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="also a line a file")
    options = parser.parse_args()
    root = options.data / "hostile"
    rows = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ParserPool(options.jobs) as pool, ThreadPoolExecutor(options.jobs) as threads:
        outcomes = list(threads.map(lambda row: outcome(pool, root, row), rows))
    if options.list:
        for row, result in zip(rows, outcomes, strict=True):
            print(f"{row['file']:60} {result.seconds:6.2f} s  {result.expectation:6} {result.code}: {result.detail}")
    print(f"{'class':22} {'files':>5} {'text':>5} {'reason':>6} {'missed':>6} {'slowest':>8}  reasons")
    for name in sorted({result.kind for result in outcomes}):
        group = [result for result in outcomes if result.kind == name]
        codes = Counter(result.code for result in group)
        texts = codes.pop("text", 0)
        missed = sum(result.expectation == "missed" for result in group)
        reasons = ", ".join(f"{code} {count}" for code, count in codes.most_common())
        slowest = max(result.seconds for result in group)
        print(f"{name:22} {len(group):5} {texts:5} {len(group) - texts:6} {missed:6} {slowest:6.2f} s  {reasons}")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    unclean = sum(result.unclean for result in outcomes)
    print(
        f"{len(outcomes)} of {len(rows)} files ended; control characters and surrogates in texts: {unclean}; ", end=""
    )
    print(f"memory of this process grew by {grown:.0f} MiB")


if __name__ == "__main__":
    main()
