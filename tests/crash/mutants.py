"""Stores with one rule broken each. What guards nothing finds nothing: the harness must find every one of these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from crash.forks import Report
from crash.life import CODES_FROM, SIZES, open_store
from crash.power import power
from crash.shim import Flag, Shim
from ragkit.store.compaction import by_model
from ragkit.store.local import LocalStore
from ragkit.store.segments import VectorBlock, map_segment, sync_folder, write_segment
from ragkit.store.writer import Writer

_PER_CALL = 12


class SyncsLess(Writer):
    """Commits without waiting for the disk, as SQLite's synchronous=NORMAL does."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._catalog._db.execute("PRAGMA synchronous=NORMAL")


class NamesFirst(Writer):
    """Commits the name of a segment, and writes the segment afterwards."""

    def _store_pending(self) -> None:
        before = set(self._vectors.iterdir())
        super()._store_pending()
        self._late = {path: path.read_bytes() for path in set(self._vectors.iterdir()) - before}
        for path in self._late:
            path.unlink()

    def commit(self) -> None:
        self._late: dict[Path, bytes] = {}
        super().commit()
        for path, data in self._late.items():
            path.write_bytes(data)
        sync_folder(self._vectors)


class UnlinksFirst(Writer):
    """Merges the segments of a model in closing, and deletes the old ones before the commit that forgets them."""

    def close(self) -> None:
        self.commit()
        spans = self._catalog.spans()
        infos = {info.first: info for info in self._catalog.vectors.segments()}
        blocks = [map_segment(self._vectors, info) for info in infos.values()]
        copies = [VectorBlock(np.array(block.ids), np.array(block.rows)) for block in blocks]
        for run in by_model(copies, spans):
            old = [infos[int(block.ids[0])] for block in run]
            for info in old:
                (self._vectors / info.name).unlink()
            self._catalog.begin()
            self._catalog.vectors.remove_segments(info.name for info in old)
            self._catalog.vectors.add_segment(write_segment(self._vectors, run))
            self._catalog.commit()
        super().close()


def _with(writer: type[Writer]) -> Callable[[Path], LocalStore]:
    class Broken(LocalStore):
        def _writer(self, path: Path, **how: Any) -> Writer:
            return writer(path, approximate_from=CODES_FROM, sizes=SIZES, **how)

    return lambda path: Broken(path, approximate_from=CODES_FROM, sizes=SIZES)


MUTANTS: dict[str, tuple[Callable[[Path], LocalStore], Flag]] = {
    "no file is synced": (open_store, Flag.NO_FILE_SYNC),
    "no folder is synced": (open_store, Flag.NO_FOLDER_SYNC),
    "names before data": (_with(NamesFirst), Flag.NONE),
    "synchronous=NORMAL": (_with(SyncsLess), Flag.NONE),
    "unlink before commit": (_with(UnlinksFirst), Flag.NONE),
}


def mutants(shim: Shim, *, seed: int, jobs: int) -> Report:
    """Run each until it is found out; one that is not is a fault of the harness."""
    report = Report()
    for name, (store, flags) in MUTANTS.items():
        found = power(shim, per_call=_PER_CALL, seed=seed, jobs=jobs, store=store, flags=flags, stop=True)
        report.counts["mutants"] += 1
        report.counts["states"] += found.counts["states"]
        report.counts[f"found: {name}"] += bool(found.faults)
        if not found.faults:
            report.fault(f"nothing was seen of this: {name}")
    return report
