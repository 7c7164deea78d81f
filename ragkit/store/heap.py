"""Giving memory that was used and is free again back to the system.

glibc keeps what threads have freed, for each of them apart; the word index is written by threads that come and go,
and after 8 MB of text that was 110 of 200 MB. Large blocks it gives back at once, but takes ever larger ones for small
as they come and go, so that each writer of the word index left its own behind for the next.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
_LARGE = 1 << 20  # bytes


def release() -> None:
    """Do so, where the C library can."""
    if trim := _function("malloc_trim"):
        trim(0)


def return_large() -> None:
    """From now on give blocks of a mebibyte and more back as soon as they are free, where the C library can.

    Those of the word index are of that size. What is smaller, as most of what a search takes, is kept for the next.
    """
    if option := _function("mallopt"):
        option(_MMAP_THRESHOLD, _LARGE)


@cache
def _function(name: str) -> Callable[..., int] | None:
    """One of the C library, where it has that."""
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # not on Windows
        return None
