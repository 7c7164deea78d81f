"""The small routes of GigaChat: models, tokens, balance, conversion of functions, checks of text."""

from __future__ import annotations

import json
from typing import Any

from ragkit.sandbox import models
from ragkit.sandbox.call import Call
from ragkit.sandbox.wire import Refusal, Reply, json_reply
from ragkit.sandbox.words import count_tokens, words

BALANCE = {"GigaChat": 1_000_000, "GigaChat-Pro": 500_000, "GigaChat-Max": 250_000, "embeddings": 10_000_000}
_METHODS = ("get", "post", "put", "patch", "delete")


def list_models(_: Call) -> Reply:
    return json_reply({"object": "list", "data": models.listed()})


def show_model(call: Call) -> Reply:
    """GET /models/{id}."""
    found = models.described(call.argument)
    if found is None:
        raise Refusal(404, "No such model")
    return json_reply(found)


def count(call: Call) -> Reply:
    """POST /tokens/count: a bare array, in the order of the input."""
    body = call.request.json()
    texts = body.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal(422, "Invalid params: input must be an array of strings")
    model = body.get("model")
    if not isinstance(model, str) or models.described(model) is None:
        raise Refusal(404, "No such model")
    return json_reply([{"object": "tokens", "tokens": count_tokens(text), "characters": len(text)} for text in texts])


def balance(call: Call) -> Reply:
    """GET /balance; contracts that pay as they go are refused."""
    if not call.state.limits.balance:
        raise Refusal(403, "Permission denied")
    return json_reply({"balance": [{"usage": usage, "value": value} for usage, value in BALANCE.items()]})


def convert(call: Call) -> Reply:
    """POST /functions/convert: the operations of an OpenAPI document, in JSON, as functions."""
    try:
        document = json.loads(call.request.body)
        paths = document["paths"]
        functions = [
            _function(path, method, operation)
            for path, operations in paths.items()
            for method, operation in operations.items()
            if method in _METHODS
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(400, "Bad request: the body must be an OpenAPI document in JSON") from error
    return json_reply({"functions": functions})


def check_ai(call: Call) -> Reply:
    """POST /ai/check: every text is a person's here."""
    text = call.request.json().get("input")
    if not isinstance(text, str):
        raise Refusal(422, "Invalid params: input must be a string")
    return json_reply({"category": "human", "characters": len(text), "tokens": count_tokens(text), "ai_intervals": []})


def check_filter(call: Call) -> Reply:
    """POST /filter/check: nothing is profane here."""
    text = str(call.request.json().get("input", ""))
    return json_reply({"is_profane": False, "usage": {"filter_tokens": count_tokens(text)}})


def _function(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for parameter in operation.get("parameters", []):
        schema = {"type": "string", **parameter.get("schema", {})}
        properties[parameter["name"]] = {**schema, "description": parameter.get("description", "")}
        if parameter.get("required"):
            required.append(parameter["name"])
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    properties |= body.get("properties", {})
    required += body.get("required", [])
    return {
        "name": operation.get("operationId") or "_".join([method, *words(path)]),
        "description": operation.get("description") or operation.get("summary") or "",
        "parameters": {"type": "object", "properties": properties, "required": required},
    }
