"""Numbers as people read them: one way for all that is shown, in messages and on a terminal. JSON has plain ones."""

from __future__ import annotations

THIN = "\u202f"  # narrow no-break space, between the thousands of a number


def number(value: int) -> str:
    """1 204, with narrow spaces."""
    return f"{value:,}".replace(",", THIN)


def count(value: int, one: str, many: str = "") -> str:
    """1 chunk, 1 204 chunks."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"
