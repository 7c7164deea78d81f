"""What documents can be filtered by: rows that their own records prove, and names of keys that are kept once."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import ragkit
from ragkit.errors import ConfigError
from ragkit.filters import parse_where
from ragkit.reports import FileStamp
from ragkit.store.catalog import Catalog
from ragkit.store.catalog.conditions import clauses
from ragkit.store.catalog.rows import crc
from ragkit.store.local import LocalStore
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


KINDS: list[str | int | float] = [
    True,
    0,
    7,
    -(2**40),
    2**53 + 1,
    0.5,
    7.0,
    1e300,
    0.1 + 0.2,
    -0.0,
    "",
    "7",
    "Мышь",
    "a'b",
]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Ten documents, with a value of every kind each."""
    with closing(LocalStore(tmp_path / "index")) as store, store.writing() as writer:
        for n in range(10):
            metadata = {"n": n, **{f"kind {i}": value for i, value in enumerate(KINDS)}}
            writer.replace(Document(f"{n}.md", "house", f"{n}", metadata=metadata), [], [], stamp=FileStamp(1, 10**18))
    return tmp_path / "index"


def change(index: Path, sql: str) -> None:
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as db:
        assert db.execute(sql).rowcount


def rows(index: Path, source: str) -> dict[str, object]:
    """The attributes of a document."""
    with closing(sqlite3.connect(index / "catalog.sqlite")) as db:
        found = db.execute(
            "SELECT name, value FROM attribute JOIN attribute_key k ON k.id = key"
            " JOIN document d ON d.id = document WHERE source = ?",
            (source,),
        ).fetchall()
    assert len(dict(found)) == len(found)
    return dict(found)


def lost(index: Path) -> int:
    """Rows of no document, or of none that is alive."""
    with closing(sqlite3.connect(index / "catalog.sqlite")) as db:
        living = "SELECT id FROM document WHERE removed IS NULL"
        return int(db.execute(f"SELECT count(*) FROM attribute WHERE document NOT IN ({living})").fetchone()[0])


def faults(index: Path, subset: tuple[int, int] = (1, 1)) -> list[str]:
    with closing(LocalStore(index)) as store:
        return [finding.message for finding in store.check(subset=subset) if not finding.ok]


def remove(index: Path, *sources: str) -> None:
    """And see that their rows are deleted."""
    with closing(LocalStore(index)) as store:
        with store.writing() as writer:
            for source in sources:
                writer.remove(source)
        with store.writing() as writer:
            writer.replace(Document("new.md", "boat", "new"), [], [])
    assert lost(index) == 0


def test_values_of_every_kind_are_found_and_go_with_their_documents(index: Path) -> None:
    assert faults(index) == []
    remove(index, "3.md", "4.md")
    assert faults(index) == []
    assert keys(index) == {"media_type", "type", "modified", "n", *(f"kind {i}" for i in range(len(KINDS)))}
    remove(index, *(f"{n}.md" for n in range(10) if n not in (3, 4)))
    assert keys(index) == {"media_type", "type"}


DAMAGE = {
    "record": "UPDATE document SET record = replace(record, 'kind', 'kino') WHERE id = 4",
    "no text": "UPDATE document SET record = CAST(x'ff' || record AS TEXT) WHERE id = 4",
    "time": "UPDATE document SET mtime_ns = 5 WHERE id = 4",
    "value": "UPDATE attribute SET value = 77 WHERE value = 3 AND document = 4",
    "kind of a value": "UPDATE attribute SET value = '3' WHERE value = 3 AND document = 4",
    "key": "UPDATE attribute SET key = 77 WHERE value = 3 AND document = 4",
    "name of a key": "UPDATE attribute_key SET name = 'm' WHERE name = 'n'",
    "missing": "DELETE FROM attribute WHERE value = 3 AND document = 4",
}


@pytest.mark.parametrize("sql", DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_named_and_goes_with_its_document(index: Path, sql: str) -> None:
    """Whether its row does not say any more what its attributes are, or they differ: no row stays behind."""
    change(index, sql)
    assert any("3.md" in fault or "document 4" in fault for fault in faults(index))
    remove(index, "3.md", "5.md")
    assert rows(index, "6.md")["kind 12"] == "Мышь"


@pytest.mark.parametrize(("whole", "other"), [("7", "7.0"), ("1", "1.0")])
def test_a_number_of_another_type_is_named(index: Path, whole: str, other: str) -> None:
    """SQLite calls both equal, and deletes either."""
    change(index, f"UPDATE attribute SET value = {other} WHERE value = {whole} AND typeof(value) = 'integer'")
    assert any("can be filtered by is damaged" in fault for fault in faults(index))
    remove(index, "3.md", "4.md")


@pytest.mark.parametrize("value", ["2", "'more'", "7.25"])
def test_one_too_many_is_named_in_the_part_that_its_document_is_of(index: Path, value: str) -> None:
    """No lookup of what should be there finds it."""
    change(index, f"INSERT INTO attribute SELECT id, {value}, 4 FROM attribute_key WHERE name = 'n'")
    said = ["the list of what 3.md (document 4) can be filtered by is damaged in the index"]
    assert faults(index) == said
    assert [faults(index, (n, 5)) for n in range(1, 6)] == [[], [], [], [], said]


def test_beside_a_damaged_document_one_too_many_of_another_is_named(index: Path) -> None:
    change(index, "INSERT INTO attribute SELECT id, 'more', 4 FROM attribute_key WHERE name = 'n'")
    change(index, "UPDATE document SET record = record || ' ' WHERE id = 6")
    assert sorted(fault.partition(" is ")[0] for fault in faults(index)) == [
        "the list of what 3.md (document 4) can be filtered by",
        "the record of 5.md (document 6)",
    ]


def test_rows_of_no_document_are_named(index: Path) -> None:
    change(index, "INSERT INTO attribute SELECT id, 'more', 999 FROM attribute_key WHERE name = 'n'")
    assert faults(index) == ["1 rows of attribute belong to no document, the first to document 999"]


def test_a_touched_document_has_its_new_time_and_all_else(index: Path) -> None:
    """Also where a row was wrong before."""
    before = rows(index, "3.md")
    change(index, "UPDATE attribute SET value = 'x' WHERE value = 'Мышь' AND document = 4")
    with closing(LocalStore(index)) as store, store.writing() as writer:
        writer.touch("3.md", FileStamp(1, 2 * 10**18))
    assert rows(index, "3.md") == {**before, "modified": "2033-05-18T03:33:20Z"}
    assert faults(index) == []


def test_a_strangers_record_keeps_no_row_behind(index: Path) -> None:
    """Its checksum is right, and its values are none."""
    for record in ('{"metadata":{"n":[3]}}', '{"metadata":3}', "[]", '{"metadata":{"n":' + "9" * 30 + "}}"):
        copy = Path(shutil.copytree(index, index.parent / f"copy{len(record)}"))
        with closing(sqlite3.connect(copy / "catalog.sqlite", isolation_level=None)) as db:
            row = db.execute("SELECT source, sha256, characters, chunks FROM document WHERE id = 4").fetchone()
            db.execute("UPDATE document SET record = ?, crc = ? WHERE id = 4", (record, crc(*row, record, "")))
        assert faults(copy)
        remove(copy, "3.md")


@pytest.mark.parametrize("where", ["n=3", "n>=3", "n<x", "type=m*", "type!=m*", "modified>2020-01-01"])
def test_to_test_a_document_goes_through_no_range_of_values(index: Path, where: str) -> None:
    """There may be a million of them, for each document that is tested."""
    ((clause,), values) = clauses(parse_where([where]))
    with closing(Catalog(index)) as catalog:
        sql = f"EXPLAIN QUERY PLAN SELECT {clause.holds('c.id')} FROM document c"
        plan = [row[3] for row in catalog._db.execute(sql, {**values, "at": 1})]
    steps = [step for step in plan if re.match("(SEARCH|SCAN) (attribute|document) ", step)]
    assert steps
    assert all("document=?" in step or "rowid=?" in step for step in steps)
