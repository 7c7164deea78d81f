"""The nouns of documents and of searching. Frozen and slotted; they know nothing of files, models or storage.

Offsets are 0-based and half-open, in characters of the document's normalised text. Pages and lines are
1-based. A format without pages has page None, never page 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np

# Text, not objects: numpy takes longer to import than everything here, and annotations alone must not pay for it.
FloatMatrix: TypeAlias = "np.ndarray[tuple[int, int], np.dtype[np.float32]]"  # (n, d)
FloatVector: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.float32]]"  # (d,)
IntVector: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int64]]"  # (n,)

Metadata: TypeAlias = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and the offset where it stands in the text. Level 1 is the highest."""

    start: int
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its name and its landmarks.

    `source` is the identity: the POSIX path relative to the indexed folder, or any name that the caller
    chooses. `text` is NFC with \\n newlines. `page_starts[i]` is the offset where page i+1 begins; empty
    where the format has no pages. `metadata["title"]` is the title, where one is known.
    """

    source: str
    text: str
    sha256: str = ""
    media_type: str = "text/plain"
    page_starts: tuple[int, ...] = ()
    headings: tuple[Heading, ...] = ()
    metadata: Metadata = field(default_factory=dict)

    @property
    def title(self) -> str:
        return str(self.metadata.get("title", ""))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: `text == document.text[start:end]`, always.

    `heading` is the path of headings above it, outermost first, joined by " › ". `line` is the line of
    `start`, counted from the top of its page where the format has pages, else of the document.
    """

    source: str
    start: int
    end: int
    text: str
    page: int | None = None
    heading: str = ""
    line: int = 1


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found. `score` orders the list, higher is better, from 0 to 1 over what this search looked at.

    It compares with nothing else: another k looks at others. `scores` names each leg, whatever was looked at:
    "dense" is a cosine, "lexical" a BM25 sum; "fused" is what they make together, the score.
    `ranks` is the 1-based place in each leg that found it by itself. `metadata` is that of its document.
    """

    id: int
    chunk: Chunk
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)
    ranks: Mapping[str, int] = field(default_factory=dict)
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What an embedder puts before documents and queries; `query_model` where another model embeds queries."""

    document_prefix: str = ""
    query_prefix: str = ""
    query_model: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What providers billed; zeros where nothing was called.

    Of `prompt_tokens` the service took `precached_prompt_tokens` from its cache. `cost` is money in the
    currency of the configured prices, 0 where none are.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    embedding_tokens: int = 0
    precached_prompt_tokens: int = 0
    cost: float = 0.0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens + self.embedding_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.embedding_tokens + other.embedding_tokens,
            self.precached_prompt_tokens + other.precached_prompt_tokens,
            self.cost + other.cost,
        )
