"""JSON values to the types of Python that a function wants. It knows nothing of functions or of models."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from ragkit.functions.schemas import LISTS, OBJECTS, SCALARS, bare, fields_of, is_enum, is_record, item_of, unsupported

_SAID = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


class Mismatch(ValueError):
    """A value is not of the type that was asked for; the text says which, for a model to read."""


def converted(value: Any, hint: Any, where: str) -> Any:
    """A JSON value as the type that the hint names, lenient with what models write: "3" for 3, 5.0 for 5.

    Raises Mismatch for a value that does not fit.
    """
    hint, _ = bare(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if hint in SCALARS:
        return _scalar(value, hint, where)
    if origin is typing.Literal:
        return _chosen(value, [(option, option) for option in arguments], where)
    if is_enum(hint):
        return _chosen(value, [(member.value, member) for member in hint], where)
    if origin in (typing.Union, types.UnionType):
        return _one_of(value, arguments, where)
    if (origin or hint) in LISTS:
        if not isinstance(value, list | tuple):
            raise Mismatch(f"{where} is {value!r}, it must be a list")
        items = [converted(item, item_of(hint, where), f"{where}[{n}]") for n, item in enumerate(value)]
        kind = origin or hint
        return kind(items) if kind in (tuple, set, frozenset) else items  # the abstract ones take a list
    is_plain = (origin or hint) in OBJECTS
    if not is_plain and not is_record(hint):
        raise unsupported(hint, where)
    if not isinstance(value, Mapping):
        raise Mismatch(f"{where} is {value!r}, it must be an object")
    if is_plain:
        kind = arguments[1] if arguments else Any
        return {str(key): converted(item, kind, f"{where}.{key}") for key, item in value.items()}
    return _built(value, hint, where)


def _scalar(value: Any, hint: Any, where: str) -> Any:
    if type(value) is hint:
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str and number:
        return str(value)
    if hint is bool and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if hint in (int, float) and (number or isinstance(value, str)):
        try:
            found = float(value)
            if hint is float and math.isfinite(found):
                return found
            if hint is int and found.is_integer():
                return int(value) if isinstance(value, str) and "." not in value else int(found)
        except (ValueError, OverflowError):
            pass
    raise Mismatch(f"{where} is {value!r}, it must be {_SAID[hint]}")


def _chosen(value: Any, options: list[tuple[Any, Any]], where: str) -> Any:
    for option, meant in options:
        if type(option) is type(value) and option == value:
            return meant
    for option, meant in options:
        if not isinstance(value, list | dict) and str(option) == str(value):
            return meant
    raise Mismatch(f"{where} is {value!r}, it must be one of {', '.join(repr(option) for option, _ in options)}")


def _one_of(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    if any(bare(kind)[0] is type(value) for kind in kinds):  # what needs no conversion comes first: "3" for str | int
        return value
    left = [kind for kind in kinds if kind is not type(None)]
    if len(left) == 1:
        return converted(value, left[0], where)
    said = []
    for kind in left:
        try:
            return converted(value, kind, where)
        except Mismatch as error:
            said.append(str(error).partition("it must be ")[2])
    raise Mismatch(f"{where} is {value!r}, it must be {' or '.join(filter(None, said))}")


def _built(value: Mapping[str, Any], hint: Any, where: str) -> Any:
    fields = fields_of(hint, where)
    check_names(value, fields, where)
    made = {name: converted(item, fields[name][0], f"{where}.{name}") for name, item in value.items()}
    if typing.is_typeddict(hint):
        return made
    try:
        return hint(**made)
    except ValueError as error:  # a dataclass may check its fields
        raise Mismatch(f"{where} does not fit: {error}") from error


def check_names(value: Mapping[str, Any], fields: Mapping[str, tuple[Any, bool]], where: str) -> None:
    """Raises Mismatch for names that nobody knows and for needed ones that are missing."""
    if unknown := [name for name in value if name not in fields]:
        raise Mismatch(f"{where} has no {', '.join(unknown)}; it has {', '.join(fields) or 'nothing'}")
    if missing := [name for name, (_, needed) in fields.items() if needed and name not in value]:
        raise Mismatch(f"{where} needs {', '.join(missing)}")
