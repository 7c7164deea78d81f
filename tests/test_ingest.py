"""Folders to the index: what is embedded, what is not, what is reported."""

import json
import os
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from toys import ColourEmbedder, colour_rag

from ragkit.chunking import RecursiveChunker
from ragkit.errors import ConfigError, IndexMismatch
from ragkit.loaders.isolation import ParserPool
from ragkit.rag import RAG
from ragkit.reports import FileStatus, IndexReport, Progress
from ragkit.store.local import LocalStore
from ragkit.types import Document

RED = "The red house stands by the river, and its door was painted by a sailor. " * 2
GREEN = "The green meadow behind the mill is mown twice in the summer months. " * 2
BLUE = "The blue boat lies upside down on the shore until the ice is gone. " * 2


class Desk:
    """A folder of documents with its index beside it."""

    def __init__(self, place: Path) -> None:
        self.docs = place / "docs"
        self.docs.mkdir()
        self.embedder = ColourEmbedder()
        self.index = place / ".ragkit"
        self.rag: RAG = colour_rag(self.index, self.embedder)

    def write(self, name: str, *paragraphs: str) -> Path:
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(paragraphs), "utf-8")
        age(path)
        return path

    def cutting(self, recipe: str) -> RAG:
        """The same index, with the size and overlap of chunks that the recipe says."""
        size, overlap = map(int, recipe.split("/"))
        return RAG(
            LocalStore(self.index),
            self.embedder,
            RecursiveChunker(size=size, overlap=overlap),
            lambda: ParserPool(2),
            max_file_size=1 << 20,
            recipe=recipe,
        )

    def run(self) -> IndexReport:
        return self.rag.index_folder(self.docs)

    def found(self, query: str) -> set[str]:
        return {hit.chunk.source for hit in self.rag.search(query, mode="lexical")}


def age(path: Path) -> None:
    """Let the file look an hour old, as most files are: a fresh one is read again to be sure."""
    then = time.time() - 3600
    os.utime(path, (then, then))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def counts(report: IndexReport) -> dict[str, int]:
    names = ("new", "changed", "removed", "unchanged", "failed", "embedded", "reused")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def test_a_first_run_embeds_each_chunk_once(desk: Desk) -> None:
    """Every file is new; a text that stands in two files is embedded once."""
    desk.write("a.txt", RED)
    desk.write("sub/b.txt", GREEN)
    desk.write("copy.txt", RED)
    assert counts(desk.run()) == {"new": 3, "embedded": 2, "reused": 1}
    assert desk.found("house") == {"a.txt", "copy.txt"}


def test_an_unchanged_folder_opens_no_file(desk: Desk) -> None:
    """Size and time are enough: the file's bytes could not even be read."""
    path = desk.write("a.txt", RED)
    desk.run()
    path.write_bytes(b"\0" * path.stat().st_size)
    age(path)
    os.utime(path, ns=(0, desk.rag.documents()[0].modified and path.stat().st_mtime_ns))
    stat = path.stat()
    desk.write("a.txt", RED)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    desk.run()
    assert counts(desk.run()) == {"unchanged": 1}


@pytest.mark.parametrize("change", ["touch", "rename", "move", "same bytes written again"])
def test_what_keeps_the_text_embeds_nothing(desk: Desk, change: str) -> None:
    """Vectors belong to texts, not to files."""
    path = desk.write("a.txt", RED, GREEN)
    desk.run()
    desk.embedder.texts.clear()
    if change == "touch":
        os.utime(path)
    elif change == "rename":
        path.rename(desk.docs / "b.txt")
    elif change == "move":
        (desk.docs / "sub").mkdir()
        path.rename(desk.docs / "sub" / "a.txt")
    else:
        path.write_bytes(path.read_bytes())
    report = desk.run()
    assert desk.embedder.texts == []
    assert report.embedded == 0
    moved = {"rename": {"b.txt"}, "move": {"sub/a.txt"}}.get(change, {"a.txt"})
    assert desk.found("house") == moved


def test_a_moved_paragraph_embeds_nothing(desk: Desk) -> None:
    """A paragraph that fills a chunk is that chunk wherever it stands."""
    desk.write("a.txt", RED, GREEN, BLUE)
    desk.run()
    desk.write("a.txt", BLUE, RED, GREEN)
    assert counts(desk.run()) == {"changed": 1, "reused": 3}


def test_one_changed_paragraph_embeds_one_chunk(desk: Desk) -> None:
    """And its old text is found no more."""
    desk.write("a.txt", RED, GREEN, BLUE)
    desk.run()
    desk.write("a.txt", RED, GREEN.replace("meadow", "garden"), BLUE)
    assert counts(desk.run()) == {"changed": 1, "embedded": 1, "reused": 2}
    assert desk.found("garden") == {"a.txt"}
    assert desk.found("meadow") == set()


def test_a_reverted_edit_embeds_nothing(desk: Desk) -> None:
    """Vectors that nothing uses are kept for a while."""
    desk.write("a.txt", RED)
    desk.run()
    desk.write("a.txt", BLUE)
    desk.run()
    desk.write("a.txt", RED)
    assert counts(desk.run()) == {"changed": 1, "reused": 1}


def test_a_deleted_file_leaves_no_hit(desk: Desk) -> None:
    """By words or by vector; and bringing it back costs nothing."""
    desk.write("a.txt", RED)
    path = desk.write("b.txt", GREEN)
    desk.run()
    path.unlink()
    assert counts(desk.run()) == {"removed": 1, "unchanged": 1}
    for mode in ("hybrid", "dense", "lexical"):
        assert {hit.chunk.source for hit in desk.rag.search("green meadow", mode=mode)} <= {"a.txt"}
    desk.write("b.txt", GREEN)
    assert counts(desk.run()) == {"new": 1, "unchanged": 1, "reused": 1}


def test_a_file_changed_just_before_it_was_read_is_read_again(desk: Desk) -> None:
    """A second change within one tick of the clock has the same size and time."""
    path = desk.docs / "a.txt"
    path.write_text("The red house was sold.")
    desk.run()
    stat = path.stat()
    path.write_text("The blue boat was sold."[: stat.st_size].ljust(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert counts(desk.run()) == {"changed": 1, "embedded": 1}


def test_every_file_that_gives_nothing_is_named_with_a_cure(desk: Desk) -> None:
    """The others are indexed, the report is not complete, and the index remembers why."""
    desk.write("good.txt", RED)
    desk.write("old.doc", "x")
    desk.write("empty.txt", "")
    report = desk.run()
    assert (report.new, report.failed, report.complete) == (1, 2, False)
    problems = {file.source: file.problems[0] for file in report.files if file.problems}
    assert problems["old.doc"].reason == ".doc is not supported"
    assert problems["old.doc"].cure == "save it as .docx"
    assert problems["empty.txt"].cure
    assert {d.source for d in desk.rag.documents() if d.problems} == {"old.doc", "empty.txt"}
    assert desk.rag.status().failed == 2


def test_a_failed_file_is_tried_again_and_forgotten_when_it_goes(desk: Desk) -> None:
    """Its reason lives as long as the file does."""
    desk.write("a.txt", "")
    desk.write("b.txt", "")
    desk.run()
    desk.write("a.txt", RED)
    (desk.docs / "b.txt").unlink()
    assert counts(desk.run()) == {"new": 1, "embedded": 1}
    assert desk.rag.status().failed == 0


def test_a_file_that_breaks_keeps_its_earlier_version(desk: Desk) -> None:
    """What could be found yesterday is not lost in silence; mended, the file is itself again."""
    desk.write("a.txt", RED)
    desk.run()
    desk.write("a.txt", "")
    report = desk.run()
    assert report.failed == 1
    assert report.files[0].notes == ("the version indexed before stays",)
    assert desk.found("house") == {"a.txt"}
    desk.write("a.txt", RED)
    assert desk.run().complete
    assert desk.rag.documents()[0].problems == ()


def test_a_sidecar_gives_metadata_to_filter_by(desk: Desk) -> None:
    """Changing it changes the metadata and embeds nothing."""
    desk.write("a.txt", RED)
    sidecar = desk.write("a.txt.meta.json", '{"year": 2023}')
    desk.write("b.txt", RED)
    desk.run()
    assert [hit.chunk.source for hit in desk.rag.search("house", where={"year": 2023})] == ["a.txt"]
    sidecar.write_text('{"year": 2024, "author": "Иванов"}')
    report = desk.run()
    assert (report.changed, report.embedded) == (1, 0)
    assert [hit.chunk.source for hit in desk.rag.search("house", where=["year>=2024", "author=Иванов"])] == ["a.txt"]
    sidecar.unlink()
    assert desk.run().changed == 1


@pytest.mark.parametrize("written", ["Андрей", "Андреи\u0306"])
def test_metadata_is_found_in_either_spelling(desk: Desk, written: str) -> None:
    """й may be one character, or и and its breve: in a sidecar, in a document of the library, in a condition."""
    desk.write("a.txt", RED)
    desk.write("a.txt.meta.json", json.dumps({"автои\u0306": "Андреи\u0306"}))
    desk.run()
    desk.rag.add([Document("b", GREEN, metadata={"автои\u0306": "Андреи\u0306", "year": 2024})])
    for where in ({"автой": written}, [f"автои\u0306={written}*"]):
        assert {hit.chunk.source for hit in desk.rag.search("house", where=where)} == {"a.txt", "b"}
    assert desk.rag.document("b").metadata == {"автой": "Андрей", "year": 2024}


def test_two_folders_with_equal_names_do_not_meet(desk: Desk, tmp_path: Path) -> None:
    """Sources of a second folder begin with its name; each run minds its own folder only."""
    desk.write("a.txt", RED)
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text(GREEN)
    desk.run()
    desk.rag.index_folder(other)
    assert {d.source for d in desk.rag.documents()} == {"a.txt", "other/a.txt"}
    assert counts(desk.run()) == {"unchanged": 1}


def test_a_subfolder_keeps_the_names_of_its_folder(desk: Desk) -> None:
    """Indexing a part of an indexed folder neither doubles nor removes anything else."""
    desk.write("a.txt", RED)
    desk.write("sub/b.txt", GREEN)
    desk.run()
    desk.write("sub/c.txt", BLUE)
    report = desk.rag.index_folder(desk.docs / "sub")
    assert counts(report) == {"new": 1, "unchanged": 1, "embedded": 1}
    assert {d.source for d in desk.rag.documents()} == {"a.txt", "sub/b.txt", "sub/c.txt"}


def test_a_folder_takes_in_the_folders_below_it(desk: Desk) -> None:
    """Sources become relative to the larger folder; nothing is embedded again."""
    desk.write("sub/b.txt", GREEN)
    desk.rag.index_folder(desk.docs / "sub")
    report = desk.run()
    assert report.embedded == 0
    assert {d.source for d in desk.rag.documents()} == {"sub/b.txt"}


def test_one_file_can_be_indexed_alone(desk: Desk) -> None:
    """Its neighbours are left as they are, indexed or not."""
    desk.write("a.txt", RED)
    b = desk.write("b.txt", GREEN)
    assert counts(desk.rag.index_folder(b)) == {"new": 1, "embedded": 1}
    assert {d.source for d in desk.rag.documents()} == {"b.txt"}


def test_folder_and_index_can_be_moved_together(desk: Desk, tmp_path: Path) -> None:
    """Roots are kept relative to the index where they can be."""
    desk.write("a.txt", RED)
    desk.run()
    desk.rag.close()
    (tmp_path / "new place").mkdir()
    desk.docs.rename(tmp_path / "new place" / "docs")
    desk.index.rename(tmp_path / "new place" / ".ragkit")
    rag = colour_rag(tmp_path / "new place" / ".ragkit")
    assert counts(rag.index_folder(tmp_path / "new place" / "docs")) == {"unchanged": 1}


def test_a_dry_run_tells_and_does_nothing(desk: Desk) -> None:
    """It predicts what the run then does, and leaves no index behind."""
    desk.write("a.txt", RED)
    desk.write("b.txt", RED)
    desk.write("c.txt", "")
    predicted = desk.rag.index_folder(desk.docs, dry_run=True)
    assert not desk.index.exists()
    assert desk.embedder.texts == []
    assert counts(predicted) == counts(desk.run())
    desk.write("d.txt", BLUE)
    predicted = desk.rag.index_folder(desk.docs, dry_run=True)
    assert desk.found("boat") == set()
    assert counts(predicted) == counts(desk.run())


def test_progress_counts_to_the_number_of_files(desk: Desk) -> None:
    """Each file is told in order, and what was embedded."""
    for name in "abc":
        desk.write(f"{name}.txt", RED)
    seen: list[Progress] = []
    desk.rag.index_folder(desk.docs, progress=seen.append)
    assert [p.finishing for p in seen] == [False] * (len(seen) - 4) + [True] * 4
    assert [(p.findable, p.to_find) for p in seen if p.finishing] == [(0, 0), (1, 3), (2, 3), (3, 3)]
    told = [(p.files, p.total, p.source) for p in seen]
    assert list(dict.fromkeys(told)) == [(1, 3, "a.txt"), (2, 3, "b.txt"), (3, 3, "c.txt")]
    assert told == sorted(told)


class Stopped(Exception):
    pass


def test_an_interrupted_run_keeps_what_it_paid_for(desk: Desk) -> None:
    """The second run embeds only what the first had not."""
    for i in range(600):
        desk.write(f"{i:03}.txt", f"Red house number {i}.")

    def stop(progress: Progress) -> None:
        if progress.files == 400:
            raise Stopped

    with pytest.raises(Stopped):
        desk.rag.index_folder(desk.docs, progress=stop)
    paid = len(desk.embedder.texts)
    assert 0 < paid < 600
    report = desk.run()
    assert report.embedded == 600 - paid
    assert report.new + report.unchanged == 600
    assert report.unchanged >= paid - 1  # what is in place is not even opened; one may have had its vector and no more
    assert len(set(desk.embedder.texts)) == len(desk.embedder.texts) == 600


def test_a_document_of_the_library_replaces_the_one_of_its_name(desk: Desk) -> None:
    """Equal ones cost nothing; the last of two equal names in one call wins."""
    first = desk.rag.add([Document("note", "A red house."), Document("other", "A green meadow.")])
    assert counts(first) == {"new": 2, "embedded": 2}
    assert counts(desk.rag.add([Document("note", "A red house.")])) == {"unchanged": 1}
    report = desk.rag.add([Document("note", "A blue boat."), Document("note", "A blue ship.")])
    assert [(file.status, file.source) for file in report.files] == [(FileStatus.CHANGED, "note")] * 2
    assert desk.found("house") == desk.found("boat") == set()
    assert desk.found("ship") == {"note"}


@pytest.mark.parametrize("document", [Document("", "text"), Document("a", "text", metadata={"tags": ["x"]})])  # type: ignore[dict-item] # what it tests
def test_a_document_that_cannot_be_named_or_stored_is_refused(desk: Desk, document: Document) -> None:
    """No source, or metadata that is neither text nor number."""
    with pytest.raises(ConfigError):
        desk.rag.add([document])


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ({"year": np.int64(2024)}, "the value of 'year' is np.int64(2024), neither text nor number"),
        ({"tags": ["x"]}, "the value of 'tags' is ['x'], neither text nor number"),
        ({"n": 2**70}, "the value of 'n' is no number of common size: 1180591620717411303424"),
        ({"n": float("nan")}, "the value of 'n' is no number of common size: nan"),
        ({"n": "\ud800"}, r"the value of 'n' is not valid Unicode: '\ud800'"),
        ({"": "x"}, "the key '' is no name"),
        ({3: "x"}, "the key 3 is no name"),
        ({"й": 1, "и\u0306": 2}, "two of its keys are the same name, 'й'"),
    ],
)
def test_the_reason_says_what_of_metadata_cannot_be_stored(desk: Desk, metadata: dict[str, int], fault: str) -> None:
    """A caller sees what to change."""
    with pytest.raises(ConfigError) as error:
        desk.rag.add([Document("a", "text", metadata=metadata)])
    assert error.value.message == f"'a': {fault}"


def test_a_document_without_text_is_reported_and_the_others_stay(desk: Desk) -> None:
    """One empty row of a table does not cost the rest."""
    report = desk.rag.add([Document("a", "A red house."), Document("b", " \n"), Document("c", "A blue boat.")])
    assert counts(report) == {"new": 2, "failed": 1, "embedded": 2}
    assert [(file.source, file.problems[0].reason) for file in report.files if file.problems] == [
        ("b", "it has no text")
    ]
    assert desk.found("boat") == {"c"}


def test_text_of_the_library_is_normalised(desk: Desk) -> None:
    """Stored text is NFC with plain newlines, so that equal words are equal."""
    desk.rag.add([Document("a", "кра\u0438\u0306 red\r\nhouse\0")])
    assert desk.rag.document("a").text == "край red\nhouse"


def test_a_missing_folder_is_an_error_with_the_path(desk: Desk) -> None:
    """And no index is made... nothing was asked of it yet."""
    with pytest.raises(ConfigError, match="nowhere does not exist"):
        desk.rag.index_folder(desk.docs / "nowhere")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a folder have a name of any bytes")
def test_a_folder_whose_path_is_not_utf8_is_refused_readably(desk: Desk) -> None:
    """Sources and roots are text."""
    folder = Path(os.fsdecode(bytes(desk.docs) + b"/\xff"))
    folder.mkdir()
    with pytest.raises(ConfigError, match=r"\\xff is not UTF-8"):
        desk.rag.index_folder(folder)


def test_another_embedding_model_is_refused_with_both_names(desk: Desk) -> None:
    """Searching and adding alike; the index is untouched."""
    desk.write("a.txt", RED)
    desk.run()
    other = ColourEmbedder()
    other.model = "shapes/1"
    rag = colour_rag(desk.index, other)
    with pytest.raises(IndexMismatch, match=r"colours/1 .* shapes/1"):
        rag.search("house")
    with pytest.raises(IndexMismatch, match=r"colours/1 .* shapes/1"):
        rag.add([Document("b", "A green meadow.")])
    assert desk.found("house") == {"a.txt"}


def test_a_single_file_removes_no_other_document(desk: Desk, tmp_path: Path) -> None:
    """Also when it lies above folders that are indexed, in either order; the whole folder then takes all in."""
    desk.write("a.txt", RED)
    desk.run()
    notes = tmp_path / "notes.txt"
    notes.write_text(GREEN)
    assert counts(desk.rag.index_folder(notes)) == {"new": 1, "embedded": 1}
    assert {"house", "meadow"} == {word for word in ("house", "meadow") if desk.found(word)}
    assert counts(desk.run()) == {"unchanged": 1}
    report = desk.rag.index_folder(tmp_path)
    assert report.embedded == 0
    assert len(desk.rag.documents()) == 2


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs a device")
def test_a_device_is_reported_and_its_folder_is_none_of_the_index(desk: Desk) -> None:
    """Nothing of it is remembered."""
    assert desk.rag.index_folder("/dev/null").failed == 1
    assert desk.rag.status().roots == ()
    assert desk.rag.documents() == []


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 99999999999999999999999}',
        f'{{"n": {10**400}}}',
        '{"n": NaN}',
        '{"n": "\\ud800"}',
        '{"\\ud800": 1}',
        '{"": 1}',
        '{"й": 1, "и\u0306": 2}',
        "[" * 100_000,
    ],
)
def test_a_sidecar_that_cannot_be_stored_costs_one_file(desk: Desk, text: str) -> None:
    """The others are indexed, and nothing is half done."""
    desk.write("a.txt", RED)
    desk.write("b.txt", GREEN)
    desk.write("b.txt.meta.json", text)
    desk.write("c.txt", BLUE)
    report = desk.run()
    assert (report.new, report.failed) == (2, 1)
    assert desk.found("boat") == {"c.txt"}
    assert all(finding.ok for finding in desk.rag.check())


@pytest.mark.parametrize(
    "document",
    [
        Document("a", "text", metadata={"n": 2**70}),
        Document("a", "text", metadata={3: "x"}),  # type: ignore[dict-item] # what it tests
        Document("\udcff", "text"),
        Document("a", "text", page_starts=(3, 1)),
        Document("a", "text", page_starts=(0, 9)),
    ],
)
def test_a_document_with_impossible_fields_is_refused_before_anything_is_stored(desk: Desk, document: Document) -> None:
    """The index stays sound, and goes on."""
    with pytest.raises(ConfigError):
        desk.rag.add([Document("first", "A red house."), document])
    assert all(finding.ok for finding in desk.rag.check())
    desk.rag.add([Document("next", "A blue boat.")])
    assert desk.found("boat") == {"next"}


def test_another_way_of_cutting_cuts_again(desk: Desk) -> None:
    """Once; texts that stay the same are not embedded again."""
    desk.write("a.txt", RED, GREEN, BLUE)
    desk.run()
    other = desk.cutting("100/0")
    assert other.index_folder(desk.docs).changed == 1
    assert other.status().chunks > 3
    assert counts(other.index_folder(desk.docs)) == {"unchanged": 1}
    report = desk.run()
    assert (report.changed, report.embedded) == (1, 0)


def test_another_way_of_cutting_goes_on_where_it_stopped(desk: Desk) -> None:
    """What an interrupted run has cut anew, the next does not open; nor does one of a folder below, or of one file."""
    for i in range(600):
        desk.write(f"{'low/' * (i < 20)}{i:03}.txt", f"Red house number {i}.")
    assert counts(desk.rag.index_folder(desk.docs / "599.txt")) == {"new": 1, "embedded": 1}
    assert counts(desk.rag.index_folder(desk.docs / "599.txt")) == {"unchanged": 1}
    desk.run()
    other = desk.cutting("100/0")

    def stop(progress: Progress) -> None:
        if progress.files == 400:
            raise Stopped

    assert counts(other.index_folder(desk.docs / "low")) == {"changed": 20, "reused": 20}
    with pytest.raises(Stopped):
        other.index_folder(desk.docs, progress=stop)
    report = other.index_folder(desk.docs)
    assert (report.changed + report.unchanged, report.embedded) == (600, 0)
    assert report.unchanged > 300
    assert counts(other.index_folder(desk.docs)) == {"unchanged": 600}


def test_an_index_in_the_folder_does_not_index_itself(desk: Desk) -> None:
    """Whatever it is called."""
    rag = colour_rag(desk.docs / "my-index")
    desk.write("a.txt", RED)
    for _ in range(2):
        report = rag.index_folder(desk.docs)
        assert report.failed == 0
    assert [info.source for info in rag.documents()] == ["a.txt"]


def test_an_unchanged_folder_is_looked_at_in_constant_memory(desk: Desk) -> None:
    """Of four times as many files no more than half as much again is in memory at once."""
    peaks = []
    for count in (500, 2000):
        for n in range(count):
            desk.write(f"an archive of many letters/letter {n}.txt", f"Letter {n}.")
        desk.run()
        tracemalloc.start()
        assert counts(desk.run()) == {**dict.fromkeys(counts(IndexReport("", "")), 0), "unchanged": count}
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], peaks
