"""Embeddings: every way in which a reply is known to break in silence, and the ways in which it may differ."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import BadResponse, ConfigError
from ragkit.providers.wire.embeddings import body, vectors
from ragkit.types import FloatMatrix, Usage

ROWS = [[1.5, 2.0], [-3.0, 4.0], [0.0, 5.0]]


def reply(rows: list[Any], **rest: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)]
    return {"object": "list", "model": "Embeddings", "data": data, **rest}


def matrix(given: object, count: int = 3, dimension: int | None = None) -> FloatMatrix:
    return vectors(given, count=count, dimension=dimension)[0]


def test_a_reply_of_gigachat() -> None:
    """Usage stands with each vector; rows are as long as the service made them."""
    given = reply([[17.0, 23.75], [-29.0, 3.5]])
    for item, tokens in zip(given["data"], (7, 9), strict=True):
        item["usage"] = {"prompt_tokens": tokens}
    found, usage = vectors(given, count=2, dimension=2)
    assert found.dtype == np.float32
    assert found.tolist() == [[17.0, 23.75], [-29.0, 3.5]]
    assert usage == Usage(embedding_tokens=16)


def test_numbers_are_asked_for_as_numbers_or_nothing_is_said_and_base64_is_read_all_the_same() -> None:
    """`encoding_format` is sent where the service knows it; some send base64 unasked, little-endian float32."""
    assert body("m", ["да"], encoding_format="float") == {"model": "m", "input": ["да"], "encoding_format": "float"}
    assert body("m", ["да"]) == {"model": "m", "input": ["да"]}
    encoded = [base64.b64encode(struct.pack("<2f", *row)).decode() for row in ROWS]
    assert matrix(reply(encoded), dimension=2).tolist() == ROWS
    assert matrix(reply([encoded[0], ROWS[1], encoded[2]])).tolist() == ROWS  # even mixed


def test_dimensions_are_sent_when_set_and_the_length_of_the_reply_is_checked() -> None:
    """Servers ignore `dimensions` or mishandle it, and the error gives both lengths."""
    assert body("m", ["да"], dimensions=256)["dimensions"] == 256
    with pytest.raises(BadResponse, match="have 2 numbers, 256 were expected"):
        matrix(reply(ROWS), dimension=256)


def test_rows_are_sorted_by_index_or_stay_where_no_index_tells() -> None:
    """Absent everywhere or zero everywhere means the order of the request; else a permutation is demanded."""
    shuffled = reply(ROWS)
    shuffled["data"] = [shuffled["data"][n] for n in (2, 0, 1)]
    assert matrix(shuffled).tolist() == ROWS
    for index in (None, 0):
        assert matrix({"data": [{"index": index, "embedding": row} for row in ROWS]}).tolist() == ROWS
    assert matrix({"data": [{"embedding": row} for row in ROWS]}).tolist() == ROWS
    assert matrix([{"embedding": row} for row in ROWS]).tolist() == ROWS


@pytest.mark.parametrize(
    ("indices", "said"),
    [
        ((0, 1, 1), "two vectors have the index 1"),
        ((1, 2, 3), "index 3, with 3 texts"),
        ((0, None, 2), "index None"),
        ((0, True, 2), "index True"),
        (("0", "1", "2"), "index '0'"),
        ((-1, 0, 1), "index -1"),
    ],
)
def test_an_index_that_is_no_permutation_is_refused(indices: tuple[Any, ...], said: str) -> None:
    """A row for the wrong text would poison every search."""
    with pytest.raises(BadResponse, match=said):
        matrix({"data": [{"index": i, "embedding": row} for i, row in zip(indices, ROWS, strict=True)]})


@pytest.mark.parametrize("count", [2, 4])
def test_as_many_rows_come_back_as_texts_were_sent(count: int) -> None:
    """One missing or one too many is no reply to the request."""
    with pytest.raises(BadResponse, match=f"{count} texts were sent and 3 vectors came back"):
        matrix(reply(ROWS), count=count)


def test_texts_go_as_a_list_of_strings_unless_the_server_takes_one_string_only() -> None:
    """Never as token ids; the switch is for servers that know no list."""
    assert body("m", ["a", "b"])["input"] == ["a", "b"]
    assert body("m", ["a"], single=True)["input"] == "a"
    with pytest.raises(ConfigError, match="2 texts for a service that takes one"):
        body("m", ["a", "b"], single=True)


@pytest.mark.parametrize("texts", [[], [""], ["a", " \n"], ["\udc00"]])
def test_empty_texts_are_an_error_before_anything_is_sent(texts: list[str]) -> None:
    """Many servers refuse the whole request for one of them."""
    with pytest.raises(ConfigError) as error:
        body("m", texts)
    assert error.value.hint


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, 0),
        ({"prompt_tokens": 11, "total_tokens": 11}, 11),
        ({"total_tokens": 11, "cost": 0.02, "cost_rub": None}, 11),
        ("free", 0),
    ],
)
def test_usage_may_be_absent_or_hold_more_and_the_model_may_differ(usage: Any, tokens: int) -> None:
    """Neither is a reason to throw away vectors that were paid for."""
    _, found = vectors(reply(ROWS, usage=usage) | {"model": "another-name"}, count=3, dimension=None)
    assert found == Usage(embedding_tokens=tokens)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([NAN, 1.0], "holds NaN or infinity"),
        ([1.0, -INFINITY], "holds NaN or infinity"),
        ([1e300, 1.0], "is too large"),
        ([0.0, 0.0], "is zero"),
        ([0, 0], "is zero"),
        ([1e-30, 0.0], "is zero"),
        (base64.b64encode(struct.pack("<2f", NAN, 1.0)).decode(), "holds NaN or infinity"),
    ],
)
def test_a_row_without_a_direction_is_refused_and_named(row: Any, said: str) -> None:
    """NaN, infinity and zero length cannot be compared by cosine; the text is told by its place."""
    with pytest.raises(BadResponse, match=f"text 1 of 3 {said}"):
        matrix(reply([ROWS[0], row, ROWS[2]]))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["0.1", "0.2"], "text 1 of 3 holds a text"),
        ([0.1, "0.2"], "text 1 of 3 holds a text"),
        ([0.1, None], "text 1 of 3 holds null"),
        ([0.25, True], "text 1 of 3 holds a boolean"),
        ([False, 0.25], "text 1 of 3 holds a boolean"),
        ([[0.1], [0.2]], "text 1 of 3 holds a list"),
        ([0.1, {}], "text 1 of 3 holds an object"),
        ([10**400, 1], "numbers that are too large"),
        (None, "text 1 of 3 is null"),
        ({"0": 0.1}, "text 1 of 3 is an object"),
        ([0.1, 0.2, 0.3], "different lengths: 2, 3"),
        ([], "different lengths: 0, 2"),
        ("AAA", "text 1 of 3 is a text that is no base64"),
        ("AAAAAAA=", "text 1 of 3 is a text that is no base64"),  # five bytes
        ("да", "text 1 of 3 is a text that is no base64"),
        ("", "text 1 of 3 is a text that is no base64"),
    ],
)
def test_what_is_no_row_of_numbers_is_refused_and_named(row: Any, said: str) -> None:
    """Texts, nulls, booleans and lists in the place of numbers, and rows of different lengths."""
    with pytest.raises(BadResponse, match=said):
        matrix(reply([ROWS[0], row, ROWS[2]]))


@pytest.mark.parametrize("row", [[True, True], [[1.0, 2.0]], []])
def test_what_is_wrong_in_every_row_is_found_too(row: list[Any]) -> None:
    """Then numpy makes a proper array of it: of booleans, of three dimensions, of no columns."""
    with pytest.raises(BadResponse):
        matrix(reply([row] * 3))


def test_whole_numbers_are_numbers() -> None:
    """Quantised models send them; exact ones and zeros are no booleans."""
    assert matrix(reply([[1, 0], [0, 1], [-127, 1]])).tolist() == [[1, 0], [0, 1], [-127, 1]]


@pytest.mark.parametrize(
    "given", [None, 5, "<html>", {}, {"data": None}, {"data": {}}, {"data": [1, 2, 3]}, {"error": "no"}]
)
def test_a_reply_without_data_is_named(given: object) -> None:
    """Nothing but BadResponse comes out, with a word on what was found."""
    with pytest.raises(BadResponse):
        matrix(given)


@given(
    st.integers(1, 8).flatmap(lambda count: st.permutations(range(count))),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_any_permutation_gives_the_same_matrix(order: list[int], width: int, seed: int, encoded: bool) -> None:
    """Row i is the row of text i, however the reply is ordered and written."""
    wanted = np.random.default_rng(seed).uniform(0.5, 2, (len(order), width)).astype(np.float32)

    def written(row: np.ndarray[Any, Any]) -> Any:
        return base64.b64encode(row.astype("<f4").tobytes()).decode() if encoded else row.tolist()

    data = [{"index": n, "embedding": written(wanted[n])} for n in order]
    found = matrix(json.loads(json.dumps({"data": data})), count=len(order), dimension=width)
    if order != [0] * len(order):
        assert np.array_equal(found, wanted)
