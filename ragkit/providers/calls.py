"""One request as it goes out on every try, and the answer to it as it comes in. Pure, but for reading packets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ragkit.errors import ConfigError
from ragkit.providers.failures import Hint
from ragkit.providers.multipart import Form
from ragkit.providers.unusable import Unusable

_SECRET = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """Iterating over `content` anew starts it from its beginning. `read` is seconds of silence, `most` bytes."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    content: bytes | Form | None = field(repr=False)
    read: float
    most: int
    hint: Hint | None = None

    @property
    def what(self) -> str:
        return f"{self.method} {self.path.partition('?')[0] or '/'}"

    def proved(self, proof: str) -> list[tuple[bytes, bytes]]:
        """The headers with the proof, unless the caller gave an Authorization of his own."""
        if not proof or any(name.lower() == b"authorization" for name, _ in self.headers):
            return self.headers
        return [*self.headers, (b"Authorization", proof.encode("ascii"))]


def head(
    host: str, kind: str, content: bytes | Form | None, method: str, *given: Mapping[str, str]
) -> list[tuple[bytes, bytes]]:
    """Headers: ours, then each of `given`, which may change ours; then what only we can know.

    Raises ConfigError for a header that cannot be sent, without its value.
    """
    found = {"accept": ("Accept", "*/*"), "user-agent": ("User-Agent", "ragkit")}
    for some in given:
        found |= {name.lower(): (name, value) for name, value in some.items()}
    if kind:
        found["content-type"] = ("Content-Type", kind)
    # Not more than one could want: a compressed body may be a thousand times longer than it says.
    found["accept-encoding"] = ("Accept-Encoding", "identity")
    pairs = [(b"Host", host.encode("ascii"))]
    pairs += [(_sendable(name, name), _sendable(name, value)) for name, value in found.values()]
    if content is not None or method in ("POST", "PUT", "PATCH"):
        pairs.append((b"Content-Length", str(len(content or b"")).encode("ascii")))
    return pairs


def secrets_in(headers: Mapping[str, str]) -> Iterator[str]:
    """Values that look by their names as if nobody should see them."""
    for name, value in headers.items():
        if _SECRET.search(name):
            yield value
            yield value.rpartition(" ")[2]


def body(headers: Mapping[str, str], packets: Iterable[bytes], most: int, *, service: str, cut: bool = False) -> bytes:
    """A whole body; with `cut` as much of it as is allowed, and nothing where it is compressed.

    Raises Unusable for one that is longer than `most` bytes, or compressed, before much of it was read.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        if cut:
            return b""
        raise Unusable(
            f"{service} sent a body encoded as {encoding[:20]!a}, which was not asked for",
            "a proxy in between may do that; switch its compression off",
        )
    told = headers.get("content-length", "")
    if not cut and re.fullmatch("[0-9]{1,18}", told) and int(told) > most:
        raise Unusable(f"{service} announced {told} bytes, {most} are allowed")
    pieces: list[bytes] = []
    size = 0
    for piece in packets:
        pieces.append(piece)
        size += len(piece)
        if size > most:
            if cut:
                break
            raise Unusable(f"{service} sent more than {most} bytes")
    return b"".join(pieces)[:most]


def request_id(headers: Mapping[str, str]) -> str:
    return re.sub(r"[^\x21-\x7e]", "", headers.get("x-request-id", ""))[:80]


def _sendable(name: str, value: str) -> bytes:
    if not value.isascii():
        raise ConfigError(f"the header {name!a} has letters that are not ASCII", "quote them, or leave them out")
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        raise ConfigError(f"the header {name!a} has control characters in it", "check the extra headers")
    return value.encode("ascii")
