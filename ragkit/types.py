"""The nouns. Frozen and slotted; they know nothing of files, models or storage.

Offsets are 0-based and half-open, in characters of the document's normalised text. Pages and lines are
1-based. A format without pages has page None, never page 1.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    """A quote and the place where it stands; page and line belong to the quote, not to its chunk."""

    marker: str
    source: str
    page: int | None
    line: int
    start: int
    end: int
    quote: str
    verification: Verification


class Status(StrEnum):
    ANSWERED = "answered"
    PARTIAL = "partial"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a provider billed; zeros where nothing was called."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` with markers [1], [2], … that `citations` resolve. `reason` says why, where it was refused.

    `mode` says who wrote it: "extractive" for sentences taken verbatim, with no model. `timings` are
    seconds by step.
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


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Size and time of a file when it was read, `checked_ns` the wall clock then; zeros for no file.

    `sidecar` is the size and time of the file with its metadata, where there is one.
    """

    size: int = 0
    mtime_ns: int = 0
    checked_ns: int = 0
    sidecar: str = ""


@dataclass(frozen=True, slots=True)
class Root:
    """An indexed folder. The sources below it are `prefix` + the path relative to it."""

    id: int
    path: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Known:
    """What an index remembers of a file, to tell whether it changed. `root` is None for what is no file."""

    root: int | None
    sha256: str
    stamp: FileStamp
    problems: tuple[Problem, ...]


class FileStatus(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that kept text out of the index, and its cure. `page` where one page alone is concerned."""

    reason: str
    cure: str = ""
    page: int | None = None
    code: str = "unreadable"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file. `notes` tell what was decided for it, such as a guessed encoding."""

    source: str
    status: FileStatus
    chunks: int = 0
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one run did. `files` holds every file that is not plainly unchanged, in order of source."""

    root: str
    index: str
    new: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    failed: int = 0
    embedded: int = 0
    reused: int = 0
    files: tuple[FileReport, ...] = ()
    usage: Usage = Usage()
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every file and every page of the folder is in the index."""
        return not any(report.problems for report in self.files)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a loader makes of one file: the document, the pages it could not read, what it decided."""

    document: Document
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an indexing run has come: files looked at of files found, chunks stored, the file in hand."""

    files: int
    total: int
    chunks: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """What the index knows of one document, without its text. `modified` and `indexed` are ISO 8601, UTC.

    `problems` tell what of the file is not in the index; a file that gave nothing at all has `chunks` 0
    and is listed with the reason.
    """

    source: str
    media_type: str = ""
    title: str = ""
    characters: int = 0
    pages: int | None = None
    chunks: int = 0
    size: int = 0
    sha256: str = ""
    modified: str = ""
    indexed: str = ""
    metadata: Metadata = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index as a whole. `size` is bytes on disk; `vectors` also counts those kept for reuse."""

    path: str
    format: int
    generation: int
    documents: int
    chunks: int
    vectors: int
    failed: int
    size: int
    embedding_model: str
    dimension: int
    created: str
    changed: str
    roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check of the index looked at. `hint` is the command that mends it."""

    subject: str
    ok: bool
    message: str
    hint: str = ""
