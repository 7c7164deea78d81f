"""How long a cold `ragkit --help` and a cold `ragkit search` take, next to the imports that they cannot do without.

Whole processes, the installed console script, interleaved runs, medians. The index of 10 000 chunks is made of
generated prose, through the command line, in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SYLLABLES = "ка ло ми на ро та ве ди со пу ra to ne li sa do ve mi po ku"
TARGETS = {"help": 1.5, "search": 1.6}


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--query", default="срок возврата залога")
    options = parser.parse_args()
    script = Path(sys.executable).with_name("ragkit")
    if not script.exists():
        sys.exit(f"{script} is missing: install the project into this environment first")

    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        chunks = build(script, Path(folder) / "docs", index, options.chunks)
        python = [sys.executable, "-c"]
        commands = {
            "bare interpreter": [*python, "pass"],
            "import click": [*python, "import click"],
            "ragkit --help": [str(script), "--help"],
            "import click, numpy, tantivy": [*python, "import click, numpy, tantivy"],
            "ragkit search": [str(script), "search", options.query, "-i", str(index)],
        }
        times = interleaved(commands, options.runs)

    print(f"{chunks} chunks, {options.runs} interleaved runs, Python {sys.version.split()[0]}")
    print(f"{'process':<32}{'median ms':>10}{'least ms':>10}")
    for name, seconds in times.items():
        print(f"{name:<32}{statistics.median(seconds) * 1000:>10.1f}{min(seconds) * 1000:>10.1f}")
    for name, ours, theirs in (
        ("help", "ragkit --help", "import click"),
        ("search", "ragkit search", "import click, numpy, tantivy"),
    ):
        ratio = statistics.median(times[ours]) / statistics.median(times[theirs])
        print(f"{ours} / {theirs}: {ratio:.2f} (target: at most {TARGETS[name]})")


def build(script: Path, docs: Path, index: Path, wanted: int) -> int:
    """An index of at least the wanted number of chunks; how many it has."""
    random.seed(1)
    words = ["".join(random.choices(SYLLABLES.split(), k=random.randint(2, 4))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    docs.mkdir()
    for number in range(-(-wanted // 50)):
        sentences = (
            " ".join(random.choices(words, weights, k=random.randint(6, 18))).capitalize() + "." for _ in range(400)
        )
        (docs / f"{number:04}.txt").write_text(" ".join(sentences), "utf-8")
    (docs / "lease.txt").write_text("Срок возврата залога — десять рабочих дней.\n", "utf-8")
    subprocess.run([script, "index", docs, "-i", index, "-q"], check=True)
    status = subprocess.run([script, "status", "-i", index, "--json"], check=True, capture_output=True)
    chunks = int(json.loads(status.stdout)["chunks"])
    if chunks < wanted:
        sys.exit(f"only {chunks} chunks were made of the generated files, {wanted} are wanted")
    return chunks


def interleaved(commands: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """Seconds of each run of each command; one run of each first, uncounted, to fill the caches."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGKIT_")}
    for run in range(runs + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
            if run:
                times[name].append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
