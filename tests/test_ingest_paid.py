"""Indexing with a service that is paid for: nothing is paid for twice, nothing that was paid for is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from interrupts import interrupted_after
from paid import BATCH, SLOTS, PaidEmbedder, StreamedEmbedder
from toys import ColourEmbedder, colour_rag

from ragkit.budget import Budget
from ragkit.chunking import RecursiveChunker
from ragkit.embedding_run import COMMIT_CHUNKS
from ragkit.errors import BudgetExceeded, ConfigError, IndexMismatch, PaymentRequired, StoreError, StreamInterrupted
from ragkit.loaders.isolation import ParserPool
from ragkit.protocols import BatchEmbedder
from ragkit.providers.embedding import CANARY, Limits, RemoteEmbedder
from ragkit.providers.lengths import estimated_tokens
from ragkit.rag import RAG
from ragkit.reports import Progress
from ragkit.store.local import LocalStore
from ragkit.types import Document, FloatMatrix, IntVector, Usage

FILES = 100


def fill(folder: Path) -> Path:
    """Files of one chunk of three words each, and a pair of one text."""
    folder.mkdir()
    for i in range(FILES - 1):
        (folder / f"{i:03}.txt").write_text(f"Red house {i}")
    (folder / "copy.txt").write_text("Red house 0")
    return folder


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return fill(tmp_path / "docs")


def rag_with(place: Path, embedder: ColourEmbedder) -> RAG:
    return colour_rag(place / "index", embedder)


def test_each_text_is_sent_once_and_found_whatever_order_answers_come_in(tmp_path: Path, docs: Path) -> None:
    """Two files of one text are one request's text; every vector is that of its own text."""
    embedder = PaidEmbedder()
    assert isinstance(embedder, BatchEmbedder)
    assert not isinstance(ColourEmbedder(), BatchEmbedder)
    (docs / "green.txt").write_text("Green green meadow")
    with rag_with(tmp_path, embedder) as rag:
        report = rag.index_folder(docs)
        assert (report.new, report.embedded, report.reused) == (FILES + 1, FILES, 1)
        assert len(embedder.texts) == len(set(embedder.texts)) == FILES
        assert embedder.requests == -(-FILES // BATCH)
        assert rag.search("green", 1, mode="dense")[0].chunk.source == "green.txt"
        assert all(finding.ok for finding in rag.check())
        assert rag.index_folder(docs).embedded == 0
        assert len(embedder.texts) == FILES


@pytest.mark.parametrize(
    "error",
    [
        PaymentRequired("nothing is left on the account", status=402),
        StreamInterrupted("the answer stopped"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("fails_at", [1, 3, 6])
@pytest.mark.parametrize("kind", [PaidEmbedder, StreamedEmbedder])
def test_what_came_before_an_error_is_kept(
    tmp_path: Path, docs: Path, error: BaseException, fails_at: int, kind: type[PaidEmbedder]
) -> None:
    """The documents whose texts are all embedded can be searched; the next run embeds exactly the others."""
    failing = kind(fails_at=fails_at, error=error)
    with rag_with(tmp_path, failing) as rag:
        with pytest.raises(type(error)):
            rag.index_folder(docs)
        assert len(failing.texts) == (fails_at - 1) * BATCH
        whole = {text.split()[-1] for text in failing.texts}
        expected = {f"{int(number):03}.txt" for number in whole} | ({"copy.txt"} if "0" in whole else set())
        unread = {"copy.txt"} if kind is StreamedEmbedder and len(whole) < FILES - BATCH * SLOTS else set()
        assert {info.source for info in rag.documents()} == expected - unread
        assert all(finding.ok for finding in rag.check())
    again = PaidEmbedder()
    with rag_with(tmp_path, again) as rag:
        report = rag.index_folder(docs)
        assert set(again.texts) | set(failing.texts) == {f"Red house {i}" for i in range(FILES - 1)}
        assert set(again.texts) & set(failing.texts) == set()
        assert report.embedded == len(again.texts)
        assert rag.status().documents == FILES


def test_a_long_document_that_is_half_embedded_waits_for_its_other_half(tmp_path: Path) -> None:
    """It is not searched yet, its vectors are kept, and the next run pays for the rest."""
    text = "\n\n".join(f"Paragraph {i} of the red house. " * 4 for i in range(3 * BATCH))
    failing = PaidEmbedder(fails_at=2, error=PaymentRequired("nothing is left", status=402))
    with rag_with(tmp_path, failing) as rag:
        with pytest.raises(PaymentRequired):
            rag.add([Document("long", text)])
        assert rag.documents() == []
        assert rag.status().vectors == len(failing.texts) == BATCH
    again = PaidEmbedder()
    with rag_with(tmp_path, again) as rag:
        assert rag.add([Document("long", text)]).reused == BATCH
        assert set(again.texts) & set(failing.texts) == set()


def test_an_error_far_into_a_long_run_keeps_all_before_it(tmp_path: Path) -> None:
    """Texts are gathered by the thousand: those of earlier gatherings and of the broken one alike."""
    documents = [Document(f"{i}", f"Red house {i}") for i in range(COMMIT_CHUNKS + 100)]
    sent = COMMIT_CHUNKS // BATCH + 2
    failing = PaidEmbedder(fails_at=sent + 1, error=PaymentRequired("nothing is left", status=402))
    with rag_with(tmp_path, failing) as rag:
        with pytest.raises(PaymentRequired):
            rag.add(documents)
        assert rag.status().documents == rag.status().vectors == len(failing.texts) == sent * BATCH
    with rag_with(tmp_path, PaidEmbedder()) as rag:
        report = rag.add(documents)
        assert (report.unchanged, report.embedded) == (sent * BATCH, len(documents) - sent * BATCH)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_kill_costs_what_is_on_its_way_and_no_more(tmp_path: Path, docs: Path) -> None:
    """Killed between two answers: all that was handed over is there."""
    work = """
import os, signal, sys
from contextlib import suppress
from pathlib import Path
from interrupts import interrupted_after
from paid import BATCH, SLOTS, PaidEmbedder
from toys import colour_rag

class Killed(PaidEmbedder):
    def embed_batches(self, texts, *, budget=None):
        for number, batch in enumerate(super().embed_batches(texts, budget=budget)):
            if number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch

place = Path(sys.argv[1])
colour_rag(place / "index", Killed()).index_folder(place / "docs")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", work, str(tmp_path)], env=environment, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    again = PaidEmbedder()
    with rag_with(tmp_path, again) as rag:
        assert rag.status().vectors == 3 * BATCH
        rag.index_folder(docs)
        assert len(again.texts) == FILES - 1 - 3 * BATCH
        assert all(finding.ok for finding in rag.check())


def test_the_report_says_what_was_billed_and_progress_what_was_so_far(tmp_path: Path, docs: Path) -> None:
    """Tokens and money; an unchanged folder costs nothing."""
    seen: list[Progress] = []
    with rag_with(tmp_path, PaidEmbedder(price=2_000.0)) as rag:
        report = rag.index_folder(docs, progress=seen.append)
        tokens = 3 * (FILES - 1)
        assert report.usage == Usage(embedding_tokens=tokens, cost=pytest.approx(tokens * 0.002))
        assert not report.estimated
        assert [p.tokens for p in seen] == sorted(p.tokens for p in seen)
        assert (seen[-1].tokens, seen[-1].cost) == (tokens, pytest.approx(report.usage.cost))
        assert [p.files for p in seen].count(FILES) > 4  # told as answers come, not only as files do
        assert rag.index_folder(docs).usage == Usage()
        assert rag.add([Document("note", "One red house more")]).usage.embedding_tokens == 4


def test_a_limit_on_tokens_stops_before_it_is_passed(tmp_path: Path, docs: Path) -> None:
    """What was embedded is kept and counted in the message; runs with the same limit come to the end."""
    limit = 3 * BATCH * 2 + 3
    paid: list[str] = []
    for _ in range(3):
        embedder = PaidEmbedder()
        with rag_with(tmp_path, embedder) as rag:
            with pytest.raises(BudgetExceeded, match="after 32 chunks, which are embedded and kept") as error:
                rag.index_folder(docs, max_tokens=limit)
            assert "run again" in error.value.hint
        assert len(embedder.texts) == 2 * BATCH
        paid += embedder.texts
    embedder = PaidEmbedder()
    with rag_with(tmp_path, embedder) as rag:
        assert rag.index_folder(docs, max_tokens=limit).embedded == len(embedder.texts) == FILES - 1 - len(paid)
    assert len({*paid, *embedder.texts}) == FILES - 1


def test_a_limit_below_one_request_embeds_nothing_and_says_so(tmp_path: Path, docs: Path) -> None:
    """Running again would not help: the hint is to raise it."""
    embedder = PaidEmbedder()
    with rag_with(tmp_path, embedder) as rag, pytest.raises(BudgetExceeded, match="0 of 5 are spent") as error:
        rag.index_folder(docs, max_tokens=5)
    assert "higher --max-tokens" in error.value.hint
    assert embedder.texts == []


def test_a_limit_on_money_needs_a_price(tmp_path: Path, docs: Path) -> None:
    """Without one it could not be kept; with one it is."""
    for embedder in (PaidEmbedder(), ColourEmbedder()):
        with rag_with(tmp_path, embedder) as rag:
            with pytest.raises(ConfigError, match="no price of") as refused:
                rag.index_folder(docs, max_cost=1.0)
            assert "embed_price" in refused.value.hint
    priced = PaidEmbedder(price=1_000_000)
    with rag_with(tmp_path, priced) as rag, pytest.raises(BudgetExceeded, match="costs about"):
        rag.index_folder(docs, max_cost=100)
    assert len(priced.texts) == 2 * BATCH


@pytest.mark.parametrize("limits", [{"max_tokens": -1}, {"max_cost": -0.5}, {"max_cost": float("nan")}])
def test_a_limit_below_zero_is_a_mistake(tmp_path: Path, docs: Path, limits: dict[str, float]) -> None:
    """It is named before anything is opened."""
    with (
        rag_with(tmp_path, PaidEmbedder(price=1.0)) as rag,
        pytest.raises(ConfigError, match=r"max_tokens is -1|max_cost is (-0\.5|nan)"),
    ):
        rag.index_folder(docs, **limits)  # type: ignore[arg-type] # one table for both
    assert not (tmp_path / "index").exists()


def test_an_embedder_of_ones_own_never_reaches_a_limit_on_tokens(tmp_path: Path, docs: Path) -> None:
    """It bills none."""
    with rag_with(tmp_path, ColourEmbedder()) as rag:
        report = rag.index_folder(docs, max_tokens=0)
        assert (report.embedded, report.usage) == (FILES - 1, Usage())


def test_another_model_is_refused_before_it_is_paid(tmp_path: Path, docs: Path) -> None:
    """For a folder and for documents; the hint moves the index."""
    with rag_with(tmp_path, ColourEmbedder()) as rag:
        rag.index_folder(docs)
    (docs / "new.txt").write_text("A new red house")
    embedder = PaidEmbedder()
    with rag_with(tmp_path, embedder) as rag:
        for call in (lambda: rag.index_folder(docs), lambda: rag.add([Document("a", "A red kite")])):
            with pytest.raises(IndexMismatch, match=r"colours/1 .* paid/1") as error:
                call()
            assert "ragkit index --reembed" in error.value.hint
    assert embedder.texts == []


@pytest.mark.parametrize("fault", ["leaves one out", "repeats one", "sends a stranger", "is short of a row"])
def test_a_service_that_mixes_up_its_answers_is_refused(tmp_path: Path, fault: str) -> None:
    """No vector is stored under a text that it was not made of; what was right before is kept."""

    class Confused(PaidEmbedder):
        def embed_batches(
            self, texts: Sequence[str], *, budget: Budget | None = None
        ) -> Iterator[tuple[IntVector, FloatMatrix]]:
            for i, (places, rows) in enumerate(super().embed_batches(texts, budget=budget)):
                if i != 1:
                    yield places, rows
                elif fault == "leaves one out":
                    yield places[1:], rows[1:]
                elif fault == "repeats one":
                    yield np.append(places, places[:1]), np.concatenate([rows, rows[:1]])
                elif fault == "sends a stranger":
                    yield places + len(texts), rows
                else:
                    yield places, rows[1:]

    documents = [Document(f"{i}", f"Red house {i}") for i in range(3 * BATCH)]
    with rag_with(tmp_path, Confused()) as rag:
        with pytest.raises(StoreError):
            rag.add(documents)
        assert all(finding.ok for finding in rag.check())
        kept = rag.status().vectors
        assert kept >= BATCH
    with rag_with(tmp_path, PaidEmbedder()) as rag:
        assert rag.add(documents).embedded == 3 * BATCH - kept


@pytest.mark.parametrize("what", [KeyboardInterrupt(), BrokenPipeError()], ids=lambda what: type(what).__name__)
def test_what_stops_the_storing_does_not_lose_what_is_on_its_way(
    tmp_path: Path, docs: Path, what: BaseException
) -> None:
    """Raised where a batch was just stored, by a signal or in telling of progress: the others are stored too."""

    def show(progress: Progress) -> None:
        if progress.tokens:
            raise what

    embedder = PaidEmbedder()
    with rag_with(tmp_path, embedder) as rag:
        with pytest.raises(type(what)):
            rag.index_folder(docs, progress=show)
        assert rag.status().vectors == len(embedder.texts) == SLOTS * BATCH
        assert all(finding.ok for finding in rag.check())


class Service:
    """Vectors of a text's length; keeps what was paid for, and takes its time."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause, self.paid = pause, list[str]()

    def send(self, _: str, texts: Sequence[str], __: int) -> tuple[FloatMatrix, Usage]:
        time.sleep(self.pause)
        self.paid += [text for text in texts if text != CANARY]  # one request of each run tells the model by it
        return np.array([[len(text), 1] for text in texts], np.float32), Usage(embedding_tokens=len(texts))

    def embedder(self, **more: int) -> RemoteEmbedder:
        return RemoteEmbedder(self.send, "lengths", limits=Limits(items=4, slots=3), **more)  # type: ignore[arg-type]


def documents_of(count: int) -> list[Document]:
    return [Document(f"{i}", f"Red house {i}") for i in range(count)]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no timed signals")
@pytest.mark.parametrize("milliseconds", range(10, 130, 8))
def test_an_interrupt_at_any_moment_of_a_run_loses_nothing(tmp_path: Path, milliseconds: int) -> None:
    """While texts are sent, awaited, stored or committed: what was paid for is in the index, once, and it is whole."""
    service, documents = Service(pause=0.002), documents_of(400)
    with RAG(
        LocalStore(tmp_path / "index"), service.embedder(), RecursiveChunker(), ParserPool, max_file_size=1
    ) as rag:
        rag.add(documents[:1])
        with suppress(KeyboardInterrupt), interrupted_after(milliseconds / 1000):
            rag.add(documents)
        assert rag.status().vectors == len(service.paid) == len(set(service.paid))
        assert all(finding.ok for finding in rag.check())
        rag.add(documents)
        assert len(service.paid) == len(set(service.paid)) == 400


def test_an_error_says_what_was_billed_until_then(tmp_path: Path) -> None:
    """Whichever it is: the limit that was reached, the service that fails, the answer that is nonsense."""
    with rag_with(tmp_path, PaidEmbedder(fails_at=3, error=PaymentRequired("nothing is left", status=402))) as rag:
        with pytest.raises(PaymentRequired) as refused:
            rag.add(documents_of(3 * BATCH))
        assert refused.value.usage == Usage(embedding_tokens=2 * BATCH * 3)
    with rag_with(tmp_path / "limit", PaidEmbedder()) as rag:
        (tmp_path / "limit").mkdir()
        with pytest.raises(BudgetExceeded) as stopped:
            rag.index_folder(fill(tmp_path / "docs"), max_tokens=100)
        assert stopped.value.usage == Usage(embedding_tokens=2 * BATCH * 3)
        with pytest.raises(BudgetExceeded) as stopped:
            rag.index_folder(tmp_path / "docs", max_tokens=1)
        assert stopped.value.usage is None


def test_an_interrupt_says_what_was_billed_until_then(tmp_path: Path, docs: Path) -> None:
    """As an error does."""

    def interrupt(now: Progress) -> None:
        if now.tokens:
            raise KeyboardInterrupt

    with rag_with(tmp_path, PaidEmbedder()) as rag, pytest.raises(KeyboardInterrupt) as stop:
        rag.index_folder(docs, progress=interrupt)
    assert stop.value.usage.embedding_tokens > 0  # type: ignore[attr-defined]


def test_a_bill_that_nobody_says_is_an_estimate(tmp_path: Path) -> None:
    """A local server tells no usage: the report has about how much it was, and says so."""

    class Silent(Service):
        def send(self, model: str, texts: Sequence[str], dimension: int) -> tuple[FloatMatrix, Usage]:
            return super().send(model, texts, dimension)[0], Usage()

    for service in (Silent(), Service()):
        place = tmp_path / type(service).__name__
        with RAG(LocalStore(place), service.embedder(), RecursiveChunker(), ParserPool, max_file_size=1) as rag:
            report = rag.add(documents_of(10))
        assert report.estimated == isinstance(service, Silent)
        canary = estimated_tokens(CANARY) if report.estimated else 1
        assert report.usage.embedding_tokens == (30 if report.estimated else 10) + canary
