"""The rules of RAG itself: what it refuses, what it opens and closes, what it hands on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from toys import ColourEmbedder, Says, colour_rag

import ragkit
from ragkit.answers import Status, Verification
from ragkit.errors import ConfigError, IndexMismatch, IndexNotFound, StoreError
from ragkit.rag import RAG
from ragkit.types import Document, FloatMatrix

NOTES = {
    "house.txt": "The red house stands by the river. Its door is 2 metres high.",
    "meadow.txt": "The green meadow is mown in summer.",
    "trips/boat.txt": "The blue boat lies on the shore.",
    "trips/kite.txt": "A red kite circles above the shore.",
}


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[RAG]:
    with colour_rag(tmp_path / "index") as rag:
        yield rag


@pytest.fixture
def rag(empty: RAG) -> RAG:
    empty.add(Document(source, text, metadata={"year": 2020 + len(source) % 3}) for source, text in NOTES.items())
    return empty


def sources(rag: RAG, query: str, **options: object) -> list[str]:
    return [hit.chunk.source for hit in rag.search(query, **options)]  # type: ignore[arg-type] # one helper for all


@pytest.mark.parametrize("mode", ["", "Hybrid", "vector"])
def test_an_unknown_mode_is_refused_with_those_there_are(rag: RAG, mode: str) -> None:
    """In a search and in a question alike."""
    for call in (rag.search, rag.ask):
        with pytest.raises(ConfigError, match=f"the mode is {mode!r}") as error:
            call("red", mode=mode)
        assert "hybrid, dense, lexical" in error.value.hint


@pytest.mark.parametrize("query", ["", "  ", "\n\t"])
def test_an_empty_query_is_refused(rag: RAG, query: str) -> None:
    """In every mode, before anything is embedded."""
    for mode in ("hybrid", "dense", "lexical"):
        with pytest.raises(ConfigError, match="the query is empty"):
            rag.search(query, mode=mode)
    with pytest.raises(ConfigError, match="the query is empty"):
        rag.ask(query)


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_than_one_passage_is_refused(rag: RAG, k: int) -> None:
    """The number is named."""
    with pytest.raises(ConfigError, match=f"{k} passages are wanted"):
        rag.search("red", k)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_as_many_passages_come_as_are_wanted(rag: RAG, k: int) -> None:
    """Best first, and no more than there are."""
    hits = rag.search("red house", k)
    assert len(hits) == k
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len(rag.search("red house", 100)) == len(NOTES)


def test_a_condition_that_cannot_be_read_is_refused(rag: RAG) -> None:
    """Text without an operator, a key that no document has; in search, ask and the list of documents."""
    for call in (lambda w: rag.search("red", where=w), lambda w: rag.ask("red", where=w), rag.documents):
        with pytest.raises(ConfigError, match="has no key, operator and value"):
            call(["year"])
        with pytest.raises(ConfigError, match="no document has the key 'colour'"):
            call({"colour": "red"})


def test_conditions_choose_documents_everywhere(rag: RAG) -> None:
    """The list, a search and an answer look at the same documents."""
    assert [info.source for info in rag.documents(where="source=trips/*")] == ["trips/boat.txt", "trips/kite.txt"]
    assert sources(rag, "red", where=["source=trips/*"])[0] == "trips/kite.txt"
    assert set(sources(rag, "red", where=["source=trips/*"])) == {"trips/boat.txt", "trips/kite.txt"}
    assert rag.ask("Where does the red kite circle?", where={"source": "house.txt"}).status is Status.REFUSED
    (citation,) = rag.ask("Where does the red kite circle?", where={"source": "trips/*"}).citations
    assert citation.source == "trips/kite.txt"


class ListEmbedder:
    """Hands out lists, as many libraries do; of the text "torn" one that is shorter than the others."""

    model = "lists/1"

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, float(len(text))][: 1 if text == "torn" else 2] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [1.0, float(len(text))]


def test_an_embedder_may_give_lists(tmp_path: Path) -> None:
    """What cannot be rows of numbers is an error of ours, and nothing of it is stored."""
    with ragkit.open(tmp_path / "index", embedder=ListEmbedder()) as rag:  # type: ignore[arg-type] # without types
        rag.add([Document("a", "kite"), Document("b", "a red kite")])
        assert rag.search("kites", 1, mode="dense")[0].chunk.source == "a"
        assert rag.map("kites", 1).at is not None
        with pytest.raises(StoreError, match="no rows of numbers"):
            rag.add([Document("c", "torn"), Document("d", "whole")])
        assert [info.source for info in rag.documents()] == ["a", "b"]


def test_before_the_first_write_there_is_no_index(empty: RAG) -> None:
    """Every reading says so, and what to do; nothing is made on disk."""
    for call in (
        lambda: empty.search("red"),
        lambda: empty.ask("What is red?"),
        empty.documents,
        lambda: empty.document("a"),
        lambda: empty.neighbours(1),
        empty.status,
        empty.check,
        lambda: empty.remove("a"),
    ):
        with pytest.raises(IndexNotFound) as error:
            call()
        assert error.value.hint
    assert not empty.path.exists()


def test_an_emptied_index_answers_with_nothing(rag: RAG) -> None:
    """No hit, no document, a refusal with its reason; not an error."""
    assert rag.remove("*") == len(NOTES)
    assert rag.search("red") == []
    assert rag.documents() == []
    answer = rag.ask("Where does the red house stand?")
    assert (answer.status, answer.text, answer.citations, answer.hits) == (Status.REFUSED, "", (), ())
    assert answer.reason == "nothing is indexed that could answer"


def test_remove_takes_a_name_or_a_glob(rag: RAG) -> None:
    """And gives how many went; what is not there is no error."""
    assert rag.remove("house.txt") == 1
    assert rag.remove("house.txt") == 0
    assert rag.remove("trips/*") == 2
    assert [info.source for info in rag.documents()] == ["meadow.txt"]
    assert sources(rag, "shore", mode="lexical") == []


def test_what_names_nothing_is_a_mistake_and_no_damage(rag: RAG) -> None:
    """A list in place of its sources, a text in place of an id: the index is as sound as before."""
    with pytest.raises(ConfigError, match="a source is text, not list") as caught:
        rag.remove(["colours.txt"])  # type: ignore[arg-type]
    assert "*sources" in caught.value.hint
    with pytest.raises(ConfigError, match="an id is a whole number, not str"):
        rag.neighbours("1")  # type: ignore[arg-type]
    assert rag.status().documents == len(rag.documents())


def test_a_document_comes_back_whole(rag: RAG) -> None:
    """Text and metadata as given; an unknown one is an error that tells where to look."""
    document = rag.document("house.txt")
    assert document.text == NOTES["house.txt"]
    assert dict(document.metadata) == {"year": 2020}
    with pytest.raises(ConfigError, match=r"'attic\.txt' is not in the index") as error:
        rag.document("attic.txt")
    assert "ragkit list" in error.value.hint


def test_neighbours_are_the_passages_around_a_hit(empty: RAG) -> None:
    """In the order of the document, with no score; an id of an older version is refused."""
    paragraphs = [
        f"Paragraph {n} is about the {'red' if n == 3 else 'green'} sail. " + "It is long. " * 12 for n in range(6)
    ]
    empty.add([Document("sails", "\n\n".join(paragraphs))])
    best = empty.search("red", 1, mode="dense")[0]
    around = empty.neighbours(best.id, before=1, after=2)
    assert best.id in [hit.id for hit in around]
    assert all(hit.score == 0 for hit in around)
    starts = [hit.chunk.start for hit in around]
    assert starts == sorted(starts)
    assert len(around) == 4
    assert len(empty.neighbours(best.id)) == 3
    empty.add([Document("sails", "A blue sail.")])
    with pytest.raises(ConfigError, match=f"chunk {best.id} is not in the index"):
        empty.neighbours(best.id)


def test_an_answer_tells_its_steps_and_their_times(rag: RAG) -> None:
    """Question, hits, mode and seconds by step; each quote stands in its document where it says."""
    answer = rag.ask("How high is the door of the red house?", 2)
    assert answer.question == "How high is the door of the red house?"
    assert (answer.status, answer.mode, answer.model, answer.usage.total_tokens) == (
        Status.ANSWERED,
        "extractive",
        "",
        0,
    )
    assert len(answer.hits) == 2
    assert set(answer.timings) == {"search", "answer"}
    assert all(seconds >= 0 for seconds in answer.timings.values())
    first = answer.citations[0]
    assert (first.source, first.quote) == ("house.txt", "Its door is 2 metres high.")
    assert rag.document("house.txt").text[first.start : first.end] == first.quote
    assert first.verification is Verification.EXACT
    assert f"{first.quote} {first.marker}" in answer.text


def test_a_refused_question_has_a_reason_and_its_hits(rag: RAG) -> None:
    """The passages that did not suffice are shown, the times as well."""
    for question, reason in {
        "Какова столица Франции?": "no passage is about what the question asks",
        "Кто ты и где я?": "the question has no word to look for",
    }.items():
        answer = rag.ask(question)
        assert (answer.status, answer.text, answer.citations) == (Status.REFUSED, "", ())
        assert answer.reason == reason
        assert set(answer.timings) == {"search", "answer"}


def test_a_closed_rag_opens_again_when_it_is_used(rag: RAG) -> None:
    """Closing twice is no error either; `with` gives the RAG itself and closes it."""
    before = sources(rag, "red")
    rag.close()
    rag.close()
    assert sources(rag, "red") == before
    with rag as same:
        assert same is rag
        assert sources(same, "red") == before
    assert sources(rag, "red") == before


def test_words_need_no_model(rag: RAG) -> None:
    """A lexical search embeds nothing, so that an index of another model can still be searched by words."""
    other = ColourEmbedder()
    other.model = "shapes/1"
    stranger = colour_rag(rag.path, other)
    assert sources(stranger, "shore", mode="lexical") == sources(rag, "shore", mode="lexical") != []
    for mode in ("hybrid", "dense"):
        with pytest.raises(IndexMismatch, match=r"colours/1 .* shapes/1"):
            stranger.search("shore", mode=mode)
    stranger.close()


def test_an_embedder_whose_vectors_were_refused_leaves_no_trace(tmp_path: Path) -> None:
    """Another one, of another dimension, may follow; the first one is not what the index was made with."""

    class Broken(ColourEmbedder):
        def embed_documents(self, texts: Sequence[str]) -> FloatMatrix:
            return np.full((len(texts), 3), np.nan, np.float32)

    index = tmp_path / "index"
    document = Document("red.txt", "The red house.")
    with colour_rag(index, Broken()) as rag, pytest.raises(StoreError, match="not a number"):
        rag.add([document])
    with colour_rag(index) as rag:
        assert rag.add([document]).new == 1
        assert sources(rag, "red") == ["red.txt"]
        assert all(finding.ok for finding in rag.check())


def test_one_file_of_a_folder_is_indexed_by_its_path(empty: RAG, tmp_path: Path) -> None:
    """`path` is where the index is; a path may be text."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.txt").write_text("A red kite.")
    report = empty.index_folder(str(docs))
    assert (report.new, report.complete, report.index) == (1, True, str(empty.path))
    assert empty.path == tmp_path / "index"


def test_objects_of_ones_own_fill_the_seams(tmp_path: Path) -> None:
    """`ragkit.open` takes an embedder and a chat model; everything else is as the settings say."""
    embedder = ColourEmbedder()
    with ragkit.open(tmp_path / "index", embedder=embedder, chat=Says("Красный [1].")) as rag:
        rag.add([ragkit.Document("a", "The red house."), ragkit.Document("b", "The blue house.")])
        answer = rag.ask("Which house is red?")
        assert (answer.text, answer.citations[0].source) == ("Красный [1].", "a")
        assert rag.status().embedding_model == "colours/1"
    assert len(embedder.texts) == 2
