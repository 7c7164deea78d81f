"""What becomes of hits after a search: a reranker's order, then as much variety as is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragkit.ranking import varied

if TYPE_CHECKING:
    from ragkit.protocols import Reranker
    from ragkit.types import Hit


@dataclass(frozen=True, slots=True)
class Ordering:
    """Of `candidates` hits the best k.

    `rerank` gives the reranker when it is first needed. `mmr` from 0 to 1 is how much relevance counts against
    variety; 1 leaves the order as it is.
    """

    candidates: int = 50
    rerank: Callable[[], Reranker] | None = None
    mmr: float = 1.0

    def __call__(self, query: str, hits: Sequence[Hit], k: int) -> list[Hit]:
        found = self.rerank()(query, hits) if self.rerank and hits else list(hits)
        return varied(found, k=k, trade=self.mmr) if self.mmr < 1 and found else found[:k]
