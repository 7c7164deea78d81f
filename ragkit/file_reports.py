"""What became of many files, in order of source and in little memory: packed, and unpacked as they are read.

A folder may give a million of them, each of which would take 200 bytes and more as an object.
"""

from __future__ import annotations

import heapq
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import overload

from ragkit.reports import FileReport, FileStatus, Problem

_PACK = 512  # reports: their sources share most of their letters
_SORTED = 8 * _PACK  # reports at once; those of a folder come nearly in order

_by_source = attrgetter("source")


class FileReports(Sequence[FileReport]):
    """Reports in the order in which they are given; each is made anew when it is asked for. It never changes."""

    def __init__(self, reports: Iterable[FileReport] = ()) -> None:
        self._packs: list[bytes] = []  # all but the last are full
        self._length = 0
        self._read: tuple[int, list[FileReport]] = (-1, [])  # a pack by its place, for who asks one by one
        self._extend(reports)

    def _extend(self, reports: Iterable[FileReport]) -> None:
        """Only before anybody else has it, and while all packs are full."""
        reports = iter(reports)
        while pack := list(islice(reports, _PACK)):
            self._packs.append(_packed(pack))
            self._length += len(pack)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[FileReport]:
        return chain.from_iterable(map(_unpacked, self._packs))

    @overload
    def __getitem__(self, place: int) -> FileReport: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[FileReport, ...]: ...
    def __getitem__(self, place: int | slice) -> FileReport | tuple[FileReport, ...]:
        if isinstance(place, slice):
            return tuple(self)[place]
        pack, within = divmod(range(self._length)[place], _PACK)
        number, reports = self._read
        if number != pack:
            reports = _unpacked(self._packs[pack])
            self._read = pack, reports
        return reports[within]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FileReports | tuple):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))  # of equal ones the same, also where one of them is a tuple

    def __repr__(self) -> str:
        return repr(tuple(self))


class ReportLog:
    """Takes reports in any order, and gives them in order of source; those of one source in the order they came."""

    def __init__(self) -> None:
        self._recent: list[FileReport] = []
        self._runs: list[FileReports] = []  # each in order, and none could go on with the next
        self._last = ""  # source in the last of them

    def add(self, report: FileReport) -> None:
        """Take it."""
        self._recent.append(report)
        if len(self._recent) >= _SORTED:
            self._sort()

    def ordered(self) -> FileReports:
        """All that came; none may follow."""
        self._sort()
        if len(self._runs) > 1:
            self._runs = [FileReports(heapq.merge(*self._runs, key=_by_source))]
        return self._runs[0] if self._runs else FileReports()

    def _sort(self) -> None:
        if not self._recent:
            return
        self._recent.sort(key=_by_source)
        if self._runs and self._last <= self._recent[0].source:
            self._runs[-1]._extend(self._recent)
        else:
            self._runs.append(FileReports(self._recent))
        self._last = self._recent[-1].source
        self._recent = []


def _packed(reports: Sequence[FileReport]) -> bytes:
    rows = [
        (
            report.source,
            report.status,
            report.chunks,
            [(each.reason, each.cure, each.page, each.code) for each in report.problems],
            report.notes,
        )
        for report in reports
    ]
    return zlib.compress(json.dumps(rows).encode(), 1)


def _unpacked(pack: bytes) -> list[FileReport]:
    return [
        FileReport(source, FileStatus(status), chunks, tuple(Problem(*each) for each in problems), tuple(notes))
        for source, status, chunks, problems, notes in json.loads(zlib.decompress(pack))
    ]
