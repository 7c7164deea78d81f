"""Pipes, signals, consoles and text that means harm."""

from __future__ import annotations

import json
import os
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


@pytest.mark.skipif(sys.platform == "win32", reason="arguments are bytes on POSIX only")
@pytest.mark.parametrize(
    "arguments", [["search", "x", "-w", "source=%"], ["show", "%"], ["index", "%"], ["status", "-i", "%"]]
)
def test_an_argument_that_is_not_utf8_is_refused(arguments: list[str]) -> None:
    """A name in another encoding cannot be in the index: exit code 2, the argument named with its bytes escaped."""
    given = [os.fsdecode(each.encode().replace(b"%", b"bad\xff")) for each in arguments]
    run = process(*given)
    assert (run.returncode, run.stdout) == (2, b"")
    assert rb"bad\xff" in run.stderr
    assert b"not UTF-8" in run.stderr
    error = json.loads(process(*given, "--json").stderr)["error"]
    assert error["code"] == "usage"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locales")
def test_russian_names_work_in_a_locale_without_russian(cli: Cli, tmp_path: Path) -> None:
    """In an ASCII locale folders, documents, conditions and the index may have Russian names all the same."""
    (tmp_path / "папка").mkdir()
    (tmp_path / "папка" / "отчёт.txt").write_text("Залог возвращается через десять дней.", "utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for arguments in (
        ["index", "папка", "-i", "индекс"],
        ["search", "залог", "-w", "source=отчёт*", "-i", "индекс"],
        ["show", "отчёт.txt", "-i", "индекс"],
        ["remove", "отчёт.txt", "-y", "-i", "индекс"],
    ):
        run = process(*arguments, **ascii_only)
        assert run.returncode == 0, run.stderr.decode()
        assert (
            "папка" if arguments[0] == "index" else "отчёт.txt" if arguments[0] != "show" else "Залог"
        ) in run.stdout.decode()
    assert (tmp_path / "индекс").is_dir()
    assert cli("list", "-i", "индекс").out == ""


@pytest.mark.skipif(sys.platform == "win32", reason="closes descriptors as a POSIX shell does")
@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_one_that_nobody_reads(shelf: Path, closed: str) -> None:
    """`ragkit list >&-` ends as it would with /dev/null."""
    command = f'exec "{sys.executable}" -m ragkit_cli list -i "{shelf}" {closed}'
    run = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    assert b"Traceback" not in run.stderr
    asking = f'exec "{sys.executable}" -m ragkit_cli search - -i "{shelf}" <&-'
    run = subprocess.run(["/bin/sh", "-c", asking], capture_output=True, check=False)
    assert run.returncode == 2
    assert b"the query is empty" in run.stderr


def test_a_mistake_inside_ragkit_is_called_one(cli: Cli, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw: a line that says it is ours, then where; in JSON still one object."""

    def broken(*_: object) -> None:
        raise TypeError("a number was expected")

    monkeypatch.setattr("ragkit_cli.payload.of_status", broken)
    monkeypatch.setattr("ragkit_cli.upkeep.columns", broken)
    run = cli("status", "-i", shelf)
    assert (run.code, run.out) == (1, "")
    assert run.err.startswith("Error: a mistake in ragkit itself: TypeError: a number was expected\n")
    assert "Traceback" in run.err
    assert "in broken" in run.err
    run = cli("status", "--json", "-i", shelf)
    assert (run.code, run.err.count("\n")) == (1, 1)
    assert json.loads(run.err)["error"]["code"] == "bug"
