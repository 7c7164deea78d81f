"""suite.png: a panel for each measure, a line for each engine, ragkit in colour. Only this draws.

Times are points over a logarithmic axis, which has no beginning that a bar could start from. Bytes are bars from
nought.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from benchmarks.suite.figures import GOOD, Asked, Figures, read
from benchmarks.suite.formats import mb, number, thousandths, times

OURS, LIMIT, PEER, QUIET, LINE = "#c2410c", "#111827", "#6b7280", "#6b7280", "#e5e7eb"
COLOURS = {"ragkit": OURS, "limit": LIMIT, "exact": LIMIT, "peer": PEER}
PALE = {OURS: "#f5c9b3", LIMIT: "#b6bac2", PEER: "#d9dce1"}


def draw(measured: dict[str, Any], path: Path) -> None:
    figures = [each for each in read(measured) if not each.state]
    if not figures:
        return
    mpl.rcParams.update({"font.size": 8.5, "font.family": "DejaVu Sans"})
    panels: list[tuple[str, Callable[[Axes], None]]] = [
        ("Warm query, median ms (× limit)", lambda axes: _searches(axes, figures, "all")),
        ("Filtered to 1 %, median ms (× unfiltered)", lambda axes: _searches(axes, figures, "hundredth")),
        ("Filtered to 0.01 %, median ms (× unfiltered)", lambda axes: _searches(axes, figures, "rare")),
        ("New process to first hit, s", lambda axes: _seconds(axes, figures, lambda each: each.first)),
        ("Build and persist, s", lambda axes: _seconds(axes, figures, lambda each: each.build)),
        ("Change one document, s", lambda axes: _seconds(axes, figures, lambda each: each.replace)),
        ("Memory of a searching process, MB: own + mapped", lambda axes: _memory(axes, figures)),
        ("Disk, MB (× float16 and texts, dashed)", lambda axes: _disk(axes, figures)),
    ]
    figure = Figure(figsize=(9.6, 13.6), layout="constrained")
    for place, (title, fill) in enumerate(panels, 1):
        axes = figure.add_subplot(4, 2, place)
        fill(axes)
        axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold")
    machine, given = measured["machine"], measured["given"]
    shared = ", ".join(each.name for each in figures if each.build is None)
    said = [
        f"{given['rows']:,} {given['kind']} vectors × {given['dimension']}, with text and metadata. "
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} thread per process, "
        f"{machine['date']}.",
        f"Black: raw numpy and faiss, vectors only. Hollow: wrong answers, less than {GOOD} of them right. Times are "
        "on logarithmic axes.",
        *([f"In the index of another, with no build, change and disk of their own: {shared}."] if shared else []),
    ]
    figure.suptitle(
        "\n".join(said),
        fontsize=8.5,
        x=0.01,
        ha="left",
    )
    figure.savefig(path, dpi=125)


def _searches(axes: Axes, figures: list[Figures], what: str) -> None:
    """What has no such filter stands below the others."""
    rows = [(each, each.asked[what]) for each in figures if each.asked.get(what)]
    rows.sort(key=lambda row: (bool(row[1].unsupported), row[1].p50))
    able = [asked.p50 for _, asked in rows if not asked.unsupported]
    if not able:
        return
    _decades(axes, able)
    _names(axes, [each for each, _ in rows])
    for place, (each, asked) in enumerate(rows):
        if asked.unsupported:
            _say(axes, axes.get_xlim()[0], place, "not supported", QUIET)
            continue
        wrong = asked.right < GOOD and not each.words
        _point(axes, each, place, asked.p50, _label(asked, wrong=wrong), hollow=wrong)


def _label(asked: Asked, *, wrong: bool) -> str:
    over = f" ({times(asked.ratio)})" if asked.ratio else ""
    return number(asked.p50) + over + (f" right {thousandths(asked.right)}" if wrong else "")


def _seconds(axes: Axes, figures: list[Figures], value: Callable[[Figures], float | None]) -> None:
    rows = sorted(((taken, each) for each in figures if (taken := value(each))), key=lambda row: row[0])
    if not rows:
        return
    _decades(axes, [taken for taken, _ in rows])
    _names(axes, [each for _, each in rows])
    for place, (taken, each) in enumerate(rows):
        _point(axes, each, place, taken, number(taken))


def _memory(axes: Axes, figures: list[Figures]) -> None:
    """In the order of both together: whether mapped files count is for the reader to say."""
    rows = [(each, each.own, each.mapped or 0) for each in figures if each.own]
    rows.sort(key=lambda row: row[1] + row[2])
    _from_nought(axes, [own + mapped for _, own, mapped in rows])
    _names(axes, [each for each, _, _ in rows])
    for place, (each, own, mapped) in enumerate(rows):
        colour = COLOURS[each.role]
        axes.barh(place, own, height=0.62, color=colour)
        axes.barh(place, mapped, left=own, height=0.62, color=PALE[colour])
        _say(axes, own + mapped, place, f"{mb(own)} + {mb(mapped)}", _ink(each))


def _disk(axes: Axes, figures: list[Figures]) -> None:
    rows = sorted(((each.disk, each) for each in figures if each.disk), key=lambda row: row[0])
    _from_nought(axes, [held for held, _ in rows])
    _names(axes, [each for _, each in rows])
    for place, (held, each) in enumerate(rows):
        axes.barh(place, held, height=0.62, color=COLOURS[each.role])
        _say(axes, held, place, f"{mb(held)} ({times(held / each.least)})", _ink(each))
    if rows:
        axes.axvline(rows[0][1].least, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=3)


def _decades(axes: Axes, values: Sequence[float]) -> None:
    """A line for each decade, and room on the right for what is said beside the last point."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    least, most = math.log10(min(values)), math.log10(max(values))
    axes.set_xscale("log")
    start, end = min(low, least - 0.1), most + (most - low) * 0.55 + 0.35
    axes.set_xlim(10**start, 10**end)
    axes.xaxis.set_major_locator(FixedLocator([10.0**each for each in range(low, max(high, low + 1) + 1)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.{max(0, -round(math.log10(value)))}f}"))
    axes.grid(visible=True, axis="x", color=LINE, linewidth=0.8)


def _from_nought(axes: Axes, values: Sequence[int]) -> None:
    axes.set_xlim(0, max(values, default=1) * 1.42)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:,g}"))
    axes.grid(visible=True, axis="x", color=LINE, linewidth=0.8)


def _names(axes: Axes, rows: Sequence[Figures]) -> None:
    """Best on top, no frame."""
    axes.set_axisbelow(True)
    axes.set_yticks(range(len(rows)), [each.name for each in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    for label, each in zip(axes.get_yticklabels(), rows, strict=True):
        if each.role == "ragkit":
            label.set_color(OURS)
            label.set_fontweight("bold")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=QUIET, length=0)
    axes.spines["bottom"].set_color(LINE)


def _point(axes: Axes, each: Figures, place: int, value: float, text: str, *, hollow: bool = False) -> None:
    """A thin line leads the eye from the name."""
    colour = COLOURS[each.role]
    axes.plot([axes.get_xlim()[0], value], [place, place], color=LINE, linewidth=1.0, zorder=1)
    filling = "white" if hollow else colour
    axes.plot(value, place, "o", markersize=6.5, markerfacecolor=filling, markeredgecolor=colour, markeredgewidth=1.4)
    _say(axes, value, place, text, _ink(each))


def _say(axes: Axes, at: float, place: int, text: str, colour: str) -> None:
    axes.annotate(
        text,
        (at, place),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
    )


def _ink(each: Figures) -> str:
    return OURS if each.role == "ragkit" else LIMIT
