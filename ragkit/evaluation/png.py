"""The same pictures as PNG, by matplotlib: the one file that knows it. It is an extra, `plots`."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragkit.errors import ConfigError
from ragkit.evaluation.drawing import (
    COLOURS,
    FAINT,
    INK,
    Curve,
    grouped,
    labels,
    places_of,
    scale_of,
    scale_said,
    spread,
    told,
)
from ragkit.evaluation.mapping import Map
from ragkit.evaluation.page import short_name, shortened, visible

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from ragkit.types import Chunk

_DPI = 160
_STYLES = ("-", (0, (5, 3)), (0, (1.5, 2.5)), (0, (7, 2, 1.5, 2)))
_MARKS = ("o", "s", "^", "D")
_NAME = 26  # characters of a run
_DOCUMENT = 24
_HITS = 20  # lines of the list of hits
_DIGIT = "\u2007"  # a space as wide as a digit
_RIGHT = 0.985  # of the picture's width: no text goes further
_WRAPPED = 118  # characters of a line of the note below a picture


def check_png() -> None:
    """Raises ConfigError where matplotlib is not installed: to be known before the work is done."""
    _figure(1, 1)


def curves_png(path: str | Path, curves: Sequence[Curve], title: str, about: str) -> None:
    """Recall by k: a line for each run, its 95 % interval as a band. Raises ConfigError without matplotlib."""
    _write(curves_figure(curves, title, about), path)


def curves_figure(curves: Sequence[Curve], title: str, about: str) -> Figure:
    """The same as a figure, for what else is to be done with it."""
    figure = _figure(8.6, 5.0)
    longest = max(len(short_name(curve.name, _NAME)) for curve in curves)
    axes = figure.add_axes((0.085, 0.2, 0.86 - 0.0105 * longest, 0.68))
    low, high, ticks = scale_of(curves)
    k = len(curves[0].means)
    at = range(1, k + 1)
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        axes.fill_between(at, curve.lows, curve.highs, color=colour, alpha=0.10, linewidth=0)
        axes.plot(
            at,
            curve.means,
            color=colour,
            linewidth=1.9,
            linestyle=_STYLES[number % len(_STYLES)],
            marker=_MARKS[number % len(_MARKS)] if k <= 30 else None,
            markersize=5,
            markeredgecolor="white",
            clip_on=False,
            zorder=3,
        )
    axes.set_xlim(1 - (k == 1) * 0.5, k + (k == 1) * 0.5)
    axes.set_ylim(low, high + 0.01 * (high - low))
    ends = [curve.means[-1] for curve in curves]
    edge = k + (k - 1 or 1) * 0.03
    for number, (curve, end, place) in enumerate(
        zip(curves, ends, spread(ends, 0.05 * (high - low), low, high), strict=True)
    ):
        axes.plot(
            [k, edge],
            [end, place],
            color=COLOURS[number % len(COLOURS)],
            linewidth=1,
            clip_on=False,
            solid_capstyle="butt",
        )
        name = _plain(short_name(curve.name, _NAME))
        _fit(figure, axes.text(edge + (k - 1 or 1) * 0.01, place, name, va="center", color=INK, size=9.5))
    axes.set_xticks(places_of(k))
    axes.set_yticks(ticks, [f"{tick:.2f}" for tick in ticks])
    axes.tick_params(colors=FAINT, length=0)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("k: places of the ranking", color=INK)
    axes.set_ylabel("recall@k", color=INK)
    _head(figure, title, about + scale_said(curves))
    return figure


def map_png(path: str | Path, drawn: Map, title: str) -> None:
    """The index in two dimensions, a query among its hits. Raises ConfigError without matplotlib."""
    _write(map_figure(drawn, title), path)


def map_figure(drawn: Map, title: str) -> Figure:
    """The same as a figure, for what else is to be done with it."""
    figure = _figure(10.0, 6.6)
    axes = figure.add_axes((0.02, 0.13, 0.69, 0.79))
    size = 26 if len(drawn.points) <= 300 else 13 if len(drawn.points) <= 1500 else 6
    handles: list[Artist] = []
    names: list[str] = []
    for number, group in reversed(list(enumerate(grouped(drawn.points)))):  # the grey ones below
        names.append(f"{_plain(short_name(group.name, _DOCUMENT))}  {len(group.points)}")
        handles.append(
            axes.scatter(
                [point.x for point in group.points],
                [point.y for point in group.points],
                s=size,
                c=group.colour,
                alpha=0.75,
                linewidths=0,
                zorder=2 + (10 - number) / 100,
            )
        )
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.06)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#e4e4e4")
    if drawn.at:
        names.append("the query")
        handles.append(axes.scatter(*drawn.at, s=90, marker="D", c=INK, edgecolors="white", linewidths=1.4, zorder=3))
    _key(figure, handles[::-1], names[::-1])
    _number_hits(figure, axes, drawn, size)
    _name_hits(figure, drawn)
    about = told(drawn) + (" Rings are the query's hits, in their order." if drawn.query else "")
    heading = f"{title}: “{drawn.query}”" if drawn.query else title
    _head(figure, heading, about)
    return figure


def _key(figure: Figure, handles: Sequence[Artist], names: Sequence[str]) -> None:
    """What each colour means, beside the picture."""
    if not handles:
        return
    key = figure.legend(
        handles=handles,
        labels=names,
        loc="upper left",
        bbox_to_anchor=(0.72, 0.92),
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handletextpad=0.2,
        borderaxespad=0,
        title="Passages of each document",
        title_fontsize=8.5,
        alignment="left",
    )
    key.get_title().set_color(FAINT)
    for name in key.get_texts():
        _fit(figure, name, left=0.745)
    for handle in key.legend_handles:
        handle.set_sizes([45])  # type: ignore[union-attr]  # they are those of scatter


def _name_hits(figure: Figure, drawn: Map) -> None:
    """Where each hit stands, below the key: a picture has no tooltips."""
    hits = sorted((point for point in drawn.points if point.hit), key=lambda point: point.hit)
    if not hits:
        return
    lines = [f"{point.hit}".rjust(2, _DIGIT) + f"  {_stands(point.chunk)}" for point in hits[:_HITS]]
    if len(hits) > _HITS:
        lines[-1] = f"… and {len(hits) - _HITS + 1} more"
    _fit(figure, figure.text(0.724, 0.62, _plain("\n".join(lines)), size=7.5, color=INK, va="top", linespacing=1.5))


def _stands(chunk: Chunk) -> str:
    page = f"page {chunk.page}, " if chunk.page is not None else ""
    return f"{short_name(chunk.source, _DOCUMENT)}, {page}line {chunk.line}"


def _number_hits(figure: Figure, axes: Any, drawn: Map, size: float) -> None:
    """Rings with numbers beside them. Boxes are placed in pixels, where the size of a letter is known."""
    hits = sorted((point for point in drawn.points if point.hit), key=lambda point: point.hit)
    if not hits:
        return
    with _any_letter():
        figure.draw_without_rendering()  # settles the limits, which the equal scale of both axes changes
    axes.autoscale(False)  # what is drawn from here on must not move them
    pixel = figure.dpi / 72
    box = axes.bbox
    there = axes.transData.transform([(point.x, point.y) for point in hits])
    taken = [(*axes.transData.transform(drawn.at), 11 * pixel)] if drawn.at else []
    boxes = labels(
        [(float(x), float(y)) for x, y in there],
        (16 * pixel, 12 * pixel),
        (box.x0, box.y0, box.x1, box.y1),
        taken=taken,
        near=15 * pixel,
    )
    back = axes.transData.inverted().transform(boxes)
    for point, (x, y) in zip(hits, back, strict=True):
        axes.plot([point.x, x], [point.y, y], color=FAINT, linewidth=0.8, zorder=4)
        for colour, line in (("white", 2.6), (INK, 1.2)):  # wide enough around the dot to leave its colour visible
            axes.scatter(
                point.x, point.y, s=max(60, size * 3), facecolors="none", edgecolors=colour, linewidths=line, zorder=5
            )
        axes.text(
            x,
            y,
            str(point.hit),
            ha="center",
            va="center",
            size=8,
            color=INK,
            zorder=7,
            bbox={"boxstyle": "round,pad=0.18", "fc": "white", "ec": INK, "lw": 0.6},
        )


def _figure(width: float, height: float) -> Figure:
    """An empty figure in inches, without the state and the windows of pyplot."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "a PNG is drawn by matplotlib, which is not installed",
            "run: pip install matplotlib; or name a file that ends in .html, which needs nothing",
        ) from error
    return Figure(figsize=(width, height), dpi=_DPI, facecolor="white")


def _head(figure: Figure, title: str, about: str) -> None:
    """A title above the picture, and below it what it shows."""
    _fit(figure, figure.text(0.02, 0.955, _plain(shortened(title, 90)), size=12, weight="bold", color=INK, va="center"))
    below = "\n".join(textwrap.wrap(_plain(about), _WRAPPED))
    _fit(figure, figure.text(0.02, 0.015, below, size=8, color=FAINT, va="bottom"))


def _fit(figure: Figure, text: Text, *, left: float | None = None) -> None:
    """Make the letters smaller where they would go over the edge; `left` is where they begin, where that is not known.

    Scripts differ in how wide their letters are: a count of characters says little.
    """
    with _any_letter():
        box = text.get_window_extent()
    room = _RIGHT * figure.bbox.width - (box.x0 if left is None else left * figure.bbox.width)
    if box.width > room:
        text.set_fontsize(float(text.get_fontsize()) * room / box.width)


def _write(figure: Figure, path: str | Path) -> None:
    with _any_letter():
        figure.savefig(Path(path), format="png", metadata={"Software": "ragkit"})


@contextmanager
def _any_letter() -> Iterator[None]:
    """A letter that no font has is drawn as a box, and nothing is said of it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield


def _plain(text: str) -> str:
    """Text of a document in which no dollar begins a formula."""
    return visible(text).replace("$", r"\$")
