"""The local store, driven at random, against a dictionary: whatever happens to it, its answers are the dictionary's."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from machines import MemoryFolder, driven
from paid import PaidEmbedder
from toys import ColourEmbedder

from ragkit.chunking import RecursiveChunker
from ragkit.embedding_run import vector_key
from ragkit.errors import ConfigError, IndexMismatch, IndexNotFound
from ragkit.loaders.isolation import ParserPool
from ragkit.rag import RAG
from ragkit.store.local import LocalStore
from ragkit.store.sizes import Sizes
from ragkit.store.writer import Writer
from ragkit.types import Chunk, Document

SOURCES = st.sampled_from(["a.txt", "b.txt", "sub/a.txt", "sub/c.txt", "заметка.md"])
HALF = 1e-3  # what half precision changes of a cosine in few dimensions, at most
COLOURS = st.lists(st.sampled_from(["red", "green", "blue", "plain"]), min_size=1, max_size=6)
PARTS = st.lists(COLOURS, min_size=1, max_size=4)
GROUPS = st.integers(1, 3)
SIZES = Sizes(seal=6, kept_unused=2, small=60, most_small=3, dead_words=3)
CHUNK = 60  # characters; a part of a text is more than half of it, so that each part is a chunk
# Two models whose cosines are the same, because the second only adds zeros: a move must change no answer.
EMBEDDERS = (ColourEmbedder(), PaidEmbedder("seven/1", dimension=7))
DEATHS = st.sampled_from(["before the commit", "after the commit", "after publishing", "in closing"])


class Interrupted(Exception):
    pass


@dataclass(frozen=True)
class Text:
    """A document as it must be in the index: its parts are its chunks."""

    parts: tuple[str, ...]
    group: int

    @property
    def whole(self) -> str:
        return "\n\n".join(self.parts)

    def spans(self) -> list[tuple[int, int, str]]:
        """Where each chunk begins and ends, and its text."""
        starts = [sum(len(part) + 2 for part in self.parts[:n]) for n in range(len(self.parts))]
        return [(start, start + len(part), part) for start, part in zip(starts, self.parts, strict=True)]


def open_rag(folder: Path, embedder: ColourEmbedder) -> RAG:
    store = LocalStore(folder, sizes=SIZES)
    return RAG(store, embedder, RecursiveChunker(size=CHUNK, overlap=0), lambda: ParserPool(1), max_file_size=1 << 20)


class Index(RuleBasedStateMachine):
    """`model` is what the index must hold, by source. Every part has a word that no other ever had."""

    def __init__(self) -> None:
        super().__init__()
        self.place = MemoryFolder()
        self.folder = Path(self.place.name) / "index"
        self.embedder, self.other = EMBEDDERS
        self.rag = open_rag(self.folder, self.embedder)
        self.watcher = open_rag(self.folder, self.embedder)  # stays open, whatever the other does
        self.model: dict[str, Text] = {}
        self.words = 0
        self.bulks = 0
        self.deaths = 0

    def teardown(self) -> None:
        try:
            if self.folder.exists():
                self.rag.search("red")  # makes the word index where it was lost
                with LocalStore(self.folder, sizes=SIZES).writing():
                    pass  # deletes what a death left behind
                assert [finding for finding in self.rag.check() if not finding.ok] == []
        finally:
            self.rag.close()
            self.watcher.close()
            self.place.cleanup()

    def text(self, parts: list[list[str]], group: int) -> Text:
        made = []
        for colours in parts:
            self.words += 1
            part = f"word{self.words}x {' '.join(colours)}"
            made.append(f"{part} {'-' * (CHUNK // 2 + 5 - len(part))}".strip())
        return Text(tuple(made), group)

    def write(self, writer: Writer, source: str, text: Text) -> None:
        """As indexing does it, without its checks."""
        vectors = self.embedder.embed_documents(text.parts)
        writer.set_model(self.embedder.model, vectors.shape[1])
        keys = [vector_key(self.embedder.model, part) for part in text.parts]
        writer.add_vectors(keys, vectors)
        sha = hashlib.sha256(text.whole.encode()).hexdigest()
        document = Document(source, text.whole, sha, metadata={"group": text.group})
        writer.replace(document, [Chunk(source, *span) for span in text.spans()], keys)

    def reopened(self) -> None:
        for old in (self.rag, self.watcher):
            old.close()
        self.rag, self.watcher = (open_rag(self.folder, self.embedder) for _ in range(2))

    @property
    def chunks(self) -> dict[tuple[str, int], str]:
        return {(source, start): part for source, text in self.model.items() for start, _, part in text.spans()}

    @initialize()
    def nothing(self) -> None:
        with pytest.raises(IndexNotFound):
            self.rag.search("red")

    # -- changes

    @rule(sources=st.lists(SOURCES, min_size=1, max_size=3), parts=PARTS, group=GROUPS)
    def add(self, sources: list[str], parts: list[list[str]], group: int) -> None:
        texts = [(source, self.text(parts, group)) for source in sources]
        report = self.rag.add(Document(source, text.whole, metadata={"group": group}) for source, text in texts)
        assert report.new == len(set(sources) - self.model.keys())
        assert report.new + report.changed == len(sources)
        assert report.embedded == len(sources) * len(parts)
        self.model.update(texts)

    @rule(source=SOURCES)
    def add_the_same_again(self, source: str) -> None:
        if source in self.model:
            text = self.model[source]
            report = self.rag.add([Document(source, text.whole, metadata={"group": text.group})])
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

    @rule(source=SOURCES, parts=PARTS, remove=SOURCES, commit=st.booleans())
    def a_writer_is_interrupted(self, source: str, parts: list[list[str]], remove: str, commit: bool) -> None:
        text = self.text(parts, 1)

        def work() -> None:
            with LocalStore(self.folder, sizes=SIZES).writing() as writer:
                self.write(writer, source, text)
                if commit:
                    writer.commit()
                    self.model[source] = text
                writer.remove(remove)
                raise Interrupted

        with pytest.raises(Interrupted):
            work()

    @rule(source=SOURCES, parts=PARTS, remove=SOURCES, death=DEATHS)
    def a_writer_is_killed(self, source: str, parts: list[list[str]], remove: str, death: str) -> None:
        """What is on the disk at that moment, its log not merged and its lock file there, is the index from then on."""
        text = self.text(parts, 2)
        self.deaths += 1
        left = Path(self.place.name) / f"left{self.deaths}"

        def work() -> None:
            with LocalStore(self.folder, sizes=SIZES).writing() as writer:
                self.write(writer, source, text)
                writer.remove(remove)
                if death != "before the commit":
                    writer.commit()
                    self.model[source] = text
                    self.model.pop(remove, None)
                if death in ("after publishing", "in closing"):
                    writer.publish()
                if death == "in closing":  # a segment was written, and the commit that names it did not come
                    (self.folder / "vectors" / "seg-99999999-1").write_bytes(b"half of a segment")
                shutil.copytree(self.folder, left)
                raise Interrupted

        with pytest.raises(Interrupted):
            work()
        for old in (self.rag, self.watcher):
            old.close()
        shutil.rmtree(self.folder)
        left.rename(self.folder)
        self.reopened()

    # -- what must change nothing

    @rule()
    def reopen(self) -> None:
        self.rag.close()
        self.rag = open_rag(self.folder, self.embedder)

    @rule()
    def lose_the_word_index(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder / "lexical", ignore_errors=True)
            self.rag.close()

    @rule()
    def a_writer_does_nothing(self) -> None:
        """Its close compacts, and leaves no file that nothing names."""
        if self.folder.exists():
            with LocalStore(self.folder, sizes=SIZES).writing():
                pass
            assert {finding.subject for finding in self.rag.check() if not finding.ok} <= {"word index"}

    @rule(number=st.integers(1, 30))
    def vectors_come_that_nothing_uses(self, number: int) -> None:
        """As many as are sealed in a segment, or as wait in the tail; some are dropped when a document goes."""
        if self.model:
            self.bulks += 1
            size = (number, len(self.embedder.embed_query("")))
            rows = np.random.default_rng(self.bulks).normal(size=size).astype(np.float32)
            keys = [f"{self.bulks}/{i}".encode() for i in range(len(rows))]
            with LocalStore(self.folder, sizes=SIZES).writing() as writer:
                writer.add_vectors(keys, rows)

    # -- another model

    @rule()
    def move(self) -> None:
        """The index goes over, with whatever a move that stopped had embedded; the old model is refused."""
        if self.model:
            with open_rag(self.folder, self.other) as mover:
                report = mover.reembed()
                assert (report.moved, report.unchanged) == (len(self.chunks), len(self.model))
            with pytest.raises(IndexMismatch):
                self.rag.search("red")
            self.embedder, self.other = self.other, self.embedder
            self.reopened()

    @rule()
    def a_move_stops(self) -> None:
        """One text is embedded, the index is what it was, and the next move need not embed that one."""
        if self.model:
            text = sorted(self.chunks.values())[0]
            key = vector_key(self.other.model, text)
            with LocalStore(self.folder, sizes=SIZES).writing() as writer:
                paid = not writer.stored([key])
                if paid:
                    writer.add_vectors([key], self.other.embed_documents([text]), model=self.other.model)
            with open_rag(self.folder, self.other) as mover:
                # One that an earlier move left behind unused may be dropped any time, one that was just paid for not.
                assert mover.reembed(dry_run=True).reused >= paid
                with pytest.raises(IndexMismatch):
                    mover.add([Document("a.txt", "red")])

    # -- what must hold

    @rule(query=COLOURS, k=st.integers(1, 6), group=st.none() | GROUPS)
    def search_by_vector(self, query: list[str], k: int, group: int | None) -> None:
        """The k best of all chunks, or of those of a group, with their cosines, in order."""
        if not self.folder.exists() or not self.model:
            return
        vector = self.embedder.embed_query(" ".join(query))
        cosines = {
            (source, start): cosine(vector, self.embedder.embed_query(part))
            for (source, start), part in self.chunks.items()
            if group in (None, self.model[source].group)
        }
        best = sorted(cosines.values(), reverse=True)[:k]
        for rag in (self.rag, self.watcher):
            where = None if group is None else {"group": group}
            if group is not None and all(info.metadata.get("group") is None for info in rag.documents()):
                continue  # a key that no document has is an error, which others test
            hits = rag.search(" ".join(query), k, mode="dense", where=where)
            assert [hit.scores["dense"] for hit in hits] == pytest.approx(best, abs=HALF)
            assert len({hit.id for hit in hits}) == len(hits)
            for hit in hits:
                place = hit.chunk.source, hit.chunk.start
                assert hit.chunk.text == self.chunks[place]
                assert hit.scores["dense"] == pytest.approx(cosines[place], abs=HALF)

    @rule(number=st.integers(1, 400))
    def search_by_word(self, number: int) -> None:
        if self.folder.exists():
            word = f"word{1 + number % (self.words + 1)}x"
            having = {place for place, part in self.chunks.items() if word in part.split()}
            for rag in (self.rag, self.watcher):
                found = {
                    (hit.chunk.source, hit.chunk.start)
                    for hit in rag.search(word, mode="lexical")
                    if word in hit.chunk.text.split()
                }
                assert found == having
                hybrid = rag.search(word, 50)
                assert {(hit.chunk.source, hit.chunk.start): hit.chunk.text for hit in hybrid} == self.chunks

    @rule(source=SOURCES, before=st.integers(0, 2), after=st.integers(0, 2))
    def look_around(self, source: str, before: int, after: int) -> None:
        """The neighbours of a passage are those of its document, in order."""
        if source in self.model:
            spans = self.model[source].spans()
            store = LocalStore(self.folder)
            for hit in self.watcher.search("red", 50, mode="dense"):
                if hit.chunk.source == source:
                    n = [start for start, _, _ in spans].index(hit.chunk.start)
                    near = store.neighbours(hit.id, before, after)
                    found = [(hit.chunk.start, hit.chunk.end, hit.chunk.text) for hit in near]
                    assert found == spans[max(0, n - before) : n + after + 1]
            store.close()

    @rule()
    def every_vector_is_that_of_its_chunk(self) -> None:
        if self.model:
            store = LocalStore(self.folder, sizes=SIZES)
            stored, rows = store.vectors(1000)
            store.close()
            assert {(chunk.source, chunk.start): chunk.text for _, chunk in stored} == self.chunks
            assert len(stored) == len(self.chunks)
            for (_, chunk), row in zip(stored, rows, strict=True):
                assert cosine(row, self.embedder.embed_query(chunk.text)) == pytest.approx(1, abs=1e-5)

    @invariant()
    def documents_are_those_of_the_model(self) -> None:
        if self.folder.exists():
            for rag in (self.rag, self.watcher):
                assert {info.source: (info.characters, info.chunks) for info in rag.documents()} == {
                    source: (len(text.whole), len(text.parts)) for source, text in self.model.items()
                }
                assert all(rag.document(source).text == text.whole for source, text in self.model.items())
                status = rag.status()
                assert (status.documents, status.chunks) == (len(self.model), len(self.chunks))
                assert [info.source for info in rag.documents()] == sorted(self.model)
            gone = {"a.txt", "b.txt"} - self.model.keys()
            for source in gone:
                with pytest.raises(ConfigError):
                    self.rag.document(source)


def cosine(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg] # any vectors
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


TestIndex = Index.TestCase
TestIndex.settings = driven(examples=20, steps=25)
