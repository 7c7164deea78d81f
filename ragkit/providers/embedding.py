"""The embedder behind a service: batches that it takes, several on their way at once, each text paid for once.

A text that is too long for the model is cut where its lines or words part, and its vector is the mean of the pieces'
vectors, weighted by their lengths. What one batch takes is the affair of `sending`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from ragkit.budget import Budget, Prices
from ragkit.crew import Crew
from ragkit.errors import ConfigError
from ragkit.providers.batches import Limits, batches, in_batches
from ragkit.providers.lengths import estimated_tokens
from ragkit.providers.sending import Count, Order, Send, Sender, Sent
from ragkit.types import Preparation, Usage

if TYPE_CHECKING:
    from ragkit.types import FloatMatrix, FloatVector, IntVector

__all__ = ["Count", "Limits", "RemoteEmbedder", "Send"]

CANARY = "Залог возвращается за тридцать дней. The deposit is returned within thirty days."

# More threads than slots: one decodes an answer while the others wait for theirs. Beside those, one request for each
# slot waits to be sent, for the time that the reader takes to store what came. (benchmarks/embedding.py)
_DECODERS = 2


class RemoteEmbedder:
    """Fills Embedder and BatchEmbedder with a service.

    Args:
        send: one request: model and texts to rows (n, d), and what was billed. The third argument is d, 0 where it
            is not known yet; other rows are a BadResponse. Raises TooLarge, and errors with `usage` where a failure
            was billed. A usage without tokens is a service that does not say.
        model: makes vectors of documents; `query_model` those of queries, where it is another.
        document_prefix: put before each document; part of `model`, for vectors with and without do not compare.
        query_prefix: put before each query.
        dimensions: asked for, where not 0; part of `model` too.
        revision: a word of the user's own for the model behind the name, part of `model` too: a new one makes it
            another model, for services that change theirs without a word.
        count: tokens that each text will be billed, where the service can say; for one request at a time.
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
        revision: str = "",
        limits: Limits = Limits(),  # noqa: B008 - frozen
        prices: Prices = Prices(),
        count: Count | None = None,
    ) -> None:
        self._model = model
        self._query_model = query_model or model
        self._document_prefix = document_prefix
        self._query_prefix = query_prefix
        self._dimensions = dimensions
        self._revision = revision
        self._limits = limits
        self._prices = prices
        self._count = count
        self._sender = Sender(send, model, dimension=dimensions, limits=limits, prices=prices, count=count)

    @property
    def model(self) -> str:
        """The model's id, with what else decides the vectors of documents.

        The service is none of it: two addresses may lead to one model, and a proxy need not cost all vectors anew.
        """
        name = self._model.replace("%", "%25").replace("?", "%3F")
        more = [f"dimensions={self._dimensions}"] if self._dimensions else []
        if self._revision:
            more.append(f"revision={quote(self._revision, safe='')}")
        if self._document_prefix:
            more.append(f"prefix={hashlib.sha256(self._document_prefix.encode()).hexdigest()[:8]}")
        return f"{name}?{'&'.join(more)}" if more else name

    @property
    def canary(self) -> str:
        """Two languages, so that a change of either shows."""
        return CANARY

    @property
    def preparation(self) -> Preparation:
        """What the index keeps beside the name of the model."""
        asked = self._query_model if self._query_model != self._model else ""
        return Preparation(self._document_prefix, self._query_prefix, asked)

    def embed_documents(self, texts: Sequence[str]) -> FloatMatrix:
        """(n, d) float32, row i for text i; (0, 0) for no texts, for the dimension comes with the first vector."""
        found: list[FloatVector] = [np.empty(0, np.float32)] * len(texts)
        for places, rows in self.embed_batches(texts):
            for place, row in zip(places, rows, strict=True):
                found[place] = row
        return np.stack(found) if found else np.empty((0, 0), np.float32)

    def embed_query(self, text: str) -> FloatVector:
        """(d,) float32. Raises ConfigError where a query model of its own makes vectors of another length."""
        sent = self._sender.embed(Order(self._query_model, self._query_prefix), [0], [text])
        sent.spend(unsaid=False)  # whoever asks is told a bill, or none
        if sent.error:
            raise sent.error
        row, dimension = sent.rows[0], self._sender.dimension
        if self._query_model != self._model and dimension not in (0, len(row)):
            raise ConfigError(
                f"{self._query_model} makes vectors of {len(row)} numbers for queries, "
                f"{self._model} makes {dimension} for documents",
                "set a query_model whose vectors can be compared with those of embed_model, or none",
            )
        return row

    def embed_batches(
        self, texts: Sequence[str], *, budget: Budget | None = None
    ) -> Iterator[tuple[IntVector, FloatMatrix]]:
        """As `embed_stream`, of texts that are all there. Raises ConfigError for an empty one: nothing is sent then."""
        for _ in _not_empty(texts):
            pass
        return self.embed_stream(texts, budget=budget)

    def embed_stream(
        self, texts: Iterable[str | None], *, budget: Budget | None = None
    ) -> Generator[tuple[IntVector, FloatMatrix]]:
        """Batches as they arrive: places in `texts`, not counting None, (n,) int64, and rows (n, d) float32.

        Texts are taken as slots need them, a few requests ahead, in the thread that takes the batches: no more than
        two for each slot and two besides wait for it, and would be lost with it. None among them says that there is
        no text yet: what has arrived is handed over, and they are asked again.

        The first error stops new requests, one of `texts` too, and so does an interrupt or whatever is thrown in: what
        is on its way by then is handed over before that is raised. Of a generator that is closed, what was on its way
        is metered, and lost. Raises ConfigError for an empty text.
        """
        order = Order(self._model, self._document_prefix, budget or Budget())
        waiting = batches(_not_empty(texts), self._limits, prefix=order.prefix)
        error: BaseException | None = None
        thrown: BaseException | None = None
        threads = self._limits.slots + _DECODERS
        most = threads + self._limits.slots
        crew: Crew[Sent] = Crew(threads)
        more = True
        try:
            while True:
                try:
                    starved = False
                    while more and not (starved or order.stopped) and len(crew.running) < most:
                        places, batch = next(waiting, (None, []))
                        if places:
                            crew.give(partial(self._sender.embed, order, places, batch))
                        starved, more = not batch, places is not None
                    if not crew.running:
                        if more and not order.stopped:
                            continue
                        break
                    done = crew.done() if starved and more else crew.some_done()
                    rows: dict[int, FloatVector] = {}
                    for job in done:
                        job.result.spend()
                        error = error or job.result.error
                        rows.update(job.result.rows)
                    arrived = _arrays(rows)
                    left = [job for job in crew.running if job not in done]
                    # From here to the yield there is no call and no loop, so no interrupt that could lose a batch.
                    crew.running = left
                    if arrived:
                        yield arrived
                except BaseException as what:
                    order.stopped = True
                    if thrown or isinstance(what, GeneratorExit):
                        raise
                    thrown = what  # what is on its way is paid for: take it in, then stop
                    crew.withdraw()
        finally:
            order.stopped = True
            crew.withdraw()
            while crew.running:  # whoever does not want it any more is billed for it all the same
                for job in crew.some_done():
                    job.result.spend()
                    crew.running.remove(job)
            crew.dismiss()
        if thrown or error:
            raise thrown or error  # type: ignore[misc] # one of them is there

    def count_tokens(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        """What embedding each text would be billed; and whether the service counted, rather than we guessed."""
        prefixed = [self._document_prefix + text for text in texts]
        count = self._count
        if count is None:
            return [estimated_tokens(text) for text in prefixed], False
        return in_batches(prefixed, self._limits, lambda batch: count(self._model, batch)), True

    def price_of(self, tokens: int) -> float:
        """Money for embedding that many tokens."""
        return self._prices.of(Usage(embedding_tokens=tokens))


def _not_empty(texts: Iterable[str | None]) -> Iterator[str | None]:
    """The texts. Raises ConfigError for an empty one."""
    place = 0
    for text in texts:
        if text is not None:
            if not text.strip():
                raise ConfigError(f"text {place} is empty", "leave it out: services refuse empty texts")
            place += 1
        yield text


def _arrays(rows: dict[int, FloatVector]) -> tuple[IntVector, FloatMatrix] | None:
    return (np.array(list(rows), np.int64), np.stack(list(rows.values()))) if rows else None
