"""The local store, driven at random, against a dictionary: whatever happens to it, its answers are the dictionary's."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from paid import PaidEmbedder
from toys import ColourEmbedder, colour_rag

from ragkit.embedding_run import vector_key
from ragkit.errors import ConfigError, IndexMismatch, IndexNotFound
from ragkit.rag import RAG
from ragkit.store.local import LocalStore
from ragkit.store.writer import BULK_ROWS
from ragkit.types import Chunk, Document

SOURCES = st.sampled_from(["a.txt", "b.txt", "sub/a.txt", "sub/c.txt", "заметка.md"])
COLOURS = st.lists(st.sampled_from(["red", "green", "blue", "plain"]), min_size=1, max_size=6)
# Two models whose cosines are the same, because the second only adds zeros: a move must change no answer.
EMBEDDERS = (ColourEmbedder(), PaidEmbedder("seven/1", dimension=7))


class Interrupted(Exception):
    pass


class Index(RuleBasedStateMachine):
    """`model` is what the index must hold: text by source. Every text has a word that no other ever had."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name) / "index"
        self.rag = colour_rag(self.folder)
        self.watcher: RAG = colour_rag(self.folder)  # stays open, whatever the other does
        self.model: dict[str, str] = {}
        self.texts = 0
        self.bulks = 0
        self.embedder, self.other = EMBEDDERS

    def teardown(self) -> None:
        try:
            if self.folder.exists():
                self.rag.search("red")  # makes the word index where it was lost
                assert [finding for finding in self.rag.check() if not finding.ok] == []
        finally:
            self.rag.close()
            self.watcher.close()
            self.place.cleanup()

    def text(self, colours: list[str]) -> str:
        self.texts += 1
        return f"{' '.join(colours)} word{self.texts}x"

    @initialize()
    def nothing(self) -> None:
        with pytest.raises(IndexNotFound):
            self.rag.search("red")

    # -- changes

    @rule(sources=st.lists(SOURCES, min_size=1, max_size=3), colours=COLOURS)
    def add(self, sources: list[str], colours: list[str]) -> None:
        documents = [Document(source, self.text(colours)) for source in sources]
        report = self.rag.add(documents)
        assert report.new == len(set(sources) - self.model.keys())
        assert report.new + report.changed == len(sources)
        self.model.update((document.source, document.text) for document in documents)

    @rule(source=SOURCES)
    def add_the_same_again(self, source: str) -> None:
        if source in self.model:
            report = self.rag.add([Document(source, self.model[source])])
            assert (report.unchanged, report.embedded) == (1, 0)

    @rule(source=SOURCES)
    def remove(self, source: str) -> None:
        if self.folder.exists():
            assert self.rag.remove(source) == (source in self.model)
            self.model.pop(source, None)

    @rule()
    def remove_a_folder(self) -> None:
        if self.folder.exists():
            below = [source for source in self.model if source.startswith("sub/")]
            assert self.rag.remove("sub/*") == len(below)
            for source in below:
                del self.model[source]

    @rule(source=SOURCES, colours=COLOURS, remove=SOURCES, commit=st.booleans())
    def a_writer_is_interrupted(self, source: str, colours: list[str], remove: str, commit: bool) -> None:
        text = self.text(colours)

        def work() -> None:
            with LocalStore(self.folder).writing() as writer:
                vectors = self.embedder.embed_documents([text])
                writer.set_model(self.embedder.model, vectors.shape[1])
                key = vector_key(self.embedder.model, text)
                writer.add_vectors([key], vectors)
                document = Document(source, text, hashlib.sha256(text.encode()).hexdigest())
                writer.replace(document, [Chunk(source, 0, len(text), text)], [key])
                if commit:
                    writer.commit()
                    self.model[source] = text
                writer.remove(remove)
                raise Interrupted

        with pytest.raises(Interrupted):
            work()

    # -- what must change nothing

    @rule()
    def reopen(self) -> None:
        self.rag.close()
        self.rag = colour_rag(self.folder, self.embedder)

    @rule()
    def lose_the_word_index(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder / "lexical", ignore_errors=True)
            self.rag.close()

    @rule()
    def a_writer_does_nothing(self) -> None:
        """Its close compacts."""
        if self.folder.exists():
            with LocalStore(self.folder).writing():
                pass

    @rule()
    def vectors_come_that_nothing_uses(self) -> None:
        """So many that they are sealed in a segment, and that some are dropped when a document goes."""
        if self.model:
            self.bulks += 1
            size = (6 * BULK_ROWS, len(self.embedder.embed_query("")))
            rows = np.random.default_rng(self.bulks).normal(size=size).astype(np.float32)
            keys = [f"{self.bulks}/{i}".encode() for i in range(len(rows))]
            with LocalStore(self.folder).writing() as writer:
                writer.add_vectors(keys, rows)

    # -- another model

    @rule()
    def move(self) -> None:
        """The index goes over, with whatever a move that stopped had embedded; the old model is refused."""
        if self.model:
            with colour_rag(self.folder, self.other) as mover:
                report = mover.reembed()
                assert (report.moved, report.unchanged) == (len(self.model), len(self.model))
            with pytest.raises(IndexMismatch):
                self.rag.search("red")
            self.embedder, self.other = self.other, self.embedder
            for old in (self.rag, self.watcher):
                old.close()
            self.rag, self.watcher = (colour_rag(self.folder, self.embedder) for _ in range(2))

    @rule()
    def a_move_stops(self) -> None:
        """One text is embedded, the index is what it was, and the next move need not embed that one."""
        if self.model:
            text = sorted(self.model.values())[0]
            key = vector_key(self.other.model, text)
            with LocalStore(self.folder).writing() as writer:
                if not writer.stored([key]):
                    writer.add_vectors([key], self.other.embed_documents([text]), model=self.other.model)
            with colour_rag(self.folder, self.other) as mover:
                assert mover.reembed(dry_run=True).reused >= 1
                with pytest.raises(IndexMismatch):
                    mover.add([Document("a.txt", "red")])

    # -- what must hold

    @rule(query=COLOURS, k=st.integers(1, 6))
    def search_by_vector(self, query: list[str], k: int) -> None:
        if not self.folder.exists():
            return
        vector = self.embedder.embed_query(" ".join(query))
        cosines = {source: cosine(vector, self.embedder.embed_query(text)) for source, text in self.model.items()}
        best = sorted(cosines.values(), reverse=True)[:k]
        for rag in (self.rag, self.watcher):
            hits = rag.search(" ".join(query), k, mode="dense")
            assert [hit.scores["dense"] for hit in hits] == pytest.approx(best, abs=1e-5)
            for hit in hits:
                assert hit.chunk.text == self.model[hit.chunk.source]
                assert hit.scores["dense"] == pytest.approx(cosines[hit.chunk.source], abs=1e-5)

    @rule(number=st.integers(1, 200))
    def search_by_word(self, number: int) -> None:
        if self.folder.exists():
            word = f"word{1 + number % (self.texts + 1)}x"
            having = {source for source, text in self.model.items() if word in text.split()}
            for rag in (self.rag, self.watcher):
                found = {
                    hit.chunk.source: hit.chunk.text
                    for hit in rag.search(word, mode="lexical")
                    if word in hit.chunk.text.split()
                }
                assert found.keys() == having
                hybrid = rag.search(word, 50)
                assert {hit.chunk.source: hit.chunk.text for hit in hybrid} == self.model
                if having:
                    assert {hit.chunk.source for hit in hybrid[: len(having)]} == having or len(self.model) == 1

    @invariant()
    def documents_are_those_of_the_model(self) -> None:
        if self.folder.exists():
            for rag in (self.rag, self.watcher):
                assert {info.source: info.characters for info in rag.documents()} == {
                    source: len(text) for source, text in self.model.items()
                }
                assert all(rag.document(source).text == text for source, text in self.model.items())
                assert rag.status().documents == rag.status().chunks == len(self.model)
            gone = {"a.txt", "b.txt"} - self.model.keys()
            for source in gone:
                with pytest.raises(ConfigError):
                    self.rag.document(source)


def cosine(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg] # any vectors
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


TestIndex = Index.TestCase
TestIndex.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
