"""The nouns. Frozen and slotted; they know nothing of files, models or storage.

Offsets are 0-based and half-open, in characters of the document's normalised text. Pages and lines are
1-based. A format without pages has page None, never page 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
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
    """A chunk that was found. `score` orders the list, higher is better, within one query only.

    `scores` names each leg: "dense" is a cosine, "lexical" a BM25 sum, "fused" what they make together.
    `ranks` is the 1-based place in each leg that found it by itself.
    """

    id: int
    chunk: Chunk
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)
    ranks: Mapping[str, int] = field(default_factory=dict)


class Verification(StrEnum):
    """How a quote was found in the stored text of its document."""

    EXACT = "exact"
    NORMALIZED = "normalized"
    NOT_FOUND = "not_found"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote and the place where it stands; page and line belong to the quote, not to its chunk.

    A quote that was not found stands nowhere: start, end and line are 0, and `quote` is what the answer says.
    """

    marker: str
    source: str
    page: int | None
    line: int
    start: int
    end: int
    quote: str
    verification: Verification


class Support(StrEnum):
    """What stands behind a sentence of an answer: a quote that was found, one that was not, or no source at all."""

    VERIFIED = "verified"
    NOT_FOUND = "not_found"
    UNCITED = "uncited"


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of an answer, `answer.text[start:end]`, and the numbers of the sources that it names."""

    text: str
    start: int
    end: int
    support: Support
    markers: tuple[int, ...] = ()


class Status(StrEnum):
    ANSWERED = "answered"
    PARTIAL = "partial"
    REFUSED = "refused"


class Refusal(StrEnum):
    """Why a question is not answered. "nothing_indexed": also where no document fulfils the conditions."""

    NOTHING_INDEXED = "nothing_indexed"
    NOTHING_RELEVANT = "nothing_relevant"
    NOT_IN_SOURCES = "not_in_sources"
    FILTERED = "filtered"  # by the service


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


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` with markers [1], [2], … that `citations` resolve. `reason` says in words why it is not a whole answer.

    `refusal` is set where the status is REFUSED, and nowhere else; `hits` are then the nearest that there are.
    `mode` says who wrote it: "extractive" for sentences taken verbatim, with no model; "generative" for a model
    that was given passages, "agentic" for one that looked for them, "attached" for one that read whole documents.
    `timings` are seconds by step. `notes` tell what else the reader should know. `statements` are the sentences of
    the text with their support, empty where nobody has compared them with the sources. `dropped` names the passages
    that the prompt had no room for.
    """

    question: str
    text: str
    status: Status
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    reason: str = ""
    mode: str = "extractive"
    model: str = ""
    usage: Usage = Usage()
    timings: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    dropped: tuple[str, ...] = ()
    refusal: Refusal | None = None

    @classmethod
    def refused(
        cls,
        question: str,
        refusal: Refusal,
        reason: str,
        *,
        mode: str = "extractive",
        hits: Sequence[Hit] = (),
        dropped: Sequence[str] = (),
    ) -> Answer:
        """No answer, and why."""
        return cls(
            question,
            "",
            Status.REFUSED,
            hits=tuple(hits),
            reason=reason,
            mode=mode,
            dropped=tuple(dropped),
            refusal=refusal,
        )
