"""README.md does what it says: every block runs, in order, in a copy of what it talks about."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from ragkit.sandbox import Sandbox
from ragkit.settings import load_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
INSTALLS = re.compile(r"^(make |python3 -m venv|\.venv/bin/)", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block and the line where it stands."""

    line: int
    language: str
    text: str


BLOCKS = [
    Block(
        README.count("\n", 0, match.start()) + 1,
        match[1],
        match[2],
    )
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
]
RUNNABLE = [block for block in BLOCKS if not INSTALLS.search(block.text)]
MAKE, WITHOUT_MAKE = (block for block in BLOCKS if INSTALLS.search(block.text))


def ids(block: Block) -> str:
    return f"line {block.line}, {block.language}"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample documents, where the blocks run one after another."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "sample_docs", folder / "sample_docs")
    binaries = folder / "bin"
    binaries.mkdir()
    command = binaries / "ragkit"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ragkit_cli "$@"\n', "utf-8")
    command.chmod(0o755)
    return folder


def run(command: list[str], folder: Path, **variables: str) -> str:
    """stdout and stderr together, in the order of writing."""
    ours = ("RAGKIT_", "GIGACHAT_", "OPENAI_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | variables
    environment["XDG_STATE_HOME"] = str(folder / "state")
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
    finished = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    output = finished.stdout.decode("utf-8")
    assert finished.returncode in (0, 3), output  # 3: the scanned page of the samples
    return output


def exported(command: str, sandbox: Sandbox) -> dict[str, str]:
    """The variables of an `export` line; for a key or an address, which the reader fills in, those of the sandbox."""
    pairs = dict(re.findall(r"(\w+)=(\S+)", command)) if command.startswith("export ") else {}
    found = {name: sandbox.environment()[name] if "…" in value else value for name, value in pairs.items()}
    if "GIGACHAT_CREDENTIALS" in found:  # the real service has its addresses as defaults
        found = {name: value for name, value in sandbox.environment().items() if name.startswith("GIGACHAT_")}
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="the blocks are for a POSIX shell")
@pytest.mark.parametrize("block", RUNNABLE, ids=ids)
def test_the_block_runs(block: Block, workspace: Path, sandbox: Sandbox) -> None:
    """Shell and Python blocks run; in console blocks the output is the one shown, … standing for anything."""
    if block.language == "sh":
        assert run(["sh", "-euc", block.text], workspace).strip()
    elif block.language == "python":
        offline = "ragkit.open" in block.text
        variables = {} if offline else exported("export GIGACHAT_CREDENTIALS=…", sandbox)
        output = run([sys.executable, "-c", block.text], workspace, **variables)
        expected = ("dogovor-arendy.pdf 2", "24 months") if offline else ("tokens", "(2, 1024)", "Москва", "+27")
        assert [each for each in expected if each in output] == list(expected), output
    elif block.language == "toml":
        folder = workspace / f"line-{block.line}"
        folder.mkdir()
        (folder / "ragkit.toml").write_text(block.text, "utf-8")
        settings = load_settings(environ={}, cwd=folder)
        for name, value in tomllib.loads(block.text).items():
            assert getattr(settings, name) in (value, 100 << 20)
    else:
        assert block.language == "console"
        variables = {}
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            variables |= exported(command, sandbox)
            output = run(["sh", "-c", command], workspace, **variables)
            pattern = ".*".join(re.escape(part) for part in shown.split("…"))
            assert re.fullmatch(pattern, output, re.DOTALL), f"$ {command}\n{output}"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_make_commands_come_first_and_exist() -> None:
    """Each `make` line expands to commands. .ci/run runs them for real; here that would install what runs this."""
    assert BLOCKS[0] is MAKE
    for line in MAKE.text.splitlines():
        plan = subprocess.run([*line.split(), "-n"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert "-m pytest" in plan or "ragkit ask" in plan


@pytest.mark.skipif(not os.environ.get("CI"), reason="installs into a fresh environment; runs where CI is set")
def test_the_commands_without_make_run(tmp_path: Path) -> None:
    """The plain commands, in a copy of the project."""
    copy = tmp_path / "clone"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    (copy / "bin").mkdir()
    assert "[1] dogovor-arendy.pdf" in run(["sh", "-c", WITHOUT_MAKE.text], copy)


def test_every_file_and_setting_that_it_names_exists() -> None:
    """Paths and links of the text lead somewhere."""
    named = set(re.findall(r"`((?:ragkit|tests|docs)/[\w./]+)`|\]\(([\w./]+)\)", README))
    paths = {first or second for first, second in named}
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]
