"""Texts to the body of an embeddings request, and its reply to a matrix in which every row is the right one.

Replies break in silence: rows in another order, one missing, base64 where numbers were asked, zeros, text for
numbers. Each of these is found here, and a wrong row never gets further.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ragkit.errors import BadResponse, ConfigError
from ragkit.providers.wire.requests import check_model, check_text
from ragkit.providers.wire.shapes import as_object, billed, items, kind, whole
from ragkit.types import FloatMatrix, Usage

SHORTEST = 1e-6  # a row below this length has no direction that means anything
LONGEST = 1e18  # above it the squares of a row no longer fit into float32


def body(
    model: str,
    texts: Sequence[str],
    *,
    encoding_format: str | None = None,
    dimensions: int | None = None,
    single: bool = False,
) -> dict[str, Any]:
    """The body of a request. `single` sends the one text bare, for servers that take no list.

    Raises ConfigError for an empty text, which many servers answer by refusing the whole request.
    """
    check_model(model)
    if not texts:
        raise ConfigError("there are no texts to embed", "pass at least one")
    for place, text in enumerate(texts):
        check_text(text, f"text {place}")
        if not text.strip():
            raise ConfigError(f"text {place} of {len(texts)} is empty", "leave out what has no words")
    if single and len(texts) != 1:
        raise ConfigError(f"{len(texts)} texts for a service that takes one at a time", "set its batch size to 1")
    made: dict[str, Any] = {"model": model, "input": texts[0] if single else list(texts)}
    if encoding_format is not None:
        made["encoding_format"] = encoding_format
    if dimensions is not None:
        made["dimensions"] = dimensions
    return made


def vectors(reply: object, *, count: int, dimension: int | None = None) -> tuple[FloatMatrix, Usage]:
    """((count, d) float32, what it cost). Row i belongs to text i of the request, whatever the order of the reply.

    Rows are finite and longer than nothing, and not normalised. Raises BadResponse that says which rule was broken,
    with the usage of the reply.
    """
    with billed(_usage(reply)):
        return _rows(reply, count, dimension), _usage(reply)


def _rows(reply: object, count: int, dimension: int | None) -> FloatMatrix:
    data = [as_object(item, "an entry of `data`") for item in items(reply, "data", "the reply")]
    if len(data) != count:
        raise BadResponse(f"{count} texts were sent and {len(data)} vectors came back")
    data = _in_order(data)
    wide = _numbers([item.get("embedding") for item in data])  # (count, d), mostly float64
    if dimension is not None and wide.shape[1] != dimension:
        raise BadResponse(
            f"the vectors have {wide.shape[1]} numbers, {dimension} were expected",
            "another model answers under this name, or `dimensions` is not what it takes",
        )
    return _checked(wide)


def _in_order(data: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Entries by their index, or as they came where no index says anything: none at all, or zero everywhere."""
    indices = [item.get("index") for item in data]
    if all(index is None for index in indices) or all(index == 0 and index is not False for index in indices):
        return data
    ordered: list[Mapping[str, Any] | None] = [None] * len(data)
    for item, index in zip(data, indices, strict=True):
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(data):
            raise BadResponse(f"a vector has the index {index!r:.40}, with {len(data)} texts sent")
        if ordered[index] is not None:
            raise BadResponse(f"two vectors have the index {index}")
        ordered[index] = item
    return [item for item in ordered if item is not None]


def _numbers(rows: list[Any]) -> np.ndarray[tuple[int, int], np.dtype[Any]]:
    """(n, d) of any numeric type. No loop over single numbers: a request has tens of thousands of them."""
    for place, row in enumerate(rows):
        if isinstance(row, str):
            rows[place] = _decoded(row, place, len(rows))
        elif not isinstance(row, list):
            raise BadResponse(f"the vector of {_text(place, rows)} is {kind(row)}, it must be a list of numbers")
    widths = sorted({len(row) for row in rows})
    if len(widths) > 1:
        raise BadResponse(f"the vectors have different lengths: {', '.join(map(str, widths))}")
    try:
        matrix = np.array(rows)
    except (ValueError, OverflowError):  # lists inside some of the lists
        matrix = np.array([], dtype=object)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu" or _has_booleans(rows, matrix):
        raise BadResponse(_strange(rows))
    if not matrix.shape[1]:
        raise BadResponse("the vectors have no numbers in them")
    return matrix


def _has_booleans(rows: list[Any], matrix: np.ndarray[Any, Any]) -> bool:
    """Among other numbers numpy takes true for 1: only where a 1 or a 0 stands exactly is it worth a look."""
    suspects = np.flatnonzero(((matrix == 1) | (matrix == 0)).any(axis=1))
    return any(isinstance(rows[place], list) and bool in set(map(type, rows[place])) for place in suspects)


def _strange(rows: list[Any]) -> str:
    for place, row in enumerate(rows):
        for value in row:
            if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
                return f"the vector of {_text(place, rows)} holds {kind(value)}, it must hold numbers only"
    return "the vectors hold numbers that are too large"


def _decoded(encoded: str, place: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """(d,) float32 of base64, little-endian: what some servers send unasked."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or len(data) % 4:
        raise BadResponse(f"the vector of text {place} of {count} is a text that is no base64 of float32 numbers")
    return np.frombuffer(data, dtype="<f4")


def _checked(wide: np.ndarray[tuple[int, int], np.dtype[Any]]) -> FloatMatrix:
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found in the next line
        lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide, dtype=np.float64))  # (n,)
    bad = np.flatnonzero(~((lengths > SHORTEST) & (lengths < LONGEST)))  # NaN compares as false, so it is found too
    if bad.size:
        place = int(bad[0])
        finite = bool(np.isfinite(wide[place]).all())
        what = "holds NaN or infinity" if not finite else "is zero" if lengths[place] <= SHORTEST else "is too large"
        raise BadResponse(
            f"the vector of {_text(place, wide)} {what}",
            "the service embedded nothing there; try another text or model",
        )
    return wide.astype(np.float32, copy=False)


def _text(place: int, rows: Sequence[Any] | np.ndarray[Any, Any]) -> str:
    return f"text {place} of {len(rows)}"


def _usage(reply: object) -> Usage:
    """Tokens of the whole request: at the top of the reply, or with each vector, or nowhere."""
    data = reply.get("data") if isinstance(reply, Mapping) else reply
    each = data if isinstance(data, list) else []
    return Usage(embedding_tokens=_tokens(reply) or sum(_tokens(item) for item in each))


def _tokens(fields: object) -> int:
    usage = fields.get("usage") if isinstance(fields, Mapping) else None
    if not isinstance(usage, Mapping):
        return 0
    return whole(usage.get("prompt_tokens")) or whole(usage.get("total_tokens"))
