"""What ragkit should reach, beside what it reached. A target that was not measured is not in the list."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from benchmarks.suite.figures import GOOD, Asked, Figures
from benchmarks.suite.formats import number, percent, thousandths, times

WARM = 1.2  # times raw faiss or numpy, with text and metadata
CHANGE = 0.01  # of building
FILTERED = 0.999  # of the filtered hits, beyond GOOD: of some hundred hits, which are compared by their ids, all
DISK = 1.15  # times vectors in float16 and texts in UTF-8


@dataclass(frozen=True)
class Target:
    what: str
    wanted: str
    measured: str
    met: bool


def of_the_suite(figures: list[Figures]) -> list[Target]:
    """Those that one size tells of; benchmarks/growth.py has the others."""
    ours = next((each for each in figures if each.name == "ragkit" and not each.state and "all" in each.asked), None)
    if ours is None:
        return []
    found = []
    warm = ours.asked["all"]
    if warm.ratio is not None:
        met = warm.ratio <= WARM and warm.right >= GOOD
        what = f"{times(warm.ratio)}, recall@10 {thousandths(warm.right)}"
        found.append(Target("warm query over the limit", f"≤ {WARM}×, recall@10 ≥ {GOOD}", what, met))
    peers = [each for each in figures if _answers(each)]
    if peers:
        over = {each.name: _ratio(warm, each.asked["all"]) for each in peers}
        fastest = max(peers, key=lambda each: over[each.name])
        what = (
            f"{times(over[fastest.name])} {fastest.name}; {number(warm.p50)} and {number(fastest.asked['all'].p50)} ms"
        )
        wanted = f"< 1× every peer with recall@10 ≥ {GOOD}"
        found.append(Target("warm query", wanted, what, over[fastest.name] < 1))
    found.append(filtered("filtered at 1 %", ours.asked["hundredth"]))
    if ours.replace and ours.build:
        found.append(changed("one changed document", ours.replace / ours.build))
    if ours.disk:
        found.append(disk(ours))
    return found


def _ratio(ours: Asked, theirs: Asked) -> float:
    """Of the rounds' medians, the median over rounds: both were asked at about the same time."""
    return statistics.median(a / b for a, b in zip(ours.medians, theirs.medians, strict=True))


def filtered(what: str, asked: Asked) -> Target:
    """Right, and no slower than the same searches' engine without a filter."""
    measured = f"right {thousandths(asked.right)} in {asked.searches} searches, {times(asked.ratio)}"
    met = asked.right >= FILTERED and asked.ratio is not None and asked.ratio <= 1
    return Target(what, f"right ≥ {FILTERED}, ≤ 1× unfiltered", measured, met)


def changed(what: str, part: float) -> Target:
    return Target(what, f"≤ {CHANGE * 100:g} % of building", percent(part), part <= CHANGE)


def disk(ours: Figures) -> Target:
    """With and without the word index: whether it counts is for the reader to say; the target is met with it only."""
    whole = sum(ours.parts.values())
    with_words, without = whole / ours.least, (whole - ours.parts.get("lexical", 0)) / ours.least
    what = f"{times(with_words)} with the word index, {times(without)} without"
    return Target("disk over float16 vectors and UTF-8 texts", f"≤ {DISK}×", what, with_words <= DISK)


def _answers(each: Figures) -> bool:
    """A peer whose answers are right: what is fast and wrong is no measure."""
    return each.role == "peer" and not each.state and "all" in each.asked and each.asked["all"].right >= GOOD
