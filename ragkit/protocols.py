"""The seams. What fills them imports nothing from here: conformity is one contract test over every filling."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from ragkit.budget import Budget
    from ragkit.filters import Condition
    from ragkit.messages import (
        ChatOptions,
        Completion,
        Delta,
        Function,
        FunctionChoice,
        Image,
        ImageOptions,
        Message,
        RemoteFile,
        TokenCount,
    )
    from ragkit.reports import DocumentInfo, FileStamp, Finding, IndexStatus, Known, Loaded, Problem, Root
    from ragkit.types import Chunk, Document, FloatMatrix, FloatVector, Hit, IntVector, Preparation

Chunker: TypeAlias = "Callable[[Document], list[Chunk]]"
Reranker: TypeAlias = "Callable[[str, Sequence[Hit]], list[Hit]]"


class Embedder(Protocol):
    """Texts to vectors. Rows need not be normalised: the store does that, in one place."""

    @property
    def model(self) -> str:
        """Name and version. Vectors of two different names are never mixed in one index."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> FloatMatrix:
        """(n, d) float32, row i for text i, none of them zero, whatever the text; (0, d) for no texts."""
        ...

    def embed_query(self, text: str) -> FloatVector:
        """(d,) float32; comparable by cosine with the rows of `embed_documents`."""
        ...


@runtime_checkable
class PreparedEmbedder(Embedder, Protocol):
    """An embedder that tells documents from queries by more than the method that is called."""

    @property
    def preparation(self) -> Preparation:
        """Kept in the index, to be compared with that of whoever searches it."""
        ...


@runtime_checkable
class BatchEmbedder(Embedder, Protocol):
    """An embedder behind a service: it is paid for, and several of its requests are on their way at once."""

    def embed_batches(
        self, texts: Sequence[str], *, budget: Budget | None = None
    ) -> Iterator[tuple[IntVector, FloatMatrix]]:
        """Batches as they arrive, in any order: places in `texts` (n,), and their rows (n, d) float32.

        Where a request fails, what else was paid for is handed over first; then the error is raised. Where it is a
        generator, that goes for what its reader throws in too.
        """
        ...

    def count_tokens(self, texts: Sequence[str]) -> tuple[list[int], bool]:
        """What embedding each text would be billed, in tokens; and whether that is counted rather than estimated."""
        ...

    def price_of(self, tokens: int) -> float:
        """Money for embedding that many tokens; 0 where no price is configured."""
        ...


@runtime_checkable
class StreamEmbedder(BatchEmbedder, Protocol):
    """A BatchEmbedder that takes texts as it has room for them, so that its slots are busy while files are read."""

    def embed_stream(
        self, texts: Iterable[str | None], *, budget: Budget | None = None
    ) -> Iterator[tuple[IntVector, FloatMatrix]]:
        """As `embed_batches`; places count texts and not None, which says that the next text is not there yet.

        Then what has arrived is handed over, without waiting for more, and `texts` are asked again. They are taken
        in the thread that reads the batches. An error of theirs is raised after what else was paid for.
        """
        ...


@runtime_checkable
class WatchedEmbedder(BatchEmbedder, Protocol):
    """A model behind a name: whoever runs it may put another one in its place without a word."""

    @property
    def canary(self) -> str:
        """A short text. Whether its vector stays the same tells whether the model does."""
        ...


class ChatModel(Protocol):
    """Messages to an answer. Usage goes to the caller's meter, and into the completion."""

    @property
    def chat_model(self) -> str: ...

    def complete(
        self,
        messages: Sequence[Message],
        *,
        functions: Sequence[Function] = (),
        function_call: FunctionChoice = "none",
        options: ChatOptions | None = None,
    ) -> Completion: ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        functions: Sequence[Function] = (),
        function_call: FunctionChoice = "none",
        options: ChatOptions | None = None,
    ) -> Iterator[Delta]:
        """Pieces of the answer, the last with the whole completion. Raises StreamInterrupted with what had come."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """A service that says how long a text is for its models."""

    def count_tokens(self, texts: Sequence[str], model: str = "") -> tuple[list[TokenCount], bool]:
        """The length of each text; and whether that was counted rather than estimated."""
        ...


@runtime_checkable
class FileStore(Protocol):
    """Files that a service keeps, and models can read."""

    @property
    def account(self) -> str:
        """A name for service and account that gives neither away: an id of a file means something only there."""
        ...

    def upload(self, path: str | Path, *, name: str = "", purpose: str = "general") -> RemoteFile: ...

    def files(self) -> list[RemoteFile]: ...

    def file(self, id: str) -> RemoteFile: ...

    def content(self, id: str) -> bytes: ...

    def delete(self, id: str) -> bool: ...


@runtime_checkable
class ImageModel(Protocol):
    """Words to pictures."""

    def generate(self, prompt: str, options: ImageOptions | None = None) -> Iterator[Image]:
        """Pictures one after another: those that came are kept where a later one fails."""
        ...


class Parsers(Protocol):
    """What reads files, for as long as one run. `load` is called from `workers` threads at once."""

    @property
    def workers(self) -> int: ...

    def load(self, file: BinaryIO, source: str) -> Loaded:
        """The text of an open file with its landmarks. Raises LoadError with the reason and the cure."""
        ...


class Writer(Protocol):
    """All changes of an index. What stands between two calls of `commit` becomes true together or not at all."""

    @property
    def failed(self) -> bool: ...

    def known(self, sources: Collection[str]) -> Mapping[str, Known]:
        """What is remembered of those of these documents that are here."""
        ...

    def listed(self, root: int | None = None) -> Iterator[tuple[int, str]]:
        """Id and source of every document, or of those of one root, in order of id; nothing is changed meanwhile."""
        ...

    def failures(self, root: int | None = None) -> Iterator[tuple[int, str]]:
        """The same of every file that gave nothing; a file has another id once it fails again."""
        ...

    def known_failures(self, sources: Collection[str], root: int) -> Mapping[str, int]:
        """The id of each of these files that gave nothing, by source, where it is the root's."""
        ...

    def document(self, source: str) -> Document | None: ...

    def passages(self) -> Iterator[tuple[str, Sequence[Chunk]]]:
        """Title and chunks of every document, as they will be after the next commit."""
        ...

    def stored(self, keys: Iterable[bytes]) -> set[bytes]:
        """Which of these keys have a vector already."""
        ...

    def waiting(self) -> Sequence[tuple[str, int, Chunk]]:
        """Title, id and chunk of everything that lost its vector in a repair."""
        ...

    def end_waiting(self, keys: Mapping[int, bytes]) -> None:
        """Give chunks that wait, by id, the vectors under these keys; those that have none yet go on waiting."""
        ...

    @property
    def model(self) -> str:
        """The model that the index is searched with; empty before there are vectors."""
        ...

    def check_model(self, model: str) -> None:
        """Raises IndexMismatch where the index is searched with another one."""
        ...

    def set_model(self, model: str, dimension: int, preparation: Preparation = ...) -> None:
        """Say what makes the vectors. Raises IndexMismatch where another model made those that are there."""
        ...

    def canary(self, model: str) -> tuple[str, FloatVector] | None:
        """The text that is kept to recognise a model by, and the vector (d,) that the model made of it then."""
        ...

    def keep_canary(self, model: str, text: str, vector: FloatVector) -> None: ...

    def add_vectors(self, keys: Sequence[bytes], vectors: FloatMatrix, *, model: str = "") -> None:
        """(n, d) float32, row i for key i; rows of any length but zero.

        Those of another `model` than the index's are kept beside them, and no search sees them until `move_to`.
        """
        ...

    def move_to(self, model: str, key: Callable[[str, Chunk], bytes], preparation: Preparation = ...) -> None:
        """Search with another model from the next commit on: `key` names the new vector of a chunk under a title.

        Raises StoreError where a vector is missing; nothing is changed then.
        """
        ...

    def replace(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        keys: Sequence[bytes],
        *,
        root: int | None,
        stamp: FileStamp,
        problems: Sequence[Problem],
    ) -> None:
        """Put a document in the place of the one with its source. Every key has a vector by now."""
        ...

    def remove(self, source: str) -> int: ...

    def touch(self, source: str, stamp: FileStamp) -> None: ...

    def fail(self, source: str, root: int | None, stamp: FileStamp, problems: Sequence[Problem]) -> None: ...

    def roots(self) -> Sequence[Root]: ...

    def add_root(self, path: str, prefix: str) -> Root: ...

    def remove_root(self, root: Root) -> None: ...

    def cut_by(self, root: Root, recipe: str) -> int:
        """Documents of a root are cut by this from now on; gives the least id of those that were already."""
        ...

    def commit(self) -> None: ...

    def publish(self, tell: Callable[[int, int], None] | None = None) -> None:
        """Let searches see what was committed, at a time when bringing caches up to date is worth it.

        `tell` is told now and then how many chunks of how many they find by now.
        """
        ...


class Store(Protocol):
    """Documents, chunks and vectors. `search` takes words and vector together: fusion happens where the data is."""

    @property
    def path(self) -> Path: ...

    def writing(self, *, discard: bool = False) -> AbstractContextManager[Writer]: ...

    def remove(self, *sources: str) -> int: ...

    def check_model(self, model: str, preparation: Preparation | None = None) -> None:
        """Raises IndexMismatch where another model made the vectors. Another preparation is warned of, once."""
        ...

    def search(
        self, query: str, vector: FloatVector | None, *, k: int, conditions: Sequence[Condition] = (), model: str = ""
    ) -> list[Hit]:
        """The k best passages. Raises IndexMismatch where `model`, which made the vector, is no longer the index's."""
        ...

    def idf(self, terms: Sequence[str]) -> Mapping[str, float]: ...

    def documents(self, conditions: Sequence[Condition] = ()) -> list[DocumentInfo]: ...

    def document(self, source: str) -> Document: ...

    def neighbours(self, id: int, before: int, after: int) -> list[Hit]:
        """A chunk with those around it, in order, score 0. Raises ConfigError for an id that is not in the index."""
        ...

    def vectors(self, limit: int, wanted: Collection[int] = ()) -> tuple[list[tuple[int, Chunk]], FloatMatrix]:
        """At most `limit` chunks with their ids, ascending, and their unit vectors (n, d).

        Where there are more chunks they are taken at even distances. Those whose ids are `wanted` are among them,
        beyond the limit where need be; an id that is not in the index is left out.
        """
        ...

    def status(self) -> IndexStatus: ...

    def check(self, *, data: bool = True, subset: tuple[int, int] = (1, 1)) -> list[Finding]:
        """Compare every stored byte with its checksum, or the n-th of m parts; without `data` look at the shape."""
        ...

    def repair(
        self, cut: Callable[[Document], Sequence[Chunk]], key: Callable[[str, str, Chunk], bytes]
    ) -> list[Finding]:
        """Save what can be saved: `cut` cuts documents again, `key` names the vector of model, title and chunk."""
        ...

    def close(self) -> None: ...
