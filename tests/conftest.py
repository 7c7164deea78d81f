"""What every test stands on: the sandbox as a fixture, and no service of the developer's own in the environment."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["ragkit.testing"]


@pytest.fixture(scope="session", autouse=True)
def _no_real_services() -> None:
    """A key that happens to be set must never be used, or paid with, by a test."""
    for name in [name for name in os.environ if name.startswith(("RAGKIT_", "GIGACHAT_", "OPENAI_"))]:
        del os.environ[name]
