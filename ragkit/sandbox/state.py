"""What the sandbox remembers between requests: keys, files, sessions, and its limits."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field

from ragkit.sandbox.accounts import Accounts
from ragkit.sandbox.faults import Waiting
from ragkit.sandbox.filestore import FileStore
from ragkit.sandbox.stats import Stats

MAX_ITEMS = 100
MAX_BODY = 20_000_000  # bytes
SESSIONS = 1000  # remembered at once, the oldest go first


@dataclass(frozen=True, slots=True)
class Limits:
    """What the sandbox allows; the real limits are not all known, so each can be set.

    Sizes are bytes, waits seconds.
    """

    slots: int | None = None  # requests at once, over which the answer is 429
    latency: float = 0.0  # of every request
    max_items: int = MAX_ITEMS  # texts in one request for GigaChat's embeddings
    max_body: int = MAX_BODY  # a JSON body; an upload has the limits of its kind
    balance: bool = True  # whether GET /balance is answered: pay-as-you-go contracts get 403
    stream_wait: float = 0.0  # before each piece of a stream


@dataclass(slots=True)
class Session:
    """The messages of a session's last request, for the cache of prompts; each as JSON, with its tokens."""

    messages: list[tuple[str, int]] = field(default_factory=list)


class State:
    """Everything of one sandbox that changes."""

    def __init__(self, limits: Limits, accounts: Accounts, seed: int) -> None:
        self.limits = limits
        self.accounts = accounts
        self.seed = seed
        self.faults = Waiting()
        self.stats = Stats()
        self.files = FileStore()
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything that requests left behind; limits and keys stay."""
        self.faults.clear()
        self.stats.reset()
        self.accounts.reset()
        self.files.reset()
        with self._lock:
            self._made = 0
            self._sessions: OrderedDict[str, Session] = OrderedDict()

    def new_id(self) -> str:
        """The next id: it looks like a uuid4, and the same requests in the same order get the same ids."""
        with self._lock:
            self._made += 1
            number = self._made
        digest = hashlib.sha256(f"{self.seed}/{number}".encode()).digest()
        return str(uuid.UUID(bytes=digest[:16], version=4))

    def cached_tokens(self, session: str, messages: list[tuple[str, int]]) -> int:
        """Tokens of the messages that begin as the session's last request did; the session then remembers these."""
        with self._lock:
            known = self._sessions.setdefault(session, Session())
            self._sessions.move_to_end(session)
            if len(self._sessions) > SESSIONS:
                self._sessions.popitem(last=False)
            cached = 0
            for old, new in zip(known.messages, messages, strict=False):
                if old != new:
                    break
                cached += new[1]
            known.messages = messages
        return cached
