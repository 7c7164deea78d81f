"""Reports of many files: in order, as they were, in little memory."""

import random
import tracemalloc

import pytest

from ragkit.file_reports import FileReports, ReportLog
from ragkit.reports import FileReport, FileStatus, Problem

PAGE = Problem("page 7 has no text", "run OCR on it", 7, "no_text")
ODD = [
    FileReport("", FileStatus.FAILED, problems=(Problem("it is empty"),)),
    FileReport("half \ud800 a pair", FileStatus.CHANGED, 1 << 40, (PAGE, PAGE), ("read as cp1251", "")),
    FileReport("письмо \U0001f642 \0.txt", FileStatus.REMOVED),
]


def many(count: int) -> list[FileReport]:
    return [
        FileReport(f"archive/of the year {n // 1000}/letter {n:07}.txt", FileStatus.NEW, n % 50) for n in range(count)
    ]


def logged(reports: list[FileReport]) -> FileReports:
    log = ReportLog()
    for report in reports:
        log.add(report)
    return log.ordered()


def test_reports_come_out_as_they_went_in() -> None:
    """Names of any letters, numbers of any size, problems with their pages."""
    found = FileReports(ODD)
    assert list(found) == ODD
    assert found == tuple(ODD)
    assert isinstance(found[0].status, FileStatus)
    assert repr(found) == repr(tuple(ODD))


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 4096, 4097, 9000])
def test_any_order_becomes_that_of_the_sources(count: int) -> None:
    """Forwards, backwards, at random, and as a folder beside a file of its name comes."""
    reports = many(count)
    assert logged(reports) == FileReports(reports)
    assert logged(reports[::-1]) == FileReports(reports)
    assert logged(random.Random(1).sample(reports, count)) == FileReports(reports)
    assert logged(reports[count // 2 :] + reports[: count // 2]) == FileReports(reports)


def test_two_of_one_source_keep_their_order() -> None:
    """What was put in last stands last, however far apart they came."""
    twice = [FileReport("note", FileStatus.NEW, n) for n in range(9000)]
    assert [report.chunks for report in logged(twice)] == list(range(9000))
    apart = [FileReport("note", FileStatus.NEW, 1), *many(5000), FileReport("note", FileStatus.NEW, 2)]
    assert [report.chunks for report in logged(apart)[-2:]] == [1, 2]


def test_they_are_a_sequence() -> None:
    """By place from either end, in slices, backwards; equal to the same ones alone."""
    reports = many(1300)
    found = FileReports(reports)
    assert len(found) == 1300
    assert (found[0], found[600], found[-1]) == (reports[0], reports[600], reports[-1])
    assert found[510:514] == tuple(reports[510:514])
    assert list(reversed(found)) == reports[::-1]
    assert reports[700] in found
    assert hash(found) == hash(tuple(reports))
    assert found != FileReports(reports[:-1])
    assert found != FileReports([*reports[:-1], ODD[0]])
    assert found != reports  # as a tuple is no list
    for place in (1300, -1301):
        with pytest.raises(IndexError):
            found[place]


def test_a_report_takes_a_few_bytes() -> None:
    """Less than 40 where an object with its source took more than 200; also while they are put in order."""
    seen = []
    for count in (10_000, 30_000):
        tracemalloc.start()
        log = ReportLog()
        for n in range(count):
            log.add(FileReport(f"archive/of the year {n // 1000}/letter {n:07}.txt", FileStatus.NEW, n % 50))
        assert sum(report.chunks for report in log.ordered()) == sum(n % 50 for n in range(count))
        seen.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (seen[1] - seen[0]) / 20_000 < 40
