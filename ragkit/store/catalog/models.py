"""Which embedding model made which vectors: from an id on, up to the next.

An index is searched with one model. Vectors of another stand beside its own while the index is being moved to
that one, and afterwards for as long as unused vectors are kept. It reads and writes no table.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """The vectors from id `first` up to the next span."""

    first: int
    model: str
    dimension: int


class Spans:
    """All spans of an index, in order. An index that never had a second model has one, which is not stored."""

    def __init__(self, meta: Mapping[str, str]) -> None:
        self.model = meta.get("embedding_model", "")
        self.dimension = int(meta.get("dimension", 0))
        self._all: list[Span] = []
        if "models" in meta:
            self._all = [Span(*fields) for fields in json.loads(meta["models"])]
        elif self.model:
            self._all = [Span(0, self.model, self.dimension)]
        self._firsts = [span.first for span in self._all]

    def place(self, id: int) -> int:
        """The number of the span that a vector belongs to."""
        return bisect_right(self._firsts, id) - 1

    def of(self, id: int) -> Span:
        return self._all[self.place(id)]

    def is_searched(self, id: int) -> bool:
        """Whether the index's own model made the vector."""
        span = self.of(id)
        return (span.model, span.dimension) == (self.model, self.dimension)

    def others(self) -> list[tuple[int, int]]:
        """First and last id of each span that another model made than the index's own; the newest has no end."""
        ends = [*(first - 1 for first in self._firsts[1:]), 1 << 62][: len(self._all)]
        both = zip(self._all, ends, strict=True)
        return [(span.first, end) for span, end in both if not self.is_searched(span.first)]

    def dimension_of(self, model: str) -> int:
        """How long the vectors of a model are; 0 for one that made none."""
        if model == self.model:
            return self.dimension
        for span in reversed(self._all):  # a generator that an interrupt leaves behind would speak up later
            if span.model == model:
                return span.dimension
        return 0

    def continued(self, first: int, model: str, dimension: int) -> bool:
        """Whether the newest span goes on with vectors of that model; else there is a new one, from `first` on."""
        if self._all and (self._all[-1].model, self._all[-1].dimension) == (model, dimension):
            return True
        self._all.append(Span(first, model, dimension))
        self._firsts.append(first)
        return False

    def text(self) -> str:
        """The spans as they are stored."""
        return json.dumps([(span.first, span.model, span.dimension) for span in self._all])
