"""Hits in another order: what reads question and passage together judges better than what found them.

Each filling takes a query and hits and gives the same hits again, best first; it loses none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ragkit.types import Hit


def reordered(hits: Sequence[Hit], scores: Mapping[int, float]) -> list[Hit]:
    """The hits by new scores, which become `score` and `scores["rerank"]`. Equal ones stay in the order they had.

    Hits without a new score come after the others, in the order they had, with the lowest score that was given.

    Args:
        scores: by place in `hits`.
    """
    places = sorted(range(len(hits)), key=lambda place: -scores[place] if place in scores else float("inf"))
    lowest = min(scores.values(), default=0.0)
    return [
        replace(hits[place], score=scores[place], scores={**hits[place].scores, "rerank": scores[place]})
        if place in scores
        else replace(hits[place], score=lowest)
        for place in places
    ]


def beginning(text: str, longest: int) -> str:
    """As much of a text as a reranker is shown: whole words, at most `longest` characters."""
    if len(text) <= longest:
        return text
    end = max(text.rfind(mark, longest // 2, longest + 1) for mark in " \n\t")
    return text[: end if end > 0 else longest]
