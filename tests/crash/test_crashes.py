"""The short form of the harness: deaths, losses of power, faults of the disk, and stores that are broken on purpose.

`make crash` runs the long form, which looks at many more of the same places.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crash.__main__ import REFUSED
from crash.disk import Disk, Record
from crash.mutants import MUTANTS
from crash.shim import why_not
from ragkit.store.local import LocalStore

needs_shim = pytest.mark.skipif(bool(why_not()), reason=why_not())


def crash(kind: str) -> dict[str, Any]:
    """What the harness counted, in a process of its own: it forks, and traps calls for as long as it lives."""
    command = [sys.executable, "-m", "crash", kind, "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=900)
    if done.returncode == REFUSED:
        pytest.skip(done.stderr.decode())  # the harness says why it cannot trap calls here; any other end fails below
    assert done.returncode in (0, 1), done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout)
    print(done.stdout.decode())  # noqa: T201 - with the seed, shown where a test fails
    return report


@needs_shim
def test_death_at_a_call_loses_nothing() -> None:
    """Whatever call it is, and torn in the middle: what was acknowledged is there, no step by half, and it goes on."""
    report = crash("deaths")
    assert report["faults"] == []
    assert report["counts"]["killed"] >= 25
    assert report["counts"]["resumed"] == report["counts"]["lives cut short"]


@needs_shim
def test_loss_of_power_at_a_call_loses_nothing() -> None:
    """Whatever had reached the disk by then: every state opens, and holds what was acknowledged."""
    report = crash("power")
    assert report["faults"] == []
    assert report["counts"]["states of the truth"] >= 1000
    assert report["counts"]["searched"] >= 50


@needs_shim
def test_loss_of_power_after_a_failed_sync_loses_nothing() -> None:
    """What could not be written is shown to readers all the same, until the power goes: nothing stands on it."""
    report = crash("syncs")
    assert report["faults"] == []
    assert report["counts"]["syncs failed"] >= 1


@needs_shim
def test_a_fault_of_the_disk_is_an_error_of_ours() -> None:
    """It is named rightly, the writer takes nothing more, nothing is lost, and without its cause work goes on."""
    report = crash("faults")
    assert report["faults"] == []
    assert report["counts"]["hit"] >= 30
    assert report["counts"]["resumed"] == report["counts"]["points"]


@needs_shim
def test_the_harness_finds_every_store_that_is_broken_on_purpose() -> None:
    """No sync, no sync of folders, names before data, synchronous=NORMAL, unlink before commit."""
    report = crash("mutants")
    assert report["faults"] == []
    assert {f"found: {name}" for name in MUTANTS} <= report["counts"].keys()


def test_what_was_left_of_making_an_index_is_deleted(tmp_path: Path) -> None:
    """By whoever makes it, once it is an hour old; what a process may be making at the moment stays."""
    old, new, foreign = (tmp_path / f"index.new-{name}" for name in ("0123abcd", "4567cdef", "plans"))
    for folder in (old, new, foreign):
        folder.mkdir()
        (folder / "catalog.sqlite").touch()
    for folder in (old, foreign):
        os.utime(folder, (0, 0))
    with LocalStore(tmp_path / "index").writing():
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", new.name, foreign.name]


# -- the model of a disk that the losses of power stand on


def states(*records: Record) -> list[dict[str, bytes]]:
    """All that a disk may hold after these calls, as far as 200 draws show it."""
    disk = Disk(Path("/d"))
    for record in records:
        disk.do(record)
    found = [disk.after(str(seed), random.Random(seed)) for seed in range(200)]
    return [{path: bytes(content) for path, (content, _) in state.items()} for state in found]


MADE = Record("C", "/d/f", "", 7, 0, b"")
WRITTEN = Record("W", "/d/f", "", 7, 0, b"a" * 1024)
SYNCED = Record("S", "/d/f", "", 7, 0, b"")
NAMED = Record("D", "/d", "", 1, 0, b"")


def test_a_synced_file_may_lose_its_name() -> None:
    """Until its folder is synced."""
    assert {len(state) for state in states(MADE, WRITTEN, SYNCED)} == {0, 1}
    assert states(MADE, WRITTEN, SYNCED, NAMED) == [{"f": b"a" * 1024}] * 200


def test_a_write_that_is_not_synced_may_reach_the_disk_in_sectors() -> None:
    """All of it, nothing of it, or either half of what is two sectors long."""
    kept = {state["f"] for state in states(MADE, NAMED, WRITTEN)}
    assert kept == {b"", b"a" * 512, b"a" * 1024, bytes(512) + b"a" * 512}


def test_a_rename_is_done_or_not() -> None:
    """There is one name at any time, whether its folder was synced or not."""
    renamed = Record("R", "/d/f", "/d/g", 0, 0, b"")
    assert {tuple(state) for state in states(MADE, NAMED, renamed)} == {("f",), ("g",)}


def test_a_sync_that_failed_has_lost_what_was_written() -> None:
    """The next one succeeds, and saves nothing of it."""
    failed = Record("F", "/d/f", "", 7, 0, b"")
    assert states(MADE, NAMED, WRITTEN, failed, SYNCED) == [{"f": b""}] * 200
