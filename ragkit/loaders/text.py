"""Plain text: bytes to a document whose lines are the file's lines."""

from __future__ import annotations

import re
from typing import BinaryIO

from ragkit.loaders.encoding import Decoded, UnknownEncodingError, decode
from ragkit.loaders.hygiene import normalise
from ragkit.loaders.letters import UNMENDED, count, mend_letters
from ragkit.loaders.limits import DEFAULT_LIMITS, Limits, check_text_size, read_at_most, unreadable
from ragkit.loaders.sniff import binary_kind
from ragkit.reports import Loaded, Problem
from ragkit.types import Document

_SUFFIX_CURE = "give it the suffix of its kind, or remove it"
_WIDEST = 4  # bytes of a character in UTF-8
_BINARY_SHARE = 0.3  # of control characters, in what has zeros
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # not \t \n \v \f \r and the escape of terminals


def load_text(stream: BinaryIO, source: str, limits: Limits = DEFAULT_LIMITS) -> Loaded:
    """Raises UnreadableDocument for an empty file, a binary one, and an encoding that cannot be told."""
    text, metadata, problems, notes = read_text(stream, limits)
    return Loaded(Document(source, text, media_type="text/plain", metadata=metadata), problems, notes)


def read_text(
    stream: BinaryIO, limits: Limits
) -> tuple[str, dict[str, str | int | float], tuple[Problem, ...], tuple[str, ...]]:
    """The file's cleaned text, its metadata (the encoding), what was lost, what was guessed."""
    decoded = _decoded(read_at_most(stream, limits), limits)
    controls = count(_CONTROL, decoded.text)
    if "\0" in decoded.text and controls > _BINARY_SHARE * len(decoded.text):
        found = f"{controls} of {len(decoded.text)} characters are control characters"
        raise unreadable(f"it is not text: {found}", _SUFFIX_CURE, "binary")
    text, fault = mend_letters(normalise(decoded.text))
    if fault == UNMENDED:
        raise unreadable(
            "its letters make no words", "save it anew as UTF-8 from the program it was made in", "encoding"
        )
    if len(text) * _WIDEST > limits.text_bytes:
        check_text_size(len(text.encode()), limits)
    if not text or text.isspace():
        raise unreadable("it is empty", "remove it, or put text into it", "empty")
    problems = (Problem(decoded.damage, "save it as UTF-8 and index again", code="encoding"),) if decoded.damage else ()
    notes = [decoded.note] if decoded.note else []
    if fault:
        notes.append(f"it had {fault}: letters were put back")
    if controls:
        notes.append(f"{controls} control characters were left out")
    return text, {"encoding": decoded.encoding}, problems, tuple(notes)


def _decoded(data: bytes, limits: Limits) -> Decoded:
    """The bytes as text, beside which they are not held."""
    check_text_size(len(data) // 2, limits)
    if kind := binary_kind(data):
        raise unreadable(f"it is not text but {kind}", _SUFFIX_CURE, "binary")
    try:
        return decode(data)
    except UnknownEncodingError as error:
        if b"\0" in data:
            raise unreadable("it is not text: it has zero bytes", _SUFFIX_CURE, "binary") from error
        raise unreadable(
            f"its encoding could not be told: {error}", "save it as UTF-8 and index again", "encoding"
        ) from error
