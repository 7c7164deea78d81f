"""A call that a model asks for: its arguments checked, the function run, the result made into a JSON object."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from ragkit.errors import ConfigError
from ragkit.functions.description import annotations_of, is_needed, parameters_of
from ragkit.functions.values import Mismatch, check_names, converted
from ragkit.messages import Json


def call(function: Callable[..., Any], arguments: Json) -> dict[str, Any]:
    """The result as an object, {"result": ...} where it is none; {"error": ...} for arguments that do not fit.

    What the function raises is not caught: a function tells the model of an error by returning {"error": ...}.
    Raises ConfigError for a result that JSON cannot say.
    """
    parameters, hints = parameters_of(function), annotations_of(function)
    try:
        fitting = _fitting(parameters, hints, arguments)
    except Mismatch as error:
        return {"error": str(error)}
    made = _jsonable(function(**fitting), getattr(function, "__name__", repr(function)))
    return made if isinstance(made, dict) else {"result": made}


def _fitting(parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, Any], arguments: Json) -> dict[str, Any]:
    """Arguments as the types that the function wants. What has no type is passed on as it is."""
    named = {
        name: (hints.get(name, Any), is_needed(parameter, hints.get(name, Any)))
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    known = {name: value for name, value in arguments.items() if name in named or not takes_any}
    check_names(known, named, "the function")
    made = {name: converted(value, named[name][0], f"the argument {name!r}") for name, value in known.items()}
    for name, (_, needed) in named.items():
        if not needed and name not in made and parameters[name].default is inspect.Parameter.empty:
            made[name] = None  # it may be None, and nothing was said
    return made | {name: value for name, value in arguments.items() if name not in known}


def _jsonable(value: Any, called: str) -> Any:
    if isinstance(value, enum.Enum):
        return _jsonable(value.value, called)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # as JavaScript does: JSON has no NaN
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _jsonable(getattr(value, field.name), called) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item, called) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item, called) for item in value]
    raise ConfigError(
        f"the result of {called!r} holds a {type(value).__name__}, which JSON cannot say",
        "return texts, numbers, lists, dicts or dataclasses",
    )
