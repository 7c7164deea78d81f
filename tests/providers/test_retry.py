"""How long to wait: jitter that grows, and never less than the service asks for."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.providers.retry import PASSING, Retry, retry_after

NOW = datetime(2026, 11, 3, 12, 0, 0, tzinfo=UTC).timestamp()


@given(tried=st.integers(1, 2000), asked=st.none() | st.floats(0, 1e6))
def test_a_delay_is_full_jitter_on_top_of_what_was_asked(tried: int, asked: float | None) -> None:
    """Between what the service asked for and that plus min(20, 0.25 * 2**n)."""
    base = asked or 0.0
    assert base <= Retry().delay(tried, asked) <= base + min(20.0, 0.25 * 2.0 ** min(tried - 1, 100))


def test_threads_that_failed_together_do_not_come_back_together() -> None:
    assert len({Retry().delay(3) for _ in range(50)}) > 40


def test_what_is_wrong_with_the_request_does_not_pass() -> None:
    assert not PASSING & {400, 401, 402, 403, 404, 413, 422, 200, 301, 501}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3),
        (" 1.5 ", 1.5),
        ("0", 0),
        ("86400", 86400),
        ("Tue, 03 Nov 2026 12:00:30 GMT", 30),
        ("Tuesday, 03-Nov-26 12:00:30 GMT", 30),
        ("Tue, 03 Nov 2026 11:00:00 GMT", 0),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Tue, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    """Both forms of RFC 9110; what is neither says nothing, and a date in the past asks for no wait."""
    assert retry_after({"retry-after": text}, NOW) == seconds


def test_milliseconds_come_first() -> None:
    assert retry_after({"retry-after-ms": "250", "retry-after": "1"}, NOW) == 0.25
    assert retry_after({}, NOW) is None


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)))
def test_every_date_is_understood(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC, microsecond=0)
    asked = retry_after({"retry-after": format_datetime(aware, usegmt=True)}, NOW)
    assert asked == max(0.0, aware.timestamp() - NOW)


@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    """Whatever a service writes, the result is a finite number of seconds or nothing."""
    asked = retry_after({"retry-after": text}, NOW)
    assert asked is None or (math.isfinite(asked) and asked >= 0)
