"""Texts to stored vectors, paid for once: what is known is left out, and what arrives is stored at once.

It knows no files and no documents: a text comes with the key of its vector. Of a dry run it tells what the real
one would cost.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ragkit.budget import Budget
from ragkit.errors import BudgetExceeded, ConfigError, IndexMismatch, RagkitError, StoreError
from ragkit.forecast import Forecast
from ragkit.metering import Meter, metered
from ragkit.protocols import BatchEmbedder, Embedder, PreparedEmbedder, WatchedEmbedder, Writer
from ragkit.types import FloatMatrix, FloatVector, IntVector, Preparation, Usage

EMBED_BATCH = 256  # texts given at once to an embedder that takes one batch at a time
COMMIT_CHUNKS = 2048  # a commit at least this often; for a service, texts gathered before it is asked
COMMIT_SECONDS = 5.0
# Cosine of two vectors of one text by one model, at least. Services are not exact: the same text in another batch
# differs in the last digits, by far less than this.
SAME = 0.999
WORD_INDEX_SECONDS = 30.0  # during a long run readers see what was committed at least this often


class EmbeddingRun:
    """What one run embeds, stores and spends. With `dry_run` nothing is sent and nothing stored.

    With `moving` the vectors are kept beside those of the index's own model, until the index is moved to theirs.
    `arrived` is called after each batch of a service.
    """

    def __init__(
        self,
        writer: Writer,
        embedder: Embedder,
        *,
        budget: Budget | None = None,
        dry_run: bool = False,
        moving: bool = False,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self.embedded = 0
        self._writer = writer
        self._embedder = embedder
        self._service = embedder if isinstance(embedder, BatchEmbedder) else None
        self._budget = budget
        self._dry_run = dry_run
        self._moving = moving
        self._arrived = arrived
        self._meter = Meter()
        self._unpaid: set[bytes] = set()  # keys that a dry run would have embedded by now
        self._forecast = Forecast()
        self._recognised = False
        self._committed = self._shown = time.monotonic()
        self._uncommitted = 0

    @property
    def gathered(self) -> int:
        """How many texts to wait for before they are embedded: a service with many slots seldom runs dry then."""
        return COMMIT_CHUNKS if self._service else EMBED_BATCH

    @property
    def spent(self) -> Usage:
        """What was billed so far."""
        return self._meter.usage

    def usage(self) -> tuple[Usage, bool]:
        """What was billed, or after a dry run what would be; and whether that is an estimate."""
        if not self._dry_run or not self._service:
            return self.spent, self._meter.estimated
        tokens, estimated = self._forecast.tokens(self._service.count_tokens)
        return Usage(embedding_tokens=tokens, cost=self._service.price_of(tokens)), estimated

    def key(self, text: str) -> bytes:
        return vector_key(self._embedder.model, text)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Meter what the block spends, and commit what it did, also when something stops it.

        An error says in `usage` what the whole run was billed.
        """
        with metered() as self._meter:
            try:
                with self._committing():
                    yield
            except RagkitError as error:
                if self.spent != Usage():
                    error.usage = self.spent
                raise

    @contextmanager
    def _committing(self) -> Iterator[None]:
        try:
            yield
        except BudgetExceeded as error:
            if not self.embedded:
                raise
            raise BudgetExceeded(
                f"stopped at the limit after {self.embedded} chunks, which are embedded and kept: {error.message}",
                "run again to embed the rest: a limit is for one run, and nothing is paid for twice",
            ) from error
        finally:
            if not self._writer.failed:
                self._writer.commit()

    def embed(self, texts: Mapping[bytes, str]) -> None:
        """Store a vector under each key that has none yet. Where an error ends it, what had arrived is stored."""
        stored = self._writer.stored(texts)
        missing = [key for key in texts if key not in stored and key not in self._unpaid]
        if self._dry_run:
            self.embedded += len(missing)
            self._unpaid.update(missing)
            if self._service and missing:
                self._forecast.add((key, texts[key]) for key in missing)
                self._foresee_canary()
        elif self._service and missing:
            self._recognise()
            self._embed_by(self._service, missing, [texts[key] for key in missing])
        else:
            for i in range(0, len(missing), EMBED_BATCH):
                keys = missing[i : i + EMBED_BATCH]
                self._store(keys, self._embedder.embed_documents([texts[key] for key in keys]))
                self.commit_if_due(len(keys))

    def know(self, keys: Iterable[bytes]) -> None:
        """In a dry run: take these as embedded."""
        self._unpaid.update(keys)

    def commit_if_due(self, rows: int = 0) -> None:
        self._uncommitted += rows
        now = time.monotonic()
        if self._uncommitted >= COMMIT_CHUNKS or now - self._committed > COMMIT_SECONDS:
            self._writer.commit()
            self._uncommitted, self._committed = 0, now
        if now - self._shown > WORD_INDEX_SECONDS:
            self._writer.commit()
            self._writer.publish()
            self._shown = time.monotonic()

    def _recognise(self) -> None:
        """Ask for the vector of one short text before the first ones of a run, and compare it with the kept one.

        A service may exchange its model behind the name, and vectors of two models do not compare. It takes one
        small request, which is billed; searches do not ask. Raises IndexMismatch before anything is stored.
        """
        service, model = self._embedder, self._embedder.model
        if self._recognised or not isinstance(service, WatchedEmbedder):
            return
        text, kept = self._writer.canary(model) or (service.canary, None)
        now = self._vector_of(service, text)
        if kept is None:
            self._writer.keep_canary(model, text, now)
        elif _nearness(kept, now) < SAME:
            now = self._vector_of(service, text)  # one answer alone may be somebody else's
            if (nearness := _nearness(kept, now)) < SAME:
                raise IndexMismatch(
                    f"the service answers as {model} with another model than the one that made this index: a text that "
                    f"was {len(kept)} numbers is {len(now)} now, and their cosine is {nearness:.4f}, below {SAME}",
                    "set embed_revision to a new word (RAGKIT_EMBED_REVISION=2), and move the index: "
                    "ragkit index --reembed; searches find less until then",
                )
        self._recognised = True

    def _vector_of(self, service: BatchEmbedder, text: str) -> FloatVector:
        [(_, rows)] = service.embed_batches([text], budget=self._budget)
        row: FloatVector = rows[0]
        return row

    def _foresee_canary(self) -> None:
        if isinstance(self._embedder, WatchedEmbedder) and not self._recognised:
            text, _ = self._writer.canary(self._embedder.model) or (self._embedder.canary, None)
            self._forecast.add([(self.key(text), text)])
            self._recognised = True

    def _store(self, keys: Sequence[bytes], vectors: FloatMatrix) -> None:
        if self._moving:
            self._writer.add_vectors(keys, vectors, model=self._embedder.model)
        else:
            self._writer.set_model(self._embedder.model, vectors.shape[1], preparation_of(self._embedder))
            self._writer.add_vectors(keys, vectors)
        self.embedded += len(keys)

    def _embed_by(self, service: BatchEmbedder, keys: Sequence[bytes], texts: Sequence[str]) -> None:
        """Store batches as a service sends them; whatever happens meanwhile, what is on its way is stored first.

        Raises StoreError where the service leaves out a text, or repeats one.
        """
        awaited = set(range(len(keys)))
        batches = service.embed_batches(texts, budget=self._budget)
        batch: tuple[IntVector, FloatMatrix] | None = None
        try:
            for batch in batches:
                self._take(service, batch, keys, awaited)
                self.commit_if_due()
                self._arrived()
        except BaseException as error:
            if not isinstance(batches, Generator) or self._writer.failed:
                raise
            if batch and not isinstance(error, Exception):  # an interrupt, perhaps in the middle of storing
                awaited.update(int(place) for place in batch[0])
                self._take(service, batch, keys, awaited)
            batch = batches.throw(error)  # no new request then; it is raised again after the last batch
            while True:
                self._take(service, batch, keys, awaited)
                batch = next(batches)
        finally:
            if isinstance(batches, Generator):
                batches.close()
        if awaited:
            raise StoreError(
                f"{service.model} sent no vectors for {len(awaited)} of {len(keys)} texts",
                "run again to embed them; if it persists, check the embedding service",
            )

    def _take(
        self,
        service: BatchEmbedder,
        batch: tuple[IntVector, FloatMatrix],
        keys: Sequence[bytes],
        awaited: set[int],
    ) -> None:
        """Store and commit a batch: a kill then costs what is on its way, and nothing that is here."""
        places = [int(i) for i in batch[0]]
        if len(set(places) & awaited) != len(places):
            raise StoreError(
                f"{service.model} sent vectors for the texts {places}, {len(awaited)} others are awaited",
                "check the embedding service: it must send one vector for each text",
            )
        named = [keys[i] for i in places]
        if not self._writer.stored(named):
            self._store(named, batch[1])
        awaited.difference_update(places)
        self._writer.commit()


def preparation_of(embedder: Embedder) -> Preparation:
    """None, unless the embedder says so."""
    return embedder.preparation if isinstance(embedder, PreparedEmbedder) else Preparation()


def _nearness(left: FloatVector, right: FloatVector) -> float:
    """Cosine of two vectors; 0 where they cannot be compared."""
    if left.shape != right.shape:
        return 0.0
    lengths = float(left @ left) * float(right @ right)
    return float(left @ right) / math.sqrt(lengths) if lengths else 0.0


def vector_key(model: str, text: str) -> bytes:
    """The name of the vector that a model makes of a text: sha256, 32 bytes."""
    return hashlib.sha256(f"{model}\0{text}".encode()).digest()


def budget_for(embedder: Embedder, max_tokens: int | None, max_cost: float | None) -> Budget | None:
    """The limits of one run; None without any.

    Raises ConfigError for a limit on money where no price is known, and for one below zero.
    """
    for name, limit in (("max_tokens", max_tokens), ("max_cost", max_cost)):
        if limit is not None and not limit >= 0:
            raise ConfigError(f"{name} is {limit}", "give 0 or more, or leave it out for no limit")
    if max_cost is not None and not (isinstance(embedder, BatchEmbedder) and embedder.price_of(1_000_000)):
        raise ConfigError(
            f"max_cost is {max_cost}, but no price of {embedder.model} is known",
            "set embed_price to the price of a million tokens, or give max_tokens",
        )
    return None if max_tokens is None and max_cost is None else Budget(max_tokens=max_tokens, max_cost=max_cost)
