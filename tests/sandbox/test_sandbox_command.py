"""`ragkit sandbox`: it prints what to set, serves, and ends when it is told to."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from ragkit.sandbox import FAULTS, Sandbox

COMMAND = [sys.executable, "-m", "ragkit_cli", "sandbox"]


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process, which is ended in any case."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def exports(process: subprocess.Popen[str]) -> dict[str, str]:
    """The variables of the lines that the process prints first."""
    assert process.stdout is not None
    lines = [shlex.split(process.stdout.readline()) for _ in range(6)]
    assert {line[0] for line in lines} == {"export"}
    return dict(line[1].split("=", 1) for line in lines)


def get(url: str, key: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.skipif(os.name != "posix", reason="Windows ends processes without a signal")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_starts_serves_and_stops(number: signal.Signals, code: int) -> None:
    """The printed variables work; faults are injected; SIGTERM ends it cleanly, Ctrl-C as everywhere."""
    with running("--fault", "503:2@/models", "--api-key", "k") as process:
        found = exports(process)
        assert sorted(found) == [
            "GIGACHAT_AUTH_URL",
            "GIGACHAT_BASE_URL",
            "GIGACHAT_CREDENTIALS",
            "GIGACHAT_MODEL",
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
        ]
        statuses = [get(f"{found['OPENAI_BASE_URL']}/models", found["OPENAI_API_KEY"]) for _ in range(3)]
        assert statuses == [503, 503, 200]
        assert get(f"{found['OPENAI_BASE_URL']}/models", "another") == 401
        process.send_signal(number)
        assert process.wait(10) == code


def test_json() -> None:
    """One object tells the same."""
    with running("--json") as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["schema"] == "ragkit.sandbox/1"
        assert get(f"{told['environment']['OPENAI_BASE_URL']}/models", "any") == 200


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, encoding="utf-8", check=False)


def test_a_busy_port_is_told(sandbox: Sandbox) -> None:
    """The port is named, with what to do."""
    port = str(urlsplit(sandbox.url).port)
    failed = run("--port", port)
    assert failed.returncode == 2
    assert f"cannot listen on port {port}" in failed.stderr
    assert "--port 0" in failed.stderr


@pytest.mark.parametrize(
    ("fault", "said"), [("42x", "did you mean"), ("429:0", "never happen"), ("429@x", "not a fault")]
)
def test_a_wrong_fault_is_told(fault: str, said: str) -> None:
    """A name, a count or a path that cannot be meant is refused before anything is served."""
    failed = run("--fault", fault)
    assert failed.returncode == 2
    assert said in failed.stderr


def test_the_faults_are_listed() -> None:
    """Every fault with its meaning, one to a line."""
    lines = run("--list-faults").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS)
    assert all(line.endswith(fault.meaning) for line, fault in zip(lines, FAULTS.values(), strict=True))
