"""Making codes, and keeping them in step with the segments: after a commit, as little anew as possible.

New segments get a part of their own; parts are merged as they become many, which copies codes and makes none. All of
it is made again only when the index has outgrown its lists. Nothing here is needed for a right answer.
"""

from __future__ import annotations

import _thread
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from ragkit.errors import StoreError
from ragkit.store.clustering import centroids
from ragkit.store.codes import (
    MOVED,
    About,
    BoolVector,
    Codes,
    CodesUnusable,
    Lists,
    Part,
    Stretch,
    by_list,
    map_part,
    read_about,
    write_about,
    write_part,
)
from ragkit.store.segments import HalfMatrix, SegmentInfo, VectorBlock, map_segment, wide
from ragkit.store.vectors import float_rows
from ragkit.types import FloatMatrix, IntVector

if TYPE_CHECKING:
    from ragkit.store.ann import CodeMatrix, Coder

# Lists, times the rows to this power: with more to assign rows takes longest, with fewer to search them. A collection
# has more topics as it grows, and of fewer lists than there are clusters many are searched: of 1 000 000 rows in 5000
# clusters 120 000 codes with 4000 lists, 4000 with 6000. Of 100 000 rows 1900 lists took a sixth longer than 1300.
_LISTS, _GROWING = 0.6, 2 / 3
_OUTGROWN = 2  # times the rows that lists were made for
_SAMPLED = 8192  # rows, for the centre
_PROBES = 256  # questions of each kind that recall is measured with: one that loses all ten does not slow the others
_TRAINED_ON = 16  # rows for each list
_AT_ONCE = 2048  # rows: 8 MB of float32 at 1024 dimensions
_AGAIN = 1.5  # times the rows at which recall is measured again
_LEAST_NEW = 1024  # rows without codes, or a hundredth of the index: so many are searched exactly in .2 ms
# Shares of the nearest of the probes, and times the margin that reaches these: a question that is led astray a little
# farther loses all ten at once. The largest of all margins is chance, from .16 to .28 in one index; what reaches .99
# is not, and 1.75 times that reaches .998 of a million.
_REACHED = ((0.99, 1.75), (1.0, 1.3))
_CHANCE = 0x6661725F  # no seed that others begin with: 1 gave the very directions around which invented vectors lay
_SPARE = 0.005  # recall is to be above what is asked for: other queries than the probes find a little less
_FARTHEST = 2.0  # no list is less near than the nearest by more, of vectors of length 1
_RESCORED = (200, 400, 800, 1600)  # candidates whose cosines are taken: as many as it takes


Segment: TypeAlias = tuple[str, int]  # name and checksum


class Stopped(Exception):
    """The caller no longer wants the codes."""


def update_codes(
    folder: Path,
    identity: str,
    segments: Sequence[SegmentInfo],
    *,
    are_wanted: bool,
    least_recall: float,
    rewritten: Mapping[Segment, Sequence[Segment]] = MappingProxyType({}),
    go_on: Callable[[], bool] = lambda: True,
) -> None:
    """Bring the codes of the index in `folder` to its segments; delete them if none are wanted, or a recall of 1 is.

    `rewritten` names segments that hold the rows of others, all of them, whose codes are theirs. Raises Stopped where
    `go_on` says so: what was there before is there still.
    """
    rows = sum(info.rows for info in segments)
    if not segments or not are_wanted or least_recall >= 1:
        shutil.rmtree(folder / "ann", ignore_errors=True)
        return
    from ragkit.store.ann import Coder

    try:
        about, centre, centroids = read_about(folder, identity)
        kept = [(part, map_part(folder, part, *about.shape)) for part in about.parts]
        if about.dimension != segments[0].dimension or rows > _OUTGROWN * (about.lists / _LISTS) ** (1 / _GROWING):
            raise CodesUnusable("the index has outgrown them")
    except CodesUnusable:
        _build(folder, identity, segments, least_recall, go_on)
        return
    covered = set(about.segments)
    for name, before in rewritten.items():
        if covered.issuperset(before):
            covered.difference_update(before)
            covered.add(name)
    gone = covered - {info.key for info in segments}
    new = [info for info in segments if info.key not in covered]
    waiting = sum(info.rows for info in new)
    if not gone and waiting < max(_LEAST_NEW, rows // 100):
        new = []
        if covered == about.segments:
            return
    coding = _Coding(folder, Coder(centre), Lists(centroids), go_on)
    parts = [part for part, _ in kept]
    if gone or new:
        living = [info for info in segments if info.key in covered]
        parts = list(filter(None, (coding.only(living, part, stretch) for part, stretch in kept)))
        parts = coding.merged([*parts, *coding.encode(new)])
    segments_now = frozenset((covered - gone).union(info.key for info in new))
    about = replace(about, parts=tuple(parts), segments=segments_now)
    if rows > _AGAIN * about.measured:
        about = coding.measured(about, segments, least_recall)
    write_about(folder, about, centre, centroids)


def _build(
    folder: Path, identity: str, segments: Sequence[SegmentInfo], least_recall: float, go_on: Callable[[], bool]
) -> None:
    """Make codes of all segments, and measure what they find."""
    from ragkit.store.ann import Coder

    rows = sum(info.rows for info in segments)
    blocks = [map_segment(folder / "vectors", info) for info in segments]
    sample, _ = _spread(blocks, _SAMPLED)
    centre = sample.mean(axis=0, dtype=np.float32)
    lists = min(rows, int(_LISTS * rows**_GROWING))
    centroids = _trained(folder, blocks, lists, go_on)
    coding = _Coding(folder, Coder(centre), Lists(centroids), go_on)
    parts = tuple(coding.encode(segments))
    about = About(identity, len(centre), lists, 0.0, 1, 0.0, 0, frozenset(info.key for info in segments), parts)
    write_about(folder, coding.measured(about, segments, least_recall), centre, centroids)


def _trained(folder: Path, blocks: Sequence[VectorBlock], lists: int, go_on: Callable[[], bool]) -> FloatMatrix:
    """The centres of so many lists, in half precision, from rows spread over the blocks.

    These are copied to a file, for they may be many.
    """
    step = max(1, sum(len(block.ids) for block in blocks) // (_TRAINED_ON * lists))
    (folder / "ann").mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder / "ann") as file:
        for i, block in enumerate(blocks):
            file.write(block.rows[i % step :: step].tobytes())
        file.flush()
        rows = cast("HalfMatrix", np.memmap(file, "<f2", mode="r").reshape(-1, blocks[0].rows.shape[1]))
        sample = VectorBlock(np.arange(len(rows)), rows)
        first = wide(rows[np.arange(lists) * len(rows) // lists])
        found = centroids(first, lambda: _watched(float_rows(sample, _AT_ONCE), go_on))
        return wide(cast("HalfMatrix", found.astype("<f2")))


@dataclass(frozen=True, slots=True)
class _Coding:
    folder: Path
    coder: Coder
    lists: Lists
    go_on: Callable[[], bool]

    def encode(self, segments: Sequence[SegmentInfo]) -> list[Part]:
        """The codes of whole segments, as one part."""
        parts = [self._written([stretch]) for stretch in self._encoded(segments)]
        return [self._join(parts)] if len(parts) > 1 else parts

    def _encoded(self, segments: Sequence[SegmentInfo]) -> Iterator[Stretch]:
        """Their codes by list, as many at a time as are written."""
        held: list[tuple[IntVector, IntVector, CodeMatrix]] = []
        rows = 0
        for block in (map_segment(self.folder / "vectors", info) for info in segments):
            at = 0
            for vectors in _watched(float_rows(block, _AT_ONCE), self.go_on):
                ids = block.ids[at : at + len(vectors)]
                held.append((self.lists.nearest(vectors), ids, self.coder.encode(vectors)))
                at, rows = at + len(vectors), rows + len(vectors)
                if rows >= MOVED:
                    yield self._by_list(held)
                    held, rows = [], 0
        if held:
            yield self._by_list(held)

    def _by_list(self, held: Sequence[tuple[IntVector, IntVector, CodeMatrix]]) -> Stretch:
        assigned, ids, codes = (np.concatenate(column) for column in zip(*held, strict=True))
        return by_list(assigned, ids, cast("CodeMatrix", codes), len(self.lists.centroids))

    def only(self, living: Sequence[SegmentInfo], part: Part, stretch: Stretch) -> Part | None:
        """The part without rows of other segments than these; None where it has no other."""
        firsts = np.array([info.first for info in living], np.int64)
        lasts = np.array([-1, *(info.last for info in living)], np.int64)

        def alive(ids: IntVector) -> BoolVector:
            return cast("BoolVector", ids <= lasts[np.searchsorted(firsts, ids, side="right")])

        whole = all(alive(stretch.ids[low : low + MOVED]).all() for low in range(0, part.rows, MOVED))
        return part if whole else write_part(self.folder, [stretch], alive)

    def merged(self, parts: Sequence[Part]) -> list[Part]:
        """The parts, each at least twice as long as the next: so there are few, and a row is copied seldom."""
        kept: list[Part] = []
        for part in sorted(parts, key=lambda part: -part.rows):
            kept.append(part)
            while len(kept) > 1 and kept[-2].rows < 2 * kept[-1].rows:
                pair = kept[-2:]
                kept[-2:] = [self._join(pair)]
        return kept

    def measured(self, about: About, segments: Sequence[SegmentInfo], least_recall: float) -> About:
        """With the least effort that finds enough on the index's own vectors, or the greatest there is."""
        blocks = [map_segment(self.folder / "vectors", info) for info in segments]
        kinds, own = _queries(blocks)
        queries = cast("FloatMatrix", np.concatenate(kinds))
        between, far = len(kinds[0]), len(kinds[0]) + len(kinds[1])  # where the second and the third kind begin
        nearest = self._nearest(blocks, queries, own)
        stretches = tuple(map(self._mapped, about.parts))
        about = replace(about, measured=sum(part.rows for part in about.parts))
        # Questions that are far from all count in what is found, and choose no margin: half of each is chance.
        gaps = self._gaps(stretches, queries[:far], nearest[:, :far])
        enough = min(1.0, least_recall + _SPARE)
        for margin, rescored in _efforts(np.split(gaps, [between])):
            about = replace(about, margin=margin, rescored=rescored)
            codes = Codes(about, self.coder, self.lists, stretches)
            found = np.array([np.isin(nearest[:, i], codes.candidates(query, 11)) for i, query in enumerate(queries)])
            # The kind of question of which the least is found counts.
            about = replace(about, recall=float(min(kind.mean() for kind in np.split(found, [between, far]))))
            if about.recall >= enough:
                break
        return about

    def _gaps(self, stretches: Sequence[Stretch], queries: FloatMatrix, nearest: IntVector) -> FloatMatrix:
        """How much less near than the nearest list those are that hold the `nearest`, (queries, 10)."""
        wanted = np.unique(nearest)
        lists = np.full(len(wanted), -1)  # what no code covers is found without any
        for stretch in stretches:
            for low in range(0, len(stretch.ids), MOVED):
                ids = stretch.ids[low : low + MOVED]
                places = np.flatnonzero(np.isin(ids, wanted))
                of = np.searchsorted(stretch.starts, low + places, side="right") - 1
                lists[np.searchsorted(wanted, ids[places])] = of
        holding = lists[np.searchsorted(wanted, nearest.T)]  # (queries, 10)
        nearness = self.lists.nearness(queries)
        gaps = nearness.max(axis=1, keepdims=True) - np.take_along_axis(nearness, holding, axis=1)
        return cast("FloatMatrix", np.where(holding >= 0, gaps, 0))

    def _nearest(self, blocks: Sequence[VectorBlock], queries: FloatMatrix, own: IntVector) -> IntVector:
        """Ids of the ten nearest by exact search, (10, queries); a stored vector is none of its own."""
        best = np.full((0, len(queries)), -np.inf, np.float32)
        names = np.zeros((0, len(queries)), np.int64)
        for block in blocks:
            at = 0
            for rows in _watched(float_rows(block, _AT_ONCE), self.go_on):
                ids = block.ids[at : at + len(rows)]
                scores = rows @ queries.T  # (n, queries)
                for i, id in enumerate(own.tolist()):
                    scores[ids == id, i] = -np.inf
                best = np.concatenate([best, scores])
                names = np.concatenate([names, np.broadcast_to(ids[:, None], scores.shape)])
                top = np.argpartition(-best, min(10, len(best)) - 1, axis=0)[:10]
                best, names = np.take_along_axis(best, top, 0), np.take_along_axis(names, top, 0)
                at += len(rows)
        return cast("IntVector", names)

    def _join(self, parts: Sequence[Part]) -> Part:
        return self._written([self._mapped(part) for part in parts])

    def _mapped(self, part: Part) -> Stretch:
        return map_part(self.folder, part, *self.lists.centroids.shape)

    def _written(self, stretches: Sequence[Stretch]) -> Part:
        part = write_part(self.folder, stretches)
        assert part is not None  # noqa: S101 - for the type checker: they hold rows
        return part


def _efforts(gaps: Sequence[FloatMatrix]) -> Iterator[tuple[float, int]]:
    """Margins and numbers of candidates, from cheap to dear; the first margin reaches nearly all of the nearest."""
    margins = [
        beyond * max(float(np.quantile(kind, share, method="higher")) for kind in gaps) for share, beyond in _REACHED
    ]
    for margin in (*margins, _FARTHEST):
        yield from ((margin, rescored) for rescored in _RESCORED)


def _queries(blocks: Sequence[VectorBlock]) -> tuple[list[FloatMatrix], IntVector]:
    """Three kinds of questions: stored vectors, whose ids come second; between two of them; and far from all.

    A question that is put in other words, or in another language, is as near to its passage as the last: beside what
    all vectors of a model share, its cosine with a stored one is a half, and the rest of it is chance.
    """
    rows, ids = _spread(blocks, 3 * _PROBES)
    n = len(rows) // 3
    own, others, more = rows[:n], rows[n : 2 * n], rows[2 * n : 3 * n]
    shared = rows.mean(axis=0)
    apart = more - shared
    chance = _unit(np.random.default_rng(_CHANCE).standard_normal(more.shape, np.float32))
    chance *= np.linalg.norm(apart, axis=1, keepdims=True)
    return [own, _unit(0.75 * others + 0.25 * more), _unit(shared + 0.5 * apart + 0.75**0.5 * chance)], ids[:n]


def _unit(rows: FloatMatrix) -> FloatMatrix:
    return cast("FloatMatrix", rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))


def _spread(blocks: Sequence[VectorBlock], wanted: int) -> tuple[FloatMatrix, IntVector]:
    """Rows spread evenly over the blocks, (about `wanted`, d), and their ids; the same ones every time."""
    step = max(1, sum(len(block.ids) for block in blocks) // wanted)
    taken = [slice(i % step, None, step) for i in range(len(blocks))]
    rows = [wide(block.rows[part]) for block, part in zip(blocks, taken, strict=True)]
    ids = [block.ids[part] for block, part in zip(blocks, taken, strict=True)]
    return cast("FloatMatrix", np.concatenate(rows)), np.concatenate(ids)


def _watched(pieces: Iterator[FloatMatrix], go_on: Callable[[], bool]) -> Iterator[FloatMatrix]:
    """The pieces, until they are no longer wanted: then Stopped is raised."""
    for piece in pieces:
        if not go_on():
            raise Stopped
        yield piece


class Background:
    """Codes that are made while the run that commits goes on: what they are made from does not change."""

    def __init__(self, update: Callable[[Callable[[], bool]], None]) -> None:
        self._update = update
        self._wanted = True
        self._done = _thread.allocate_lock()
        self._done.acquire()
        # A Thread waits for its start in a way that an interrupt can break; nobody needs its name.
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        try:
            with suppress(
                Stopped, OSError, StoreError
            ):  # the end of the run makes what is missing, and tells what is wrong
                self._update(lambda: self._wanted)
        finally:
            self._done.release()

    @property
    def running(self) -> bool:
        return self._done.locked()

    def end(self, *, wanted: bool) -> None:
        """Wait for it: for all of the codes, or until it has noticed that they are not `wanted`."""
        self._wanted = wanted
        with self._done:
            pass
