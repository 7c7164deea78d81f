"""Reranking: how each kind of server is asked, and every way in which scores could come to the wrong text."""

import json
from typing import Any

import pytest
from faults import Faults, say

from ragkit.errors import BadResponse, ConfigError
from ragkit.metering import metered
from ragkit.providers.authorization import ApiKey
from ragkit.providers.http import Http
from ragkit.providers.jsontext import decode
from ragkit.providers.slots import Slots
from ragkit.providers.wire.rerank import body, scores
from ragkit.rerankers.remote import RemoteReranker
from ragkit.secret import Secret
from ragkit.types import Chunk, Hit, Usage

TEXTS = ["Красный кит", "Зелёный чай", "Синий экран"]


def reply(*pairs: tuple[Any, Any], **rest: Any) -> dict[str, Any]:
    return {"results": [{"index": place, "relevance_score": score} for place, score in pairs], **rest}


GOOD = reply((1, 0.9), (0, 0.5), (2, -0.25))


def test_every_text_is_asked_for() -> None:
    """Some servers give the best few unless asked for more; names are those of each kind of server."""
    assert body("m", "чай", TEXTS) == {"model": "m", "query": "чай", "documents": TEXTS, "top_n": 3}
    assert body("m", "чай", TEXTS, style="voyage") == {"model": "m", "query": "чай", "documents": TEXTS, "top_k": 3}
    assert body("", "чай", TEXTS, style="tei") == {"query": "чай", "texts": TEXTS, "truncate": True}


@pytest.mark.parametrize(
    ("model", "query", "texts", "style", "said"),
    [
        ("", "чай", TEXTS, "cohere", "no model"),
        ("m", " ", TEXTS, "cohere", "the query is empty"),
        ("m", "чай", [], "cohere", "no texts"),
        ("m", "чай", ["да", "\n"], "cohere", "text 1 is empty"),
        ("m", "чай", ["\ud800"], "cohere", "half of a character"),
        ("m", "чай", TEXTS, "pinecone", "choose|'pinecone'"),
    ],
)
def test_what_a_service_would_refuse_is_not_sent(
    model: str, query: str, texts: list[str], style: str, said: str
) -> None:
    """Each with the reason."""
    with pytest.raises(ConfigError, match=said):
        body(model, query, texts, style=style)


def test_scores_come_back_in_the_order_of_the_texts() -> None:
    """Replies are ordered by score, and `index` says whose it is; numbers of any size are a model's right."""
    assert scores(GOOD, count=3)[0] == [0.5, 0.9, -0.25]
    assert scores(reply((1, 3), (0, -11)), count=2)[0] == [-11.0, 3.0]


@pytest.mark.parametrize(
    "given",
    [
        [{"index": 1, "score": 0.9}, {"index": 0, "score": 0.5}],  # text-embeddings-inference
        {"object": "list", "data": [{"relevance_score": 0.9, "index": 1}, {"relevance_score": 0.5, "index": 0}]},
        {"results": [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}, {"index": 0, "score": 0.5}]},
    ],
)
def test_other_shapes_are_read(given: object) -> None:
    """A bare list, `data` as Voyage has it, documents that come along."""
    assert scores(given, count=2)[0] == [0.5, 0.9]


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        ({"usage": {"total_tokens": 38}}, 38),
        ({"usage": {"prompt_tokens": 30, "total_tokens": 38}}, 30),
        ({"meta": {"billed_units": {"search_units": 1}}}, 0),
        ({"meta": {"tokens": {"input_tokens": 12, "output_tokens": 0}, "billed_units": {"search_units": 1}}}, 12),
        ({"meta": {"billed_units": {"total_tokens": 7}}}, 7),
        ({"usage": "free", "meta": [1]}, 0),
        ({}, 0),
    ],
)
def test_what_it_cost_is_read_where_the_reply_says(more: dict[str, Any], tokens: int) -> None:
    """Search units are no tokens; bookkeeping that cannot be read costs no answer."""
    assert scores({**GOOD, **more}, count=3)[1] == Usage(prompt_tokens=tokens)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (reply((0, 0.5), (1, 0.4)), "3 texts were sent and 2 scores came back"),
        (reply((0, 0.5), (1, 0.4), (2, 0.1), (3, 0.1)), "3 texts were sent and 4 scores"),
        (reply((0, 0.5), (1, 0.4), (1, 0.3)), "two scores have the index 1"),
        (reply((0, 0.5), (1, 0.4), (3, 0.3)), "the index 3, with 3 texts"),
        (reply((0, 0.5), (1, 0.4), (-1, 0.3)), "the index -1"),
        (reply((0, 0.5), (1, 0.4), (True, 0.3)), "the index True"),
        (reply((0, 0.5), (1, 0.4), (None, 0.3)), "the index None"),
        (reply((0, 0.5), (1, 0.4), (2, None)), "score of text 2 of 3 is missing"),
        (reply((0, 0.5), (1, "0.4"), (2, 0.1)), "score of text 1 of 3 is a text"),
        (reply((0, False), (1, 0.4), (2, 0.1)), "score of text 0 of 3 is a boolean"),
        (reply((0, float("nan")), (1, 0.4), (2, 0.1)), "score of text 0 of 3 is NaN"),
        (reply((0, float("inf")), (1, 0.4), (2, 0.1)), "score of text 0 of 3 is NaN, or too large"),
        ({"results": None}, "not a list"),
        ({"results": [[0, 0.5]]}, "not an object"),
        ({"error": {"message": "model is loading"}}, "model is loading"),
        ("0.5", "not an object"),
    ],
)
def test_scores_that_could_belong_to_another_text_are_refused(given: object, said: str) -> None:
    """Every number once, every score a finite number; the error says which rule was broken."""
    with pytest.raises(BadResponse, match=said):
        scores(given, count=3)


def test_nan_is_found_as_it_travels() -> None:
    """Some servers write NaN into JSON; the reader of replies lets it in, so that it is named here."""
    sent = json.dumps(reply((0, float("nan")), (1, 0.4))).encode()
    with pytest.raises(BadResponse, match="NaN"):
        scores(decode(sent), count=2)


def test_a_refused_reply_says_what_it_cost() -> None:
    """It was paid for all the same."""
    with pytest.raises(BadResponse) as caught:
        scores(reply((0, 0.5), usage={"total_tokens": 21}), count=3)
    assert caught.value.usage == Usage(prompt_tokens=21)


def test_scores_that_break_the_rules_are_asked_for_once_more() -> None:
    """Both answers are paid for, and a second one like the first is an error."""
    hits = [Hit(place, Chunk("a.txt", 0, len(text), text), 1.0) for place, text in enumerate(TEXTS)]
    cost = {"usage": {"total_tokens": 10}}
    twice, good = {**reply((0, 0.5), (0, 0.4), (0, 0.3)), **cost}, {**GOOD, **cost}
    with Faults(say(200, twice), say(200, good), say(200, twice)) as server:
        http = Http(server.url, ApiKey(Secret("")), slots=Slots(1), sleep=lambda _: False)
        rerank = RemoteReranker(http, "m")
        with metered() as meter:
            assert [hit.id for hit in rerank("чай", hits)] == [1, 0, 2]
        assert meter.usage == Usage(prompt_tokens=20)
        with pytest.raises(BadResponse, match="two scores have the index 0") as caught:
            rerank("чай", hits)
        http.close()
    assert len(server.requests) == 4
    assert caught.value.usage == Usage(prompt_tokens=20)
