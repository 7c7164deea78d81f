"""Which failures are worth another try, and how long to wait before it. Pure: sleeps for nobody, knows no clock."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

# 520, 522, 524 come from a gateway in front of the service, 529 from one that has too much to do.
PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
LONGEST = 1e9  # seconds that anybody can ask us to wait


@dataclass(frozen=True, slots=True)
class Retry:
    """`tries` counts the first one. Delays are seconds: `uniform(0, min(longest, first * 2**n))` before retry n."""

    tries: int = 6
    first: float = 0.25
    longest: float = 20.0
    statuses: frozenset[int] = PASSING
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, tried: int, asked: float | None = None) -> float:
        """Seconds to wait after `tried` tries. What the service asked for comes first, the jitter on top.

        Full jitter: threads that failed together do not come back together.
        """
        most = min(self.longest, self.first * 2.0 ** min(tried - 1, 60))
        return (asked or 0.0) + self.uniform(0.0, most)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the service asks us to wait; None where it does not say, or not in a form that RFC 9110 knows.

    `now` is seconds since 1970, for the form that is a date. Names of `headers` are in lower case.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, OSError, IndexError):  # what the parser raises for odd text
        return None
    return max(0.0, moment - now)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return min(value, LONGEST) if math.isfinite(value) and value >= 0 else None
