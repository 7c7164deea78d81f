"""The fixtures of ragkit.testing, in a project of a user's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import os
import gigachat

def test_it_is_found(ragkit_sandbox_env, sandbox):
    assert os.environ["GIGACHAT_BASE_URL"] == sandbox.gigachat_url == ragkit_sandbox_env["GIGACHAT_BASE_URL"]
    with gigachat.GigaChat(model="GigaChat-2") as giga:
        assert giga.chat("Привет").choices
    assert sandbox.stats.routes == {"POST /oauth": 1, "POST /chat/completions": 1}
    sandbox.inject("500")

def test_it_is_fresh(sandbox):
    assert sandbox.stats.routes == {}
    assert "GIGACHAT_BASE_URL" not in os.environ
"""


def test_a_project_uses_the_plugin(tmp_path: Path) -> None:
    """One line in conftest.py is enough; each test gets the sandbox as new, and the environment back as it was."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["ragkit.testing"]\n', "utf-8")
    (tmp_path / "test_mine.py").write_text(TESTS, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert "2 passed" in run.stdout, run.stdout + run.stderr


def test_importing_the_sandbox_is_cheap() -> None:
    """Its name alone loads neither a server nor numpy."""
    code = "import sys, ragkit.sandbox; print('numpy' in sys.modules, 'http.server' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]
