"""What every engine is given: the same vectors, texts, metadata and queries, made once from a seed and kept in files.

It knows numpy and nothing else, for engines read it in interpreters of their own. The right answers are beside it,
from comparing everything with everything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

K = 10
BLOCK = 8192  # rows that are made at once: nothing here grows with their number
# A value of each field and the share of the rows that have it: 50 %, 5 %, 1 %, 0.01 %.
FIELDS = {"half": 2, "twentieth": 20, "hundredth": 100, "rare": 10_000}
WANTED = {"half": 1, "twentieth": 7, "hundredth": 7, "rare": 7}
DELETED = 42  # rows whose "hundredth" is this are deleted: 1 %
REPLACED = range(3)  # rows that change, one after another
_SYLLABLES = ("ка ло ми на ро та ве ди со пу", "ra to ne li sa do ve mi po ku")


@dataclass(frozen=True)
class About:
    """What the files hold. `rows` are built, `spare` rows after them are added later."""

    rows: int
    spare: int
    dimension: int
    queries: int
    kind: str
    seed: int


class Given:
    """The files of a folder. Rows and texts are read as they are asked for: a mapped file is no engine's memory."""

    def __init__(self, folder: Path, about: About | None = None) -> None:
        self.folder = folder
        self.about = about or About(**json.loads((folder / "about.json").read_text("utf-8")))

    @cached_property
    def vectors(self) -> Array:
        """(rows + spare, d) float32, unit rows, mapped."""
        return np.load(self.folder / "vectors.npy", mmap_mode="r")

    @cached_property
    def queries(self) -> Array:
        """(q, d) float32, unit rows."""
        return np.load(self.folder / "queries.npy")

    @cached_property
    def questions(self) -> list[str]:
        """(q,) a few words out of the text that the query's vector is near."""
        return (self.folder / "questions.txt").read_text("utf-8").splitlines()

    @cached_property
    def truth(self) -> dict[str, Array]:
        """(q, 10) ids, nearest first, by name: "all", a field, or "changed" for after the changes; -1 pads."""
        with np.load(self.folder / "truth.npz") as file:
            return dict(file)

    @cached_property
    def text_bytes(self) -> int:
        """UTF-8, of the rows that are built."""
        return int(self._offsets[self.about.rows] - self.about.rows)  # a newline each is none of the text

    def text(self, row: int) -> str:
        return self.texts(row, row + 1)[0]

    def texts(self, start: int, end: int) -> list[str]:
        first, last = int(self._offsets[start]), int(self._offsets[end])
        return os.pread(self._texts, last - first, first).decode().split("\n")[:-1]

    def batches(self, size: int, start: int = 0, end: int | None = None) -> Iterator[range]:
        """Ranges of rows."""
        end = self.about.rows if end is None else end
        for first in range(start, end, size):
            yield range(first, min(first + size, end))

    @property
    def deleted(self) -> list[int]:
        """Ids that are deleted: 1 % of the rows."""
        return [id for id in range(self.about.rows) if id % FIELDS["hundredth"] == DELETED]

    @property
    def added(self) -> range:
        """Ids that are added afterwards: 1 % more, but for those that take the place of others."""
        return range(self.about.rows, self.about.rows + self.about.spare - len(REPLACED))

    @property
    def replacements(self) -> list[tuple[int, int]]:
        """Each row that changes with the one that takes its place."""
        end = self.about.rows + self.about.spare
        return list(zip(REPLACED, range(end - len(REPLACED), end), strict=True))

    @cached_property
    def _texts(self) -> int:
        """Open as long as the process is: threads may read at once."""
        return os.open(self.folder / "texts.txt", os.O_RDONLY)

    @cached_property
    def _offsets(self) -> Array:
        return np.load(self.folder / "offsets.npy")


def metadata(id: int) -> dict[str, int]:
    """The fields of a row."""
    return {name: id % share for name, share in FIELDS.items()}


def row_of(text: str) -> int:
    """The row that a text belongs to: it begins with its number, also where a title was put before it."""
    at = text.index("№")
    return int(text[at + 1 : at + 9])


def make(
    folder: Path, *, rows: int, dimension: int, queries: int = 200, kind: str = "clustered", seed: int = 1
) -> Given:
    """The files, unless they are there already."""
    about = About(rows, max(2 * len(REPLACED), rows // 100), dimension, queries, kind, seed)
    said = folder / "about.json"
    if said.exists() and json.loads(said.read_text("utf-8")) == asdict(about):
        return Given(folder)
    folder.mkdir(parents=True, exist_ok=True)
    said.unlink(missing_ok=True)
    _write_vectors(folder, about)
    _write_texts(folder, about)
    given = Given(folder, about)
    np.savez(folder / "truth.npz", **_truth(given), allow_pickle=False)
    said.write_text(json.dumps(asdict(about)), "utf-8")  # last: what breaks off is made again
    return given


class Cloud:
    """Where vectors come from: clusters around random centres, with a spectrum that falls off, and some noise.

    "anisotropic" vectors all share one strong component besides, so that two of them have a cosine of .93 on average,
    as those of embedding services have .6 to .95.
    """

    SHARED = 0.93  # of the squared length

    def __init__(self, about: About) -> None:
        rng = np.random.default_rng([about.seed, 0])
        d = about.dimension
        self.about = about
        self.rank = min(96, d // 2)
        self.centres = _unit(rng.standard_normal((max(8, about.rows // 200), d), np.float32))
        spectrum = np.arange(1, self.rank + 1, dtype=np.float32) ** -0.5
        basis = rng.standard_normal((self.rank, d), np.float32) / np.float32(d**0.5)
        self.basis = basis * (spectrum / np.linalg.norm(spectrum))[:, None]  # (rank, d)
        self.common = _unit(rng.standard_normal((1, d), np.float32))

    def block(self, number: int, rows: int) -> Array:
        """(rows, d) float32, unit rows: those of block `number`, the same whenever they are asked for."""
        rng = np.random.default_rng([self.about.seed, 1, number])
        centres = self.centres[rng.integers(0, len(self.centres), rows)]
        return self._around(rng, centres, spread=0.8, noise=0.3)

    def near(self, rows: Array) -> Array:
        """Queries near given rows: the shared component is theirs already."""
        rng = np.random.default_rng([self.about.seed, 2])
        size = 0.35 * (1.0 if self.about.kind == "clustered" else (1 - self.SHARED) ** 0.5)
        return _unit(rows + np.float32(size) * self._wobble(rng, len(rows), noise=0.3))

    def _around(self, rng: np.random.Generator, centres: Array, *, spread: float, noise: float) -> Array:
        rows = _unit(centres + np.float32(spread) * self._wobble(rng, len(centres), noise=noise))
        if self.about.kind == "clustered":
            return rows
        rows -= rows @ self.common.T * self.common
        return _unit(np.float32(self.SHARED**0.5) * self.common + np.float32((1 - self.SHARED) ** 0.5) * _unit(rows))

    def _wobble(self, rng: np.random.Generator, rows: int, *, noise: float) -> Array:
        """(rows, d), of length about 1: directions of the falling spectrum, and noise in all of them."""
        low = rng.standard_normal((rows, self.rank), np.float32) @ self.basis
        every = rng.standard_normal((rows, self.about.dimension), np.float32) / np.float32(self.about.dimension**0.5)
        return (low + np.float32(noise) * every) / np.float32((1 + noise**2) ** 0.5)


def _unit(rows: Array) -> Array:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _write_vectors(folder: Path, about: About) -> None:
    total, cloud = about.rows + about.spare, Cloud(about)
    file = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (total, about.dimension))
    for number, start in enumerate(range(0, total, BLOCK)):
        end = min(start + BLOCK, total)
        file[start:end] = cloud.block(number, end - start)
        file.flush()
    picked = _picked(about)
    np.save(folder / "queries.npy", cloud.near(np.array(file[picked])))


def _picked(about: About) -> Array:
    """Rows that queries are made from."""
    return np.random.default_rng([about.seed, 3]).choice(about.rows, about.queries, replace=False)


def _write_texts(folder: Path, about: About) -> None:
    """300 to 800 characters each, words of both alphabets, some frequent and most rare; and questions out of them."""
    rng = np.random.default_rng([about.seed, 4])
    lengths = rng.integers(2, 6, 20_000)
    words = np.array(["".join(rng.choice(_SYLLABLES[n % 2].split(), n)) for n in lengths])
    share = 1 / np.arange(1, len(words) + 1)
    edges = np.cumsum(share / share.sum())
    offsets = [0]
    picked, found = set(_picked(about).tolist()), {}
    with (folder / "texts.txt").open("wb") as file:
        for row in range(about.rows + about.spare):
            wanted = int(rng.integers(300, 790))
            chosen = words[np.searchsorted(edges, rng.random(wanted // 5))]
            text = f"№{row:08} {' '.join(chosen)}"[:wanted].rstrip()
            if row in picked:
                found[row] = " ".join(text.split()[2:8])
            offsets.append(offsets[-1] + file.write(f"{text}\n".encode()))
    np.save(folder / "offsets.npy", np.array(offsets, np.int64))
    questions = "".join(f"{found[row]}\n" for row in _picked(about).tolist())
    (folder / "questions.txt").write_text(questions, "utf-8")


def _truth(given: Given) -> dict[str, Array]:
    """The nearest of all rows, of those that each filter leaves, and of those that are there after the changes."""
    ids = np.arange(given.about.rows + given.about.spare)
    built = ids < given.about.rows
    allowed = {"all": built}
    for field, value in WANTED.items():
        allowed[field] = built & (ids % FIELDS[field] == value)
    allowed["changed"] = ~built | ((ids % FIELDS["hundredth"] != DELETED) & ~np.isin(ids, REPLACED))
    best = {
        name: (np.full((given.about.queries, K), -2.0, np.float32), np.full((given.about.queries, K), -1))
        for name in allowed
    }
    for rows in given.batches(BLOCK, end=len(ids)):
        scores = given.queries @ given.vectors[rows.start : rows.stop].T  # (q, block)
        for name, mask in allowed.items():
            here = mask[rows.start : rows.stop]
            merged = np.concatenate([best[name][0], scores[:, here]], axis=1)
            places = np.concatenate(
                [best[name][1], np.broadcast_to(ids[rows.start : rows.stop][here], (len(scores), int(here.sum())))],
                axis=1,
            )
            order = np.argsort(-merged, axis=1, kind="stable")[:, :K]
            best[name] = np.take_along_axis(merged, order, 1), np.take_along_axis(places, order, 1)
    return {name: found for name, (_, found) in best.items()}
