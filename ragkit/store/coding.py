"""Making codes, and keeping them in step with the segments: after a commit, as little anew as possible.

New segments get a part of their own; parts are merged as they become many, which copies codes and makes none. All of
it is made again only when the index has outgrown its lists. Nothing here is needed for a right answer.
"""

from __future__ import annotations

import _thread
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from ragkit.errors import StoreError
from ragkit.store.codes import (
    About,
    Codes,
    CodesUnusable,
    Lists,
    Part,
    Stretch,
    map_part,
    read_about,
    write_about,
    write_part,
)
from ragkit.store.segments import SegmentInfo, VectorBlock, map_segment, wide
from ragkit.store.vectors import float_rows
from ragkit.types import FloatMatrix, IntVector

if TYPE_CHECKING:
    from ragkit.store.ann import CodeMatrix, Coder

_LISTED = 65_536  # rows from which lists are worth their search; below, every code is looked at, in a millisecond
_LISTS = 6  # times the square root of the rows: with more to assign rows takes longest, with fewer to search them
_OUTGROWN = 2  # times the rows that lists were made for; of fewer lists than there are clusters many are searched
_SAMPLED = 8192  # rows, for the centre
_PROBES = 512  # queries that recall is measured with: one that loses all ten does not make the others slow
_AT_ONCE = 8192  # rows: 32 MB of float32 at 1024 dimensions
_AGAIN = 1.5  # times the rows at which recall is measured again
_LEAST_NEW = 4096  # rows without codes, or a hundredth of the index: so many are searched exactly in a millisecond
# Shares of the nearest of the probes, and times the margin that reaches these: a question that is led astray a little
# farther loses all ten at once. The largest of all margins is chance, from .16 to .28 in one index; what reaches .99
# is not, and 1.75 times that reaches .998 of a million.
_REACHED = ((0.99, 1.75), (1.0, 1.3))
_SPARE = 0.005  # recall is to be above what is asked for: other queries than the probes find a little less
_FARTHEST = 2.0  # no list is less near than the nearest by more, of vectors of length 1
_RESCORED = (400, 800, 1600)  # candidates whose cosines are taken: as many as it takes


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
        if about.dimension != segments[0].dimension or rows > _OUTGROWN * max(_LISTED, (about.lists / _LISTS) ** 2):
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
    from ragkit.store.ann import TRAINED_ON, Coder
    from ragkit.store.ann import centroids as trained

    rows = sum(info.rows for info in segments)
    blocks = [map_segment(folder / "vectors", info) for info in segments]
    sample = _sample(blocks, _SAMPLED)
    centre = sample.mean(axis=0, dtype=np.float32)
    lists = int(_LISTS * rows**0.5) if rows >= _LISTED else 1
    centroids = trained(_sample(blocks, TRAINED_ON * lists), lists) if lists > 1 else centre[None, :]
    coding = _Coding(folder, Coder(centre), Lists(centroids), go_on)
    parts = tuple(coding.encode(segments))
    about = About(identity, len(centre), lists, 0.0, 1, 0.0, 0, frozenset(info.key for info in segments), parts)
    write_about(folder, coding.measured(about, segments, least_recall), centre, centroids)


@dataclass(frozen=True, slots=True)
class _Coding:
    folder: Path
    coder: Coder
    lists: Lists
    go_on: Callable[[], bool]

    def encode(self, segments: Sequence[SegmentInfo]) -> list[Part]:
        """The codes of whole segments, as one part."""
        from ragkit.store.ann import code_bytes

        if not segments:
            return []
        rows = sum(info.rows for info in segments)
        ids, assigned = np.empty(rows, np.int64), np.empty(rows, np.int64)
        codes = cast("CodeMatrix", np.empty((rows, code_bytes(segments[0].dimension)), np.uint8))
        at = 0
        for block in (map_segment(self.folder / "vectors", info) for info in segments):
            ids[at : at + len(block.ids)] = block.ids
            for vectors in self._watched(float_rows(block, _AT_ONCE)):
                here = slice(at, at + len(vectors))
                codes[here] = self.coder.encode(vectors)
                assigned[here] = self.lists.nearest(vectors)
                at += len(vectors)
        return [self._written(assigned, ids, codes)]

    def only(self, living: Sequence[SegmentInfo], part: Part, stretch: Stretch) -> Part | None:
        """The part without rows of other segments than these; None where it has no other."""
        firsts = np.array([info.first for info in living], np.int64)
        lasts = np.array([info.last for info in living], np.int64)
        span = np.searchsorted(firsts, stretch.ids, side="right") - 1
        alive = (span >= 0) & (stretch.ids <= lasts[np.maximum(span, 0)]) if living else np.zeros(part.rows, bool)
        if alive.all():
            return part
        return (
            self._written(_assigned(stretch)[alive], stretch.ids[alive], stretch.codes[alive]) if alive.any() else None
        )

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
        queries, own = _queries(blocks)
        nearest = self._nearest(blocks, queries, own)
        stretches = tuple(map(self._mapped, about.parts))
        about = replace(about, measured=sum(part.rows for part in about.parts))
        gaps = self._gaps(stretches, queries, nearest)
        enough = min(1.0, least_recall + _SPARE)
        for margin, rescored in _efforts(gaps, len(own)):
            about = replace(about, margin=margin, rescored=rescored)
            codes = Codes(about, self.coder, self.lists, stretches)
            found = np.array([np.isin(nearest[:, i], codes.candidates(query, 11)) for i, query in enumerate(queries)])
            # A question is near one passage, or near one and towards another: the worse of the two counts.
            about = replace(about, recall=float(min(found[: len(own)].mean(), found[len(own) :].mean())))
            if about.recall >= enough:
                break
        return about

    def _gaps(self, stretches: Sequence[Stretch], queries: FloatMatrix, nearest: IntVector) -> FloatMatrix:
        """How much less near than the nearest list those are that hold the `nearest`, (queries, 10)."""
        lists = np.full(int(nearest.max()) + 1, -1)  # by id; what no code covers is found without any
        for stretch in stretches:
            places = np.flatnonzero(np.isin(stretch.ids, nearest))
            lists[stretch.ids[places]] = np.searchsorted(stretch.starts, places, side="right") - 1
        nearness = self.lists.nearness(queries)
        gaps = nearness.max(axis=1, keepdims=True) - np.take_along_axis(nearness, lists[nearest.T], axis=1)
        return cast("FloatMatrix", np.where(lists[nearest.T] >= 0, gaps, 0))

    def _nearest(self, blocks: Sequence[VectorBlock], queries: FloatMatrix, own: IntVector) -> IntVector:
        """Ids of the ten nearest by exact search, (10, queries); a stored vector is none of its own."""
        best = np.full((0, len(queries)), -np.inf, np.float32)
        names = np.zeros((0, len(queries)), np.int64)
        for block in blocks:
            at = 0
            for rows in self._watched(float_rows(block, _AT_ONCE)):
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
        stretches = [self._mapped(part) for part in parts]
        return self._written(
            np.concatenate([_assigned(stretch) for stretch in stretches]),
            np.concatenate([stretch.ids for stretch in stretches]),
            cast("CodeMatrix", np.concatenate([stretch.codes for stretch in stretches])),
        )

    def _mapped(self, part: Part) -> Stretch:
        return map_part(self.folder, part, *self.lists.centroids.shape)

    def _written(self, assigned: IntVector, ids: IntVector, codes: CodeMatrix) -> Part:
        return write_part(self.folder, len(self.lists.centroids), assigned, ids, codes)

    def _watched(self, pieces: Iterator[FloatMatrix]) -> Iterator[FloatMatrix]:
        for piece in pieces:
            if not self.go_on():
                raise Stopped
            yield piece


def _efforts(gaps: FloatMatrix, own: int) -> Iterator[tuple[float, int]]:
    """Margins and numbers of candidates, from cheap to dear; the first margin reaches nearly all of the nearest."""
    margins = [
        beyond * max(float(np.quantile(half, share, method="higher")) for half in (gaps[:own], gaps[own:]))
        for share, beyond in _REACHED
    ]
    for margin in (*margins, _FARTHEST):
        yield from ((margin, rescored) for rescored in _RESCORED)


def _assigned(stretch: Stretch) -> IntVector:
    """The list of each row of a part."""
    return cast("IntVector", np.repeat(np.arange(len(stretch.starts) - 1), np.diff(stretch.starts)))


def _queries(blocks: Sequence[VectorBlock]) -> tuple[FloatMatrix, IntVector]:
    """Half of the probes are stored vectors, whose ids come second; the others are led astray by another one."""
    rows, ids = _spread(blocks, _PROBES + _PROBES // 2)
    half = len(rows) // 3
    between = 0.75 * rows[half : 2 * half] + 0.25 * rows[2 * half : 3 * half]
    between /= np.maximum(np.linalg.norm(between, axis=1, keepdims=True), 1e-6)
    return cast("FloatMatrix", np.concatenate([rows[:half], between])), ids[:half]


def _sample(blocks: Sequence[VectorBlock], wanted: int) -> FloatMatrix:
    """Rows spread evenly over the blocks, (about `wanted`, d); the same ones every time."""
    return _spread(blocks, wanted)[0]


def _spread(blocks: Sequence[VectorBlock], wanted: int) -> tuple[FloatMatrix, IntVector]:
    step = max(1, sum(len(block.ids) for block in blocks) // wanted)
    taken = [slice(i % step, None, step) for i in range(len(blocks))]
    rows = [wide(block.rows[part]) for block, part in zip(blocks, taken, strict=True)]
    ids = [block.ids[part] for block, part in zip(blocks, taken, strict=True)]
    return cast("FloatMatrix", np.concatenate(rows)), np.concatenate(ids)


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
