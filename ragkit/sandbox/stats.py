"""What was received and what it would have cost: counters, and the last requests as they came.

Secrets are shortened before they are kept.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragkit.sandbox.wire import Request

KEPT = 2000  # requests
KEPT_BODY = 1_000_000  # bytes of one body; a longer one is kept as its size
SECRET_HEADERS = ("authorization", "x-api-key", "api-key", "cookie")


@dataclass(frozen=True, slots=True)
class Received:
    """One request: the path with its prefix, header names in lower case, the body as JSON or text."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counters at one moment.

    `routes` counts by "POST /chat/completions", whatever the prefix; `tokens` has prompt, completion and embedding;
    `max_in_flight` counts a stream until its last piece; `rejected` are requests over the slots; `mistakes` are
    tracebacks of the sandbox itself.
    """

    routes: dict[str, int]
    oauth: int
    tokens: dict[str, int]
    items_embedded: int
    in_flight: int
    max_in_flight: int
    rejected: int
    faults: dict[str, int]
    mistakes: list[str]
    requests: list[Received]

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


class Stats:
    """Counters that many threads may touch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Begin again; requests still in flight stay counted as such."""
        with self._lock:
            self._routes: Counter[str] = Counter()
            self._faults: Counter[str] = Counter()
            self._tokens: Counter[str] = Counter(prompt=0, completion=0, embedding=0)
            self._items = self._oauth = self._rejected = 0
            self._most = self._in_flight
            self._mistakes: list[str] = []
            self._requests: deque[Received] = deque(maxlen=KEPT)

    def received(self, request: Request) -> None:
        headers = {name: _shorten(name, value) for name, value in request.headers.items()}
        record = Received(request.method, request.path, headers, _body(request))
        with self._lock:
            self._requests.append(record)

    def routed(self, route: str, *, oauth: bool = False) -> None:
        with self._lock:
            self._routes[route] += 1
            self._oauth += oauth

    def fault(self, name: str) -> None:
        with self._lock:
            self._faults[name] += 1

    def mistake(self, trace: str) -> None:
        with self._lock:
            self._mistakes.append(trace)

    def billed(self, *, prompt: int = 0, completion: int = 0, embedding: int = 0, items: int = 0) -> None:
        with self._lock:
            self._tokens.update(prompt=prompt, completion=completion, embedding=embedding)
            self._items += items

    def enter(self, slots: int | None) -> bool:
        """Take a slot; False where there is none, which is counted."""
        with self._lock:
            if slots is not None and self._in_flight >= slots:
                self._rejected += 1
                return False
            self._in_flight += 1
            self._most = max(self._most, self._in_flight)
            return True

    def leave(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def snapshot(self) -> Snapshot:
        with self._lock:
            return Snapshot(
                routes=dict(self._routes),
                oauth=self._oauth,
                tokens=dict(self._tokens),
                items_embedded=self._items,
                in_flight=self._in_flight,
                max_in_flight=self._most,
                rejected=self._rejected,
                faults=dict(self._faults),
                mistakes=list(self._mistakes),
                requests=list(self._requests),
            )


def _shorten(name: str, value: str) -> str:
    if name not in SECRET_HEADERS:
        return value
    scheme, _, secret = value.rpartition(" ")
    return f"{scheme} {secret[:8]}…".strip()


def _body(request: Request) -> Any:
    body = request.body
    if len(body) > KEPT_BODY:
        return f"({len(body)} bytes)"
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"({len(body)} bytes)"
    if "json" in request.headers.get("content-type", "") or text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
