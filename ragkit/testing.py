"""Fixtures for pytest: the sandbox as a server of your own tests.

    pytest_plugins = ["ragkit.testing"]  # in conftest.py

    def test_my_program(sandbox, ragkit_sandbox_env):
        sandbox.inject("429", times=2)
        ...

It knows pytest and the sandbox, and nothing else of ragkit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ragkit.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def _running_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(_running_sandbox: Sandbox) -> Sandbox:
    """A running sandbox; what earlier tests left in it is forgotten."""
    _running_sandbox.reset()
    return _running_sandbox


@pytest.fixture
def ragkit_sandbox_env(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment in which ragkit and the official SDK talk to the sandbox; the variables that were set."""
    variables = {name: value for name, value in sandbox.environment().items() if name.startswith("GIGACHAT_")}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables
