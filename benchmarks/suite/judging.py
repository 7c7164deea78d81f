"""Whether answers are right: a fast wrong answer must show as such, beside its speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.suite.engine import Found
from benchmarks.suite.given import Array, Given, metadata


def recall(found: Sequence[Found], true: Array) -> float:
    """The share of the true nearest ids that were found; 1 where nothing was to be found and nothing was."""
    wanted = {int(id) for id in true if id >= 0}
    if not wanted:
        return float(not found)
    return len(wanted & {each.id for each in found}) / len(wanted)


def right(found: Sequence[Found], true: Array, field: str, value: int) -> float:
    """Filtered hits that are true ones, over those that should have come or, where more came, those that came.

    Too few, too many, from outside the filter, or not the nearest: each makes it less than 1.
    """
    wanted = {int(id) for id in true if id >= 0}
    if not wanted:
        return float(not found)
    good = {each.id for each in found if metadata(each.id)[field] == value} & wanted
    return len(good) / max(len(wanted), len(found))


def complete(found: Sequence[Found], given: Given) -> bool:
    """Whether text and metadata of every hit are those that were given with it."""
    return bool(found) and all(
        each.text == given.text(each.id) and _same(each.metadata, metadata(each.id)) for each in found
    )


def _same(got: Mapping[str, object] | None, wanted: Mapping[str, int]) -> bool:
    return got is not None and all(str(got.get(name)) == str(value) for name, value in wanted.items())
