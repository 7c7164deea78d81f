"""Rewriting vectors: sealing the tail, merging small segments, dropping what nothing needs any more.

All of it is one act: write a new segment and sync it, then one transaction swaps the names, then unlink.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ragkit.store.catalog import Catalog
from ragkit.store.catalog.models import Spans
from ragkit.store.segments import SegmentInfo, VectorBlock, map_segment, read_segment, tail_block, write_segment
from ragkit.store.sizes import Sizes
from ragkit.types import IntVector

Rewritten: TypeAlias = dict[tuple[str, int], list[tuple[str, int]]]  # name and checksum of a segment: those of others


def seal(catalog: Catalog, folder: Path, more: Sequence[VectorBlock] = ()) -> None:
    """Make the tail, and `more` rows after it, one segment, or one for each model. The caller commits."""
    spans = catalog.spans()
    tail = (tail_block(*batch, spans.of(batch[0]).dimension) for batch in catalog.vectors.tail())
    for blocks in by_model([*tail, *more], spans):
        catalog.vectors.add_segment(write_segment(folder, blocks))
    catalog.vectors.clear_tail()


def by_model(blocks: Sequence[VectorBlock], spans: Spans) -> list[list[VectorBlock]]:
    """The blocks in runs of one model each, in order: rows of two models never stand in one segment or batch."""
    return [list(run) for _, run in groupby(blocks, key=lambda block: spans.place(int(block.ids[0])))]


def compact(catalog: Catalog, folder: Path, sizes: Sizes) -> Rewritten:
    """Delete versions of documents that are gone, and vectors unused for longest; merge small segments.

    The word index must have caught up: readers look at the catalog as of its generation. Gives the new segments that
    hold all rows of others, with those others.
    """
    catalog.begin()
    purged = catalog.documents.purge(catalog.generation())
    unused = catalog.vectors.most_unused()
    catalog.commit()
    given_up = catalog.meta().get("given_up", "")
    drop = np.empty(0, np.int64)
    if given_up or (purged and _may_drop(catalog, unused, sizes)):
        drop = _droppable(catalog, given_up, sizes)
    if len(drop):
        catalog.begin()
        seal(catalog, folder)
        catalog.commit()
    rewritten: Rewritten = {}
    for group in _groups(catalog.vectors.segments(), drop, catalog.spans(), sizes):
        new = _rewrite(catalog, folder, group, drop)
        if new and new.rows == sum(info.rows for info in group):
            rewritten[new.key] = [info.key for info in group]
    if given_up:
        catalog.begin()
        catalog.remove_meta("given_up")
        catalog.commit()
    if purged or len(drop) or catalog.free_space() > sizes.free:
        catalog.release_space()
    return rewritten


def _may_drop(catalog: Catalog, unused: int, sizes: Sizes) -> bool:
    """Whether so many unused vectors, or fewer, can be too many: else nobody need look at every vector."""
    segments = catalog.vectors.segments()
    keep = max(sizes.kept_unused, sum(info.rows for info in segments) + catalog.vectors.tail_rows() - unused)
    return unused - keep > keep // 4


def _droppable(catalog: Catalog, given_up: str, sizes: Sizes) -> IntVector:
    """The vectors to drop, ascending: those of a move that was `given_up`, and the oldest unused ones of too many.

    Those that wait for their use are none of them: of a model that the index is being moved to, and from the first
    on that a run stored which did not come to its end.
    """
    meta, spans = catalog.meta(), catalog.spans()
    to, unfinished = meta.get("moving_to"), int(meta.get("unfinished", 1 << 62))
    catalog.begin()
    unused = catalog.vectors.unused()
    catalog.vectors.note_unused(len(unused))
    catalog.commit()
    keep = max(sizes.kept_unused, catalog.vectors.count() - len(unused))
    drop = {id for id in unused if given_up not in ("", to) and spans.of(id).model == given_up}
    unused = [id for id in unused if id < unfinished and id not in drop and not (to and spans.of(id).model == to)]
    excess = len(unused) - keep
    # Not at every excess of one: rewriting is worth it when a quarter of the kept ones has come together.
    return np.array(sorted(drop.union(unused[: excess + keep // 2] if excess > keep // 4 else [])), dtype=np.int64)


def _groups(segments: Sequence[SegmentInfo], drop: IntVector, spans: Spans, sizes: Sizes) -> list[list[SegmentInfo]]:
    """Runs of neighbouring segments to rewrite as one: those that lose rows, and small ones when there are many.

    Neighbours are of one model.
    """
    merge = sum(info.rows < sizes.small for info in segments) > sizes.most_small
    groups: list[list[SegmentInfo]] = []
    rows = 0
    for info in segments:
        low, high = np.searchsorted(drop, (info.first, info.last + 1))
        if low == high and not (merge and info.rows < sizes.small):
            rows = sizes.small  # what follows is no neighbour
            continue
        other = groups and spans.place(groups[-1][-1].first) != spans.place(info.first)
        if not groups or other or rows + info.rows > sizes.small:
            groups.append([])
            rows = 0
        groups[-1].append(info)
        rows += info.rows
    return [group for group in groups if len(group) > 1 or len(drop)]


def _rewrite(catalog: Catalog, folder: Path, group: Sequence[SegmentInfo], drop: IntVector) -> SegmentInfo | None:
    """The one segment that takes the place of the group; None where nothing is left of it, or it is damaged."""
    blocks = []
    for info in group:
        reading = read_segment(folder, info)
        if reading.damaged or reading.faults:  # written again it would have a right checksum, and never be found
            return None
        block = map_segment(folder, info)
        keep = ~np.isin(block.ids, drop)
        blocks.append(block if keep.all() else VectorBlock(block.ids[keep], block.rows[keep]))
    kept = [block for block in blocks if len(block.ids)]
    new = write_segment(folder, kept) if kept else None
    catalog.begin()
    if new:
        catalog.vectors.add_segment(new)
    catalog.vectors.remove_segments(info.name for info in group)
    low, high = np.searchsorted(drop, (group[0].first, group[-1].last + 1))
    catalog.vectors.remove(drop[low:high].tolist())
    catalog.commit()
    for info in group:
        (folder / info.name).unlink()
    return new
