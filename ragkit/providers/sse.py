"""Server-sent events out of packets, as https://html.spec.whatwg.org/multipage/server-sent-events.html has them.

Pure; knows nothing of JSON. An event is given out only when the empty line after it has come.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ragkit.errors import BadResponse

MOST = 16 << 20  # characters of one event; pictures may come as base64


class Event(NamedTuple):
    """`data` has its lines joined by \\n; `name` is empty where the service gives none."""

    data: str
    name: str = ""


def events(
    packets: Iterable[bytes], *, most: int = MOST, heard: Callable[[], object] = lambda: None
) -> Iterator[Event]:
    """Events with data, in order. Raises BadResponse for an event of more than `most` characters.

    `heard` is called for a comment, by which some services say that they are still at work.

    Characters and lines may be cut by packets anywhere. An event that the end of the stream cuts off is
    dropped, as the standard says: half an event is no event.
    """
    data: list[str] = []
    name = ""
    size = 0
    for line in lines(packets, most=most):
        if not line:
            if data:
                yield Event("\n".join(data), name)
            data, name, size = [], "", 0
            continue
        field, _, value = line.partition(":")
        if not field:
            heard()
        value = value.removeprefix(" ")
        if field == "data":
            size += len(value) + 1
            if size > most:
                raise _too_long(most)
            data.append(value)
        elif field == "event":
            name = value


def lines(packets: Iterable[bytes], *, most: int = MOST) -> Iterator[str]:
    """Finished lines without their ends, which are CRLF, LF or CR. What is not UTF-8 becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces: list[str] = []  # of the line that has not ended yet
    size = 0
    first, after_cr = True, False
    for packet in packets:
        text = decoder.decode(packet)
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        if after_cr and text:
            text, after_cr = text.removeprefix("\n"), False
        if not text:
            continue
        after_cr = text.endswith("\r")
        *whole, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in whole:
            yield "".join((*pieces, line))
            pieces, size = [], 0
        if rest:
            pieces.append(rest)
            size += len(rest)
            if size > most:
                raise _too_long(most)


def _too_long(most: int) -> BadResponse:
    return BadResponse(f"the stream has an event of more than {most} characters")
