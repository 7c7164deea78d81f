"""What ragkit should reach, beside what it reached. A target that was not measured is not in the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.suite.figures import GOOD, Figures

WARM = 1.2  # times raw faiss or numpy, with text and metadata
CHANGE = 0.01  # of building
EXACT = 0.999  # of the filtered hits: rows in half precision may change places with the next one
DISK = 1.15  # times vectors in float16 and texts in UTF-8


@dataclass(frozen=True)
class Target:
    what: str
    wanted: str
    measured: str
    met: bool


def of_the_suite(measured: dict[str, Any], figures: list[Figures]) -> list[Target]:
    """Those that one size tells of; benchmarks/growth.py has the others."""
    ours = next((each for each in figures if each.name == "ragkit" and not each.state and "all" in each.asked), None)
    if ours is None:
        return []
    found = []
    warm, filtered = ours.asked["all"], ours.asked["hundredth"]
    if warm.ratio is not None:
        met = warm.ratio <= WARM and warm.right >= GOOD
        what = f"{warm.ratio:.2f}, recall@10 {warm.right:.3f}"
        found.append(Target("warm query over the limit", f"≤ {WARM}, recall@10 ≥ {GOOD}", what, met))
    peers = {each.name: each.asked["all"].p50 for each in figures if _answers(each)}
    if peers:
        fastest = min(peers, key=lambda name: peers[name])
        what = f"{warm.p50:.2f} ms; {fastest} {peers[fastest]:.2f} ms"
        found.append(Target("warm query", "faster than every peer that is right", what, warm.p50 < peers[fastest]))
    met = filtered.right >= EXACT and filtered.p50 <= warm.p50
    what = f"right {filtered.right:.3f}, {filtered.p50:.2f} ms against {warm.p50:.2f} ms"
    found.append(Target("filtered at 1 %", f"≥ {EXACT} exact, no slower than unfiltered", what, met))
    if ours.replace and ours.build:
        part = ours.replace / ours.build
        found.append(Target("one changed document", f"≤ {CHANGE:.0%} of building", f"{part:.2%}", part <= CHANGE))
    if ours.disk:
        found.append(disk(ours.parts, measured["given"]))
    return found


def disk(parts: dict[str, int], given: dict[str, Any]) -> Target:
    """With and without the word index: whether it counts is for the reader to say; the target is met with it only."""
    least = given["rows"] * given["dimension"] * 2 + given["text_bytes"]
    whole = sum(parts.values())
    with_words, without = whole / least, (whole - parts.get("lexical", 0)) / least
    what = f"{with_words:.2f} with the word index, {without:.2f} without"
    return Target("disk over float16 vectors and UTF-8 texts", f"≤ {DISK}", what, with_words <= DISK)


def _answers(each: Figures) -> bool:
    """A peer whose answers are right: what is fast and wrong is no measure."""
    return each.role == "peer" and not each.state and "all" in each.asked and each.asked["all"].right >= GOOD
