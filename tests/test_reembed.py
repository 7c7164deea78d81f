"""Moving an index to another embedding model: always searchable, nothing paid for twice, all or nothing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from paid import BATCH, PaidEmbedder
from toys import ColourEmbedder, colour_rag

from ragkit.chunking import RecursiveChunker
from ragkit.embedding_run import vector_key
from ragkit.errors import BudgetExceeded, IndexMismatch, IndexNotFound, PaymentRequired, RagkitError
from ragkit.ingest import Ingest
from ragkit.loaders.isolation import ParserPool
from ragkit.rag import RAG
from ragkit.reports import IndexReport, Progress
from ragkit.store.local import LocalStore
from ragkit.types import Document

FILES = 100
SHADES = ["red red", "green", "blue blue green", "red blue", "plain"]


def fill(folder: Path) -> Path:
    folder.mkdir()
    for i in range(FILES):
        (folder / f"{i:03}.txt").write_text(f"House {i} is {SHADES[i % 5]}")
    return folder


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Files, and the index `tmp_path/index` that the model colours/1 made of them."""
    fill(tmp_path / "docs")
    with colour_rag(tmp_path / "index") as rag:
        rag.index_folder(tmp_path / "docs")
    return tmp_path / "docs"


def new(**options: object) -> PaidEmbedder:
    """The model to move to: other vectors, of another length."""
    return PaidEmbedder("new/1", dimension=7, **options)  # type: ignore[arg-type] # handed on as they are


def with_model(place: Path, embedder: ColourEmbedder | None = None) -> RAG:
    return colour_rag(place / "index", embedder)


def answers(rag: RAG, k: int = 7) -> list[list[tuple[str, float]]]:
    """What every mode finds, and its cosines: word scores differ a little after each commit of the word index."""
    return [
        [(hit.chunk.source, round(hit.scores.get("dense", 0), 5)) for hit in rag.search(query, k, mode=mode)]
        for query in ("red", "green blue", "house 17")
        for mode in ("hybrid", "dense", "lexical")
    ]


def faults(rag: RAG) -> list[str]:
    return [f"{finding.subject}: {finding.message}" for finding in rag.check() if not finding.ok]


def test_an_index_moves_with_all_its_chunks_and_no_file(tmp_path: Path, docs: Path) -> None:
    """Model and dimension are the new ones, answers those of an index made anew, the word index is left alone."""
    shutil.rmtree(docs)
    words = {path.name for path in (tmp_path / "index" / "lexical").rglob("*.term")}
    embedder = new(price=1000.0)
    with with_model(tmp_path, embedder) as rag:
        report = rag.reembed()
        assert (report.moved, report.embedded, report.reused, report.unchanged) == (FILES, FILES, 0, FILES)
        assert report.usage.embedding_tokens == sum(len(text.split()) for text in embedder.texts)
        assert report.usage.cost == pytest.approx(report.usage.embedding_tokens / 1000)
        assert (rag.status().embedding_model, rag.status().dimension) == ("new/1", 7)
        assert faults(rag) == []
        moved = answers(rag)
    assert words <= {path.name for path in (tmp_path / "index" / "lexical").rglob("*.term")}
    with colour_rag(tmp_path / "anew", new()) as rag:
        rag.index_folder(fill(docs))
        assert moved == answers(rag)


@pytest.mark.usefixtures("docs")
def test_only_the_model_of_the_index_is_searched_with(tmp_path: Path) -> None:
    """Before the move the new one is refused, after it the old one: with both names, and the command that moves."""
    with with_model(tmp_path, new()) as late, with_model(tmp_path) as early:
        with pytest.raises(IndexMismatch, match=r"colours/1 \(dimension 4\), now it is new/1") as error:
            late.search("red")
        assert "ragkit index --reembed" in error.value.hint
        early.search("red")
        late.reembed()
        late.search("red")
        with pytest.raises(IndexMismatch, match=r"new/1 \(dimension 7\), now it is colours/1") as error:
            early.search("red")
        assert "ragkit index --reembed" in error.value.hint
        assert early.search("house", mode="lexical")


@pytest.mark.usefixtures("docs")
def test_a_vector_made_before_the_move_finds_nothing_after_it(tmp_path: Path) -> None:
    """Also where both models have one dimension: a search that was on its way is refused, not answered wrongly."""
    store = LocalStore(tmp_path / "index")
    vector = ColourEmbedder().embed_query("red")
    assert store.search("red", vector, k=1, model="colours/1")
    with with_model(tmp_path, PaidEmbedder("colours/2")) as rag:
        rag.reembed()
    with pytest.raises(IndexMismatch, match=r"colours/2 .* colours/1"):
        store.search("red", vector, k=1, model="colours/1")
    with pytest.raises(IndexMismatch, match="dimension 5"):
        store.search("red", np.ones(5, np.float32), k=1)
    store.close()


@pytest.mark.usefixtures("docs")
def test_searches_go_on_until_the_last_moment(tmp_path: Path) -> None:
    """At every step of the move, an open reader and a new one answer as before."""
    seen: list[Progress] = []
    with with_model(tmp_path) as reader, with_model(tmp_path, new()) as mover:
        before = answers(reader)

        def look(progress: Progress) -> None:
            seen.append(progress)
            if progress.tokens and progress.files % 30 == 0:
                assert answers(reader) == before
                with with_model(tmp_path) as other:
                    assert answers(other) == before
                    assert other.status().embedding_model == "colours/1"

        mover.reembed(progress=look)
    assert [p.tokens for p in seen] == sorted(p.tokens for p in seen)
    assert (seen[-1].files, seen[-1].total, seen[-1].chunks) == (FILES, FILES, FILES)
    assert seen[-1].tokens > 0


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize(
    "error", [PaymentRequired("nothing is left", status=402), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_what_was_paid_for_before_an_error_is_not_paid_for_again(tmp_path: Path, error: BaseException) -> None:
    """The old model goes on answering; the second run embeds exactly the rest."""
    with with_model(tmp_path) as rag:
        before = answers(rag)
    failing = new(fails_at=4, error=error)
    with with_model(tmp_path, failing) as rag, pytest.raises(type(error)):
        rag.reembed()
    assert len(failing.texts) == 3 * BATCH
    with with_model(tmp_path) as rag:
        assert answers(rag) == before
        assert faults(rag) == []
        assert rag.status().vectors == FILES + 3 * BATCH
    again = new()
    with with_model(tmp_path, again) as rag:
        report = rag.reembed()
        assert (report.embedded, report.reused) == (FILES - 3 * BATCH, 3 * BATCH)
        assert set(again.texts) & set(failing.texts) == set()
        assert faults(rag) == []


@pytest.mark.usefixtures("docs")
def test_a_limit_moves_an_index_in_parts(tmp_path: Path) -> None:
    """Each run keeps what it paid for; the last one changes over."""
    paid: list[str] = []
    for _ in range(2):
        embedder = new()
        with with_model(tmp_path, embedder) as rag, pytest.raises(BudgetExceeded, match=f"after {2 * BATCH} chunks"):
            rag.reembed(max_tokens=200)
        paid += embedder.texts
        with with_model(tmp_path) as rag:
            rag.search("red")
    embedder = new()
    with with_model(tmp_path, embedder) as rag:
        rag.reembed(max_tokens=200)
        rag.search("red")
    assert len({*paid, *embedder.texts}) == len(paid) + len(embedder.texts) == FILES


@pytest.fixture
def half(tmp_path: Path, docs: Path) -> set[str]:  # noqa: ARG001 - the index is made with them
    """A move that stopped; gives what was paid for."""
    failing = new(fails_at=4, error=PaymentRequired("nothing is left", status=402))
    with with_model(tmp_path, failing) as rag, pytest.raises(PaymentRequired):
        rag.reembed()
    return set(failing.texts)


def test_a_half_moved_index_is_still_kept_up_with_its_own_model(tmp_path: Path, docs: Path, half: set[str]) -> None:
    """New, changed and removed files go in with the old model, the new one is refused, the move takes them along."""
    (docs / "000.txt").unlink()
    (docs / "001.txt").write_text("House 1 is red red red now")
    (docs / "more.txt").write_text("Another green house")
    embedder = new()
    with with_model(tmp_path, embedder) as rag:
        with pytest.raises(IndexMismatch) as error:
            rag.index_folder(docs)
        assert "--reembed" in error.value.hint
    with with_model(tmp_path) as rag:
        report = rag.index_folder(docs)
        assert (report.new, report.changed, report.removed, report.embedded) == (1, 1, 1, 2)
        assert rag.search("red red red", 1, mode="dense")[0].chunk.source == "001.txt"
        assert faults(rag) == []
    with with_model(tmp_path, embedder) as rag:
        report = rag.reembed()
        assert report.moved == FILES
        assert set(embedder.texts) & half == set()
        assert {"House 1 is red red red now", "Another green house"} <= set(embedder.texts)
        assert not any(text.startswith("House 0 ") for text in embedder.texts)
        assert faults(rag) == []
        assert rag.index_folder(docs).unchanged == FILES


@pytest.mark.usefixtures("half", "docs")
def test_vectors_of_a_move_are_not_dropped_as_unused(tmp_path: Path) -> None:
    """However many unused vectors come and go meanwhile."""
    rows = np.random.default_rng(1).normal(size=(14_000, 7)).astype(np.float32)
    with LocalStore(tmp_path / "index").writing() as writer:
        writer.add_vectors([b"new %d" % i for i in range(14_000)], rows, model="new/1")
    with LocalStore(tmp_path / "index").writing() as writer:
        writer.add_vectors([b"old %d" % i for i in range(14_000)], rows[:, :4])
    with with_model(tmp_path) as rag:
        rag.remove("000.txt")  # what is gone makes the writer tidy up
        assert faults(rag) == []
        assert rag.status().vectors < 28_000
    with LocalStore(tmp_path / "index").writing() as writer:
        assert len(writer.stored([b"new %d" % i for i in range(14_000)])) == 14_000
        assert len(writer.stored([b"old %d" % i for i in range(14_000)])) < 14_000
    embedder = new()
    with with_model(tmp_path, embedder) as rag:
        rag.reembed()
        assert len(embedder.texts) == FILES - 3 * BATCH  # 000.txt was among those paid for
        assert faults(rag) == []


@pytest.mark.usefixtures("half")
def test_a_move_to_a_third_model_drops_the_vectors_of_the_second(tmp_path: Path) -> None:
    """They waited for a move that is given up; those of the index's own model and of the third stay."""
    third = PaidEmbedder("third/1", dimension=5, fails_at=3, error=PaymentRequired("nothing is left", status=402))
    with with_model(tmp_path, third) as rag:
        with pytest.raises(PaymentRequired):
            rag.reembed()
        assert rag.status().vectors == FILES + 2 * BATCH
        assert faults(rag) == []
    with with_model(tmp_path) as rag:
        rag.search("red")
    second = new()
    with with_model(tmp_path, second) as rag:
        assert rag.reembed().embedded == len(second.texts) == FILES
        assert rag.status().vectors == 2 * FILES
        assert faults(rag) == []


@pytest.mark.usefixtures("docs")
def test_a_move_that_is_taken_up_again_at_once_keeps_its_vectors(tmp_path: Path) -> None:
    """Whoever goes to a third model and back in one session has given up nothing."""
    with LocalStore(tmp_path / "index").writing() as writer:
        for model, dimension in (("second", 7), ("third", 5), ("second", 7)):
            key = f"{model} {len(writer.stored([b'second 0', b'third 1']))}".encode()
            writer.add_vectors([key], np.ones((1, dimension), np.float32), model=model)
    with LocalStore(tmp_path / "index").writing() as writer:
        assert writer.stored([b"second 0", b"third 1", b"second 2"]) == {b"second 0", b"second 2"}


@pytest.mark.usefixtures("docs")
def test_the_same_model_with_another_prefix_is_another_model(tmp_path: Path) -> None:
    """Of one dimension; its answers are not disturbed by the vectors from before, which stand beside."""
    with with_model(tmp_path, PaidEmbedder("paid/1 passage:")) as rag:
        assert rag.reembed().embedded == FILES
        hits = rag.search("red", FILES, mode="dense")
        assert len({hit.chunk.source for hit in hits}) == FILES
        assert rag.status().vectors == 2 * FILES
    with with_model(tmp_path, PaidEmbedder("paid/1 query:")) as rag, pytest.raises(IndexMismatch, match="passage:"):
        rag.search("red")


@pytest.mark.usefixtures("docs")
def test_moving_back_costs_nothing(tmp_path: Path) -> None:
    """The vectors from before are kept as all unused ones are; each move changes over whole."""
    with with_model(tmp_path) as rag:
        before = answers(rag)
    for _ in range(2):
        with with_model(tmp_path, new()) as rag:
            rag.reembed()
        old = ColourEmbedder()
        with with_model(tmp_path, old) as rag:
            report = rag.reembed()
            assert (report.moved, report.embedded, report.reused) == (FILES, 0, FILES)
            assert old.texts == []
            assert answers(rag) == before
            assert faults(rag) == []


def test_nothing_to_move(tmp_path: Path, docs: Path) -> None:
    """The same model, an index without documents, no index at all."""
    with with_model(tmp_path) as rag:
        generation = rag.status().generation
        report = rag.reembed()
        assert (report.moved, report.embedded, report.unchanged) == (0, 0, FILES)
        assert rag.status().generation == generation
        rag.remove("*")
    embedder = new()
    with with_model(tmp_path, embedder) as rag:
        assert rag.reembed().moved == 0
        assert embedder.texts == []
        assert rag.index_folder(docs).embedded == FILES
        assert rag.search("green", 1, mode="dense")[0].scores["dense"] > 0.99
        assert faults(rag) == []
    with colour_rag(tmp_path / "none") as rag, pytest.raises(IndexNotFound):
        rag.reembed()
    assert not (tmp_path / "none").exists()


@pytest.mark.usefixtures("docs")
def test_a_dry_run_tells_the_cost_of_the_move(tmp_path: Path) -> None:
    """To the token; nothing is sent, nothing stored, and what was paid for by a run that stopped is left out."""
    with with_model(tmp_path) as rag:
        before = rag.status()
    embedder = new(price=5.0)
    with with_model(tmp_path, embedder) as rag:
        told = rag.reembed(dry_run=True)
        assert (embedder.requests, told.estimated) == (0, False)
        assert rag.status() == before
        with pytest.raises(BudgetExceeded):
            rag.reembed(max_tokens=180)
        rest = rag.reembed(dry_run=True)
        assert rest.usage.embedding_tokens == told.usage.embedding_tokens - sum(len(t.split()) for t in embedder.texts)
        billed = rag.reembed()
        assert (rest.moved, rest.embedded, rest.usage) == (billed.moved, billed.embedded, billed.usage)


def test_a_dry_run_over_a_folder_tells_the_cost_of_the_move_too(tmp_path: Path, docs: Path) -> None:
    """With a model that is not the index's: what moving costs and then indexing, each text once."""
    (docs / "000.txt").write_text("House 0 is blue now")
    (docs / "copy.txt").write_text("House 1 is green")
    (docs / "099.txt").unlink()
    with with_model(tmp_path, new()) as rag:
        told = rag.index_folder(docs, dry_run=True)
        assert (told.new, told.changed, told.removed, told.moved) == (1, 1, 1, FILES)
        done = [rag.reembed(), rag.index_folder(docs)]
        assert told.embedded == sum(report.embedded for report in done) == FILES + 1
        assert told.usage.embedding_tokens == sum(report.usage.embedding_tokens for report in done)
        assert told.reused == 1


def test_the_cost_of_a_move_is_told_once(tmp_path: Path, docs: Path) -> None:
    """Whoever asked for the move and then for the folder gets, in the sum of both, the bill of both."""
    (docs / "000.txt").write_text("House 0 is blue now")
    (docs / "copy.txt").write_text("House 1 is green")
    with with_model(tmp_path, new()) as rag:
        told = [rag.reembed(dry_run=True), dry_run_after_the_move(rag, docs)]
        done = [rag.reembed(), rag.index_folder(docs)]
        for kind in ("new", "changed", "moved", "embedded", "reused", "usage"):
            assert [getattr(report, kind) for report in told] == [getattr(report, kind) for report in done], kind


def dry_run_after_the_move(rag: RAG, docs: Path) -> IndexReport:
    with rag._store.writing(discard=True) as writer, ParserPool(2) as parsers:
        run = Ingest(writer, rag._embedder, rag._chunker, dry_run=True, moved=True)
        return run.folder(docs, rag.path, parsers, max_file_size=1 << 20)


@pytest.mark.usefixtures("docs")
def test_codes_follow_the_model(tmp_path: Path) -> None:
    """In an index so large that codes choose what is searched, the new model has its own.

    Codes choose other documents among those that are equally near, and give each its own cosine.
    """

    def rag_with(embedder: ColourEmbedder) -> RAG:
        store = LocalStore(tmp_path / "index", approximate_from=40)
        chunker = RecursiveChunker(size=200, overlap=0)
        return RAG(store, embedder, chunker, lambda: ParserPool(2), max_file_size=1 << 20)

    def seal(model: str, dimension: int) -> None:
        rows = np.random.default_rng(2).normal(size=(3000, dimension)).astype(np.float32)
        with LocalStore(tmp_path / "index", approximate_from=40).writing() as writer:
            writer.add_vectors([f"{model} {i}".encode() for i in range(len(rows))], rows, model=model)

    seal("colours/1", 4)
    assert (tmp_path / "index" / "ann" / "codes").exists()
    old_codes = (tmp_path / "index" / "ann" / "codes").read_bytes()
    seal("new/1", 7)
    assert (tmp_path / "index" / "ann" / "codes").read_bytes() == old_codes
    with rag_with(new()) as rag:
        rag.reembed()
        assert (tmp_path / "index" / "ann" / "codes").read_bytes() != old_codes
        approximate = answers(rag)
        assert faults(rag) == []
    shutil.rmtree(tmp_path / "index" / "ann")
    with with_model(tmp_path, new()) as rag:
        for found, truth, every in zip(approximate, answers(rag), answers(rag, 100), strict=True):
            assert [cosine for _, cosine in found] == [cosine for _, cosine in truth]
            assert set(found) <= set(every)


POINTS = 150


def test_an_interrupt_at_any_call_of_the_change_leaves_one_model(tmp_path: Path) -> None:
    """All chunks belong to the old one, or all to the new one, and running again moves the index."""
    with colour_rag(tmp_path / "made") as rag:
        rag.add([Document("a", "red"), Document("b", "green")])
    most, interrupted = 1_000_000, 0
    for attempt in range(POINTS + 1):  # the first comes to its end, and tells how many calls there are
        stop_at = most * attempt // (POINTS + 1) if attempt else most
        index = tmp_path / str(stop_at)
        shutil.copytree(tmp_path / "made", index)
        seen = 0

        def interrupt(_: FrameType, event: str, of: object, at: int = stop_at) -> None:
            nonlocal seen
            if of is not sys.setprofile and event in ("call", "c_call"):
                seen += 1
                if seen == at:
                    raise KeyboardInterrupt

        embedder, done = new(), False
        with LocalStore(index).writing() as writer:
            sys.setprofile(interrupt)
            try:
                writer.add_vectors(
                    [vector_key("new/1", text) for text in ("red", "green")],
                    embedder.embed_documents(["red", "green"]),
                    model="new/1",
                )
                writer.move_to("new/1", lambda _, chunk: vector_key("new/1", chunk.text))
                writer.commit()
                done = True
            except KeyboardInterrupt:
                pass
            finally:
                sys.setprofile(None)
            writer.commit()
        with colour_rag(index, ColourEmbedder()) as old, colour_rag(index, new()) as now:
            assert faults(old) == [], stop_at
            (searchable,) = [rag for rag in (old, now) if is_searchable(rag)]
            assert searchable.search("green", 1, mode="dense")[0].chunk.source == "b"
            now.reembed()
            assert now.search("green", 1, mode="dense")[0].chunk.source == "b"
            assert faults(now) == [], stop_at
        if not attempt:
            assert done
            most = seen
        interrupted += not done
    assert most > POINTS
    assert interrupted > 0.9 * POINTS  # how many calls there are differs a little


def is_searchable(rag: RAG) -> bool:
    try:
        return len(rag.search("red", mode="dense")) > 0
    except IndexMismatch:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_kill_9_at_random_moments_of_a_move_loses_nothing(tmp_path: Path) -> None:
    """After each kill one model answers as it did; what was paid for twice was on its way when a kill came."""
    with colour_rag(tmp_path / "index") as rag:
        rag.add(Document(f"{i:03}", f"House {i} is {SHADES[i % 5]}") for i in range(600))
        before = answers(rag)
    account = tmp_path / "account"
    work = """
import sys
from pathlib import Path
from paid import PaidEmbedder
from toys import colour_rag
place = Path(sys.argv[1])
print("ready", flush=True)
colour_rag(place / "index", PaidEmbedder("new/1", dimension=7, account=place / "account")).reembed()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", work, str(tmp_path)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        return process

    chance = random.Random(3)
    kills = 0
    for _ in range(8):
        process = start()
        time.sleep(chance.uniform(0.05, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        with with_model(tmp_path) as old, with_model(tmp_path, new()) as now:
            assert is_searchable(old) != is_searchable(now)
            assert faults(old) == []
            if is_searchable(old):
                assert answers(old) == before
    process = start()
    assert process.wait() == 0, process.communicate()[1]
    process.communicate()
    paid = account.read_text().splitlines()
    assert len(set(paid)) == 600
    assert len(paid) - len(set(paid)) <= kills * 4 * BATCH
    with with_model(tmp_path, new()) as rag:
        assert len(rag.search("red", 600, mode="dense")) == 600
        assert faults(rag) == []


@pytest.mark.usefixtures("docs")
def test_a_move_that_lacks_a_vector_is_refused_whole(tmp_path: Path) -> None:
    """Whoever calls the writer by hand: the index is as it was."""
    with LocalStore(tmp_path / "index").writing() as writer:
        writer.add_vectors([vector_key("new/1", "House 0 is red red")], np.ones((1, 7), np.float32), model="new/1")
        with pytest.raises(RagkitError, match=r"1 of 1 chunks of 001.txt have no vector of new/1"):
            writer.move_to("new/1", lambda _, chunk: vector_key("new/1", chunk.text))
    with with_model(tmp_path) as rag:
        assert is_searchable(rag)
        assert faults(rag) == []
