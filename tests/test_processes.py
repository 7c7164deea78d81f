"""One writer, any number of readers, in threads and in processes; and a lock whose holder is gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from crowd import crowd
from toys import colour_rag

from ragkit.errors import IndexLocked
from ragkit.rag import RAG
from ragkit.store.catalog import Catalog
from ragkit.store.local import LocalStore
from ragkit.store.lock import WriterLock
from ragkit.types import Document

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL are POSIX")


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[RAG]:
    with colour_rag(tmp_path / "index") as rag:
        rag.add([Document("house", "The red house stands by the river.")])
        yield rag


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that runs the code; it says something when it is ready."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def ended(process: subprocess.Popen[str], *, kill: bool = False) -> None:
    if kill:
        process.kill()
    process.communicate(timeout=60)


# Readers ------------------------------------------------------------------------------------------------------------


def test_readers_see_one_snapshot_beside_a_writer(tmp_path: Path) -> None:
    """Two processes and two threads search, list, and read documents while every commit replaces all of them."""
    counts, faults = crowd(tmp_path, 4)
    assert faults == []
    assert counts["beside readers of this one"] > 0
    assert all(counts[name] for name in ("by_vector", "by_word", "filtered", "list", "one", "around"))


def test_a_reader_that_stands_still_holds_up_no_writer(rag: RAG, tmp_path: Path) -> None:
    """A stopped process, a long listing: its snapshot stays what it was, and writers come and go beside it."""
    index = tmp_path / "index"
    catalog = Catalog(index)
    with catalog.snapshot() as generation:
        began = time.monotonic()
        rag.add([Document("boat", "A blue boat.")])
        rag.remove("house")
        # SQLite would wait five seconds for the reader at the end of each writer. This is none for speed: it takes .2.
        assert time.monotonic() - began < 8
        assert catalog.documents.get(generation, "house")
        assert catalog.documents.get(generation, "boat") is None
    catalog.close()
    assert [info.source for info in rag.documents()] == ["boat"]
    rag.add([Document("kite", "A red kite.")])
    assert not list(index.glob("*-wal")) or (index / "catalog.sqlite-wal").stat().st_size == 0


# A second writer ----------------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_with_the_holders_pid_wherever_it_is(rag: RAG, tmp_path: Path) -> None:
    """In this thread, in another one, in another process; and nothing waits for the holder, who goes on."""
    index = tmp_path / "index"
    attempt = """
import sys
from pathlib import Path
from ragkit.errors import IndexLocked
from ragkit.store.local import LocalStore
try:
    with LocalStore(Path(sys.argv[1])).writing():
        print("written")
except IndexLocked as error:
    print(error)
"""
    with LocalStore(index).writing() as writer:
        with pytest.raises(IndexLocked, match=f"process {os.getpid()} on"):
            rag.add([Document("boat", "A blue boat.")])
        with ThreadPoolExecutor(1) as pool:
            error = pool.submit(rag.remove, "house").exception()
        assert f"process {os.getpid()} on" in str(error)
        other = python(attempt, str(index))
        assert f"process {os.getpid()} on" in other.communicate(timeout=60)[0]
        writer.remove("house")
    assert rag.documents() == []


def test_the_refusal_never_names_who_is_dead(tmp_path: Path) -> None:
    """The lock is taken a moment before its note is written: until then the note is that of the holder before."""
    path = tmp_path / "writer.lock"
    with python("print()") as gone:
        ended(gone)
    holder = WriterLock(path)
    note = path.read_text()
    for other in (note.replace(f'"pid": {os.getpid()}', f'"pid": {gone.pid}'), "", "{", "[]"):
        path.write_text(other)
        with pytest.raises(IndexLocked, match="by another process"):
            WriterLock(path)
    path.write_text(note)
    with pytest.raises(IndexLocked, match=f"process {os.getpid()} on"):
        WriterLock(path)
    holder.release()
    assert path.read_text() == ""


# A lock whose holder is gone ----------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("end", ["killed", "ended"])
def test_a_child_that_lives_on_holds_no_lock(rag: RAG, tmp_path: Path, end: str) -> None:
    """A writer forked, as multiprocessing and servers do, and is gone; its child knows nothing of the lock."""
    hold = """
import os, sys, time
from pathlib import Path
from ragkit.store.local import LocalStore
with LocalStore(Path(sys.argv[1])).writing() as writer:
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()
print("done", flush=True)
sys.stdin.readline()
"""
    holder = python(hold, str(tmp_path / "index"))
    assert holder.stdin
    assert holder.stdout
    child = int(holder.stdout.readline())
    try:
        with pytest.raises(IndexLocked, match=f"process {holder.pid} on"):
            rag.add([Document("boat", "A blue boat.")])
        if end == "killed":
            holder.kill()
            holder.wait()
        else:
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "done\n"
        os.kill(child, 0)  # it lives
        rag.add([Document("boat", "A blue boat.")])
        assert {info.source for info in rag.documents()} == {"house", "boat"}
    finally:
        os.kill(child, signal.SIGKILL)
        ended(holder, kill=True)


@POSIX
def test_a_child_frees_no_lock_of_its_parent(rag: RAG, tmp_path: Path) -> None:
    """Whatever it does with what it inherited, and with a lock of its own."""
    index = tmp_path / "index"
    lock = WriterLock(index / "writer.lock")
    child = os.fork()
    if not child:
        other = WriterLock(tmp_path / "other.lock")  # takes the number that the inherited one had
        lock.release()
        try:
            WriterLock(tmp_path / "other.lock")
            os._exit(1)
        except IndexLocked:
            other.release()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(IndexLocked, match=f"process {os.getpid()} on"):
        rag.add([Document("boat", "A blue boat.")])
    lock.release()
    rag.add([Document("boat", "A blue boat.")])


@POSIX
def test_a_killed_command_leaves_no_lock_to_its_parsers(tmp_path: Path) -> None:
    """Parsers outlive the command by a moment, and more where they are busy: the next writer waits for none of them."""
    docs, index = tmp_path / "docs", tmp_path / "index"
    docs.mkdir()
    for number in range(300):
        (docs / f"{number:03}.html").write_text(f"<p>Red house {number}</p>" * 200, "utf-8")
    command = [sys.executable, "-m", "ragkit_cli", "index", "-q", "-i", str(index), str(docs)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RAGKIT_WORKERS": "2"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    parsers: list[int] = []
    while process.poll() is None and not (parsers and (index / "writer.lock").exists()):
        parsers = children(process.pid)
        time.sleep(0.005)
    for parser in parsers:
        os.kill(parser, signal.SIGSTOP)  # busy for as long as we like
    process.kill()
    process.wait()
    try:
        assert parsers
        with LocalStore(index).writing():
            pass
    finally:
        for parser in parsers:
            os.kill(parser, signal.SIGCONT)


def children(process: int) -> list[int]:
    """The processes that this one has started, by number."""
    tasks = Path(f"/proc/{process}/task")
    if not tasks.exists():
        pytest.skip("needs /proc")
    return [int(each) for task in tasks.iterdir() for each in (task / "children").read_text().split()]


def test_a_reader_is_in_no_writers_way_when_a_writer_has_died(rag: RAG, tmp_path: Path) -> None:
    """What the dead one committed is found; readers bring the word index up to date, and writers come at any time."""
    index = tmp_path / "index"
    crash = """
import os, signal, sys
from pathlib import Path
from toys import colour_rag
from ragkit.store.local import LocalStore
from ragkit.types import Document
with LocalStore(Path(sys.argv[1])).writing() as writer:
    writer.replace(Document("boat", "blue"), [], [])
    writer.commit()
    os._exit(9)
"""
    for _ in range(3):
        process = python(crash, str(index))
        ended(process)
        assert process.returncode == 9
        stop = threading.Event()

        def read(stop: threading.Event = stop) -> None:
            while not stop.is_set():
                rag.search("red", mode="lexical")

        with ThreadPoolExecutor(3) as pool:
            readings = [pool.submit(read) for _ in range(3)]
            try:
                for _ in range(5):
                    with LocalStore(index).writing() as writer:
                        writer.remove("boat")
            finally:
                stop.set()
        for reading in readings:
            reading.result()
    shutil.rmtree(index / "lexical")
    assert rag.search("red", mode="lexical")
