"""POST /rerank, as Cohere and Jina write it and as text-embeddings-inference does: shared words are relevance."""

from __future__ import annotations

import re
from typing import Any

from ragkit.sandbox.call import Call
from ragkit.sandbox.wire import Refusal, Reply, json_reply
from ragkit.sandbox.words import count_tokens, stems

MAX_ITEMS = 1000
TEI_MAX_ITEMS = 32  # unless it is started with --max-client-batch-size
_RERANKER = re.compile(r"rerank", re.IGNORECASE)


def rerank(call: Call) -> Reply:
    """Ordered by score; a body with `texts` is answered with a bare list, as TEI does."""
    body = call.request.json()
    query = body.get("query")
    if not isinstance(query, str) or not query.strip():
        raise Refusal(422, "Invalid params: query must be a non-empty string", param="query")
    if "texts" in body:
        texts = _texts(body, "texts", TEI_MAX_ITEMS)
        return json_reply([{"index": place, "score": score} for place, score in _ranked(query, texts)])
    model = body.get("model")
    if not isinstance(model, str) or not _RERANKER.search(model):
        raise Refusal(404, f"The model `{model}` does not exist or does not rank.", code="model_not_found")
    texts = _texts(body, "documents", MAX_ITEMS)
    most = body.get("top_n")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise Refusal(422, "Invalid params: top_n must be a positive integer", param="top_n")
    tokens = sum(count_tokens(query) + count_tokens(text) for text in texts)
    call.state.stats.billed(prompt=tokens)
    results = [{"index": place, "relevance_score": score} for place, score in _ranked(query, texts)[:most]]
    return json_reply({"model": model, "results": results, "usage": {"total_tokens": tokens}})


def _texts(body: dict[str, Any], name: str, most: int) -> list[str]:
    texts = body.get(name)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Refusal(422, f"Invalid params: {name} must be a non-empty array of strings", param=name)
    if len(texts) > most:
        raise Refusal(422, f"batch size {len(texts)} > maximum allowed batch size {most}", param=name)
    return texts


def _ranked(query: str, texts: list[str]) -> list[tuple[int, float]]:
    """(place, score from 0 to 1): the share of the query's stems that a text holds."""
    wanted = stems(query)
    scored = [(place, round(len(wanted & stems(text)) / (len(wanted) or 1), 6)) for place, text in enumerate(texts)]
    return sorted(scored, key=lambda pair: -pair[1])
