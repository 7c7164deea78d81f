"""Moving an index to another embedding model without a moment in which it cannot be searched.

No file is read: the texts are those that the index holds. What was paid for is kept, whatever stops the run, and the
next one embeds the rest; the last commit of all makes the new model the one that is searched with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ragkit.budget import Budget
from ragkit.embedding_run import EmbeddingRun, Wanted, preparation_of
from ragkit.positions import contextual_text
from ragkit.protocols import Embedder, Writer
from ragkit.reports import IndexReport, Progress


def reembed(
    writer: Writer,
    embedder: Embedder,
    index: Path,
    *,
    progress: Callable[[Progress], None] | None = None,
    budget: Budget | None = None,
    dry_run: bool = False,
) -> IndexReport:
    """Embed what the index holds with `embedder`, and search with that from then on. Nothing to do where it is so."""
    began = time.monotonic()
    total = sum(1 for _ in writer.listed())
    documents = chunks = 0
    source = ""

    def show() -> None:
        if progress:
            spent, seconds = run.spent, time.monotonic() - began
            progress(Progress(documents, total, chunks, source, spent.total_tokens, spent.cost, seconds=seconds))

    run = EmbeddingRun(writer, embedder, budget=budget, dry_run=dry_run, moving=True, arrived=show)
    elsewhere = writer.model not in ("", embedder.model)

    def wanted() -> Iterator[Wanted]:
        nonlocal documents, chunks, source
        for title, passages in writer.passages():
            texts = [contextual_text(title, chunk) for chunk in passages]
            source = passages[-1].source if passages else source
            yield Wanted([run.key(text) for text in texts], texts.__getitem__)
            documents += 1
            chunks += len(passages)
            show()

    with run.open():
        run.embed_all(wanted())
        if elsewhere and not dry_run:
            writer.move_to(
                embedder.model,
                lambda title, chunk: run.key(contextual_text(title, chunk)),
                preparation_of(embedder),
            )
    usage, estimated = run.usage()
    return IndexReport(
        "",
        str(index),
        unchanged=documents,
        embedded=run.embedded,
        reused=chunks - run.embedded,
        moved=chunks if elsewhere else 0,
        usage=usage,
        estimated=estimated,
        seconds=time.monotonic() - began,
        model=embedder.model,
    )
