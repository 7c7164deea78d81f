"""Giving memory that was used and is free again back to the system.

glibc keeps what threads have freed, for each of them apart; the word index is written by threads that come and go,
and after 8 MB of text that was 110 of 200 MB.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def release() -> None:
    """Do so, where the C library can."""
    if trim := _trim():
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (OSError, TypeError):  # not on Windows
        return None
