"""The seam that every engine of the suite fills. A search gives what the library gives; `found` reads it, untimed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.suite.given import Given


@dataclass(frozen=True)
class Found:
    """A hit. `text` and `metadata` are None where the engine keeps none: then it is a limit, not a peer."""

    id: int
    text: str | None = None
    metadata: dict[str, Any] | None = None


class Unsupported(NotImplementedError):
    """The library says that it cannot do this."""


class Engine:
    """One way to keep and search given vectors, used as its documentation says.

    `query` is the number of a query of the given ones. What changes the index is durable when the call returns.
    """

    note = ""  # how it was used, for the reader of the table
    hybrid = False  # words count too: the nearest vectors are then not what it looks for

    def __init__(self, folder: Path, given: Given) -> None:
        self.folder = folder
        self.given = given

    def build(self) -> None:
        """Index the rows with text and metadata, and keep them in the folder."""
        raise NotImplementedError

    def open(self) -> None:
        """Get ready for searches, in a process that did not build."""
        raise NotImplementedError

    def search(self, query: int) -> Any:
        """The 10 nearest, with text and metadata."""
        raise NotImplementedError

    def filtered(self, query: int, field: str, value: int) -> Any:
        """The same among rows whose metadata field has the value."""
        raise NotImplementedError

    def found(self, result: Any) -> list[Found]:
        """What a search gave."""
        raise NotImplementedError

    def delete(self, ids: Sequence[int]) -> None:
        raise NotImplementedError

    def add(self, ids: Sequence[int]) -> None:
        raise NotImplementedError

    def replace(self, old: int, new: int) -> None:
        """One document changes."""
        self.delete([old])
        self.add([new])

    def close(self) -> None:
        """Let go."""
