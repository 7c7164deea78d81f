"""A query and texts to the body of a rerank request, and its reply to one score for each text.

No standard says how: most servers write as Cohere and Jina do, Voyage and text-embeddings-inference (TEI) in words of
their own. A reply comes ordered by score, so a number that is missing or stands twice would put a score to another
text in silence: it is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ragkit.errors import BadResponse, ConfigError
from ragkit.providers.wire.requests import check_model, check_text
from ragkit.providers.wire.shapes import as_object, billed, items, kind, number, whole
from ragkit.types import Usage


class Style(NamedTuple):
    """Names of the fields of a request; empty ones are not sent."""

    texts: str = "documents"
    most: str = "top_n"
    model: str = "model"
    more: tuple[tuple[str, Any], ...] = ()


STYLES = {
    "cohere": Style(),  # Jina, vLLM, llama.cpp, SiliconFlow and the gateways of OpenAI's dialect too
    "voyage": Style(most="top_k"),
    # It serves one model and refuses a text that is too long unless it is told to cut.
    "tei": Style(texts="texts", most="", model="", more=(("truncate", True),)),
}


def body(model: str, query: str, texts: Sequence[str], *, style: str = "cohere") -> dict[str, Any]:
    """The body of a request for a score of every text: some servers give the best few unless asked for more.

    Raises ConfigError for what a service would refuse: an empty text or query, no model where one is named.
    """
    if style not in STYLES:
        raise ConfigError(f"no rerank request is written as {style!r}", f"choose one of: {', '.join(STYLES)}")
    names = STYLES[style]
    if names.model:
        check_model(model)
    if not texts:
        raise ConfigError("there are no texts to rank", "pass at least one")
    for what, text in (("the query", query), *((f"text {place}", text) for place, text in enumerate(texts))):
        check_text(text, what)
        if not text.strip():
            raise ConfigError(f"{what} is empty", "leave out what has no words")
    made: dict[str, Any] = {names.model: model} if names.model else {}
    made |= {"query": query, names.texts: list(texts)}
    if names.most:
        made[names.most] = len(texts)
    return made | dict(names.more)


def scores(reply: object, *, count: int) -> tuple[list[float], Usage]:
    """A score for each text in the order of the request, higher is better, and what the ranking cost.

    The scale is the service's own: from 0 to 1, or any number of a model. Raises BadResponse, with the usage of the
    reply, that says which rule was broken.
    """
    usage = _usage(reply)
    with billed(usage):
        return _scores(reply, count), usage


def _scores(reply: object, count: int) -> list[float]:
    name = "data" if isinstance(reply, Mapping) and "results" not in reply and "data" in reply else "results"
    found = [as_object(item, f"an entry of `{name}`") for item in items(reply, name, "the reply")]
    if len(found) != count:
        raise BadResponse(f"{count} texts were sent and {len(found)} scores came back")
    ordered: list[float | None] = [None] * count
    for item in found:
        place = item.get("index")
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < count:
            raise BadResponse(f"a score has the index {place!r:.40}, with {count} texts sent")
        if ordered[place] is not None:
            raise BadResponse(f"two scores have the index {place}")
        ordered[place] = _score(item, place, count)
    return [score for score in ordered if score is not None]


def _score(item: Mapping[str, Any], place: int, count: int) -> float:
    value = item.get("relevance_score", item.get("score"))
    found = number(value)
    if found is not None:
        return found
    what = "missing" if value is None else "NaN, or too large" if isinstance(value, int | float) else kind(value)
    what = kind(value) if isinstance(value, bool) else what
    raise BadResponse(f"the score of text {place} of {count} is {what}, it must be a finite number")


def _usage(reply: object) -> Usage:
    """Tokens that were read, where the reply says: in `usage`, or in `meta` as Cohere has it."""
    fields = reply if isinstance(reply, Mapping) else {}
    meta = fields.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    for place in (fields.get("usage"), meta.get("tokens"), meta.get("billed_units")):
        if isinstance(place, Mapping):
            for name in ("prompt_tokens", "input_tokens", "total_tokens"):
                if tokens := whole(place.get(name)):
                    return Usage(prompt_tokens=tokens)
    return Usage()
