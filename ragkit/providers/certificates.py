"""What a certificate says of itself, read from its DER (RFC 5280): Python decodes only what it trusts already.

Nothing here is proof of anything: who made the bytes wrote what they liked. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_SEQUENCE, _VERSION, _UTC_TIME = 0x30, 0xA0, 0x17
_NAMES = {b"\x55\x04\x03": "CN", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU", b"\x55\x04\x06": "C"}
_CODECS = {0x1E: "utf-16-be", 0x1C: "utf-32-be", 0x14: "latin-1"}  # the others are UTF-8, or ASCII
_LONGEST = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """`subject` and `issuer` as "CN=…, O=…"; the times in UTC; `sha256` in hex with colons, as browsers show it."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    sha256: str


def certificate(der: bytes) -> Certificate:
    """Raises ValueError for what is none."""
    if len(der) > _LONGEST:
        raise ValueError(f"a certificate of {len(der)} bytes")
    start, end = 0, len(der)
    for _ in ("the certificate", "what of it is signed"):
        first = next(_parts(der, start, end), None)
        if first is None or first[0] != _SEQUENCE:
            raise ValueError("no certificate")
        _, start, end = first
    fields = list(_parts(der, start, end))
    if fields and fields[0][0] == _VERSION:
        del fields[0]
    if len(fields) < 5 or any(fields[at][0] != _SEQUENCE for at in (2, 3, 4)):
        raise ValueError("no certificate")
    _, _, issuer, validity, subject, *_ = fields
    times = [_time(tag, der[at:to]) for tag, at, to in _parts(der, *validity[1:])]
    if len(times) != 2:
        raise ValueError("a certificate without its two times")
    digest = hashlib.sha256(der).hexdigest().upper()
    return Certificate(
        _name(der, *subject[1:]),
        _name(der, *issuer[1:]),
        times[0],
        times[1],
        ":".join(digest[at : at + 2] for at in range(0, len(digest), 2)),
    )


def _parts(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Tag, beginning and end of each value that stands there. Raises ValueError where one runs over the end."""
    while at < end:
        if at + 2 > end:
            raise ValueError("cut short")
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4 or start + size > end:
                raise ValueError("a length that is none")
            length = int.from_bytes(data[start : start + size], "big")
            start += size
        at = start + length
        if at > end:
            raise ValueError("cut short")
        yield tag, start, at


def _name(data: bytes, start: int, end: int) -> str:
    found = []
    for _, set_start, set_end in _parts(data, start, end):
        for _, pair_start, pair_end in _parts(data, set_start, set_end):
            pair = list(_parts(data, pair_start, pair_end))
            if len(pair) == 2 and (kind := _NAMES.get(data[pair[0][1] : pair[0][2]])):
                tag, at, to = pair[1]
                found.append(f"{kind}={data[at:to].decode(_CODECS.get(tag, 'utf-8'), 'replace')}")
    return ", ".join(found)


def _time(tag: int, raw: bytes) -> datetime:
    text = raw.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
