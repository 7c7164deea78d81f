"""What is installed is what was meant: two packages, one command, and a reason for every dependency."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
PROJECT = tomllib.loads(PYPROJECT)["project"]


def test_every_dependency_says_why_it_is_here() -> None:
    """Each dependency stands on a line of its own with its reason and its licence."""
    declared = [
        *PROJECT["dependencies"],
        *(each for extra in PROJECT["optional-dependencies"].values() for each in extra),
    ]
    for requirement in declared:
        line = next(line for line in PYPROJECT.splitlines() if line.strip().startswith(f'"{requirement}"'))
        reason = line.partition("#")[2]
        assert re.search(r"\b(MIT|BSD|Apache|MPL)", reason), line


def test_the_base_install_has_no_deep_learning() -> None:
    """Neither torch nor what would bring it is a dependency of the base install."""
    names = {re.split(r"[<>=\[ ]", each)[0].lower() for each in PROJECT["dependencies"]}
    assert not names & {"torch", "transformers", "sentence-transformers", "onnxruntime", "tensorflow", "langchain"}


def test_no_text_recommends_the_strangers_package() -> None:
    """`ragkit` on the package index belongs to someone else: nothing here tells anyone to install it."""
    texts = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "ragkit").rglob("*.py"),
        *(ROOT / "cli").rglob("*.py"),
    ]
    wrong = [
        path.name for path in texts if re.search(r"pip install (-\S+ )*ragkit(?!-search)\b", path.read_text("utf-8"))
    ]
    assert PROJECT["name"] == "ragkit-search"
    assert not wrong


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling builds the wheel; it is in the test extra")
def test_the_wheel_holds_two_packages_and_nothing_else(tmp_path: Path) -> None:
    """Wheel: ragkit and ragkit_cli with their type marker, no tests, no stray top-level name, one command."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    files = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ragkit", "ragkit_cli"}
    assert {"ragkit/py.typed", "ragkit/types.py", "ragkit_cli/main.py"} <= set(files)
    assert not [name for name in files if name.endswith((".pyc", ".sqlite", ".toml"))]
    in_source = {str(path.relative_to(ROOT)) for path in (ROOT / "ragkit").rglob("*.py")}
    assert in_source <= set(files)
    info = next(top for top in tops if top.endswith(".dist-info"))
    entry_points = zipfile.ZipFile(wheel).read(f"{info}/entry_points.txt").decode()
    assert "ragkit = ragkit_cli.main:console" in entry_points
    assert f"{info}/licenses/LICENSE" in files
