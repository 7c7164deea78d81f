"""The nouns of bookkeeping: files as they were found, what kept them out, what a run did, what an index holds.

Apart from the nouns of searching and answering, which a cold search can then load without these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ragkit.types import Document, Metadata, Usage


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that kept text out of the index, and its cure. `page` where one page alone is concerned."""

    reason: str
    cure: str = ""
    page: int | None = None
    code: str = "unreadable"


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
    """What an index remembers of a file, to tell whether it changed. `root` is None for what is no file.

    `id` is that of its version: another version has another one. `chunks` is how many that has.
    """

    root: int | None
    sha256: str
    stamp: FileStamp
    problems: tuple[Problem, ...]
    id: int = 0
    chunks: int = 0


class FileStatus(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    FAILED = "failed"


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
    """What one run did. `files` holds every file that is not plainly unchanged, in order of source.

    There may be a million of them: after a run over a folder they are packed, and each is made when it is read.

    `moved` counts the chunks that went over to another embedding model, and are among `embedded` or `reused`; `model`
    is that model's name, empty for a run over a folder.
    `usage` is what was billed, after a dry run what would be; `estimated` where it was not counted text by text.
    """

    root: str
    index: str
    new: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    failed: int = 0
    embedded: int = 0
    reused: int = 0
    moved: int = 0
    files: Sequence[FileReport] = ()
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    estimated: bool = False
    seconds: float = 0.0
    model: str = ""

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
    """How far an indexing run has come: files looked at of files found, their chunks, the file in hand.

    `tokens` and `cost` are what was billed so far; where documents are moved to another model they stand for files.
    `pages` are those of the files that have pages. `bytes` of `total_bytes` are done with: files that had to be opened,
    and of those that are being embedded the share that is. `seconds` is the time since the run began.

    When it is `finishing`, all is stored, and what remains is to let searches find it: `findable` of `to_find` chunks
    are in the word index, after `finishing_seconds` of that.
    """

    files: int
    total: int
    chunks: int
    source: str = ""
    tokens: int = 0
    cost: float = 0.0
    pages: int = 0
    bytes: int = 0
    total_bytes: int = 0
    seconds: float = 0.0
    finishing: bool = False
    findable: int = 0
    to_find: int = 0
    finishing_seconds: float = 0.0

    @property
    def left(self) -> float | None:
        """About how many seconds are left, first of reading and then of finishing; None while nothing tells.

        What is left goes on as what was done went, byte for byte: files differ in length too much to be counted. Of
        documents that are moved no bytes are known, and they are counted.
        """
        if self.finishing:
            done, total, seconds = self.findable, self.to_find, self.finishing_seconds
        elif self.total_bytes:
            done, total, seconds = self.bytes, self.total_bytes, self.seconds
        else:
            done, total, seconds = self.files, self.total, self.seconds
        return seconds * (total - done) / done if done else None


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
    """The index as a whole. `size` is bytes on disk; `vectors` also counts those kept for reuse.

    `coded` vectors are found by codes, all others are looked at in every search. `recall` is the share of the ten
    nearest that codes find, measured on the index's own vectors, and None where there are no codes. Where it is too
    small, no vector is `coded`. `by_words` is whether vectors only repeat the words and are many: then a
    search compares those of what the words find. `other_vectors` of the `vectors` were made by another model, and no
    search sees them.

    `failed` files gave nothing; of `incomplete` documents, those among them, something is not in the index.

    The prefixes and `query_model` are those of the embedder that made the vectors; empty also where it is not known.
    """

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
    document_prefix: str = ""
    query_prefix: str = ""
    query_model: str = ""
    coded: int = 0
    recall: float | None = None
    incomplete: int = 0
    other_vectors: int = 0
    by_words: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check of the index looked at. `hint` is the command that mends it."""

    subject: str
    ok: bool
    message: str
    hint: str = ""
