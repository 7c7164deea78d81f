"""Counted tokens and what is left of those that were paid for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ragkit.errors import BadResponse, ConfigError
from ragkit.messages import Balance, TokenCount
from ragkit.providers.wire.requests import check_model, check_text
from ragkit.providers.wire.shapes import MOST, as_object, items, kind, number, text


def body(model: str, texts: Sequence[str]) -> dict[str, Any]:
    """The body of a request that counts."""
    check_model(model)
    if not texts:
        raise ConfigError("there are no texts to count", "pass at least one")
    for place, one in enumerate(texts):
        check_text(one, f"text {place}")
    return {"model": model, "input": list(texts)}


def counts(reply: object, *, count: int) -> list[TokenCount]:
    """The length of each of `count` texts, in their order; the service sends a bare list."""
    found = [as_object(item, "a count of tokens") for item in items(reply, "data", "the reply")]
    if len(found) != count:
        raise BadResponse(f"{count} texts were sent and {len(found)} counts came back")
    return [TokenCount(_number(item, "tokens"), _number(item, "characters")) for item in found]


def _number(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadResponse(f"`{name}` of a count is {kind(value)}")
    if not 0 <= value <= MOST:
        raise BadResponse(f"`{name}` of a count is {'below zero' if value < 0 else 'no number of tokens'}")
    return value


def balance(reply: object) -> list[Balance]:
    """What is left on the account, an entry for each kind of token."""
    return [_balance(item) for item in items(reply, "balance", "the reply")]


def _balance(item: object) -> Balance:
    fields = as_object(item, "an entry of the balance")
    value = number(fields.get("value"))
    if value is None:
        raise BadResponse(f"`value` of the balance is {kind(fields.get('value'))}, it must be a number of tokens")
    return Balance(text(fields, "usage"), value)
