"""What every chat request is checked for before it is sent, whatever the dialect: options, functions, schemas."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ragkit.errors import ConfigError
from ragkit.messages import ChatOptions, Forced, Function, FunctionChoice, Json, Message

ROLES = ("system", "user", "assistant", "function")
OURS = ("model", "messages", "stream")  # fields of a request that `extra` may not take over
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SCHEMAS_BY_NAME = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")


def check_model(model: str) -> None:
    if not model:
        raise ConfigError("no model is named", "name one: --model, RAGKIT_CHAT_MODEL or ChatOptions(model=...)")


def check_messages(messages: Sequence[Message]) -> None:
    """Raises ConfigError for what no service takes; the dialect adds its own rules."""
    if not messages:
        raise ConfigError("there are no messages to answer", "pass at least one message with the role user")
    for place, message in enumerate(messages):
        if message.role not in ROLES:
            raise ConfigError(f"message {place} has the role {message.role!r}", f"roles are {', '.join(ROLES)}")
        check_text(message.content, f"message {place}")
        if message.role == "function":
            _check_result(message, place)


def check_text(text: object, where: str) -> None:
    """Raises ConfigError for what cannot be written as UTF-8."""
    if not isinstance(text, str):
        raise ConfigError(f"{where} is of type {type(text).__name__}", "it must be a text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{where} has a half of a character at {error.start}: {text[error.start]!r}",
            'replace it, for instance by text.encode(errors="replace").decode()',
        ) from None


def _check_result(message: Message, place: int) -> None:
    try:
        found = json.loads(message.content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigError(
            f"message {place} has the role function, and its content is no JSON object: {message.content[:80]!r}",
            'write the result of a function as an object, {"result": ...}',
        )


def check_options(options: ChatOptions) -> None:
    """Raises ConfigError where a value is outside the range that the service documents."""
    _number("temperature", options.temperature, least=0.0)
    _number("top_p", options.top_p, least=0.0, most=1.0)
    _number("repetition_penalty", options.repetition_penalty, above=0.0)
    _number("update_interval", options.update_interval, least=0.0)
    for name, value in (("max_tokens", options.max_tokens), ("n", options.n)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ConfigError(f"{name} is {value!r}", f"{name} is a whole number from 1")
    for name in OURS:
        if name in options.extra:
            raise ConfigError(f"extra names {name!r}, which is set from elsewhere", f"leave {name!r} out of extra")


def _number(
    name: str, value: float | None, *, least: float = -math.inf, most: float = math.inf, above: float = -math.inf
) -> None:
    if value is None:
        return
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or not least <= value <= most or value <= above:
        lower = f"above {above:g}" if above > -math.inf else f"from {least:g}"
        upper = f" to {most:g}" if most < math.inf else ""
        raise ConfigError(f"{name} is {value!r}", f"{name} is a number {lower}{upper}")


def check_functions(functions: Sequence[Function], function_call: FunctionChoice) -> None:
    """Raises ConfigError for names that services refuse and for a forced function that is not described."""
    seen: set[str] = set()
    for function in functions:
        if not _NAME.fullmatch(function.name):
            raise ConfigError(
                f"a function is called {function.name!r}",
                "name it with Latin letters, digits, _ and -, and no digit first",
            )
        if function.name in seen:
            raise ConfigError(f"two functions are called {function.name!r}", "give each a name of its own")
        seen.add(function.name)
        if function.parameters.get("type", "object") != "object":
            raise ConfigError(
                f"the parameters of {function.name!r} are of type {function.parameters['type']!r}",
                'describe them by a JSON Schema of type "object"',
            )
        for example in function.few_shot_examples:
            if not isinstance(example.get("request"), str) or not isinstance(example.get("params"), Mapping):
                raise ConfigError(
                    f"an example of {function.name!r} is {dict(example)!r}",
                    'an example is {"request": what a user says, "params": the arguments that follow}',
                )
    if isinstance(function_call, Forced):
        if function_call.name not in seen:
            raise ConfigError(
                f"the function {function_call.name!r} is forced and not described",
                f"described are {', '.join(sorted(seen)) or 'none'}",
            )
    elif function_call not in ("none", "auto"):
        raise ConfigError(f"function_call is {function_call!r}", 'it is "none", "auto" or Forced(name)')


def object_schema(schema: Json) -> dict[str, Any]:
    """The schema of an object, with `type` and, here and in all below, `properties`: services refuse one without."""
    return _with_properties({"type": "object", **schema})


def _with_properties(schema: Json) -> dict[str, Any]:
    made = dict(schema)
    for name in _SCHEMAS_BY_NAME:
        if isinstance(found := made.get(name), Mapping):
            made[name] = {key: _schema(value) for key, value in found.items()}
    for name in _SCHEMA_LISTS:
        if isinstance(found := made.get(name), list | tuple):
            made[name] = [_schema(value) for value in found]
    for name in _SCHEMAS:
        if name in made:
            made[name] = _schema(made[name])
    kind = made.get("type")
    if kind == "object" or (isinstance(kind, list | tuple) and "object" in kind):
        made.setdefault("properties", {})
    return made


def _schema(value: Any) -> Any:
    return _with_properties(value) if isinstance(value, Mapping) else value


def answer_schema(response_format: Json) -> tuple[str, dict[str, Any] | None, bool | None]:
    """(name, schema, strict) of a `response_format`, the schema None where it asks for no particular one.

    Three ways of writing are understood: GigaChat's {"type": "json_schema", "schema", "strict"}, OpenAI's with these
    inside "json_schema", and a bare schema of an object.
    """
    if response_format.get("type") == "object":
        return "answer", object_schema(response_format), None
    if response_format.get("type") != "json_schema":
        return "", None, None
    inner = response_format.get("json_schema", response_format)
    if not isinstance(inner, Mapping) or not isinstance(inner.get("schema"), Mapping):
        raise ConfigError(
            f"response_format has no schema: {dict(response_format)!r}",
            'write {"type": "json_schema", "schema": {...}, "strict": true}',
        )
    strict = inner.get("strict")
    return str(inner.get("name") or "answer"), _with_properties(inner["schema"]), strict
