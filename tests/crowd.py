"""python -m crowd [--seconds N]: one writer and four readers on one index, for a while; what any reader sees is judged
by itself.

Every commit replaces all documents by those of the next version, and leaves out every fourth. So one snapshot, whatever
is read of it, holds one version, and exactly the documents of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ragkit.errors import ConfigError
from ragkit.filters import Condition
from ragkit.store.local import LocalStore
from ragkit.store.sizes import Sizes
from ragkit.types import Chunk, Document, FloatMatrix

NAMES, LINES = 12, 3  # documents, and chunks of each
MODEL, DIMENSION = "crowd/1", 8
SIZES = Sizes(seal=60, kept_unused=40, small=300, most_small=3)


def here(version: int) -> set[str]:
    """The documents of a version."""
    return {f"{i:02}" for i in range(NAMES) if (i + version) % 4}


def lines(name: str, version: int) -> list[str]:
    return [f"common even{int(name) % 2} doc{name} version{version} line{n}" for n in range(LINES)]


def vectors(texts: list[str]) -> FloatMatrix:
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") for text in texts]
    return np.stack([np.random.default_rng(seed).standard_normal(DIMENSION) for seed in seeds]).astype(np.float32)


def open_store(index: Path) -> LocalStore:
    return LocalStore(index, sizes=SIZES)


class Writing:
    """The one writer: `work` commits version after version until it is told to stop."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        self.version = 0
        self.stop = threading.Event()
        self._chance = random.Random(1)

    def commits(self, seconds: float) -> int:
        """How many in that time, by one writer after another."""
        ends, began = time.monotonic() + seconds, self.version
        while time.monotonic() < ends:
            with self.store.writing() as writer:
                writer.set_model(MODEL, DIMENSION)
                for _ in range(self._chance.randint(1, 6)):
                    version = self.version + 1
                    for name in here(version - 1) - here(version):
                        writer.remove(name)
                    for name in sorted(here(version)):
                        texts = lines(name, version)
                        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
                        writer.add_vectors(keys, vectors(texts))
                        body = "\n".join(texts)
                        starts = [sum(len(text) + 1 for text in texts[:n]) for n in range(LINES)]
                        chunks = [
                            Chunk(name, start, start + len(text), text)
                            for start, text in zip(starts, texts, strict=True)
                        ]
                        metadata = {"version": version, "even": int(name) % 2}
                        sha = hashlib.sha256(body.encode()).hexdigest()
                        writer.replace(Document(name, body, sha, metadata=metadata), chunks, keys)
                    writer.commit()
                    self.version = version
                    if self._chance.random() < 0.3:
                        writer.publish()
        return self.version - began


class Reading:
    """One reader: it judges what it sees, and counts. The version that it sees never goes back."""

    def __init__(self, store: LocalStore, seed: int) -> None:
        self.store = store
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._chance = random.Random(seed)
        self._newest: dict[str, int] = {}
        self._ids: list[int] = []

    def read(self, until: Callable[[], bool]) -> None:
        acts = (self.by_vector, self.by_word, self.filtered, self.list, self.one, self.around)
        while not until() and len(self.faults) < 5:
            act = self._chance.choice(acts)
            try:
                act()
            except Exception as error:  # noqa: BLE001 - any error of a reader is a fault, and is counted as one
                self.faults.append(f"{act.__name__}: {type(error).__name__}: {error}")
            self.counts[act.__name__] += 1

    def judge(self, what: str, versions: set[int], found: Counter[tuple[str, int]], wanted: set[str]) -> None:
        """`found` is chunks or documents by name and number, `wanted` the names that this version has."""
        if len(versions) != 1:
            self.faults.append(f"{what} saw the versions {sorted(versions)} at once")
            return
        (version,) = versions
        if version < self._newest.get(what, 0):
            self.faults.append(f"{what} saw version {version} after {self._newest[what]}")
        self._newest[what] = version
        if {name for name, _ in found} != wanted or set(found.values()) != {1}:
            self.faults.append(f"{what} saw {sorted(found)} of version {version}")

    def _search(self, what: str, word: str, *, vector: bool, conditions: tuple[Condition, ...] = ()) -> None:
        query = vectors(["query"])[0] if vector else None
        hits = self.store.search(word, query, k=1000, conditions=conditions, model=MODEL)
        self._ids = [hit.id for hit in hits]
        versions = {int(hit.chunk.text.split("version")[1].split()[0]) for hit in hits}
        found = Counter((hit.chunk.source, int(hit.chunk.text[-1])) for hit in hits)
        version = min(versions, default=0)
        wanted = {name for name in here(version) if not conditions or int(name) % 2 == 0}
        if found.total() != LINES * len(wanted):
            self.faults.append(f"{what} found {found.total()} chunks of version {version}")
        self.judge(what, versions, found, wanted)

    def by_vector(self) -> None:
        self._search("by_vector", "", vector=True)

    def by_word(self) -> None:
        self._search("by_word", "common", vector=self._chance.random() < 0.5)

    def filtered(self) -> None:
        self._search("filtered", "common", vector=True, conditions=(Condition("even", "=", "0"),))

    def list(self) -> None:
        infos = self.store.documents()
        versions = {int(info.metadata["version"]) for info in infos}
        self.judge("list", versions, Counter((info.source, 0) for info in infos), here(min(versions, default=0)))

    def one(self) -> None:
        name = f"{self._chance.randrange(NAMES):02}"
        try:
            document = self.store.document(name)
        except ConfigError:
            return  # left out of this version
        version = int(document.metadata["version"])
        if document.text.split("\n") != lines(name, version) or name not in here(version):
            self.faults.append(f"one saw {document.text!r} of version {version}")

    def around(self) -> None:
        if self._ids:
            try:
                near = self.store.neighbours(self._chance.choice(self._ids), LINES, LINES)
            except ConfigError:
                return  # a later version has taken its place
            text = "\n".join(hit.chunk.text for hit in near)
            version, name = int(text.split("version")[1].split()[0]), near[0].chunk.source
            if text.split("\n") != lines(name, version):
                self.faults.append(f"around saw {text!r}")


class Readers:
    """Two processes and two threads, one of them with a store of its own, that read an index until `stop`."""

    def __init__(self, index: Path, store: LocalStore) -> None:
        command = [sys.executable, "-c", "import crowd; crowd.read_alone()", str(index)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        self._processes = [
            subprocess.Popen(
                [*command, f"{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
            for n in range(2)
        ]
        self._stop = threading.Event()
        self._own = open_store(index)
        self._readings = [Reading(store, 10), Reading(self._own, 11)]
        self._threads = [threading.Thread(target=each.read, args=(self._stop.is_set,)) for each in self._readings]
        for process in self._processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for thread in self._threads:
            thread.start()

    def stop(self) -> tuple[Counter[str], list[str]]:
        """What they read, and what was wrong with it."""
        self._stop.set()
        counts: Counter[str] = Counter()
        faults: list[str] = []
        for thread, reading in zip(self._threads, self._readings, strict=True):
            thread.join()
            counts.update(reading.counts)
            faults += reading.faults
        for process in self._processes:
            said = json.loads(process.communicate("stop\n", timeout=60)[0])
            counts.update(said["counts"])
            faults += said["faults"]
        self._own.close()
        return counts, faults


def crowd(place: Path, seconds: float) -> tuple[dict[str, float], list[str]]:
    """The writer beside four readers; and before, for a fifth of the time each, alone and beside readers elsewhere.

    Readers of another index take the processors' time as well, and can be in the writer's way by nothing else.
    """
    writing = Writing(open_store(place / "index"))
    rates = {"commits a second alone": writing.commits(seconds / 5) * 5 / seconds}
    shutil.copytree(place / "index", place / "other")
    other = open_store(place / "other")
    elsewhere = Readers(place / "other", other)
    rates["beside readers of another index"] = writing.commits(seconds / 5) * 5 / seconds
    elsewhere.stop()
    other.close()
    readers = Readers(place / "index", writing.store)
    trouble = []
    try:
        rates["beside readers of this one"] = writing.commits(3 * seconds / 5) * 5 / 3 / seconds
    except Exception as error:  # noqa: BLE001 - whatever it is, a reader was in its way
        trouble.append(f"the writer: {type(error).__name__}: {error}")
    counts, faults = readers.stop()
    writing.store.close()
    return {**rates, "commits": writing.version, "reads": counts.total(), **counts}, trouble + faults


def read_alone() -> None:
    """A reader as a process, until a line comes in."""
    reading = Reading(open_store(Path(sys.argv[1])), int(sys.argv[2]))
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    print("ready", flush=True)  # noqa: T201 - said to the parent
    reading.read(stop.is_set)
    stop.wait()
    print(json.dumps({"counts": reading.counts, "faults": reading.faults}), flush=True)  # noqa: T201 - likewise


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crowd", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        counts, faults = crowd(Path(place), arguments.seconds)
    for name, number in counts.items():
        print(f"  {number:>10.5g} {name}")  # noqa: T201 - its output
    for fault in faults:
        print(f"  ! {fault}")  # noqa: T201 - its output
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
