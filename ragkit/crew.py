"""Threads that work for one that may be interrupted. It knows nothing of what they do.

Ctrl-C comes between any two steps of the main thread. There `concurrent.futures` leaves locks behind that its threads
then wait for without end, and `Thread.start`, which waits in steps of Python, turns it into a RuntimeError about a
lock. Here the main thread takes no lock that it could leave behind, and a result stays where it is until it is taken
off.
"""

from __future__ import annotations

import time
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Job(Generic[T]):
    """One piece of work, done by whoever claims it first. `result` is there when it is `done`."""

    result: T

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.done = False
        self._claim = allocate_lock()

    def claimed(self) -> bool:
        """Whether it is the caller's now, and nobody else's."""
        return self._claim.acquire(blocking=False)


class Crew(Generic[T]):
    """At most `most` threads. `running` are the jobs that were given and not taken off yet, in order.

    Work must not raise: what went wrong belongs into its result.
    """

    def __init__(self, most: int) -> None:
        self.running: list[Job[T]] = []
        self._most = most
        self._threads = 0
        self._waiting: SimpleQueue[Job[T] | None] = SimpleQueue()
        self._news: SimpleQueue[None] = SimpleQueue()

    def give(self, work: Callable[[], T]) -> Job[T]:
        """A job for the first thread that is free."""
        job = Job(work)
        self.running.append(job)
        self._waiting.put(job)
        if self._threads < self._most:
            self._threads += 1
            start_new_thread(self._work, ())  # the program's end does not wait for it
        return job

    def done(self) -> list[Job[T]]:
        """The jobs that are done and not taken off yet, in order."""
        return [job for job in self.running if job.done]

    def some_done(self) -> list[Job[T]]:
        """As `done`, as soon as there is one. Some must be running."""
        while not (found := self.done()):
            self._news.get()
        return found

    def await_done(self, job: Job[T], seconds: float) -> bool:
        """Whether the job is done, after that many seconds at most."""
        ends = time.monotonic() + seconds
        while not job.done:
            left = ends - time.monotonic()
            if left <= 0:
                return False
            with suppress(Empty):
                self._news.get(timeout=left)
        return True

    def withdraw(self) -> None:
        """Take off the jobs that no thread has begun: nobody will."""
        self.running = [job for job in self.running if not job.claimed()]

    def dismiss(self) -> None:
        """Let the threads go, each after its job."""
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while job := self._waiting.get():
            if job.claimed():
                job.result = job.work()
                job.done = True
                self._news.put(None)
