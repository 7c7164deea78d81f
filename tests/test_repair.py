"""A repair saves what a checksum proves, makes again what follows from it, and names what is lost."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from flips import WordEmbedder, answers, build, open_rag, reported

from ragkit.errors import ConnectionFailed, IndexCorrupt, IndexLocked, IndexMismatch
from ragkit.rag import RAG
from ragkit.reports import Finding
from ragkit.store.catalog import Catalog
from ragkit.store.local import LocalStore
from ragkit.store.lock import WriterLock
from ragkit.store.sizes import Sizes
from ragkit.types import Document, FloatMatrix


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("repair"))


@pytest.fixture
def index(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "index"))


ROOTS = (6, 11)  # pages, from 0, of the tables of documents and texts: what hangs below them cannot be reached

LEAVES = (10, 13)  # the first byte of a page of rows, https://www.sqlite.org/fileformat2.html section 1.6; any other
# page holds no more than a part of one row, or shows where others are

LOST_TEXT = """UPDATE text SET body = zeroblob(length(body))
    WHERE id >> 20 = (SELECT id FROM document WHERE source LIKE '%101.md')"""


def change(index: Path, sql: str) -> int:
    """Damage rows as a flipped bit would: their checksums stay."""
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as db:
        return db.execute(sql).rowcount


def texts(rag: RAG) -> dict[str, str]:
    return {info.source: rag.document(info.source).text for info in rag.documents() if info.chunks}


def mended(index: Path, embedder: WordEmbedder | None = None) -> list[Finding]:
    """What the repair says; afterwards the check of every byte must be content."""
    with open_rag(index, embedder) as rag:
        findings = rag.repair()
    assert not reported(index)
    return findings


def ids_of(found: list[list[tuple[int, float]]]) -> list[list[int]]:
    """In order; the marker of another commit moves word scores a little in an index as small as this."""
    return [[id for id, _ in each] for each in found]


def wrong(findings: list[Finding]) -> list[str]:
    return [f"{finding.message}: {finding.hint}" for finding in findings if not finding.ok]


def test_a_sound_index_is_left_alone(index: Path) -> None:
    """No new catalog, nothing kept, nothing embedded."""
    before = (index / "catalog.sqlite").stat().st_ino
    embedder = WordEmbedder()
    assert wrong(mended(index, embedder)) == []
    assert (index / "catalog.sqlite").stat().st_ino == before
    assert not list(index.glob("*damaged*"))
    assert embedder.texts == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE attribute SET value = 'x' WHERE value = 'large' AND document = 3",
        "UPDATE attribute SET key = 77 WHERE value = 'large' AND document = 3",
        "UPDATE attribute_key SET name = 'king' WHERE name = 'kind'",
        "INSERT INTO attribute_key VALUES(77, 'king')",
        "UPDATE chunk SET line = line + 1 WHERE document = 3",
        "DELETE FROM chunk WHERE document = 3 AND n > 5",
        "UPDATE vector SET key = zeroblob(32) WHERE id = 30",
        "DELETE FROM vector WHERE id BETWEEN 30 AND 90",
        "UPDATE segment SET rows = rows + 1",
        "UPDATE segment SET name = 'seg-x' WHERE first = (SELECT min(first) FROM segment)",
        "UPDATE meta SET key = 'emcedding_model' WHERE key = 'embedding_model'",
        "UPDATE meta SET value = '1' WHERE key = 'generation'",
        "UPDATE meta SET value = value || 'x' WHERE key = 'identity'",
        "UPDATE meta SET value = '0' WHERE key IN ('last vector', 'last chunk', 'last document')",
        "UPDATE document SET mtime_ns = 5 WHERE source = 'large/3'",
        "CREATE VIEW strange AS SELECT * FROM meta",
    ],
)
def test_what_follows_from_what_is_whole_is_made_again(index: Path, sql: str) -> None:
    """Documents, texts and answers are as before, and nothing is embedded."""
    with open_rag(index) as rag:
        before = texts(rag), answers(index)
    change(index, sql)
    assert reported(index)
    embedder = WordEmbedder()
    findings = mended(index, embedder)
    assert wrong(findings) == []
    assert embedder.texts == []
    with open_rag(index) as rag:
        assert (texts(rag), [[s for _, s in each] for each in answers(index)]) == (
            before[0],
            [[s for _, s in each] for each in before[1]],
        )
        rag.add([Document("after", "новый договор")])
        assert rag.search("новый", 1)[0].chunk.source == "after"
    assert not reported(index)
    assert len(list(index.glob("catalog.sqlite.damaged-*"))) == 1


@pytest.mark.parametrize("column", ["body", "record", "source", "removed"])
def test_a_document_that_cannot_be_proved_is_taken_out_and_named(index: Path, column: str) -> None:
    """Its text, its record, or whether it was removed: never guessed; the others stay, and no text is embedded."""
    change(
        index,
        {
            "body": LOST_TEXT,
            "record": "UPDATE document SET record = replace(record, 'text/', 'texu/') WHERE source GLOB '*101.md'",
            "source": "UPDATE document SET source = replace(source, '101.md', '101.me') WHERE source LIKE '%101.md'",
            "removed": "UPDATE document SET removed = 77 WHERE source LIKE '%101.md'",
        }[column],
    )
    with open_rag(index) as rag:
        count = rag.status().documents
    embedder = WordEmbedder()
    with open_rag(index, embedder) as rag:
        lost = wrong(rag.repair())
        assert len(lost) == 1
        assert "101.m" in lost[0]
        assert "ragkit index " in lost[0]
        assert lost[0].endswith("reports")
        folder = Path(lost[0].rpartition("ragkit index ")[2])
        after = rag.status().documents
        assert after in (count, count - 1)  # one that says that it was removed was not counted before
    assert not reported(index)
    assert embedder.texts == []
    assert folder.name == "reports"


def test_only_the_vectors_of_damaged_pieces_are_embedded_again(index: Path) -> None:
    """And the answers are what they were."""
    before = answers(index)
    with closing(Catalog(index)) as catalog:
        info = max(catalog.vectors.segments(), key=lambda info: info.rows)
    assert info.rows > 256
    path = index / "vectors" / info.name
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    embedder = WordEmbedder()
    findings = mended(index, embedder)
    assert wrong(findings) == []
    assert any(f"piece 1 of the segment {info.name} was damaged" in finding.message for finding in findings)
    assert 0 < len(embedder.texts) <= info.rows - 256
    assert ids_of(answers(index)) == ids_of(before)


def test_a_lost_batch_of_the_tail_is_embedded_again(index: Path) -> None:
    """Nothing else is."""
    before = answers(index)
    with closing(Catalog(index)) as catalog:
        rows = sum(count for _, count, _ in catalog.vectors.tail())
    change(index, "UPDATE tail SET body = zeroblob(length(body))")
    embedder = WordEmbedder()
    assert wrong(mended(index, embedder)) == []
    assert 0 < len(embedder.texts) <= rows
    assert ids_of(answers(index)) == ids_of(before)


class Silent(WordEmbedder):
    """The same model, whose service cannot be reached."""

    def embed_documents(self, texts: object) -> FloatMatrix:  # noqa: ARG002 - the seam's signature
        raise ConnectionFailed("no route to host", "try again later")


class Other(WordEmbedder):
    model = "other/1"


@pytest.mark.parametrize("embedder", [Silent(), Other()])
def test_without_the_model_chunks_wait_and_are_found_by_words(index: Path, embedder: WordEmbedder) -> None:
    """It says how many wait and why; the next repair embeds them."""
    for path in (index / "vectors").iterdir():
        path.unlink()
    with open_rag(index, embedder) as rag:
        findings = rag.repair()
    waiting = [finding for finding in findings if finding.subject == "embedding" and not finding.ok]
    assert len(waiting) == 2
    assert "chunks wait for their vectors" in waiting[1].message
    with open_rag(index) as rag:
        assert rag.search("договор", 5, mode="lexical")
        assert len(rag.search("договор", 5)) == 5
        assert rag.search("договор", 5, mode="dense")
        rag.map("договор")
        rag.add([Document("later", "ещё один договор")])
    fresh = WordEmbedder()
    assert wrong(mended(index, fresh)) == []
    assert len(fresh.texts) > 300
    assert not [path for path in index.iterdir() if path.name.startswith("repair-")]


def test_a_lost_model_name_is_refused(index: Path) -> None:
    """Nobody can tell what the vectors are then; the index stays as it was."""
    change(index, "UPDATE meta SET value = 'words/2' WHERE key = 'embedding_model'")
    before = (index / "catalog.sqlite").read_bytes()
    with open_rag(index) as rag, pytest.raises(IndexCorrupt, match="name of the embedding model is damaged") as caught:
        rag.repair()
    assert "restore the index from a copy" in caught.value.hint
    assert (index / "catalog.sqlite").read_bytes() == before


def test_an_index_of_another_format_is_not_repaired(index: Path) -> None:
    """Its tables are not ours: what looks like damage is another version."""
    change(index, "ALTER TABLE root ADD COLUMN colour TEXT")
    change(index, "PRAGMA user_version=99")
    with open_rag(index) as rag, pytest.raises(IndexMismatch, match="has format 99"):
        rag.repair()


def test_a_repair_beside_a_writer_is_refused(index: Path) -> None:
    """It is a writer itself."""
    lock = WriterLock(index / "writer.lock")
    try:
        with open_rag(index) as rag, pytest.raises(IndexLocked):
            rag.repair()
    finally:
        lock.release()


@pytest.mark.parametrize("page", [*range(24), *range(24, 60, 9)])
def test_pages_that_cannot_be_read_are_read_around(sound: Path, tmp_path: Path, page: int) -> None:
    """Whichever page is zeroed, what is left is sound, and every document is whole, or named."""
    index = Path(shutil.copytree(sound, tmp_path / "index"))
    with open_rag(index) as rag:
        before = texts(rag)
    path = index / "catalog.sqlite"
    data = bytearray(path.read_bytes())
    if (page + 1) * 4096 > len(data):
        pytest.skip("the catalog is smaller than that")
    kind, cells = data[page * 4096], int.from_bytes(data[page * 4096 + 3 : page * 4096 + 5])
    data[page * 4096 : page * 4096 + 4096] = bytes(4096)
    path.write_bytes(data)
    try:
        findings = mended(index)
    except IndexCorrupt as error:
        assert "embedding model" in error.message  # noqa: PT017 - some pages hold it
        return
    with open_rag(index) as rag:
        after = texts(rag)
    assert after.items() <= before.items()
    lost = before.keys() - after.keys()
    said = "\n".join(wrong(findings))
    assert all(source in said for source in lost) or "whose name is lost" in said
    assert len(lost) <= (cells if kind in LEAVES else 1) or page in ROOTS


def test_rows_that_nobody_can_count_are_not_counted(index: Path) -> None:
    """Where the beginning of a table is gone: there may have been none."""
    with closing(sqlite3.connect(index / "catalog.sqlite")) as db:
        page, size = db.execute(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE name = 'failure'"
        ).fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (index / "catalog.sqlite").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    assert "all rows about files without text were lost: ragkit index FOLDER" in wrong(mended(index))


def test_a_reader_from_before_sees_the_new_catalog(index: Path) -> None:
    """It looks whether the file is still the one it opened."""
    with open_rag(index) as reader:
        assert reader.search("договор", 3)
        change(index, LOST_TEXT)
        with open_rag(index) as rag:
            rag.repair()
            left = texts(rag)
        assert texts(reader) == left
        assert all(not hit.chunk.source.endswith("101.md") for hit in reader.search("101-4", 20))


@pytest.mark.parametrize("step", ["link", "unlink", "replace"])
def test_a_crash_of_the_swap_leaves_a_catalog(index: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one or the new one, which a second repair goes on from."""
    change(index, LOST_TEXT)
    calls: dict[str, tuple[object, Callable[..., object]]] = {
        "link": (os, os.link),
        "unlink": (Path, Path.unlink),
        "replace": (Path, Path.replace),
    }
    place, act = calls[step]

    class Killed(BaseException):
        pass

    def die(*given: object, **named: object) -> object:
        if step != "unlink" or str(given[0]).endswith(("-wal", "-shm")):
            raise Killed
        return act(*given, **named)

    with monkeypatch.context() as patch, open_rag(index) as rag:
        patch.setattr(place, step, die)
        with pytest.raises(Killed):
            rag.repair()
    assert reported(index)
    with open_rag(index) as rag:
        assert len(wrong(rag.repair())) == 1
    assert not reported(index)


def test_nothing_in_an_index_may_be_a_link(index: Path, tmp_path: Path) -> None:
    """An index that came from elsewhere could lead anywhere."""
    (index / "lexical").rename(tmp_path / "elsewhere")
    (index / "lexical").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IndexCorrupt, match="is a link"), open_rag(index) as rag:
        rag.search("договор")
    with pytest.raises(IndexCorrupt, match="is a link"), open_rag(index) as rag:
        rag.repair()


def test_an_identity_that_is_no_name_leads_nowhere(index: Path, tmp_path: Path) -> None:
    """The folder of the word index is named after it, and deleted with all that is in it when it is made again."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "letter").write_text("dear", "utf-8")
    with closing(Catalog(index, write=True)) as catalog:
        catalog.begin()
        catalog.set_meta("identity", "../../precious")
        catalog.commit()
    with pytest.raises(IndexCorrupt, match="is not the name of an index"), open_rag(index) as rag:
        rag.search("договор")
    with pytest.raises(IndexCorrupt), LocalStore(index).writing():
        pass
    assert (tmp_path / "precious" / "letter").exists()


def test_waiting_chunks_take_no_part_in_nearness(index: Path) -> None:
    """Their cosine is the least of all candidates, and finite."""
    for path in (index / "vectors").iterdir():
        path.unlink()
    with open_rag(index, Silent()) as rag:
        rag.repair()
    with open_rag(index) as rag:
        hits = rag.search("договор аренды", 20)
    cosines = [hit.scores["dense"] for hit in hits]
    assert np.isfinite(cosines).all()


def test_a_repair_ends_as_every_writer_of_the_store_does(tmp_path: Path) -> None:
    """With the sizes that the store was given: small segments are merged where it has too many."""
    many = LocalStore(tmp_path / "index", sizes=Sizes(seal=2, most_small=100))
    for n in range(6):
        with many.writing() as writer:
            writer.set_model("m/1", 4)
            writer.add_vectors([f"{n} {i}".encode() for i in range(3)], np.eye(3, 4, dtype=np.float32))
    many.close()
    assert len(list((tmp_path / "index" / "vectors").iterdir())) == 6
    few = LocalStore(tmp_path / "index", sizes=Sizes(seal=2, most_small=3))
    few.repair(lambda _: [], lambda *_: b"")
    few.close()
    assert len(list((tmp_path / "index" / "vectors").iterdir())) == 1


def test_a_repair_says_nothing_of_a_word_index_that_it_deleted_itself(index: Path) -> None:
    """It was not damaged: what is told as made again was."""
    change(index, LOST_TEXT)
    assert not any("word index" in finding.subject and "made again" in finding.message for finding in mended(index))
