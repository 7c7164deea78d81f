"""What both kinds of picture share: colours that everybody can tell apart, scales, and labels that do not collide.

Pure numbers and words; it knows neither SVG nor matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragkit.evaluation.intervals import interval
from ragkit.evaluation.mapping import Map, Point
from ragkit.evaluation.measures import Grades, recall
from ragkit.evaluation.retrieval import Evaluation

# Okabe and Ito, Color Universal Design (2008): told apart with every common kind of colour vision. Without its yellow
# and black, which are too light for a line on white and too near to text.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7")
GREY = "#b4b4b4"
INK = "#222222"
FAINT = "#6a6a6a"
_ALL = 0.995  # share of the differences from which a plane is said to show all of them
_CANDIDATES = 24  # places around a point that are tried for its label, at each distance


@dataclass(frozen=True, slots=True)
class Curve:
    """Recall by k of one run: at k = 1, 2, … its mean with the bounds of its 95 % interval."""

    name: str
    means: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The points of one document, or of all that share what colours are left."""

    name: str
    colour: str
    points: tuple[Point, ...]


def curves(runs: Sequence[Evaluation], qrels: Mapping[str, Grades], k: int) -> list[Curve]:
    """Recall of each run at every place up to k, by the same judgements."""
    found = []
    for run in runs:
        at = [
            interval([recall(qrels[id], names, cut) for id, names in zip(run.queries, run.rankings, strict=True)])
            for cut in range(1, k + 1)
        ]
        means, lows, highs = (tuple(getattr(each, bound) for each in at) for bound in ("mean", "low", "high"))
        found.append(Curve(run.name, means, lows, highs))
    return found


def scale_of(drawn: Iterable[Curve]) -> tuple[float, float, list[float]]:
    """Bounds of the axis of recall and its ticks: from the tenth below the lowest value up to 1."""
    lowest = min((low for curve in drawn for low in curve.lows), default=0.0)
    low = max(0.0, math.floor(lowest * 10 - 0.2) / 10)
    step = 0.2 if low < 0.3 else 0.1 if low < 0.7 else 0.05 if low < 0.9 else 0.02
    ticks = [round(1 - step * i, 2) for i in range(round((1 - low) / step) + 1)]
    return min(low, ticks[-1]), 1.0, sorted(ticks)


def scale_said(drawn: Iterable[Curve]) -> str:
    """What a reader must know of the axis of recall, as a sentence; empty where it begins at 0."""
    low = scale_of(drawn)[0]
    return f" The axis of recall begins at {low:.2f}." if low > 0 else ""


def places_of(k: int) -> list[int]:
    """Ticks of the axis of k."""
    if k <= 12:
        return list(range(1, k + 1))
    step = next(step for step in (5, 10, 20, 50, 100, 200, 500, 1000, 10_000) if k / step <= 10)
    return [1, *range(step, k + 1, step)]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels in one column: each as near as may be to where it is wanted, none nearer than `gap`."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed: dict[int, float] = {}
    last = low - gap
    for i in order:
        last = placed[i] = max(wanted[i], last + gap)
    limit = high
    for i in reversed(order):
        limit = placed[i] = min(placed[i], limit)
        limit -= gap
    return [placed[i] for i in range(len(wanted))]


def grouped(points: Sequence[Point]) -> list[Group]:
    """The documents with most points, one colour each, then all others in grey.

    Where there are more documents than colours, those of a query's hits come first, in the order of the hits.
    """
    by_source: dict[str, list[Point]] = {}
    for point in points:
        by_source.setdefault(point.chunk.source, []).append(point)
    order = sorted(by_source, key=lambda source: (-len(by_source[source]), source))
    if len(order) > len(COLOURS):
        hits = sorted((point for point in points if point.hit), key=lambda point: point.hit)
        order = list(dict.fromkeys([*(point.chunk.source for point in hits), *order]))
    own = len(COLOURS) if len(order) != len(COLOURS) + 1 else len(COLOURS) - 1
    groups = [
        Group(source, colour, tuple(by_source[source])) for source, colour in zip(order, COLOURS[:own], strict=False)
    ]
    rest = order[own:]
    if rest:
        others = tuple(point for source in rest for point in by_source[source])
        groups.append(Group(f"{len(rest)} other documents", GREY, others))
    return groups


def told(drawn: Map) -> str:
    """What the picture shows and what it leaves out, in a sentence or two."""
    if not drawn.chunks:
        return "Nothing is indexed, so there is nothing to draw."
    passages = f"{drawn.chunks} passage{'s' * (drawn.chunks != 1)}"
    documents = f"{drawn.documents} document{'s' * (drawn.documents != 1)}"
    if len(drawn.points) < drawn.chunks:
        passages = f"{len(drawn.points)} of {passages}, taken at even distances,"
    shown = f"{passages} of {documents}."
    share = sum(drawn.explained)
    if len(drawn.points) < 2:
        return shown
    if not share:
        return f"{shown} Their vectors are all alike."
    plane = "all of" if share > _ALL else f"{100 * share:.0f} % of"
    doubt = "" if share > _ALL else ", so what lies near may still differ"
    query = "; a short query often lies apart from its hits, which were found by more than the plane shows"
    return (
        f"{shown} Passages whose vectors are alike lie near each other; the plane shows {plane} what the vectors "
        f"differ in{doubt}{query if drawn.query else ''}."
    )


def labels(
    points: Sequence[tuple[float, float]],
    size: tuple[float, float],
    bounds: tuple[float, float, float, float],
    *,
    taken: Sequence[tuple[float, float, float]] = (),
    near: float = 14.0,
) -> list[tuple[float, float]]:
    """The middle of a label of that size for each point, in order: near it, inside the bounds, on nothing else.

    Args:
        points: what is labelled, in the units of the picture.
        size: width and height of a label.
        bounds: left, top, right and bottom.
        taken: circles (x, y, radius) that labels keep off, beside the points themselves.
        near: the least distance from a point to its label.
    """
    width, height = size
    left, top, right, bottom = bounds
    circles = [*taken, *((x, y, near / 2) for x, y in points)]
    placed: list[tuple[float, float]] = []
    for x, y in points:
        choices = [
            (x + ring * near * math.cos(turn), y + ring * near * math.sin(turn))
            for ring in (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
            for turn in (2 * math.pi * i / _CANDIDATES - math.pi / 4 for i in range(_CANDIDATES))
        ]
        inside = [
            (cx, cy)
            for cx, cy in choices
            if left + width / 2 <= cx <= right - width / 2 and top + height / 2 <= cy <= bottom - height / 2
        ]
        free = (
            (cx, cy)
            for cx, cy in inside
            if all(abs(cx - px) >= width or abs(cy - py) >= height for px, py in placed)
            and all(not _touches(cx, cy, width, height, circle) for circle in circles)
        )
        placed.append(next(free, inside[0] if inside else (x, y)))
    return placed


def _touches(x: float, y: float, width: float, height: float, circle: tuple[float, float, float]) -> bool:
    """Whether a box around (x, y) reaches into a circle."""
    cx, cy, radius = circle
    dx, dy = max(abs(cx - x) - width / 2, 0.0), max(abs(cy - y) - height / 2, 0.0)
    return dx * dx + dy * dy < radius * radius
