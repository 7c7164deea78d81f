"""Compaction gives disk space back, part by part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ragkit.store.local import LocalStore
from ragkit.store.sizes import Sizes
from ragkit.types import Chunk, Document

DOCUMENTS, KEPT = 1500, 75
SIZES = Sizes(seal=400, bulk=500, kept_unused=50, small=5000, most_small=4)


def size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def test_removing_most_documents_gives_their_space_back(tmp_path: Path) -> None:
    """A twentieth stays: catalog, segments and word index each shrink to less than a fifth, and what stays is whole."""
    index = tmp_path / "index"
    store = LocalStore(index, sizes=SIZES)
    chance = np.random.default_rng(1)
    letters = np.array(list("abcdefghijklmnop"))
    with store.writing() as writer:
        writer.set_model("m", 128)
        for n in range(DOCUMENTS):
            words = [f"n{n}", *("".join(chance.choice(letters, 6)) for _ in range(40))]
            text = " ".join(words)
            writer.add_vectors([f"{n}".encode()], chance.normal(size=(1, 128)).astype(np.float32))
            writer.replace(Document(f"{n}", text, f"{n}"), [Chunk(f"{n}", 0, len(text), text)], [f"{n}".encode()])
            if n % 100 == 99:
                writer.commit()
    parts = [index / name for name in ("catalog.sqlite", "vectors", "lexical")]
    before = {part.name: size(part) for part in parts}
    with store.writing() as writer:
        for n in range(KEPT, DOCUMENTS):
            writer.remove(f"{n}")
    after = {part.name: size(part) for part in parts}
    shares = {name: after[name] / before[name] for name in before}
    assert max(shares.values()) < 0.2, shares
    assert [finding.message for finding in store.check() if not finding.ok] == []
    assert {hit.chunk.source for hit in store.search("n7", None, k=1)} == {"7"}
    assert len(store.search("", chance.normal(size=128).astype(np.float32), k=1000)) == KEPT
    store.close()
