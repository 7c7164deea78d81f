"""Events come out of packets as they went in, wherever the packets were cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import BadResponse
from ragkit.providers.sse import Event, events

END = st.sampled_from(["\n", "\r\n", "\r"])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff"), max_size=20)


def packets(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    return [raw[start:end] for start, end in pairwise(places)]


@given(
    data=st.lists(st.lists(TEXT, min_size=1, max_size=3), max_size=6),
    end=END,
    space=st.booleans(),
    noise=st.booleans(),
    bom=st.booleans(),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_packets_may_cut_anywhere(
    data: list[list[str]], end: str, space: bool, noise: bool, bom: bool, cuts: list[int]
) -> None:
    """Characters, CRLFs and lines may be cut; comments, ids and a byte order mark change nothing."""
    raw = "\ufeff" if bom else ""
    for lines in data:
        raw += f": comment{end}id: 7{end}retry: 10{end}{end}" if noise else ""
        raw += "".join(f"data:{' ' if space or line.startswith(' ') else ''}{line}{end}" for line in lines) + end
    found = list(events(packets(raw.encode(), cuts)))
    assert [event.data for event in found] == ["\n".join(lines) for lines in data]


def test_names_belong_to_their_own_event() -> None:
    raw = b"event: response.message.delta\ndata: a\n\ndata: b\n\nevent: error\n\ndata: c\n\n"
    assert list(events([raw])) == [Event("a", "response.message.delta"), Event("b"), Event("c")]


@pytest.mark.parametrize("raw", [b"data: a\n\ndata: b", b"data: a\n\ndata: b\n", b"data: a\n\ndata: \xd0"])
def test_half_an_event_is_no_event(raw: bytes) -> None:
    """What the end of the stream cuts off is dropped: the format above sees that its end is missing."""
    assert [event.data for event in events([raw])] == ["a"]


def test_a_field_may_stand_without_a_colon() -> None:
    assert list(events([b"data\n\ndata\ndata\n\nother\n\n"])) == [Event(""), Event("\n")]


def test_what_is_not_utf8_does_not_stop_the_stream() -> None:
    assert [event.data for event in events([b"data: a\xffb\n\ndata: c\n\n"])] == ["a\ufffdb", "c"]


def test_comments_are_heard() -> None:
    """A comment is no event, but a sign that the service is at work."""
    heard: list[int] = []
    found = list(events([b": one\n:\n\ndata: a\n\n: two\n"], heard=lambda: heard.append(1)))
    assert (found, len(heard)) == ([Event("a")], 3)


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: x\n" * 20])
def test_an_event_has_a_largest_size(piece: bytes) -> None:
    """A line without end and an event of lines without end are both left off."""
    with pytest.raises(BadResponse, match="1000"):
        list(events([b"data: ", *[piece] * 100], most=1000))
    assert len(list(events([b"data: 123456789\n\n"] * 500, most=1000))) == 500


def test_an_event_is_given_as_soon_as_it_is_whole() -> None:
    """Nothing waits for the packet after: CRLF at the end of a packet is an end already."""

    def arriving() -> list[str]:
        seen = []

        def source() -> object:
            yield b"data: a\r\n\r"
            seen.append("after the empty line")
            yield b"\ndata: b\r\n\r\n"

        for event in events(source()):  # type: ignore[arg-type]  # a generator of bytes
            seen.append(event.data)  # noqa: PERF401 - the order of both is the point
        return seen

    assert arriving() == ["a", "after the empty line", "b"]
