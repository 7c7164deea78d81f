"""What one document may cost. The defaults stand here, once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

from ragkit.errors import UnreadableDocument
from ragkit.numbers import number


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one document. Memory is the address space of its parser process, in bytes.

    Ordinary files stay far below: the costliest of 5,110 PDFs from parsers' own test suites took less than a
    second; those above these bounds were made to be.
    """

    memory: int = 1 << 30
    cpu_seconds: float = 20.0
    wall_seconds: float = 60.0
    text_bytes: int = 50_000_000  # of UTF-8
    pages: int = 20_000


DEFAULT_LIMITS = Limits()


def unreadable(message: str, cure: str, code: str = "unreadable") -> UnreadableDocument:
    """The error for a file that gave no text; `code` is the machine's name for the reason."""
    error = UnreadableDocument(message, cure)
    error.code = code
    return error


def check_text_size(size: int, limits: Limits) -> None:
    """Raise when `size` bytes of text are more than a document may have."""
    if size > limits.text_bytes:
        raise unreadable(
            f"it gives more than {number(limits.text_bytes)} bytes of text, the limit of one document",
            "split it into smaller files and index again",
            "too_large",
        )


def read_at_most(stream: BinaryIO, limits: Limits) -> bytes:
    """All that a file may have of bytes whose text is within the limits, and some more where it has too many."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    # UTF-16 Latin text is twice its UTF-8. No more is asked for than there is: so much is allocated first.
    return stream.read(min(size, 2 * limits.text_bytes + 4))
