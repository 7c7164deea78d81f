"""class RAG: every flow of ragkit as one straight line. It knows the seams, and no filling by name."""
# The signatures below are settled; their bodies are being written.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeAlias

from ragkit.types import Answer, Document, DocumentInfo, Finding, Hit, IndexReport, IndexStatus, Progress

# {"source": "contracts/*", "year": 2024} or ["year>=2024", "source=contracts/*"]; all conditions must hold
Where: TypeAlias = Mapping[str, str | int | float] | Sequence[str]


class RAG:
    """An open index with the models around it."""

    def index_folder(
        self, path: str | Path, *, progress: Callable[[Progress], None] | None = None, dry_run: bool = False
    ) -> IndexReport: ...

    def add(self, documents: Iterable[Document]) -> IndexReport: ...

    def remove(self, source: str) -> int:
        """Number of documents removed; `source` may be a glob."""
        ...

    def search(self, query: str, k: int = 10, *, mode: str = "hybrid", where: Where | None = None) -> list[Hit]: ...

    def ask(self, question: str, k: int = 6, *, mode: str = "hybrid", where: Where | None = None) -> Answer: ...

    def documents(self, where: Where | None = None) -> list[DocumentInfo]: ...

    def document(self, source: str) -> Document: ...

    def neighbours(self, id: int, *, before: int = 1, after: int = 1) -> list[Hit]:
        """The chunk with its neighbours in document order; score 0. Raises ConfigError for an unknown id."""
        ...

    def status(self) -> IndexStatus: ...

    def check(self) -> list[Finding]:
        """Checksums, counts and caches of the whole index."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
