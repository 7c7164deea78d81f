"""Texts to stored vectors, paid for once: what is known is left out, and what arrives is stored at once.

It knows no files and no documents: a text comes with the key of its vector, and is taken when a service has room for
it. Of a dry run it tells what the real one would cost.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import cast

from ragkit.budget import Budget
from ragkit.errors import BudgetExceeded, ConfigError, IndexMismatch, StoreError
from ragkit.forecast import Forecast, Keys
from ragkit.metering import Meter, metered
from ragkit.protocols import BatchEmbedder, Embedder, PreparedEmbedder, StreamEmbedder, WatchedEmbedder, Writer
from ragkit.types import FloatMatrix, FloatVector, IntVector, Preparation, Usage

EMBED_BATCH = 256  # texts given at once to an embedder that takes one batch at a time
COMMIT_CHUNKS = 2048  # a commit at least this often; texts gathered for a service that takes no stream of them
COMMIT_SECONDS = 5.0
# Cosine of two vectors of one text by one model, at least. Services are not exact: the same text in another batch
# differs in the last digits, by far less than this.
SAME = 0.999
WORD_INDEX_SECONDS = 30.0  # during a long run readers see what was committed at least this often

_Texts = Iterator[tuple[bytes, str] | None]  # each with its key; None where the next one is not there yet


def _rows(found: object) -> FloatMatrix:
    """What somebody's own embedder gave, as an array (n, d). Raises StoreError where it cannot be one."""
    import numpy as np  # a dry run needs none

    try:
        rows = np.asarray(found, np.float32)
    except (TypeError, ValueError) as error:
        raise StoreError(f"the embedder gave no rows of numbers: {error}", "return one row for each text") from error
    if rows.ndim != 2:
        raise StoreError(f"the embedder gave an array of shape {rows.shape}", "return one row for each text")
    return cast("FloatMatrix", rows)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Vectors that must be there, by key. `text` makes the n-th one's text, when it is needed."""

    keys: Sequence[bytes]
    text: Callable[[int], str]


class EmbeddingRun:
    """What one run embeds, stores and spends. With `dry_run` nothing is sent and nothing stored.

    With `moving` the vectors are kept beside those of the index's own model, until the index is moved to theirs.
    `arrived` is called after each batch.
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
        self._awaited: set[bytes] = set()  # keys whose vectors are not here yet
        self._foreseen = Keys()  # in a dry run, those that would have been by now
        self._hand: dict[int, bytes] = {}  # the batch that is being stored: its places, with their keys
        self._ending = False  # by an error or an interrupt
        self._forecast = Forecast()
        self._recognised = False
        self._committed = self._shown = time.monotonic()
        self._uncommitted = 0

    @property
    def lacking(self) -> int:
        """How many of the vectors that were wanted are not here yet."""
        return len(self._foreseen) if self._dry_run else len(self._awaited)

    def lacks(self, key: bytes) -> bool:
        """Whether the vector was wanted and is not here yet."""
        return key in self._awaited

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
            except BaseException as error:
                if self.spent != Usage():
                    error.usage = self.spent  # type: ignore[attr-defined] # Ctrl-C is an exception of Python's own
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
        every = list(texts.values())
        self.embed_all([Wanted(list(texts), every.__getitem__)])

    def embed_all(self, wanted: Iterable[Wanted | None]) -> None:
        """As `embed`, of all that come: they are taken as there is room for them, and None where none is there yet.

        Whatever is raised in taking them ends the run as an error of the service does.
        """
        texts = self._missing(wanted)
        if self._dry_run:
            self._foresee(texts)
        elif isinstance(self._service, StreamEmbedder):
            if first := next((each for each in texts if each), None):
                self._recognise()
                awaited: dict[int, bytes] = {}
                stream = self._numbered(chain([first], texts), awaited)
                self._embed_by(self._service, self._service.embed_stream(stream, budget=self._budget), awaited)
        elif self._service:
            for batch in _gathered(texts, COMMIT_CHUNKS):
                self._recognise()
                batches = self._service.embed_batches(list(batch.values()), budget=self._budget)
                self._embed_by(self._service, batches, dict(enumerate(batch)))
        else:
            for batch in _gathered(texts, EMBED_BATCH):
                self._store(list(batch), _rows(self._embedder.embed_documents(list(batch.values()))))
                self._awaited.difference_update(batch)
                self.commit_if_due(len(batch))
                self._arrived()

    def _missing(self, wanted: Iterable[Wanted | None]) -> _Texts:
        """The texts whose vectors are neither here nor on their way; those of one Wanted are all awaited at once."""
        for each in wanted:
            if each is None:
                yield None
                continue
            places = {key: place for place, key in enumerate(each.keys)}
            stored = self._writer.stored(places)
            missing = [key for key in places if key not in stored and key not in self._awaited]
            if self._dry_run:
                missing = self._foreseen.new(missing)
            else:
                self._awaited.update(missing)
            for key in missing:
                yield key, each.text(places[key])

    def _numbered(self, texts: Iterable[tuple[bytes, str] | None], awaited: dict[int, bytes]) -> Iterator[str | None]:
        """The texts alone; their keys are put among the awaited ones by the texts' places."""
        place = 0
        try:
            for each in texts:
                if each is None:
                    yield None
                else:
                    awaited[place] = each[0]
                    place += 1
                    yield each[1]
        except BaseException:
            self._ending = True  # whoever raised it is not called again
            raise

    def _foresee(self, texts: _Texts) -> None:
        for each in texts:
            if each:
                self.embedded += 1
                if self._service:
                    self._forecast.add([each])
                    self._foresee_canary()

    def know(self, keys: Iterable[bytes]) -> None:
        """In a dry run: take these as embedded."""
        self._foreseen.new(keys)

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

    def _embed_by(
        self, service: BatchEmbedder, batches: Iterator[tuple[IntVector, FloatMatrix]], awaited: dict[int, bytes]
    ) -> None:
        """Store batches as a service sends them; whatever happens meanwhile, what is on its way is stored first.

        `awaited` are keys by the places of their texts. Raises StoreError where the service leaves out a text, or
        repeats one.
        """
        batch: tuple[IntVector, FloatMatrix] | None = None
        try:
            for batch in batches:
                self._take(service, batch, awaited)
                self.commit_if_due()
                if not self._ending:
                    self._arrived()
        except BaseException as error:
            self._ending = True
            if not isinstance(batches, Generator) or self._writer.failed:
                raise
            if batch and not isinstance(error, Exception):  # an interrupt, perhaps in the middle of storing
                awaited.update(self._hand)
                self._take(service, batch, awaited)
            batch = batches.throw(error)  # no new request then; it is raised again after the last batch
            while True:
                self._take(service, batch, awaited)
                batch = next(batches)
        finally:
            if isinstance(batches, Generator):
                batches.close()
        if awaited:
            raise StoreError(
                f"{service.model} sent no vectors for {len(awaited)} texts",
                "run again to embed them; if it persists, check the embedding service",
            )

    def _take(self, service: BatchEmbedder, batch: tuple[IntVector, FloatMatrix], awaited: dict[int, bytes]) -> None:
        """Store and commit a batch: a kill then costs what is on its way, and nothing that is here."""
        places = [int(i) for i in batch[0]]
        hand = {place: awaited[place] for place in places if place in awaited}
        if len(hand) != len(places):
            raise StoreError(
                f"{service.model} sent vectors for the texts {places}, {len(awaited)} others are awaited",
                "check the embedding service: it must send one vector for each text",
            )
        self._hand = hand
        if not self._writer.stored(hand.values()):
            self._store(list(hand.values()), batch[1])
        self._writer.commit()
        for place, key in hand.items():
            del awaited[place]
            self._awaited.discard(key)


def _gathered(texts: _Texts, most: int) -> Iterator[dict[bytes, str]]:
    """The texts by key, that many at a time."""
    batch: dict[bytes, str] = {}
    for each in texts:
        if each:
            batch[each[0]] = each[1]
            if len(batch) == most:
                yield batch
                batch = {}
    if batch:
        yield batch


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
