"""Files are read, embedded and stored at once, within bounds; whatever comes first, the index is the same."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from ragkit.chunking import RecursiveChunker
from ragkit.errors import LoadError
from ragkit.folders import walk
from ragkit.ingest import HELD_CHARACTERS
from ragkit.intake import look_at_all
from ragkit.providers.embedding import CANARY, Limits, RemoteEmbedder
from ragkit.rag import RAG
from ragkit.reports import IndexReport, Loaded, Progress
from ragkit.store.local import LocalStore
from ragkit.types import Chunk, Document, FloatMatrix, Usage

PATIENCE = 10.0  # seconds, after which something that should happen meanwhile is taken not to


class Threads:
    """Parsers without processes: `reads` is told of each file before it is there."""

    def __init__(self, workers: int = 2, reads: Callable[[str], None] = lambda _: None) -> None:
        self.workers = workers
        self.reads = reads

    def load(self, file: BinaryIO, source: str) -> Loaded:
        self.reads(source)
        return Loaded(Document(source, file.read().decode()))

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


class Service:
    """Vectors by the length of a text. `asked` is told of each request; `texts` are what was paid for."""

    def __init__(self, asked: Callable[[Sequence[str]], None] = lambda _: None) -> None:
        self.asked = asked
        self.texts: list[str] = []

    def send(self, _: str, texts: Sequence[str], __: int) -> tuple[FloatMatrix, Usage]:
        if texts != [CANARY]:
            self.asked(texts)
            self.texts += texts
        return np.array([[len(text), 1, 2] for text in texts], np.float32), Usage(embedding_tokens=len(texts))


def rag_of(
    place: Path, service: Service, parsers: Threads, *, items: int = 1, slots: int = 2, chunker: object = None
) -> RAG:
    return RAG(
        LocalStore(place / "index"),
        RemoteEmbedder(service.send, "lengths", limits=Limits(items=items, slots=slots)),
        chunker or RecursiveChunker(size=60, overlap=0),  # type: ignore[arg-type]  # a chunker is any callable
        lambda: parsers,  # type: ignore[arg-type, return-value]  # as much of a pool as is used
        max_file_size=1 << 30,
    )


def folder(place: Path, count: int) -> Path:
    (place / "docs").mkdir()
    for n in range(count):
        (place / "docs" / f"{n:03}.txt").write_text(f"File {n} is red. " + "So it is, " * (n % 7))
    return place / "docs"


def test_what_is_read_is_embedded_while_other_files_are_read(tmp_path: Path) -> None:
    """The second file is there only once the text of the first was sent."""
    sent, seen = threading.Event(), list[bool]()

    def reads(source: str) -> None:
        if source == "001.txt":
            seen.append(sent.wait(PATIENCE))

    with rag_of(tmp_path, Service(lambda _: sent.set()), Threads(reads=reads)) as rag:
        assert rag.index_folder(folder(tmp_path, 2)).new == 2
    assert seen == [True]


def test_files_are_read_while_a_service_takes_its_time(tmp_path: Path) -> None:
    """The first text is answered only once the last file was read."""
    read, seen = threading.Event(), list[bool]()

    def asked(texts: Sequence[str]) -> None:
        if "File 0 " in texts[0]:
            seen.append(read.wait(PATIENCE))

    with rag_of(tmp_path, Service(asked), Threads(reads=lambda s: read.set() if s == "011.txt" else None)) as rag:
        assert rag.index_folder(folder(tmp_path, 12)).new == 12
    assert seen == [True]


def test_what_arrived_is_stored_while_a_slow_file_is_awaited(tmp_path: Path) -> None:
    """The last file is there only once the run has told of a bill: a death meanwhile would cost nothing."""
    told, seen = threading.Event(), list[bool]()

    def reads(source: str) -> None:
        if source == "003.txt":
            seen.append(told.wait(PATIENCE))

    def progress(now: Progress) -> None:
        if now.tokens > 2:  # one is for recognising the model
            told.set()

    with rag_of(tmp_path, Service(), Threads(reads=reads)) as rag:
        rag.index_folder(folder(tmp_path, 4), progress=progress)
    assert seen == [True]


def test_documents_that_wait_are_bounded(tmp_path: Path) -> None:
    """One request that hangs does not let the rest of a folder pile up behind it, however fast the others are."""
    size = 1 << 20
    taken: list[int] = []
    piled: list[int] = []

    def asked(texts: Sequence[str]) -> None:
        if texts[0].startswith("0 "):
            time.sleep(0.5)  # the others would all be here by then
            piled.append(len(taken))

    def documents() -> Iterator[Document]:
        for n in range(24):
            taken.append(n)
            yield Document(f"{n}", f"{n} " + "x" * size)

    def whole(document: Document) -> list[Chunk]:
        return [Chunk(document.source, 0, len(document.text), document.text)]

    with rag_of(tmp_path, Service(asked), Threads(), slots=4, chunker=whole) as rag:
        assert rag.add(documents()).new == 24
    assert piled[0] <= HELD_CHARACTERS // size + 2


@pytest.mark.parametrize(("sizes", "most"), [([10] * 200, 32), ([5 << 20] * 9, 4)], ids=["many", "large"])
def test_no_more_is_read_ahead_than_has_room(tmp_path: Path, sizes: list[int], most: int) -> None:
    """Behind a file that hangs a number of others is read, and of large ones few."""
    begun: list[str] = []
    go = threading.Event()

    def reads(source: str) -> None:
        begun.append(source)
        if source == "000.txt":
            go.wait(PATIENCE)

    for n, size in enumerate(sizes):
        (tmp_path / f"{n:03}.txt").write_bytes(b"x" * size)
    files = [(file, None) for file in walk(tmp_path, max_file_size=1 << 30)]
    seen = look_at_all(files, Threads(reads=reads))
    assert next(seen) is None  # none is there yet
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        assert next(seen) is None
    assert len(begun) <= most
    go.set()
    assert [each.file.source for each in seen if each] == [file.source for file, _ in files]
    assert sorted(begun) == [file.source for file, _ in files]


def test_an_error_that_no_file_explains_is_raised(tmp_path: Path) -> None:
    """In the thread of the caller, and what is ahead of it came before."""

    def reads(source: str) -> None:
        if source == "001.txt":
            raise RuntimeError("a mistake of our own")
        if source == "002.txt":
            raise LoadError("damaged")

    files = [(file, None) for file in walk(folder(tmp_path, 4), max_file_size=1 << 30)]
    seen = (each for each in look_at_all(files, Threads(reads=reads)) if each)
    assert next(seen).file.source == "000.txt"
    with pytest.raises(RuntimeError, match="a mistake of our own"):
        next(seen)


def indexed(place: Path, *, workers: int, slots: int, items: int, seed: int) -> tuple[IndexReport, object]:
    """A run in which files and answers come in an order of chance; its report and what then is in the index."""
    chance = random.Random(seed)

    def wait(_: object) -> None:
        time.sleep(chance.random() * 0.01 if seed else 0)

    place.mkdir()
    docs = folder(place, 40)
    (docs / "copy.txt").write_text((docs / "007.txt").read_text())
    (docs / "long.txt").write_text("\n\n".join(f"Paragraph {n} of the red house." for n in range(40)))
    with rag_of(place, Service(wait), Threads(workers, wait), items=items, slots=slots) as rag:
        report = rag.index_folder(docs)
        chunks, rows = rag._store.vectors(1000)
        return report, (chunks, rows.tolist())


def test_the_index_is_the_same_whatever_comes_first(tmp_path: Path) -> None:
    """Ids, chunks, vectors and the report, for any number of parsers and slots."""
    first, stored = indexed(tmp_path / "0", workers=1, slots=1, items=4, seed=0)
    for n, (workers, slots, items) in enumerate([(3, 5, 4), (2, 7, 1), (4, 2, 16)], 1):
        report, same = indexed(tmp_path / f"{n}", workers=workers, slots=slots, items=items, seed=n)
        assert same == stored
        assert report.files == first.files
        assert (report.new, report.embedded, report.reused) == (first.new, first.embedded, first.reused)


def test_whoever_is_told_may_fail_again_and_again(tmp_path: Path) -> None:
    """What is on its way when telling of a file fails is stored, and nobody is told of it any more."""
    told: list[int] = []

    def progress(now: Progress) -> None:
        told.append(now.files)
        if now.files >= 20:
            raise BrokenPipeError

    service = Service(lambda _: time.sleep(0.002))
    with rag_of(tmp_path, service, Threads(), slots=4) as rag:
        with pytest.raises(BrokenPipeError):
            rag.index_folder(folder(tmp_path, 60), progress=progress)
        assert told.count(20) == 1
        assert rag.status().vectors == len(set(service.texts)) == len(service.texts) > 0
        rag.index_folder(tmp_path / "docs")
        assert len(service.texts) == len(set(service.texts)) == rag.status().vectors
        assert rag.status().documents == 60


def test_progress_tells_of_bytes_pages_and_time(tmp_path: Path) -> None:
    """Bytes rise to those of the files that were opened; of an unchanged folder there are none to open."""
    docs = folder(tmp_path, 30)
    size = sum(path.stat().st_size for path in docs.iterdir())
    seen: list[Progress] = []
    with rag_of(tmp_path, Service(), Threads(), slots=4) as rag:
        rag.index_folder(docs, progress=seen.append)
        assert [now.bytes for now in seen] == sorted(now.bytes for now in seen)
        read, finishing = [[now for now in seen if now.finishing is last] for last in (False, True)]
        assert (read[-1].bytes, read[-1].total_bytes, read[-1].left) == (size, size, 0)
        assert (finishing[0].bytes, finishing[0].left) == (size, None)
        assert (finishing[-1].bytes, finishing[-1].left) == (size, 0)
        assert finishing[-1].findable == finishing[-1].to_find == rag.status().chunks
        assert {now.total_bytes for now in seen} == {size}
        assert all(now.seconds > 0 for now in seen)


def test_time_left_goes_by_bytes() -> None:
    """Files differ; where there are no bytes, by what is counted; and where nothing is done, nobody knows."""
    assert Progress(9, 10, 0, bytes=100, total_bytes=400, seconds=10).left == 30
    assert Progress(5, 10, 0, seconds=10).left == 10
    assert Progress(1, 10, 0, total_bytes=400, seconds=10).left is None
    assert Progress(9, 9, 0, seconds=10, finishing=True).left is None
    assert Progress(9, 9, 0, seconds=10, finishing=True, findable=1, to_find=4, finishing_seconds=2).left == 6
