"""What an index run costs when little or nothing has changed: CPU seconds of the whole command.

    python benchmarks/reindex.py [--files 10000]

Indexes a folder of small files through the command line, then again unchanged, with one file edited, with all
files touched, and with the folder renamed. Prints CPU seconds and how many chunks were embedded.
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
from collections.abc import Callable
from pathlib import Path

WORDS = [
    "договор",
    "аренда",
    "залог",
    "срок",
    "склад",
    "датчик",
    "река",
    "берег",
    "лодка",
    "мельница",
    "house",
    "river",
    "meadow",
    "boat",
    "sensor",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "docs"
        folder.mkdir()
        for number in range(files):
            text = " ".join(random.Random(number).choices(WORDS, k=120))
            path = folder / f"{number % 100:02}" / f"{number:05}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"Документ {number}. {text}.\n", "utf-8")
        time.sleep(2.1)  # a file read within two seconds of its last change is read again to be sure
        print(f"{files} files\n{'run':<28}{'CPU s':>8}{'embedded':>10}  counts")
        run("first", folder, lambda: None)
        run("unchanged", folder, lambda: None)
        run("one file edited", folder, lambda: append(folder / "07" / "00007.txt"))
        run("all files touched", folder, lambda: [os.utime(path) for path in folder.rglob("*.txt")])
        run("one subfolder renamed", folder, lambda: (folder / "08").rename(folder / "renamed"))


def append(path: Path) -> None:
    path.write_text(path.read_text("utf-8") + "Ещё одно предложение.\n", "utf-8")


def run(name: str, folder: Path, change: Callable[[], object]) -> None:
    """One run of the command; the CPU time of it and of its parser processes."""
    change()
    before = os.times()
    command = [sys.executable, "-m", "ragkit_cli", "index", "--json", "-i", str(folder.parent / "index"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    report = json.loads(done.stdout)["folders"][0]
    counts = {key: report[key] for key in ("new", "changed", "removed", "unchanged", "failed") if report[key]}
    print(f"{name:<28}{cpu:>8.2f}{report['embedded']:>10}  {counts}", flush=True)


if __name__ == "__main__":
    main()
