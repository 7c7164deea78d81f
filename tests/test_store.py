"""The local store: one truth, caches that may be lost, one writer, readers that never wait."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from toys import ColourEmbedder, colour_rag

import ragkit
import ragkit.store.writer as writer_module
from ragkit.errors import ConfigError, IndexCorrupt, IndexLocked, IndexMismatch, IndexNotFound, StoreError
from ragkit.numbers import number
from ragkit.rag import RAG
from ragkit.store.local import LocalStore
from ragkit.store.wordindex import delete
from ragkit.types import Chunk, Document, Hit, Preparation

HALF = 1e-3  # what half precision changes of a cosine in four dimensions, at most
TEXTS = {
    "house": "The red house stands by the river.",
    "meadow": "The green meadow is mown in summer.",
    "boat": "The blue boat lies on the shore.",
    "flag": "Red and blue stripes make the flag.",
}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def rag(index: Path) -> Iterator[RAG]:
    with colour_rag(index) as rag:
        rag.add(Document(name, text, metadata={"letters": len(name)}) for name, text in TEXTS.items())
        yield rag


def sources(hits: list[Hit]) -> list[str]:
    return [hit.chunk.source for hit in hits]


def answers(rag: RAG) -> list[list[tuple[str, float]]]:
    """What every mode finds for a few queries, with its scores."""
    return [
        [(hit.chunk.source, round(hit.score, 5)) for hit in rag.search(query, mode=mode)]
        for query in ("red", "green river", "flag stripes")
        for mode in ("hybrid", "dense", "lexical")
    ]


def test_each_mode_scores_by_its_own_quantity(rag: RAG) -> None:
    """Dense is the cosine of vectors that can be computed by hand; lexical finds only what has the word."""
    dense = {hit.chunk.source: hit.scores["dense"] for hit in rag.search("red", mode="dense")}
    query, house = np.array([0.1, 1, 0, 0]), np.array([0.1, 1, 0, 0])
    flag = np.array([0.1, 1, 0, 1])
    assert dense["house"] == pytest.approx(query @ house / np.linalg.norm(query) / np.linalg.norm(house), abs=HALF)
    assert dense["flag"] == pytest.approx(query @ flag / np.linalg.norm(query) / np.linalg.norm(flag), abs=HALF)
    assert sources(rag.search("stripes", mode="lexical")) == ["flag"]
    hybrid = rag.search("red")[0]
    assert set(hybrid.scores) == {"lexical", "dense", "fused"}
    assert hybrid.score == hybrid.scores["fused"]


def test_lost_caches_change_no_result(rag: RAG, index: Path) -> None:
    """The word index is made again from the catalog, whoever comes first."""
    before = answers(rag)
    rag.close()
    shutil.rmtree(index / "lexical")
    assert answers(colour_rag(index)) == before


def test_a_search_that_makes_the_word_index_says_so(index: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once, and where it takes long enough to wonder."""
    store = LocalStore(index)
    with store.writing() as writer:
        writer.set_model("given/1", 2)
        writer.add_vectors([b"kite"], np.ones((1, 2), np.float32))
    for count in (10, 5000):
        with store.writing() as writer:
            chunks = [Chunk("long", 5 * n, 5 * n + 4, "kite") for n in range(count)]
            writer.replace(Document("long", "kite " * count), chunks, [b"kite"] * count)
        delete(index)
        assert len(store.search("kite", None, k=1)) == len(LocalStore(index).search("kite", None, k=1)) == 1
    [warning] = caplog.messages
    assert warning == f"{number(5000)} chunks are not in the word index yet: it is brought up to date first"


@pytest.mark.parametrize("damage", ["flip", "truncate", "swap"])
def test_a_damaged_word_index_is_made_again(rag: RAG, index: Path, damage: str, tmp_path: Path) -> None:
    """Bytes that are wrong, missing, or of another index."""
    before = answers(rag)
    rag.close()
    if damage == "swap":
        with colour_rag(tmp_path / "other") as other:
            other.add([Document("other", "A red herring of many stripes in the river.")])
        shutil.rmtree(index / "lexical")
        shutil.copytree(tmp_path / "other" / "lexical", index / "lexical")
    else:
        for path in [path for path in (index / "lexical").rglob("*") if path.is_file()]:
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2] if damage == "truncate" else bytes(b ^ 0xFF for b in data))
    assert answers(colour_rag(index)) == before


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
def test_a_read_only_index_can_be_searched(rag: RAG, index: Path) -> None:
    """Even one whose word index is missing: it is then made in memory."""
    before = answers(rag)
    rag.close()
    shutil.rmtree(index / "lexical")
    search = """
import os, sys
from contextlib import closing
from pathlib import Path
from test_store import answers, colour_rag
from ragkit.types import Document
with colour_rag(Path(sys.argv[1]) / "writable") as rag:  # loads all code, while it may be read
    rag.add([Document("a", "red")])
    answers(rag)
if os.getuid() == 0:  # root may write anything
    os.setuid(65534)
print(answers(colour_rag(Path(sys.argv[2]))))
"""
    with tempfile.TemporaryDirectory() as place:  # the test's own folder is closed to other users
        Path(place).chmod(0o755)
        copy = shutil.copytree(index, Path(place) / "index")
        for path in [*copy.rglob("*"), copy]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        done = subprocess.run(
            [sys.executable, "-c", search, place, str(copy)],
            capture_output=True, text=True, timeout=60, check=False, env=environment(),
        )  # fmt: skip
        assert done.stdout.strip() == str(before), done.stderr
        copy.chmod(0o755)
        (copy / "vectors").chmod(0o755)


def test_filters_are_exact_at_one_percent(index: Path) -> None:
    """k of k hits fulfil the condition, and they are the best of those that do, in every mode."""
    with colour_rag(index) as rag:
        rag.add(
            Document(f"{i:04}", f"Red house number {i} " + "red " * (i % 7), metadata={"hundred": i % 100})
            for i in range(1000)
        )
        for mode in ("hybrid", "dense", "lexical"):
            hits = rag.search("red house", 10, mode=mode, where={"hundred": 42})
            assert len(hits) == 10
            assert all(int(hit.chunk.source) % 100 == 42 for hit in hits)
        every = rag.search("red", 1000, mode="dense")
        best = [hit.id for hit in every if int(hit.chunk.source) % 100 == 42]
        assert [hit.id for hit in rag.search("red", 10, mode="dense", where={"hundred": 42})] == best


def test_conditions_compare_numbers_as_numbers_and_dates_as_text(rag: RAG) -> None:
    """A key that no document has is an error that names those there are."""
    assert set(sources(rag.search("red", where=["letters>=5"]))) == {"house", "meadow"}
    assert set(sources(rag.search("red", where=["letters!=4"]))) == {"house", "meadow"}
    assert set(sources(rag.search("red", where=["source=*a*", "letters<5"]))) == {"boat", "flag"}
    assert rag.search("red", where={"letters": 99}) == []
    with pytest.raises(ConfigError, match="no document has the key 'colour'") as error:
        rag.search("red", where={"colour": "red"})
    assert "letters" in error.value.hint


def test_large_whole_numbers_are_compared_exactly(index: Path) -> None:
    """Above 2**53 a float has no place for each: ids of other systems are that large."""
    numbers = [2**53 - 1, 2**53, 2**53 + 1, 1234567890123456789, 2**63 - 1, -(2**63) + 1]
    with colour_rag(index) as rag:
        rag.add(Document(f"{number}", "a red house", metadata={"id": number}) for number in numbers)

        def found(where: dict[str, int] | list[str]) -> set[int]:
            return {int(source) for source in sources(rag.search("red", where=where))}

        for number in numbers:
            assert found({"id": number}) == found([f"id={number}"]) == {number}
            assert found([f"id!={number}"]) == {*numbers} - {number}
            assert found([f"id>={number}"]) == {each for each in numbers if each >= number}
            assert found([f"id<{number}"]) == {each for each in numbers if each < number}
        assert found([f"id<{2**63}"]) == {*numbers}
        assert found([f"id>{2**70}"]) == set()


def test_what_is_done_to_the_metadata_of_a_hit_reaches_no_other(index: Path) -> None:
    """Nor the index."""
    with colour_rag(index) as rag:
        rag.add([Document("long", "A red house. " * 800, metadata={"year": 2024})])
        one, other = rag.search("red", 2)
        one.metadata.clear()  # type: ignore[attr-defined]  # a caller may
        assert other.metadata == {"year": 2024}
        assert all(hit.metadata == {"year": 2024} for hit in rag.search("red", 2))


def test_a_second_writer_is_refused_at_once_with_the_holders_pid(rag: RAG, index: Path) -> None:
    """In the same process too; and a reader goes on."""
    store = LocalStore(index)
    with store.writing():
        began = time.monotonic()
        with pytest.raises(IndexLocked, match=f"process {os.getpid()} on"), LocalStore(index).writing():
            pass
        assert time.monotonic() - began < 1
        assert sources(rag.search("stripes", mode="lexical")) == ["flag"]
    with store.writing():
        pass


def test_a_dead_writers_lock_does_not_block(rag: RAG, index: Path) -> None:
    """The system frees it; the file may stay."""
    hold = "import sys, time; from pathlib import Path; from ragkit.store.lock import WriterLock; \
lock = WriterLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(index / "writer.lock")], stdout=subprocess.PIPE, text=True, env=environment()
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(IndexLocked, match=f"process {holder.pid} on"):
            rag.add([Document("new", "A red kite.")])
        holder.kill()
        holder.wait()
    rag.add([Document("new", "A red kite.")])
    assert sources(rag.search("kite", mode="lexical")) == ["new"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}


def test_a_reader_sees_one_snapshot_while_a_writer_works(rag: RAG, index: Path) -> None:
    """Committed and not yet published changes are not mixed in; published ones are all there."""
    before = answers(rag)
    with LocalStore(index).writing() as writer:
        writer.remove("house")
        writer.replace(Document("boat", "A red boat.", "x"), [], [], root=None)
        assert answers(rag) == before
        writer.commit()
        assert answers(rag) == before
        writer.publish()
        assert "house" not in sources(rag.search("red"))
        assert "boat" not in sources(rag.search("blue", mode="dense"))


def test_threads_share_one_rag(rag: RAG) -> None:
    """Searches and writes at once: every search sees all four documents or the fifth as well, never a part."""
    seen: list[set[str]] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                seen.append(set(sources(rag.search("red", mode="dense"))))
        except BaseException as error:  # noqa: BLE001 - carried to the main thread, which fails on it
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        rag.add([Document("pair/a", "A red kite."), Document("pair/b", "A red fox.")])
        rag.remove("pair/*")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert {frozenset(found - TEXTS.keys()) for found in seen} <= {frozenset(), frozenset({"pair/a", "pair/b"})}


def test_what_is_not_an_index_is_not_touched(tmp_path: Path) -> None:
    """A folder with something in it, a file, a database of another program."""
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(StoreError, match="is not an index"):
        colour_rag(tmp_path).add([Document("a", "red")])
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    with pytest.raises(IndexNotFound, match="no index"):
        colour_rag(tmp_path / "none").search("red")
    (tmp_path / "foreign").mkdir()
    with sqlite3.connect(tmp_path / "foreign" / "catalog.sqlite") as foreign:
        foreign.execute("CREATE TABLE a(b)")
    foreign.close()
    with pytest.raises(IndexCorrupt, match="not a catalog of ragkit"):
        colour_rag(tmp_path / "foreign").search("red")


def test_an_index_of_another_format_is_refused_with_both_versions(rag: RAG, index: Path) -> None:
    """A newer one is not guessed at."""
    rag.close()
    with sqlite3.connect(index / "catalog.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(IndexMismatch, match="has format 99, this version reads format 3"):
        colour_rag(index).search("red")


def test_files_are_for_their_owner_only(rag: RAG, index: Path) -> None:
    """0700 and 0600, whatever the umask."""
    assert index.stat().st_mode & 0o777 == 0o700
    assert (index / "catalog.sqlite").stat().st_mode & 0o777 == 0o600
    rag.close()


def test_many_vectors_are_sealed_and_merged(index: Path) -> None:
    """The tail becomes a segment, many small segments become one, and no answer changes on the way."""
    with colour_rag(index) as rag:
        for batch in range(18):
            rag.add(
                Document(f"{batch}/{i}", f"{'red ' * (i % 5)}{'green ' * (i % 3)} {batch} {i}")
                for i in range(writer_module.SEAL_ROWS)
            )
        assert 1 <= len(list((index / "vectors").iterdir())) <= 16
        assert all(finding.ok for finding in rag.check())
        assert rag.status().vectors == 18 * writer_module.SEAL_ROWS
        (best,) = rag.search("red red red red green green 7 14", 1)
        assert best.scores["dense"] > 0.99


def test_vectors_that_nothing_needs_are_dropped_in_time(index: Path) -> None:
    """Some are kept for edits that come back; their number follows what is in use."""
    with colour_rag(index) as rag:
        for version in range(6):
            rag.add(Document(f"{i}", f"red {version} {i}") for i in range(4000))
        assert rag.status().vectors < 6 * 4000
        assert rag.status().chunks == 4000
        assert all(finding.ok for finding in rag.check())
        assert len(rag.search("red", 10)) == 10


def test_vectors_of_a_run_that_stopped_wait_for_the_next(index: Path, rag: RAG) -> None:
    """However many: a long document may be half paid for. Once a run comes to its end they are as all others."""
    keys = [f"key {i}".encode() for i in range(14_000)]

    def stops() -> None:
        with LocalStore(index).writing() as writer:
            writer.add_vectors(keys, np.random.default_rng(1).normal(size=(len(keys), 4)).astype(np.float32))
            writer.commit()
            raise KeyboardInterrupt

    def kept() -> int:
        with LocalStore(index).writing() as writer:
            return len(writer.stored(keys))

    with pytest.raises(KeyboardInterrupt):
        stops()
    rag.remove("house")  # what is gone makes the writer tidy up
    assert kept() == len(keys)
    rag.add([Document("boat", "Another blue boat.")])
    rag.remove("flag")
    assert kept() < len(keys)
    assert all(finding.ok for finding in rag.check())


@pytest.mark.parametrize("part", ["text", "chunk", "document", "tail", "segment file"])
def test_a_changed_byte_is_found_and_named(index: Path, part: str) -> None:
    """In text, in a chunk's place, in a record, in a vector; by the check, and where it is read, by the reading."""
    with colour_rag(index) as rag:
        rag.add(Document(f"{i}", f"red house {i}") for i in range(writer_module.SEAL_ROWS if "file" in part else 10))
        assert all(finding.ok for finding in rag.check())
    if part == "segment file":
        (path,) = (index / "vectors").iterdir()
        data = bytearray(path.read_bytes())
        data[-7] ^= 4
        path.write_bytes(data)
    else:
        change = {
            "text": "UPDATE text SET body = replace(body, 'house', 'mouse') WHERE id >> 20 = 3",
            "chunk": "UPDATE chunk SET line = 2 WHERE id = 3",
            "document": "UPDATE document SET record = record || ' ' WHERE id = 3",
            "tail": "UPDATE tail SET body = zeroblob(length(body))",
        }[part]
        with sqlite3.connect(index / "catalog.sqlite") as db:
            assert db.execute(change).rowcount == 1
        db.close()
    with colour_rag(index) as rag:
        faults = [finding for finding in rag.check() if not finding.ok]
        assert faults
        assert all(finding.hint for finding in faults)
        if part in ("text", "chunk", "tail"):
            with pytest.raises(IndexCorrupt):
                rag.search("house", 10)


@pytest.mark.skipif(sys.platform == "win32", reason="a limit on file size is POSIX")
def test_a_full_disk_stops_the_writer_and_loses_nothing(index: Path, rag: RAG) -> None:
    """What was committed stays, the error names the cure, nothing more is accepted, and with room it goes on."""
    before = answers(rag)
    rag.close()
    fill = """
import random, resource, signal, sys
from contextlib import closing
from pathlib import Path
from toys import colour_rag
from ragkit.errors import StoreError
from ragkit.store.local import LocalStore
from ragkit.types import Document
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = Path(sys.argv[1], "catalog.sqlite").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40_000, size + 40_000))
try:
    with LocalStore(Path(sys.argv[1])).writing() as writer:
        try:
            writer.replace(Document("large", random.Random(1).randbytes(200_000).hex(), "sha"), [], [])
            writer.commit()
        except StoreError as error:
            print(error.hint)
        writer.remove("house")
except StoreError as error:
    print(error.message)
"""
    command = [sys.executable, "-c", fill, str(index)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment())
    assert "nothing that was committed is lost" in done.stdout, done.stderr
    assert "this writer stopped at an error" in done.stdout
    with colour_rag(index) as again:
        assert answers(again) == before
        again.add([Document("large", "red " * 1000)])
        assert all(finding.ok for finding in again.check())


@pytest.mark.usefixtures("rag")
def test_a_vector_of_the_wrong_shape_is_refused(index: Path) -> None:
    """Dimension and count are compared before anything is stored."""
    with LocalStore(index).writing() as writer:
        with pytest.raises(StoreError, match=r"2 texts gave vectors of shape \(1, 4\)"):
            writer.add_vectors([b"a" * 32, b"b" * 32], np.ones((1, 4), np.float32))
        with pytest.raises(IndexMismatch, match="dimension 4"):
            writer.set_model("colours/1", 5)


def test_a_stranger_embedder_is_asked_for_its_own_dimension(index: Path) -> None:
    """The first vector fixes it."""

    class Wide(ColourEmbedder):
        model = "wide/1"

        def _vector(self, text: str):  # type: ignore[no-untyped-def]
            return np.concatenate([super()._vector(text), [1]]).astype(np.float32)

    with colour_rag(index, Wide()) as rag:
        rag.add([Document("a", "red")])
        assert (rag.status().embedding_model, rag.status().dimension) == ("wide/1", 5)


def test_an_interrupt_at_any_call_of_a_commit_leaves_the_index_whole(tmp_path: Path) -> None:
    """The commit that every run ends with then stores all of it: no name stands without its vector."""
    for stop_at in range(1, 200):
        index = tmp_path / str(stop_at)
        calls = iter(range(1, 100_000))

        def interrupt(_: FrameType, event: str, of: object, calls: Iterator[int] = calls, at: int = stop_at) -> None:
            if of is not sys.setprofile and event in ("call", "c_call") and next(calls) == at:
                raise KeyboardInterrupt

        with LocalStore(index).writing() as writer:
            writer.set_model("colours/1", 4)
            writer.add_vectors([b"key"], ColourEmbedder().embed_documents(["red"]))
            writer.replace(Document("a", "red", "sha"), [Chunk("a", 0, 3, "red")], [b"key"])
            sys.setprofile(interrupt)
            try:
                writer.commit()
                done = True
            except KeyboardInterrupt:
                done = False
            finally:
                sys.setprofile(None)
        with colour_rag(index) as rag:
            assert all(finding.ok for finding in rag.check()), stop_at
            assert sources(rag.search("red", mode="dense")) == ["a"]
        if done:
            break
    assert done
    assert stop_at > 10


def test_another_way_to_prepare_queries_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It finds something, but not the best; an index that does not know how it was made is left in peace."""
    store = LocalStore(tmp_path / "index")
    with store.writing() as writer:
        writer.set_model("colours/1", 4, Preparation(query_prefix="query: "))
    store.check_model("colours/1", Preparation("ignored: ", "query: "))
    assert caplog.messages == []
    for _ in range(2):
        store.check_model("colours/1", Preparation(query_model="other"))
    assert caplog.messages == [
        "the index was made for the query_prefix 'query: ', now it is ''",
        "the index was made for the query_model '', now it is 'other'",
    ]
    with closing(sqlite3.connect(tmp_path / "index" / "catalog.sqlite")) as catalog:
        catalog.execute("DELETE FROM meta WHERE key = 'preparation'")
        catalog.commit()
    old = LocalStore(tmp_path / "index")
    old.check_model("colours/1", Preparation(query_model="other"))
    assert len(caplog.messages) == 2
    assert old.status().query_prefix == ""
    for each in (store, old):
        each.close()


def test_an_interrupt_at_any_call_of_adding_vectors_keeps_all_of_them_or_none(tmp_path: Path) -> None:
    """Also when it comes after everything was done: a vector and its name stay together."""
    with colour_rag(tmp_path / "made") as rag:
        rag.add([Document("a", "red")])
    stop_at, done = 0, False
    while not done:
        stop_at += 1
        calls = iter(range(1, 1_000_000))

        def interrupt(_: FrameType, event: str, of: object, calls: Iterator[int] = calls, at: int = stop_at) -> None:
            if of is not sys.setprofile and event in ("call", "c_call") and next(calls) == at:
                raise KeyboardInterrupt

        index = tmp_path / str(stop_at)
        shutil.copytree(tmp_path / "made", index)
        store = LocalStore(index)
        with store.writing() as writer:
            sys.setprofile(interrupt)
            try:
                writer.add_vectors([b"one", b"two"], np.ones((2, 4), np.float32))
                done = True
            except KeyboardInterrupt:
                pass
            finally:
                sys.setprofile(None)
            writer.commit()
            assert len(writer.stored([b"one", b"two"])) in (0, 2)
        assert [finding.message for finding in store.check() if not finding.ok] == [], stop_at
        store.close()
    assert stop_at > 20


def test_a_key_that_is_not_set_is_the_first_thing_to_look_for(tmp_path: Path) -> None:
    """An index of a service, searched without one: nobody should be led to move it to the offline embedder."""
    with colour_rag(tmp_path / "index") as rag:
        rag.add([Document("a", "The red house.")])
    with ragkit.open(tmp_path / "index", provider="offline") as rag, pytest.raises(IndexMismatch) as caught:
        rag.search("red")
    assert "GIGACHAT_CREDENTIALS" in caught.value.hint
