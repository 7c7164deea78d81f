"""One contract for each seam, run over every filling, comparing values.

That the fillings have the right types is proven by mypy where `assembly.build` hands them to `RAG`; here is what
types cannot say.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import MemoryStore, MemoryWriter
from paid import PaidEmbedder
from toys import ColourEmbedder

from ragkit import protocols
from ragkit.chunking import RecursiveChunker
from ragkit.embedders.offline import OfflineEmbedder
from ragkit.errors import ConfigError, IndexMismatch, IndexNotFound, LoadError, PaymentRequired, StoreError
from ragkit.filters import Condition
from ragkit.loaders.isolation import ParserPool
from ragkit.positions import Positions, contextual_text
from ragkit.rag import RAG
from ragkit.reports import FileStamp, Problem
from ragkit.store.local import LocalStore
from ragkit.store.writer import Writer
from ragkit.types import Document, Hit, Preparation

SAMPLES = Path(__file__).parents[1] / "sample_docs"


@pytest.mark.parametrize(
    ("protocol", "filling"),
    [
        (protocols.Embedder, OfflineEmbedder), (protocols.Embedder, ColourEmbedder),
        (protocols.BatchEmbedder, PaidEmbedder),
        (protocols.Parsers, ParserPool),
        (protocols.Store, LocalStore), (protocols.Store, MemoryStore),
        (protocols.Writer, Writer), (protocols.Writer, MemoryWriter),
    ],
)  # fmt: skip
def test_methods_have_the_parameters_of_their_seam(protocol: type, filling: type) -> None:
    """The same names in the same places; what a filling has beyond them has a default."""
    for name, method in vars(protocol).items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        wanted = inspect.signature(method).parameters
        given_ = inspect.signature(inspect.unwrap(getattr(filling, name))).parameters
        assert list(given_)[: len(wanted)] == list(wanted), name
        assert all(given_[p].kind == wanted[p].kind for p in wanted), name
        extra = list(given_.values())[len(wanted) :]
        assert all(parameter.default is not parameter.empty for parameter in extra), name


# -- Embedder

EMBEDDERS = [OfflineEmbedder, lambda: OfflineEmbedder(64), ColourEmbedder]
TEXTS = ["The red house stands by the river.", "Зелёный луг косят летом, green", "The blue boat, a blue shore"]
WITHOUT_WORDS = ["!!! … ???", "😀🎉", "—", "и в на", "the of", "\u200b", " ", "0"]


@pytest.fixture(params=EMBEDDERS, ids=["offline", "offline-64", "colours"])
def embedder(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_a_row_belongs_to_its_text_alone(embedder: protocols.Embedder) -> None:
    """Together, one by one, in another order, in another instance: the same rows, of one dimension, float32."""
    together = embedder.embed_documents(TEXTS)
    d = len(embedder.embed_query("red"))
    assert (together.shape, together.dtype) == ((len(TEXTS), d), np.float32)
    for i, text in enumerate(TEXTS):
        assert np.array_equal(embedder.embed_documents([text])[0], together[i])
    assert np.array_equal(embedder.embed_documents(TEXTS[::-1])[::-1], together)
    assert not np.array_equal(together[0], together[1])
    again = type(embedder)(d) if isinstance(embedder, OfflineEmbedder) else type(embedder)()
    assert again.model == embedder.model
    assert np.array_equal(again.embed_documents(TEXTS), together)


def test_no_texts_give_no_rows_of_the_same_width(embedder: protocols.Embedder) -> None:
    """(0, d), which can be put below other rows."""
    none = embedder.embed_documents([])
    assert (none.shape, none.dtype) == ((0, len(embedder.embed_query("red"))), np.float32)


def test_a_query_is_nearest_to_the_text_that_repeats_it(embedder: protocols.Embedder) -> None:
    """Questions and passages are in one space: each text asked as a query finds itself, with cosine 1."""
    rows = embedder.embed_documents(TEXTS)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for i, text in enumerate(TEXTS):
        query = embedder.embed_query(text)
        cosines = rows @ (query / np.linalg.norm(query))
        assert cosines[i] == pytest.approx(1, abs=1e-6)
        assert cosines.argmax() == i


def test_a_text_without_words_still_has_a_direction(embedder: protocols.Embedder) -> None:
    """The store refuses zeros, so signs, emoji and stop words must not give them."""
    rows = embedder.embed_documents(WITHOUT_WORDS)
    assert np.isfinite(rows).all()
    assert (np.linalg.norm(rows, axis=1) > 0).all()
    assert all(np.linalg.norm(embedder.embed_query(text)) > 0 for text in WITHOUT_WORDS)


@given(st.text(max_size=30))
@settings(max_examples=150, deadline=None)
def test_any_text_has_a_direction(text: str) -> None:
    """Whatever characters there are: a finite vector that is not zero, and the same for the passage."""
    embedder = OfflineEmbedder()
    query = embedder.embed_query(text)
    assert np.isfinite(query).all()
    assert query.any()
    assert np.array_equal(embedder.embed_documents([text])[0], query)


def test_batches_hold_each_text_once_with_its_own_row() -> None:
    """In whatever order they come; for no texts there are none, and counting goes text by text."""
    embedder = PaidEmbedder()
    assert isinstance(embedder, protocols.BatchEmbedder)
    texts = [f"{text} {i}" for i in range(30) for text in TEXTS]
    batches = list(embedder.embed_batches(texts))
    places = np.concatenate([places for places, _ in batches])
    rows = np.concatenate([rows for _, rows in batches])
    assert sorted(places.tolist()) == list(range(len(texts)))
    assert places.tolist() != sorted(places.tolist())
    assert np.array_equal(rows, PaidEmbedder().embed_documents([texts[i] for i in places]))
    assert list(embedder.embed_batches([])) == []
    assert len(embedder.count_tokens(texts)[0]) == len(texts)


# -- Chunker


@pytest.mark.parametrize("chunker", [RecursiveChunker(), RecursiveChunker(size=200, overlap=0)])
def test_chunks_are_slices_that_tell_their_place(chunker: protocols.Chunker) -> None:
    """In order, none empty, text and place those of the document, nothing visible left out."""
    with ParserPool(1) as pool:
        for path in sorted(SAMPLES.iterdir()):
            with path.open("rb") as file:
                document = pool.load(file, path.name).document
            chunks = chunker(document)
            assert chunks == chunker(document)
            positions = Positions(document)
            covered: set[int] = set()
            for chunk in chunks:
                assert chunk.source == document.source
                assert chunk.text == document.text[chunk.start : chunk.end]
                assert chunk.text.strip()
                assert (chunk.page, chunk.line) == (positions.page(chunk.start), positions.line(chunk.start))
                covered.update(range(chunk.start, chunk.end))
            assert [chunk.start for chunk in chunks] == sorted({chunk.start for chunk in chunks})
            # A heading may live on as the path of the chunks below it.
            left_out = "".join(c for i, c in enumerate(document.text) if i not in covered)
            assert not left_out.strip() or all(line.strip() in document.text for line in left_out.splitlines())
            assert len("".join(left_out.split())) <= sum(len(heading.text) + 8 for heading in document.headings)


# -- Parsers


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="compares with fork")
def test_parsers_agree_with_and_without_fork() -> None:
    """The same documents, problems and notes for every sample, and the same reason for what cannot be read."""
    with ParserPool(1, fork=True) as forking, ParserPool(1, fork=False) as plain:
        assert (forking.workers, plain.workers) == (1, 1)
        for path in sorted(SAMPLES.iterdir()):
            with path.open("rb") as file:
                one = forking.load(file, path.name)
            with path.open("rb") as file:
                assert plain.load(file, path.name) == one
            assert one.document.text
        reasons = []
        for pool in (forking, plain):
            with (SAMPLES / "price.html").open("rb") as file, pytest.raises(LoadError) as error:
                pool.load(file, "price.pdf")
            reasons.append((type(error.value), error.value.message, error.value.hint, error.value.code))
        assert reasons[0] == reasons[1]


# -- Store and Writer

SHADES = {
    "house": "The red house stands by the river.",
    "meadow": "The green meadow is mown in summer, and its green hay is dried.",
    "boat": "The blue boat lies on the shore.",
    "flag": "Red, red and blue stripes make the flag.",
    "wood": "green red green blue. " * 20 + "\n\n" + "blue blue red. " * 30,
}
ASKED = ("red", "green and blue", "blue blue blue green", "no colour at all")
STORES: list[Callable[[Path], protocols.Store]] = [LocalStore, MemoryStore]


def rag_of(store: protocols.Store) -> RAG:
    return RAG(
        store, ColourEmbedder(), RecursiveChunker(size=200, overlap=0), lambda: ParserPool(1), max_file_size=9999
    )


@pytest.fixture
def rags(tmp_path: Path) -> Iterator[list[RAG]]:
    made = [rag_of(make(tmp_path / f"{i}")) for i, make in enumerate(STORES)]
    yield made
    for rag in made:
        rag.close()


def seen(rag: RAG) -> dict[str, Any]:
    """All that can be compared: documents, texts, the dense hits with their cosines, who has a word."""
    infos = rag.documents()
    status = rag.status()
    return {
        "documents": [
            (i.source, i.title, i.characters, i.chunks, i.sha256, dict(i.metadata), i.problems) for i in infos
        ],
        "texts": [rag.document(info.source).text for info in infos if info.chunks],
        "status": (status.documents, status.chunks, status.failed, status.embedding_model, status.dimension),
        "dense": {query: [placed(hit) for hit in rag.search(query, 20, mode="dense")] for query in ASKED},
        "stripes": {hit.chunk.source for hit in rag.search("stripes", 20, mode="lexical")},
        "river": {hit.chunk.source for hit in rag.search("river", 20, mode="lexical")},
        "where": [placed(hit) for hit in rag.search("red", 2, mode="dense", where={"source": "[bf]*"})],
    }


def placed(hit: Hit) -> tuple[str, int, int, str, float, dict[str, Any]]:
    chunk = hit.chunk
    return chunk.source, chunk.start, chunk.end, chunk.text, round(hit.scores["dense"], 5), dict(hit.metadata)


def shades() -> list[Document]:
    return [Document(name, text, metadata={"letters": len(name)}) for name, text in SHADES.items()]


def test_stores_hold_and_find_the_same(rags: list[RAG]) -> None:
    """After adding, replacing, removing by name and by glob: the same documents, hits, order and cosines."""
    steps: list[Callable[[RAG], Any]] = [
        lambda rag: rag.add(shades()).new,
        lambda rag: rag.add([Document("boat", "The boat is red and green now.", metadata={"letters": 4})]).changed,
        lambda rag: rag.add(shades()[:1]).unchanged,
        lambda rag: rag.remove("meadow"),
        lambda rag: rag.remove("no such thing"),
        lambda rag: rag.add([Document("meadow", SHADES["meadow"])]).embedded,
        lambda rag: rag.remove("*o*"),
    ]
    for step in steps:
        local, memory = rags
        assert step(local) == step(memory)
        assert seen(local) == seen(memory)


def test_stores_refuse_the_same(rags: list[RAG]) -> None:
    """No index yet, an unknown document, an unknown chunk, another model."""
    for rag in rags:
        for call in (rag.status, rag.documents, lambda rag=rag: rag.search("red"), lambda rag=rag: rag.remove("a")):
            with pytest.raises(IndexNotFound):
                call()
        assert not rag.path.exists()
        rag.add(shades())
        with pytest.raises(ConfigError):
            rag.document("nowhere")
        with pytest.raises(ConfigError):
            rag.neighbours(10_000)
        with pytest.raises(IndexMismatch):
            rag._store.check_model("shapes/1")
        rag._store.check_model("colours/1")


def test_stores_keep_what_prepared_their_vectors(rags: list[RAG]) -> None:
    """The prefixes and the model of queries: of the embedder that made the newest vectors, and of the one moved to."""

    class Prepared(ColourEmbedder):
        def __init__(self, model: str, preparation: Preparation) -> None:
            super().__init__()
            self.model, self.preparation = model, preparation

    def kept(rag: RAG) -> Preparation:
        status = rag.status()
        return Preparation(status.document_prefix, status.query_prefix, status.query_model)

    first, second, third = Preparation("d: ", "q: ", "ask"), Preparation("d: ", "query: "), Preparation(query_model="m")
    assert isinstance(Prepared("colours/1", first), protocols.PreparedEmbedder)
    assert not isinstance(ColourEmbedder(), protocols.PreparedEmbedder)
    for rag in rags:
        other_rag(rag, Prepared("colours/1", first)).add([Document("a", "red")])
        assert kept(rag) == first
        other_rag(rag, Prepared("colours/1", second)).add([Document("b", "green")])
        assert kept(rag) == second
        other_rag(rag, Prepared("new/1", third)).reembed()
        assert kept(rag) == third
        rag.remove("*")
        other_rag(rag, ColourEmbedder()).reembed()
        assert kept(rag) == Preparation()


def test_stores_move_to_another_model_alike(rags: list[RAG]) -> None:
    """A move that stops halfway changes no answer; the one that ends changes the model, and pays for the rest."""
    failing = PaidEmbedder("new/1", dimension=7, fails_at=2, error=PaymentRequired("nothing is left", status=402))
    many = [*shades(), *(Document(f"{i}", f"blue house {i}") for i in range(20))]
    reports = []
    for rag in rags:
        rag.add(many)
        before = seen(rag)
        with pytest.raises(PaymentRequired):
            other_rag(rag, failing).reembed()
        assert seen(rag) == before
        other = other_rag(rag, PaidEmbedder("new/1", dimension=7))
        report = other.reembed()
        reports.append((report.moved, report.embedded, report.reused, report.unchanged, report.usage))
        with pytest.raises(IndexMismatch):
            rag.search("red")
        with pytest.raises(IndexMismatch):
            rag._store.search("", ColourEmbedder().embed_query("red"), k=1, model="colours/1")
        with pytest.raises(IndexMismatch):
            rag.add([Document("a", "red")])
        after = seen(other)
        assert after.pop("status") == (*before.pop("status")[:3], "new/1", 7)
        assert after == before  # colours are colours in seven dimensions too
        failing.requests = 0
    assert reports[0] == reports[1]


def other_rag(rag: RAG, embedder: ColourEmbedder) -> RAG:
    return RAG(rag._store, embedder, RecursiveChunker(), lambda: ParserPool(1), max_file_size=9999)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[protocols.Store]:
    store = request.param(tmp_path / "index")
    rag_of(store).add(shades())
    yield store
    store.close()


def test_neighbours_come_in_the_order_of_the_document(store: protocols.Store) -> None:
    """Those before, the chunk itself, those after, and no further than the document goes."""
    rag = rag_of(store)
    every = {hit.id: hit.chunk for hit in rag.search("blue", 50, mode="dense")}
    (id, _), *_ = [(id, chunk) for id, chunk in every.items() if chunk.source == "wood"]
    around = rag.neighbours(id, before=50, after=50)
    assert len(around) > 3
    starts = [hit.chunk.start for hit in around]
    assert starts == sorted(starts)
    assert {hit.chunk.source for hit in around} == {"wood"}
    assert all(hit.metadata == {"letters": len("wood")} for hit in around)
    middle = around[2].id
    assert [hit.id for hit in rag.neighbours(middle, before=1, after=1)] == [hit.id for hit in around[1:4]]
    assert [hit.id for hit in rag.neighbours(middle, before=0, after=0)] == [middle]
    assert [hit.id for hit in rag.neighbours(around[0].id, before=9, after=0)] == [around[0].id]


def test_stores_give_the_vectors_of_their_chunks(rags: list[RAG]) -> None:
    """All of them, or some at even distances; the same chunks and numbers from every store, also after changes."""
    seen = []
    for rag in rags:
        rag.add(shades())
        rag.add([Document("boat", "The boat is red and green now.")])
        rag.remove("meadow")
        chunks, rows = rag._store.vectors(1000)
        assert len(chunks) == len(rows) == rag.status().chunks > 5
        assert [id for id, _ in chunks] == sorted(id for id, _ in chunks)
        for (_, chunk), row in zip(chunks, rows, strict=True):
            made = ColourEmbedder().embed_query(contextual_text("", chunk))
            assert np.allclose(row, made / np.linalg.norm(made), atol=5e-4)
        some, few = rag._store.vectors(3, wanted=[chunks[1][0], 10_000])
        assert [id for id, _ in some] == sorted({chunks[i * len(chunks) // 3][0] for i in range(3)} | {chunks[1][0]})
        assert few.shape == (len(some), 4)
        seen.append([(chunk, np.round(row, 5).tolist()) for (_, chunk), row in zip(chunks, rows, strict=True)])
    by_place = [sorted(each, key=lambda pair: (pair[0].source, pair[0].start)) for each in seen]
    assert by_place[0] == by_place[1]


def test_stores_without_chunks_give_no_vectors(rags: list[RAG]) -> None:
    """An index that was emptied is an index still."""
    for rag in rags:
        with pytest.raises(IndexNotFound):
            rag._store.vectors(5)
        rag.add(shades())
        rag.remove("*")
        chunks, rows = rag._store.vectors(5)
        assert chunks == []
        assert len(rows) == 0


def write(writer: protocols.Writer, source: str, text: str) -> None:
    key = f"key of {text}".encode()
    document = Document(source, text, "sha of " + text)
    chunks = RecursiveChunker()(document)
    assert len(chunks) == 1
    if not writer.stored([key]):
        writer.add_vectors([key], ColourEmbedder().embed_documents([text]))
    writer.replace(document, chunks, [key], root=None, stamp=FileStamp(), problems=())


def names(store: protocols.Store) -> list[str]:
    return [info.source for info in store.documents()]


def test_a_writer_sees_its_own_changes_and_others_do_not(store: protocols.Store) -> None:
    """Until the commit; what it reads back is what it wrote."""
    with store.writing() as writer:
        write(writer, "kite", "A red kite.")
        writer.remove("flag")
        made = writer.document("kite")
        assert made
        assert made.text == "A red kite."
        assert writer.document("flag") is None
        assert [source for _, source in writer.listed()][-1] == "kite"
        assert {source for _, source in writer.listed()} == {"house", "meadow", "boat", "wood", "kite"}
        assert set(writer.known(["house", "kite", "flag", "none"])) == {"house", "kite"}
        assert writer.stored([b"key of A red kite.", b"none"]) == {b"key of A red kite."}
        assert names(store) == ["boat", "flag", "house", "meadow", "wood"]
        writer.commit()
        assert names(store) == ["boat", "house", "kite", "meadow", "wood"]
    assert names(store) == ["boat", "house", "kite", "meadow", "wood"]


def test_a_writer_gives_the_texts_and_takes_the_vectors_of_a_move(store: protocols.Store) -> None:
    """Passages are those after the next commit; a move that lacks a vector changes nothing."""
    with store.writing() as writer:
        assert writer.model == "colours/1"
        writer.check_model("colours/1")
        with pytest.raises(IndexMismatch):
            writer.check_model("new/1")
        write(writer, "kite", "A red kite.")
        for source in ("flag", "wood", "boat", "meadow"):
            writer.remove(source)
        passages = [(title, chunk.source, chunk.text) for title, chunks in writer.passages() for chunk in chunks]
        assert sorted(passages) == [("", "house", SHADES["house"]), ("", "kite", "A red kite.")]
        writer.add_vectors([b"new house"], np.array([[0, 1, 0]], np.float32), model="new/1")
        assert writer.stored([b"new house", b"new kite"]) == {b"new house"}
        with pytest.raises(StoreError, match="kite"):
            writer.move_to("new/1", lambda _, chunk: f"new {chunk.source}".encode())
        assert writer.model == "colours/1"
        writer.add_vectors([b"new kite"], np.array([[1, 1, 0]], np.float32), model="new/1")
        writer.move_to("new/1", lambda _, chunk: f"new {chunk.source}".encode())
        assert writer.model == "new/1"
    hits = store.search("", np.array([1, 0, 0], np.float32), k=5, model="new/1")
    assert [(hit.chunk.source, round(hit.scores["dense"], 3)) for hit in hits] == [("kite", 0.707), ("house", 0)]
    assert (store.status().embedding_model, store.status().dimension) == ("new/1", 3)


class Interrupted(Exception):
    pass


def test_an_interrupted_writer_leaves_what_was_committed(store: protocols.Store) -> None:
    """All before the last commit, nothing after it."""

    def work() -> None:
        with store.writing() as writer:
            write(writer, "first", "A red kite.")
            writer.commit()
            write(writer, "second", "A blue kite.")
            writer.remove("flag")
            raise Interrupted

    with pytest.raises(Interrupted):
        work()
    assert names(store) == ["boat", "first", "flag", "house", "meadow", "wood"]
    with store.writing() as writer:
        assert writer.stored([b"key of A red kite.", b"key of A blue kite."]) == {b"key of A red kite."}


def test_a_discarding_writer_changes_nothing(store: protocols.Store) -> None:
    """It answers like any other meanwhile."""
    with store.writing(discard=True) as writer:
        write(writer, "kite", "A red kite.")
        assert writer.document("kite")
        writer.commit()
    assert "kite" not in names(store)


def test_a_failure_is_listed_until_the_file_gives_text(store: protocols.Store) -> None:
    """Beside the version that was there before, if there was one; under conditions where its name fulfils them."""
    problem = Problem("it is damaged", "save it anew")
    with store.writing() as writer:
        writer.fail("broken", None, FileStamp(size=7), [problem])
        writer.fail("flag", None, FileStamp(size=8), [problem])
        assert {source for _, source in writer.failures()} == {"broken", "flag"}
    listed = {info.source: info for info in store.documents()}
    assert (listed["broken"].chunks, listed["broken"].problems) == (0, (problem,))
    assert (listed["flag"].chunks, listed["flag"].problems) == (1, (problem,))
    assert store.status().failed == 2
    assert [i.source for i in store.documents([Condition("source", "glob", "*b*")])] == ["boat", "broken"]
    assert [i.source for i in store.documents([Condition("source", "=", "flag")])] == ["flag"]
    with store.writing() as writer:
        write(writer, "broken", "It is red again.")
        writer.remove("flag")
        assert not list(writer.failures())
    assert {info.source: info.problems for info in store.documents()}["broken"] == ()


def test_a_root_goes_with_its_documents(store: protocols.Store) -> None:
    """Those of other roots stay."""
    with store.writing() as writer:
        one, two = writer.add_root("docs", ""), writer.add_root("more", "more/")
        assert one.id != two.id
        key = b"key of a kite"
        writer.add_vectors([key], np.ones((1, 4), np.float32))
        for root, source in ((one, "a"), (two, "more/a")):
            document = Document(source, "A kite.", "sha")
            writer.replace(
                document, RecursiveChunker()(document), [key], root=root.id, stamp=FileStamp(3, 4, 5), problems=()
            )
        assert [(root.path, root.prefix) for root in writer.roots()] == [("docs", ""), ("more", "more/")]
        known = writer.known(["a"])["a"]
        assert (known.root, known.stamp) == (one.id, FileStamp(3, 4, 5))
        assert list(writer.listed(one.id)) == [(known.id, "a")]
        for root, source in ((None, "loose"), (two, "more/broken"), (one, "broken"), (one, "torn")):
            writer.fail(source, root.id if root else None, FileStamp(), [Problem("it is damaged")])
        failing = list(writer.failures(one.id))
        assert [source for _, source in failing] == ["broken", "torn"]
        assert failing == sorted(failing)
        found = writer.known_failures(["torn", "more/broken", "loose", "a"], one.id)
        assert found == {source: id for id, source in failing if source == "torn"}
        writer.touch("a", FileStamp(6, 7, 8))
        assert writer.known(["a"])["a"].stamp == FileStamp(6, 7, 8)
        writer.remove_root(one)
        assert [root.path for root in writer.roots()] == ["more"]
        assert sorted(source for _, source in writer.failures()) == ["loose", "more/broken"]
    assert store.status().roots == ("more",)
    assert [name for name in names(store) if name.endswith("a")] == ["more/a"]
