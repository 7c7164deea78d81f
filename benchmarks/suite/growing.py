"""growth.md and growth.png out of growth.json: curves over the size, with fitted exponents. It measures nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite.figures import GOOD, Figures, read
from benchmarks.suite.report import mb, ms, number, share, table
from benchmarks.suite.report import targets as target_table
from benchmarks.suite.targets import CHANGE, EXACT, Target, disk

FASTER, MEMORY, SLOWER_FIRST = 15, 0.5e9, 2  # targets at a million: times exact search, bytes, times 10 000's first hit


@dataclass(frozen=True)
class Point:
    """One size of one kind."""

    rows: int
    kind: str
    given: dict[str, Any]
    engines: dict[str, Figures]
    machine: dict[str, Any]

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


def write_growth(results: Path) -> None:
    measured = json.loads((results / "growth.json").read_text("utf-8"))
    points = [_point(each) for each in measured.values()]
    curve = sorted((each for each in points if each.kind == "clustered"), key=lambda each: each.rows)
    others = [each for each in points if each.kind != "clustered"]
    (results / "growth.md").write_text(page(curve, others), "utf-8")
    try:
        from benchmarks.suite.curves import draw_growth
    except ImportError as error:
        print(f"no plot: {error}; install the extra: pip install '.[plots]'")
        return
    draw_growth(curve, results / "growth.png")


def page(curve: list[Point], others: list[Point]) -> str:
    machine = (curve or others)[-1].machine
    blocks = [
        "# How ragkit grows",
        f"Written by `python -m benchmarks.growth`. {machine['date']}, {machine['processor']}, {machine['cores']} "
        f"cores, {machine['memory_gb']:.0f} GB, {machine['threads']} thread for each process. Each document is a chunk "
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


def of_growth(curve: list[Point], others: list[Point]) -> list[Target]:
    """At the largest size, whatever it is: a target that is meant for a million says how many were measured."""
    found = []
    largest = curve[-1:] + others
    for each in largest:
        where, right = f"{each.rows:,} {each.kind}", each.ragkit.asked["all"].right
        what = f"{each.faster:.1f} times, recall@10 {right:.3f}"
        met = each.faster >= FASTER and right >= GOOD
        found.append(Target(f"dense search over exact, {where}", f"≥ {FASTER} times, ≥ {GOOD}", what, met))
        asked, plain = each.ragkit.asked["hundredth"], each.ragkit.asked["all"]
        what = f"right {asked.right:.3f}, {asked.p50:.2f} ms against {plain.p50:.2f} ms"
        met = asked.right >= EXACT and asked.p50 <= plain.p50
        found.append(Target(f"filtered at 1 %, {where}", f"≥ {EXACT} exact, no slower", what, met))
    for each in curve[-1:]:
        own = each.engines["ragkit-hybrid"].own or 0
        what = f"{own / 1e6:,.0f} MB"
        found.append(Target(f"memory beyond mapped files, {each.rows:,}", "≤ 500 MB", what, own <= MEMORY))
        found.append(disk(each.ragkit.parts, each.given))
        small = next((point for point in curve if point.rows == 10_000), None)
        if small and small is not each and small.ragkit.first and each.ragkit.first:
            times = each.ragkit.first / small.ragkit.first
            what = f"{times:.2f} times"
            found.append(Target(f"first hit, {each.rows:,} over 10,000", f"< {SLOWER_FIRST} times", what, times < 2))
    for each in curve:
        if each.rows == 100_000 and each.ragkit.replace and each.ragkit.build:
            part = each.ragkit.replace / each.ragkit.build
            found.append(
                Target("one changed document, 100,000", f"≤ {CHANGE:.0%} of building", f"{part:.2%}", part <= CHANGE)
            )
    return found


def _curves(curve: list[Point]) -> str:
    rows = []
    for each in CURVES:
        values = [each.value(point) for point in curve]
        there = [(point.rows, value) for point, value in zip(curve, values, strict=True) if value]
        slope = exponent([size for size, _ in there], [value for _, value in there])
        last = exponent([size for size, _ in there[-2:]], [value for _, value in there[-2:]])
        shown = [number(value, 3 if value < 10 else 0) if value else "" for value in values]
        rows.append([each.panel, each.name, *shown, number(slope, 2), number(last, 2)])
    head = ["what", "of", *(f"{point.rows:,}" for point in curve), "exponent", "of the last step"]
    note = (
        "Exponents: least squares through the logarithms, over all sizes and over the last two. "
        "1 is linear, 0 constant."
    )
    return table(head, rows) + "\n\n" + note


def _approximate(points: list[Point]) -> str:
    rows = []
    for each in points:
        dense, exact = each.ragkit.asked["all"], each.p50("numpy-mapped")
        filters = [
            f"{ms(a.p50)}, right {share(a.right)}"
            for a in map(each.ragkit.asked.get, ("half", "hundredth", "rare"))
            if a
        ]
        own = [mb(each.ragkit.own), mb(each.engines["ragkit-hybrid"].own)]
        row = [
            f"{each.rows:,} {each.kind}",
            ms(exact or 0),
            ms(dense.p50),
            ms(dense.p99),
            f"{each.faster:.1f}",
            share(dense.right),
        ]
        rows.append([*row, *filters, *own])
    head = ["vectors", "exact ms", "dense p50 ms", "p99 ms", "times faster", "recall@10"]
    filters = [f"filtered {name}, ms" for name in ("50 %", "1 %", "0.01 %")]
    note = (
        "Exact: numpy over the same rows in a mapped file, vectors only. "
        "Memory: own, after dense and after hybrid searches."
    )
    return table([*head, *filters, "MB dense", "MB hybrid"], rows) + "\n\n" + note


def _point(measured: dict[str, Any]) -> Point:
    engines = {each.name: each for each in read(measured["engines"])}
    given = measured["given"]
    return Point(given["rows"], given["kind"], given, engines, measured["machine"])
