"""The folder and the index that the tests of the command line read."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell import Cli, write_documents

from ragkit_cli.main import main


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # where uploads are remembered
    monkeypatch.chdir(tmp_path)
    return Cli(capsys)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder of three documents that can be read and one that cannot."""
    return write_documents(tmp_path / "docs")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of that folder, for tests that only read."""
    folder = tmp_path_factory.mktemp("shelf")
    write_documents(folder / "docs")
    assert main(["index", str(folder / "docs"), "-i", str(folder / "index"), "-q"]) == 3
    return folder / "index"
