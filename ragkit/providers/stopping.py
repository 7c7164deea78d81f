"""Requests that are not wanted any more before they are sent: what waits for its slot meanwhile asks here.

The question belongs to the thread that sends, like a meter to the one that pays, so nothing between hands it down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_unwanted: ContextVar[Callable[[], bool]] = ContextVar("unwanted", default=lambda: False)


class Stopped(Exception):
    """Nothing was sent. No error: whoever set the question catches it."""


@contextmanager
def unless(unwanted: Callable[[], bool]) -> Iterator[None]:
    """Requests of this thread that are sent inside the block are not, once `unwanted` says so."""
    token = _unwanted.set(unwanted)
    try:
        yield
    finally:
        _unwanted.reset(token)


def stopped() -> bool:
    """Whether the request that this thread is about to send is not wanted any more."""
    return _unwanted.get()()
