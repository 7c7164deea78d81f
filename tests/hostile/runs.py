"""One whole indexing run over a folder, in this process, with what it cost: for a fresh process, which is measured.

python -m hostile.runs FOLDER INDEX    one line of JSON
"""

from __future__ import annotations

import json
import re
import resource
import sqlite3
import sys
import tempfile
import time
import traceback
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, ClassVar

from ragkit.chunking import RecursiveChunker
from ragkit.embedders.offline import OfflineEmbedder
from ragkit.loaders.isolation import ParserPool
from ragkit.loaders.parser_server import Outcome, Request
from ragkit.rag import RAG
from ragkit.reports import Loaded
from ragkit.store.local import LocalStore


class TimedPool(ParserPool):
    """Notes for each document how long its making took, waiting included, and the processor time of its forks."""

    seconds: ClassVar[dict[str, float]] = {}
    cpu: ClassVar[dict[str, float]] = {}

    def load(self, file: BinaryIO | int, source: str) -> Loaded:
        began = time.perf_counter()
        try:
            return super().load(file, source)
        finally:
            self.seconds[source] = time.perf_counter() - began

    def _run(self, descriptor: int, request: Request) -> Outcome:
        outcome = super()._run(descriptor, request)
        self.cpu[request.source] = self.cpu.get(request.source, 0.0) + outcome.cpu
        return outcome


def run(folder: Path, index: Path, workers: int = 2) -> dict[str, object]:
    """Index the folder; outcomes by file, time of the slowest, growth of this process in MiB, what is not clean."""
    with tempfile.TemporaryDirectory() as warm:  # so that growth is not that of importing what any run imports
        Path(warm, "a.txt").write_text("warm " * 100)
        with _rag(Path(warm, "index"), workers) as rag:
            rag.index_folder(warm)
    TimedPool.seconds.clear()
    TimedPool.cpu.clear()
    with _rag(index, workers) as rag:
        before, failure = _memory("VmRSS"), ""
        files: dict[str, list[str]] = {}
        try:
            report = rag.index_folder(folder)
            for each in report.files:
                files.setdefault(each.source, []).append(
                    each.status.value + "".join(f" {problem.code}" for problem in each.problems[:1])
                )
            unchanged = report.unchanged
        except BaseException:  # noqa: BLE001 - whatever it is, it is what this run is there to find
            failure, unchanged = traceback.format_exc(), 0
        grown = _memory("VmHWM") - before
        unsound = [finding.message for finding in rag.check(data=True) if not finding.ok]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "cpu": round(sum(each.ru_utime + each.ru_stime for each in used), 1),
        "failure": failure,
        "files": files,
        "unchanged": unchanged,
        "slowest": _most(TimedPool.seconds),
        "costliest": _most(TimedPool.cpu),
        "grown": round(grown / 1024, 1),
        "unclean": unclean(index),
        "unsound": unsound,
    }


def _most(seconds: dict[str, float]) -> tuple[str, float]:
    source = max(seconds, key=seconds.__getitem__, default="")
    return source, round(seconds.get(source, 0.0), 2)


def _rag(index: Path, workers: int) -> RAG:
    return RAG(
        LocalStore(index), OfflineEmbedder(), RecursiveChunker(), lambda: TimedPool(workers), max_file_size=512 << 20
    )


def unclean(index: Path) -> list[str]:
    """Stored texts with a NUL or half a surrogate pair in them, over all columns of the catalog."""
    found = []
    with closing(sqlite3.connect(f"file:{index / 'catalog.sqlite'}?mode=ro", uri=True)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for column in [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]:
                texts = f'SELECT CAST("{column}" AS BLOB) FROM "{table}" WHERE typeof("{column}") = \'text\''
                found += [f"{table}.{column}: {text[:200]!r}" for (text,) in db.execute(texts) if _UNCLEAN.search(text)]
    return found


_UNCLEAN = re.compile(rb"\0|\xed[\xa0-\xbf][\x80-\xbf]|\\u0000|\\u[dD][89a-fA-F]")  # also as JSON writes them


def _memory(name: str) -> int:
    """KiB of this process, as the system counts them."""
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


def main() -> None:
    sys.stdout.write(json.dumps(run(Path(sys.argv[1]), Path(sys.argv[2]))))


if __name__ == "__main__":
    main()
