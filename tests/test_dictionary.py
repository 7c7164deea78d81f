"""Short texts are compressed with words that they have in common, which are kept twice; no text is lost with one."""

import random
import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from ragkit.errors import IndexCorrupt
from ragkit.reports import Finding
from ragkit.store.catalog import Catalog
from ragkit.store.catalog.dictionary import EVERY, MOST, TABLES, frequent
from ragkit.store.catalog.pieces import Dictionary, piece_crc, pieces, place, unpacked
from ragkit.store.local import LocalStore
from ragkit.store.repair import repair_index
from ragkit.types import Document

CHANCE = random.Random(1)
WORDS = ["".join(CHANCE.choices("оеаинтсрвлкмдпуяыь", k=CHANCE.randint(4, 11))) for _ in range(900)]
COUNT = EVERY + 20
OLD, NEW = "5", str(COUNT - 5)  # the same text, before there was a dictionary and after


def text_of(name: str) -> str:
    chance = random.Random(OLD if name == NEW else name)
    return " ".join(chance.choices(WORDS, k=14))


def add(store: LocalStore, names: range, length: int = 1) -> None:
    with store.writing() as writer:
        for n in names:
            text = text_of(str(n)) * length
            writer.replace(Document(str(n), text, str(n)), [], [])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    index = tmp_path_factory.mktemp("dictionary") / "index"
    with closing(LocalStore(index)) as store:
        add(store, range(1, COUNT))
    return index


@pytest.fixture
def index(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "index"))


def change(index: Path, *statements: str) -> None:
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as db:
        for sql in statements:
            assert db.execute(sql).rowcount


def body_of(index: Path, name: str) -> str | bytes:
    with closing(sqlite3.connect(index / "catalog.sqlite")) as db:
        document = f"SELECT id FROM document WHERE source = '{name}'"
        return db.execute(f"SELECT body FROM text WHERE id >> 20 = ({document})").fetchone()[0]


def kept(index: Path) -> list[list[bytes]]:
    with closing(sqlite3.connect(index / "catalog.sqlite")) as db:
        return [[row[0] for row in db.execute(f"SELECT body FROM {table}")] for table in TABLES]


def needing(index: Path) -> set[str]:
    """The documents whose texts need the dictionary."""
    with closing(sqlite3.connect(index / "catalog.sqlite")) as db:
        rows = db.execute(
            "SELECT source FROM text JOIN document d ON d.id = text.id >> 20 WHERE substr(body, 1, 1) IN (x'52', x'55')"
        ).fetchall()
    return {source for (source,) in rows}


def read(index: Path) -> dict[str, str]:
    with closing(LocalStore(index)) as store:
        return {name: store.document(name).text for name in map(str, range(1, COUNT))}


def faults(index: Path) -> list[str]:
    with closing(LocalStore(index)) as store:
        return [finding.message for finding in store.check() if not finding.ok]


def repaired(index: Path) -> list[Finding]:
    return [
        finding for finding in repair_index(index, cut=lambda _: [], key=lambda *_: b"") if not finding.ok
    ]  # there are no chunks


ALL = {name: text_of(name) for name in map(str, range(1, COUNT))}


def test_a_short_text_takes_less_room_beside_the_words_that_others_have(sound: Path) -> None:
    """It is read by another process as one from before is; the index is sound, and the words are there twice."""
    old, new = body_of(sound, OLD), body_of(sound, NEW)
    assert isinstance(old, bytes)
    assert isinstance(new, bytes)
    assert (old[:1], new[:1]) == (b"r", b"R")
    assert len(new) < 0.6 * len(old)
    assert read(sound) == ALL
    assert faults(sound) == []
    first, second = kept(sound)
    assert first == second
    assert [len(words) <= MOST for words in first] == [True]


def test_an_index_of_few_or_long_texts_has_none(tmp_path: Path) -> None:
    with closing(LocalStore(tmp_path / "few")) as store:
        add(store, range(1, EVERY))
    with closing(LocalStore(tmp_path / "long")) as store:
        add(store, range(1, EVERY + 2), 40)
    assert kept(tmp_path / "few") == kept(tmp_path / "long") == [[], []]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("damage", ["UPDATE {} SET body = zeroblob(length(body))", "UPDATE {} SET crc = crc + 1"])
def test_one_damaged_copy_costs_nothing_and_a_repair_makes_it_again(index: Path, table: str, damage: str) -> None:
    before = kept(index)
    change(index, damage.format(table))
    assert read(index) == ALL
    assert any(f"in the table {table} differ" in fault for fault in faults(index))
    assert repaired(index) == []
    assert (faults(index), read(index), kept(index)) == ([], ALL, before)


@pytest.mark.parametrize("table", TABLES)
def test_a_lost_copy_costs_nothing(index: Path, table: str) -> None:
    before = kept(index)
    change(index, f"DELETE FROM {table}")
    assert read(index) == ALL
    assert faults(index) == ["the two copies of the words for short texts are not the same"]
    assert repaired(index) == []
    assert (faults(index), read(index), kept(index)) == ([], ALL, before)


def test_no_page_takes_both_copies(index: Path) -> None:
    """Every page that holds a part of one, as a disk that forgets it would leave it."""
    path = index / "catalog.sqlite"
    whole = path.read_bytes()
    ((words,), _) = kept(index)
    pages = set()
    for part in (words[at : at + 50] for at in range(0, len(words) - 50, 50)):
        at = whole.find(part)
        while at >= 0:
            pages.add(at // 4096 * 4096)
            at = whole.find(part, at + 1)
    assert len(pages) >= 4
    for page in sorted(pages):
        path.write_bytes(whole[:page] + bytes(4096) + whole[page + 4096 :])
        assert read(index) == ALL
        assert faults(index)
    assert repaired(index) == []
    assert (faults(index), read(index)) == ([], ALL)


def test_without_both_copies_every_text_that_needs_them_is_named(index: Path) -> None:
    """As any damaged text is: by the reader, by the check and by the repair; the others stay."""
    lost = needing(index)
    assert NEW in lost
    change(index, *(f"UPDATE {table} SET body = zeroblob(length(body))" for table in TABLES))
    with closing(LocalStore(index)) as store:
        assert store.document(OLD).text == ALL[OLD]
        with pytest.raises(IndexCorrupt, match=f"text piece 0 of document {NEW} is damaged"):
            store.document(NEW)
    found = faults(index)
    assert all(any(f"document {name} is damaged" in fault for fault in found) for name in lost)
    taken_out = {finding.message.split()[0] for finding in repaired(index)}
    assert taken_out == lost
    assert faults(index) == []
    assert kept(index) == [[], []]
    with closing(LocalStore(index)) as store:
        assert {info.source for info in store.documents()} == ALL.keys() - lost
        assert store.document(OLD).text == ALL[OLD]


def test_beside_two_damaged_copies_texts_are_still_added(index: Path) -> None:
    """A new dictionary would hide that the old one is lost."""
    change(index, *(f"UPDATE {table} SET body = zeroblob(length(body))" for table in TABLES))
    before = kept(index)
    with closing(LocalStore(index)) as store:
        add(store, range(COUNT, 2 * EVERY + 2))
        assert store.document(str(2 * EVERY)).text == text_of(str(2 * EVERY))
    assert kept(index) == before


def test_who_had_the_index_open_before_sees_it(tmp_path: Path) -> None:
    with closing(LocalStore(tmp_path / "index")) as writer, closing(LocalStore(tmp_path / "index")) as reader:
        add(writer, range(1, 10))
        assert reader.document("5").text == ALL["5"]
        assert kept(tmp_path / "index") == [[], []]
        add(writer, range(10, COUNT))
        assert reader.document(NEW).text == ALL[NEW]


def test_what_is_undone_is_not_used(tmp_path: Path) -> None:
    """The words went with the transaction that made them: the next text must not need them."""
    with closing(LocalStore(tmp_path / "index")) as store:
        add(store, range(1, EVERY))
        with closing(Catalog(tmp_path / "index", write=True)) as catalog:
            catalog.begin()
            catalog.documents.dictionaries.make_at(EVERY)
            assert catalog.documents.dictionary() is not None
            catalog.rollback()
            assert catalog.documents.dictionary() is None
        add(store, range(EVERY, COUNT))
    assert read(tmp_path / "index") == ALL


def test_the_words_go_with_the_last_document(index: Path) -> None:
    with closing(LocalStore(index)) as store:
        with store.writing() as writer:
            for name in ALL:
                writer.remove(name)
        with store.writing() as writer:  # deletes what is gone
            writer.replace(Document("new", "новый", "new"), [], [])
    with closing(sqlite3.connect(index / "catalog.sqlite")) as db:
        left = db.execute("SELECT count(*) FROM document WHERE removed IS NOT NULL").fetchone()[0]
    assert left == 0
    assert kept(index) == [[], []]


def test_only_words_that_several_texts_have_are_taken_and_the_most_useful_stand_last() -> None:
    """A name that one text repeats is nobody else's affair."""
    texts = [b"rent deposit is due"] * 3 + [b"rent rent deposit"] + [b"Snow Snow Snow Snow Snow"]
    assert frequent(texts) == b" rent deposit "


def test_a_word_that_is_longer_than_the_room_is_left_out() -> None:
    assert frequent([b"x" * (MOST + 1) + b" rent"] * 5) == b" rent "


@pytest.mark.parametrize("body", ["", "дом", "Залог возвращают за месяц. " * 9, "naïve \N{OLD ITALIC LETTER A} " * 9])
def test_a_text_is_read_as_it_was_written(body: str) -> None:
    dictionary = Dictionary("залог возвращают месяц naïve".encode("cp1251", "replace"))
    assert "".join(unpacked(*row, lambda: dictionary) for row in pieces(3, body, lambda: dictionary)) == body


@pytest.mark.parametrize("kind", [b"U", b"R"])
def test_a_strangers_piece_is_bounded_beside_a_dictionary_too(kind: bytes) -> None:
    """And one that needs words which are not there is damaged."""
    dictionary = Dictionary(b"a" * MOST)
    for raw, words in ((b"a" * 50_000_000, dictionary), (b"a" * 8193, dictionary), (b"aaa", None)):
        body = kind + dictionary.packed(raw)
        with pytest.raises(IndexCorrupt, match="text piece 0 of document 7"):
            unpacked(place(7, 0), body, piece_crc(place(7, 0), body), lambda words=words: words)  # type: ignore[misc]  # bound now


def test_a_strangers_dictionary_is_no_longer_than_ours(index: Path) -> None:
    long = b"a" * (MOST + 1)
    change(index, *(f"UPDATE {table} SET crc = {zlib.crc32(long)}, body = x'{long.hex()}'" for table in TABLES))
    with closing(LocalStore(index)) as store, pytest.raises(IndexCorrupt, match="text piece 0"):
        store.document(NEW)
