"""The embedder without a model."""

import numpy as np
import pytest

from ragkit.embedders.offline import OfflineEmbedder

TEXTS = [
    "Договор поставки оборудования заключён в Москве.",
    "The contract for the delivery of equipment was signed in London.",
    "Кошка спит на тёплой печке.",
]


def cosines(query: str) -> list[float]:
    embedder = OfflineEmbedder()
    rows, vector = embedder.embed_documents(TEXTS), embedder.embed_query(query)
    return list(rows @ vector / np.linalg.norm(rows, axis=1) / np.linalg.norm(vector))


@pytest.mark.parametrize(
    ("query", "nearest"),
    [
        ("поставка оборудования", 0),
        ("о договорах поставок", 0),
        ("договр поставки", 0),
        ("deliveries of equipment", 1),
        ("тёплые печки", 2),
        ("Лондон", 1),
    ],
)
def test_the_nearest_text_shares_words_in_any_form(query: str, nearest: int) -> None:
    """Inflected forms, misspellings and names in the other script come nearest to the text that has the word."""
    assert int(np.argmax(cosines(query))) == nearest


def test_rows_are_what_the_single_texts_give() -> None:
    """A vector depends on its text only: alone, in a batch and asked as a query it is the same."""
    rows = OfflineEmbedder().embed_documents(TEXTS)
    assert rows.shape == (3, 512)
    assert rows.dtype == np.float32
    for row, text in zip(rows, TEXTS, strict=True):
        np.testing.assert_array_equal(row, OfflineEmbedder().embed_query(text))


def test_the_vectors_are_the_same_on_every_platform() -> None:
    """Places, signs and amounts are fixed: a change of them is another model and needs another name."""
    vector = OfflineEmbedder(16).embed_query("Кошка спит, the cat sleeps")
    assert OfflineEmbedder(16).model == "ragkit-offline/1-16"
    np.testing.assert_allclose(vector, EXPECTED, atol=1e-5)


@pytest.mark.parametrize("text", ["", "   ", "???", "—", "и в на", "the who", "\u0301"])
def test_no_vector_is_zero(text: str) -> None:
    """A text without a content word still has a direction: a zero vector has no cosine, and a store refuses it."""
    embedder = OfflineEmbedder()
    assert np.linalg.norm(embedder.embed_query(text)) > 0
    assert np.linalg.norm(embedder.embed_documents([text])[0]) > 0


def test_stop_words_are_told_apart() -> None:
    """A query of stop words is near to itself and not to other stop words."""
    embedder = OfflineEmbedder()
    to_be, they = embedder.embed_query("to be or not to be"), embedder.embed_query("кто они")
    assert abs(float(to_be @ they)) < 0.5 * float(np.linalg.norm(to_be) * np.linalg.norm(they))


def test_no_texts_give_no_rows() -> None:
    """(0, d) for no texts."""
    assert OfflineEmbedder(256).embed_documents([]).shape == (0, 256)


def test_an_impossible_dimension_is_refused() -> None:
    """A vector needs at least one dimension."""
    with pytest.raises(ValueError, match="0 dimensions"):
        OfflineEmbedder(0)


EXPECTED = [0.00, -0.60, 0.30, 0.40, 0.60, 1.30, 1.00, 0.60, 0.60, 0.30, 0.00, 0.00, 0.90, -1.60, 0.60, 0.60]
