"""Whole commands, from the shell's point of view: `ragkit` beside `llm`, which keeps vectors too.

Both hold the given texts. `llm similar` compares the given vectors with those of one stored text; `ragkit search`
has a question in words, by its word index and its offline embedder, for a command has no given vectors.
benchmarks/startup.py compares `ragkit` with the imports that it cannot do without.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.suite.given import Given
from benchmarks.suite.machine import environment, sizes
from benchmarks.suite.rounds import ROOT


def measure(
    given: Given, peers: str, folder: Path, rounds: int, threads: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Seconds of each command in each round; commands take turns."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    variables = environment(threads) | {"PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}", "LLM_USER_PATH": str(folder)}
    variables["RAGKIT_PROVIDER"] = "offline"
    script = Path(sys.executable).with_name("ragkit")
    ours = [str(script)] if script.exists() else [sys.executable, "-m", "ragkit_cli"]
    theirs = [str(Path(peers).with_name("llm"))]
    commands = {
        "ragkit --help": [*ours, "--help"],
        "llm --help": [*theirs, "--help"],
        "ragkit search": [*ours, "search", given.questions[0], "-n", "10", "-i", str(folder / "index")],
        "llm similar": [*theirs, "similar", "given", "1", "-n", "10", "-d", str(folder / "llm.db")],
    }
    found: dict[str, Any] = {"rows": given.about.rows, "seconds": {}, "build": {}, "state": {}}
    for name, python in (("ragkit", sys.executable), ("llm", peers)):
        say(f"shell: {name} indexes")
        if shutil.which(python) is None:
            found["state"][name] = f"not installed: there is no {python}"
            commands = {line: each for line, each in commands.items() if not line.startswith(name)}
            continue
        began = time.perf_counter()
        command = [python, "-m", "benchmarks.suite.shell", name, str(given.folder), str(folder)]
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            found["state"][name] = (done.stderr.strip().splitlines() or ["it failed"])[-1]
            commands = {line: each for line, each in commands.items() if not line.startswith(name)}
        else:
            found["build"][name] = time.perf_counter() - began
    found["disk"] = sizes(folder)
    say("shell: commands take turns")
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):  # the first fills the page cache
        for name, command in commands.items():
            began = time.perf_counter()
            done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
            taken = time.perf_counter() - began
            if done.returncode or not done.stdout.strip():
                found["state"][name] = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            elif turn:
                times[name].append(taken)
    found["seconds"] = {name: statistics.median(each) for name, each in times.items() if each}
    shutil.rmtree(folder)
    return found


def index_with_ragkit(given: Given, folder: Path) -> None:
    import ragkit

    with ragkit.open(folder / "index") as rag:
        ids = range(given.about.rows)
        report = rag.add(ragkit.Document(f"{id}.txt", given.text(id)) for id in ids)
    if report.new != given.about.rows:
        raise RuntimeError(f"{report.new} of {given.about.rows} documents were indexed")


def index_with_llm(given: Given, folder: Path) -> None:
    """By llm's own library, with a model that hands over the given vectors."""
    import llm
    import sqlite_utils

    from benchmarks.suite.given import row_of

    class GivenModel(llm.EmbeddingModel):
        model_id = "given"

        def embed_batch(self, items: Any) -> Any:
            return (given.vectors[row_of(text)].tolist() for text in items)

    collection = llm.Collection("given", sqlite_utils.Database(folder / "llm.db"), model=GivenModel())
    entries = ((str(id), given.text(id)) for id in range(given.about.rows))
    collection.embed_multi(entries, store=True)


if __name__ == "__main__":
    {"ragkit": index_with_ragkit, "llm": index_with_llm}[sys.argv[1]](Given(Path(sys.argv[2])), Path(sys.argv[3]))
