"""index: a folder in, a line of counts, the troubles and the next command out."""

from __future__ import annotations

import contextlib
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from shell import MANUAL, Cli

from ragkit.file_reports import FileReports
from ragkit.reports import FileReport, FileStatus, IndexReport, Problem
from ragkit_cli import payload
from ragkit_cli.render import out_json
from ragkit_cli.reports import print_report, troubles


def test_index_reports_counts_troubles_and_the_next_command(cli: Cli, docs: Path, tmp_path: Path) -> None:
    """One line of counts, one line for each trouble, the next command on stderr; exit code 3 for the trouble."""
    run = cli("index", docs)
    assert run.code == 3
    first, trouble = run.out.splitlines()
    assert first.startswith("Indexed docs into .ragkit: 3 new, 0 changed, 0 removed, 0 unchanged, 1 failed · ")
    assert trouble.strip().startswith("letter.doc")
    assert run.err.strip() == 'Next: ragkit ask "your question"'
    assert (tmp_path / ".ragkit").is_dir()

    (docs / "letter.doc").unlink()
    (docs / "kettle.md").write_text(MANUAL.replace("citric acid", "vinegar"), "utf-8")
    (docs / "windows.txt").unlink()
    run = cli("index", docs)
    assert run.code == 0
    assert "0 new, 1 changed, " in run.out
    assert " 1 unchanged, 0 failed" in run.out


def test_index_is_found_upwards(cli: Cli, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was indexed in a folder is found from any folder below it."""
    cli("index", docs)
    monkeypatch.chdir(docs / "contracts")
    assert "lease.md" in cli("search", "залог").out


def test_dry_run_changes_nothing(cli: Cli, docs: Path, tmp_path: Path) -> None:
    """A dry run counts what would be done and leaves no index behind."""
    run = cli("index", docs, "--dry-run")
    assert run.out.startswith("Would index docs into .ragkit: 3 new")
    assert not (tmp_path / ".ragkit").exists()


def test_quiet_leaves_troubles_only(cli: Cli, docs: Path) -> None:
    """-q: a job in the night writes what went wrong and nothing else."""
    run = cli("index", docs, "-q")
    assert "letter.doc" in run.out
    assert "Indexed" not in run.out
    assert run.err == ""


def test_verbose_names_every_file(cli: Cli, docs: Path) -> None:
    """-v: each file with what became of it and what was decided for it."""
    run = cli("index", docs, "-v")
    for name in ("contracts/lease.md", "kettle.md", "windows.txt", "letter.doc"):
        assert name in run.out


def many_failed(count: int) -> FileReports:
    """Scans, every fourth with two pages alike, and a few files of another kind."""
    scan = [Problem(f"page {n} has no text", "run OCR on it", n) for n in (1, 2)]
    reports = [
        FileReport(f"a cupboard of many scans/scan {n:06}.pdf", FileStatus.NEW, 1, tuple(scan[: 1 + (n % 4 == 0)]))
        for n in range(count)
    ]
    rare = [FileReport(f"z{n}.doc", FileStatus.FAILED, 0, (Problem(".doc is not supported"),)) for n in range(3)]
    return FileReports([*reports, *rare])


def test_many_troubles_are_told_by_their_kinds() -> None:
    """The commonest first, with a few names and the number of files; pages of one file count once."""
    assert troubles(many_failed(1000)) == [
        "  a page has no text: a cupboard of many scans/scan 000000.pdf, a cupboard of many scans/scan 000001.pdf, "
        "a cupboard of many scans/scan 000002.pdf and 997 more",
        "  .doc is not supported: z0.doc, z1.doc, z2.doc",
        "All of them: ragkit list --failed",
    ]


@pytest.mark.parametrize(
    "tell",
    [
        lambda report: troubles(report.files),
        lambda report: print_report(report, dry_run=False, quiet=True, verbose=True),
        lambda report: out_json("index", {"folders": map(payload.of_report, [report])}),
    ],
    ids=["troubles", "verbose", "json"],
)
def test_telling_of_ten_times_as_many_files_takes_no_more_memory(tell: Callable[[IndexReport], object]) -> None:
    """Beside the reports themselves, which are packed."""
    peaks = []
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        for files in (many_failed(500), many_failed(5000)):
            report = IndexReport("docs", ".ragkit", failed=len(files), files=files)
            tracemalloc.start()
            tell(report)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
