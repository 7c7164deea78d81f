"""Limits on tokens and money, held before a request is sent rather than noticed after it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from ragkit.errors import BudgetExceeded
from ragkit.types import Usage


@dataclass(frozen=True, slots=True)
class Prices:
    """Money for a million tokens of each kind; zeros where no prices are configured."""

    embedding: float = 0.0
    prompt: float = 0.0
    completion: float = 0.0

    def of(self, usage: Usage) -> float:
        """What the tokens of `usage` cost."""
        return (
            usage.embedding_tokens * self.embedding
            + usage.prompt_tokens * self.prompt
            + usage.completion_tokens * self.completion
        ) / 1_000_000


class Budget:
    """The most that one run may spend. Threads reserve what a request may cost, and settle what it did cost."""

    def __init__(self, *, max_tokens: int | None = None, max_cost: float | None = None) -> None:
        self.max_tokens = max_tokens
        self.max_cost = max_cost
        self._lock = threading.Lock()
        self._tokens = 0
        self._cost = 0.0

    @property
    def limited(self) -> bool:
        return self.max_tokens is not None or self.max_cost is not None

    def reserve(self, tokens: int, cost: float) -> None:
        """Raises BudgetExceeded where these would pass a limit; nothing is reserved then."""
        with self._lock:
            if self.max_tokens is not None and self._tokens + tokens > self.max_tokens:
                raise BudgetExceeded(
                    f"the next request needs about {tokens} tokens, {self._tokens} of {self.max_tokens} are spent",
                    "run again with a higher --max-tokens; what was paid for is kept",
                )
            if self.max_cost is not None and self._cost + cost > self.max_cost:
                raise BudgetExceeded(
                    f"the next request costs about {cost:.4f}, {self._cost:.4f} of {self.max_cost:.4f} are spent",
                    "run again with a higher --max-cost; what was paid for is kept",
                )
            self._tokens += tokens
            self._cost += cost

    def settle(self, tokens: int, cost: float, used: Usage) -> None:
        """Put what was used in the place of what was reserved."""
        with self._lock:
            self._tokens += used.total_tokens - tokens
            self._cost += used.cost - cost
