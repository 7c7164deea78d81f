"""A folder beside what an index remembers of it: what must be opened, what is gone, and in how little memory."""

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragkit.folders import FoundFile
from ragkit.reports import FileStamp, Problem
from ragkit.roots import Scope
from ragkit.store.local import LocalStore
from ragkit.store.writer import Writer
from ragkit.survey import Survey
from ragkit.types import Document

DAMAGED = Problem("it is damaged", "save it anew")
UNREADABLE = Problem("the folder cannot be read", code="unreadable_folder")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with LocalStore(tmp_path / "index").writing() as writer:
        yield writer


def scope(writer: Writer, prefix: str = "", below: str = "") -> Scope:
    root = next((root for root in writer.roots() if root.prefix == prefix), None)
    return Scope(root or writer.add_root(f"/{prefix}", prefix), prefix + below)


def file(source: str, problem: Problem | None = None) -> FoundFile:
    """A file of 100 bytes of long ago."""
    return FoundFile(source, f"/docs/{source}", FileStamp(100, 5), problem, "/docs", 1 << 20)


def store(writer: Writer, root: int | None, *sources: str) -> None:
    """As such files are after a run."""
    for source in sources:
        writer.replace(Document(source, "A kite.", "sha"), [], [], root=root, stamp=FileStamp(100, 5, 10**10))


def test_files_come_out_as_they_went_in(writer: Writer) -> None:
    """In order, with problems, stamps and names of any bytes; more than a pack of them."""
    name = os.fsdecode(b"\xff.txt")
    odd = FoundFile("shown", f"/docs/{name}", FileStamp(1, 2, 3, "4:5"), DAMAGED, "/docs", 7)
    files = [file("kite"), odd, *(file(f"{n}.txt") for n in range(1500))]
    survey = Survey(writer, scope(writer), iter(files), cut_from=0)
    assert [each for each, _ in survey] == files
    assert (survey.files, survey.bytes) == (1502, 1501 * 100)  # one has a problem


def test_what_is_known_spares_a_file_unless_it_failed_or_is_cut_anew(writer: Writer) -> None:
    """And what spares nothing is known all the same."""
    here = scope(writer)
    store(writer, here.root.id, "kite", "flag")
    store(writer, None, "note")
    writer.fail("flag", here.root.id, FileStamp(), [DAMAGED])
    files = [file("boat"), file("flag"), file("kite"), file("note")]
    survey = Survey(writer, here, files, cut_from=0)
    assert [(each.source, bool(before)) for each, before in survey] == [
        ("boat", False), ("flag", False), ("kite", True), ("note", False),
    ]  # fmt: skip
    assert survey.bytes == 300
    known = survey.take("flag")
    assert known
    assert known.sha256 == "sha"
    assert survey.take("note") is None  # of no folder
    again = Survey(writer, here, files, cut_from=known.id)
    assert [before for _, before in again] == [None] * 4
    assert again.bytes == 400


def test_gone_is_what_the_folder_had_and_has_no_longer(writer: Writer) -> None:
    """Files that failed among it; nothing of other folders, nor of a folder that cannot be read, nor above the path."""
    one, two = scope(writer), scope(writer, "more/")
    store(writer, one.root.id, "a", "b", "locked/c", "z/d", "z/e")
    store(writer, two.root.id, "more/f")
    writer.fail("broken", one.root.id, FileStamp(), [DAMAGED])
    files = [file("b"), file("b"), file("locked/", UNREADABLE), file("z/e")]  # one name twice, as a name of odd bytes
    assert Survey(writer, one, files, cut_from=0).gone() == ["a", "broken", "z/d"]
    assert Survey(writer, scope(writer, "", "z/"), [file("e")], cut_from=0).gone() == ["z/d"]
    assert Survey(writer, two, [], cut_from=0).gone() == ["more/f"]


@pytest.mark.parametrize("failed", [False, True])
def test_a_file_that_waits_takes_a_few_bytes(writer: Writer, failed: bool) -> None:
    """Less than 100 where a list of them and of what is known of them took more than 700; if all gave nothing, too."""
    here = scope(writer)
    names = [f"archive/of the year {n // 1000}/letter {n:07}.txt" for n in range(10_000)]
    store(writer, here.root.id, *names)
    seen = np.zeros(2)
    for n, count in enumerate((1000, 10_000)):
        for name in names[:count] if failed else ():
            writer.fail(name, here.root.id, FileStamp(100, 5), [DAMAGED])
        tracemalloc.start()
        survey = Survey(writer, here, (file(name) for name in names[:count]), cut_from=0)
        assert sum(1 for each, before in survey if bool(before) != failed and survey.take(each.source)) == count
        seen[n] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert survey.files == count
    assert (seen[1] - seen[0]) / 9000 < 100
