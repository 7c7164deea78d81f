"""The fixtures that users get, used here in the same way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragkit.sandbox import Sandbox
from ragkit.testing import _running_sandbox, ragkit_sandbox_env, sandbox

__all__ = ["_running_sandbox", "ragkit_sandbox_env", "sandbox"]


@pytest.fixture(autouse=True)
def _without_mistakes(_running_sandbox: Sandbox) -> Iterator[None]:
    """No test may pass on a reply that only says that the sandbox has failed."""
    yield
    assert _running_sandbox.stats.mistakes == []
