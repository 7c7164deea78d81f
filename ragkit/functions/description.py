"""A Python function to what a model is told of it, out of its signature, its annotations and its docstring."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ragkit.errors import ConfigError
from ragkit.functions.schemas import hints_of, may_be_none, schema_of
from ragkit.messages import Function, Json

_SECTION = re.compile(r"(?:Args|Arguments|Parameters):\s*$")
_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")


def describe(
    function: Callable[..., Any],
    *,
    name: str = "",
    few_shot_examples: Sequence[Json] = (),
    returns: Json | None = None,
) -> Function:
    """What a model is told of the function.

    The first paragraph of the docstring says what it does, its `Args:` (in Google's style) what each parameter is;
    Annotated[..., "text"] does so too. A parameter with a default, or that may be None, need not be given.

    Args:
        function: with a type for every parameter; each must be able to go by its name.
        name: as the model sees it, Latin; empty takes the function's own.
        few_shot_examples: {"request": what a user says, "params": the arguments that follow}.
        returns: JSON Schema of the result; by default that of the annotation, where it is a kind of object.

    Raises:
        ConfigError: for a parameter that cannot be described, named.
    """
    called = name or getattr(_plain(function), "__name__", type(function).__name__)
    if inspect.iscoroutinefunction(function):
        raise ConfigError(f"{called!r} is a coroutine function", "wrap it in a function that waits for its result")
    signed = parameters_of(function)
    hints = annotations_of(function)
    summary, said = _documented(inspect.getdoc(_plain(function)) or "")
    properties: dict[str, Any] = {}
    required: list[str] = []
    for parameter in signed.values():
        where = f"the parameter {parameter.name!r} of {called!r}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigError(f"{where} cannot go by its name", "models name every argument: give it a plain parameter")
        if parameter.name not in hints:
            raise ConfigError(f"{where} has no type", "annotate it, for instance `city: str`")
        schema = schema_of(hints[parameter.name], where)
        if text := said.get(parameter.name):
            schema["description"] = text
        if type(parameter.default) in (str, int, float, bool):
            schema["default"] = parameter.default
        properties[parameter.name] = schema
        if is_needed(parameter, hints[parameter.name]):
            required.append(parameter.name)
    return Function(
        called,
        summary,
        {"type": "object", "properties": properties, "required": required},
        tuple(few_shot_examples),
        returns if returns is not None else _returned(hints.get("return"), called),
    )


def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters that a call may name: what a partial has settled is not offered again."""
    settled = function.keywords if isinstance(function, functools.partial) else {}
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{function!r} shows no signature: {error}", "wrap it in a function of your own") from error
    return {name: parameter for name, parameter in found.items() if name not in settled}


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Name of a parameter, or "return" -> type; without those that have none."""
    plain = _plain(function)
    return hints_of(plain, repr(getattr(plain, "__qualname__", plain)))


def is_needed(parameter: inspect.Parameter, hint: Any) -> bool:
    """Whether a call must name it."""
    return parameter.default is parameter.empty and not may_be_none(hint)


def _plain(function: Callable[..., Any]) -> Any:
    """What holds the annotations and the docstring: the function inside a partial, the call of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) or inspect.isclass(function) else type(function).__call__


def _returned(hint: Any, called: str) -> Json | None:
    """The schema of the result, where it is a kind of object; a result needs no description."""
    if hint is None:
        return None
    try:
        schema = schema_of(hint, f"the result of {called!r}")
    except ConfigError:
        return None
    return schema if schema.get("type") == "object" else None


def _documented(doc: str) -> tuple[str, dict[str, str]]:
    """(first paragraph, name of a parameter -> what is said of it)."""
    lines = doc.splitlines()
    end = next((n for n, line in enumerate(lines) if not line.strip() or _SECTION.match(line)), len(lines))
    summary = " ".join(line.strip() for line in lines[:end])
    said: dict[str, list[str]] = {}
    start = next((n for n, line in enumerate(lines) if _SECTION.match(line)), len(lines))
    depth: int | None = None
    entry: list[str] = []
    for line in lines[start + 1 :]:
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        if not indent:
            break  # the next section
        depth = indent if depth is None else depth
        found = _ENTRY.match(line.strip()) if indent <= depth else None
        if found:
            entry = said[found[1]] = [found[2]]
        else:
            entry.append(line.strip())
    return summary, {name: " ".join(parts).strip() for name, parts in said.items()}
