"""Limits on tokens and money: kept by threads together, told with both numbers."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from ragkit.budget import Budget, Prices
from ragkit.errors import BudgetExceeded
from ragkit.types import Usage


def test_prices_are_for_a_million_tokens_of_each_kind() -> None:
    """Nothing is charged where no price is set."""
    usage = Usage(prompt_tokens=500_000, completion_tokens=100_000, embedding_tokens=2_000_000)
    assert Prices(embedding=10, prompt=100, completion=1000).of(usage) == pytest.approx(20 + 50 + 100)
    assert Prices().of(usage) == 0


def test_a_limit_is_never_passed_and_may_be_met() -> None:
    """What would pass it is refused with what it needs, what is spent and the limit; then nothing is reserved."""
    budget = Budget(max_tokens=100)
    budget.reserve(60, 0)
    with pytest.raises(BudgetExceeded, match="needs about 41 tokens, 60 of 100 are spent"):
        budget.reserve(41, 0)
    budget.reserve(40, 0)
    with pytest.raises(BudgetExceeded):
        budget.reserve(1, 0)


def test_money_is_a_limit_of_its_own() -> None:
    """Whatever the tokens."""
    budget = Budget(max_tokens=1000, max_cost=0.5)
    budget.reserve(10, 0.4)
    with pytest.raises(BudgetExceeded, match=r"costs about 0\.2000, 0\.4000 of 0\.5000 are spent"):
        budget.reserve(10, 0.2)


def test_what_was_used_takes_the_place_of_what_was_reserved() -> None:
    """A request that cost less leaves room, one that cost more takes it, one that failed costs nothing."""
    budget = Budget(max_tokens=100, max_cost=1)
    budget.reserve(90, 0.9)
    budget.settle(90, 0.9, Usage(embedding_tokens=50, cost=0.5))
    budget.reserve(50, 0.5)
    budget.settle(50, 0.5, Usage())
    budget.reserve(40, 0.1)
    budget.settle(40, 0.1, Usage(embedding_tokens=49, cost=0.1))
    with pytest.raises(BudgetExceeded, match="99 of 100"):
        budget.reserve(2, 0)


def test_threads_together_keep_one_limit() -> None:
    """Of a hundred requests for ten tokens, exactly ten pass a limit of a hundred."""
    budget = Budget(max_tokens=100)

    def ask(_: int) -> bool:
        try:
            budget.reserve(10, 0)
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(100))) == 10


def test_without_limits_all_passes() -> None:
    """A budget that limits nothing says so."""
    budget = Budget()
    assert not budget.limited
    budget.reserve(10**12, 10.0**9)
    assert Budget(max_tokens=0).limited
    assert Budget(max_cost=0).limited
