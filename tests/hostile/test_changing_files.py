"""Files that change between the walk, the opening and the parsing: nothing from outside, a name for it.

A parser that the test hands in changes the file at its moment. With one worker files are opened one after another, so
what is done while `a.txt` is parsed happens to `b/c.txt` after the walk and before its opening.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from toys import ColourEmbedder

from ragkit.chunking import RecursiveChunker
from ragkit.loaders import load
from ragkit.numbers import number
from ragkit.rag import RAG
from ragkit.reports import FileReport, FileStatus, Loaded
from ragkit.store.local import LocalStore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and open files as POSIX has them")
Change = Callable[[Path, Path], object]
MOST = 100_000
FIRST = "a.txt"
VICTIM = "b/c.txt"
TEXT = "The red house stands by the river. " * 20
OTHER = "The green meadow lies behind the mill. " * 30


class MeddledParsers:
    """Reads in this process, and changes the folder when a source is come to, before or after it is parsed."""

    workers = 1

    def __init__(self, when: str, change: Callable[[], object], *, after: bool = False) -> None:
        self._when, self._change, self._after = when, change, after

    def __enter__(self) -> MeddledParsers:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def load(self, file: BinaryIO, source: str) -> Loaded:
        if source == self._when and not self._after:
            self._change()
        loaded = load(file, source)
        if source == self._when and self._after:
            self._change()
        return loaded


class Desk:
    def __init__(self, place: Path) -> None:
        self.docs, self.outside, self.index = place / "docs", place / "outside", place / "index"
        for folder, text in ((self.docs / "b", TEXT), (self.outside, "OUTSIDE " * 30)):
            folder.mkdir(parents=True)
            (folder / "c.txt").write_text(text)
        (self.docs / FIRST).write_text("first, and long before the others")

    def run(self, parsers: MeddledParsers) -> dict[str, FileReport]:
        with RAG(
            LocalStore(self.index),
            ColourEmbedder(),
            RecursiveChunker(size=200, overlap=0),
            lambda: parsers,
            max_file_size=MOST,
        ) as rag:
            report = rag.index_folder(self.docs)
            assert len(report.files) == len({each.source for each in report.files})
            self.texts = {info.source: self._text(rag, info.source) for info in rag.documents() if info.chunks}
        return {each.source: each for each in report.files}

    @staticmethod
    def _text(rag: RAG, source: str) -> str:
        return " ".join(
            hit.chunk.text for hit in rag.search("house OUTSIDE meadow", k=50) if hit.chunk.source == source
        )


def calm() -> MeddledParsers:
    return MeddledParsers("", lambda: None)


def replaced_by_link(path: Path, outside: Path) -> None:
    path.unlink()
    path.symlink_to(outside / "c.txt")


def replaced_by_folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def replaced_by_pipe(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder_replaced_by_link(path: Path, outside: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.symlink_to(outside)


def folder_replaced_by_file(path: Path, _: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("a folder no more")


def replaced_by_rename(path: Path, _: Path) -> None:
    (path.parent / ".new").write_text(OTHER)
    (path.parent / ".new").replace(path)


def grown(path: Path, _: Path) -> None:
    with path.open("a") as file:
        file.write(OTHER)


def grown_too_large(path: Path, _: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(MOST + 1)


def truncated(path: Path, _: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(40)


def deleted(path: Path, _: Path) -> None:
    path.unlink()


def sidecar_replaced_by_pipe(path: Path, _: Path) -> None:
    sidecar = path.with_name(path.name + ".meta.json")
    sidecar.unlink(missing_ok=True)
    os.mkfifo(sidecar)
    os.open(sidecar, os.O_RDWR)  # held open, so that reading it finds no end; the process closes it


GONE = {  # between walk and opening: how it is named
    replaced_by_link: "it has become a link",
    replaced_by_folder: "it is no longer a regular file",
    replaced_by_pipe: "it is no longer a regular file",
    folder_replaced_by_link: "a folder above it has become something else",
    folder_replaced_by_file: "a folder above it has become something else",
    grown_too_large: f"it has {number(MOST + 1)} bytes, the limit is {number(MOST)}",
    deleted: "it cannot be read: No such file or directory",
}
HARMLESS = {replaced_by_rename: "meadow", grown: "meadow", truncated: "house"}  # what the index then has


@pytest.mark.parametrize("change", [*GONE, *HARMLESS], ids=lambda change: change.__name__)
def test_between_the_walk_and_the_opening(tmp_path: Path, change: Change) -> None:
    """What is no longer the file that was found is named; what is another version of it is indexed as that."""
    desk = Desk(tmp_path)
    files = desk.run(MeddledParsers(FIRST, lambda: change(desk.docs / VICTIM, desk.outside)))
    assert sorted(files) == [FIRST, VICTIM]
    if change in GONE:
        assert [problem.reason for problem in files[VICTIM].problems] == [GONE[change]]
        assert list(desk.texts) == [FIRST]
    else:
        assert files[VICTIM].status is FileStatus.NEW
        assert HARMLESS[change] in desk.texts[VICTIM]
    assert not any("OUTSIDE" in text for text in desk.texts.values())
    the_next_run_corrects_it(desk)


@pytest.mark.parametrize("after", [False, True], ids=["before parsing", "after parsing"])
@pytest.mark.parametrize("change", [*GONE, *HARMLESS], ids=lambda change: change.__name__)
def test_while_it_is_open(tmp_path: Path, change: Change, after: bool) -> None:
    """An open file stays itself whatever is put in its place; one that is written to is read once more, then named."""
    desk = Desk(tmp_path)
    files = desk.run(MeddledParsers(VICTIM, lambda: change(desk.docs / VICTIM, desk.outside), after=after))
    assert sorted(files) == [FIRST, VICTIM]
    written = change in (grown, grown_too_large, truncated)
    if written:
        reasons = {problem.reason for problem in files[VICTIM].problems}
        assert reasons <= {"it changed while it was read", GONE[grown_too_large]}
        assert reasons
    else:
        assert files[VICTIM].status is FileStatus.NEW
        assert "house" in desk.texts[VICTIM]
    assert not any("OUTSIDE" in text for text in desk.texts.values())
    the_next_run_corrects_it(desk)


def the_next_run_corrects_it(desk: Desk) -> None:
    """A run over the folder as it now is leaves what a new index of it would hold, and what is named as kept."""
    then = time.time() - 3600
    for path in desk.docs.rglob("*.txt"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (then, then))
    files = desk.run(calm())
    kept = {source for source, each in files.items() if "the version indexed before stays" in each.notes}
    found = {source: text for source, text in desk.texts.items() if source not in kept}
    shutil.rmtree(desk.index)
    desk.run(calm())
    assert found == desk.texts
    assert not any("OUTSIDE" in text for text in desk.texts.values())


def test_a_sidecar_that_becomes_a_pipe_costs_one_file(tmp_path: Path) -> None:
    """It is not waited for."""
    desk = Desk(tmp_path)
    (desk.docs / f"{VICTIM}.meta.json").write_text('{"year": 2024}')
    files = desk.run(MeddledParsers(FIRST, lambda: sidecar_replaced_by_pipe(desk.docs / VICTIM, desk.outside)))
    assert [problem.reason for problem in files[VICTIM].problems] == ["its .meta.json: it is no longer a regular file"]
    assert files[FIRST].status is FileStatus.NEW
