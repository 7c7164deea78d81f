"""All vectors of one snapshot: the nearest to a query, exactly or by way of codes, and cosines by id.

Few rows are multiplied here, by numpy; only where there are many is faiss imported, which looks at half-precision
rows where they lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from ragkit.errors import IndexCorrupt
from ragkit.store.segments import CURE, HalfMatrix, VectorBlock, wide
from ragkit.types import FloatMatrix, FloatVector, IntVector

if TYPE_CHECKING:
    from ragkit.store.codes import Codes

# Up to so many rows are kept as float32 once they were asked for: 64 MB at 1024 dimensions, and 4 ms a query. To make
# them takes 20 ms, to import faiss 35. Of a filter so many are kept as they are, and scored in a third of the time.
_WHOLE = 16_384
_MULTIPLIED = 4096  # rows of a filter up to which numpy multiplies them; above, faiss does, and where it is there
_SPARSE = 16  # one row in so many, or fewer, are taken out of all; of more each row is asked whether it is wanted
_LONGEST = 1.01  # a cosine that rounding to half precision makes of 1 is less; that of a damaged row may be anything
_AT_ONCE = 256  # rows converted, or taken out, at a time: 1 MB of float32 stays in the processor's cache


class VectorSet:
    """Search over blocks; those that `codes` cover are found by codes, the others exactly.

    Every cosine is of the query with the stored row, whichever way the row was found.
    """

    def __init__(self, blocks: Iterable[VectorBlock], codes: Codes | None = None, coded: Sequence[VectorBlock] = ()):
        self._exact = list(blocks)
        self._coded = list(coded)
        self._codes = codes
        self._whole: FloatMatrix | None = None
        self._last: tuple[IntVector | None, VectorBlock | None] = None, None  # ids of a filter, and its rows

    def __len__(self) -> int:
        return _rows(self._exact) + _rows(self._coded)

    def top(self, query: FloatVector, n: int, within: IntVector | None = None) -> list[tuple[int, float]]:
        """The `n` best (id, cosine), best first; ties in order of id.

        `within` is ascending, without doubles, and restricts exactly: all n are in it, where it has so many, and each
        of its rows is compared. Codes are of no use there: near ones that a filter leaves lie in lists that are far.
        """
        if within is not None:
            ids, scores = self._among(query, n, within)
        elif self._codes is None:
            ids, scores = self._near(query, n)
        else:
            near = _scan(_taken(self._coded, self._codes.candidates(query, n)), query, n, None)
            rest = self._near(query, n)
            ids, scores = np.concatenate([near[0], rest[0]]), np.concatenate([near[1], rest[1]])
        if n < len(scores):
            best = np.argpartition(-scores, n - 1)[:n]
            ids, scores = ids[best], scores[best]
        order = np.lexsort((ids, -scores))[:n]
        ids, scores = ids[order], scores[order]
        return list(zip(ids.tolist(), _cosines(ids, scores), strict=True))

    def rows(self, ids: IntVector) -> FloatMatrix:
        """The vectors themselves, (n, d), row i for id i. `ids` is ascending, without doubles.

        Raises IndexCorrupt where one is not here.
        """
        found = [(piece.ids, wide(piece.rows)) for piece in _taken(self._blocks(), ids)]
        have = np.concatenate([np.empty(0, np.int64), *(names for names, _ in found)])
        if len(have) < len(ids):
            lost = np.setdiff1d(ids, have)
            raise IndexCorrupt(f"the vector {int(lost[0])} is in no segment", CURE)
        stacked = np.concatenate([rows for _, rows in found]) if found else np.empty((0, 0), np.float32)
        return cast("FloatMatrix", stacked[np.argsort(have)])

    def scores(self, query: FloatVector, ids: IntVector) -> dict[int, float]:
        """The cosine of each given vector that is here. `ids` is ascending."""
        found, scores = _scores(_taken(self._blocks(), ids), query)
        return dict(zip(found.tolist(), _cosines(found, scores), strict=True))

    def _blocks(self) -> list[VectorBlock]:
        return self._coded + self._exact

    def _among(self, query: FloatVector, n: int, within: IntVector) -> tuple[IntVector, FloatVector]:
        multiplied = self._codes is None and len(within) <= _MULTIPLIED
        if not multiplied and len(within) > _WHOLE and _SPARSE * len(within) > len(self):
            return _scan(self._blocks(), query, n, within)
        rows = self._rows_of(within)
        return _scores(rows, query) if multiplied else _scan(rows, query, n, None)

    def _rows_of(self, within: IntVector) -> Iterable[VectorBlock]:
        """The rows of a filter. Of one that is asked for again, as long as it is the last, they are kept together."""
        last, kept = self._last
        taken = _taken(self._blocks(), within)
        if last is not within:
            kept = None
        elif kept is None and len(within) <= _WHOLE and (pieces := [(each.ids, each.rows.copy()) for each in taken]):
            ids, rows = (np.concatenate(column) for column in zip(*pieces, strict=True))
            kept = VectorBlock(ids, cast("HalfMatrix", rows))
        self._last = within, kept
        return [kept] if kept else taken

    def _near(self, query: FloatVector, n: int) -> tuple[IntVector, FloatVector]:
        """Of the blocks that no codes cover."""
        rows = _rows(self._exact)
        if rows > _WHOLE:
            return _scan(self._exact, query, n, None)
        if not rows:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if self._whole is None:
            self._whole = cast("FloatMatrix", np.concatenate([wide(block.rows) for block in self._exact]))
        return np.concatenate([block.ids for block in self._exact]), cast("FloatVector", self._whole @ query)


def float_rows(block: VectorBlock, at_once: int) -> Iterator[FloatMatrix]:
    """The rows as float32, in order, (at most `at_once`, d) at a time."""
    for low in range(0, len(block.ids), at_once):
        yield wide(block.rows[low : low + at_once])


def _scan(
    blocks: Iterable[VectorBlock], query: FloatVector, n: int, within: IntVector | None
) -> tuple[IntVector, FloatVector]:
    from ragkit.store.ann import nearest_rows  # small indexes need no faiss

    return nearest_rows(blocks, query, n, within)


def _scores(blocks: Iterable[VectorBlock], query: FloatVector) -> tuple[IntVector, FloatVector]:
    """Ids and cosines, (m,) each, of all rows."""
    found: list[IntVector] = [np.empty(0, np.int64)]
    scores: list[FloatVector] = [np.empty(0, np.float32)]
    for block in blocks:
        found.append(block.ids)
        scores += [cast("FloatVector", rows @ query) for rows in float_rows(block, _AT_ONCE)]  # (m, d) @ (d,) -> (m,)
    return np.concatenate(found), np.concatenate(scores)


def _cosines(ids: IntVector, scores: FloatVector) -> list[float]:
    """At most 1: rounded rows can be a little longer. Raises IndexCorrupt for what no row that was written gives."""
    wrong = ~(np.abs(scores) <= _LONGEST)  # so that it is true of what is no number
    if wrong.any():
        raise IndexCorrupt(f"the vector {int(ids[wrong][0])} is damaged", CURE)
    return cast("list[float]", np.minimum(scores, 1.0).tolist())


def _taken(blocks: Sequence[VectorBlock], ids: IntVector) -> Iterator[VectorBlock]:
    """The rows whose ids are among `ids`, ascending, some at a time: the next ones take their place in memory.

    New memory for each would take as long as the copying.
    """
    if not blocks:
        return
    kept = np.empty((min(_AT_ONCE, len(ids)), blocks[0].rows.shape[1]), np.float16)
    for block in blocks:
        here, places = _places(block, ids)
        for low in range(0, len(places), _AT_ONCE):
            piece = places[low : low + _AT_ONCE]
            rows = block.rows.take(piece, axis=0, out=kept[: len(piece)], mode="clip")  # "raise" would copy twice
            yield VectorBlock(here[low : low + _AT_ONCE], cast("HalfMatrix", rows))


def _places(block: VectorBlock, ids: IntVector) -> tuple[IntVector, IntVector]:
    """Which of the ascending `ids` are in the block, and at which rows."""
    first, last = int(block.ids[0]), int(block.ids[-1])
    low, high = np.searchsorted(ids, (first, last + 1))
    wanted = ids[low:high]
    # Mostly no id is left out. To search for 10 000 of a million takes a millisecond.
    places = wanted - first if last - first + 1 == len(block.ids) else np.searchsorted(block.ids, wanted)
    here = block.ids[places] == wanted
    return wanted[here], places[here]


def _rows(blocks: Sequence[VectorBlock]) -> int:
    return sum(len(block.ids) for block in blocks)
