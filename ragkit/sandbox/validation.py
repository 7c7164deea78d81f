"""What GigaChat's /chat/completions refuses, with the messages it says it with, 422 where nothing else is named."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ragkit.sandbox.call import Call
from ragkit.sandbox.filestore import IMAGE, TEXT, File
from ragkit.sandbox.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLES = ("system", "user", "assistant", "function", "search_result", "function_in_progress")
MOST_IMAGES = 10  # in one request
MOST_CHOICES = 10
_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


def refuse(message: str) -> Refusal:
    return Refusal(422, f"Invalid params: {message}")


def messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages, each checked.

    Raises:
        Refusal: 422.
    """
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise refuse("messages must be a non-empty array")
    for at, message in enumerate(given):
        if not isinstance(message, dict):
            raise refuse(f"messages[{at}] must be an object")
        role = message.get("role")
        if role not in ROLES:
            raise refuse(f"messages[{at}].role must be one of {', '.join(ROLES)}")
        content = message.get("content", "")
        if not isinstance(content, str):
            raise refuse(f"messages[{at}].content must be a string")
        if role == "system" and at:
            raise refuse("system message must be the first message")
        if role == "function" and not _is_object(content):
            raise refuse(f"messages[{at}].content of role function must be a valid JSON object")
        _check_function_call(message.get("function_call"), at)
        for key in ("functions_state_id", "name"):
            if not isinstance(message.get(key, ""), str | None):
                raise refuse(f"messages[{at}].{key} must be a string")
    return given


def numbers(body: dict[str, Any]) -> None:
    """The parameters of sampling and of the stream.

    Raises:
        Refusal: 422.
    """
    _range(body, "temperature", lambda value: value >= 0, "[0, +inf)")
    _range(body, "top_p", lambda value: 0 <= value <= 1, "[0, 1]")
    _range(body, "repetition_penalty", lambda value: value > 0, "(0, +inf)")
    _range(body, "update_interval", lambda value: value >= 0, "[0, +inf)")
    for key, most in (("max_tokens", None), ("n", MOST_CHOICES)):
        value = body.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise refuse(f"{key} must be in range [1, +inf)")
        if value is not None and most is not None and value > most:
            raise refuse(f"{key} must be in range [1, {most}]")
    for key in ("stream", "profanity_check"):
        if not isinstance(body.get(key), bool | None):
            raise refuse(f"{key} must be a boolean")


def functions(body: dict[str, Any]) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """(mode, functions, partial arguments); the mode is none, auto or a function's name.

    Raises:
        Refusal: 422.
    """
    given = body.get("functions") or []
    if not isinstance(given, list):
        raise refuse("functions must be an array")
    for at, function in enumerate(given):
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not _FUNCTION_NAME.fullmatch(name):
            raise refuse(f"functions[{at}].name must consist of Latin letters, digits, _ and -")
        parameters = function.get("parameters")
        if not isinstance(parameters, dict):
            raise refuse(f"functions[{at}].parameters is required and must be an object")
        _check_schema(parameters, "", parameters.get("type", "object"))
    if len({function["name"] for function in given}) < len(given):
        raise refuse("functions must have unique names")
    mode = body.get("function_call", "none")
    if mode is None or mode in ("none", "auto"):
        return mode or "none", given, {}
    if not isinstance(mode, dict) or not isinstance(mode.get("name"), str):
        raise refuse("function_call must be none, auto or an object with name")
    if mode["name"] not in [function["name"] for function in given]:
        raise refuse(f"function_call.name {mode['name']} is not in functions")
    partial = mode.get("partial_arguments") or {}
    if not isinstance(partial, dict):
        raise refuse("function_call.partial_arguments must be an object")
    return mode["name"], given, partial


def attachments(call: Call, given: list[dict[str, Any]], mode: str) -> list[File]:
    """The files of the last question; of several texts only the first, unless functions are automatic.

    Raises:
        Refusal: 404 for an unknown file, 403 for another client's, 422 for too many images.
    """
    assert call.account is not None  # noqa: S101 - the server has just checked the token
    images = 0
    last: list[File] = []
    for at, message in enumerate(given):
        ids = message.get("attachments") or []
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise refuse(f"messages[{at}].attachments must be an array of strings")
        files = [call.state.files.get(one, call.account.client) for one in ids]
        pictures = sum(file.kind == IMAGE for file in files)
        if pictures > 1:
            raise refuse(f"messages[{at}].attachments: only one image per message is allowed")
        images += pictures
        if message["role"] == "user" and files:
            last = files
    if images > MOST_IMAGES:
        raise refuse(f"only {MOST_IMAGES} images per request are allowed, not {images}")
    if mode != "auto":
        texts = [file for file in last if file.kind == TEXT]
        last = [file for file in last if file.kind != TEXT or file is texts[0]]
    return last


def response_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON schema of `response_format`, which is flatter than OpenAI's.

    Raises:
        Refusal: 422.
    """
    given = body.get("response_format")
    if given is None:
        return None
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "text":
        return None
    if kind == "json_schema" and isinstance(given.get("schema"), dict):
        return dict(given["schema"])
    raise refuse("response_format must have type json_schema and schema")


def _check_function_call(given: Any, at: int) -> None:
    if given is None:
        return
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise refuse(f"messages[{at}].function_call must be an object with name")
    if not isinstance(given.get("arguments", {}), dict | None):
        raise refuse(f"messages[{at}].function_call.arguments must be an object")


def _range(body: dict[str, Any], key: str, fits: Any, written: str) -> None:
    value = body.get(key)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
        raise refuse(f"{key} must be in range {written}")


def _is_object(content: str) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except ValueError:
        return False


def _check_schema(schema: dict[str, Any], path: str, kind: Any) -> None:
    if kind == "object" and not isinstance(schema.get("properties"), dict):
        raise refuse(f"Field '{path or 'parameters'}.properties' is missing")
    for name, inner in _parts(schema):
        if isinstance(inner, dict):
            _check_schema(inner, f"{path}.{name}" if path else name, inner.get("type"))


def _parts(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties")
    for name, inner in (properties if isinstance(properties, dict) else {}).items():
        yield f"properties.{name}", inner
    if "items" in schema:
        yield "items", schema["items"]
