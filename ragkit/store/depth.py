"""How many of the best of all are looked at, for as many as are wanted of those that fulfil a filter."""

from __future__ import annotations

_FIRST = 2.5  # times as many as are wanted: enough where half of all fulfil it
_SPARE = 1.3  # times as many as the share of those that were looked at lets expect


def first(wanted: int) -> int:
    """At first."""
    return int(_FIRST * wanted)


def next_after(n: int, wanted: int, found: int) -> int:
    """Where `n` held only so many that fulfil it."""
    return max(2 * n, int(_SPARE * wanted * n / max(1, found)))
