"""How long a cold `ragkit --help` and a cold `ragkit search` take, next to the imports that they cannot do without.

Whole processes, the installed console script, interleaved runs. A ratio is the median over the runs of ours by theirs
in the same round: first of wall time, then of CPU time, which a busy machine changes less. The indexes are made of
generated prose, through the command line; with --keep they stay for the next time. Bytecode may be written, as it is
where the package was installed: with PYTHONDONTWRITEBYTECODE a checkout is compiled anew by every process.

What the search is compared with is decided by what it imports: faiss counts as its library at a size where it loads
it, and not below. Anything it imports beyond these libraries stops the benchmark.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from statistics import median

SYLLABLES = "ка ло ми на ро та ве ди со пу ra to ne li sa do ve mi po ku"
LIBRARIES = ("click", "numpy", "tantivy")  # those of every search
APPROXIMATE = "faiss"  # that of a search of a large index
# Loaded too, the last two by faiss, and no part of what is compared with.
SMALL = {"Stemmer", "cython_runtime", "packaging", "swig_runtime_data5"}
CHUNKS_OF_A_FILE = 50  # at least
HELP, SEARCH, GROWTH = 1.5, 1.5, 2.0  # targets: times click, times the libraries, times the smallest index

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("RAGKIT_") and name != "PYTHONDONTWRITEBYTECODE"
}
# Without what stands there before, such as what makes an editable install work.
LOADED = """
import sys
before = set(sys.modules)
from ragkit_cli.main import main
main()
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(loaded - set(sys.stdlib_module_names)), file=sys.stderr)
"""


@dataclass
class Times:
    """Milliseconds of each run of one command."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], metavar="CHUNKS")
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--query", default="срок возврата залога")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where indexes are made, and found again")
    options = parser.parse_args()
    script = Path(sys.executable).with_name("ragkit")
    if not script.exists():
        sys.exit(f"{script} is missing: install the project into this environment first")

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        indexes = [build(script, folder / str(size), size) for size in sorted(options.sizes)]
        python = [sys.executable, "-c"]
        commands = {
            "bare interpreter": [*python, "pass"],
            "import click": [*python, "import click"],
            "ragkit --help": [str(script), "--help"],
        }
        pairs = [("ragkit --help", "import click", HELP)]
        searches = []
        for index, chunks in indexes:
            arguments = ["search", options.query, "-i", str(index)]
            libraries = "import " + ", ".join(libraries_of(arguments))
            searches.append(f"ragkit search, {chunks:_} chunks".replace("_", " "))
            commands[libraries] = [*python, libraries]
            commands[searches[-1]] = [str(script), *arguments]
            pairs.append((searches[-1], libraries, SEARCH))
        pairs += [(larger, searches[0], GROWTH) for larger in searches[1:]]
        times = interleaved(commands, options.runs)

    print(f"{options.runs} interleaved runs, Python {sys.version.split()[0]}, milliseconds")
    print(f"{'process':<40}{'wall':>10}{'least':>10}{'CPU':>10}{'least':>10}")
    for name, each in times.items():
        print(
            f"{name:<40}{median(each.wall):>10.1f}{min(each.wall):>10.1f}{median(each.cpu):>10.1f}{min(each.cpu):>10.1f}"
        )
    for ours, theirs, target in pairs:
        wall, cpu = ratio(times[ours].wall, times[theirs].wall), ratio(times[ours].cpu, times[theirs].cpu)
        print(f"{ours} / {theirs}: wall {wall:.2f}, CPU {cpu:.2f} (target: at most {target})")


def build(script: Path, folder: Path, wanted: int) -> tuple[Path, int]:
    """An index of at least the wanted number of chunks in the folder, unless it is there; and how many it has."""
    docs, index = folder / "docs", folder / "index"
    if not index.exists():
        docs.mkdir(parents=True, exist_ok=True)
        write_prose(docs, -(-wanted // CHUNKS_OF_A_FILE))
        subprocess.run([script, "index", docs, "-i", index, "-q"], check=True, env=ENVIRONMENT)
    status = subprocess.run([script, "status", "-i", index, "--json"], check=True, capture_output=True, env=ENVIRONMENT)
    chunks = int(json.loads(status.stdout)["chunks"])
    if chunks < wanted:
        sys.exit(f"{index} has only {chunks} chunks, {wanted} are wanted")
    return index, chunks


def write_prose(docs: Path, files: int) -> None:
    """Sentences of made-up words, as often as words are in prose, and one file with an answer."""
    random.seed(1)
    words = ["".join(random.choices(SYLLABLES.split(), k=random.randint(2, 4))) for _ in range(20_000)]
    shares = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    for number in range(files):
        sentences = (
            " ".join(random.choices(words, cum_weights=shares, k=random.randint(6, 18))).capitalize() + "."
            for _ in range(400)
        )
        (docs / f"{number:05}.txt").write_text(" ".join(sentences), "utf-8")
    (docs / "lease.txt").write_text("Срок возврата залога — десять рабочих дней.\n", "utf-8")


def libraries_of(arguments: list[str]) -> list[str]:
    """The libraries that this search imports; ends the benchmark where there is one more than is known of."""
    command = [sys.executable, "-c", LOADED, *arguments]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    loaded = set(run.stderr.split())
    libraries = [*LIBRARIES, *([APPROXIMATE] if APPROXIMATE in loaded else [])]
    beyond = {name for name in loaded - SMALL - set(libraries) if not name.startswith(("ragkit", "_cython_"))}
    if beyond or not loaded.issuperset(libraries):
        sys.exit(f"the search imports {', '.join(sorted(loaded))}: expected were {', '.join(libraries)}")
    return libraries


def interleaved(commands: dict[str, list[str]], runs: int) -> dict[str, Times]:
    """Times of each command; one run of each first, uncounted, to fill the caches."""
    times = {name: Times() for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                sys.exit(f"{name} ended with {process.returncode}")
            if run:
                times[name].wall.append(1000 * wall)
                times[name].cpu.append(1000 * (used.ru_utime + used.ru_stime))
    return times


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over the rounds."""
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    main()
