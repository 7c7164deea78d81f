"""A token that threads share and that is renewed before it dies. Knows no service: how to get a token is handed in."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from ragkit.errors import AuthenticationError, ConfigError
from ragkit.providers.proof import Proof, sendable
from ragkit.secret import Secret

LEEWAY, SHARE = 60.0, 0.1  # renewed this many seconds, or this share of a life, before the end; the smaller one
REMEMBERED = 10.0  # seconds for which a permanent failure is told again without asking again
AGAIN = 5.0  # seconds before the next attempt to renew a token that still lives, after a failed one


class Renewed:
    """A bearer token that threads share: one of them exchanges, the others go on while the old token lives.

    `exchange` gives a token and the moment of its end in seconds since 1970. A failure that will not pass is
    told to everyone who asks within `REMEMBERED` seconds without another exchange.
    """

    empty = False

    def __init__(
        self,
        exchange: Callable[[], tuple[Secret, float]],
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._clock, self._ticks = clock, ticks
        self._changed = threading.Condition()
        self._proof: Proof | None = None
        self._generation = 0
        self._renew_at = self._dies_at = 0.0
        self._busy = False
        self._round = 0  # exchanges that ended, well or not
        self._failure: Exception | None = None
        self._failed_at = -math.inf

    def header(self) -> Proof:
        with self._changed:
            while True:
                now = self._clock()
                if self._proof and now < self._renew_at:
                    return self._proof
                if self._failure and not self._alive(now) and self._ticks() < self._failed_at + REMEMBERED:
                    raise _again(self._failure)
                if not self._busy:
                    break
                if self._proof and self._alive(now):
                    return self._proof
                self._wait_for_the_other()
            self._busy = True
        return self._renewed()

    def rejected(self, proof: Proof) -> bool:
        """Throws the token away, unless it was replaced already: a late 401 says nothing about the new one."""
        with self._changed:
            if self._proof and self._proof.generation == proof.generation:
                self._proof = None
        return True

    def _alive(self, now: float) -> bool:
        return self._proof is not None and now < self._dies_at

    def _wait_for_the_other(self) -> None:
        seen = self._round
        while self._busy and self._round == seen:
            self._changed.wait(1.0)  # an interrupted thread takes its wake-up call with it
        if self._round == seen + 1 and self._failure is not None and not self._alive(self._clock()):
            raise _again(self._failure)

    def _renewed(self) -> Proof:
        """The exchange, outside the lock, by the one thread that set `_busy`."""
        try:
            token, end = self._exchange()
            value = Secret(f"Bearer {sendable(token.reveal(), 'the token that the service gave')}")
        except BaseException as error:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                if not isinstance(error, Exception):
                    raise  # interrupted: another thread takes over
                self._round += 1
                self._failure = error
                self._failed_at = self._ticks() if _permanent(error) else -math.inf
                now = self._clock()
                if self._proof and self._alive(now):
                    self._renew_at = now + AGAIN
                    return self._proof
            raise
        with self._changed:
            now = self._clock()
            life = end - now
            if life <= 0:  # one of the two clocks is wrong: use what was just given, and look again soon
                life = LEEWAY
            self._generation += 1
            self._proof = Proof(value, self._generation)
            self._dies_at = now + life
            self._renew_at = self._dies_at - min(LEEWAY, SHARE * life)
            self._busy = False
            self._failure = None
            self._round += 1
            self._changed.notify_all()
            return self._proof


def _permanent(error: Exception) -> bool:
    return isinstance(error, AuthenticationError | ConfigError)


def _again(error: Exception) -> Exception:
    """The same error for another thread: an exception object that several threads raise mixes their tracebacks."""
    twin = type(error).__new__(type(error), *error.args)
    twin.__dict__.update(error.__dict__)
    return twin
