"""A loaded document, or the reason there is none, as bytes between processes: JSON and UTF-8, never pickle.

A frame is two lengths (header, text), the header as JSON, the text. What comes from a parser process is not
trusted: lengths are capped before anything is allocated, and every field is checked.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from ragkit.errors import LoadError, UnsupportedFormat
from ragkit.loaders.hygiene import normalise
from ragkit.loaders.limits import Limits, check_text_size, unreadable
from ragkit.reports import Loaded, Problem
from ragkit.types import Document, Heading

LENGTHS = struct.Struct("!IQ")
MAX_HEADER = 16_000_000  # bytes; 100,000 headings of 100 letters
_MANY = 1 << 31  # above any page number or level


def pack(outcome: Loaded | LoadError, limits: Limits) -> tuple[bytes, bytes]:
    """The frame of an outcome in two parts, what comes before the text, and the text: together they would be a copy.

    Text or landmarks beyond the limits become an error's frame.
    """
    text = b""
    if isinstance(outcome, Loaded):
        text = outcome.document.text.encode()
        header = _dump(_describe(outcome))
        if len(text) > limits.text_bytes or len(header) > MAX_HEADER:
            try:
                check_text_size(len(text), limits)
                raise unreadable("it has too many headings, pages or notes", "split it and index again", "too_large")
            except LoadError as error:
                return pack(error, limits)
    else:
        kind = "unsupported" if isinstance(outcome, UnsupportedFormat) else "unreadable"
        header = _dump({"error": [kind, outcome.code, outcome.message[:2000], outcome.hint]})
    return LENGTHS.pack(len(header), len(text)) + header, text


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _describe(loaded: Loaded) -> dict[str, object]:
    document = loaded.document
    return {
        "media_type": document.media_type,
        "page_starts": document.page_starts,
        "headings": [(heading.start, heading.level, heading.text) for heading in document.headings],
        "metadata": dict(document.metadata),
        "problems": [(problem.reason, problem.cure, problem.page, problem.code) for problem in loaded.problems],
        "notes": loaded.notes,
    }


def check_lengths(head: bytes, limits: Limits) -> tuple[int, int]:
    """Header and text length of a frame's first LENGTHS.size bytes. Raises ValueError above the limits."""
    header_size, text_size = LENGTHS.unpack(head)
    if header_size > MAX_HEADER or text_size > limits.text_bytes:
        raise ValueError(f"a frame of {header_size} + {text_size} bytes")
    return header_size, text_size


def unpack(header: bytes, text: bytes, source: str) -> Loaded:
    """The outcome: returned, or raised as the LoadError that it is. Raises ValueError for a wrong frame."""
    try:
        fields: dict[str, Any] = json.loads(header)
        if "error" in fields:
            raise _error(*map(_text, fields["error"]))
        document = Document(
            source,
            text.decode(),
            media_type=_text(fields["media_type"]),
            page_starts=tuple(map(int, fields["page_starts"])),
            headings=tuple(
                Heading(int(start), _small(level), _text(title)) for start, level, title in fields["headings"]
            ),
            metadata={_text(key): _scalar(value) for key, value in fields["metadata"].items()},
        )
        problems = tuple(
            Problem(_text(reason), _text(cure), None if page is None else _small(page), _text(code))
            for reason, cure, page, code in fields["problems"]
        )
        notes = tuple(map(_text, fields["notes"]))
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"a frame without its fields: {str(error)[:200]!r}") from error
    if "\0" in document.text:
        raise ValueError("a text with NUL in it")
    _check_offsets(document)
    return Loaded(document, problems, notes)


def _error(kind: str, code: str, message: str, hint: str) -> LoadError:
    if kind == "unsupported":
        return UnsupportedFormat(message, hint)
    return unreadable(message, hint, code)


def _text(value: object) -> str:
    """Without controls, which a message about a damaged file may quote, and half pairs, which JSON can say."""
    return normalise(str(value))


def _small(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < _MANY:
        raise ValueError(f"a page or level of {value!r:.40}")
    return value


def _scalar(value: object) -> str | int | float:
    return value if isinstance(value, int | float) else _text(value)


def _check_offsets(document: Document) -> None:
    end = len(document.text)
    for starts in (document.page_starts, tuple(heading.start for heading in document.headings)):
        if any(not 0 <= start <= end for start in starts) or list(starts) != sorted(starts):
            raise ValueError(f"offsets outside the text or out of order, which has {end} characters")
