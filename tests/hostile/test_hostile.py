"""The short form of the harness: mutants, the special files, and the command line over both.

`make hostile` runs the long form, thousands of mutants of other seeds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hostile.__main__ import measured
from hostile.mutants import MUTATIONS, SEEDS, ZIP_MUTATIONS, mutants
from hostile.special import LINE, make_special

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes, names of any bytes and /proc as on Linux")
MUTANTS = 150


def test_mutants_are_the_same_for_the_same_seed() -> None:
    """A mutant that did harm can be made again; another seed makes others; every format and mutation comes up."""
    some = dict(mutants(1, 20))
    assert some == dict(mutants(1, 20))
    assert all(some[name] != data for name, data in mutants(2, 20))
    assert {Path(name).suffix[1:] for name in some} == set(SEEDS)
    assert len(MUTATIONS) + len(ZIP_MUTATIONS) == len({each.__name__ for each in (*MUTATIONS, *ZIP_MUTATIONS)})


def test_every_mutant_has_one_outcome(tmp_path: Path) -> None:
    """No failure of the run, no hang, no growth, nothing stored that cannot be; most seeds' text survives somewhere."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, data in mutants(20261, MUTANTS):
        (folder / name).write_bytes(data)
    row = measured("mutants", folder, tmp_path)
    assert row["faults"] == []
    assert row["files"] == MUTANTS
    assert len(row["outcomes"]) >= 5, "mutants that all end alike prove little"


def test_special_files_are_indexed_or_named(tmp_path: Path) -> None:
    """Through the command line: each has the outcome expected of it, and the exit code says that not all went in."""
    folder = tmp_path / "docs"
    folder.mkdir()
    indexed, named = make_special(folder)
    program = (
        f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}\n"
        "from ragkit_cli.main import console; console()"
    )

    def command(*arguments: str) -> tuple[int, dict[str, object]]:
        whole = [sys.executable, "-c", program, *arguments, "-i", str(tmp_path / "index"), "--json"]
        variables = {**os.environ, "RAGKIT_PROVIDER": "offline", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            whole, capture_output=True, timeout=300, stdin=subprocess.DEVNULL, cwd=tmp_path, env=variables
        )
        return done.returncode, json.loads(done.stdout or b"null")

    code, report = command("index", str(folder))
    assert code == 3
    files = {each["source"]: each for each in report["folders"][0]["files"]}  # type: ignore[index]  # as docs/json.md
    assert {source for source, each in files.items() if each["status"] == "new"} == indexed
    assert {source: each["problems"][0]["code"] for source, each in files.items() if each["problems"]} == named
    code, found = command("search", LINE.strip(), "--limit", "5")
    assert code == 0
    assert found["hits"]
    assert "OUTSIDE" not in json.dumps(found)
    code, found = command("search", "OUTSIDE", "--mode", "lexical")
    assert (code, found["hits"]) == (0, [])
    shutil.rmtree(folder)  # giants, which whoever looks through what tests left need not read
