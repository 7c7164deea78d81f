"""What every test stands on: the sandbox as a fixture, no service of the developer's own in the environment, and a
sweep for the secrets that the tests work with.
"""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from canary import KEY, SECRET, TOKEN

from ragkit.sandbox import Sandbox

pytest_plugins = ["ragkit.testing", "faultapi.fixtures"]

hypothesis.settings.register_profile("long", max_examples=10_000, deadline=None)  # pytest --hypothesis-profile=long

_PIECE, _OVERLAP = 1 << 24, 1 << 12  # bytes of a file that are looked through at once; no secret is longer than that
_shown: list[str] = []  # tests whose output, log or failure had a secret in it


@pytest.fixture(scope="session", autouse=True)
def _no_real_services() -> None:
    """A key that happens to be set must never be used, or paid with, by a test."""
    for name in [name for name in os.environ if name.startswith(("RAGKIT_", "GIGACHAT_", "OPENAI_"))]:
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _interrupts_are_heard() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored, and every process that a test starts with it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def ragkit_sandbox_env(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """As users get it, with the key that is swept for."""
    variables = {name: value for name, value in sandbox.environment().items() if name.startswith("GIGACHAT_")}
    variables["GIGACHAT_CREDENTIALS"] = KEY
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Look through what a test wrote, logged and failed with."""
    everything = "\n".join([str(report.longrepr or ""), *(text for _, text in report.sections)])
    if KEY in everything or SECRET in everything:
        _shown.append(f"{report.nodeid} ({report.when})")


def _written(path: Path) -> Iterator[bytes]:
    """What was written to a file, without the holes of one that only looks large, where the system tells them."""
    with path.open("rb", buffering=0) as file:
        at = 0
        while True:
            if hasattr(os, "SEEK_DATA"):
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError as error:
                    if error.errno == errno.ENXIO:  # nothing but a hole comes behind
                        return
            file.seek(at)
            if not (piece := file.read(_PIECE + _OVERLAP)):
                return
            yield piece
            at += _PIECE


@pytest.fixture(scope="session", autouse=True)
def _sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test: no output and no file that any of them left holds the key or the secret in it."""
    yield
    files = [path for path in tmp_path_factory.getbasetemp().rglob("*") if path.is_file() and not path.is_symlink()]
    secrets = re.compile(b"|".join([re.escape(KEY.encode()), SECRET.encode(), TOKEN.pattern]))
    found = [str(path) for path in files if any(map(secrets.search, _written(path)))]
    assert not _shown, f"a secret was shown by {_shown}"
    assert not found, f"a secret was written to {found}"
