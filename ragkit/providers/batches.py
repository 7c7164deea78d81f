"""Texts in as few requests as a service allows: by their number, their bytes and their tokens. It sends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ragkit.errors import BadResponse
from ragkit.providers.lengths import estimated_tokens

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold: texts, bytes of JSON, estimated tokens; and how many requests go at once."""

    items: int = 64
    bytes: int = 1_000_000
    tokens: int = 250_000
    slots: int = 1


def batches(texts: Iterable[str | None], limits: Limits, *, prefix: str = "") -> Iterator[tuple[list[int], list[str]]]:
    """Places and texts of one request after another, in order, with room for a prefix. One text always goes.

    Texts are taken as they are needed. None is no text: it says that the next one is not there yet. Then an empty
    batch comes, and what was gathered waits for more, so that what goes together is the same however long that takes.
    """
    places: list[int] = []
    batch: list[str] = []
    size = place = 0
    tokens = 0  # at most: as many as characters, until that would be too many and they are estimated
    for text in texts:
        if text is None:
            yield [], []
            continue
        more, length = len(json.dumps(prefix + text, ensure_ascii=False).encode()) + 1, len(prefix) + len(text)
        if tokens + length > limits.tokens:
            tokens = sum(estimated_tokens(prefix + each) for each in batch)
            length = estimated_tokens(prefix + text)
        if places and (size + more > limits.bytes or tokens + length > limits.tokens):
            yield places, batch
            places, batch, size, tokens = [], [], 0, 0
        places.append(place)
        batch.append(text)
        size, tokens, place = size + more, tokens + length, place + 1
        if len(places) == limits.items:  # at once: the next text may be long in coming
            yield places, batch
            places, batch, size, tokens = [], [], 0, 0
    if places:
        yield places, batch


def in_batches(texts: Sequence[str], limits: Limits, ask: Callable[[list[str]], Sequence[T]]) -> list[T]:
    """What a service says of each text, asked for one request after another. Raises BadResponse for another number."""
    said: list[T] = []
    for places, batch in batches(texts, limits):
        found = ask(batch)
        if len(found) != len(places):
            raise BadResponse(f"{len(places)} texts were asked about, answers to {len(found)} came")
        said += found
    return said
