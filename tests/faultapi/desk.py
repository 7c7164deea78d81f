"""A small folder, the index beside it, and what must be true of the index whatever the service did."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path

import numpy as np

from faultapi.healthy import unit_of
from ragkit.chunking import RecursiveChunker
from ragkit.loaders.isolation import ParserPool
from ragkit.positions import contextual_text
from ragkit.protocols import Embedder
from ragkit.providers.pieces import pieces
from ragkit.rag import RAG
from ragkit.store.local import LocalStore

FILES, PARAGRAPHS = 6, 10
CHUNKS = FILES * PARAGRAPHS


def fill(folder: Path) -> Path:
    """Six files of ten paragraphs, each a chunk; two are a little longer than the others."""
    folder.mkdir()
    for i in range(FILES):
        paragraphs = [
            f"Договор {i}, пункт {j}: залог возвращается арендатору на его счёт за {10 * i + j} дней."
            + " Срок." * 6 * (j == 3)
            for j in range(PARAGRAPHS)
        ]
        (folder / f"{i}.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")
    return folder


def mean_of(parts: list[str]) -> np.ndarray:
    """The direction of a text in pieces, which count by their lengths."""
    mean = np.average([unit_of(part) for part in parts], axis=0, weights=[len(part) for part in parts])
    return mean / np.linalg.norm(mean)


class Desk:
    """Runs over one folder into one index. The processes that read files serve all runs."""

    def __init__(self, place: Path, folder: Path, parsers: ParserPool) -> None:
        self.index = place / "index"
        self.folder = folder
        self._parsers = parsers

    def rag(self, embedder: Embedder) -> RAG:
        return RAG(
            LocalStore(self.index),
            embedder,
            RecursiveChunker(size=130, overlap=0),
            lambda: nullcontext(self._parsers),
            max_file_size=1 << 20,
        )

    def stored(self) -> dict[str, np.ndarray]:
        """Text that was embedded and unit vector of each chunk that is in the index."""
        with closing(LocalStore(self.index)) as store:
            titles = {info.source: store.document(info.source).title for info in store.documents()}
            chunks, rows = store.vectors(1 << 30)
            texts = [contextual_text(titles[chunk.source], chunk) for _, chunk in chunks]
            assert len(set(texts)) == len(texts)
            return dict(zip(texts, rows, strict=True))

    def vectors(self) -> int:
        """How many rows are stored, those of documents that wait for their other half among them."""
        with closing(LocalStore(self.index)) as store:
            return store.status().vectors

    def check(self, *, cut: int = 0) -> None:
        """Every vector is that of its text, and the index is sound. A text longer than `cut` may have been cut."""
        for text, row in self.stored().items():
            ways = [[text], pieces(text, max(2, -(-len(text) // int(cut * 0.9))))] if 0 < cut < len(text) else [[text]]
            assert any(np.allclose(row, mean_of(parts), atol=5e-4) for parts in ways), text
        with closing(LocalStore(self.index)) as store:
            assert all(finding.ok for finding in store.check())
