"""A life of a store: what is done to it, run after run, and what must be in it after each step.

Every step ends in one commit and no two steps leave the same documents, so what an index holds says which step it
is at, and a life that was cut short goes on from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np

from ragkit.reports import FileStamp, Problem
from ragkit.store.local import LocalStore
from ragkit.store.sizes import Sizes
from ragkit.store.writer import Writer
from ragkit.types import Chunk, Document, FloatMatrix

SIZES = Sizes(seal=12, kept_unused=8, small=200, most_small=3)
CODES_FROM = 60  # vectors
OLD, NEW = "first/1", "second/1"  # models
DIMENSION = 16


@dataclass(frozen=True, slots=True)
class State:
    """What an index must hold: `documents` is text by source, `kept` are texts with a vector that no chunk may use."""

    documents: dict[str, str] = field(default_factory=dict)
    failures: frozenset[str] = frozenset()
    model: str = ""
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What one commit does, in the run of that number; and the state that it leaves."""

    run: int
    act: Callable[[Writer], None]
    after: State


def text(name: str, version: int, lines: int, width: int = 30) -> str:
    """A text of that many lines, each of them one chunk, no two of any two texts alike."""
    words = ("река", "лодка", "договор", "залог", "warranty", "sensor", "harbour", "срок")
    made = []
    for n in range(lines):
        start = f"{name}{version} line{n} "
        fill = " ".join(words[(n + version + i) % len(words)] for i in range(width // 6))
        made.append((start + fill)[:width])
    return "\n".join(made)


def chunks(source: str, text: str) -> list[Chunk]:
    found, start = [], 0
    for n, line in enumerate(text.split("\n"), 1):
        found.append(Chunk(source, start, start + len(line), line, line=n))
        start += len(line) + 1
    return found


def key(model: str, text: str) -> bytes:
    return hashlib.sha256(f"{model}\n{text}".encode()).digest()


def vector(model: str, text: str) -> FloatMatrix:
    """(1, d): that of this text and no other."""
    seed = int.from_bytes(key(model, text)[:8], "little")
    return np.random.default_rng(seed).standard_normal((1, DIMENSION)).astype(np.float32)


@lru_cache(maxsize=4096)
def unit_vector(model: str, text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    row = vector(model, text)[0]
    return row / np.linalg.norm(row)


def embed(writer: Writer, texts: list[str], model: str) -> None:
    """Store the vectors of those texts that have none."""
    known = writer.stored([key(model, each) for each in texts])
    new = [each for each in dict.fromkeys(texts) if key(model, each) not in known]
    if new:
        keys = [key(model, each) for each in new]
        writer.add_vectors(keys, np.concatenate([vector(model, each) for each in new]), model=model)


class _Script:
    """The steps as they are written down, each after the one before."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.run = 0
        self.state = State()

    def step(self, after: State, *acts: Callable[[Writer], None]) -> None:
        def act(writer: Writer) -> None:
            for each in acts:
                each(writer)

        self.steps.append(Step(self.run, act, after))
        self.state = after

    def put(self, source: str, version: int, lines: int, width: int = 30, *more: Callable[[Writer], None]) -> None:
        body = text(source, version, lines, width)
        model = self.state.model or OLD

        def act(writer: Writer) -> None:
            cut = chunks(source, body)
            writer.set_model(model, DIMENSION)
            embed(writer, [chunk.text for chunk in cut], model)
            keys = [key(model, chunk.text) for chunk in cut]
            document = Document(source, body, hashlib.sha256(body.encode()).hexdigest(), metadata={"version": version})
            writer.replace(document, cut, keys, stamp=FileStamp(size=len(body), mtime_ns=version))

        documents = {**self.state.documents, source: body}
        self.step(replace(self.state, documents=documents, model=model, kept=()), act, *more)

    def remove(self, source: str) -> None:
        documents = {name: body for name, body in self.state.documents.items() if name != source}
        self.step(replace(self.state, documents=documents), lambda writer: void(writer.remove(source)))

    def fail(self, source: str) -> None:
        failures = self.state.failures | {source}
        problem = Problem("the file is damaged", "mend it")
        self.step(
            replace(self.state, failures=failures), lambda writer: writer.fail(source, None, FileStamp(), [problem])
        )

    def pay(self, source: str, version: int, lines: int) -> None:
        """Vectors of a document that is only half embedded; something must tell the state, and a failure does."""
        paid = [chunk.text for chunk in chunks(source, text(source, version, lines))]
        failures = self.state.failures | {f"{source} is on its way"}
        model = self.state.model

        def act(writer: Writer) -> None:
            embed(writer, paid, model)
            writer.fail(f"{source} is on its way", None, FileStamp(), [])

        self.step(replace(self.state, failures=failures, kept=tuple(paid)), act)

    def embed_anew(self, model: str) -> None:
        """Vectors of another model for every chunk, which no search sees yet."""
        texts = [chunk.text for source, body in self.state.documents.items() for chunk in chunks(source, body)]
        failures = self.state.failures | {f"{model} is on its way"}

        def act(writer: Writer) -> None:
            embed(writer, texts, model)
            writer.fail(f"{model} is on its way", None, FileStamp(), [])

        self.step(replace(self.state, failures=failures), act)

    def move(self, model: str) -> None:
        self.step(
            replace(self.state, model=model),
            lambda writer: writer.move_to(model, lambda _, chunk: key(model, chunk.text)),
        )


def void(_: object) -> None:
    """An act gives nothing back."""


def publish(writer: Writer) -> None:
    writer.commit()
    writer.publish()


def life() -> list[Step]:
    """The whole script: sealing, replacing, removing, merging, dropping, moving to another model."""
    s = _Script()
    s.put("a.txt", 1, 4)
    s.put("b.txt", 1, 3)
    s.put("c.txt", 1, 6)  # the tail is long enough now: sealed
    s.put("d.txt", 1, 30, 600)  # a segment by itself; more than one piece of text
    s.put("e.txt", 1, 2, 30, publish)
    s.run += 1
    s.put("a.txt", 2, 5)
    s.fail("broken.pdf")
    s.remove("b.txt")
    s.run += 1
    s.pay("f.txt", 1, 10)
    s.run += 1
    s.put("f.txt", 1, 14)
    s.put("d.txt", 2, 26)  # 30 vectors are unused now, and dropped in closing
    s.run += 1
    s.put("g.txt", 1, 25)
    s.put("h.txt", 1, 24)
    s.put("i.txt", 1, 24)  # so many segments that they are merged, and so many vectors that there are codes
    s.run += 1
    s.embed_anew(NEW)
    s.move(NEW)  # the old model's are unused now
    s.run += 1
    s.put("a.txt", 3, 4)
    s.remove("c.txt")
    s.put("j.txt", 1, 2)
    return s.steps


def states(steps: list[Step]) -> list[State]:
    """What must be there after no step, after the first, and so on."""
    return [State(), *(step.after for step in steps)]


def live(store: LocalStore, steps: list[Step], done: int, acknowledge: Callable[[int], None]) -> None:
    """Do the steps after the first `done`; each is acknowledged, by its number from 1 on, when it is committed."""
    for _, together in groupby(list(enumerate(steps))[done:], key=lambda pair: pair[1].run):
        with store.writing() as writer:
            for n, step in together:
                step.act(writer)
                writer.commit()
                acknowledge(n + 1)


def open_store(path: Path) -> LocalStore:
    return LocalStore(path, approximate_from=CODES_FROM, sizes=SIZES)


def queries(state: State) -> Iterator[str]:
    """A line of three documents, which only it has: the oldest's, the longest's, the newest's."""
    bodies = list(state.documents.values())
    for body in {bodies[0]: 0, max(bodies, key=len): 0, bodies[-1]: 0}:
        yield body.split("\n")[0]
