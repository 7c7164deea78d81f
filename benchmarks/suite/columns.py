"""The columns of the tables with a line for each engine, and the sentences without which they cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.suite.figures import GOOD, Figures
from benchmarks.suite.formats import filtered, mb, number, percent, share, table, times


def _part(each: Figures) -> str:
    """The limit's build is no more than a file written."""
    return percent(each.replace / each.build) if each.replace and each.build and each.role != "limit" else ""


FILTERS = {"half": "50 %", "twentieth": "5 %", "hundredth": "1 %", "rare": "0.01 %"}
COLUMNS: dict[str, Callable[[Figures], str]] = {
    "p50 ms": lambda each: number(each.asked["all"].p50),
    "p99 ms": lambda each: number(each.asked["all"].p99),
    "CPU ms": lambda each: number(each.asked["all"].cpu),
    "× limit": lambda each: times(each.asked["all"].ratio),
    "recall@10": lambda each: "–" if each.words else share(each.asked["all"].right),
    "text, metadata": lambda each: "yes" if each.complete else "no" if each.role != "limit" else "none kept",
    "filtered 50 %": lambda each: filtered(each.asked.get("half"), words=each.words),
    "filtered 5 %": lambda each: filtered(each.asked.get("twentieth"), words=each.words),
    "filtered 1 %": lambda each: filtered(each.asked.get("hundredth"), words=each.words),
    "filtered 0.01 %": lambda each: filtered(each.asked.get("rare"), words=each.words),
    "build s": lambda each: number(each.build),
    "build CPU s": lambda each: number(each.build_cpu),
    "first hit s": lambda each: number(each.first),
    "first hit CPU s": lambda each: number(each.first_cpu),
    "memory MB": lambda each: mb(each.own),
    "mapped MB": lambda each: mb(each.mapped),
    "peak of build MB": lambda each: mb(each.peak),
    "disk MB": lambda each: mb(each.disk),
    "× least": lambda each: times(each.disk / each.least if each.disk else None),
    "delete 1 % s": lambda each: each.unchangeable or number(each.delete),
    "add 1 % s": lambda each: number(each.add),
    "change one s": lambda each: number(each.replace),
    "of the build": _part,
    "recall@10 after": lambda each: share(each.after) if each.after is not None else "",
}
SEARCHES = ["p50 ms", "p99 ms", "CPU ms", "× limit", "recall@10", "text, metadata"]
SEARCHES += [f"filtered {name}" for name in FILTERS.values()]
HOLDING = ["build s", "build CPU s", "first hit s", "first hit CPU s"]
HOLDING += ["memory MB", "mapped MB", "peak of build MB", "disk MB", "× least"]
CHANGES = ["delete 1 % s", "add 1 % s", "change one s", "of the build", "recall@10 after"]
SHORT = [
    "build s",
    "first hit s",
    "p50 ms",
    "× limit",
    "recall@10",
    "filtered 1 %",
    "memory MB",
    "mapped MB",
    "disk MB",
]

RATIOS = (
    "The limit is the faster of numpy and faiss in each round; both keep nothing but vectors. `× limit` is the time "
    "over the limit's, the × beside a filtered time that over the engine's own unfiltered one. They are medians of the "
    "ratios of rounds, and no quotients of the ms shown, which are medians of all searches; so is a time over a peer's."
)
RIGHT = (
    "Right: the share of the hits that should have come. It and recall@10 are rounded down; less than "
    f"{GOOD} is bold and counts as wrong, however fast it was. `ragkit-hybrid` looks for words too, so that the "
    "nearest vectors are no measure of it."
)
FIRST = "First hit: from the start of a process, imports included."
MEMORY = (
    "Memory: what a process holds of its own after its searches; mapped: pages of files that it holds besides, which "
    "the system may drop and read again."
)
BASE = "Lines without a build search in an index that is there: `ragkit-hybrid` in that of `ragkit`."
DURABLE = (
    "Each until it is durable, in a process that had searched once; one document changes three times, of which this is "
    "the median. Recall@10 is that of searches afterwards."
)
APART = (
    "[{page}]({page}) has other times for the same number of vectors; the two are not compared. Here {here} processes "
    "take turns, there {there}, with other questions, at another hour. The clock counts what a process waits for a "
    "core or for memory that others use; CPU ms are its own work."
)


def of_engines(figures: Sequence[Figures], columns: Sequence[str]) -> str:
    """A line for each engine; one that was not measured says why."""
    rows = []
    for each in figures:
        name = f"**{each.name}**" if each.role == "ragkit" else each.name
        state = each.state or ("" if each.asked.get("all") else "not measured")
        rows.append([name, *([state] if state else [COLUMNS[column](each) for column in columns])])
    return table(["engine", *columns], rows)
