"""growth.png: a panel for each measure, both axes logarithmic, exponents in the legend. Only this draws."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.suite.growing import CURVES, Point, exponent

COLOURS = ["#c2410c", "#1d4ed8", "#047857", "#6b7280", "#7c3aed"]


def draw_growth(points: list[Point], path: Path) -> None:
    mpl.rcParams.update({"font.size": 8, "font.family": "DejaVu Sans"})
    panels = list(dict.fromkeys(each.panel for each in CURVES))
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(2, -(-len(panels) // 2), place)
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:,g}")
            axis.set_minor_formatter(NullFormatter())
        for colour, curve in zip(COLOURS, (each for each in CURVES if each.panel == panel), strict=False):
            values = [(point.rows, curve.value(point)) for point in points]
            there = [(size, value) for size, value in values if value]
            if not there:
                continue
            sizes, heights = [size for size, _ in there], [value for _, value in there]
            slope = exponent(sizes, heights)
            label = curve.name + (f"  n^{slope:.2f}" if slope is not None else "")
            axes.plot(sizes, heights, marker="o", markersize=4, linewidth=1.4, color=colour, label=label)
        low, high = axes.get_ylim()
        axes.set_ylim(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)))  # whole decades, with ticks
        axes.set_title(panel, loc="left", fontsize=9.5, fontweight="bold")
        axes.set_xlabel("chunks")
        axes.grid(visible=True, which="major", color="#e5e7eb", linewidth=0.6)
        axes.legend(frameon=False, fontsize=7.5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    machine, given = points[-1].machine, points[-1].given
    figure.suptitle(
        f"ragkit, {given['kind']} vectors × {given['dimension']}. {machine['processor']}, {machine['cores']} cores, "
        f"{machine['threads']} thread per process, {machine['date']}. Exponents by least squares over all sizes.",
        fontsize=9,
        x=0.01,
        ha="left",
    )
    figure.savefig(path, dpi=110)
