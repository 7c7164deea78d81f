"""A run in which one request in five goes wrong comes to its end without anybody's help."""

from __future__ import annotations

from pathlib import Path

import pytest
from faultapi.chaos import PASSING, run


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_in_chaos_is_complete(tmp_path: Path, seed: int) -> None:
    """Every chunk has its own vector, once, for at most 40 % more requests; `faultapi.chaos` does ten times as many."""
    end = run(tmp_path / "index", 1000, seed)
    assert (end.rows, end.wrong) == (1000, 0)
    assert end.faults.total() > 8
    assert set(end.faults) <= set(PASSING)
    assert end.extra <= 0.4
