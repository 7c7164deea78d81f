"""kill -9 of the real command at any moment: nothing that was committed is lost, and the next run goes on."""

import os
import random
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


def content(index: Path) -> tuple[int, dict[str, str], list[tuple[str, int]]]:
    """The number of chunks, every document's text, and what a query for each document finds first."""
    with ragkit.open(index) as rag:
        texts = {info.source: rag.document(info.source).text for info in rag.documents()}
        firsts = [rag.search(f"Документ {number}", 1)[0].chunk for number in range(0, FILES, 10)]
        return rag.status().chunks, texts, [(chunk.source, chunk.start) for chunk in firsts]


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
    assert content(index) == content(tmp_path / "unkilled")
    with ragkit.open(index) as rag:
        assert all(finding.ok for finding in rag.check())
        assert rag.index_folder(docs).unchanged == FILES
