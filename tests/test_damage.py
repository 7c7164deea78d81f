"""A damaged index answers with an error that names the cure, or rightly; never with anything else."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from toys import colour_rag

from ragkit.errors import IndexCorrupt, RagkitError
from ragkit.rag import RAG
from ragkit.reports import FileStamp
from ragkit.store.catalog.rows import crc
from ragkit.store.local import LocalStore
from ragkit.store.lock import WriterLock
from ragkit.store.sizes import Sizes
from ragkit.types import Chunk, Document

ACTS: dict[str, Callable[[RAG], object]] = {
    "search": lambda rag: rag.search("red house"),
    "ask": lambda rag: rag.ask("Which house is red?"),
    "documents": lambda rag: rag.documents(),
    "document": lambda rag: rag.document("3"),
    "neighbours": lambda rag: rag.neighbours(3),
    "status": lambda rag: rag.status(),
    "check": lambda rag: rag.check(),
    "add": lambda rag: rag.add([Document("new", "A green meadow.")]),
    "remove": lambda rag: rag.remove("5"),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    index = tmp_path_factory.mktemp("damage") / "index"
    with colour_rag(index) as rag:
        rag.add(Document(f"{i}", f"Red house number {i}. " * 20, metadata={"n": i}) for i in range(40))
    return index


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_catalog_ends_in_an_error_of_ours(sound: Path, tmp_path: Path, seed: int) -> None:
    """Bits flipped, pages zeroed, the end cut off: each act works or raises a RagkitError, and the check never does."""
    chance = random.Random(seed)
    hints = []
    for act in ACTS:
        index = Path(shutil.copytree(sound, tmp_path / act))
        path = index / "catalog.sqlite"
        data = bytearray(path.read_bytes())
        place = chance.randrange(4096 if seed % 3 else 100, len(data)) if seed % 4 else chance.randrange(100, 4096)
        if seed % 5 == 0:
            data[place // 4096 * 4096 : place // 4096 * 4096 + 4096] = bytes(4096)
        elif seed % 5 == 1:
            del data[place:]
        else:
            for _ in range(8):
                data[min(len(data) - 1, place + chance.randrange(200))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        with colour_rag(index) as rag:
            try:
                ACTS[act](rag)
            except RagkitError as error:
                hints.append(error.hint)
    assert all(hints)


def test_an_empty_catalog_is_damaged_not_foreign(sound: Path, tmp_path: Path) -> None:
    """A full disk leaves such files."""
    index = Path(shutil.copytree(sound, tmp_path / "index"))
    (index / "catalog.sqlite").write_bytes(b"")
    with pytest.raises(IndexCorrupt, match="it is empty"):
        colour_rag(index).status()


def test_an_empty_folder_of_vectors_may_be_missing(sound: Path, tmp_path: Path) -> None:
    """Not every copy takes empty folders along: nothing is lost, and the next writer makes it."""
    index = Path(shutil.copytree(sound, tmp_path / "index"))
    (index / "vectors").rmdir()
    with colour_rag(index) as rag:
        assert all(finding.ok for finding in rag.check())
        rag.add(Document(f"more {n}", f"Green house number {n}.") for n in range(3000))
        assert any((index / "vectors").iterdir())
        assert all(finding.ok for finding in rag.check(data=True))


def test_a_missing_folder_of_segments_is_a_finding(tmp_path: Path) -> None:
    """The check names what was in it, and goes on."""
    with colour_rag(tmp_path / "index") as rag:
        rag.add(Document(f"{n}", f"Green house number {n}.") for n in range(3000))
        shutil.rmtree(tmp_path / "index" / "vectors")
        faults = [finding for finding in rag.check() if not finding.ok]
    assert {finding.subject for finding in faults} == {"vectors"}
    assert "is missing" in faults[0].message
    with colour_rag(tmp_path / "index") as rag, pytest.raises(IndexCorrupt, match=r"seg-.* is missing"):
        rag.search("green")


@pytest.mark.parametrize("cut", [None, 500])
def test_nothing_is_added_beside_a_segment_that_is_missing_or_cut(tmp_path: Path, cut: int | None) -> None:
    """A run that brings the index up to date every night says that no search works any more."""
    with colour_rag(tmp_path / "index") as rag:
        rag.add(Document(f"{n}", f"Green house number {n}.") for n in range(3000))
    segment = next((tmp_path / "index" / "vectors").iterdir())
    if cut is None:
        segment.unlink()
    else:
        os.truncate(segment, cut)
    with colour_rag(tmp_path / "index") as rag:
        for change in (lambda: rag.add([Document("new", "Red house.")]), lambda: rag.remove("1")):
            with pytest.raises(IndexCorrupt, match=f"{segment.name} (is missing|has {cut} bytes)") as caught:
                change()
            assert "doctor --repair" in caught.value.hint
        rag.repair()
        assert rag.add([Document("new", "Red house.")]).new == 1
        assert rag.search("red")[0].chunk.source == "new"


def test_a_check_beside_a_writer_raises_no_alarm(sound: Path, tmp_path: Path) -> None:
    """What a writer is changing is not looked at, and it says so."""
    index = Path(shutil.copytree(sound, tmp_path / "index"))
    lock = WriterLock(index / "writer.lock")
    try:
        findings = colour_rag(index).check()
    finally:
        lock.release()
    assert all(finding.ok for finding in findings)
    assert "not looked at" in findings[-1].message


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_word_index_changes_no_kind_of_error(sound: Path, tmp_path: Path, seed: int) -> None:
    """It is made again where the damage shows; a search ends with hits in any case."""
    index = Path(shutil.copytree(sound, tmp_path / "index"))
    chance = random.Random(seed)
    files = sorted(path for path in (index / "lexical").rglob("*") if path.is_file() and path.stat().st_size > 8)
    path = files[seed % len(files)]
    data = bytearray(path.read_bytes())
    for _ in range(4):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    with colour_rag(index) as rag:
        assert rag.search("red house", 5)
        assert rag.ask("Which house is red?").hits


def test_a_damaged_segment_is_not_rewritten(tmp_path: Path) -> None:
    """Merged into another it would get a right checksum: it stays as it is, and the check goes on finding it."""
    index = tmp_path / "index"
    store = LocalStore(index, sizes=Sizes(seal=50, most_small=2))

    def fill(name: str) -> None:
        chunks = [Chunk(name, 2 * i, 2 * i + 1, "x") for i in range(60)]
        keys = [f"{name} {i}".encode() for i in range(60)]
        with store.writing() as writer:
            writer.set_model("given/1", 4)
            writer.add_vectors(keys, np.random.default_rng(1).standard_normal((60, 4)).astype(np.float32))
            writer.replace(Document(name, "x " * 60, name), chunks, keys)

    fill("a")
    (path,) = (index / "vectors").iterdir()
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    for name in "bcd":
        fill(name)
    faults = [finding.message for finding in store.check() if not finding.ok]
    assert faults == [f"piece 0 of the segment {path.name} differs from its checksum"]


@pytest.mark.parametrize("column", ["root", "size"])
def test_damage_gets_no_right_checksum_when_its_row_is_written_again(sound: Path, tmp_path: Path, column: str) -> None:
    """Noting new times, or a failure, is refused on a row that does not hold: afterwards nobody would know."""
    index = Path(shutil.copytree(sound, tmp_path / "index"))
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as db:
        db.execute(f"UPDATE document SET {column} = 7 WHERE source = '3'")
    for act in (
        lambda writer: writer.touch("3", FileStamp(1, 2, 3)),
        lambda writer: writer.fail("3", None, FileStamp(), []),
    ):
        with pytest.raises(IndexCorrupt, match="what is known of the file 3"), LocalStore(index).writing() as writer:
            act(writer)
    assert not all(finding.ok for finding in colour_rag(index).check())


@pytest.mark.parametrize("column", ["source", "record"])
def test_what_a_hit_says_of_its_document_holds(sound: Path, tmp_path: Path, column: str) -> None:
    """Another name, or other metadata, is no hit's but an error."""
    index = Path(shutil.copytree(sound, tmp_path / "index"))
    with colour_rag(index) as rag:
        (hit,) = rag.search("red house", 1, where={"n": 3})
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as db:
        db.execute(f"UPDATE document SET {column} = replace({column}, '3', '77') WHERE source = '3'")
    with colour_rag(index) as rag:
        for find in (lambda: rag.search("red house", 1, where={"n": 3}), lambda: rag.neighbours(hit.id)):
            with pytest.raises(IndexCorrupt, match="the record of"):
                find()


@pytest.mark.parametrize("record", ["{", "[1]", "7", '{"metadata": 7}', '{"metadata": null}'])
def test_a_record_that_somebody_else_made_is_damaged(sound: Path, tmp_path: Path, record: str) -> None:
    """Its checksum is right, and it says nothing that a hit could say of its document."""
    index = Path(shutil.copytree(sound, tmp_path / "index"))
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as db:
        columns = "source, sha256, characters, chunks, record, layout"
        rows = db.execute(f"SELECT id, {columns} FROM document").fetchall()
        db.executemany(
            "UPDATE document SET record = ?, crc = ? WHERE id = ?",
            [(record, crc(*fields, record, layout), id) for id, *fields, _, layout in rows],
        )
    with colour_rag(index) as rag:
        for act in ("search", "documents", "document", "neighbours"):
            with pytest.raises(IndexCorrupt, match="the record of"):
                ACTS[act](rag)
