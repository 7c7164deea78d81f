"""A form with one file in it, as RFC 7578 has it, read from disk while it is sent. Knows no service."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ragkit.errors import UnreadableDocument

PIECE = 256 * 1024


class Form:
    """Fields in their order, then the file; each iteration opens the file anew, so that a form can be sent again.

    Raises UnreadableDocument where the file cannot be read, or is no longer as long as it was at first.
    """

    def __init__(self, fields: Mapping[str, str], file: Path, name: str, media_type: str) -> None:
        self._boundary = f"ragkit-{os.urandom(16).hex()}"
        self._file = file
        try:
            self._size = file.stat().st_size
        except OSError as error:
            raise _unreadable(file, error) from None
        parts = [
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{_quoted(key)}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        ]
        parts.append(
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(name)}"\r\n'
            f"Content-Type: {_quoted(media_type)}\r\n\r\n"
        )
        self._head = "".join(parts).encode()
        self._tail = f"\r\n--{self._boundary}--\r\n".encode()

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        sent = 0
        try:
            with self._file.open("rb") as file:
                while piece := file.read(PIECE):
                    sent += len(piece)
                    if sent > self._size:
                        break
                    yield piece
        except OSError as error:
            raise _unreadable(self._file, error) from None
        if sent != self._size:
            raise UnreadableDocument(f"{self._file.name} changed while it was sent", "send it again")
        yield self._tail


def _quoted(text: str) -> str:
    """As browsers do it: UTF-8 as it is, and what would end the value escaped."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _unreadable(file: Path, error: OSError) -> UnreadableDocument:
    return UnreadableDocument(f"{file.name} cannot be read: {error.strerror or error}", "check that it is there")
