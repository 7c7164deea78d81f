"""What a folder holds, beside what the index remembers of it: counted first, gone through afterwards.

There may be millions: files wait in packs, and what the index remembers is asked for one pack at a time. It reads no
file and changes nothing.
"""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from ragkit.folders import FoundFile
from ragkit.intake import must_open
from ragkit.protocols import Writer
from ragkit.reports import FileStamp, Known, Problem
from ragkit.roots import Scope

_PACK = 512  # files: they share most of their paths, and take a tenth of what they would take one by one


class Survey:
    """Found files in their order. `files` and `bytes` count them, and the bytes of those that must be opened.

    What is known of a file does not spare it where its document's id is below `cut_from`, or where it gave nothing.
    """

    def __init__(self, writer: Writer, scope: Scope, files: Iterable[FoundFile], *, cut_from: int) -> None:
        self._writer = writer
        self._scope = scope
        self._cut_from = cut_from
        self._packs: list[bytes] = []
        self._kept: dict[str, Known] = {}
        self.files = self.bytes = 0
        found, failed = array("q"), array("q")  # ids of what is known of these files, and of those that gave nothing
        unread: list[str] = []
        files = iter(files)
        while pack := [_below(scope.prefix, file) for file in islice(files, _PACK)]:
            known, failing = self._known(pack)
            found.extend(each.id for each in known.values())
            failed.extend(failing.values())
            unread += [file.source for file in pack if file.problem and file.problem.code == "unreadable_folder"]
            self.files += len(pack)
            self.bytes += sum(file.stamp.size for file in pack if must_open(file, self._before(file, known, failing)))
            self._packs.append(_packed(pack))
        self._found, self._failed, self._unread = found, failed, tuple(unread)

    def __iter__(self) -> Iterator[tuple[FoundFile, Known | None]]:
        """Each file with what spares it to be loaded; what is known of it is kept for `take`."""
        for packed in self._packs:
            pack = _unpacked(packed)
            known, failing = self._known(pack)
            self._kept.update(known)
            for file in pack:
                yield file, self._before(file, known, failing)

    def take(self, source: str) -> Known | None:
        """What is known of a file that came out of here, once."""
        return self._kept.pop(source, None)

    def gone(self) -> list[str]:
        """The sources that the folder no longer has, in order; nothing of a folder that could not be read.

        To be asked before anything is stored: what is stored then has new ids.
        """
        root = self._scope.root.id
        listed, failures = self._writer.listed(root), self._writer.failures(root)
        return sorted({*self._gone(listed, self._found), *self._gone(failures, self._failed)})

    def _gone(self, listed: Iterable[tuple[int, str]], ids: array[int]) -> Iterator[str]:
        """The sources of those, listed in order of id, whose files were not found."""
        found = iter(np.sort(np.frombuffer(ids, np.int64)).data)
        next_found = next(found, None)
        for id, source in listed:
            while next_found is not None and next_found < id:
                next_found = next(found, None)
            if next_found != id and self._is_gone(source):
                yield source

    def _is_gone(self, source: str) -> bool:
        return source.startswith(self._scope.prefix) and not source.startswith(self._unread)

    def _known(self, pack: Sequence[FoundFile]) -> tuple[dict[str, Known], Mapping[str, int]]:
        """What is known of these files, and the ids of those that gave nothing."""
        root, sources = self._scope.root.id, [file.source for file in pack]
        known = {source: each for source, each in self._writer.known(sources).items() if each.root == root}
        return known, self._writer.known_failures(sources, root)

    def _before(self, file: FoundFile, known: Mapping[str, Known], failing: Mapping[str, int]) -> Known | None:
        before = None if file.source in failing else known.get(file.source)
        return before if before and before.id >= self._cut_from else None


def _below(prefix: str, file: FoundFile) -> FoundFile:
    return replace(file, source=prefix + file.source) if prefix else file


def _packed(files: Sequence[FoundFile]) -> bytes:
    rows = []
    for file in files:  # no astuple here, which takes as long as all the rest
        stamp, told = file.stamp, file.problem
        problem = told and (told.reason, told.cure, told.page, told.code)
        times = (stamp.size, stamp.mtime_ns, stamp.checked_ns, stamp.sidecar)
        rows.append((file.source, file.path, times, problem, file.root, file.most))
    return zlib.compress(json.dumps(rows).encode(), 1)


def _unpacked(packed: bytes) -> list[FoundFile]:
    rows = json.loads(zlib.decompress(packed))
    return [
        FoundFile(source, path, FileStamp(*times), problem and Problem(*problem), root, most)
        for source, path, times, problem, root, most in rows
    ]
