"""Types of Python to JSON Schema, and what such types are made of. It knows nothing of functions or of models."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from typing import Any

from ragkit.errors import ConfigError

SCALARS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable)
OBJECTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def schema_of(hint: Any, where: str, above: tuple[Any, ...] = ()) -> dict[str, Any]:
    """The JSON Schema of a type. `where` names the place in errors, `above` the types around this one.

    Raises ConfigError for a type that JSON cannot say, and for one that holds itself.
    """
    hint, said = bare(hint)
    described = {"description": said} if said else {}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return described
    if hint in SCALARS:
        return {"type": SCALARS[hint], **described}
    if origin is typing.Literal:
        return _enumerated(list(arguments), where) | described
    if is_enum(hint):
        return _enumerated([member.value for member in hint], where) | described
    if origin in (typing.Union, types.UnionType):
        kinds = [kind for kind in arguments if kind is not type(None)]
        made = [schema_of(kind, where, above) for kind in kinds]
        return (made[0] if len(made) == 1 else {"anyOf": made}) | described
    if (origin or hint) in LISTS:
        return {"type": "array", "items": schema_of(item_of(hint, where), where, above), **described}
    if (origin or hint) in OBJECTS:
        return {"type": "object", "properties": {}, **_values(hint, where, above), **described}
    if is_record(hint):
        return _record(hint, where, above) | described
    raise unsupported(hint, where)


def unsupported(hint: Any, where: str) -> ConfigError:
    return ConfigError(
        f"{where} has the type {_name(hint)}, which no JSON Schema stands for",
        "use str, int, float, bool, list, dict, Literal, an Enum, a dataclass or a TypedDict",
    )


def fields_of(hint: Any, where: str) -> dict[str, tuple[Any, bool]]:
    """Fields of a dataclass or a TypedDict: name -> (type, whether it must be given)."""
    hints = hints_of(hint, where)
    if dataclasses.is_dataclass(hint):
        return {
            field.name: (
                hints[field.name],
                field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
            )
            for field in dataclasses.fields(hint)
            if field.init
        }
    return {name: (kind, _must_be_there(kind, name in hint.__required_keys__)) for name, kind in hints.items()}


def _must_be_there(kind: Any, otherwise: bool) -> bool:
    """What a key of a TypedDict says of itself; where annotations are texts the class does not know it."""
    origin = typing.get_origin(kind)
    return origin is typing.Required or (origin is not typing.NotRequired and otherwise)


def hints_of(thing: Any, where: str) -> dict[str, Any]:
    """Annotations as types. Raises ConfigError for one that names what cannot be found."""
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise ConfigError(
            f"an annotation of {where} cannot be resolved: {error}", "define its type at the top of a module"
        ) from error


def may_be_none(hint: Any) -> bool:
    """Whether None is one of the choices; what may be anything counts as needed."""
    hint, _ = bare(hint)
    return hint is type(None) or (
        typing.get_origin(hint) in (typing.Union, types.UnionType) and type(None) in typing.get_args(hint)
    )


def bare(hint: Any) -> tuple[Any, str]:
    """A type without what is wrapped around it, and the description in Annotated[..., "description"]."""
    said = ""
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            said = said or next((text for text in hint.__metadata__ if isinstance(text, str)), "")
            hint = hint.__origin__
        elif origin in (typing.Required, typing.NotRequired, typing.Final):
            hint = typing.get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif hint is None:
            return type(None), said
        else:
            return hint, said


def item_of(hint: Any, where: str) -> Any:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and (len(arguments) != 2 or arguments[1] is not ...):
        raise ConfigError(f"{where} is a tuple of a fixed length", "write tuple[T, ...], list[T] or a dataclass")
    return arguments[0] if arguments else Any


def _values(hint: Any, where: str, above: tuple[Any, ...]) -> dict[str, Any]:
    arguments = typing.get_args(hint)
    if not arguments or bare(arguments[1])[0] is Any:
        return {}
    if arguments[0] is not str:
        raise ConfigError(f"{where} has keys of type {_name(arguments[0])}", "keys of JSON are texts: dict[str, ...]")
    return {"additionalProperties": schema_of(arguments[1], where, above)}


def is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, enum.Enum)


def is_record(hint: Any) -> bool:
    return isinstance(hint, type) and (dataclasses.is_dataclass(hint) or typing.is_typeddict(hint))


def _record(hint: Any, where: str, above: tuple[Any, ...]) -> dict[str, Any]:
    if hint in above:
        raise ConfigError(f"{where} has the type {_name(hint)}, which holds itself", "use a type of limited depth")
    fields = fields_of(hint, where)
    return {
        "type": "object",
        "properties": {name: schema_of(kind, f"{where}.{name}", (*above, hint)) for name, (kind, _) in fields.items()},
        "required": [name for name, (_, needed) in fields.items() if needed],
    }


def _enumerated(values: list[Any], where: str) -> dict[str, Any]:
    kinds = {type(value) for value in values}
    if not kinds <= {str, int, float, bool}:
        raise ConfigError(f"{where} has choices that are no texts and no numbers: {values!r}", "give each a text")
    return ({"type": SCALARS[kinds.pop()]} if len(kinds) == 1 else {}) | {"enum": values}


def _name(hint: Any) -> str:
    return getattr(hint, "__qualname__", None) or str(hint)
