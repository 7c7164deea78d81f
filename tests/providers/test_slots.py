"""The number of requests at once follows what a service puts up with, and finds it with few refusals."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context

import pytest

from ragkit.errors import ConfigError, ConnectionFailed
from ragkit.providers.slots import GRACE, MOST_NEED, START, Slots


def served(slots: Slots, times: int) -> None:
    """So many requests that are answered, each with every slot in use."""
    for _ in range(times):
        with ExitStack() as stack:
            for _ in range(slots.current):
                stack.enter_context(slots.hold())


def refused(slots: Slots) -> None:
    with slots.hold() as ticket:
        slots.rejected(ticket)


def test_slots_are_never_exceeded() -> None:
    """Sixteen threads, three slots: three holders at once, not four."""
    slots = Slots(3)
    most = 0

    def work(_: int) -> None:
        nonlocal most
        with slots.hold():
            most = max(most, slots.busy)
            time.sleep(0.001)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(100)))
    assert most == 3
    assert slots.busy == 0


def test_no_slots_are_no_slots() -> None:
    with pytest.raises(ValueError, match="0"):
        Slots(0)


# Streams that hold slots without being read -------------------------------------------------------------------------


def streaming(slots: Slots) -> Iterator[None]:
    """A generator that holds a slot between its pieces."""
    with slots.hold() as ticket:
        ticket.laid_down()
        for _ in range(100):
            yield
            with ticket.reading():
                pass


def begun(slots: Slots) -> Iterator[None]:
    made = streaming(slots)
    next(made)
    return made


def taken(slots: Slots, patience: float = 30.0) -> bool:
    with slots.hold(patience):
        return True


def test_a_request_in_the_loop_over_a_stream_is_told_off() -> None:
    """It would wait for ever for the slot that its own loop holds; closed, the stream is in nobody's way."""
    slots = Slots(1)
    pieces = begun(slots)
    with pytest.raises(ConfigError, match="the only slot") as caught:
        taken(slots)
    assert "close it" in caught.value.hint
    assert slots.busy == 1
    pieces.close()
    assert taken(slots)


def test_a_second_slot_is_all_that_a_nested_request_needs() -> None:
    slots = Slots(2)
    pieces = begun(slots)
    assert taken(slots)
    more = begun(slots)
    with pytest.raises(ConfigError, match="one of the 2 slots"):
        taken(slots)
    more.close()
    pieces.close()


def test_two_threads_that_wait_for_each_other_are_found_out() -> None:
    """Each has a stream and wants a second slot: one of them is told off, and the other goes on."""
    slots = Slots(2)
    ready = threading.Barrier(2)

    def work() -> bool:
        pieces = begun(slots)
        ready.wait(5)
        try:
            return taken(slots)
        except ConfigError:
            return False
        finally:
            pieces.close()

    with ThreadPoolExecutor(2) as pool:
        ends = [each.result(10) for each in [pool.submit(work) for _ in range(2)]]
    assert sum(ends) in (0, 1)
    assert slots.busy == 0


def test_a_stream_that_another_thread_reads_is_waited_for() -> None:
    """Who made it and gave it away may ask for something else: the slot will come free."""
    slots = Slots(1)
    pieces = begun(slots)

    def read() -> None:
        for _ in pieces:
            time.sleep(0.005)

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        assert taken(slots)
        reader.result(5)


def test_a_thread_of_a_web_server_is_not_blamed_for_the_stream_of_another_request() -> None:
    """There each piece is read in a copy of its request's context, by any thread, which then serves other requests."""
    slots = Slots(1)
    pieces = streaming(slots)
    copy_context().run(next, pieces)

    def end() -> None:
        time.sleep(3 * GRACE)
        pieces.close()

    closing = threading.Thread(target=end)
    closing.start()
    assert taken(slots)
    closing.join()


def test_a_stream_that_nobody_reads_ends_the_patience_of_others() -> None:
    """A generator that was kept and forgotten: others wait for a while, and are told why there is no slot."""
    slots = Slots(1)
    pieces = begun(slots)
    with ThreadPoolExecutor(1) as pool:
        failed = pool.submit(taken, slots, 0.1).exception(5)
    assert isinstance(failed, ConnectionFailed)
    assert "nobody read on" in failed.message
    pieces.close()


def test_a_request_that_waits_for_its_answer_is_waited_for() -> None:
    """Only what nobody reads costs patience: a slow answer does not."""
    slots = Slots(1)
    with ThreadPoolExecutor(1) as pool:
        with slots.hold():
            later = pool.submit(taken, slots, 0.01)
            time.sleep(0.1)
        assert later.result(5)


def test_who_waits_can_be_sent_away() -> None:
    slots = Slots(1)
    over = threading.Event()

    def wait() -> None:
        with slots.hold(given_up=over.is_set):
            pass

    with ThreadPoolExecutor(1) as pool, slots.hold():
        waiting = pool.submit(wait)
        time.sleep(0.02)
        over.set()
        slots.wake()
        assert isinstance(waiting.exception(5), ConnectionFailed)


def test_a_refusal_halves() -> None:
    slots = Slots(START)
    found = []
    for _ in range(5):
        refused(slots)
        found.append(slots.current)
    assert found == [4, 2, 1, 1, 1]


def test_a_burst_of_refusals_counts_once() -> None:
    """Requests that were on their way together are refused together: that is one piece of news."""
    slots = Slots(START)
    with ExitStack() as stack:
        for ticket in [stack.enter_context(slots.hold()) for _ in range(START)]:
            slots.rejected(ticket)
    assert slots.current == START // 2


@pytest.mark.parametrize("served", [1, 3, 6])
def test_what_was_not_refused_of_a_burst_is_what_the_service_takes(served: int) -> None:
    """Half of what was tried, or as many as went through where that is fewer."""
    slots = Slots(START)
    with ExitStack() as stack:
        for ticket in [stack.enter_context(slots.hold()) for _ in range(START)][served:]:
            slots.rejected(ticket)
    assert slots.current == min(served, START // 2)


def test_many_slots_are_taken_in_a_few_rounds() -> None:
    """Not all at once: a service that takes one at a time would refuse all the others. Each success adds a slot."""
    slots = Slots(16)
    assert slots.current == START
    served(slots, 3)
    assert slots.current == 16


def test_successes_bring_slots_back_up_to_the_limit() -> None:
    """One by one, and never more than the limit."""
    slots = Slots(4)
    refused(slots)
    refused(slots)
    found = {slots.current}
    for _ in range(100):
        served(slots, 1)
        found.add(slots.current)
    assert found == {1, 2, 3, 4}
    assert slots.current == 4


def test_successes_count_only_with_every_slot_in_use() -> None:
    """One request at a time says nothing about whether three at once would be welcome."""
    slots = Slots(4)
    refused(slots)
    for _ in range(100):
        with slots.hold():
            pass
    assert slots.current == 2


def test_a_failed_probe_takes_one_slot_back_and_waits_twice_as_long() -> None:
    """A service with one slot is asked for a second after 4, 8, 16, 32, 64 and then every 120 successes."""
    slots = Slots(8)
    for _ in range(3):
        refused(slots)
    needed = []
    for _ in range(8):
        count = 0
        while slots.current == 1:
            served(slots, 1)
            count += 1
        needed.append(count)
        refused(slots)
        assert slots.current == 1
    assert needed == [4, 8, 16, 32, 64, MOST_NEED, MOST_NEED, MOST_NEED]


def test_an_exception_gives_the_slot_back_and_is_no_success() -> None:
    slots = Slots(2)
    refused(slots)
    for _ in range(50):
        with pytest.raises(ZeroDivisionError), slots.hold():
            raise ZeroDivisionError
    assert (slots.busy, slots.current) == (0, 1)


def test_a_waiting_thread_gets_the_slot_that_is_given_back() -> None:
    slots = Slots(1)
    got = threading.Event()

    def wait() -> None:
        with slots.hold():
            got.set()

    with slots.hold():
        thread = threading.Thread(target=wait)
        thread.start()
        assert not got.wait(0.05)
    assert got.wait(0.9)  # before it would look by itself
    thread.join()


class Service:
    """600 requests against a service that lets `limit` at once in and refuses others after 30 ms.

    Time is simulated; an answer takes about a quarter of a second; a refused request waits with full jitter.
    """

    def __init__(self, slots: Slots, limit: int, seed: int = 1) -> None:
        self.slots, self.limit, self.random = slots, limit, random.Random(seed)
        self.now, self.inside, self.sent, self.refused = 0.0, 0, 0, 0
        self.waiting, self.left, self.done = 0, 600, 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, delay: float, event: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._queue, (self.now + delay, self._number, event))

    def run(self) -> Service:
        self.fill()
        while self._queue:
            self.now, _, event = heapq.heappop(self._queue)
            event()
            self.fill()
        return self

    def fill(self) -> None:
        while self.left and self.slots.busy < self.slots.current:
            self.left -= 1
            self.send(0)

    def send(self, refusals: int) -> None:
        self.sent += 1
        stack = ExitStack()
        ticket = stack.enter_context(self.slots.hold())

        def answered() -> None:
            self.inside -= 1
            self.done += 1
            stack.close()

        def refuse() -> None:
            self.refused += 1
            self.slots.rejected(ticket)
            stack.close()
            self.at(self.random.uniform(0, 0.25 * 2**refusals), lambda: again(refusals + 1))

        def again(refusals: int) -> None:
            if self.slots.busy < self.slots.current:
                self.send(refusals)
            else:
                self.at(0.05, lambda: again(refusals))

        if self.inside < self.limit:
            self.inside += 1
            self.at(self.random.lognormvariate(-1.45, 0.35), answered)
        else:
            self.at(0.03, refuse)


@pytest.mark.parametrize(
    ("limit", "share", "slower"), [(1, 0.03, 1.05), (3, 0.03, 1.05), (10, 0.03, 1.05), (16, 0, 1.01)]
)
def test_the_limit_of_a_service_is_found_with_few_refusals(limit: int, share: float, slower: float) -> None:
    """From 16 slots to the one, three or ten that a service has: few refusals, and little time lost."""
    found = Service(Slots(16), limit).run()
    known = Service(Slots(limit), limit).run()
    assert found.done == known.done == 600
    assert known.refused == 0
    assert found.refused / found.sent <= share
    assert found.now / known.now <= slower
