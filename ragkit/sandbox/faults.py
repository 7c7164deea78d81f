"""What can be made to go wrong, as one table, and which requests it is waiting for.

It knows the names, their meaning and their options; the effects live where the reply is made and sent.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault: what it does, on which requests (empty: on all but OAuth), and its options."""

    meaning: str
    kinds: frozenset[str] = frozenset()
    options: dict[str, float] = field(default_factory=dict)


def _on(*kinds: str) -> frozenset[str]:
    return frozenset(kinds)


_OAUTH, _EMBEDDINGS, _CHAT, _STREAM = _on("oauth"), _on("embeddings"), _on("chat"), _on("stream")

FAULTS: dict[str, Fault] = {
    # answered with an error
    "expired-token": Fault("401 'Token has expired'; the token is dead from now on"),
    "401": Fault("401 'Unauthorized'"),
    "402": Fault("402 'Payment Required'"),
    "403": Fault("403 'Permission denied'"),
    "404": Fault("404 'No such model'"),
    "413": Fault("413 'Payload too large', which names no item"),
    "413-index": Fault(
        "413 that names the item that is too long", _EMBEDDINGS, {"index": 0, "tokens": 1250, "max": 514}
    ),
    "422": Fault("422 'Invalid params'"),
    "429": Fault("429 without Retry-After"),
    "429-retry-after": Fault("429 with Retry-After in seconds", options={"seconds": 1}),
    "429-retry-date": Fault("429 with Retry-After as a date", options={"seconds": 2}),
    "500": Fault("500 'Internal Server Error'"),
    "500-html": Fault("500 with a page of HTML from a gateway"),
    "502": Fault("502 with a page of HTML from a gateway"),
    "503": Fault("503 'Service Unavailable'"),
    # answered with 200, and wrong
    "bad-json": Fault("200 with JSON that breaks off in the middle"),
    "html-200": Fault("200 with a page of HTML"),
    "error-200": Fault("200 with the envelope of an error"),
    "huge": Fault("200 with a body of many bytes", options={"bytes": 50_000_000}),
    "no-usage": Fault("no `usage` in the reply", _on("chat", "embeddings")),
    # the connection
    "slow": Fault("the reply waits", options={"seconds": 1.0}),
    "drop": Fault("the connection is closed before the reply"),
    "drop-body": Fault("the connection is closed in the middle of the body"),
    # streams
    "cut-stream": Fault("the stream ends early: no finish_reason, no [DONE]", _STREAM, {"after": 2}),
    "drop-stream": Fault("the connection is closed in the middle of a chunk", _STREAM, {"after": 2}),
    "stream-error": Fault("an error event comes in the middle of the stream, and ends it", _STREAM, {"after": 2}),
    "slow-stream": Fault("a wait before every piece", _STREAM, {"seconds": 0.2}),
    "stall-stream": Fault("the stream stops for long, and then goes on", _STREAM, {"after": 2, "seconds": 60.0}),
    # embeddings
    "shuffled": Fault("the vectors come in another order, with the right `index`", _EMBEDDINGS),
    "no-index": Fault("the vectors have no `index`", _EMBEDDINGS),
    "duplicate-index": Fault("all vectors have the `index` of the first", _EMBEDDINGS),
    "missing-item": Fault("the last vector is missing", _EMBEDDINGS),
    "extra-item": Fault("one vector too many", _EMBEDDINGS),
    "nan": Fault("the first number of the first vector is NaN", _EMBEDDINGS),
    "zero-vector": Fault("the first vector is all zeros", _EMBEDDINGS),
    "wrong-dimension": Fault("vectors of another dimension", _EMBEDDINGS, {"dimension": 512}),
    "base64": Fault("vectors as base64 of little-endian float32, though nobody asked", _EMBEDDINGS),
    # chat
    "blacklist": Fault("finish_reason 'blacklist' and a polite refusal", _CHAT),
    "length": Fault("finish_reason 'length' and half of the answer", _CHAT),
    "finish-error": Fault("finish_reason 'error'", _CHAT),
    # OAuth
    "oauth-500": Fault("500 from OAuth", _OAUTH),
    "oauth-429": Fault("429 from OAuth", _OAUTH),
    "expires-seconds": Fault("`expires_at` in seconds, not milliseconds", _OAUTH),
    "short-token": Fault("a token that lives for a second", _OAUTH, {"seconds": 1}),
}


@dataclass(frozen=True, slots=True)
class Active:
    """A fault on one request, with its options filled in."""

    name: str
    options: dict[str, float]

    def __getitem__(self, option: str) -> float:
        return self.options[option]


@dataclass(slots=True)
class _Waiting:
    active: Active
    times: int | None
    path: str | None


def activate(name: str, options: dict[str, Any]) -> Active:
    """A fault ready for use.

    Raises:
        ValueError: no such fault, or an option that it does not have, or that is no number.
    """
    if name not in FAULTS:
        message = f"no fault is called {name!r}; there are {', '.join(FAULTS)}"
        raise ValueError(message)
    known = FAULTS[name].options
    for option, value in options.items():
        if option not in known:
            message = f"the fault {name!r} has no option {option!r}; it has {', '.join(known) or 'none'}"
            raise ValueError(message)
        if isinstance(value, bool) or not isinstance(value, int | float):
            message = f"the option {option!r} of {name!r} must be a number, not {value!r}"
            raise ValueError(message)
    return Active(name, {**known, **options})


def parse(text: str) -> Active:
    """A fault as a header writes it: `429-retry-after` or `429-retry-after;seconds=3`.

    Raises:
        ValueError: as `activate`.
    """
    name, *parts = (part.strip() for part in text.split(";"))
    options = {key.strip(): float(value) for key, _, value in (part.partition("=") for part in parts if part)}
    return activate(name, options)


class Waiting:
    """The faults that wait for their request, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[_Waiting] = []

    def add(self, name: str, times: int | None, path: str | None, options: dict[str, Any]) -> None:
        """Put a fault on the next `times` requests that match; None: on all of them.

        Raises:
            ValueError: as `activate`, or `times` is below one.
        """
        if times is not None and times < 1:
            message = f"times must be at least 1, or None for every request, not {times}"
            raise ValueError(message)
        waiting = _Waiting(activate(name, options), times, path)
        with self._lock:
            self._faults.append(waiting)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, path: str, kinds: frozenset[str]) -> Active | None:
        """The first fault that waits for such a request, counted down; a fault is named by part of a path, too."""
        with self._lock:
            for waiting in self._faults:
                if not _matches(waiting, path, kinds):
                    continue
                if waiting.times is not None:
                    waiting.times -= 1
                    if waiting.times == 0:
                        self._faults.remove(waiting)
                return waiting.active
        return None


def _matches(waiting: _Waiting, path: str, kinds: frozenset[str]) -> bool:
    if waiting.path is not None and waiting.path not in path:
        return False
    wanted = FAULTS[waiting.active.name].kinds
    if wanted:
        return bool(wanted & kinds)
    return waiting.path is not None or "oauth" not in kinds
