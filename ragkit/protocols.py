"""The seams. What fills them imports nothing from here: conformity is one contract test over every filling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

if TYPE_CHECKING:
    from ragkit.types import Chunk, Document, FloatMatrix, FloatVector, Hit, Loaded

# A file's bytes, open for reading at the start, and its source name -> the text with its landmarks.
# Raises LoadError.
Loader: TypeAlias = "Callable[[BinaryIO, str], Loaded]"
Chunker: TypeAlias = "Callable[[Document], list[Chunk]]"
Reranker: TypeAlias = "Callable[[str, Sequence[Hit]], list[Hit]]"


class Embedder(Protocol):
    """Texts to vectors. Rows need not be normalised: the store does that, in one place."""

    @property
    def model(self) -> str:
        """Name and version. Vectors of two different names are never mixed in one index."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> FloatMatrix:
        """(n, d) float32, row i for text i; (0, d) for no texts."""
        ...

    def embed_query(self, text: str) -> FloatVector:
        """(d,) float32; comparable by cosine with the rows of `embed_documents`."""
        ...
