"""The embedder behind a service, over a small service that can be checked by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interrupts import interrupted_after

from ragkit.budget import Budget, Prices
from ragkit.errors import BadResponse, BudgetExceeded, ConfigError, ConnectionFailed, PaymentRequired, TooLarge
from ragkit.metering import metered
from ragkit.providers.batches import in_batches
from ragkit.providers.embedding import Limits, RemoteEmbedder
from ragkit.providers.lengths import estimated_tokens
from ragkit.providers.slots import Slots
from ragkit.types import FloatMatrix, IntVector, Preparation, Usage


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


def take_all(batches: Iterator[tuple[IntVector, FloatMatrix]], take: Callable[[IntVector, FloatMatrix], None]) -> None:
    """Take batches as a run does: what happens meanwhile is thrown in, and what is on its way is taken after that."""
    assert isinstance(batches, Generator)
    batch = None
    try:
        for batch in batches:
            take(*batch)
    except KeyboardInterrupt as interrupt:
        if batch:
            take(*batch)
        batch = batches.throw(interrupt)
        while True:
            take(*batch)
            batch = next(batches)


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
    with pytest.raises(KeyboardInterrupt), interrupted_after(0.1):
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
    with pytest.raises(ConfigError, match="text 1 is empty"):
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
    RemoteEmbedder(send, "letters", dimensions=3).embed_query("a")
    assert asked == [0, 3, 3]


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
    assert embedder.model.startswith("doc?prefix=")
    assert embedder.preparation == Preparation("passage: ", "query: ", "query")
    assert RemoteEmbedder(send, "doc", query_model="doc").preparation == Preparation()


NUMBERED = " ".join(f"слово {i}" for i in range(30))  # no two pieces of it are the same


class Failing(Letters):
    """Raises `error` at the requests whose numbers, from 1, are in `at`; sleeps before each answer."""

    def __init__(self, *, at: Sequence[int] = (), error: BaseException | None = None, pause: float = 0, **more: int):
        super().__init__(**more)  # type: ignore[arg-type] # handed on as they are
        self.at, self.error, self.pause = at, error, pause

    def send(self, model: str, texts: Sequence[str], dimension: int) -> tuple[FloatMatrix, Usage]:
        if len(self.requests) + 1 in self.at and self.error:
            with self.lock:
                self.requests.append(list(texts))
            raise self.error
        time.sleep(self.pause)
        return super().send(model, texts, dimension)


def billed(error: BadResponse | ConnectionFailed, tokens: int) -> BadResponse | ConnectionFailed:
    error.usage = Usage(embedding_tokens=tokens)
    return error


def test_pieces_have_the_prefix_each_and_count_without_it() -> None:
    """A model that wants "passage: " before a passage wants it before the second half of one too."""
    service = Letters(longest=49)
    embedder = RemoteEmbedder(service.send, "letters", document_prefix="passage: ")
    [row] = embedder.embed_documents(["aaa " * 10 + "bbb " * 5])
    pieces = [text for text in service.sent if len(text) <= 49]
    assert all(piece.startswith("passage: ") for piece in pieces)
    halves = [piece.removeprefix("passage: ") for piece in pieces]
    assert "".join(halves) == "aaa " * 10 + "bbb " * 5
    weights = [len(half) for half in halves]
    assert np.allclose(row, np.average([direction(piece) for piece in pieces], axis=0, weights=weights))


@pytest.mark.parametrize("names", [True, False], ids=["named", "unnamed"])
def test_room_for_all_pieces_is_taken_before_the_first_is_paid(names: bool) -> None:
    """Half a text has no vector: where the limit does not reach for all of it, none of it is sent."""
    service = Letters(longest=60, names=names)
    embedder = RemoteEmbedder(service.send, "letters", count=service.count)
    with metered() as meter, pytest.raises(BudgetExceeded):
        list(embedder.embed_batches([NUMBERED], budget=Budget(max_tokens=len(NUMBERED) - 1)))
    assert meter.usage == Usage()
    with metered() as meter:
        list(embedder.embed_batches([NUMBERED], budget=Budget(max_tokens=len(NUMBERED))))
    assert meter.usage.embedding_tokens == len(NUMBERED)


def test_pieces_that_were_paid_are_kept_until_their_text_is_whole() -> None:
    """A second try of the same embedder sends the ones that are missing, and what failed left no reservation."""
    service = Failing(at=[4], error=ConnectionFailed("no answer"), longest=40)
    embedder = RemoteEmbedder(service.send, "letters", count=service.count)
    with metered() as meter:
        with pytest.raises(ConnectionFailed):
            embedder.embed_documents([NUMBERED])
        [row] = embedder.embed_documents([NUMBERED])
    assert meter.usage.embedding_tokens == len(NUMBERED)
    assert np.allclose(row, RemoteEmbedder(Letters(longest=40).send, "letters").embed_documents([NUMBERED])[0])


def test_what_stops_others_does_not_stop_the_pieces_of_a_text() -> None:
    """An error elsewhere in the middle of them: all are sent, the vector is handed over, then the error raised."""
    service = Failing(pause=0.02, longest=40, most=1)
    begun = threading.Event()

    def send(model: str, texts: Sequence[str], dimension: int) -> tuple[FloatMatrix, Usage]:
        if texts[0] == "c":
            begun.wait(5)
            raise PaymentRequired("nothing is left", status=402)
        answer = service.send(model, texts, dimension)
        if " " in texts[0]:
            begun.set()  # the first piece is paid for
        return answer

    embedder = RemoteEmbedder(send, "letters", limits=Limits(items=1, slots=2))
    arrived: list[int] = []
    with pytest.raises(PaymentRequired):
        arrived.extend(
            int(place) for places, _ in embedder.embed_batches(["ab " * 100, "c", *"ab" * 20]) for place in places
        )
    assert 0 in arrived
    assert len(arrived) < 42


def test_a_place_that_is_none_cuts_no_text() -> None:
    """Some services count from 1, or over another batch: then the batch is halved until the long one is alone."""
    service = Letters(longest=40)

    def send(model: str, texts: Sequence[str], dimension: int) -> tuple[FloatMatrix, Usage]:
        try:
            return service.send(model, texts, dimension)
        except TooLarge as error:
            error.index = 64 if len(texts) % 2 else -1
            raise

    texts = ["a" * 39, "b" * 39, "c " * 30, "ab" * 19]
    rows = RemoteEmbedder(send, "letters").embed_documents(texts)
    for place in (0, 1, 3):
        assert rows[place].tolist() == [1 + texts[place].count(letter) for letter in "abc"]


def test_a_limit_holds_where_a_service_does_not_say_what_it_bills() -> None:
    """What was reserved counts as spent, and the meter calls its sum an estimate."""
    service = Letters()

    def send(model: str, texts: Sequence[str], dimension: int) -> tuple[FloatMatrix, Usage]:
        return service.send(model, texts, dimension)[0], Usage()

    embedder = RemoteEmbedder(send, "letters", limits=Limits(items=1), prices=Prices(embedding=1_000_000))
    texts = [f"some text number {i} with words" for i in range(50)]
    for budget in (Budget(max_tokens=40), Budget(max_cost=40)):
        service.requests.clear()
        with metered() as meter, pytest.raises(BudgetExceeded):
            list(embedder.embed_batches(texts, budget=budget))
        assert 1 <= len(service.requests) <= 5
        assert meter.estimated
        assert meter.usage.embedding_tokens == sum(map(estimated_tokens, service.sent)) == meter.usage.cost
    with metered() as meter:
        embedder.embed_query("вопрос")
    assert (meter.usage, meter.estimated) == (Usage(), False)


def test_an_estimate_learns_from_the_bill() -> None:
    """Where texts cost five times what was thought, only the first requests pass the limit, not all of them."""
    service = Letters()
    embedder = RemoteEmbedder(service.send, "letters", limits=Limits(items=5))
    with metered() as meter, pytest.raises(BudgetExceeded):
        list(embedder.embed_batches(["abcabcabc " * 10] * 200, budget=Budget(max_tokens=5000)))
    assert 2000 < meter.usage.embedding_tokens <= 5000
    assert not meter.estimated


def test_what_failed_and_was_billed_is_in_the_meter_and_under_the_limit() -> None:
    """A garbled answer costs its usage; one that has none, or silence, what was reserved; a refusal nothing."""
    garbled = "the vectors are none"
    for error, metered_tokens, left in (
        (billed(BadResponse(garbled), 80), 80, 20),
        (BadResponse(garbled), 0, 80),
        (ConnectionFailed("no answer"), 0, 80),
        (PaymentRequired("nothing is left", status=402), 0, 100),
    ):
        service = Failing(at=[1], error=error)
        embedder = RemoteEmbedder(service.send, "letters", count=service.count)
        budget = Budget(max_tokens=100)
        with metered() as meter, pytest.raises(type(error)):
            list(embedder.embed_batches(["a" * 20], budget=budget))
        assert meter.usage.embedding_tokens == metered_tokens
        budget.reserve(left, 0)
        with pytest.raises(BudgetExceeded):
            budget.reserve(1, 0)
    with metered() as meter, pytest.raises(BadResponse):
        RemoteEmbedder(Failing(at=[1], error=billed(BadResponse(garbled), 7)).send, "letters").embed_query("a")
    assert meter.usage.embedding_tokens == 7


def test_nothing_is_sent_after_the_first_error() -> None:
    """Neither by a thread that has a batch already, nor for the other half of one that was too large."""
    service = Failing(at=[3], error=PaymentRequired("nothing is left", status=402), most=2)
    with pytest.raises(PaymentRequired):
        RemoteEmbedder(service.send, "letters", limits=Limits(items=16)).embed_documents(TEXTS[:16])
    assert len(service.requests) <= 3 + 2  # what the other two threads had sent


def test_what_waits_for_a_slot_when_the_first_error_comes_is_not_sent() -> None:
    """The threads that stand ready behind the slots go home."""
    slots = Slots(1)
    service = Failing(at=[1], error=PaymentRequired("nothing is left", status=402))

    def send(model: str, texts: Sequence[str], dimension: int) -> tuple[FloatMatrix, Usage]:
        with slots.hold():
            time.sleep(0.1)
            return service.send(model, texts, dimension)

    with pytest.raises(PaymentRequired):
        RemoteEmbedder(send, "letters", limits=Limits(items=1)).embed_documents(TEXTS)
    assert len(service.requests) == 1


def test_an_early_close_is_metered() -> None:
    """What was on its way is awaited and billed, and nothing else is sent."""
    service = Failing(pause=0.05)
    embedder = RemoteEmbedder(service.send, "letters", limits=Limits(items=1, slots=3))
    with metered() as meter:
        arriving = embedder.embed_batches(TEXTS)
        next(arriving)
        arriving.close()  # type: ignore[attr-defined] # it is a generator
    assert meter.usage.embedding_tokens == sum(map(len, service.sent))
    assert len(service.sent) <= 10


def test_what_is_thrown_in_stops_and_hands_over_what_is_on_its_way() -> None:
    """An interrupt in the middle of storing a batch reaches the generator so: nothing that was paid for is lost."""
    service = Failing(pause=0.02)
    embedder = RemoteEmbedder(service.send, "letters", limits=Limits(items=1, slots=3))
    arrived: dict[int, list[float]] = {}

    def interrupted(places: IntVector, rows: FloatMatrix) -> None:
        first = not arrived
        arrived.update(zip(places.tolist(), rows.tolist(), strict=True))
        if first:
            raise KeyboardInterrupt

    with metered() as meter, pytest.raises(KeyboardInterrupt):
        take_all(embedder.embed_batches(TEXTS), interrupted)
    assert sorted(TEXTS[place] for place in arrived) == sorted(service.sent)
    assert meter.usage.embedding_tokens == sum(map(len, service.sent))


def test_texts_are_taken_as_there_is_room_for_them() -> None:
    """A few requests ahead and no more; while there is no text yet, what has arrived is handed over."""
    service = Letters()
    embedder = RemoteEmbedder(service.send, "letters", limits=Limits(items=2, slots=3))
    taken = 0

    def texts() -> Iterator[str | None]:
        nonlocal taken
        for text in TEXTS[:2]:
            yield text
        while not arrived:
            time.sleep(0.001)
            yield None
        for text in TEXTS[2:]:
            taken += 1
            yield text

    arrived: list[int] = []
    most = 0
    for places, rows in embedder.embed_stream(texts()):
        assert len(rows) == len(places)
        arrived += places.tolist()
        most = max(most, taken + 2 - len(arrived))
    assert sorted(arrived) == list(range(len(TEXTS)))
    assert most <= 2 * 10
    assert list(embedder.embed_stream(iter([None, None]))) == []


def test_an_error_of_the_texts_comes_after_what_is_on_its_way() -> None:
    """Whoever reads them out of files may meet anything; what was gathered and not sent is not."""
    service = Failing(pause=0.02)
    embedder = RemoteEmbedder(service.send, "letters", limits=Limits(items=2, slots=3))

    def texts() -> Iterator[str]:
        yield from TEXTS[:5]
        raise OSError("the disk is gone")

    arrived: list[int] = []
    with metered() as meter, pytest.raises(OSError, match="the disk is gone"):
        take_all(embedder.embed_stream(texts()), lambda places, _: arrived.extend(places.tolist()))
    assert sorted(TEXTS[place] for place in arrived) == sorted(service.sent)
    assert meter.usage.embedding_tokens == sum(map(len, service.sent))
    assert TEXTS[4] not in service.sent


@pytest.mark.parametrize("moment", [0.005 * n for n in range(1, 13)])
def test_an_interrupt_at_any_moment_loses_nothing(moment: float) -> None:
    """Whether threads are being started, awaited, or their answers taken in."""
    service = Failing(pause=0.001)
    embedder = RemoteEmbedder(service.send, "letters", limits=Limits(items=1, slots=3))
    arrived: dict[int, list[float]] = {}
    batches = embedder.embed_batches(TEXTS * 10)
    with metered() as meter, pytest.raises(KeyboardInterrupt), interrupted_after(moment):
        take_all(batches, lambda places, rows: arrived.update(zip(places.tolist(), rows.tolist(), strict=True)))
    assert len(arrived) == len(service.sent) < len(TEXTS) * 10
    assert meter.usage.embedding_tokens == sum(map(len, service.sent))


def test_the_model_of_queries_says_nothing_of_the_length_of_documents() -> None:
    """Another length is a mistake in the settings, told with both models: no answer is asked for twice."""
    asked: list[tuple[str, int]] = []

    def send(model: str, texts: Sequence[str], dimension: int) -> tuple[FloatMatrix, Usage]:
        asked.append((model, dimension))
        return np.ones((len(texts), 3 if model == "doc" else 5), np.float32), Usage(embedding_tokens=1)

    embedder = RemoteEmbedder(send, "doc", query_model="query")
    embedder.embed_query("a")
    embedder.embed_documents(["a"])
    with metered() as meter, pytest.raises(ConfigError, match=r"query makes vectors of 5 .* doc makes 3"):
        embedder.embed_query("a")
    assert meter.usage.embedding_tokens == 1
    embedder.embed_documents(["a"])
    assert asked == [("query", 0), ("doc", 0), ("query", 0), ("doc", 3)]


def test_no_two_ways_to_make_vectors_have_one_name() -> None:
    """Whatever a model is called."""
    send = Letters().send
    names = [
        RemoteEmbedder(send, "m").model,
        RemoteEmbedder(send, "m", dimensions=256).model,
        RemoteEmbedder(send, "m/256").model,
        RemoteEmbedder(send, "m?dimensions=256").model,
        RemoteEmbedder(send, "m%3Fdimensions=256").model,
        RemoteEmbedder(send, "m", document_prefix="passage: ").model,
        RemoteEmbedder(send, "m", document_prefix="passage: ", dimensions=256).model,
    ]
    assert names[:2] == ["m", "m?dimensions=256"]
    assert len(set(names)) == len(names)


def test_counting_keeps_to_the_limits_of_requests() -> None:
    """However many texts are counted at once, and whether or not a run asks."""
    asked: list[int] = []

    def count(_: str, texts: Sequence[str]) -> list[int]:
        asked.append(len(texts))
        return [len(text) for text in texts]

    embedder = RemoteEmbedder(Letters().send, "letters", limits=Limits(items=16), count=count)
    assert embedder.count_tokens(TEXTS) == ([len(text) for text in TEXTS], True)
    assert asked == [16] * 6 + [4]
    with pytest.raises(BadResponse, match="2 texts were asked about, answers to 1 came"):
        in_batches(["a", "b"], Limits(), lambda batch: batch[1:])


def test_a_batch_that_a_limit_has_no_room_for_is_halved() -> None:
    """A limit below one batch is used up as far as it goes: every run makes progress."""
    service = Letters()
    embedder = RemoteEmbedder(service.send, "letters", limits=Limits(items=100), count=service.count)
    with metered() as meter, pytest.raises(BudgetExceeded):
        list(embedder.embed_batches(["a" * 10] * 100, budget=Budget(max_tokens=255)))
    assert 200 <= meter.usage.embedding_tokens <= 255
