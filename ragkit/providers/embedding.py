"""The embedder behind a service: batches that it takes, several on their way at once, each text paid for once.

A text that is too long for the model is cut where its words part, and its vector is the mean of the pieces'
vectors, weighted by their lengths. It knows nothing of the net: `send` does one request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ragkit.budget import Budget, Prices
from ragkit.errors import BadResponse, ConfigError, RagkitError, TooLarge
from ragkit.metering import spend
from ragkit.providers.lengths import estimated_tokens
from ragkit.types import Usage

if TYPE_CHECKING:
    from ragkit.types import FloatMatrix, FloatVector, IntVector

Send = Callable[[str, Sequence[str], int], "tuple[FloatMatrix, Usage]"]
Count = Callable[[str, Sequence[str]], list[int]]

# More threads than slots: one decodes an answer while the others wait for theirs. (benchmarks/embedding.py)
_DECODERS = 2
_DOUBT = 1.25  # an estimate may be this much too low
_SHORTEST = 16  # characters: a piece that small is not too long, whatever the service says


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold: texts, bytes of JSON, estimated tokens; and how many requests go at once."""

    items: int = 64
    bytes: int = 1_000_000
    tokens: int = 250_000
    slots: int = 1


@dataclass(slots=True)
class _Sent:
    """What came of one batch: rows by place, what was billed, and the error that stopped it."""

    rows: dict[int, FloatVector] = field(default_factory=dict)
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    error: BaseException | None = None


class RemoteEmbedder:
    """Fills Embedder and BatchEmbedder with a service.

    Args:
        send: one request: model and texts to rows (n, d), and what was billed. The third argument is d, 0 where it
            is not known yet; other rows are a BadResponse. Raises TooLarge.
        model: makes vectors of documents; `query_model` those of queries, where it is another.
        document_prefix: put before each document; part of `model`, for vectors with and without do not compare.
        query_prefix: put before each query.
        dimensions: asked for, where not 0; part of `model` too.
        count: tokens that each text will be billed, where the service can say.
    """

    def __init__(
        self,
        send: Send,
        model: str,
        *,
        query_model: str = "",
        document_prefix: str = "",
        query_prefix: str = "",
        dimensions: int = 0,
        limits: Limits = Limits(),
        prices: Prices = Prices(),
        count: Count | None = None,
    ) -> None:
        self._send = send
        self._model = model
        self._query_model = query_model or model
        self._document_prefix = document_prefix
        self._query_prefix = query_prefix
        self._dimensions = dimensions
        self._limits = limits
        self._prices = prices
        self._count = count
        self._dimension = dimensions  # or that of the first vector

    @property
    def model(self) -> str:
        """The model's id, with what else decides the vectors of documents."""
        name = self._model
        if self._dimensions:
            name += f"/{self._dimensions}"
        if self._document_prefix:
            name += f"+prefix-{hashlib.sha256(self._document_prefix.encode()).hexdigest()[:8]}"
        return name

    def embed_documents(self, texts: Sequence[str]) -> FloatMatrix:
        """(n, d) float32, row i for text i; (0, 0) for no texts, for the dimension comes with the first vector."""
        found: list[FloatVector] = [np.empty(0, np.float32)] * len(texts)
        for places, rows in self.embed_batches(texts):
            for place, row in zip(places, rows, strict=True):
                found[place] = row
        return np.stack(found) if found else np.empty((0, 0), np.float32)

    def embed_query(self, text: str) -> FloatVector:
        """(d,) float32."""
        sent = self._embed(self._query_model, [0], [self._query_prefix + text], Budget())
        spend(sent.usage)
        if sent.error:
            raise sent.error
        return sent.rows[0]

    def embed_batches(
        self, texts: Sequence[str], *, budget: Budget | None = None
    ) -> Iterator[tuple[IntVector, FloatMatrix]]:
        """Batches as they arrive: places in `texts` (n,) int64, rows (n, d) float32.

        The first error stops new requests; what was on its way by then is handed over before it is raised.
        Raises ConfigError for an empty text before anything is sent.
        """
        empty = next((place for place, text in enumerate(texts) if not text.strip()), None)
        if empty is not None:
            raise ConfigError(f"text {empty} of {len(texts)} is empty", "leave it out: services refuse empty texts")
        waiting = self._batches([self._document_prefix + text for text in texts])
        budget = budget or Budget()
        error: BaseException | None = None
        threads = self._limits.slots + _DECODERS
        with ThreadPoolExecutor(threads, "ragkit-embed") as pool:
            sending: set[Future[_Sent]] = set()
            while True:
                try:
                    while error is None and len(sending) < threads and (batch := next(waiting, None)):
                        sending.add(pool.submit(self._embed, self._model, *batch, budget))
                    if not sending:
                        break
                    done, sending = wait(sending, return_when=FIRST_COMPLETED)
                except KeyboardInterrupt as interrupt:  # what is on its way is paid for: take it in, then stop
                    if error:
                        raise
                    error = interrupt
                    continue
                for sent in (future.result() for future in done):
                    spend(sent.usage)
                    error = error or sent.error
                    if sent.rows:
                        yield np.array(list(sent.rows), np.int64), np.stack(list(sent.rows.values()))
        if error:
            raise error

    def count_tokens(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        """What embedding each text would be billed; and whether the service counted, rather than we guessed."""
        prefixed = [self._document_prefix + text for text in texts]
        if self._count is None:
            return [estimated_tokens(text) for text in prefixed], False
        counts: list[int] = []
        for places, batch in self._batches(prefixed):
            found = self._count(self._model, batch)
            if len(found) != len(places):
                raise BadResponse(f"tokens of {len(places)} texts were asked for, {len(found)} came")
            counts += found
        return counts, True

    def price_of(self, tokens: int) -> float:
        """Money for embedding that many tokens."""
        return self._prices.of(Usage(embedding_tokens=tokens))

    # -- one request after another, in a thread of the pool

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
        """Places and texts of one request after another, in order."""
        places: list[int] = []
        size = tokens = 0
        for place, text in enumerate(texts):
            more, length = len(json.dumps(text, ensure_ascii=False).encode()) + 1, estimated_tokens(text)
            if places and (
                len(places) >= self._limits.items
                or size + more > self._limits.bytes
                or tokens + length > self._limits.tokens
            ):
                yield places, [texts[i] for i in places]
                places, size, tokens = [], 0, 0
            places.append(place)
            size, tokens = size + more, tokens + length
        if places:
            yield places, [texts[i] for i in places]

    def _embed(self, model: str, places: Sequence[int], texts: Sequence[str], budget: Budget) -> _Sent:
        """One batch, in as many requests as it takes; where one fails, with what the others brought."""
        sent = _Sent()
        todo = [(list(places), list(texts))]
        try:
            while todo:
                now, batch = todo.pop()
                try:
                    found = self._request(model, batch, budget, sent)
                except TooLarge as error:
                    if len(now) > 1 and error.index is None:
                        half = len(now) // 2
                        todo += [(now[half:], batch[half:]), (now[:half], batch[:half])]
                        continue
                    at = error.index if error.index is not None and error.index < len(now) else 0
                    sent.rows[now[at]] = self._in_pieces(model, batch[at], error, budget, sent)
                    if len(now) > 1:
                        todo.append((now[:at] + now[at + 1 :], batch[:at] + batch[at + 1 :]))
                    continue
                sent.rows.update(zip(now, found, strict=True))
        except RagkitError as error:
            sent.error = error
        return sent

    def _request(self, model: str, texts: list[str], budget: Budget, sent: _Sent) -> FloatMatrix:
        """Reserve, send, settle: what a request may cost is held before it goes out."""
        tokens = sum(self._billed(model, texts)) if budget.limited else 0
        cost = self.price_of(tokens)
        budget.reserve(tokens, cost)
        used = Usage()
        try:
            rows, usage = self._send(model, texts, self._dimension)
            used = replace(usage, cost=self._prices.of(usage))
        finally:
            budget.settle(tokens, cost, used)
        sent.usage += used
        self._dimension = self._dimension or rows.shape[1]
        return rows

    def _billed(self, model: str, texts: list[str]) -> list[int]:
        if self._count is not None:
            return self._count(model, texts)
        return [round(estimated_tokens(text) * _DOUBT) for text in texts]

    def _in_pieces(self, model: str, text: str, error: TooLarge, budget: Budget, sent: _Sent) -> FloatVector:
        """The mean direction of a text's pieces. Raises the error where pieces can be no smaller."""
        pieces = _pieces(text, _parts(error))
        if len(pieces) < 2:
            raise error
        rows = []
        for piece in pieces:
            part = self._embed(model, [0], [piece], budget)
            sent.usage += part.usage
            if part.error:
                raise part.error
            rows.append(part.rows[0] / np.linalg.norm(part.rows[0]))
        return np.average(rows, axis=0, weights=[len(piece) for piece in pieces]).astype(np.float32)


def _parts(error: TooLarge) -> int:
    """Into how many pieces: as many as the service's own count says, two where it says nothing."""
    if error.tokens and error.limit:
        return max(2, -(-error.tokens // max(1, int(error.limit * 0.9))))
    return 2


def _pieces(text: str, parts: int) -> list[str]:
    """About equal pieces that end where words do; fewer where the text is too short for that."""
    size = max(_SHORTEST, -(-len(text) // parts))
    pieces = []
    while len(text) > size:
        cut = text.rfind(" ", size // 2, size + 1)
        cut = cut if cut > 0 else size
        pieces.append(text[:cut])
        text = text[cut:]
    return [piece for piece in (*pieces, text) if piece.strip()]
