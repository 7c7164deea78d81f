"""Whether the next of many requests still fits under a limit.

It knows a request by the length of its text, and learns from what the ones before were billed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ragkit.budget import Budget
from ragkit.errors import BudgetExceeded
from ragkit.metering import metered
from ragkit.types import Usage

_CHARACTERS = 3  # of a token, at least, before anything was billed: Russian has more in one


class Bill:
    """One kind of request under a limit that other kinds may share. Without a limit every item fits.

    Args:
        budget: the limit.
        reply: tokens that a first item may be billed beside those of its text.
    """

    def __init__(self, budget: Budget | None = None, *, reply: int = 0) -> None:
        self._budget = budget
        self._reply = reply
        self._most = Usage()  # of one item
        self._reserved = (0, 0.0)

    @property
    def limited(self) -> bool:
        return self._budget is not None and self._budget.limited

    def refuses(self, characters: int) -> str:
        """Why the next item may not be sent; empty where it may, and then it must follow.

        It is taken to cost as much as the dearest before it; the first by its `characters`.
        """
        if self._budget is None or not self.limited:
            return ""
        tokens = self._most.total_tokens or characters // _CHARACTERS + self._reply
        try:
            self._budget.reserve(tokens, self._most.cost)
        except BudgetExceeded as error:
            return f"stopped at the limit: {error.message}"
        self._reserved = (tokens, self._most.cost)
        return ""

    @contextmanager
    def item(self) -> Iterator[None]:
        """Where one item is paid for."""
        with metered() as meter:
            try:
                yield
            finally:
                if meter.usage.total_tokens > self._most.total_tokens:
                    self._most = meter.usage
                if self._budget is not None:
                    self._budget.settle(*self._reserved, meter.usage)
                self._reserved = (0, 0.0)
