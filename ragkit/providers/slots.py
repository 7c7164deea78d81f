"""How many requests may be on their way at once. The number follows what the service puts up with.

Services tell their limit by 429 alone: individuals have one stream at GigaChat, legal entities ten. Knows
nothing of HTTP; what was sent before the last cut is told from what was sent after it by counting, not by time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from ragkit.errors import ConfigError, ConnectionFailed
from ragkit.providers.stopping import Stopped, stopped

FIRST_NEED, MOST_NEED = 4, 120  # successes at a full house before one more slot is tried
START = 8  # slots at first: of sixteen at once a service with one slot refuses fifteen, before anybody can know
GRACE = 0.2  # seconds for who was given a stream to read it from another thread, before its maker is told off


@dataclass(slots=True, eq=False)
class Ticket:
    """One held slot: the cut after which it was taken, and whether the service refused.

    A stream holds its slot between two reads too: it is `idle` then, and whether it is read on is up to its reader.
    """

    epoch: int
    refused: bool = False
    idle: bool = False
    read_at: float = 0.0  # time.monotonic of the end of the last read
    reader: threading.Thread = field(default_factory=threading.current_thread)
    waiting: int = 0  # calls for one more slot by this very reader, who does not read on as long as they wait

    @contextmanager
    def reading(self) -> Iterator[None]:
        """For the block the stream waits for the service, not for its reader."""
        self.reader, self.idle = threading.current_thread(), False
        try:
            yield
        finally:
            self.laid_down()

    def laid_down(self) -> None:
        self.read_at, self.idle = time.monotonic(), True


# What was taken in this thread of control: a web server has each piece of a stream read by any of its threads, where
# the next request of that thread has nothing to do with the stream; it runs in another context.
_taken_here: ContextVar[tuple[Ticket, ...]] = ContextVar("_taken_here", default=())


class Slots:
    """At most `limit` holders at once, at most `current` new ones.

    Until the first refusal each success raises `current`. A refusal halves it, once for all requests that were on
    their way together, and then to as many as were not refused of them. Successes raise it again, one by one; where
    the service refuses the one slot more, only that one is taken back, and the next one is tried after twice as many
    successes.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit}, at least one slot is needed")
        self.limit = limit
        self._current = self._cut = min(limit, START)
        self._held: set[Ticket] = set()
        self._epoch = 0
        self._successes = 0
        self._need = FIRST_NEED
        self._probing = False
        self._changed = threading.Condition()

    @property
    def current(self) -> int:
        return self._current

    @property
    def busy(self) -> int:
        return len(self._held)

    @contextmanager
    def hold(self, patience: float = math.inf, given_up: Callable[[], bool] = lambda: False) -> Iterator[Ticket]:
        """Wait for a slot and hold it for the block; a block that ends without an exception is a success.

        Raises:
            ConfigError: where whoever would have to free a slot is waiting here for one.
            ConnectionFailed: where nobody read on any of the streams that hold all slots for `patience` seconds, or
                `given_up` says so; `wake` has it asked at once.
            Stopped: where the request is not wanted any more; see `stopping`.
        """
        with self._changed:
            self._wait(patience, given_up)
            if stopped():
                self._changed.notify()  # the slot that this one was woken for
                raise Stopped
            ticket = Ticket(self._epoch)
            self._held.add(ticket)
        _taken_here.set((*_taken_here.get(), ticket))
        served = False
        try:
            yield ticket
            served = not ticket.refused
        finally:
            with self._changed:
                if served:
                    self._count(ticket)
                self._held.discard(ticket)
                self._changed.notify()
            _taken_here.set(tuple(each for each in _taken_here.get() if each is not ticket))

    def wake(self) -> None:
        """Everyone who waits asks whether to give up."""
        with self._changed:
            self._changed.notify_all()

    def _wait(self, patience: float, given_up: Callable[[], bool]) -> None:
        """Until a slot is free. Time counts only while every slot is held by a stream that nobody reads."""
        began = time.monotonic()
        here = threading.current_thread()
        mine = [each for each in _taken_here.get() if each in self._held and each.reader is here]
        for each in mine:
            each.waiting += 1
        try:
            while len(self._held) >= self._current:
                if given_up():
                    raise ConnectionFailed("the connection was closed while the request waited for a slot")
                if all(each.idle for each in self._held):
                    quiet = time.monotonic() - max(began, *(each.read_at for each in self._held))
                    if mine and quiet >= GRACE and all(each.waiting for each in self._held):
                        raise self._stuck()
                    if quiet >= patience:
                        raise self._unread(patience)
                # Not for ever: a wait without end cannot be interrupted everywhere, and an interrupted thread
                # takes its wake-up call with it.
                self._changed.wait(GRACE / 4 if mine else min(1.0, patience))
        finally:
            for each in mine:
                each.waiting -= 1

    def _stuck(self) -> ConfigError:
        held = "the only slot" if len(self._held) == 1 else f"one of the {len(self._held)} slots"
        return ConfigError(
            f"an answer is still streaming in this thread and holds {held}",
            "read it to its end or close it before the next request, or allow more slots",
        )

    def _unread(self, patience: float) -> ConnectionFailed:
        return ConnectionFailed(
            f"no slot came free: nobody read on for {patience:g} s what is streaming in all {len(self._held)}",
            "read streams to their end, or close them",
        )

    def rejected(self, ticket: Ticket) -> None:
        """The service said 429 to the request that holds `ticket`."""
        with self._changed:
            ticket.refused = True
            if ticket.epoch == self._epoch - 1:  # sent together with the one that brought the cut
                served = sum(not each.refused for each in self._held)
                self._current = min(self._current, served) or self._cut  # all refused: that is no matter of slots
            if ticket.epoch != self._epoch:
                return
            self._epoch += 1
            self._successes = 0
            if self._probing:
                self._current = max(1, self._current - 1)
                self._need = min(MOST_NEED, self._need * 2)
            else:
                self._current = max(1, self._current // 2)
            self._probing = False
            self._cut = self._current

    def _count(self, ticket: Ticket) -> None:
        """A success says something about the limit only where every slot was in use, after the last cut."""
        if not self._epoch:  # nothing was refused yet
            if self._current < self.limit and 2 * len(self._held) >= self._current:
                self._current += 1
                self._changed.notify()
            return
        if ticket.epoch != self._epoch or len(self._held) < self._current:
            return
        self._successes += 1
        if self._successes < self._need:
            return
        self._successes = 0
        if self._probing:  # the slot that was tried last has proved itself
            self._need = max(FIRST_NEED, self._need // 2)
            self._probing = False
        if self._current < self.limit:
            self._current += 1
            self._probing = True
            self._changed.notify()
