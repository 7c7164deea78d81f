"""Keeping the word index in step with the catalog: after a commit, after a crash, after it was deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ragkit.chunking import contextual_text
from ragkit.store.catalog import Catalog
from ragkit.store.lexical import LexicalIndex, LexicalUnusable


def lexical_path(folder: Path) -> Path:
    return folder / "lexical"


def catch_up(catalog: Catalog, folder: Path) -> None:
    """Bring the word index on disk to the catalog's generation. Only the holder of the writer's lock may."""
    path = lexical_path(folder)
    with_generation = catalog.generation()
    try:
        index = LexicalIndex.open(path)
        seen = index.generation
    except LexicalUnusable:
        index, seen = LexicalIndex.create(path), 0
    if seen == with_generation:
        return
    if seen > with_generation:  # the catalog was restored from an older copy
        index, seen = LexicalIndex.create(path), 0
    came, went = catalog.documents.changes(seen, with_generation)
    index.update(add=_rows(catalog, came), remove_documents=went, generation=with_generation)


def in_memory(catalog: Catalog, at: int) -> LexicalIndex:
    """The word index of a catalog whose folder cannot be written."""
    index = LexicalIndex.create(None)
    came, _ = catalog.documents.changes(0, at)
    index.update(add=_rows(catalog, came), remove_documents=(), generation=at)
    return index


def _rows(catalog: Catalog, documents: Iterable[int]) -> Iterator[tuple[int, int, str]]:
    """(chunk id, document id, text in context) of every chunk of these document versions."""
    for document in documents:
        title = catalog.documents.title(document)
        for stored in catalog.chunks.of_document(document):
            yield stored.id, document, contextual_text(title, stored.chunk)
