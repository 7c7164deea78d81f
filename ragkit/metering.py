"""Who pays for what: usage is added to the meters that are open in the calling thread.

A RAG may be shared by threads, and each wants the usage of its own call; so the meter belongs to the caller's
context, and what sends requests from threads of its own says what they cost in the thread of its caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ragkit.types import Usage

_open: ContextVar[tuple[Meter, ...]] = ContextVar("open meters", default=())


class Meter:
    """`usage` is what was spent so far while it was open; `estimated` where a service did not say what it bills."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.estimated = False


@contextmanager
def metered() -> Iterator[Meter]:
    """A meter that runs inside the block; meters around it run too."""
    meter = Meter()
    token = _open.set((*_open.get(), meter))
    try:
        yield meter
    finally:
        _open.reset(token)


def spend(usage: Usage, *, estimated: bool = False, told: list[Meter] | None = None) -> None:
    """Add what one request cost, or about what, where the service does not say.

    Meters in `told` have it already, the others are put there: so what an interrupt broke off can be called again.
    """
    told = [] if told is None else told
    for meter in _open.get():
        if not any(meter is each for each in told):
            meter.estimated |= estimated
            meter.usage += usage
            told.append(meter)
