"""One flipped bit anywhere is reported where it changes content, and changes no result where it hits a cache."""

import json
import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from flips import answers, build, dump, flip, open_rag, reported

from ragkit.store.local import LocalStore
from ragkit.types import Document


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("flips"))


@pytest.fixture
def index(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "index"))


def test_every_flip_that_changes_content_is_reported(sound: Path, tmp_path: Path) -> None:
    """The short form; `python -m tests.flips --count 5000` is the long one."""
    index = Path(shutil.copytree(sound, tmp_path / "index"))
    tally = flip(index, 160, seed=7)
    assert tally.missed == []
    assert tally.other_answers == []
    assert tally.changing["catalog.sqlite"] > 30
    assert tally.changing["vectors"] == 40
    assert tally.searches == 40
    assert not reported(index)


def test_the_index_holds_everything(sound: Path) -> None:
    """Else the flips would prove less than they say: every table has rows, segments have two sizes, there are codes."""
    found = dump(sound)
    assert isinstance(found, tuple)
    tables, files = found
    assert all(tables)
    assert len({len(data) for _, data in files}) > 1
    assert (sound / "ann" / "codes").exists()
    assert not reported(sound)


def test_parts_together_are_all(index: Path) -> None:
    """A damaged document, piece or name is found by one of the parts, and by no other."""
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as db:
        large = "(SELECT id FROM document WHERE source = 'large/3')"
        db.execute(f"UPDATE text SET body = zeroblob(length(body)) WHERE id >> 20 = {large}")
    segment = max((index / "vectors").iterdir(), key=lambda path: path.stat().st_size)
    damaged = bytearray(segment.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    segment.write_bytes(damaged)
    store = LocalStore(index)
    whole = {finding.message for finding in store.check() if not finding.ok}
    parts = [{f.message for f in store.check(subset=(n, 5)) if not f.ok} for n in range(1, 6)]
    assert any("document" in message for message in whole)
    assert any("piece" in message for message in whole)
    assert set().union(*parts) == whole
    assert sum(map(len, parts)) == len(whole)
    assert all(finding.ok for finding in store.check(data=False) if finding.subject != "catalog")


@pytest.mark.parametrize("damage", ["deleted", "list deleted", "file deleted", "truncated", "sums deleted"])
def test_a_word_index_that_lost_something_changes_no_result(index: Path, damage: str) -> None:
    """It is noticed when the index is opened, and made again."""
    right = answers(index)
    (folder,) = (index / "lexical").iterdir()
    largest = max((folder / "chunks").iterdir(), key=lambda path: path.stat().st_size)
    if damage == "deleted":
        shutil.rmtree(index / "lexical")
    elif damage == "list deleted":
        (folder / "chunks" / "meta.json").unlink()
    elif damage == "file deleted":
        largest.unlink()
    elif damage == "truncated":
        largest.write_bytes(largest.read_bytes()[:-100])
    else:
        (folder / "sums.json").unlink()
    assert answers(index) == right
    assert not reported(index)


def test_a_word_index_of_another_index_is_not_used(index: Path, tmp_path: Path) -> None:
    """Nor that of a copy of this one which went another way since: they have one name and one generation."""
    copy = Path(shutil.copytree(index, tmp_path / "copy"))
    for place, word in ((index, "договор"), (copy, "kettle")):
        with open_rag(place) as rag:
            rag.add([Document("new", f"{word} {word} {word}")])
    shutil.rmtree(index / "lexical")
    right = answers(index)
    shutil.rmtree(index / "lexical")
    shutil.copytree(copy / "lexical", index / "lexical")
    assert reported(index)
    assert answers(index) == right


def test_a_word_index_from_before_a_deletion_does_not_catch_up(index: Path, tmp_path: Path) -> None:
    """What went is no longer known: it is made again instead."""
    shutil.copytree(index / "lexical", tmp_path / "old")
    with open_rag(index) as rag:
        rag.remove("large/3")
    shutil.rmtree(index / "lexical")
    right = answers(index)
    shutil.rmtree(index / "lexical")
    shutil.copytree(tmp_path / "old", index / "lexical")
    assert answers(index) == right
    assert not reported(index)


def test_a_flip_that_the_file_system_does_not_know_of_is_found_by_reading_all(index: Path) -> None:
    """Opening compares sizes and times; the check of every byte reads the word index as well, and repair mends it."""
    right = answers(index)
    (folder,) = (index / "lexical").iterdir()
    note = folder / "sums.json"
    path = max((folder / "chunks").glob("*.idx"), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    stat = path.stat()
    data[len(data) // 2] ^= 8
    path.write_bytes(data)
    stamp = path.stat()
    text = note.read_text()
    for before, after in ((stat.st_mtime_ns, stamp.st_mtime_ns), (stat.st_ctime_ns, stamp.st_ctime_ns)):
        text = text.replace(str(before), str(after))
    said = json.loads(text)["sums"]
    note.write_text(json.dumps({"sums": said, "crc": zlib.crc32(json.dumps(said).encode())}))
    assert reported(index)
    with open_rag(index) as rag:
        assert all(finding.ok for finding in rag.repair())
    assert answers(index) == right
