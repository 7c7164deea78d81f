"""growth.md and growth.png out of growth.json: curves over the size, with fitted exponents. It measures nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite.columns import APART, FILTERS
from benchmarks.suite.engines import FOR_GROWTH, USUAL
from benchmarks.suite.figures import GOOD, Figures, read
from benchmarks.suite.formats import filtered, mb, number, share, table, thousandths, times
from benchmarks.suite.report import targets as target_table
from benchmarks.suite.targets import Target, changed, disk
from benchmarks.suite.targets import filtered as filtered_target

MILLION = 1_000_000
FASTER, MEMORY, SLOWER_FIRST = 15, 0.5e9, 2  # targets at a million: times exact search, bytes, times 10 000's first hit


@dataclass(frozen=True)
class Point:
    """One size of one kind."""

    rows: int
    kind: str
    given: dict[str, Any]
    engines: dict[str, Figures]
    machine: dict[str, Any]
    store: dict[str, int] = field(default_factory=dict)  # from how many vectors on it did what, when it was measured

    @property
    def ragkit(self) -> Figures:
        return self.engines["ragkit"]

    def p50(self, engine: str, what: str = "all") -> float | None:
        asked = self.engines[engine].asked.get(what) if engine in self.engines else None
        return asked.p50 if asked and not asked.unsupported else None

    @property
    def faster(self) -> float:
        """Times exact search over a mapped file."""
        return (self.p50("numpy-mapped") or 0) / (self.p50("ragkit") or 1)


@dataclass(frozen=True)
class Curve:
    panel: str
    name: str
    value: Callable[[Point], float | None]


CURVES = [
    Curve("index, s", "CPU", lambda p: p.ragkit.build_cpu),
    Curve("index, s", "clock", lambda p: p.ragkit.build),
    Curve("one changed document, s", "clock", lambda p: p.ragkit.replace),
    Curve("search, p50 ms", "dense", lambda p: p.p50("ragkit")),
    Curve("search, p50 ms", "words", lambda p: p.p50("ragkit-lexical")),
    Curve("search, p50 ms", "hybrid", lambda p: p.p50("ragkit-hybrid")),
    Curve("search, p50 ms", "exact, numpy", lambda p: p.p50("numpy-mapped")),
    Curve("cold process to first hit, s", "dense", lambda p: p.ragkit.first),
    Curve("cold process to first hit, s", "hybrid", lambda p: p.engines["ragkit-hybrid"].first),
    Curve("memory, MB", "search, own", lambda p: (p.engines["ragkit-hybrid"].own or 0) / 1e6),
    Curve("memory, MB", "search, mapped files", lambda p: (p.engines["ragkit-hybrid"].mapped or 0) / 1e6),
    Curve("memory, MB", "indexing, own, at most", lambda p: (p.ragkit.peak or 0) / 1e6),
    Curve("disk, MB", "all", lambda p: (p.ragkit.disk or 0) / 1e6),
    Curve("disk, MB", "vectors", lambda p: p.ragkit.parts.get("vectors", 0) / 1e6),
    Curve("disk, MB", "catalog", lambda p: p.ragkit.parts.get("catalog.sqlite", 0) / 1e6),
    Curve("disk, MB", "word index", lambda p: p.ragkit.parts.get("lexical", 0) / 1e6),
    Curve("disk, MB", "codes", lambda p: p.ragkit.parts.get("ann", 0) / 1e6),
]


def exponent(sizes: list[int], values: list[float]) -> float | None:
    """The slope of a least-squares line through the logarithms; None for less than two values."""
    if len(values) < 2:
        return None
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def write_growth(results: Path, *, plots: bool = True) -> None:
    measured = json.loads((results / "growth.json").read_text("utf-8"))
    points = [_point(each) for each in measured.values()]
    curve = sorted((each for each in points if each.kind == "clustered"), key=lambda each: each.rows)
    others = sorted((each for each in points if each.kind != "clustered"), key=lambda each: each.rows)
    (results / "growth.md").write_text(page(curve, others), "utf-8")
    if not plots:
        return
    try:
        from benchmarks.suite.curves import draw_growth
    except ImportError as error:
        print(f"no plot: {error}; install the extra: pip install '.[plots]'")
        return
    draw_growth(curve, results / "growth.png")


def page(curve: list[Point], others: list[Point]) -> str:
    threads = (curve or others)[-1].machine["threads"]
    days = " and ".join(sorted({point.machine["date"] for point in [*curve, *others]}))
    blocks = [
        "# How ragkit grows",
        f"Written by `python -m benchmarks.growth`. {days}, {_machines([*curve, *others])}; {threads} thread for each "
        "process. Each document is a chunk "
        "of 300 to 800 characters with a vector that is given, so embedding costs nothing.",
        "![](growth.png)",
        "## Targets",
        target_table(of_growth(curve, others)),
        "## Curves",
        _curves(curve),
        "## Exact and approximate",
        _approximate([*curve, *others]),
    ]
    return "\n\n".join(blocks) + "\n"


def _machines(points: list[Point]) -> str:
    """The machine; of several each with the sizes that were measured on it."""
    sizes: dict[str, list[str]] = {}
    for each in points:
        found = each.machine
        name = f"{found['processor']}, {found['cores']} cores, {found['memory_gb']:.0f} GB"
        sizes.setdefault(name, []).append(f"{each.rows:,} {each.kind}")
    if len(sizes) == 1:
        return next(iter(sizes))
    return "; ".join(f"{name} ({', '.join(measured)})" for name, measured in sizes.items())


def of_growth(curve: list[Point], others: list[Point]) -> list[Target]:
    """What is meant for a million is told of a million only."""
    found = []
    for each in [*curve[-1:], *others]:
        where, dense = f"{each.rows:,} {each.kind}", each.ragkit.asked["all"]
        if each.rows == MILLION:
            what = f"{times(each.faster)}, recall@10 {thousandths(dense.right)}"
            met = each.faster >= FASTER and dense.right >= GOOD
            found.append(Target(f"exact search over dense, {where}", f"≥ {FASTER}×, recall@10 ≥ {GOOD}", what, met))
        found.append(filtered_target(f"filtered at 1 %, {where}", each.ragkit.asked["hundredth"]))
    by_rows = {each.rows: each for each in curve}
    if largest := by_rows.get(MILLION):
        own = largest.engines["ragkit-hybrid"].own or 0
        wanted = f"≤ {mb(int(MEMORY))} MB"
        found.append(Target(f"memory beyond mapped files, {MILLION:,}", wanted, f"{mb(own)} MB", own <= MEMORY))
        small = by_rows.get(10_000)
        if small and small.ragkit.first and largest.ragkit.first:
            ratio = largest.ragkit.first / small.ragkit.first
            what = f"first hit, {MILLION:,} over 10,000"
            found.append(Target(what, f"< {SLOWER_FIRST}×", times(ratio), ratio < SLOWER_FIRST))
    found += [disk(each.ragkit) for each in curve[-1:]]
    if (middle := by_rows.get(100_000)) and middle.ragkit.replace and middle.ragkit.build:
        found.append(changed("one changed document, 100,000", middle.ragkit.replace / middle.ragkit.build))
    return found


def _curves(curve: list[Point]) -> str:
    rows = []
    for each in CURVES:
        values = [each.value(point) for point in curve]
        there = [(point.rows, value) for point, value in zip(curve, values, strict=True) if value]
        slope = exponent([size for size, _ in there], [value for _, value in there])
        last = exponent([size for size, _ in there[-2:]], [value for _, value in there[-2:]])
        shown = [number(value or None) for value in values]
        rows.append([each.panel, each.name, *shown, _slope(slope), _slope(last)])
    head = ["what", "of", *(f"{point.rows:,}" for point in curve), "exponent", "of the last step"]
    note = (
        "Exponents: least squares through the logarithms, over all sizes and over the last two. 1 is linear, 0 "
        "constant. Empty: few vectors wait in the catalog and have no file of their own; of not so many there are no "
        "codes, and a search looks at every vector, in half precision."
    )
    for store in {tuple(each.store.values()): each.store for each in curve if each.store}.values():
        note += f" The file begins with {store['seal']:,} vectors, codes with {store['codes']:,}."
    return table(head, rows) + "\n\n" + note


def _slope(value: float | None) -> str:
    return f"{value:.2f}" if value is not None else ""


def _approximate(points: list[Point]) -> str:
    rows = []
    fields = [field for field in FILTERS if any(field in each.ragkit.asked for each in points)]
    for each in points:
        dense, exact = each.ragkit.asked["all"], each.p50("numpy-mapped")
        taken = [number(exact), number(dense.p50), number(dense.p99), number(dense.cpu), times(each.faster)]
        filters = [filtered(each.ragkit.asked.get(field)) for field in fields]
        own = [mb(each.ragkit.own), mb(each.engines["ragkit-hybrid"].own), str(each.machine["load"])]
        rows.append([f"{each.rows:,} {each.kind}", *taken, share(dense.right), *filters, *own])
    head = ["vectors", "exact p50 ms", "dense p50 ms", "p99 ms", "CPU ms", "exact over dense", "recall@10"]
    head += [*(f"filtered {FILTERS[field]}" for field in fields), "MB dense", "MB hybrid", "load"]
    note = (
        "Exact: numpy over the same rows in a mapped file, vectors only. Filtered: median ms, times unfiltered, which "
        "is the median of the ratios of rounds, and the share of the hits that are right. Recall@10 and right are "
        f"rounded down; less than {GOOD} is bold and counts as wrong. MB: own memory, after dense and after hybrid "
        "searches. Load: of the machine, when a size was begun."
    )
    apart = APART.format(page="suite.md", here=len(FOR_GROWTH), there=len(USUAL))
    return "\n\n".join([table(head, rows), note, apart])


def _point(measured: dict[str, Any]) -> Point:
    engines = {each.name: each for each in read(measured)}
    given = measured["given"]
    return Point(given["rows"], given["kind"], given, engines, measured["machine"], measured.get("store", {}))
