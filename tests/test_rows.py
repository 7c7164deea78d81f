"""What is left out of a document's row, or kept in fewer bytes, comes back as it was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import ragkit
from ragkit.store.catalog.rows import (
    layout_from,
    layout_text,
    packed_sha256,
    record_from,
    record_text,
    sha256_from,
)
from ragkit.types import Document, Heading

DOCUMENTS = [
    Document("plain", "red house"),
    Document("typed", "blue boat", media_type="text/markdown"),
    Document("untyped", "green tree", media_type=""),
    Document("full", "grey mouse", "own name", "", (0, 5), (Heading(0, 1, "Grey"),), {"title": "Мышь", "n": 1.5}),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.source)
def test_a_record_says_what_the_document_says(document: Document) -> None:
    """Whatever of it is usual, and left out."""
    record = record_from(record_text(document))
    assert record["media_type"] == document.media_type
    assert record["metadata"] == document.metadata
    layout = layout_from(layout_text(document))
    assert tuple(layout["page_starts"]) == document.page_starts
    assert tuple(Heading(*heading) for heading in layout["headings"]) == document.headings


def test_a_usual_document_has_an_empty_record() -> None:
    assert (record_text(DOCUMENTS[0]), layout_text(DOCUMENTS[0])) == ("{}", "")


@pytest.mark.parametrize("sha256", ["ab" * 32, "AB" * 32, "0", "", "ab" * 31, "ab" * 32 + "\n", "є" * 64])
def test_a_checksum_comes_back_as_the_caller_wrote_it(sha256: str) -> None:
    """Whether or not it is one: a caller may give any text."""
    assert sha256_from(packed_sha256(sha256)) == sha256


def test_only_a_checksum_in_small_letters_is_packed() -> None:
    assert packed_sha256("ab" * 32) == b"\xab" * 32
    assert packed_sha256("AB" * 32) == "AB" * 32


def test_documents_come_back_from_an_index_as_they_were_added(tmp_path: Path) -> None:
    """And its list of them says the same."""
    with ragkit.open(tmp_path / "index", provider="offline") as rag:
        rag.add(DOCUMENTS)
        for document in DOCUMENTS:
            found = rag.document(document.source)
            assert (found.text, found.media_type, found.metadata) == (
                document.text, document.media_type, document.metadata,
            )  # fmt: skip
            assert (found.page_starts, found.headings) == (document.page_starts, document.headings)
        infos = {info.source: info for info in rag.documents()}
        assert infos["full"].sha256 == "own name"
        assert len(infos["plain"].sha256) == 64
        assert infos["plain"].indexed.startswith("2")
        assert infos["plain"].indexed.endswith("Z")
    with closing(sqlite3.connect(tmp_path / "index" / "catalog.sqlite")) as db:
        row = db.execute("SELECT sha256, record, problems FROM document WHERE source = 'plain'").fetchone()
        assert (len(row[0]), *row[1:]) == (32, "{}", "")
