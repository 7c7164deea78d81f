"""The embedder behind a service, over a small service that can be checked by hand."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.budget import Budget, Prices
from ragkit.errors import BudgetExceeded, ConfigError, PaymentRequired, TooLarge
from ragkit.metering import metered
from ragkit.providers.embedding import Limits, RemoteEmbedder
from ragkit.types import FloatMatrix, Usage


class Letters:
    """A service whose vector of a text counts its letters a, b and c; a token is a character.

    It refuses texts longer than `longest`, requests of more than `most` texts, and everything after `paid` texts.
    """

    def __init__(self, *, longest: int = 1000, most: int = 1000, names: bool = True, paid: int = 10**9) -> None:
        self.longest, self.most, self.names, self.left = longest, most, names, paid
        self.requests: list[list[str]] = []
        self.lock = threading.Lock()
        self.running = self.at_once = 0

    def send(self, _: str, texts: Sequence[str], __: int) -> tuple[FloatMatrix, Usage]:
        with self.lock:
            self.requests.append(list(texts))
            self.running += 1
            self.at_once = max(self.at_once, self.running)
        try:
            return self.answer(texts)
        finally:
            with self.lock:
                self.running -= 1

    def answer(self, texts: Sequence[str]) -> tuple[FloatMatrix, Usage]:
        if len(texts) > self.most:
            raise TooLarge("too many", status=413)
        for index, text in enumerate(texts):
            if len(text) > self.longest:
                error = TooLarge("too long", status=413)
                if self.names:
                    error.index, error.tokens, error.limit = index, len(text), self.longest
                raise error
        with self.lock:
            if self.left < len(texts):
                raise PaymentRequired("nothing left", status=402)
            self.left -= len(texts)
        rows = np.array([[1 + text.count(letter) for letter in "abc"] for text in texts], np.float32)
        return rows, Usage(embedding_tokens=sum(map(len, texts)))

    def count(self, _: str, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    @property
    def sent(self) -> list[str]:
        return [text for request in self.requests for text in request]


def collect(embedder: RemoteEmbedder, arrived: dict[int, list[float]]) -> None:
    """Every batch of TEXTS, as it arrives."""
    for places, rows in embedder.embed_batches(TEXTS):
        arrived.update(zip(places.tolist(), rows.tolist(), strict=True))


def direction(text: str) -> np.ndarray:
    row = np.array([1 + text.count(letter) for letter in "abc"], np.float32)
    return row / np.linalg.norm(row)


TEXTS = [f"{'a' * (i % 5)}{'b' * (i % 3)} {'c' * (i % 7)}." for i in range(100)]


@pytest.mark.parametrize("items", [1, 7, 100])
def test_every_text_gets_its_own_row(items: int) -> None:
    """Whatever the size of batches and their order of arrival, row i belongs to text i and each is sent once."""
    service = Letters()
    rows = RemoteEmbedder(service.send, "letters", limits=Limits(items=items, slots=4)).embed_documents(TEXTS)
    assert rows.tolist() == [[1 + text.count(letter) for letter in "abc"] for text in TEXTS]
    assert sorted(service.sent) == sorted(TEXTS)
    assert max(map(len, service.requests)) <= items


def test_batches_are_capped_by_bytes_and_tokens() -> None:
    """A batch ends before its JSON or its estimated tokens would pass the limit; one text always goes."""
    service = Letters()
    RemoteEmbedder(service.send, "letters", limits=Limits(bytes=60)).embed_documents(["я" * 20] * 6)
    assert [len(request) for request in service.requests] == [1] * 6
    service = Letters()
    RemoteEmbedder(service.send, "letters", limits=Limits(tokens=10)).embed_documents(["one two three four."] * 6)
    assert sorted(len(request) for request in service.requests) == [2, 2, 2]


@given(
    texts=st.lists(st.text("abc .", min_size=1, max_size=200).filter(str.strip), min_size=1, max_size=12),
    longest=st.integers(20, 100),
    most=st.integers(1, 12),
    names=st.booleans(),
)
def test_a_text_that_is_too_long_is_cut_and_the_others_are_not(
    texts: list[str], longest: int, most: int, names: bool
) -> None:
    """413 with an index cuts that text, without one it halves the batch: all texts come out, short ones exactly."""
    service = Letters(longest=longest, most=most, names=names)
    rows = RemoteEmbedder(service.send, "letters").embed_documents(texts)
    for text, row in zip(texts, rows, strict=True):
        if len(text) <= longest:
            assert row.tolist() == [1 + text.count(letter) for letter in "abc"]
        assert np.isfinite(row).all()
        assert row.any()


def test_the_vector_of_a_cut_text_is_the_weighted_mean_of_its_pieces() -> None:
    """Pieces end where words do, and count as much as they are long."""
    service = Letters(longest=40)
    [row] = RemoteEmbedder(service.send, "letters").embed_documents(["aaa " * 10 + "bbb " * 5])
    pieces = [text for text in service.sent if len(text) <= 40]
    assert "".join(pieces) == "aaa " * 10 + "bbb " * 5
    expected = np.average([direction(piece) for piece in pieces], axis=0, weights=[len(piece) for piece in pieces])
    assert np.allclose(row, expected)


def test_a_text_that_cannot_be_cut_further_is_an_error() -> None:
    """A service that takes nothing at all does not make us cut for ever."""
    with pytest.raises(TooLarge):
        RemoteEmbedder(Letters(longest=3).send, "letters").embed_documents(["aaaaaaaaaaaaaaaaaaaaaaaaaaaa"])


def test_what_was_paid_for_is_handed_over_before_the_error() -> None:
    """When the money runs out, all batches that were answered arrive, and the bill is theirs."""
    service = Letters(paid=50)
    embedder = RemoteEmbedder(service.send, "letters", limits=Limits(items=7, slots=3))
    arrived: dict[int, list[float]] = {}
    with metered() as meter, pytest.raises(PaymentRequired):
        collect(embedder, arrived)
    assert len(arrived) == 50 - service.left
    assert all(row == [1 + TEXTS[place].count(letter) for letter in "abc"] for place, row in arrived.items())
    assert meter.usage.embedding_tokens == sum(len(TEXTS[place]) for place in arrived)


def test_an_interrupt_keeps_what_is_on_its_way() -> None:
    """Ctrl-C while a batch is paid for: the batch still arrives, then the interrupt goes on."""

    class Slow(Letters):
        def answer(self, texts: Sequence[str]) -> tuple[FloatMatrix, Usage]:
            if len(self.requests) > 2:
                time.sleep(0.3)
            return super().answer(texts)

    service = Slow()
    embedder = RemoteEmbedder(service.send, "letters", limits=Limits(items=10, slots=2))
    arrived: dict[int, list[float]] = {}
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(KeyboardInterrupt):
        collect(embedder, arrived)
    assert len(arrived) == len(service.sent) < len(TEXTS)


def test_slots_bound_what_is_in_hand() -> None:
    """No more requests are begun than slots and the two threads that decode."""
    service = Letters()
    RemoteEmbedder(service.send, "letters", limits=Limits(items=1, slots=3)).embed_documents(TEXTS)
    assert service.at_once <= 5


def test_an_empty_text_is_refused_before_anything_is_sent() -> None:
    """Many services answer 400 to a whole batch because of one empty text."""
    service = Letters()
    with pytest.raises(ConfigError, match="text 1 of 3"):
        RemoteEmbedder(service.send, "letters").embed_documents(["a", " ", "c"])
    assert not service.requests


def test_a_budget_is_not_passed() -> None:
    """With counted tokens the run stops before the limit, whatever goes on at once; with estimates too."""
    for count in (Letters().count, None):
        service = Letters()
        embedder = RemoteEmbedder(service.send, "letters", limits=Limits(items=5, slots=4), count=count)
        with metered() as meter, pytest.raises(BudgetExceeded):
            list(embedder.embed_batches([text + " слово" * 5 for text in TEXTS], budget=Budget(max_tokens=1500)))
        assert 0 < meter.usage.embedding_tokens <= 1500 or count is None
    service = Letters()
    embedder = RemoteEmbedder(service.send, "letters", prices=Prices(embedding=1_000_000), count=service.count)
    with metered() as meter, pytest.raises(BudgetExceeded):
        list(embedder.embed_batches(TEXTS * 10, budget=Budget(max_cost=100.0)))
    assert meter.usage.cost <= 100.0


def test_the_dimension_of_the_first_vector_is_asked_of_the_others() -> None:
    """An alias that moved to another model in the middle of a run is noticed where replies are checked."""
    asked: list[int] = []

    def send(_: str, texts: Sequence[str], dimension: int) -> tuple[FloatMatrix, Usage]:
        asked.append(dimension)
        return np.ones((len(texts), 3), np.float32), Usage()

    embedder = RemoteEmbedder(send, "letters")
    embedder.embed_query("a")
    embedder.embed_query("a")
    RemoteEmbedder(send, "letters", dimensions=256).embed_query("a")
    assert asked == [0, 3, 256]


def test_prefixes_and_models_are_kept_apart() -> None:
    """Queries have their own model and prefix; the document prefix is part of the model's name, the query's is not."""
    seen: list[tuple[str, str]] = []

    def send(model: str, texts: Sequence[str], _: int) -> tuple[FloatMatrix, Usage]:
        seen.extend((model, text) for text in texts)
        return np.ones((len(texts), 2), np.float32), Usage()

    embedder = RemoteEmbedder(send, "doc", query_model="query", document_prefix="passage: ", query_prefix="query: ")
    embedder.embed_documents(["текст"])
    embedder.embed_query("вопрос")
    assert seen == [("doc", "passage: текст"), ("query", "query: вопрос")]
    plain = RemoteEmbedder(send, "doc", query_prefix="query: ")
    assert plain.model == "doc"
    assert embedder.model.startswith("doc+prefix-")
    assert RemoteEmbedder(send, "doc", dimensions=256).model == "doc/256"
