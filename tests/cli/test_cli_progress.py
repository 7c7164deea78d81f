"""What the bar of an indexing run says. That there is none without a terminal is told in test_cli_index.py."""

from __future__ import annotations

from dataclasses import replace

from ragkit.reports import Progress
from ragkit_cli.progress import details, time_left


def test_the_line_below_the_bar_names_what_there_is() -> None:
    """Pages, chunks, tokens and money, and the end of a long name; what is not there is left out."""
    assert details(Progress(1, 9, 1)) == "1 chunk"
    now = Progress(1, 9, 1204, "contracts/2024/archive/supplement-17.pdf", 96300, 0.338, 312)
    assert details(now, "RUB").replace("\u202f", " ") == (
        "312 pages · 1 204 chunks · 96 300 tokens · 0.34 RUB · …4/archive/supplement-17.pdf".replace(
            "…4/archive/supplement-17.pdf", f"…{now.source[-29:]}"
        )
    )
    assert "\x1b" not in details(Progress(1, 1, 1, "evil\x1b[2J.md"))


def test_time_left_is_told_when_something_can_be_said() -> None:
    """Not in the first seconds."""
    assert time_left(Progress(1, 100, 0, seconds=1.0)) == ""
    assert time_left(Progress(0, 100, 0, seconds=60.0)) == ""
    assert time_left(Progress(4, 100, 0, seconds=5.0)) == "2:00 left"
    assert time_left(Progress(1, 100, 0, seconds=60.0)) == "1:39:00 left"
    found = Progress(9, 9, 0, seconds=60.0, finishing=True, findable=20, to_find=100, finishing_seconds=5.0)
    assert time_left(found) == "0:20 left"
    assert time_left(replace(found, finishing_seconds=1.0)) == ""
