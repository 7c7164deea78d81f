"""suite.png: a panel for each measure, a bar for each engine, logarithmic; ragkit in colour. Only this draws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.suite.figures import GOOD, Asked, Figures, read

OURS, LIMIT, PEER, QUIET = "#c2410c", "#111827", "#9ca3af", "#6b7280"
COLOURS = {"ragkit": OURS, "limit": LIMIT, "peer": PEER}
LEFT_OUT = {"ragkit-metadata", "numpy-mapped"}  # in the tables only


def draw(measured: dict[str, Any], path: Path) -> None:
    figures = [each for each in read(measured["engines"]) if each.name not in LEFT_OUT]
    given = measured["given"]
    least = given["rows"] * given["dimension"] * 2 + given["text_bytes"]
    mpl.rcParams.update({"font.size": 8, "font.family": "DejaVu Sans"})
    panels: list[tuple[str, Callable[[Axes], None]]] = [
        ("Warm query, p50, ms (× limit)", lambda axes: _searches(axes, figures, "all")),
        ("Filtered to 1 %, p50, ms (× unfiltered)", lambda axes: _searches(axes, figures, "hundredth")),
        ("Cold process to first hit, s", lambda axes: _bars(axes, figures, lambda f: f.first, "{:.2f}")),
        ("Build and persist, s", lambda axes: _bars(axes, figures, lambda f: f.build, "{:.1f}")),
        ("Change one document, s", lambda axes: _bars(axes, figures, lambda f: f.replace, "{:.3f}")),
        ("Memory of a searching process, MB", lambda axes: _bars(axes, figures, lambda f: _mb(f.own), "{:.0f}")),
        (
            f"Disk, MB (× float16 and text: {least / 1e6:,.0f} MB)",
            lambda axes: _bars(axes, figures, lambda f: _mb(f.disk), "{:.0f}", least / 1e6),
        ),
        (
            "Filtered to 0.01 %, p50, ms (× unfiltered)",
            lambda axes: _searches(axes, figures, "rare"),
        ),
    ]
    figure = Figure(figsize=(11, 14), layout="constrained")
    for place, (title, fill) in enumerate(panels, 1):
        axes = figure.add_subplot(4, 2, place)
        fill(axes)
        axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold")
    machine = measured["machine"]
    figure.suptitle(
        f"{given['rows']:,} {given['kind']} vectors × {given['dimension']}, with text and metadata. "
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} thread per process, "
        f"{machine['date']}.\n"
        "Black: raw numpy and faiss, vectors only. Hatched: answers that are not right, with the share that is.",
        fontsize=9,
        x=0.01,
        ha="left",
    )
    figure.savefig(path, dpi=110)


def _searches(axes: Axes, figures: list[Figures], what: str) -> None:
    """Wrong answers are hatched, so that their bar is not read as speed."""
    rows = [each for each in figures if each.asked.get(what)]
    rows.sort(key=lambda each: (bool(each.asked[what].unsupported), each.asked[what].p50))
    times = [each.asked[what].p50 for each in rows if not each.asked[what].unsupported]
    _axis(axes, rows, times)
    for place, each in enumerate(rows):
        asked = each.asked[what]
        if asked.unsupported:
            _say(axes, min(times), place, "not supported", QUIET)
            continue
        wrong = asked.right < GOOD and not each.words
        colour = COLOURS[each.role]
        bar = {"color": "white", "edgecolor": colour, "hatch": "////"} if wrong else {"color": colour}
        axes.barh(place, asked.p50, height=0.7, **bar)
        _say(axes, asked.p50, place, _label(asked, wrong=wrong), colour if each.role == "ragkit" else LIMIT)


def _label(asked: Asked, *, wrong: bool) -> str:
    shown = f"{asked.p50:.2f}" if asked.p50 < 10 else f"{asked.p50:.0f}"
    over = f" ({asked.ratio:.2g}×)" if asked.ratio else ""
    return shown + over + (f", right {asked.right:.2f}" if wrong else "")


def _bars(
    axes: Axes,
    figures: list[Figures],
    value: Callable[[Figures], float | None],
    form: str,
    over: float | None = None,
) -> None:
    pairs = sorted(((value(each) or 0.0, each) for each in figures if value(each)), key=lambda pair: pair[0])
    _axis(axes, [each for _, each in pairs], [amount for amount, _ in pairs])
    for place, (amount, each) in enumerate(pairs):
        axes.barh(place, amount, height=0.7, color=COLOURS[each.role])
        shown = form.format(amount) + (f" ({amount / over:.2f}×)" if over else "")
        _say(axes, amount, place, shown, OURS if each.role == "ragkit" else LIMIT)


def _axis(axes: Axes, rows: list[Figures], values: list[float]) -> None:
    """Best on top, no frame, room on the right for the figures."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    if values:
        low, high = min(values), max(values)
        axes.set_xlim(low / 2, high * (high / low) ** 0.5 * 2)
    axes.set_yticks(range(len(rows)), [each.name for each in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    for label, each in zip(axes.get_yticklabels(), rows, strict=True):
        if each.role == "ragkit":
            label.set_color(OURS)
            label.set_fontweight("bold")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=QUIET)
    axes.spines["bottom"].set_color("#d1d5db")


def _say(axes: Axes, at: float, place: int, text: str, colour: str) -> None:
    axes.annotate(text, (at, place), xytext=(3, 0), textcoords="offset points", va="center", color=colour, fontsize=7.5)


def _mb(value: int | None) -> float | None:
    return value / 1e6 if value else None
