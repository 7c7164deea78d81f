"""Moving an index to another embedding model, in the one transaction that its caller commits.

Until then searches see the old vectors, afterwards the new ones; both stand in the same files.
"""

from __future__ import annotations

from collections.abc import Callable

from ragkit.errors import StoreError
from ragkit.store.catalog import Catalog
from ragkit.types import Chunk, Preparation


def move(catalog: Catalog, model: str, key: Callable[[str, Chunk], bytes], preparation: Preparation) -> None:
    """Give every chunk the vector that `key` names for its title and text, and the index the model.

    The versions of documents that are gone must have been deleted: what they had is not embedded again. Raises
    StoreError where a vector is missing.
    """
    for id in catalog.documents.living():
        title = catalog.documents.title(id)
        chunks = catalog.chunks.of_document(id)
        keys = [key(title, stored.chunk) for stored in chunks]
        vectors = catalog.vectors.ids(set(keys))
        if lacking := sum(name not in vectors for name in keys):
            raise StoreError(
                f"{lacking} of {len(chunks)} chunks of {chunks[0].chunk.source} have no vector of {model}",
                "embed them first: ragkit index --reembed",
            )
        catalog.chunks.give_vectors(chunks, [vectors[name] for name in keys])
    spans = catalog.spans()
    catalog.set_meta("models", spans.text())
    catalog.remove_meta("moving_to")
    catalog.remove_meta("unused")  # all vectors from before are now: they are counted again
    if dimension := spans.dimension_of(model):
        catalog.set_meta("embedding_model", model)
        catalog.set_meta("dimension", str(dimension))
        catalog.set_preparation(preparation)
    else:  # an index without chunks: the first vector will tell
        catalog.remove_meta("embedding_model")
        catalog.remove_meta("dimension")
        catalog.remove_meta("preparation")
