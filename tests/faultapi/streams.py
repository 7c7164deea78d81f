"""Every way in which a streamed answer breaks, with what must become of it.

`end` is the error that the reader must get, None for a whole answer; `text` what he was shown before it. `repeated`
says that the request may be made again, which is so only before its first piece.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from faultapi.healthy import ANSWER, PIECES, STREAM_HEAD, USAGE, WHOLE, chunk, event, piece, stream
from faultapi.server import Answer, Request, Wire
from ragkit.errors import BadResponse, ConnectionFailed, RagkitError, RateLimited, ServerError, StreamInterrupted

BEGUN = "".join(PIECES[:2])


@dataclass(frozen=True)
class Fault:
    answer: Answer
    end: type[RagkitError] | None
    text: str
    repeated: bool = False
    reason: str = "stop"


FAULTS: dict[str, Fault] = {}


def _told(
    name: str, end: type[RagkitError] | None, text: str, *events: bytes, repeated: bool = False, reason: str = "stop"
) -> None:
    """These events in a stream with a proper end."""
    FAULTS[name] = Fault(lambda wire, _: stream(wire, *events), end, text, repeated, reason)


def _fault(
    name: str, end: type[RagkitError] | None, text: str, *, repeated: bool = False
) -> Callable[[Answer], Answer]:
    def note(answer: Answer) -> Answer:
        FAULTS[name] = Fault(answer, end, text, repeated)
        return answer

    return note


_TWO = WHOLE[:2]
_CUT = StreamInterrupted

# Odd, and right all the same ---------------------------------------------------------------------------------------

_told("comments between", None, ANSWER, *(part for each in WHOLE for part in (b": still here\n\n", each)))
_told("lines with CRLF", None, ANSWER, *(each.replace(b"\n", b"\r\n") for each in WHOLE))
_told("letters cut by packets", None, ANSWER, *(bytes([byte]) for byte in b"".join(WHOLE)))
_told("many events in one packet", None, ANSWER, b"".join(WHOLE))
_told("no end marker, but a finish reason", None, ANSWER, *WHOLE[:-1])
_told("no finish reason, but an end marker", None, ANSWER, *WHOLE[:-2], WHOLE[-1])
_told("no usage", None, ANSWER, *WHOLE[:-2], event(piece("", "stop")), WHOLE[-1])
_told("usage of nonsense", None, ANSWER, *WHOLE[:-2], event(piece("", "stop", usage={"prompt_tokens": "x"})), WHOLE[-1])
_told("said again after the end marker", None, ANSWER, *WHOLE, *WHOLE)
_told("an unknown finish reason", None, ANSWER, *WHOLE[:-2], event(piece("", "banana")), WHOLE[-1], reason="banana")
_told("a finish reason that is a number", None, ANSWER, *WHOLE[:-2], event(piece("", 7)), WHOLE[-1])  # type: ignore[arg-type]
_told("cut for its length", None, BEGUN, *_TWO, event(piece("", "length")), WHOLE[-1], reason="length")

# Cut short ---------------------------------------------------------------------------------------------------------

_told("ended before its end", _CUT, BEGUN, *_TWO)
_told("an event cut in two", _CUT, BEGUN, *_TWO, WHOLE[2][: len(WHOLE[2]) // 2])
_told("not JSON inside", _CUT, BEGUN, *_TWO, event(b'{"choices": [{"del'), *WHOLE[3:])
_told("a list inside", _CUT, BEGUN, *_TWO, event([1, 2]), *WHOLE[3:])
_told("two events in one line", _CUT, BEGUN, *_TWO, WHOLE[2].rstrip() + WHOLE[3].removeprefix(b"data:"), *WHOLE[4:])
_told("an error inside", _CUT, BEGUN, *_TWO, event({"error": {"message": "overloaded", "code": 500}}), WHOLE[-1])
_told("GigaChat's error inside", _CUT, BEGUN, *_TWO, event({"status": 500, "message": "Internal Server Error"}))
_told("an event called error inside", _CUT, BEGUN, *_TWO, b'event: error\ndata: {"message": "overloaded"}\n\n')
_told("an event of 20 MB", _CUT, BEGUN, *_TWO, *[b"data: " + b"x" * (4 << 20)] + [b"x" * (4 << 20)] * 4)
_told("only the end marker", _CUT, "", WHOLE[-1])


@_fault("connection lost", _CUT, BEGUN)
def _lost(wire: Wire, _request: Request) -> bool:
    wire.send(STREAM_HEAD + b"".join(map(chunk, _TWO)))
    return False


@_fault("connection lost inside a letter", _CUT, BEGUN)
def _letter(wire: Wire, _request: Request) -> bool:
    half = WHOLE[2][: WHOLE[2].index("за".encode()) + 1]
    wire.send(STREAM_HEAD + b"".join(map(chunk, (*_TWO, half))))
    return False


@_fault("reset", _CUT, BEGUN)
def _reset(wire: Wire, _request: Request) -> bool:
    wire.send(STREAM_HEAD + b"".join(map(chunk, _TWO)))
    wire.gone(0.05)
    wire.reset()
    return False


@_fault("a chunk with a size that is none", _CUT, BEGUN)
def _size(wire: Wire, _request: Request) -> bool:
    wire.send(STREAM_HEAD + b"".join(map(chunk, _TWO)) + b"zz\r\n")
    return False


@_fault("silence inside", _CUT, BEGUN)
def _silence(wire: Wire, _request: Request) -> bool:
    wire.send(STREAM_HEAD + b"".join(map(chunk, _TWO)))
    wire.gone(30)
    return False


# Without end -------------------------------------------------------------------------------------------------------


@_fault("never ends", _CUT, BEGUN)
def _endless(wire: Wire, _request: Request) -> bool:
    """The same thing over and over: a model that is caught in a loop."""
    wire.send(STREAM_HEAD + b"".join(map(chunk, _TWO)))
    while not wire.gone(0.01):
        wire.send(chunk(event(piece(""))))
    return False


@_fault("comments for ever", _CUT, BEGUN)
def _comments(wire: Wire, _request: Request) -> bool:
    wire.send(STREAM_HEAD + b"".join(map(chunk, _TWO)))
    while not wire.gone(0.02):
        wire.send(chunk(b": still here\n\n"))
    return False


@_fault("more than anybody can read", _CUT, BEGUN)
def _flood(wire: Wire, _request: Request) -> bool:
    """Faster than its time runs out: what grows is memory."""
    wire.send(STREAM_HEAD + b"".join(map(chunk, _TWO)))
    block = chunk(event(piece("", padding="x" * (1 << 20))))
    for _ in range(100):
        wire.send(block)
    wire.send(b"".join(map(chunk, WHOLE[2:])) + b"0\r\n\r\n")
    return True


# Broken before the first piece: tried again ------------------------------------------------------------------------

_told("empty", BadResponse, "", repeated=True)
_told("comments alone", BadResponse, "", b": nobody here\n\n" * 3, repeated=True)
_told("an error first", ServerError, "", event({"error": {"message": "overloaded", "code": 500}}), repeated=True)


@_fault("a page in its place", BadResponse, "", repeated=True)
def _page(wire: Wire, _request: Request) -> bool:
    wire.say(200, b"<html><title>Sign in</title></html>", kind="text/html")
    return True


@_fault("429 in its place", RateLimited, "", repeated=True)
def _busy(wire: Wire, _request: Request) -> bool:
    wire.say(429, json.dumps({"status": 429, "message": "Too many requests"}).encode())
    return True


@_fault("500 in its place", ServerError, "", repeated=True)
def _broken(wire: Wire, _request: Request) -> bool:
    wire.say(500, b"oops", kind="text/plain")
    return True


@_fault("connection lost at once", ConnectionFailed, "", repeated=True)
def _vanish(_wire: Wire, _request: Request) -> bool:
    return False


@_fault("silence at once", ConnectionFailed, "")
def _mute(wire: Wire, _request: Request) -> bool:
    """Longer than the whole request may take here."""
    wire.send(STREAM_HEAD)
    wire.gone(30)
    return False


__all__ = ["BEGUN", "FAULTS", "USAGE", "Fault"]
