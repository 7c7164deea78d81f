"""Whether passages are about a question: title, passage and the word search's own score together."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from toys import Says

import ragkit
from ragkit.answers import Refusal, Status
from ragkit.extractive import extract
from ragkit.relevance import NEAR, RELEVANT, by_words, full_score, least_by_words, level, nearness
from ragkit.store.local import LocalStore
from ragkit.types import Chunk, Document, FloatMatrix, Hit
from ragkit.words import terms

SAMPLES = Path(__file__).parents[1] / "sample_docs"
DATA = Path(__file__).parents[1].parent / "shared" / "data" / "retrieval"

SONG = Document(
    "clowns.txt",
    "Sondheim wrote it for the actress Glynis Johns, who created the role of Desirée on Broadway.",
    metadata={"title": "Send In the Clowns"},
)
RIVER = Document("river.txt", "The river runs through the old town and floods the meadows in spring.")


def even(terms: Sequence[str]) -> Mapping[str, float]:
    return dict.fromkeys(terms, 1.0)


def rows(name: str, what: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DATA / name / f"{what}.jsonl").read_text("utf-8").splitlines()]


def hit(text: str, **scores: float) -> Hit:
    return Hit(1, Chunk("a.txt", 0, len(text), text), 1.0, scores)


def by(question: str, *hits: Hit, title: str = "") -> float:
    return by_words(question, hits, idf=even, title=lambda _: title)


def test_the_title_is_part_of_the_passage() -> None:
    """A passage that says "it" is about what its document is called."""
    question = "who wrote send in the clowns"
    assert by(question, hit(SONG.text)) < by(question, hit(SONG.text), title=SONG.title) == pytest.approx(1.0)


def test_a_question_about_a_title_is_answered(tmp_path: Path) -> None:
    """The whole way: passages that name the song in their title only are not refused."""
    with ragkit.open(tmp_path / "index") as rag:
        rag.add([SONG, RIVER])
        assert rag.ask("who sang the song send in the clowns").status is Status.ANSWERED
        assert rag.ask("how do whales sleep").status is Status.REFUSED


def test_a_higher_score_of_the_word_search_is_never_less_relevant() -> None:
    """With the same words covered, relevance rises with the score, and stays within 0 to 1."""
    found = [by("договор поставки", hit("Договор подписан.", lexical=score)) for score in (0.0, 1.0, 4.0, 50.0)]
    assert found == sorted(found)
    assert found[0] < RELEVANT < found[-1] <= 1


def test_the_full_score_is_that_of_the_word_search(tmp_path: Path) -> None:
    """What a sentence scores in the passage that it is from. Another scale of scores would refuse more, or nothing."""
    with ragkit.open(tmp_path / "index") as rag:
        rag.index_folder(SAMPLES)
        texts = [rag.document(info.source).text for info in rag.documents()]
        sentences = [each for text in texts for each in re.split(r"(?<=[.!?])\s+", text)]
        found = {sentence: rag.search(sentence, 6) for sentence in sentences if 5 <= len(sentence.split()) <= 15}
    with closing(LocalStore(tmp_path / "index")) as store:
        shares = [
            max(hit.scores["lexical"] for hit in hits) / full_score(sentence, store.idf(terms(sentence)))
            for sentence, hits in found.items()
        ]
    assert len(shares) > 50
    assert 0.85 < statistics.median(shares) < 1.2


@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")
@pytest.mark.parametrize(("name", "other"), [("xquad_ru", "danetqa_ru"), ("nq_open_en", "xquad_en")])
def test_few_questions_are_refused_that_have_an_answer_and_most_that_have_none(
    tmp_path: Path, name: str, other: str
) -> None:
    """As the README says, with room for chance: 60 questions of each kind, of real collections."""
    of = {each: [row["text"] for row in rows(each, "queries")] for each in (name, other)}
    corpus = rows(name, "corpus")
    with ragkit.open(tmp_path / "index") as rag:
        rag.add(Document(row["_id"], row["text"], metadata={"title": row["title"]}) for row in corpus if row["text"])
        refused = {
            each: sum(rag.ask(question).status is Status.REFUSED for question in texts[:: len(texts) // 60][:60])
            for each, texts in of.items()
        }
    assert refused[name] <= 5
    assert refused[other] >= 36


def test_without_a_word_search_coverage_decides_alone() -> None:
    """Hits of vectors only have no score of words, and are not held to be weak for it."""
    assert by("договор поставки", hit("Договор поставки.", dense=0.9)) == pytest.approx(1.0)
    assert by("договор поставки", hit("Река и город.", dense=0.9)) == 0


def test_a_small_index_asks_for_less() -> None:
    """The threshold rises with the number of passages, as read off the idf of an unknown word, up to its highest."""
    sizes = (1, 10, 100, 1_000, 100_000)
    least = [least_by_words(lambda terms, n=n: dict.fromkeys(terms, math.log(2 * n + 2))) for n in sizes]
    assert least == sorted(least)
    assert least[0] < 0.2 < least[2] < least[3] == least[4] == RELEVANT


def test_nothing_found_is_not_relevant() -> None:
    """No hits, and a question of stop words."""
    assert by("договор") == 0
    assert by("и в на", hit("и в на", lexical=3.0)) == 0


# -- vectors


def unit(rows: np.ndarray) -> FloatMatrix:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def model(n: int, common: float) -> tuple[FloatMatrix, FloatMatrix]:
    """Vectors of n texts, and of questions that are .1 to .9 of one of them; all with a `common` direction added."""
    chance = np.random.default_rng(5)
    texts = unit(chance.standard_normal((n, 48)))
    share = np.linspace(0.1, 0.9, 9)[:, None]
    asked = unit(share * texts[:1] + (1 - share) * unit(chance.standard_normal((1, 48))))
    return tuple(unit(np.pad(rows, ((0, 0), (0, 1)), constant_values=common)) for rows in (texts, asked))


def standings(n: int, common: float) -> list[float]:
    texts, asked = model(n, common)
    return [nearness([hit("…", dense=float((texts @ row).max()))], level(texts)) for row in asked]


def test_nearness_follows_the_cosines_of_a_model() -> None:
    """With a direction that all share unrelated texts have over .9, and every question stands where it stood."""
    plain, shifted = model(200, 0.0)[0], model(200, 4.0)[0]
    assert abs(level(plain)) < 0.05
    assert level(shifted) > 0.9
    assert standings(200, 4.0) == pytest.approx(standings(200, 0.0), abs=1e-3)


def test_what_is_more_alike_is_nearer() -> None:
    """Nearness rises with the cosine, from below the threshold to above it."""
    found = standings(200, 4.0)
    assert found == sorted(found)
    assert found[0] < NEAR < found[-1]


def test_few_vectors_say_nothing() -> None:
    """With fewer than 64, without cosines, and where all texts are one, nothing is held to be near."""
    texts, _ = model(63, 0.0)
    assert level(texts) is None
    assert nearness([hit("…", dense=0.99)], None) == 0
    assert nearness([hit("…", lexical=3.0)], 0.2) == 0
    assert nearness([hit("…", dense=1.0)], level(np.ones((80, 1), np.float32))) == 0


@pytest.mark.parametrize(("cosine", "status"), [(0.97, Status.ANSWERED), (0.93, Status.REFUSED)])
def test_a_near_passage_in_other_words_is_not_refused(cosine: float, status: Status) -> None:
    """Where unrelated texts have .92, .97 is near and .93 is not; asked only where the words say no."""
    document = Document("a.txt", "The river floods the meadows in spring.")
    found = Hit(1, Chunk("a.txt", 0, len(document.text), document.text), 1.0, {"dense": cosine, "lexical": 0.5})
    answer = extract(
        "which meadow plants tolerate inundation",
        [found],
        idf=lambda terms: {**even(terms), "": 7.0},  # as of 500 passages
        document=lambda _: document,
        level=lambda: 0.92,
    )
    assert answer.status is status


@pytest.mark.parametrize(("early", "asked"), [(True, 0), (False, 1)])
def test_a_chat_model_is_not_paid_for_what_no_passage_is_about(tmp_path: Path, early: bool, asked: int) -> None:
    """With `refuse_early` the nearest passages come with a reason, and no request is sent; without it one is."""
    model = Says("The river [1].", "The river [1].")
    with ragkit.open(tmp_path / "index", chat=model, refuse_early=early) as rag:
        rag.add([SONG, RIVER])
        answer = rag.ask("How do whales sleep?")
        assert len(model.told) == asked
        if early:
            assert (answer.status, answer.refusal) == (Status.REFUSED, Refusal.NOTHING_RELEVANT)
            assert answer.hits
            assert answer.mode == "generative"
        assert rag.ask("Which meadows flood in spring?").status is Status.ANSWERED
        assert len(model.told) == asked + 1
