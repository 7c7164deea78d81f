"""Conditions on documents: `key=value` and its kin, parsed once. It knows nothing of how a store evaluates them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from ragkit.errors import ConfigError

Where: TypeAlias = Mapping[str, str | int | float] | Sequence[str]

_CONDITION = r"(?s)\s*([^\s=<>!]+)\s*(>=|<=|!=|=|>|<)\s*(.*?)\s*"  # most searches have none, and compile nothing


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a document's attribute. `op` is "=", "!=", ">=", "<=", ">", "<", "glob" or "!glob"."""

    key: str
    op: str
    value: str

    @property
    def number(self) -> int | float | None:
        """The value as a number, where it reads as one: a year is compared as a number, a date as text.

        A whole one of 64 bits is exact, which a float is up to 2**53 only. Neither "nan" nor "7_0" is one, whatever
        Python says: the first equals nothing, the second is a number of Python's programs only.
        """
        if "_" in self.value:
            return None
        with suppress(ValueError):
            if abs(whole := int(self.value)) < 1 << 63:
                return whole
        with suppress(ValueError):
            return None if math.isnan(number := float(self.value)) else number
        return None

    @property
    def negated(self) -> bool:
        """Whether it holds for every document of which its opposite does not: those without the key among them."""
        return self.op.startswith("!")

    @property
    def way(self) -> str:
        """How values are compared, before it is negated: "=", ">=", "<=", ">", "<" or "glob"."""
        return "=" if self.op == "!=" else self.op.removeprefix("!")

    def __str__(self) -> str:
        """As a person writes it."""
        return f"{self.key}{self.op.replace('glob', '=')}{self.value}"


def spellings(name: str) -> list[str]:
    """A name as it is given, and as other systems write it: й is one character, or и and its breve on macOS."""
    return list(dict.fromkeys([name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]))


def meant(source: str, names: Iterable[str]) -> list[str]:
    """Those of the names that a source may stand for: itself, or else in another spelling, or else as a glob.

    A name comes before a pattern, for a file may be called lease[1].pdf.
    """
    spelt = spellings(source)
    known = list(names)
    itself = [name for name in known if name == source] or [name for name in known if name in spelt]
    return itself or [name for name in known if any(fnmatchcase(name, each) for each in spelt)]


def parse_where(where: Where | None) -> tuple[Condition, ...]:
    """Conditions that must all hold. A mapping compares for equality, a list holds texts such as "year>=2024".

    Equality with *, ? or [ in the value is a glob, which also matches that very text; != with one leaves out what
    the glob matches. != holds for documents without the key, all others do not. True is 1 and False is 0.
    Raises ConfigError for a text without an operator, and for a value that is neither text nor number.
    """
    if where is None:
        return ()
    if isinstance(where, str):
        where = [where]
    if isinstance(where, Mapping):
        return tuple(_condition(key, "=", _written(key, value)) for key, value in where.items())
    return tuple(_parse(text) for text in where)


def _written(key: str, value: str | float) -> str:
    if not isinstance(value, str | int | float):
        raise ConfigError(
            f"the condition on {key!r} has {value!r}, which is neither text nor number",
            'give one value, or conditions as texts: ["year>=2020", "year<=2024"]',
        )
    return str(int(value) if isinstance(value, bool) else value)


def _parse(text: str) -> Condition:
    match = re.fullmatch(_CONDITION, text)
    if not match or not match[3]:
        raise ConfigError(
            f"the condition {text!r} has no key, operator and value",
            'write it as key=value, for example source="contracts/*" or modified>=2024-01-01',
        )
    return _condition(match[1], match[2], match[3])


def _condition(key: str, op: str, value: str) -> Condition:
    key = unicodedata.normalize("NFC", key)  # as metadata is stored
    if key != "source":
        value = unicodedata.normalize("NFC", value)
    if op in ("=", "!=") and any(mark in value for mark in "*?["):
        return Condition(key, op.replace("=", "glob"), value)
    return Condition(key, op, value)
