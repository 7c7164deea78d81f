"""The word index beside a writer: what is on disk while an update goes on is good, and so is what its death leaves."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import ragkit
from ragkit import Document
from ragkit.store.catalog import Catalog
from ragkit.store.wordindex import lexical_path, open_words

WAIT = 30.0  # seconds; tantivy's thread needs some milliseconds


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index of two generations, whose word index is up to date."""
    with ragkit.open(tmp_path / "index", provider="offline") as rag:
        rag.add([Document("dog", "Собака лает.")])
        rag.add([Document("cat", "Кошка спит.")])
    return tmp_path / "index"


def interrupted(index: Path, then: Callable[[], object]) -> None:
    """An update of the word index that does something when tantivy has begun a segment, and is given up."""

    def rows() -> Iterator[tuple[int, int, str]]:
        yield 100, 100, "Попугай говорит."
        deadline = time.monotonic() + WAIT
        while own_files.read_bytes() == before:
            assert time.monotonic() < deadline, "tantivy began no segment"
            time.sleep(0.001)
        then()
        raise InterruptedError

    with closing(Catalog(index)) as catalog:
        own_files = lexical_path(catalog) / "chunks" / ".managed.json"
        before = own_files.read_bytes()
        words = open_words(catalog)
        with pytest.raises(InterruptedError):
            words.update(add=rows(), remove_documents=[], generation=catalog.generation() + 1)


def test_an_update_that_goes_on_leaves_readers_what_was_there(index: Path) -> None:
    """They open it, however much the writer has written; nothing is made in memory."""
    found = []

    def look() -> None:
        with closing(Catalog(index)) as catalog:
            words = open_words(catalog)
            found.append((words.generation, words.search("собака", 1)[0][0], words.search("попугай", 1)))

    with closing(Catalog(index)) as catalog:
        generation = catalog.generation()
    interrupted(index, look)
    assert found == [(generation, 1, [])]


@pytest.mark.parametrize("died", [True, False], ids=["died", "given up"])
def test_an_update_that_broke_off_is_not_answered_by_making_all_again(index: Path, tmp_path: Path, died: bool) -> None:
    """What was there stays, only what is new is added, and what the dead writer did not finish is gone."""
    before = segments(index)
    copy = tmp_path / "copy"  # as a writer leaves it that is killed
    interrupted(index, lambda: shutil.copytree(index, copy, ignore=shutil.ignore_patterns(".tmp*")))
    (folder,) = copy.glob("lexical/*/chunks")
    (folder / ".tmpQw3rTy").write_bytes(b'["half a li')
    with ragkit.open(copy if died else index, provider="offline") as rag:
        rag.add([Document("fish", "Рыба молчит.")])
        assert [hit.chunk.source for hit in rag.search("рыба", 1, mode="lexical")] == ["fish"]
        assert all(finding.ok for finding in rag.check())
    assert before < segments(copy if died else index)
    assert (folder / ".tmpQw3rTy").exists() != died


def segments(index: Path) -> set[str]:
    return {path.name for path in index.glob("lexical/*/chunks/*.idx")}


def test_what_came_in_half_an_update_and_went_before_the_next_is_gone(index: Path, tmp_path: Path) -> None:
    """A death between the commits of two parts: one of them has a document that the other never heard of."""
    with closing(Catalog(index)) as catalog:
        path = lexical_path(catalog)
    shutil.copytree(path, tmp_path / "before")
    with ragkit.open(index, provider="offline") as rag:
        rag.add([Document("fox", "Лиса бежит.")])
    shutil.rmtree(path / "sections")
    shutil.copytree(tmp_path / "before" / "sections", path / "sections")
    shutil.copy2(tmp_path / "before" / "sums.json", path / "sums.json")
    with closing(Catalog(index)) as catalog:
        assert not open_words(catalog).settled
    with ragkit.open(index, provider="offline") as rag:
        rag.remove("fox")
        assert [finding.message for finding in rag.check() if not finding.ok] == []
        assert rag.search("лиса", mode="lexical") == []
