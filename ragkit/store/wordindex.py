"""Keeping the word index in step with the catalog: after a commit, after a crash, after it was deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ragkit.store import sums
from ragkit.store.catalog import Catalog
from ragkit.store.lexical import LexicalIndex, LexicalUnusable
from ragkit.store.sizes import Sizes

Tell = Callable[[int, int], None]  # how many chunks of how many are in


def lexical_path(catalog: Catalog) -> Path:
    """Named after the index that it belongs to, so that one brought from elsewhere is not taken for it."""
    return catalog.path.parent / "lexical" / catalog.identity()


def open_words(catalog: Catalog, *, thorough: bool = False) -> LexicalIndex:
    """The word index on disk, compared with the checksums that were noted; `thorough` reads every file.

    Raises LexicalUnusable for one that is missing, damaged, of another version or of another index.
    """
    path = lexical_path(catalog)
    noted = sums.verify(catalog, path, thorough=thorough)
    index = LexicalIndex.open(path)
    noted.compare(path, index.generations)
    return index


def catch_up(catalog: Catalog, tell: Tell | None = None) -> None:
    """Bring the word index on disk to the catalog's generation. Only the holder of the writer's lock may."""
    generation, path = catalog.generation(), lexical_path(catalog)
    try:
        index = open_words(catalog)
        if index.generation < int(catalog.meta().get("purged", 0)):
            raise LexicalUnusable("what went since its last update is not known any more", "it is made again")
        if index.generation < generation:
            _update(index, catalog, generation, tell)
        if index.generation == generation:
            if not sums.is_noted(path, generation):
                sums.note(catalog, path, generation)
            return
    except LexicalUnusable:
        pass  # a cache: what is wrong with it does not matter, it is made again
    delete(catalog.path.parent)
    _update(LexicalIndex.create(path), catalog, generation, tell)
    sums.note(catalog, path, generation)


def lacking(catalog: Catalog) -> int:
    """How many chunks the word index on disk does not have yet."""
    try:
        seen = open_words(catalog).generation
    except LexicalUnusable:
        seen = 0
    return catalog.documents.chunks_since(seen)


def shrink(catalog: Catalog, sizes: Sizes) -> None:
    """Make the word index anew where most of it is of chunks that are gone: it would keep them for very long.

    Only the holder of the writer's lock may, after `catch_up`. Readers go on with the old one; where there is no room
    for a second one, it stays as it is.
    """
    import shutil  # no search needs it

    path = lexical_path(catalog)
    beside, old = (path.with_name(path.name + ending) for ending in (".new", ".old"))
    for left in (beside, old):  # by a crash
        shutil.rmtree(left, ignore_errors=True)
    try:
        dead, every = LexicalIndex.dead_share(path)
        if dead <= max(every - dead, sizes.dead_words) or beside.is_symlink():
            return
        generation = catalog.generation()
        _update(LexicalIndex.create(beside), catalog, generation)
        sums.note(catalog, beside, generation)
        path.rename(old)
        beside.rename(path)
    except (LexicalUnusable, OSError):
        shutil.rmtree(beside, ignore_errors=True)  # a cache that is too large is a cache
    shutil.rmtree(old, ignore_errors=True)


def delete(folder: Path) -> None:
    """Throw the word index of the index in `folder` away; the next search makes it again."""
    import shutil  # few searches need it

    shutil.rmtree(folder / "lexical", ignore_errors=True)


def in_memory(catalog: Catalog, at: int) -> LexicalIndex:
    """The word index of a catalog whose folder cannot be written."""
    index = LexicalIndex.create(None)
    _update(index, catalog, at)
    return index


def _update(index: LexicalIndex, catalog: Catalog, at: int, tell: Tell | None = None) -> None:
    since = index.generation
    came, went = catalog.documents.changes(since, at, max(index.generations.values()))
    total = catalog.documents.chunks_since(since) if tell else 0
    index.update(add=_rows(catalog, came, total, tell), remove_documents=went, generation=at)


def _rows(catalog: Catalog, documents: Iterable[int], total: int, tell: Tell | None) -> Iterator[tuple[int, int, str]]:
    """(chunk id, document id, text in context) of every chunk of these document versions: `total` to tell of."""
    from ragkit.positions import contextual_text  # few searches need it

    done = 0
    for document in documents:
        title = catalog.documents.title(document)
        for portion in catalog.chunks.portions(document):
            for stored in portion:
                yield stored.id, document, contextual_text(title, stored.chunk)
            done += len(portion)
            if tell:
                tell(done, total)
