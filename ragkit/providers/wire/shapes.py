"""Fields of a reply, read with their types: what must be there raises BadResponse by its name, what may be absent is
read leniently. It knows JSON and nothing of what the fields mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ragkit.errors import BadResponse
from ragkit.types import Usage

SHOWN = 200  # characters of a foreign text that an error quotes
MOST = 2**53  # the largest number that every reader of JSON keeps exactly; no count and no sum is beyond it
LATEST = 2**32  # seconds since 1970: February 2106. What is later is counted in milliseconds or nanoseconds


def excerpt(value: object) -> str:
    """The beginning of a text, or what a value is made of: one line, short and printable enough for a message."""
    if isinstance(value, Mapping):
        value = f"an object with {', '.join(map(str, list(value)[:10]))}" if value else "an empty object"
    elif isinstance(value, list):
        value = f"a list of {len(value)}"
    elif not isinstance(value, str):
        value = json.dumps(value, default=str)
    printable = "".join(c if c.isprintable() else " " for c in value[: 4 * SHOWN])
    line = " ".join(printable.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def kind(value: object) -> str:
    """What JSON calls the type of the value."""
    names: dict[type, str] = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a text"}
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else names.get(type(value), type(value).__name__)


def as_object(value: object, where: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise BadResponse(f"{where} is {kind(value)}, not an object")


def as_list(value: object, where: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise BadResponse(f"{where} is {kind(value)}, not a list")


def needed_text(fields: Mapping[str, Any], name: str, where: str) -> str:
    """A text that must be there and not be empty."""
    value = fields.get(name)
    if isinstance(value, str) and value:
        return value
    said = "empty" if value == "" else "missing" if value is None else kind(value)
    raise BadResponse(f"`{name}` of {where} is {said}, it must be a text")


def text(fields: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that is a text with something in it, else an empty one."""
    return next((value for name in names if isinstance(value := fields.get(name), str) and value), "")


def mended(text: str) -> str:
    """Halves of a character that JSON wrote apart are put together; one that is alone becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def number(value: object) -> float | None:
    """A number as far as it can be one of ours: finite and not beyond 2**53 either way. None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -MOST <= value <= MOST else None  # NaN is not, and an int of any length can be compared


def whole(value: object) -> int:
    """A count. What is no count is 0: an answer that was paid for is not lost over its bookkeeping."""
    found = number(value)
    return max(0, int(found)) if found is not None else 0


def moment(value: object) -> int:
    """Seconds since 1970, 0 where the service does not say: a time in the year 50,000 is none."""
    found = whole(value)
    return found if found < LATEST else 0


@contextmanager
def billed(usage: Usage) -> Iterator[None]:
    """What is found to be wrong inside the block was paid for all the same: the error says what it cost."""
    try:
        yield
    except BadResponse as error:
        if usage != Usage():
            error.usage = usage
        raise


def items(reply: object, name: str, where: str) -> list[Any]:
    """The list under `name`, or the reply itself where it is a bare list. Raises BadResponse, with the words of the
    service where it sent an error in the place of a reply."""
    if isinstance(reply, list):
        return reply
    fields = as_object(reply, where)
    if not fields.get(name) and (said := complaint(fields)):  # an empty list beside an error tells nothing
        raise BadResponse(f"{where} is an error: {excerpt(said)}")
    if name not in fields:
        raise BadResponse(f"{where} has no `{name}`: {excerpt(fields)}")
    return as_list(fields[name], f"`{name}` of {where}")


def complaint(fields: Mapping[str, Any]) -> str:
    """The message of an error in any of the shapes that services use, empty where this is none.

    {"error": {"message"}}, {"error": "text"}, {"object": "error", "message"}, {"status", "message"}, {"code",
    "message"}. A reply with choices is an error only where it says so in `error`.
    """
    error = fields.get("error")
    if isinstance(error, Mapping) and error:
        return text(error, "message", "msg", "detail", "code", "type") or excerpt(error)
    if isinstance(error, str) and error:
        return error
    if fields.get("choices"):
        return ""
    said = text(fields, "message", "detail")
    named = fields.get("object") == "error" or "status" in fields or "code" in fields
    return (said or excerpt(fields)) if named and (said or fields.get("object") == "error") else ""
