"""How many vectors nothing uses is known without looking at all of them: never too few, so none are kept for ever."""

import random
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ragkit.store.catalog import Catalog
from ragkit.store.local import LocalStore
from ragkit.store.sizes import Sizes
from ragkit.types import Chunk, Document, Preparation

SIZES = Sizes(seal=40, kept_unused=20, small=200, most_small=4)


def unused(index: Path) -> tuple[int, int]:
    """Those that there are, and what is noted of them."""
    with closing(Catalog(index, write=True)) as catalog:
        catalog.begin()
        noted = catalog.vectors.most_unused()
        found = len(catalog.vectors.unused())
        catalog.rollback()
        return found, noted


@pytest.mark.parametrize("seed", range(2))
def test_never_too_few_are_noted(tmp_path: Path, seed: int) -> None:
    """Whatever is written, written again, removed, moved to another model, or added and not used."""
    chance = random.Random(seed)
    store = LocalStore(tmp_path / "index", sizes=SIZES)
    model = "m/0"
    for step in range(12):
        with store.writing() as writer:
            if step == 0:
                writer.set_model(model, 4)
            for _ in range(chance.randrange(4)):
                texts = [f"{model} {chance.randrange(60)}" for _ in range(chance.randrange(1, 12))]
                keys = {text: f"{model} {text}".encode() for text in texts}
                new = sorted(set(keys.values()) - writer.stored(keys.values()))
                if new:
                    writer.add_vectors(new, np.random.default_rng(step).standard_normal((len(new), 4)))
                whole = " ".join(texts)
                starts = [sum(len(text) + 1 for text in texts[:n]) for n in range(len(texts))]
                chunks = [Chunk("d", at, at + len(text), text) for at, text in zip(starts, texts, strict=True)]
                name = f"d{chance.randrange(5)}"
                if chance.random() < 0.8:
                    writer.replace(Document(name, whole, whole), chunks, [keys[text] for text in texts])
                if chance.random() < 0.3:
                    writer.remove(f"d{chance.randrange(5)}")
                if chance.random() < 0.3:
                    writer.commit()
        found, noted = unused(tmp_path / "index")
        assert found <= noted
        assert noted <= found + 150
    with store.writing() as writer:
        old = sorted({chunk.text for _, chunks in writer.passages() for chunk in chunks})
        writer.add_vectors([f"m/1 {text}".encode() for text in old], np.eye(len(old), 4) + 1, model="m/1")
        writer.move_to("m/1", lambda _, chunk: f"m/1 {chunk.text}".encode(), Preparation())
    found, noted = unused(tmp_path / "index")
    assert found <= noted
    store.close()


def test_what_is_noted_is_put_right_when_all_are_looked_at(tmp_path: Path) -> None:
    """And by a repair, which counts again."""
    store = LocalStore(tmp_path / "index", sizes=SIZES)
    with store.writing() as writer:
        writer.set_model("m/1", 4)
        writer.add_vectors([b"a", b"b"], np.eye(2, 4))
        writer.replace(Document("d", "a", "1"), [Chunk("d", 0, 1, "a")], [b"a"])
    assert unused(tmp_path / "index") == (1, 1)
    for _ in range(5):  # the vector of "a" is in use all the time
        with store.writing() as writer:
            writer.replace(Document("d", "a", "1"), [Chunk("d", 0, 1, "a")], [b"a"])
    assert unused(tmp_path / "index") == (1, 6)
    with closing(Catalog(tmp_path / "index", write=True)) as catalog:
        catalog.begin()
        catalog.vectors.note_unused(len(catalog.vectors.unused()))
        catalog.commit()
    assert unused(tmp_path / "index") == (1, 1)
    store.close()
