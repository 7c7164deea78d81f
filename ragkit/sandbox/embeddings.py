"""POST /embeddings in both dialects, with the faults that bend the list of vectors."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from ragkit.sandbox import models
from ragkit.sandbox.call import Call
from ragkit.sandbox.vectors import as_json, embed, turn
from ragkit.sandbox.wire import Refusal, Reply, to_json
from ragkit.sandbox.words import count_tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXTRA_TOKENS = 5  # the embedder counts so many more than /tokens/count, measured in recorded replies
OPENAI_MAX_ITEMS = 2048
OPENAI_MAX_TOKENS = 300_000  # in one request


def gigachat(call: Call) -> Reply:
    """GigaChat's embeddings: usage in each item, none at the top; vectors are not normalised."""
    body = call.request.json()
    model = body.get("model", "Embeddings")
    if not isinstance(model, str):
        raise Refusal(422, "Invalid params: model must be a string")
    found = models.embedder(model)
    if found is None:
        raise Refusal(404, "No such model")
    dimension, limit = found
    texts = _texts(body, status=422)
    if len(texts) > call.state.limits.max_items:
        raise Refusal(413, "Payload too large")
    counts = [count_tokens(text) + EXTRA_TOKENS for text in texts]
    for index, tokens in enumerate(counts):
        if tokens > limit:
            raise Refusal(413, f"Tokens limit exceeded for index {index}: {tokens} (max {limit})")
    if call.has_fault("413-index"):
        raise Refusal(413, _named(call))
    call.state.stats.billed(embedding=sum(counts), items=len(texts))
    items = []
    with turn:
        for index, text in enumerate(texts):
            vector = embed(text, _dimension(call, dimension), seed=call.state.seed)
            items.append((index, _number_list(call, index, vector), counts[index]))
    rendered = [_item(call, *item, own_usage=True) for item in _bent(call, items)]
    tail = b',"model":' + to_json(model) + b"}"
    return Reply(body=b'{"object":"list","data":[' + b",".join(rendered) + b"]" + tail)


def openai(call: Call) -> Reply:
    """OpenAI's embeddings: float or base64, `dimensions`, normalised vectors, usage at the top."""
    body = call.request.json()
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "you must provide a model parameter")
    found = models.openai_embedder(model)
    if found is None:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise Refusal(404, message, code="model_not_found")
    dimension, limit = found
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise Refusal(400, f"Invalid encoding_format: {encoding!r}, expected float or base64", param="encoding_format")
    wanted = _wanted_dimension(body, model, dimension)
    texts = _texts(body, status=400)
    counts = [count_tokens(text) for text in texts]
    _check_openai_limits(counts, limit)
    if call.has_fault("413-index"):
        raise Refusal(413, _named(call))
    call.state.stats.billed(embedding=sum(counts), items=len(texts))
    items = []
    with turn:
        for index, text in enumerate(texts):
            vector = embed(text, dimension, seed=call.state.seed, length=1.0)[: _dimension(call, wanted)]
            unit = vector.astype(np.float32)
            unit /= float(np.linalg.norm(unit)) or 1.0
            items.append((index, _number_list(call, index, unit, as_base64=encoding == "base64"), counts[index]))
    data = b",".join(_item(call, *item, own_usage=False) for item in _bent(call, items))
    usage = to_json({"prompt_tokens": sum(counts), "total_tokens": sum(counts)})
    tail = b',"model":' + to_json(model) + (b"" if call.has_fault("no-usage") else b',"usage":' + usage) + b"}"
    return Reply(body=b'{"object":"list","data":[' + data + b"]" + tail)


def _texts(body: dict[str, Any], *, status: int) -> list[str]:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise Refusal(status, "Invalid params: input must be a string or a non-empty array of strings", param="input")
    if status != 422 and all(isinstance(number, int) for number in texts):  # one text as token ids
        texts = [texts]
    if status != 422:  # OpenAI takes token ids; they are words here
        texts = [" ".join(map(str, text)) if isinstance(text, list) else text for text in texts]
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise Refusal(status, f"Invalid params: input[{index}] must be a string", param="input")
        if not text.strip():
            raise Refusal(status, f"Invalid params: input[{index}] must not be empty", param="input")
    return texts


def _wanted_dimension(body: dict[str, Any], model: str, dimension: int) -> int:
    wanted = body.get("dimensions")
    if wanted is None:
        return dimension
    if not model.startswith("text-embedding-3"):
        raise Refusal(400, "This model does not support specifying dimensions.", param="dimensions")
    if not isinstance(wanted, int) or not 0 < wanted <= dimension:
        message = f"Invalid value for 'dimensions' = {wanted}. Must be between 1 and {dimension}."
        raise Refusal(400, message, param="dimensions")
    return wanted


def _check_openai_limits(counts: list[int], limit: int) -> None:
    if len(counts) > OPENAI_MAX_ITEMS:
        raise Refusal(400, f"'input' array must be {OPENAI_MAX_ITEMS} dimensions or less, it has {len(counts)}.")
    longest = max(counts)
    if longest > limit:
        message = (
            f"This model's maximum context length is {limit} tokens, however you requested {longest} tokens. "
            "Please reduce your prompt."
        )
        raise Refusal(400, message, param="input")
    if sum(counts) > OPENAI_MAX_TOKENS:
        message = f"Requested {sum(counts)} tokens, max {OPENAI_MAX_TOKENS} tokens per request"
        raise Refusal(400, message, code="max_tokens_per_request")


def _named(call: Call) -> str:
    fault = call.fault
    assert fault is not None  # noqa: S101 - the caller has just seen it
    return f"Tokens limit exceeded for index {fault['index']:.0f}: {fault['tokens']:.0f} (max {fault['max']:.0f})"


def _dimension(call: Call, dimension: int) -> int:
    fault = call.fault
    return int(fault["dimension"]) if fault is not None and fault.name == "wrong-dimension" else dimension


def _number_list(call: Call, at: int, vector: NDArray[Any], *, as_base64: bool = False) -> bytes:
    """One vector as JSON, with the faults that touch its numbers."""
    if at == 0 and call.has_fault("zero-vector"):
        vector = np.zeros_like(vector)
    if at == 0 and call.has_fault("nan"):
        vector = vector.copy()
        vector[0] = np.nan
    if as_base64 or call.has_fault("base64"):
        return b'"' + base64.b64encode(vector.astype("<f4").tobytes()) + b'"'
    if vector.dtype == np.float16 and not call.has_fault("nan"):
        return as_json(vector)
    return ("[" + ",".join(map(_written, vector.tolist())) + "]").encode()


def _written(number: float) -> str:
    return "NaN" if number != number else f"{number:.9g}"  # true of NaN alone; 9 digits keep float32


def _bent(call: Call, items: list[tuple[int, bytes, int]]) -> list[tuple[int, bytes, int]]:
    """The list of items, with the faults that touch the list."""
    if call.has_fault("shuffled"):
        return items[1::2] + items[0::2]
    if call.has_fault("missing-item"):
        return items[:-1]
    if call.has_fault("extra-item"):
        return [*items, (len(items), *items[-1][1:])]
    if call.has_fault("duplicate-index"):
        return [(0, *item[1:]) for item in items]
    return items


def _item(call: Call, index: int, vector: bytes, tokens: int, *, own_usage: bool) -> bytes:
    place = b"" if call.has_fault("no-index") else b',"index":%d' % index
    usage = b',"usage":{"prompt_tokens":%d}' % tokens if own_usage and not call.has_fault("no-usage") else b""
    return b'{"object":"embedding"' + place + b',"embedding":' + vector + usage + b"}"
