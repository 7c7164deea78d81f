"""Repairing an index: the store saves what holds, documents are cut again where they must be, lost vectors embedded.

No file is read. What cannot be embedded now is told and waits: until then it is found by words.
"""

from __future__ import annotations

from ragkit.budget import Budget
from ragkit.embedding_run import EmbeddingRun, vector_key
from ragkit.errors import RagkitError
from ragkit.positions import contextual_text
from ragkit.protocols import Chunker, Embedder, Store
from ragkit.reports import Finding
from ragkit.types import Chunk


def repair(store: Store, embedder: Embedder, chunker: Chunker, *, budget: Budget | None = None) -> list[Finding]:
    """Make an index sound again; says what was done, what is lost for good, and what a check finds afterwards."""
    findings = store.repair(chunker, _key)
    return [*findings, *_embed(store, embedder, budget), *store.check()]


def _key(model: str, title: str, chunk: Chunk) -> bytes:
    return vector_key(model, contextual_text(title, chunk))


def _embed(store: Store, embedder: Embedder, budget: Budget | None) -> list[Finding]:
    """Embed what lost its vector, and only that."""
    with store.writing() as writer:
        waiting = {id: (_key(embedder.model, title, chunk), title, chunk) for title, id, chunk in writer.waiting()}
        if not waiting:
            return []
        run = EmbeddingRun(writer, embedder, budget=budget)
        try:
            writer.check_model(embedder.model)
            with run.open():
                try:
                    run.embed({key: contextual_text(title, chunk) for key, title, chunk in waiting.values()})
                finally:
                    if not writer.failed:
                        writer.end_waiting({id: key for id, (key, _, _) in waiting.items()})
        except RagkitError as error:
            return [Finding("embedding", False, f"not all could be embedded again: {error.message}", error.hint)]
    return [Finding("embedding", True, f"{run.embedded} texts were embedded again for {len(waiting)} chunks")]
