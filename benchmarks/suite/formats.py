"""How figures are written: one way for every page, table and plot, so that a figure is the same wherever it stands."""

from __future__ import annotations

import math

from benchmarks.suite.figures import GOOD, Asked


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([*row, *[""] * (len(head) - len(row))][: len(head)] for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float | None) -> str:
    """Three digits that tell something, at most three behind the point: 0.082, 1.69, 45.6, 101, 1,276."""
    if value is None:
        return ""
    digits = next((digits for least, digits in ((99.95, 0), (9.995, 1), (0.9995, 2)) if value >= least), 3)
    return f"{value:,.{digits}f}"


def thousandths(value: float) -> str:
    """A share, rounded down: 1.000 is all of them, and what reads .990 has reached .99."""
    return f"{math.floor(value * 1000 + 1e-6) / 1000:.3f}"


def share(value: float) -> str:
    """Wrong answers stand out."""
    return thousandths(value) if value >= GOOD else f"**{thousandths(value)}**"


def times(value: float | None) -> str:
    """A ratio: 13×, 0.81×, 0.014×."""
    if not value:
        return ""
    digits = 0 if value >= 9.95 else 2 if value >= 0.0995 else 1 - math.floor(math.log10(value))
    return f"{value:,.{digits}f}×"


def percent(value: float) -> str:
    return f"{value * 100:.2f} %"


def mb(value: int | None) -> str:
    """Whole ones, but where there are few."""
    return "" if value is None else number(value / 1e6) if value < 1e7 else f"{value / 1e6:,.0f}"


def filtered(asked: Asked | None, *, words: bool = False) -> str:
    """Milliseconds, times unfiltered, and the share that is right."""
    if asked is None or asked.unsupported:
        return "not supported" if asked else ""
    over = f", {times(asked.ratio)}" if asked.ratio else ""
    return f"{number(asked.p50)}{over}" + ("" if words else f", right {share(asked.right)}")
