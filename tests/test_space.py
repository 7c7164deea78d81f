"""Compaction gives disk space back, part by part."""

from __future__ import annotations

import shutil
import sys
from contextlib import closing
from pathlib import Path
from types import FrameType

import numpy as np

from ragkit.store.catalog import Catalog
from ragkit.store.local import LocalStore
from ragkit.store.sizes import Sizes
from ragkit.store.wordindex import lexical_path, shrink
from ragkit.types import Chunk, Document

DOCUMENTS, KEPT = 1500, 75
SIZES = Sizes(seal=400, kept_unused=50, small=5000, most_small=4)
SMALL = Sizes(dead_words=3)


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


def test_vectors_that_become_a_segment_leave_no_room_behind_in_the_catalog(tmp_path: Path) -> None:
    """They wait there, committed, until there are enough of them."""
    index = tmp_path / "index"
    chance = np.random.default_rng(1)
    sizes = []
    for vectors in (399, 401):
        store = LocalStore(index, sizes=Sizes(seal=400, free=4096))
        with store.writing() as writer:
            writer.set_model("m", 1024)
            for n in range(vectors):
                text = f"{vectors} {n}"
                writer.add_vectors([text.encode()], chance.normal(size=(1, 1024)).astype(np.float32))
                writer.replace(Document(text, text), [Chunk(text, 0, len(text), text)], [text.encode()])
        sizes.append(size(index / "catalog.sqlite"))
        store.close()
    assert sizes[0] > 399 * 2048
    assert sizes[1] < sizes[0] - 200 * 2048
    with closing(LocalStore(index)) as store:
        assert [finding.message for finding in store.check() if not finding.ok] == []


def test_a_death_while_the_word_index_is_made_anew_costs_nothing(tmp_path: Path) -> None:
    """At every step: what was left beside the old one is taken away, and searches find what is there."""
    made = LocalStore(tmp_path / "made")
    with made.writing() as writer:
        writer.set_model("m", 2)
        for n in range(12):
            text, key = f"red n{n}", f"{n}".encode()
            writer.add_vectors([key], np.ones((1, 2), np.float32))
            writer.replace(Document(f"{n}", text, f"{n}"), [Chunk(f"{n}", 0, len(text), text)], [key])
    with made.writing() as writer:
        for n in range(3, 12):
            writer.remove(f"{n}")
    made.close()
    step, died = 0, True
    while died:
        step += 1
        index = shutil.copytree(tmp_path / "made", tmp_path / f"{step}")
        catalog = Catalog(index)
        words = lexical_path(catalog)
        died = dies_at(step, catalog)
        catalog.close()
        store = LocalStore(index, sizes=SMALL)
        assert {hit.chunk.source for hit in store.search("red", None, k=20)} == {"0", "1", "2"}
        with store.writing():
            pass
        assert {hit.chunk.source for hit in store.search("red", None, k=20)} == {"0", "1", "2"}
        assert [finding.message for finding in store.check() if not finding.ok] == []
        assert [path.name for path in (index / "lexical").iterdir()] == [words.name]
        store.close()
    assert step > 8


def dies_at(step: int, catalog: Catalog) -> bool:
    """Whether shrinking the word index was stopped, at the call of that number that it makes itself."""
    calls = iter(range(1, 1000))

    def die(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_back and frame.f_back.f_code is shrink.__code__ and next(calls) == step:
            raise KeyboardInterrupt

    sys.setprofile(die)
    try:
        shrink(catalog, SMALL)
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False
