"""A long indexing run in which one request in five goes wrong, each in its own way.

    PYTHONPATH=tests python -m faultapi.chaos --chunks 10000 --seeds 3

Which request meets which fault follows from the seed, from what is asked and from how often it was asked before, so
that a run can be repeated, whatever order its threads have.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faultapi.embeddings import FAULTS, RIGHT
from faultapi.healthy import right, unit_of
from faultapi.server import FaultApi, Request, Wire
from ragkit.assembly import build
from ragkit.settings import load_settings
from ragkit.store.local import LocalStore
from ragkit.types import Document

SHARE = 0.2
BATCH = 16
# What passes, and does not without being asked for again.
PASSING = sorted(name for name, fault in FAULTS.items() if fault.once == RIGHT and fault.always != RIGHT)


@dataclass(frozen=True)
class Outcome:
    chunks: int
    rows: int
    wrong: int  # rows that are not those of their text
    asked: int
    needed: int  # requests, had nothing gone wrong
    faults: Counter[str]
    seconds: float

    @property
    def extra(self) -> float:
        return self.asked / self.needed - 1


class Chaos:
    """Fills the place of a service."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._tries: Counter[bytes] = Counter()
        self.faults: Counter[str] = Counter()

    def __call__(self, wire: Wire, request: Request) -> bool:
        with self._lock:
            self._tries[request.body] += 1
            chance = random.Random(f"{self._seed} {self._tries[request.body]} {request.body!r}")
            name = chance.choice(PASSING) if chance.random() < SHARE else ""
            if name:
                self.faults[name] += 1
        return FAULTS[name].answer(wire, request) if name else right(wire, request)


def run(place: Path, chunks: int, seed: int, *, retries: int = 8) -> Outcome:
    """Index so many texts. Raises what ends the run."""
    documents = [Document(f"{n}", f"Договор {n}: залог возвращается за {n % 30} дней.") for n in range(chunks)]
    chaos = Chaos(seed)
    began = time.perf_counter()
    with FaultApi(chaos) as api:
        settings = load_settings(
            {
                "index": place,
                "provider": "openai",
                "base_url": api.url,
                "api_key": "sk-key",
                "embed_model": "vectors-1",
                "slots": 8,
                "batch_items": BATCH,
                "retries": retries,
                "timeout": 0.5,
            },
            environ={},
            cwd=place.parent,
        )
        with build(settings) as rag:
            rag.add(documents)
        asked = len(api.requests)
    with closing(LocalStore(place)) as store:
        found, rows = store.vectors(1 << 30)
        wrong = sum(
            not np.allclose(row, unit_of(chunk.text), atol=5e-4) for (_, chunk), row in zip(found, rows, strict=True)
        )
        vectors = store.status().vectors
        assert all(finding.ok for finding in store.check())
    needed = 1 + -(-chunks // BATCH)
    return Outcome(chunks, vectors, wrong, asked, needed, chaos.faults, time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    print("seed  chunks  rows   wrong  requests  needed  extra  faults  kinds  seconds")  # noqa: T201 - a command
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            end = run(Path(folder) / "index", arguments.chunks, seed)
        print(  # noqa: T201 - a command
            f"{seed:>4}  {end.chunks:>6}  {end.rows:>6} {end.wrong:>5}  {end.asked:>8}  {end.needed:>6}"
            f"  {end.extra:>5.1%}  {end.faults.total():>6}  {len(end.faults):>5}  {end.seconds:>7.1f}"
        )


if __name__ == "__main__":
    main()
