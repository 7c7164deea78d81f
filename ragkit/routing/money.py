"""What a question may cost: a limit is compared with an estimate before anything is sent, and shortens a prompt."""

from __future__ import annotations

from ragkit.budget import Prices
from ragkit.errors import BudgetExceeded, ConfigError
from ragkit.types import Usage

ANSWER = 500  # tokens of an answer, for what it costs: a judgement, not a measurement; some 200 words of Russian
_WHERE = "set prompt_price, completion_price and embed_price to those of a million tokens, or leave the limit out"


def check_limit(max_cost: float | None, prices: Prices | None, *, answers: bool) -> None:
    """Raises ConfigError for a limit below zero, and for one that cannot be held for want of prices.

    `answers` says that a model is paid for an answer.
    """
    if max_cost is None:
        return
    if not max_cost >= 0:
        raise ConfigError(f"max_cost is {max_cost}", "give 0 or more, or leave it out for no limit")
    if answers and not (prices and prices.prompt):
        raise ConfigError(f"max_cost is {max_cost:g}, but no price of a prompt is known", _WHERE)


def check_cost(tokens: int | None, cost: float, max_cost: float | None) -> None:
    """Raises BudgetExceeded where a question costs more than the limit, ConfigError where nobody can say."""
    if max_cost is None:
        return
    if tokens is None:
        raise ConfigError(
            f"max_cost is {max_cost:g}, and what it costs to read such files cannot be told before",
            "leave the limit out",
        )
    if cost > max_cost:
        raise BudgetExceeded(
            f"the question would cost about {cost:.4g}, and {max_cost:.4g} is the limit",
            "ask with a higher --max-cost, or of fewer documents; nothing was sent to the chat model",
        )


def affordable(prices: Prices, left: float) -> int:
    """Tokens that a prompt may have, so that an answer of ANSWER tokens can be paid for too."""
    left -= prices.of(Usage(completion_tokens=ANSWER))
    return max(0, int(left * 1_000_000 / prices.prompt))
