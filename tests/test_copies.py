"""Backing up an index that is being written, as docs/reliability.md says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

from crowd import MODEL, Writing, here, open_store, vectors

COMMAND = re.compile(r'^python -c "(import sqlite3.*)"$', re.MULTILINE)
PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"


def copy(folder: Path, name: str) -> Path:
    """By the commands of the page, run in the folder that holds the index."""
    found = COMMAND.search(PAGE.read_text("utf-8"))
    assert found
    (folder / name).mkdir()
    subprocess.run([sys.executable, "-c", found[1].replace("copy/", f"{name}/")], cwd=folder, check=True)
    # As `cp -r` does, it goes on where a file has gone since the folder was listed.
    (folder / name / "vectors").mkdir()
    for path in (folder / ".ragkit" / "vectors").iterdir():
        with suppress(FileNotFoundError):
            shutil.copy2(path, folder / name / "vectors")
    return folder / name


def test_a_copy_beside_a_writer_is_one_moment_of_the_index(tmp_path: Path) -> None:
    """Whole, with nothing of another version; or it lacks vectors that were merged meanwhile, and doctor says so."""
    store = open_store(tmp_path / ".ragkit")
    writing = Writing(store)
    writing.commits(0.2)
    writer = threading.Thread(target=writing.commits, args=(6,))
    writer.start()
    whole = 0
    for attempt in range(40):
        index = copy(tmp_path, f"copy{attempt}")
        with closing(open_store(index)) as copied:
            findings = copied.check()
            faults = [each for each in findings if not each.ok and each.subject != "word index"]
            if faults:
                assert all("is missing" in fault.message or "are named" in fault.message for fault in faults), faults
                continue
            infos = copied.documents()
            (version,) = {int(info.metadata["version"]) for info in infos}
            assert {info.source for info in infos} == here(version)
            hits = copied.search("common", vectors(["query"])[0], k=1000, model=MODEL)
            assert {hit.chunk.source for hit in hits} == here(version)
            whole += 1
        if whole == 3 or not writer.is_alive():
            break
    writer.join()
    store.close()
    assert whole
