"""Pipes, signals, consoles and text that means harm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from shell import Cli, on_a_terminal, process


def test_a_reader_that_leaves_early_is_no_error(cli: Cli, tmp_path: Path) -> None:
    """`ragkit show … | head -1` ends with 0 and says nothing on stderr, however long the document."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "long.txt").write_text("Строка за строкой идёт рассказ.\n" * 20_000, "utf-8")
    cli("index", tmp_path / "docs")
    with subprocess.Popen(
        [sys.executable, "-m", "ragkit_cli", "show", "long.txt"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.read(100)
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


def test_an_interrupt_exits_with_130_and_says_how_to_go_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is no crash: one line, exit code 130."""

    class Interrupting:
        def read(self) -> bytes:
            raise KeyboardInterrupt

    class Stdin:
        buffer = Interrupting()

    monkeypatch.setattr("sys.stdin", Stdin())
    run = cli("search", "-")
    assert (run.code, run.out) == (130, "")
    assert "again to continue" in run.err
    assert json.loads(cli("search", "-", "--json").err)["error"]["code"] == "interrupted"


def test_a_document_cannot_steer_the_terminal(cli: Cli, tmp_path: Path) -> None:
    """Escape sequences and direction marks of a document, or of its name, are printed as text."""
    (tmp_path / "docs").mkdir()
    evil = "Залог \x1b]0;owned\x07 возвращается \u202eкитанбо\u202c через \x9b31m десять дней."
    (tmp_path / "docs" / "evil\x1b[2J.md").write_text(evil, "utf-8")
    cli("index", tmp_path / "docs")
    for arguments in (
        ["search", "залог"],
        ["ask", "Когда возвращается залог?"],
        ["list"],
        ["search", "залог", "--json"],
    ):
        run = cli(*arguments)
        assert run.code == 0
        assert not set(run.out) & set("\x1b\x07\x9b\u202e\u202c"), arguments
    assert "\\u001b[2J.md" in cli("list").out


def test_output_is_utf8_whatever_the_console(shelf: Path) -> None:
    """Russian survives a pipe in a locale that knows none of it."""
    run = process("search", "залог", "-i", shelf, PYTHONIOENCODING="cp1252", PYTHONUTF8="0", LC_ALL="C")
    assert "десяти рабочих дней" in run.stdout.decode("utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_colours_and_bar_are_for_terminals_only(docs: Path, shelf: Path) -> None:
    """On a terminal the words of the query are coloured, NO_COLOR switches it off, and a pipe never sees it."""
    assert b"\x1b[33m" in on_a_terminal("search", "залог", "-i", shelf)
    assert b"\x1b[" not in on_a_terminal("search", "залог", "-i", shelf, NO_COLOR="1")
    assert b"\x1b[" not in process("search", "залог", "-i", shelf).stdout
    assert b"Reading" in on_a_terminal("index", docs)
    assert b"Reading" not in on_a_terminal("index", docs, "-q")
    assert b"Reading" not in process("index", docs).stderr
