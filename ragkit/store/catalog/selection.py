"""The documents that fulfil conditions, in one snapshot: listed where they are few, else tested one by one.

To list half of a million documents takes half a second; the best of a search without conditions hold enough of them.
Of one in eight they do too, but to find those codes have to know what is far, which they do less surely.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

import numpy as np

from ragkit.errors import ConfigError
from ragkit.filters import Condition
from ragkit.store.catalog.conditions import KEY, Values, clauses
from ragkit.store.catalog.rows import ALIVE, id_array
from ragkit.types import IntVector

FEW = 8  # up to one in so many documents are few: they are listed
_ALWAYS_FEW = 256  # documents
_QUICKLY_LISTED = 16_384  # chunks, at .7 us each for their documents and 1.5 for their vectors


class Selection:
    """Not to be used outside the snapshot that it was made in. `at` is the generation to look at.

    `documents` is how many there are in all. `sql` tests the column `c.document`, `sql_unread` a row of the table of
    failures, with the parameters `values`.
    Raises ConfigError where numbers would be compared with a word: none could fulfil that.
    """

    def __init__(self, db: sqlite3.Connection, at: int, documents: int, conditions: Sequence[Condition]) -> None:
        self._db = db
        for condition in conditions:
            self._check_kind(condition)
        self._clauses, found = clauses(conditions)
        self.values: Values = {**found, "at": at}
        self.sql = " AND ".join(clause.holds("c.document") for clause in self._clauses)
        self.sql_unread = " AND ".join(clause.holds_unread for clause in self._clauses)
        self._documents: IntVector | None = None
        self._vectors: IntVector | None = None
        chunks = self._db.execute("SELECT max(id) FROM chunk").fetchone()[0] or 1  # what a count would take long for
        self._few = max(_ALWAYS_FEW, documents // FEW, _QUICKLY_LISTED * documents // chunks)
        counts = [self._count(clause.selected, self._few + 1) for clause in self._clauses if not clause.negated]
        if min(counts, default=self._few + 1) <= self._few:
            self._list(counts)

    @property
    def is_few(self) -> bool:
        """Whether they are listed, and so few that every vector of theirs is looked at."""
        return self._documents is not None and len(self._documents) <= self._few

    def documents(self) -> IntVector:
        """Their ids, ascending."""
        if self._documents is None:
            self._list([self._count(clause.selected, -1) for clause in self._clauses if not clause.negated])
        assert self._documents is not None  # noqa: S101 - for the type checker
        return self._documents

    def among(self, documents: Collection[int]) -> set[int]:
        """Those of the documents that are selected, each tested; whether they are alive is not."""
        sql = f"SELECT c.document FROM (SELECT value AS document FROM json_each(:ids)) c WHERE {self.sql}"
        return {row[0] for row in self._db.execute(sql, {**self.values, "ids": id_array(documents)})}

    def vectors(self) -> IntVector:
        """The vectors that their chunks use, each once, ascending."""
        if self._vectors is None:
            rows = self._db.execute(
                "SELECT vector FROM chunk WHERE document IN (SELECT value FROM json_each(?))",
                (id_array(self.documents().tolist()),),
            )
            self._vectors = np.unique(_column(rows))
        return self._vectors

    def _check_kind(self, condition: Condition) -> None:
        """Words and globs are compared with words alone: a key that has none, and numbers, was meant otherwise."""
        key, is_word = condition.key, condition.way == "glob" or condition.number is None
        if key == "source" or not is_word:
            return
        words, numbers = (  # SQLite puts every number before every text
            self._db.execute(
                f"SELECT 1 FROM attribute WHERE {KEY.format('?')} AND value {kind} '' LIMIT 1", (key,)
            ).fetchone()
            for kind in (">=", "<")
        )
        if numbers and not words:
            raise ConfigError(
                f"{key!r} holds numbers only, and {condition.value!r} is none",
                f"compare it with a number, as in {key}>=10; yes is 1 and no is 0",
            )

    def _count(self, selected: str, most: int) -> int:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM ({selected}) LIMIT {most})"
        return int(self._db.execute(sql, self.values).fetchone()[0])

    def _list(self, counts: Sequence[int]) -> None:
        """Begin with the condition that the fewest fulfil; `counts` are those of the ones that are not negated."""
        positive = [clause for clause in self._clauses if not clause.negated]
        first = positive[min(range(len(counts)), key=counts.__getitem__)] if positive else None
        of = first.selected if first else "SELECT id FROM document"
        tests = "".join([f" AND {clause.holds('c.id')}" for clause in self._clauses if clause is not first])
        rows = self._db.execute(f"SELECT c.id FROM ({of}) c WHERE true{tests}", self.values)
        ids = np.unique(_column(rows))
        # Nearly always all of them are alive; a row of the table of documents is long, and not looked at for nothing.
        if len(ids) and has_dead(self._db, int(self.values["at"])):
            rows = self._db.execute(
                f"SELECT id FROM document WHERE id IN (SELECT value FROM json_each(:ids)) AND {ALIVE} ORDER BY id",
                {"ids": id_array(ids.tolist()), "at": self.values["at"]},
            )
            ids = _column(rows)
        self._documents = ids


def has_dead(db: sqlite3.Connection, at: int) -> bool:
    """Whether the tables hold versions that are not alive at that generation: beside a writer, or after its death."""
    row = db.execute(
        "SELECT EXISTS (SELECT 1 FROM document WHERE added > :at) OR"
        " EXISTS (SELECT 1 FROM document WHERE removed <= :at)",
        {"at": at},
    ).fetchone()
    return bool(row[0])


def _column(rows: sqlite3.Cursor) -> IntVector:
    return np.array([row[0] for row in rows.fetchall()], np.int64)
