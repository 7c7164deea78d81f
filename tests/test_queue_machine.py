"""Requests that share slots and a token, driven at random on a clock of our own.

Never two exchanges at once, no request with a dead token, never more requests than slots, and nobody waits for ever.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from machines import driven

from ragkit.errors import ConnectionFailed
from ragkit.providers.proof import Proof
from ragkit.providers.renewal import LEEWAY, SHARE, Renewed
from ragkit.providers.slots import Slots
from ragkit.secret import Secret

LIFE = 100.0  # seconds of a token
LIMIT = 4  # slots
MOST = 9  # requests at once, waiting ones among them
PATIENCE = 20.0  # real seconds, after which somebody who should have gone on is taken to wait for ever


@dataclass(eq=False)
class Caller:
    """One request: what it is at, and the answer that it will get once its gate is open."""

    state: str = "queued"
    gate: threading.Event = field(default_factory=threading.Event)
    answer: int = 200
    refusals: int = 0


class Queue(RuleBasedStateMachine):
    """The service knows when each token dies, and which were thrown away; the callers are threads."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.slots = Slots(LIMIT)
        self.token = Renewed(self.exchange, clock=lambda: self.now, ticks=lambda: self.now)
        self.callers: list[Caller] = []
        self.threads: list[threading.Thread] = []
        self.faults: list[str] = []
        self.lock = threading.Lock()
        self.ends: dict[str, float] = {}
        self.revoked: set[str] = set()
        self.newest = ""
        self.exchanging = 0
        self.exchange_fails = False
        self.exchange_gate = threading.Event()
        self.exchange_gate.set()
        self.calling = 0

    def teardown(self) -> None:
        self.exchange_fails = False
        self.exchange_gate.set()
        while self.alive():
            for caller in self.at("calling"):
                caller.gate.set()
            self.settle()
        for thread in self.threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self.threads)
        assert self.slots.busy == 0
        assert self.faults == []

    # -- the service

    def exchange(self) -> tuple[Secret, float]:
        with self.lock:
            self.exchanging += 1
            if self.exchanging > 1:
                self.faults.append("two exchanges at once")
            left = self.ends.get(self.newest, 0.0) - self.now
            if left > min(LEEWAY, SHARE * LIFE) and self.newest not in self.revoked:
                self.faults.append(f"an exchange {left} s before the end")
        self.exchange_gate.wait(PATIENCE)
        with self.lock:
            self.exchanging -= 1
            if self.exchange_fails:
                raise ConnectionFailed("the service that gives tokens is away")
            self.newest = f"token{len(self.ends)}"
            self.ends[self.newest] = self.now + LIFE
            return Secret(self.newest), self.now + LIFE

    def call(self, caller: Caller, proof: Proof) -> int:
        name = proof.header.reveal().removeprefix("Bearer ")
        with self.lock:
            self.calling += 1
            if self.calling > LIMIT:
                self.faults.append(f"{self.calling} requests at once")
            revoked = name in self.revoked
            if self.now >= self.ends[name] and not revoked:
                self.faults.append(f"a request with {name}, which is dead")
            caller.state = "calling"
        if not revoked:
            caller.gate.wait(PATIENCE)
        with self.lock:
            self.calling -= 1
            caller.state = "asking"
            caller.gate.clear()
        return 401 if revoked else caller.answer

    def work(self, caller: Caller) -> None:
        try:
            with self.slots.hold() as ticket:
                caller.state = "asking"
                answer = 401
                while answer == 401:
                    proof = self.token.header()
                    answer = self.call(caller, proof)
                    if answer == 401:
                        caller.refusals += 1
                        self.token.rejected(proof)
                if answer == 429:
                    self.slots.rejected(ticket)
        except ConnectionFailed:
            pass
        finally:
            caller.state = "done"

    # -- what may happen

    @rule(number=st.integers(1, 4))
    def requests_come(self, number: int) -> None:
        for _ in range(min(number, MOST - len(self.alive()))):
            caller = Caller()
            self.callers.append(caller)
            thread = threading.Thread(target=self.work, args=(caller,), daemon=True)
            self.threads.append(thread)
            thread.start()
        self.settle()

    @precondition(lambda self: self.at("calling"))
    @rule(data=st.data(), answer=st.sampled_from([200, 200, 200, 429]))
    def one_is_answered(self, data: st.DataObject, answer: int) -> None:
        waiting = self.at("calling")
        caller = waiting[data.draw(st.integers(0, len(waiting) - 1))]
        caller.answer = answer
        caller.gate.set()
        self.settle()

    @precondition(lambda self: self.at("calling"))
    @rule()
    def all_are_answered(self) -> None:
        for caller in self.at("calling"):
            caller.answer = 200
            caller.gate.set()
        self.settle()

    @rule(seconds=st.floats(0, 1.5 * LIFE) | st.sampled_from([1.0, LIFE / 10 - 1, LIFE - 1, LIFE, LIFE + 1]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def the_token_is_thrown_away(self) -> None:
        if self.newest:
            self.revoked.add(self.newest)

    @rule(slow=st.booleans(), fails=st.booleans())
    def exchanges_are_from_now_on(self, slow: bool, fails: bool) -> None:
        self.exchange_fails = fails
        if slow:
            self.exchange_gate.clear()
        else:
            self.exchange_gate.set()
        self.settle()

    # -- what must hold

    def alive(self) -> list[Caller]:
        return [caller for caller in self.callers if caller.state != "done"]

    def at(self, state: str) -> list[Caller]:
        return [caller for caller in self.callers if caller.state == state]

    def settle(self) -> None:
        """Wait until everybody stands where only a rule can move them; who does not get there waits for ever."""
        ends = time.monotonic() + PATIENCE
        while not self.settled():
            assert time.monotonic() < ends, [caller.state for caller in self.alive()]
            time.sleep(0.0005)

    def settled(self) -> bool:
        exchanging = self.exchanging > 0 and not self.exchange_gate.is_set()
        living = self.ends.get(self.newest, 0.0) > self.now and self.newest not in self.revoked
        with self.lock:
            if any(caller.gate.is_set() for caller in self.at("calling")):
                return False
        asking = len(self.at("asking"))
        if asking and not (exchanging and (asking == 1 or not living)):
            return False
        return not self.at("queued") or self.slots.busy >= self.slots.current

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert self.faults == []
        assert self.slots.busy <= LIMIT
        assert 1 <= self.slots.current <= LIMIT
        assert all(caller.refusals <= len(self.revoked) for caller in self.callers)


TestQueue = Queue.TestCase
TestQueue.settings = driven(examples=40, steps=25)
