"""Ctrl-C at a moment that a test chooses."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise KeyboardInterrupt in the block, as the signal of a keyboard does, unless it ends before.

    Without garbage collection: what listens to that swallows the interrupt when it comes there.
    """
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    gc.disable()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.enable()
        signal.signal(signal.SIGALRM, before)
