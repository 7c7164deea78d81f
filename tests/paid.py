"""An embedder that stands for a service: it counts what it is paid for, answers out of order, and can fail."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from toys import ColourEmbedder

from ragkit.budget import Budget
from ragkit.metering import spend
from ragkit.types import FloatMatrix, FloatVector, IntVector, Usage

BATCH = 16
SLOTS = 4


class PaidEmbedder(ColourEmbedder):
    """Colours, a word for a token, 16 texts a request, four requests at once of which the last answers first.

    Its `dimension` is that of the colours and more. `fails_at` is the number of the request, from 1, that raises
    `error`; `account`, where given, is a file with a line for each text that was paid for.
    """

    def __init__(
        self,
        model: str = "paid/1",
        *,
        dimension: int = 4,
        price: float = 0.0,
        fails_at: int = 0,
        error: BaseException | None = None,
        account: Path | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self._dimension = dimension
        self._price = price
        self._fails_at = fails_at
        self._error = error
        self._account = account
        self.requests = 0
        self.counted: list[str] = []

    def embed_batches(
        self, texts: Sequence[str], *, budget: Budget | None = None
    ) -> Iterator[tuple[IntVector, FloatMatrix]]:
        places = np.arange(len(texts))
        batches = [places[i : i + BATCH] for i in range(0, len(texts), BATCH)]
        for i in range(0, len(batches), SLOTS):
            arrived: list[tuple[IntVector, FloatMatrix]] = []
            error: BaseException | None = None
            try:
                for batch in batches[i : i + SLOTS]:
                    rows = self._request([texts[place] for place in batch], budget)
                    arrived.append((batch, rows))
            except BaseException as failure:  # noqa: BLE001 - raised after what had arrived
                error = failure
            while arrived:
                try:
                    yield arrived.pop()
                except Exception as thrown:  # noqa: BLE001 - likewise
                    error = thrown
                except KeyboardInterrupt as interrupt:
                    error = interrupt
            if error:
                raise error

    def _request(self, texts: list[str], budget: Budget | None) -> FloatMatrix:
        self.requests += 1
        if self.requests == self._fails_at and self._error:
            raise self._error
        tokens = sum(self.count_tokens(texts)[0])
        del self.counted[-len(texts) :]
        if budget:
            budget.reserve(tokens, self.price_of(tokens))
        used = Usage(embedding_tokens=tokens, cost=self.price_of(tokens))
        if budget:
            budget.settle(tokens, self.price_of(tokens), used)
        spend(used)
        if self._account:
            with self._account.open("a", encoding="utf-8") as file:
                file.writelines(" ".join(text.split()) + "\n" for text in texts)
        return self.embed_documents(texts)

    def count_tokens(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        self.counted += texts
        return [len(re.findall(r"\w+", text)) for text in texts], True

    def price_of(self, tokens: int) -> float:
        return tokens * self._price / 1_000_000

    def _vector(self, text: str) -> FloatVector:
        colours = super()._vector(text)
        return np.concatenate([colours, np.zeros(self._dimension - len(colours), np.float32)])


class StreamedEmbedder(PaidEmbedder):
    """The same, and texts are taken as there is room for them: those of four requests at a time."""

    def embed_stream(
        self, texts: Iterable[str | None], *, budget: Budget | None = None
    ) -> Iterator[tuple[IntVector, FloatMatrix]]:
        there = (text for text in texts if text is not None)
        first = 0
        while some := list(islice(there, SLOTS * BATCH)):
            batches = self.embed_batches(some, budget=budget)
            batch = next(batches, None)
            while batch:
                try:
                    yield batch[0] + first, batch[1]
                except BaseException as thrown:  # noqa: BLE001 - raised after what had arrived
                    batch = batches.throw(thrown)  # type: ignore[attr-defined]  # it is a generator
                else:
                    batch = next(batches, None)
            first += len(some)
