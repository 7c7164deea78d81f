"""growth.png: a panel for each measure, both axes logarithmic, exponents in the legend. Only this draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.suite.growing import CURVES, Curve, Point, exponent

COLOURS = ["#c2410c", "#1d4ed8", "#047857", "#6b7280", "#7c3aed"]
MARKERS = "osD^v"
LINE = "#e5e7eb"


def draw_growth(points: list[Point], path: Path) -> None:
    if not points:
        return
    mpl.rcParams.update({"font.size": 8.5, "font.family": "DejaVu Sans"})
    panels = list(dict.fromkeys(each.panel for each in CURVES))
    figure = Figure(figsize=(9.6, 10.6), layout="constrained")
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(-(-len(panels) // 2), 2, place)
        _panel(axes, [each for each in CURVES if each.panel == panel], points)
        axes.set_title(panel, loc="left", fontsize=9.5, fontweight="bold")
    machine, given = points[-1].machine, points[-1].given
    figure.suptitle(
        f"ragkit, {given['kind']} vectors × {given['dimension']}. {machine['processor']}, {machine['cores']} cores, "
        f"{machine['threads']} thread per process, {machine['date']}.\n"
        "Exponents by least squares over all sizes: n^1 is linear, n^0 constant.",
        fontsize=8.5,
        x=0.01,
        ha="left",
    )
    figure.savefig(path, dpi=125)


def _panel(axes: Axes, curves: list[Curve], points: list[Point]) -> None:
    axes.set(xscale="log", yscale="log", xlabel="chunks")
    every = []
    for colour, marker, curve in zip(COLOURS, MARKERS, curves, strict=False):
        there = [(point.rows, value) for point in points if (value := curve.value(point))]
        if not there:
            continue
        sizes, heights = [size for size, _ in there], [value for _, value in there]
        slope = exponent(sizes, heights)
        label = curve.name + (f"  n^{slope:.2f}" if slope is not None else "")
        axes.plot(sizes, heights, marker=marker, markersize=4.5, linewidth=1.5, color=colour, label=label)
        every += heights
    if not every:
        return
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    _ticks(axes.yaxis, [10.0**each for each in range(low, max(high, low + 1) + 1)])
    axes.set_ylim(10.0**low, 10.0 ** max(high, low + 1))
    _ticks(axes.xaxis, [point.rows for point in points])
    axes.grid(visible=True, color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _ticks(axis: Axis, places: Sequence[float]) -> None:
    """Written out, so that none is 1e+06 beside 100,000."""
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.{max(0, -math.floor(math.log10(value)))}f}"))
