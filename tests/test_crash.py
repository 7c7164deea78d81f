"""kill -9 of the real command at any moment: nothing that was committed is lost, and the next run goes on."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ragkit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")

WORDS = ["река", "лодка", "берег", "договор", "залог", "срок", "аренда", "склад", "датчик", "warranty", "sensor"]
FILES = 250
KILLS = 12


def write(folder: Path, number: int, version: int) -> None:
    text = " ".join(random.Random(f"{number} {version}").choices(WORDS, k=400))
    (folder / f"{number:03}.txt").write_text(f"Документ {number}. {text}", "utf-8")


def start(folder: Path, index: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ragkit_cli", "index", "-q", "-i", str(index), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def found(index: Path) -> list[list[tuple[str, int, float]]]:
    with ragkit.open(index) as rag:
        return [
            [(hit.chunk.source, hit.chunk.start, round(hit.score, 4)) for hit in rag.search(query, 20)]
            for query in ("Документ 7", "срок аренды склада", "warranty of the sensor")
        ]


def test_kill_9_at_random_moments_loses_nothing(tmp_path: Path) -> None:
    """After each kill the index is sound and has at least what it had; at the end it answers like an unkilled one."""
    docs, index = tmp_path / "docs", tmp_path / "index"
    docs.mkdir()
    for number in range(FILES):
        write(docs, number, 0)
    began = time.monotonic()
    assert start(docs, tmp_path / "first").wait() == 0
    whole = time.monotonic() - began
    chance = random.Random(9)
    documents = 0
    for kill in range(KILLS):
        for number in chance.sample(range(FILES), 20 if documents == FILES else 0):
            write(docs, number, kill)
        process = start(docs, index)
        time.sleep(chance.uniform(0.1, 1.0) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (index / "catalog.sqlite").exists():
            with ragkit.open(index) as rag:
                # The word index may be behind, and a segment may be written and not yet named: both mend themselves.
                assert {f.subject for f in rag.check() if not f.ok} <= {"word index", "files"}
                assert rag.status().documents >= documents
                documents = rag.status().documents
                rag.search("договор")
    assert start(docs, index).wait() == 0
    assert start(docs, tmp_path / "unkilled").wait() == 0
    # Word statistics count what was deleted until it is merged away: made again, both are made of the same.
    shutil.rmtree(index / "lexical")
    assert found(index) == found(tmp_path / "unkilled")
    with ragkit.open(index) as rag:
        assert all(finding.ok for finding in rag.check())
        assert rag.index_folder(docs).unchanged == FILES
