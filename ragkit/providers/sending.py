"""Batches of texts to vectors, one request after another: what is too long is cut, what is paid for is accounted for.

It knows nothing of the net: `send` does one request. Several threads may use one Sender.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ragkit.budget import Budget, Prices
from ragkit.errors import BadResponse, BudgetExceeded, ConnectionFailed, RagkitError, TooLarge
from ragkit.metering import Meter, spend
from ragkit.providers.batches import Limits, in_batches
from ragkit.providers.lengths import estimated_tokens
from ragkit.providers.pieces import pieces
from ragkit.providers.stopping import Stopped, unless
from ragkit.types import Usage

if TYPE_CHECKING:
    from ragkit.types import FloatMatrix, FloatVector

Send = Callable[[str, Sequence[str], int], "tuple[FloatMatrix, Usage]"]
Count = Callable[[str, Sequence[str]], list[int]]

_DOUBT = 1.25  # an estimate may be this much too low, until a bill shows that it is more
_MARKS = 2  # tokens that a service may add to each text, for its beginning and its end


@dataclass(slots=True)
class Order:
    """What all requests of one call have in common. Once it is `stopped` no new one is sent."""

    model: str
    prefix: str = ""
    budget: Budget = field(default_factory=Budget)
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class _Hold:
    """What is reserved for one request; `estimated` tokens before all doubt, 0 where the service counted."""

    tokens: int = 0
    cost: float = 0.0
    estimated: int = 0


@dataclass(slots=True)
class Sent:
    """What came of one batch: rows by place, what was billed, or about what where nobody says, and the error."""

    rows: dict[int, FloatVector] = field(default_factory=dict)
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    unsaid: Usage = Usage()  # noqa: RUF009 - frozen
    error: BaseException | None = None

    _told: list[Meter] = field(default_factory=list)

    def spend(self, *, unsaid: bool = True) -> None:
        """Meter it in the thread of the caller: once, also where that is interrupted and it is called again."""
        guess = self.unsaid if unsaid else Usage()
        spend(self.usage + guess, estimated=guess != Usage(), told=self._told)


class Sender:
    """One service for one model of documents, and one of queries.

    `dimension` is the length of the vectors of `model`, learned from the first one where it is 0.
    """

    def __init__(
        self, send: Send, model: str, *, dimension: int, limits: Limits, prices: Prices, count: Count | None
    ) -> None:
        self._known = {model: dimension} if dimension else {}
        self._send = send
        self._model = model
        self._limits = limits
        self._prices = prices
        self._count = count
        self._doubt = _DOUBT
        self._kept: dict[tuple[str, str], FloatVector] = {}  # pieces of texts that are not whole yet

    @property
    def dimension(self) -> int:
        return self._known.get(self._model, 0)

    def embed(self, order: Order, places: Sequence[int], texts: Sequence[str]) -> Sent:
        """One batch, in as many requests as it takes; where one fails, with what the others brought."""
        sent = Sent()
        todo = [(list(places), list(texts))]
        try:
            with unless(lambda: order.stopped):
                while todo and not order.stopped:
                    now, batch = todo.pop()
                    try:
                        found = self._request(order, [order.prefix + text for text in batch], sent)
                    except BudgetExceeded:
                        if len(now) == 1:
                            raise
                        todo += _halves(now, batch)  # what there is room for is done
                        continue
                    except TooLarge as error:
                        at = error.index if error.index is not None and 0 <= error.index < len(now) else None
                        if at is None and len(now) > 1:
                            todo += _halves(now, batch)
                            continue
                        at = at or 0
                        sent.rows[now[at]] = self._in_pieces(order, batch[at], error, sent)
                        if len(now) > 1:
                            todo.append((now[:at] + now[at + 1 :], batch[:at] + batch[at + 1 :]))
                        continue
                    sent.rows.update(zip(now, found, strict=True))
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised in the thread of the caller
            order.stopped = True
            sent.error = error
        return sent

    def _request(self, order: Order, texts: list[str], sent: Sent) -> FloatMatrix:
        """Reserve, send, settle: what a request may cost is held before it goes out."""
        [hold] = self._holds(order, [texts])
        order.budget.reserve(hold.tokens, hold.cost)
        return self._exchange(order, texts, hold, sent)

    def _holds(self, order: Order, requests: list[list[str]]) -> list[_Hold]:
        """What to reserve for each request; nothing where nothing is limited."""
        if not order.budget.limited:
            return [_Hold() for _ in requests]
        count = self._count
        if count is None:
            guesses = [sum(estimated_tokens(text) + _MARKS for text in texts) for texts in requests]
            tokens = [math.ceil(guess * self._doubt) for guess in guesses]
        else:
            guesses = [0] * len(requests)
            every = [text for texts in requests for text in texts]
            counted = iter(in_batches(every, self._limits, lambda batch: count(order.model, batch)))
            tokens = [sum(next(counted) for _ in texts) for texts in requests]
        costs = [self._prices.of(Usage(embedding_tokens=n)) for n in tokens]
        return [_Hold(*each) for each in zip(tokens, costs, guesses, strict=True)]

    def _exchange(self, order: Order, texts: list[str], hold: _Hold, sent: Sent) -> FloatMatrix:
        """Send what is reserved, and settle it with what was billed; where nobody says, with what was reserved.

        A refusal costs nothing. Garbled answers and broken connections may have been billed.
        """
        used, ours = Usage(), order.model == self._model
        try:
            rows, usage = self._send(order.model, texts, self.dimension if ours else 0)
            used = self._billed(usage, hold, sent)
            if not used.total_tokens:
                sent.unsaid += self._priced(Usage(embedding_tokens=sum(map(estimated_tokens, texts))))
                used = Usage(embedding_tokens=hold.tokens, cost=hold.cost)
        except RagkitError as error:
            used = self._billed(error.usage or Usage(), hold, sent)
            if not used.total_tokens and isinstance(error, BadResponse | ConnectionFailed):
                used = Usage(embedding_tokens=hold.tokens, cost=hold.cost)
            raise
        finally:
            order.budget.settle(hold.tokens, hold.cost, used)
        # Several requests were on their way before the first answer; one of their threads is the first here.
        if ours and rows.shape[1] != self._known.setdefault(self._model, rows.shape[1]):
            raise BadResponse(
                f"{order.model} makes vectors of {self.dimension} numbers, and now of {rows.shape[1]}",
                "run again; where it stays so, several models answer under one name",
            )
        return rows

    def _billed(self, usage: Usage, hold: _Hold, sent: Sent) -> Usage:
        """The usage with its price, noted; a bill above the estimate makes the next ones more careful."""
        usage = self._priced(usage)
        sent.usage += usage
        if hold.estimated:
            self._doubt = max(self._doubt, usage.total_tokens / hold.estimated)
        return usage

    def _priced(self, usage: Usage) -> Usage:
        return replace(usage, cost=self._prices.of(usage))

    def _in_pieces(self, order: Order, text: str, error: TooLarge, sent: Sent) -> FloatVector:
        """The mean direction of a text's pieces, each with the prefix. Raises the error where they can be no smaller.

        Half a text has no vector, so its pieces go together: all of them are reserved before the first is sent, and
        what stops other requests does not stop these. Where one of them fails for good, the others are kept for as
        long as this embedder lives, and no longer: the next program pays for them again.
        """
        if order.stopped:
            raise Stopped
        rows: list[tuple[str, FloatVector]] = []
        with unless(lambda: False):
            todo = self._reserved(order, _cut(text, error))
            try:
                while todo:
                    piece, hold, row = todo.pop()
                    if row is None:
                        try:
                            [row] = self._exchange(order, [order.prefix + piece], hold, sent)
                        except TooLarge as again:
                            todo += self._reserved(order, _cut(piece, again), begun=bool(rows))
                            continue
                        self._kept[order.model, order.prefix + piece] = row
                    rows.append((piece, row / np.linalg.norm(row)))
            finally:
                for _, hold, _ in todo:
                    order.budget.settle(hold.tokens, hold.cost, Usage())
        for piece, _ in rows:
            self._kept.pop((order.model, order.prefix + piece), None)
        mean = np.average([row for _, row in rows], axis=0, weights=[len(piece) for piece, _ in rows])
        return mean.astype(np.float32)

    def _reserved(
        self, order: Order, cut: list[str], *, begun: bool = False
    ) -> list[tuple[str, _Hold, FloatVector | None]]:
        """Pieces, the first one last, with what is reserved for each or its row where it is kept: all of them, or none.

        Of a text that is `begun` the others are paid for, so these go in any case, past the limit by their prefixes.
        """
        rows = [self._kept.get((order.model, order.prefix + piece)) for piece in cut]
        lacking = [[order.prefix + piece] for piece, row in zip(cut, rows, strict=True) if row is None]
        some = self._holds(order, lacking)
        tokens, cost = sum(hold.tokens for hold in some), sum(hold.cost for hold in some)
        if begun:
            order.budget.settle(0, 0.0, Usage(embedding_tokens=tokens, cost=cost))
        else:
            order.budget.reserve(tokens, cost)
        holds = iter(some)
        each = [(piece, next(holds) if row is None else _Hold(), row) for piece, row in zip(cut, rows, strict=True)]
        return each[::-1]


def _cut(text: str, error: TooLarge) -> list[str]:
    """As many pieces as the service's own count asks for, or two. Raises the error for a text that is too short."""
    parts = 2
    if error.tokens and error.limit:
        parts = max(2, -(-error.tokens // max(1, int(error.limit * 0.9))))
    cut = pieces(text, parts)
    if len(cut) < 2:
        raise error
    return cut


def _halves(places: list[int], texts: list[str]) -> list[tuple[list[int], list[str]]]:
    """Two batches for one; the first is the last, for the end of a list is taken first."""
    half = len(places) // 2
    return [(places[half:], texts[half:]), (places[:half], texts[:half])]
