"""What was measured as figures: medians, ratios and shares, one record for each engine. Tables and plots read these."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

GOOD = 0.99  # of recall, or of filtered hits: less is shown as a wrong answer, and no speed counts for it


@dataclass(frozen=True)
class Asked:
    """One measure of searches. `cpu` is the mean, the others are medians and a percentile, all in milliseconds.

    `ratio` is the time over the limit's, or for a filter over the engine's own without one, the median over rounds;
    `right` is recall@10 or the share of right hits.
    """

    p50: float
    p99: float
    cpu: float
    right: float
    ratio: float | None = None
    unsupported: str = ""
    searches: int = 0  # those that were judged
    medians: tuple[float, ...] = ()  # of each round


@dataclass(frozen=True)
class Figures:
    """Of one engine; None where it was not measured. Seconds, bytes."""

    name: str
    role: str
    state: str = ""
    note: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    words: bool = False  # words count: the nearest vectors are not what it looks for
    build: float | None = None
    build_cpu: float | None = None
    peak: int | None = None
    first: float | None = None
    first_cpu: float | None = None
    complete: bool = False
    asked: dict[str, Asked] = field(default_factory=dict)
    own: int | None = None  # memory of a searching process
    mapped: int | None = None
    disk: int | None = None
    least: int = 0  # what disk is compared with
    parts: dict[str, int] = field(default_factory=dict)
    delete: float | None = None
    add: float | None = None
    replace: float | None = None
    after: float | None = None  # recall@10 after the changes
    unchangeable: str = ""


def read(measured: dict[str, Any]) -> list[Figures]:
    """In the order of the run. The limit is, round by round, the faster of those whose role it is."""
    engines = measured.get("engines", {})
    medians = [_medians(result) for result in engines.values() if result["role"] == "limit"]
    limit = [min(times) for times in zip(*filter(None, medians), strict=False)]
    return [_figures(name, result, limit, least(measured["given"])) for name, result in engines.items()]


def least(given: dict[str, Any]) -> int:
    """Bytes of the vectors in float16 and of the texts in UTF-8."""
    return int(given["rows"] * given["dimension"] * 2 + given["text_bytes"])


def _figures(name: str, result: dict[str, Any], limit: Sequence[float], smallest: int) -> Figures:
    unfiltered = _medians(result)
    made = result.get("build", {})
    changed = result.get("change", {})
    searched = result.get("search", {})
    memory = result.get("memory", {})
    parts = made.get("disk", {})
    return Figures(
        name,
        result["role"],
        state=result.get("state", ""),
        note=result.get("note", made.get("note", "")),
        versions=result.get("versions", {}),
        words=result.get("hybrid", False),
        build=made.get("seconds"),
        build_cpu=made.get("cpu"),
        peak=made.get("peak"),
        first=_median(result.get("cold", [])),
        first_cpu=_median(result.get("cold_cpu", [])),
        complete=any(each["complete"] for each in searched.get("all", {}).get("rounds", [])),
        asked={what: _asked(measure, limit if what == "all" else unfiltered) for what, measure in searched.items()},
        own=memory.get("anonymous"),
        mapped=memory.get("file"),
        disk=sum(parts.values()) if parts else None,
        least=smallest,
        parts=parts,
        delete=changed.get("delete", {}).get("seconds"),
        add=changed.get("add", {}).get("seconds"),
        replace=changed.get("replace", {}).get("seconds"),
        after=_mean(changed.get("after", {}).get("right", [])),
        unchangeable=changed.get("unsupported", ""),
    )


def _medians(result: dict[str, Any]) -> list[float]:
    """Of unfiltered searches, in milliseconds, round by round."""
    rounds = result.get("search", {}).get("all", {}).get("rounds", [])
    return [statistics.median(each["ms"]) for each in rounds]


def _asked(measure: dict[str, Any], limit: Sequence[float]) -> Asked:
    if "unsupported" in measure or not measure.get("rounds"):
        return Asked(0, 0, 0, 0, unsupported=measure.get("unsupported", "not measured"))
    rounds = measure["rounds"]
    every = sorted(time for each in rounds for time in each["ms"])
    medians = [statistics.median(each["ms"]) for each in rounds]
    ratios = [ours / other for ours, other in zip(medians, limit, strict=False)]
    return Asked(
        p50=statistics.median(every),
        p99=every[min(len(every) - 1, int(len(every) * 0.99))],
        cpu=sum(each["cpu_ms"] for each in rounds) / len(every),
        right=statistics.fmean(score for each in rounds for score in each["right"]),
        ratio=statistics.median(ratios) if ratios else None,
        searches=len(every),
        medians=tuple(medians),
    )


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
