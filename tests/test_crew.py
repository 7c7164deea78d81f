"""Threads that work for one that may be interrupted."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from ragkit.crew import Crew


def all_of(crew: Crew[int]) -> list[int]:
    found = []
    while crew.running:
        for job in crew.some_done():
            crew.running.remove(job)
            found.append(job.result)
    return found


def test_every_job_is_done_once() -> None:
    """By no more threads than there may be, which go home in the end."""
    crew: Crew[int] = Crew(3)
    workers: list[int] = []
    for n in range(50):
        crew.give(lambda n=n: workers.append(threading.get_ident()) or n)  # type: ignore[func-returns-value] # effect
    assert sorted(all_of(crew)) == list(range(50))
    assert len(set(workers)) <= 3
    crew.dismiss()
    until = time.monotonic() + 5
    while set(workers) & set(sys._current_frames()) and time.monotonic() < until:
        time.sleep(0.001)
    assert not set(workers) & set(sys._current_frames())


def test_what_nobody_has_begun_can_be_withdrawn() -> None:
    """What somebody has is awaited."""
    go = threading.Event()
    begun = threading.Event()
    did: list[int] = []

    def work(n: int) -> int:
        begun.set()
        go.wait(5)
        did.append(n)
        return n

    crew: Crew[int] = Crew(1)
    for n in range(5):
        crew.give(lambda n=n: work(n))
    begun.wait(5)
    crew.withdraw()
    go.set()
    assert all_of(crew) == did == [0]
    crew.dismiss()


@pytest.mark.parametrize("first", range(7))
def test_an_interrupt_at_any_call_loses_no_result_and_no_thread(first: int) -> None:
    """Whatever step it comes at: what was begun is done and handed over, once, and nobody waits for ever."""
    for stop_at in range(1 + first, 400, 7):
        calls = iter(range(1, 1_000_000))

        def interrupt(_: FrameType, event: str, of: object, calls: Iterator[int] = calls, at: int = stop_at) -> None:
            if of is not sys.setprofile and event in ("call", "c_call") and next(calls) == at:
                raise KeyboardInterrupt

        did: list[int] = []
        crew: Crew[int] = Crew(2)
        found: list[int] = []
        sys.setprofile(interrupt)
        try:
            for n in range(6):
                crew.give(lambda n=n, did=did: did.append(n) or n)  # type: ignore[func-returns-value] # for its effect
            while crew.running:
                done = crew.some_done()
                results = [job.result for job in done]
                left = [job for job in crew.running if job not in done]
                crew.running = left
                found += results
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        crew.withdraw()
        found += all_of(crew)
        crew.dismiss()
        assert sorted(found) == sorted(did)
