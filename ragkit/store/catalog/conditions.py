"""Conditions as SQL, in two forms: the documents that fulfil one, and whether a given document does. It runs none.

Documents are listed by the indexes of attributes and of names. To test one for other than equality its own row is
read: an index for that would hold every value a second time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ragkit.filters import Condition, spellings

_PATTERN = re.compile(r"[*?[]")
_TEXT, _NUMBER = " AND value >= ''", " AND value < ''"
_LAST = "\U0010ffff"  # no name that begins alike comes after it
KEY = "key = (SELECT id FROM attribute_key WHERE name = {})"
Values = dict[str, str | float]


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition. `selected` is a SELECT of ids of documents, where `negated` of those that do not fulfil it."""

    selected: str
    negated: bool
    _test: str
    _unread: str

    def holds(self, document: str) -> str:
        """The expression that is true where the document whose id that column holds fulfils the condition."""
        return f"{self._sign}EXISTS ({self._test.format(document)})"

    @property
    def holds_unread(self) -> str:
        """The expression that is true where a row of the table of failures fulfils it, of which little is known."""
        return f"{self._sign}({self._unread})"

    @property
    def _sign(self) -> str:
        return "NOT " if self.negated else ""


def clauses(conditions: Sequence[Condition]) -> tuple[list[Clause], Values]:
    """Each condition, and the values of the parameters of all of them beside `:at`, the generation to look at."""
    found: list[Clause] = []
    values: Values = {}
    for i, condition in enumerate(conditions):
        values[f"k{i}"] = condition.key
        if condition.number is not None:
            values[f"f{i}"] = condition.number
        if condition.key == "source":
            named = spellings(condition.value) if condition.way in ("=", "glob") else [condition.value]
            spelt = [f"{i}_{j}" for j in range(len(named))]
            for name, value in zip(spelt, named, strict=True):
                values |= _parameters(condition, value, name)
            found.append(_of_source(condition, spelt))
        else:
            values |= _parameters(condition, condition.value, str(i))
            found.append(_of_attribute(condition, i))
    return found, values


def _parameters(condition: Condition, value: str, name: str) -> Values:
    if condition.way != "glob":
        return {f"v{name}": value}
    start = _PATTERN.split(value, maxsplit=1)[0]
    return {f"v{name}": value, f"a{name}": start, f"z{name}": start + _LAST}


def _of_source(condition: Condition, spelt: Sequence[str]) -> Clause:
    test = f"({' OR '.join([_compared('source', condition, name) for name in spelt])})"
    selected = f"""SELECT id FROM document WHERE removed IS NULL AND {test}
        UNION ALL SELECT id FROM document WHERE removed > :at AND {test}"""
    return Clause(selected, condition.negated, f"SELECT 1 FROM document WHERE id = {{}} AND {test}", test)


def _of_attribute(condition: Condition, i: int) -> Clause:
    """A text is compared as text; a number also as a number, wherever the document's value is one.

    SQLite puts every number before every text. An index is used for one comparison only, so none is needless.
    """
    op = condition.way
    ways = [f"{_compared('value', condition, str(i))}{_TEXT if op.startswith('<') else ''}"]
    if condition.number is not None and op != "glob":
        ways.append(f"value {op} :f{i}{_NUMBER if op.startswith('>') else ''}")
    rows = [f"FROM attribute WHERE {KEY.format(f':k{i}')} AND {way}" for way in ways]
    selected = " UNION ALL ".join([f"SELECT document AS id {row}" for row in rows])
    either = " OR ".join([f"({way})" for way in ways])
    if op == "=":
        test = " UNION ALL ".join([f"SELECT 1 {row} AND document = {{0}}" for row in rows])
    else:  # no index leads to a document's value, but its own row has it; the limit has it asked for once
        value = f"SELECT attribute_of(:k{i}, source, record, mtime_ns) AS value FROM document WHERE id = {{0}} LIMIT 1"
        test = f"SELECT 1 FROM ({value}) WHERE {either}"
    unread = f"EXISTS (SELECT 1 FROM (SELECT unread_attribute(:k{i}, source, mtime_ns) AS value) WHERE {either})"
    return Clause(selected, condition.negated, test, unread)


def _compared(column: str, condition: Condition, name: str) -> str:
    if condition.way != "glob":
        return f"{column} {condition.way} :v{name}"
    # What looks like a pattern may be a name as well: a file may be called lease[1].pdf.
    return f"{column} BETWEEN :a{name} AND :z{name} AND ({column} GLOB :v{name} OR {column} = :v{name})"
