"""The progress bar, on a terminal only. The one file that knows rich."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ragkit_cli.render import near_path, number, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ragkit.reports import Progress


@contextmanager
def bar(path: str, *, wanted: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Something to report progress to while the block runs; None where nobody would see it."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    shown = Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[chunks]} chunks", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[source]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
    with shown:
        task = shown.add_task(f"Reading {near_path(path)}", total=None, chunks="0", source="")

        def report(progress: Progress) -> None:
            shown.update(
                task,
                completed=progress.files,
                total=progress.total,
                chunks=number(progress.chunks),
                source=one_line(progress.source)[-40:],
            )

        yield report
