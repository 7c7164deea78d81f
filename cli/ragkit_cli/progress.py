"""The progress bar, on a terminal only. The one file that knows rich."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ragkit.numbers import count, number
from ragkit_cli.render import near_path, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import RenderableType

    from ragkit.reports import Progress

_LONGEST_PATH = 30  # characters; a line of 80 has room for the bar, the files and the time beside it
_SOON = 3.0  # seconds after which a guess of the time that is left is worth showing


@contextmanager
def bar(path: str, *, wanted: bool, currency: str = "") -> Iterator[Callable[[Progress], None] | None]:
    """Something to report progress to while the block runs; None where nobody would see it.

    Two lines: files and the time that is left; then what came of them, what it cost, and the file in hand.
    """
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class TwoLines(Bar):
        line = ""

        def get_renderables(self) -> Iterable[RenderableType]:
            yield from super().get_renderables()
            yield Text(self.line, style="dim", no_wrap=True, overflow="ellipsis")

    shown = TwoLines(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[files]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
    reading = f"Reading {_shortened(near_path(path))}"
    with shown:
        task = shown.add_task(reading, total=None, files="", left="")

        def report(progress: Progress) -> None:
            shown.line = details(progress, currency)
            if progress.finishing:
                what, done, total = "Making it searchable", progress.findable, progress.to_find or None
            # Bytes move the bar, where there are some: files differ in length.
            elif progress.total_bytes:
                what, done, total = reading, progress.bytes, progress.total_bytes
            else:
                what, done, total = reading, progress.files, progress.total
            files = f"{number(progress.files)}/{number(progress.total)}"
            shown.update(task, description=what, completed=done, total=total, files=files, left=time_left(progress))

        yield report


def details(progress: Progress, currency: str = "") -> str:
    """312 pages · 1 204 chunks · 96 300 tokens · 0.34 RUB · contracts/lease.pdf"""
    parts = [
        count(progress.pages, "page") if progress.pages else "",
        count(progress.chunks, "chunk"),
        count(progress.tokens, "token") if progress.tokens else "",
        f"{progress.cost:.2f} {currency}".rstrip() if progress.cost else "",
        _shortened(one_line(progress.source)),
    ]
    return " · ".join(part for part in parts if part)


def time_left(progress: Progress) -> str:
    """2:05 left, 1:02:05 left; empty while it is too early to tell."""
    passed = progress.finishing_seconds if progress.finishing else progress.seconds
    if progress.left is None or passed < _SOON:
        return ""
    minutes, seconds = divmod(round(progress.left), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"


def _shortened(path: str) -> str:
    """Its end, where it is long."""
    return path if len(path) <= _LONGEST_PATH else f"…{path[1 - _LONGEST_PATH :]}"
