"""The names of keys are kept once, for as long as a document has them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import ragkit
from ragkit.errors import ConfigError
from ragkit.types import Document


def keys(index: Path) -> set[str]:
    with closing(sqlite3.connect(index / "catalog.sqlite")) as db:
        return {name for (name,) in db.execute("SELECT name FROM attribute_key")}


def test_a_key_goes_with_the_last_document_that_had_it(tmp_path: Path) -> None:
    """No search is told of it, and no file keeps its name."""
    with ragkit.open(tmp_path / "index", provider="offline") as rag:
        rag.add([
            Document("a", "red house", metadata={"year": 2024, "client": "Мышь"}),
            Document("b", "red boat", metadata={"year": 2023}),
        ])  # fmt: skip
        assert keys(tmp_path / "index") == {"media_type", "year", "client"}
        rag.remove("a")
        assert keys(tmp_path / "index") == {"media_type", "year"}
        with pytest.raises(ConfigError, match="no document has the key 'client'") as error:
            rag.search("red", where={"client": "Мышь"})
        assert error.value.hint == "the keys are: source, media_type, year"
        assert [hit.chunk.source for hit in rag.search("red", where=["year<2024"])] == ["b"]


def test_a_new_version_brings_its_own_keys(tmp_path: Path) -> None:
    with ragkit.open(tmp_path / "index", provider="offline") as rag:
        rag.add([Document("a", "red house", metadata={"year": 2024})])
        rag.add([Document("a", "red house", metadata={"client": "Мышь"})])
        assert keys(tmp_path / "index") == {"media_type", "client"}
        assert [hit.chunk.source for hit in rag.search("red", where={"client": "Мышь"})] == ["a"]
        assert all(finding.ok for finding in rag.check())
