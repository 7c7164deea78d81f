"""What the tests of the command line share: documents that a person would index, and ways to run a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from canary import KEY, SECRET

from ragkit_cli.main import main

LEASE = """# Договор аренды

## Срок

Договор заключён на одиннадцать месяцев.

## Залог

Арендодатель возвращает залог в течение десяти рабочих дней после подписания акта приёма-передачи.
Из залога удерживается стоимость повреждений.
"""
MANUAL = """# Kettle

## Warranty

The warranty of the kettle lasts twenty-four months from the date of purchase.

## Cleaning

Descale the kettle with citric acid once a month.
"""


@dataclass
class Run:
    """What a command returned and wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        """The one object on stdout, which must be its one line."""
        assert self.out.count("\n") == 1, self.out
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


class Cli:
    """Runs commands in this process, in the way in which the console script does."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Run:
        self.capsys.readouterr()
        code = main([str(each) for each in arguments])
        captured = self.capsys.readouterr()
        assert SECRET not in captured.out + captured.err
        assert KEY not in captured.out + captured.err
        return Run(code, captured.out, captured.err)


def write_documents(folder: Path) -> Path:
    (folder / "contracts").mkdir(parents=True)
    (folder / "contracts" / "lease.md").write_text(LEASE, "utf-8")
    (folder / "kettle.md").write_text(MANUAL, "utf-8")
    (folder / "windows.txt").write_bytes("Ключ от подвала лежит у консьержки на первом этаже.".encode("cp1251"))
    (folder / "letter.doc").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    return folder


def process(*arguments: object, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "ragkit_cli", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )


def on_a_terminal(*arguments: object, **environment: str) -> bytes:
    """What a command writes to a pseudo-terminal."""
    return dialogue(b"", *arguments, **environment)[1]


def dialogue(typed: bytes, *arguments: object, **environment: str) -> tuple[int, bytes]:
    """The exit code of a command, and what it writes to a pseudo-terminal at which that was typed."""
    import pty

    leader, follower = pty.openpty()
    os.write(leader, typed)
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "ragkit_cli", *map(str, arguments)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**clean, "TERM": "xterm", **environment},
    ) as running:
        os.close(follower)
        written = b""
        while True:
            try:
                piece = os.read(leader, 65_536)
            except OSError:  # EIO is how Linux says that the other end is closed
                piece = b""
            if not piece:
                break
            written += piece
    os.close(leader)
    return running.returncode, written
