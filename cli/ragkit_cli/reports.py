"""What a run of `index` did, in a line of counts and as few lines of trouble as say it all."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from ragkit.numbers import count, number
from ragkit_cli.hints import with_index
from ragkit_cli.render import columns, near_path, one_line, out, problem, spent, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ragkit.reports import FileReport, IndexReport, Problem

MOST_LINES = 20
NAMES_OF_A_REASON = 3


def print_report(report: IndexReport, *, dry_run: bool, quiet: bool, verbose: bool) -> None:
    """The counts, what was billed, the files where asked for, and every problem. Quiet leaves the problems only."""
    if not quiet:
        out(summary(report, dry_run=dry_run))
        if report.usage.total_tokens:
            out(_bill(report, dry_run=dry_run))
    if verbose:
        for line in table(report.files, _row, indent="  "):
            out(line)
    for line in troubles(report.files):
        out(line)


def summary(report: IndexReport, *, dry_run: bool) -> str:
    """Indexed ~/docs into .ragkit: 12 new, 3 changed, … · 1 204 chunks embedded, 311 reused"""
    if not report.root:
        verb = "Would move" if dry_run else "Moved"
        chunks = f"{count(report.embedded, 'chunk')} embedded, {number(report.reused)} reused"
        model = one_line(report.model)
        return (
            f"{verb} {near_path(report.index)} to the embedding model {model}: {number(report.moved)} moved · {chunks}"
        )
    verb = "Would index" if dry_run else "Indexed"
    names = ("new", "changed", "removed", "unchanged", "failed")
    files = ", ".join(f"{number(getattr(report, name))} {name}" for name in names)
    chunks = f"{count(report.embedded, 'chunk')} embedded, {number(report.reused)} reused"
    return f"{verb} {near_path(report.root)} into {near_path(report.index)}: {files} · {chunks}"


def _bill(report: IndexReport, *, dry_run: bool) -> str:
    about = "about " if report.estimated else ""
    return f"{'Would cost' if dry_run else 'Billed:'} {about}{spent(report.usage)}"


def troubles(files: Sequence[FileReport]) -> list[str]:
    """One line for each problem while that stays readable, else one for each kind, and how to see all.

    There may be a million of them: no more is held than is shown.
    """
    every = ((report.source, text) for report in files for text in _texts(report.problems))
    rows = list(islice(every, MOST_LINES + 1))
    if len(rows) <= MOST_LINES:
        return columns([(one_line(source), text) for source, text in rows], indent="  ")
    counts: Counter[str] = Counter()
    named: dict[str, list[str]] = {}
    for report in files:
        for kind in dict.fromkeys(map(_kind, report.problems)):
            counts[kind] += 1
            if counts[kind] <= NAMES_OF_A_REASON:
                named.setdefault(kind, []).append(one_line(report.source))
    lines = []
    for reason, sources in counts.most_common(MOST_LINES):
        more = f" and {number(sources - NAMES_OF_A_REASON)} more" if sources > NAMES_OF_A_REASON else ""
        lines.append(f"  {one_line(reason)}: {', '.join(named[reason])}{more}")
    if len(counts) > MOST_LINES:
        lines.append(f"  and {count(len(counts) - MOST_LINES, 'other reason')}")
    return [*lines, with_index("All of them: ragkit list --failed")]


def _texts(problems: Iterable[Problem]) -> list[str]:
    """Problems of one file; the pages that share one share a line."""
    alike: dict[tuple[str, str], list[Problem]] = {}
    for each in problems:
        alike.setdefault((_kind(each), each.cure), []).append(each)
    texts = []
    for first, *others in alike.values():
        pages = [each.page for each in others if each.page is not None]
        also = f", likewise page{'s' if len(pages) > 1 else ''} {spans(pages)}" if pages else ""
        texts.append(problem(replace(first, reason=first.reason + also)))
    return texts


def _kind(what: Problem) -> str:
    """The reason without the number of its page."""
    return re.sub(rf"\bpage {what.page}\b", "a page", what.reason) if what.page is not None else what.reason


def spans(numbers: Iterable[int]) -> str:
    """1-3, 7, 9-10"""
    runs: list[list[int]] = []
    for each in sorted(set(numbers)):
        if runs and each == runs[-1][1] + 1:
            runs[-1][1] = each
        else:
            runs.append([each, each])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _row(report: FileReport) -> list[str]:
    notes = "; ".join(map(one_line, report.notes))
    return [str(report.status), one_line(report.source), count(report.chunks, "chunk"), notes]
