"""class RAG: every flow of ragkit as one straight line. It knows the seams, and no filling by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ragkit.errors import ConfigError
from ragkit.filters import Where, parse_where
from ragkit.settings import MODES
from ragkit.types import Answer, Document, Hit

if TYPE_CHECKING:
    from ragkit.protocols import Chunker, Embedder, Parsers, Store
    from ragkit.reports import DocumentInfo, Finding, IndexReport, IndexStatus, Progress


class RAG:
    """An index with the models around it. `ragkit.open` makes one; threads may share it for reading.

    Args:
        store: where documents, chunks and vectors are kept.
        embedder: makes vectors of texts and queries.
        chunker: cuts documents.
        parsers: makes what reads files; called once for each run over a folder.
        max_file_size: bytes; larger files are reported and not read.
        recipe: how the chunker cuts, in words of the caller's own; with another one a folder is cut again.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        chunker: Chunker,
        parsers: Callable[[], AbstractContextManager[Parsers]],
        *,
        max_file_size: int,
        recipe: str = "",
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._chunker = chunker
        self._parsers = parsers
        self._max_file_size = max_file_size
        self._recipe = recipe

    @property
    def path(self) -> Path:
        """Where the index is."""
        return self._store.path

    def index_folder(
        self,
        path: str | Path,
        *,
        progress: Callable[[Progress], None] | None = None,
        dry_run: bool = False,
        max_tokens: int | None = None,
        max_cost: float | None = None,
    ) -> IndexReport:
        """Make the index agree with a folder, or with one file; run again, it costs only what changed.

        What could not be read is in the report, with its reason and cure; everything else is indexed. Whatever
        stops a run, what was embedded is kept, and the next run goes on from there.

        Args:
            path: a folder, with all that is below it, or a file.
            progress: called after each file and each batch that a service has embedded, from this thread.
            dry_run: tell what would be done and what it would cost; nothing is embedded, nothing stored. With a
                model that is not the index's, what moving the index to it costs is told too.
            max_tokens: the most that this run may be billed for embedding.
            max_cost: the same in money, where a price is configured.

        Raises:
            ConfigError: the path does not exist, or there is a limit on money and no price.
            IndexLocked: another writer is at work.
            IndexMismatch: another embedding model made the index; see `reembed`.
            BudgetExceeded: the run stopped at a limit.
        """
        from ragkit.embedding_run import budget_for  # a search does not need these
        from ragkit.ingest import Ingest

        budget = budget_for(self._embedder, max_tokens, max_cost)
        with self._store.writing(discard=dry_run) as writer, self._parsers() as parsers:
            run = Ingest(
                writer,
                self._embedder,
                self._chunker,
                recipe=self._recipe,
                progress=progress,
                budget=budget,
                dry_run=dry_run,
            )
            return run.folder(Path(path), self._store.path, parsers, max_file_size=self._max_file_size)

    def reembed(
        self,
        *,
        progress: Callable[[Progress], None] | None = None,
        dry_run: bool = False,
        max_tokens: int | None = None,
        max_cost: float | None = None,
    ) -> IndexReport:
        """Move the whole index to this RAG's embedder; no file is read, and run again it goes on where it stopped.

        Until all is embedded, searches with the model from before go on; one commit then changes over. The
        arguments are those of `index_folder`, with documents for files.

        Raises:
            ConfigError: there is a limit on money and no price.
            IndexNotFound: there is no index yet.
            IndexLocked: another writer is at work.
            BudgetExceeded: the run stopped at a limit; the index is still that of the model from before.
        """
        from ragkit.embedding_run import budget_for  # a search does not need these
        from ragkit.reembedding import reembed

        budget = budget_for(self._embedder, max_tokens, max_cost)
        self._store.status()  # raises IndexNotFound: moving makes no index
        with self._store.writing(discard=dry_run) as writer:
            return reembed(writer, self._embedder, self._store.path, progress=progress, budget=budget, dry_run=dry_run)

    def add(self, documents: Iterable[Document]) -> IndexReport:
        """Put documents into the index, each in the place of one with the same source."""
        from ragkit.ingest import Ingest  # a search does not need it

        with self._store.writing() as writer:
            return Ingest(writer, self._embedder, self._chunker).documents(documents, self._store.path)

    def remove(self, source: str) -> int:
        """Take out a document, or all that a glob matches; gives how many.

        A file that stays in its folder comes back with the next run over the folder.
        """
        return self._store.remove(source)

    def search(self, query: str, k: int = 10, *, mode: str = "hybrid", where: Where | None = None) -> list[Hit]:
        """The k best passages, best first; neighbours in one document come as one, up to 2400 characters.

        Args:
            query: a question or words, in any language.
            k: passages wanted; fewer come only where fewer fulfil the conditions, or in "lexical" mode match.
            mode: "hybrid" for words and vectors together, "lexical" or "dense" for one of them.
            where: conditions on documents, {"type": "pdf"} or ["year>=2024", "source=contracts/*"]; all must hold.

        Raises:
            ConfigError: an empty query, an unknown mode, a key that no document has.
            IndexNotFound: there is no index yet.
            IndexMismatch: another embedding model made the index.
        """
        if mode not in MODES:
            raise ConfigError(f"the mode is {mode!r}", f"choose one of: {', '.join(MODES)}")
        if not query.strip():
            raise ConfigError("the query is empty", "say what to look for")
        if k < 1:
            raise ConfigError(f"{k} passages are wanted", "ask for one or more")
        conditions = parse_where(where)
        if mode == "lexical":
            return self._store.search(query, None, k=k, conditions=conditions)
        self._store.check_model(self._embedder.model)
        vector = self._embedder.embed_query(query)  # (d,)
        return self._store.search(query if mode == "hybrid" else "", vector, k=k, conditions=conditions)

    def ask(self, question: str, k: int = 6, *, mode: str = "hybrid", where: Where | None = None) -> Answer:
        """Answer with sentences of the k best passages, verbatim, each with source, page and line.

        Where nothing indexed is about the question, the status is "refused" and `reason` says why.
        """
        from ragkit.extractive import extract  # a search does not need it

        began = time.perf_counter()
        hits = self.search(question, k, mode=mode, where=where)
        found = time.perf_counter()
        answer = extract(question, hits, idf=self._store.idf, document=self._store.document)
        return replace(answer, timings={"search": found - began, "answer": time.perf_counter() - found})

    def documents(self, where: Where | None = None) -> list[DocumentInfo]:
        """What is in the index, by source; without conditions also the files that gave nothing, with the reason."""
        return self._store.documents(parse_where(where))

    def document(self, source: str) -> Document:
        """The whole text of a document as it was indexed, with its landmarks. Raises ConfigError for an unknown one."""
        return self._store.document(source)

    def neighbours(self, id: int, *, before: int = 1, after: int = 1) -> list[Hit]:
        """The chunk with that id and those around it, in the order of the document; score 0.

        Raises ConfigError for an id that is not in the index.
        """
        return [Hit(stored_id, chunk, 0.0) for stored_id, chunk in self._store.neighbours(id, before, after)]

    def status(self) -> IndexStatus:
        """The index as a whole. Raises IndexNotFound where there is none."""
        return self._store.status()

    def check(self) -> list[Finding]:
        """Read the whole index through: checksums, counts, caches. Changes nothing."""
        return self._store.check()

    def close(self) -> None:
        """Let go of all files. A closed RAG opens them again when it is used."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
