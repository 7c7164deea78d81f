"""An answer from passages of documents that are in no index yet. The index is made by what is handed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol, TypeVar

from ragkit.metering import metered

if TYPE_CHECKING:
    from ragkit.answers import Answer
    from ragkit.routing import Route
    from ragkit.types import Document


class Adds(Protocol):
    """As much of an index as is needed to put documents into it."""

    def add(self, documents: Iterable[Document]) -> object: ...


Index = TypeVar("Index", bound=Adds)


def answer_by_retrieval(
    documents: Sequence[Document],
    route: Route,
    *,
    opened: Callable[[Path], AbstractContextManager[Index]],
    ask: Callable[[Index], Answer],
    place: Path | None = None,
) -> Answer:
    """What `ask` answers once the documents are in an index, with the reason for the route as the first of its notes.

    Usage is that of indexing and asking; `timings` tell of "index" too.

    Args:
        opened: the index in a folder, which is made if need be.
        place: the folder of an index that stays, so that the documents are embedded once; None for one that is
            deleted afterwards. Where it holds others too, `ask` has to look at these documents only.
    """
    began = time.perf_counter()
    with (
        TemporaryDirectory(prefix="ragkit-") as temporary,
        metered() as meter,
        opened(place or Path(temporary) / "index") as index,
    ):
        index.add(documents)
        took = time.perf_counter() - began
        answer = ask(index)
    return replace(
        answer, usage=meter.usage, notes=(route.reason, *answer.notes), timings={"index": took, **answer.timings}
    )
