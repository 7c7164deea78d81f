"""How many requests may be on their way at once. The number follows what the service puts up with.

Services tell their limit by 429 alone: individuals have one stream at GigaChat, legal entities ten. Knows
nothing of HTTP and no clock: what was sent before the last cut is told from what was sent after it by counting.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

FIRST_NEED, MOST_NEED = 4, 60  # successes at a full house before one more slot is tried


@dataclass(slots=True)
class Ticket:
    """One held slot: the cut after which it was taken, and whether the service refused."""

    epoch: int
    refused: bool = False


class Slots:
    """At most `limit` holders at once, at most `current` new ones.

    A refusal halves `current`, once for all requests that were on their way together. Successes raise it again,
    one by one; where the service refuses the one slot more, only that one is taken back, and the next one is
    tried after twice as many successes.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit}, at least one slot is needed")
        self.limit = limit
        self._current = limit
        self._busy = 0
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
        return self._busy

    @contextmanager
    def hold(self) -> Iterator[Ticket]:
        """Wait for a slot and hold it for the block; a block that ends without an exception is a success."""
        with self._changed:
            while self._busy >= self._current:
                # Not for ever: a wait without end cannot be interrupted everywhere, and an interrupted thread
                # takes its wake-up call with it.
                self._changed.wait(1.0)
            self._busy += 1
            ticket = Ticket(self._epoch)
        served = False
        try:
            yield ticket
            served = not ticket.refused
        finally:
            with self._changed:
                if served:
                    self._count(ticket)
                self._busy -= 1
                self._changed.notify()

    def rejected(self, ticket: Ticket) -> None:
        """The service said 429 to the request that holds `ticket`."""
        with self._changed:
            ticket.refused = True
            if ticket.epoch != self._epoch:
                return  # sent before the last cut: it was answered for already
            self._epoch += 1
            self._successes = 0
            if self._probing:
                self._current = max(1, self._current - 1)
                self._need = min(MOST_NEED, self._need * 2)
            else:
                self._current = max(1, self._current // 2)
            self._probing = False

    def _count(self, ticket: Ticket) -> None:
        """A success says something about the limit only where every slot was in use, after the last cut."""
        if ticket.epoch != self._epoch or self._busy < self._current:
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
