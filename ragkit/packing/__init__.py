"""What of the hits goes into a prompt: as much as fits into its tokens, merged, whole, each thing once.

It chooses spans of documents and lets others count; it knows nothing of models, and reads no files itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TypeAlias

from ragkit.packing.sameness import Wording
from ragkit.packing.spans import Text
from ragkit.prompts import Passage, harmless, numbered_source
from ragkit.ranking import coverage
from ragkit.types import Chunk, Document, Hit

__all__ = ["Dropped", "Packed", "pack"]

Count: TypeAlias = Callable[[Sequence[str]], tuple[list[int], bool]]
Chosen: TypeAlias = "tuple[int, str, int, int]"  # rank of the best hit, source, start, end

NO_ROOM = "there was no room for it"
CHANGED = "its document has changed since it was found"
MARGIN = 1.2  # by which estimates are enlarged; no service's own tokenizer was compared with them
_MARKS = "5f1d9c07e3b82a46d04c7b91fa6e3825"  # a nonce like those of requests: its marks are counted
_LEAST = 16  # tokens of a sentence that is worth being cut off
_MOST_CHARACTERS = 8  # of one token, on average: what is longer cannot fit, and is not counted
_SAFE = 0.9  # of the characters that should fit, where a sentence is cut off


@dataclass(frozen=True, slots=True)
class Dropped:
    """A hit that is in no passage, and why: no room, or a passage before says the same."""

    hit: Hit
    reason: str

    @property
    def source(self) -> str:
        return self.hit.chunk.source

    @property
    def page(self) -> int | None:
        return self.hit.chunk.page

    def __str__(self) -> str:
        return f"{_place(self.hit.chunk)} was left out: {self.reason}"


@dataclass(frozen=True, slots=True)
class Packed:
    """Passages in the order of their best hits, and what was left out, in the order of the hits.

    `tokens` is what the passages have with their headers and marks, a few more or less; `counted` says that a
    service counted them. Estimates have their margin of a fifth already.
    """

    passages: tuple[Passage, ...]
    dropped: tuple[Dropped, ...]
    tokens: int
    counted: bool

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The first is source [1]; its chunk is the whole passage."""
        return tuple(passage.hit for passage in self.passages)


def pack(
    hits: Sequence[Hit],
    *,
    budget: int,
    count: Count,
    document: Callable[[str], Document],
    parents: bool = False,
    question: str = "",
) -> Packed:
    """As many of the hits as fit into `budget` tokens, as passages for `prompts.grounded`.

    - Best first. What does not fit is named in `dropped`; a smaller one behind it may still fit. No hit is cut but the
      first: one that is too long by itself keeps the whole sentences and rows around its best one, and says so.
    - Passages of a document that overlap, or have only white space between them, become one.
    - What adds nothing to a passage before it is dropped; see `sameness`.
    - A passage that begins inside a table comes with the table's first row. With the room that is left, tables of
      which a part was found are completed; with `parents`, passages then grow to the smallest section around them.

    Args:
        hits: best first.
        count: tokens of each text, and whether a service counted them. Called once, and once more for a first hit
            that is too long; never with empty texts.
        document: a hit's document as it is indexed. Called once for each source.
        question: tells which sentence of a first hit that is too long is its best; without it, its first.
    """
    texts: dict[str, Text] = {}
    for hit in hits:
        if hit.chunk.source not in texts:
            texts[hit.chunk.source] = Text(document(hit.chunk.source))
    packing = _Packing(hits, texts, budget, count, parents)
    packing.choose(question)
    packing.widen()
    return packing.packed()


class _Packing:
    """The spans that were chosen, and what any choice costs.

    Tokens are counted for the pieces between all borders that a choice may have, so that a choice costs a sum, and
    one call of `count` is enough.
    """

    def __init__(self, hits: Sequence[Hit], texts: dict[str, Text], budget: int, count: Count, parents: bool) -> None:
        self._hits = hits
        self._texts = texts
        self._budget = budget
        self._count = count
        self._chosen: list[Chosen] = []
        self._dropped: list[Dropped] = []
        self._short: int | None = None  # what the first hit costs, where it alone is taken and shortened
        self._counted = True
        self._usable = [texts[hit.chunk.source].text[hit.chunk.start : hit.chunk.end] == hit.chunk.text for hit in hits]
        self._tables = [self._around(rank, Text.tables) for rank in range(len(hits))]
        self._sections = [self._around(rank, _section) if parents else [] for rank in range(len(hits))]
        spans = list(self._possible())
        self._borders = {
            source: sorted({border for _, there, *ends in spans if there == source for border in ends})
            for source in texts
        }
        self._pieces = {
            (source, start, end): harmless(texts[source].text[start:end]).strip()
            for source, borders in self._borders.items()
            for start, end in pairwise(borders)
            if any(there == source and a <= start and end <= b for _, there, a, b in spans)
        }
        self._heads = {(source, start): texts[source].head(start) for _, source, start, _ in spans}
        self._headers = [self._header(rank) for rank in range(len(hits))]
        self._tokens = self._counts([*self._headers, *self._heads.values(), *self._pieces.values()])

    def choose(self, question: str) -> None:
        """Take hits, best first."""
        wordings = [Wording(hit.chunk.text) for hit in self._hits]
        for rank, hit in enumerate(self._hits):
            here = self._whole(rank)
            if not self._usable[rank]:
                self._dropped.append(Dropped(hit, CHANGED))
            elif same := self._same(here, wordings):
                self._dropped.append(Dropped(hit, f"{_place(same)} says the same"))
            elif self._short is None and self._cost([*self._chosen, here]) <= self._budget:
                self._chosen.append(here)
            elif rank > 0 or not self._shorten(hit.chunk, question):
                self._dropped.append(Dropped(hit, NO_ROOM))

    def widen(self) -> None:
        """Use the room that is left: complete tables, then sections."""
        if self._short is not None:
            return
        for wider in (self._tables, self._sections):
            for place in range(len(self._chosen)):
                for start, end in wider[self._chosen[place][0]]:
                    rank, source, a, b = self._chosen[place]
                    tried = [*self._chosen]
                    tried[place] = rank, source, min(a, start), max(b, end)
                    if self._cost(tried) <= self._budget:
                        self._chosen = tried

    def packed(self) -> Packed:
        passages = tuple(map(self._passage, self._merged(self._chosen)))
        tokens = self._cost(self._chosen) if self._short is None else self._short
        return Packed(passages, tuple(self._dropped), tokens, self._counted)

    # -- spans

    def _whole(self, rank: int) -> Chosen:
        chunk = self._hits[rank].chunk
        return rank, chunk.source, chunk.start, chunk.end

    def _around(self, rank: int, wider: Callable[[Text, int, int], list[tuple[int, int]]]) -> list[tuple[int, int]]:
        """What the hit may grow to; nothing that cannot fit."""
        _, source, start, end = self._whole(rank)
        spans = wider(self._texts[source], start, end) if self._usable[rank] else []
        return [(a, b) for a, b in spans if max(b, end) - min(a, start) <= self._budget * _MOST_CHARACTERS]

    def _possible(self) -> Iterator[Chosen]:
        """Every span that may be chosen; what grows twice is the sum of two of them."""
        for rank in range(len(self._hits)):
            if self._usable[rank]:
                yield (whole := self._whole(rank))
                for start, end in (*self._tables[rank], *self._sections[rank]):
                    yield rank, whole[1], start, end

    def _merged(self, chosen: Iterable[Chosen]) -> list[Chosen]:
        """Passages: spans that touch are one, in the place of the best of them."""
        merged: list[Chosen] = []
        for rank, source, start, end in sorted(chosen, key=lambda each: each[1:]):
            if merged and merged[-1][1] == source and self._texts[source].touch(merged[-1][3], start):
                best, _, first, last = merged[-1]
                merged[-1] = min(best, rank), source, first, max(last, end)
            else:
                merged.append((rank, source, start, end))
        return sorted(merged)

    def _same(self, here: Chosen, wordings: Sequence[Wording]) -> Chunk | None:
        """The chosen hit that says what this one says; not one that it would be merged with."""
        for there in self._chosen:
            other = self._whole(there[0])
            if wordings[other[0]].says(wordings[here[0]]) and len(self._merged([other, here])) == 2:
                return self._hits[other[0]].chunk
        return None

    def _shorten(self, chunk: Chunk, question: str) -> bool:
        """Choose what fits of the first hit; False where not even a part of a sentence does."""
        text = self._texts[chunk.source]
        units = text.units(chunk.start, chunk.end)
        heads = [text.head(start) for start, _ in units]
        tokens = self._counts([*heads, *(harmless(text.text[start:end]) for start, end in units)])
        sums = [0, *accumulate(tokens[harmless(text.text[start:end])] for start, end in units)]
        header = self._tokens[self._headers[0]]

        def cost(first: int, last: int) -> int:
            return header + tokens[heads[first]] + sums[last] - sums[first]

        best = max(range(len(units)), key=lambda i: (coverage(question, text.text[slice(*units[i])], {}), -i))
        first, last = best, best + 1
        if cost(first, last) > self._budget:
            return self._cut(text, units[best], self._budget - cost(first, first), sums[last] - sums[first])
        while True:
            before = first, last
            if last < len(units) and cost(first, last + 1) <= self._budget:
                last += 1
            if first > 0 and cost(first - 1, last) <= self._budget:
                first -= 1
            if (first, last) == before:
                break
        self._chosen.append((0, chunk.source, units[first][0], units[last - 1][1]))
        self._short = cost(first, last)
        return True

    def _cut(self, text: Text, unit: tuple[int, int], room: int, tokens: int) -> bool:
        """Choose the beginning of a sentence that is too long by itself, up to a white space."""
        start, end = unit
        limit = start + int((end - start) * room / tokens * _SAFE)
        stop = max((text.text.rfind(space, start, limit) for space in " \n\t"), default=-1)
        if room < _LEAST:
            return False
        self._chosen.append((0, text.document.source, start, stop if stop > start else limit))
        self._short = self._budget
        return True

    # -- tokens

    def _counts(self, texts: Iterable[str]) -> dict[str, int]:
        """The tokens of each text, in one call; of an empty one 0."""
        wanted = [text for text in dict.fromkeys(texts) if text]
        counts, counted = self._count(wanted) if wanted else ([], True)
        self._counted &= counted
        margin = 1 if counted else MARGIN
        return {"": 0, **{text: math.ceil(n * margin) for text, n in zip(wanted, counts, strict=True)}}

    def _cost(self, chosen: Iterable[Chosen]) -> int:
        return sum(
            self._tokens[self._headers[rank]]
            + self._tokens[self._heads[source, start]]
            + sum(
                self._tokens[piece]
                for a, b in pairwise(self._borders[source])
                if start <= a and b <= end and (piece := self._pieces.get((source, a, b)))
            )
            for rank, source, start, end in self._merged(chosen)
        )

    def _header(self, rank: int) -> str:
        """All of a source but its text."""
        hit = self._hits[rank]
        empty = replace(hit, chunk=replace(hit.chunk, text=""))
        return numbered_source(rank + 1, Passage(empty, self._texts[hit.chunk.source].document.title), "ru", _MARKS)

    # -- passages

    def _passage(self, chosen: Chosen) -> Passage:
        rank, source, start, end = chosen
        text, hit = self._texts[source], self._hits[rank]
        begins = (each.chunk for each, usable in zip(self._hits, self._usable, strict=True) if usable)
        same = next((begin for begin in begins if (begin.source, begin.start) == (source, start)), None)
        chunk = replace(same, end=end, text=text.text[start:end]) if same else text.chunk(start, end)
        shortened = self._short is not None and (start, end) != (hit.chunk.start, hit.chunk.end)
        return Passage(replace(hit, chunk=chunk), text.document.title, text.head(start), text.last_page(end), shortened)


def _section(text: Text, start: int, end: int) -> list[tuple[int, int]]:
    found = text.section(start, end)
    return [found] if found else []


def _place(chunk: Chunk) -> str:
    return f"{chunk.source}, page {chunk.page}" if chunk.page is not None else f"{chunk.source}, line {chunk.line}"
