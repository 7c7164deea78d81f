"""The word index: what it finds, that its top is exact, and that it is only a cache."""

import itertools
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragkit import words
from ragkit.store.lexical import SECTION_CHUNKS, LexicalIndex, LexicalUnusable

TEXTS = [
    "Договор поставки оборудования заключён в Москве.",
    "Кошка спит на тёплой печке.",
    "The contract for the delivery of equipment was signed in London.",
    "def parse_http_date(text): return text",
    "ГОСТ 7.32-2017 заменил ГОСТ 7.32-2001.",
    "Гитарист группы Пинк Флойд родился в Кембридже.",
    "кто они",
]


@pytest.fixture
def index() -> LexicalIndex:
    return filled(LexicalIndex.create(None), TEXTS)


def filled(index: LexicalIndex, texts: list[str], generation: int = 1) -> LexicalIndex:
    """Chunk n of document n."""
    index.update(add=[(n, n, text) for n, text in enumerate(texts)], remove_documents=[], generation=generation)
    return index


def first(index: LexicalIndex, query: str) -> int:
    return index.search(query, 1)[0][0]


@pytest.mark.parametrize(
    ("query", "chunk"),
    [
        ("договорами поставок", 0),
        ("договр", 0),  # a letter is missing: 4-grams
        ("печки", 1),
        ("deliveries", 2),
        ("http", 3),
        ("parse_http_date", 3),
        ("7.32-2017", 4),
        ("Pink Floyd", 5),  # the other script: sounds
        ("Лондон", 2),
        ("кто они", 6),  # stop words only
        ("who кто", 6),
    ],
)
def test_the_best_chunk_is_first(index: LexicalIndex, query: str, chunk: int) -> None:
    """Inflected, misspelt, coded and foreign words find their chunk."""
    assert first(index, query) == chunk


@pytest.mark.parametrize("query", ["", "???", "ъъъъ", "zzzz qqqq", "a" * 200_000])
def test_what_matches_nothing_gives_nothing(index: LexicalIndex, query: str) -> None:
    """Chunks that share nothing with the query are not returned."""
    assert index.search(query, 10) == []
    assert index.score(query, [0, 1]) == {0: 0.0, 1: 0.0}


@pytest.mark.parametrize(
    "query", ['"', "AND OR NOT", "terms:договор", "a:b^2 ~(", "*", "договор\x00поставки", "\ud800"]
)
def test_a_query_is_words_and_no_language(index: LexicalIndex, query: str) -> None:
    """Quotes, operators and odd characters are not obeyed and do no harm."""
    index.search(query, 10)


def test_an_empty_index_answers() -> None:
    """Nothing in, nothing out."""
    empty = LexicalIndex.create(None)
    assert (len(empty), empty.generation) == (0, 0)
    assert empty.search("договор", 10) == []
    assert empty.score("договор", [1]) == {1: 0.0}
    assert empty.idf("договор") > 0


def many(seed: int = 3) -> list[tuple[int, int, str]]:
    """600 chunks of 120 documents, out of 60 words of which some are common."""
    chance = random.Random(seed)
    vocabulary = [f"{a}{b}{c}" for a, b, c in itertools.product("бвгд", "аоу", ["дар", "мес", "лип", "кот", "рог"])]
    return [
        (chunk, chunk // 5, " ".join(chance.choice(vocabulary[: chance.randint(2, 60)]) for _ in range(12)))
        for chunk in range(600)
    ]


QUERIES = ["бадар бамес", "гурог", "вокот дулип гамес бадар", "дукот дурог дулип дудар думес"]


@pytest.fixture(scope="module")
def large() -> LexicalIndex:
    index = LexicalIndex.create(None)
    index.update(add=many(), remove_documents=[], generation=1)
    return index


def by_hand(index: LexicalIndex, query: str, chunks: list[int]) -> list[tuple[int, float]]:
    scored = index.score(query, chunks)
    return sorted(((c, s) for c, s in scored.items() if s > 0), key=lambda hit: (-hit[1], hit[0]))


def assert_as_good(index: LexicalIndex, query: str, found: list[tuple[int, float]], chunks: list[int]) -> None:
    """Scores are those that the chunks have by themselves, in order, and together nearly as good as the best of all."""
    expected = by_hand(index, query, chunks)[: len(found)]
    if not expected:
        return
    scores = index.score(query, [chunk for chunk, _ in found])
    assert [s for _, s in found] == pytest.approx([scores[chunk] for chunk, _ in found], rel=1e-5)
    assert found == sorted(found, key=lambda hit: (-hit[1], hit[0]))
    assert {chunk for chunk, _ in found} <= set(chunks)
    assert found[0][1] == pytest.approx(expected[0][1], rel=1e-5)
    assert sum(score for _, score in found) > 0.9 * sum(score for _, score in expected)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("k", [1, 7, 50])
def test_the_best_by_words_hold_the_best(large: LexicalIndex, query: str, k: int) -> None:
    """What is chosen by words and then put in order is what scoring every single chunk finds."""
    found = large.search(query, k)
    assert len(found) == min(k, len(by_hand(large, query, list(range(600)))))
    assert_as_good(large, query, found, list(range(600)))


@pytest.mark.parametrize("query", QUERIES)
def test_all_that_hold_a_word_are_found(large: LexicalIndex, query: str) -> None:
    """Asked for as many as there are, a search gives each chunk that shares something with the query."""
    found = dict(large.search(query, 600))
    expected = dict(by_hand(large, query, list(range(600))))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("documents", [[7], [3, 5, 99], list(range(0, 120, 2)), list(range(120)), [], [10**9]])
def test_what_is_found_of_some_documents_is_theirs(large: LexicalIndex, query: str, documents: list[int]) -> None:
    """At any selectivity, the best of the wanted documents come, with the scores they have among all."""
    chunks = [c for c, document, _ in many() if document in documents]
    found = large.search(query, 10, documents)
    assert len(found) == min(10, len(by_hand(large, query, chunks)))
    assert_as_good(large, query, found, chunks)


@pytest.fixture(scope="module")
def wide() -> LexicalIndex:
    """5000 documents of one chunk: more than are named one by one."""
    chance = random.Random(5)
    words = ["".join(chance.choices("бвгдмн", k=4)) for _ in range(300)]
    index = LexicalIndex.create(None)
    rows = [(n, n, " ".join(chance.choices(words, k=6)) + (" редкое" if n % 1000 == 0 else "")) for n in range(1, 5001)]
    index.update(add=rows, remove_documents=[], generation=1)
    return index


@pytest.mark.parametrize("documents", [range(1, 5001, 2), range(2500, 5001), range(1, 5001)])
@pytest.mark.parametrize("query", ["бвгд мнбв гдмн", "редкое", "редкое вгдм"])
@pytest.mark.parametrize("k", [1, 10, 200])
def test_half_of_many_documents_are_looked_through(wide: LexicalIndex, documents: range, query: str, k: int) -> None:
    """A filter that keeps thousands of documents finds the same as scoring each of them."""
    found = wide.search(query, k, documents)
    assert len(found) == min(k, len(by_hand(wide, query, list(documents))))
    assert_as_good(wide, query, found, list(documents))


@pytest.mark.parametrize("share", [1, 2, 7, 30])
@pytest.mark.parametrize("query", ["бвгд мнбв гдмн", "редкое", "редкое вгдм"])
@pytest.mark.parametrize("k", [1, 10, 200])
def test_documents_that_are_tested_are_those_that_are_named(wide: LexicalIndex, share: int, query: str, k: int) -> None:
    """It does not matter whether a search is told which documents there are, or asks."""
    documents = frozenset(range(0, 5001, share))
    assert wide.search_among(query, k, documents.intersection) == wide.search(query, k, documents)


def test_documents_that_are_tested_for_nothing_are_to_be_named(crowd: LexicalIndex) -> None:
    """The best of all are not theirs, so the search gives up; where it has seen all, it has not."""
    assert crowd.search_among(vocabulary(0), 10, lambda _: ()) is None
    assert crowd.search_among(vocabulary(300), 10, lambda _: ()) == []


def test_documents_that_are_far_from_the_best_are_found_too(wide: LexicalIndex) -> None:
    """Of 2500 documents none is among the best of all: looking through those is given up, and nothing is lost."""
    everything = [chunk for chunk, _ in wide.search("бвгд мнбв гдмн", 5000)]
    worst = everything[-2500:]
    if len(worst) < 2500:
        worst += [n for n in range(1, 5001) if n not in set(everything)][: 2500 - len(worst)]
    found = wide.search("бвгд мнбв гдмн", 3, worst)
    assert len(found) == min(3, len(by_hand(wide, "бвгд мнбв гдмн", worst)))
    assert_as_good(wide, "бвгд мнбв гдмн", found, worst)


def test_the_score_of_a_chunk_is_the_one_of_the_search(large: LexicalIndex) -> None:
    """A chunk scores the same alone, among others and in a search."""
    found = large.search(QUERIES[2], 40)
    chunks = [c for c, _ in found]
    together = large.score(QUERIES[2], chunks)
    for chunk, score in found:
        assert together[chunk] == pytest.approx(score, rel=1e-5)
        assert large.score(QUERIES[2], [chunk])[chunk] == pytest.approx(score, rel=1e-5)


MANY = 20_000  # chunks
RARE = {20: "котельная", 40: "гитарист группы Пинк Флойд", 60: "заводская котельная", 80: "гитарист завода"}


@pytest.fixture(scope="module")
def crowd() -> LexicalIndex:
    """Many chunks: 5 of each document, of words of which some are common, and a few rare ones."""
    chance = random.Random(7)
    vocabulary = ["".join(chance.choices("бвгдмнжзклпрст", k=6)) for _ in range(400)]
    common = [1 / (1 + n) for n in range(len(vocabulary))]

    def rows() -> Iterator[tuple[int, int, str]]:
        for chunk in range(MANY):
            text = " ".join(chance.choices(vocabulary, common, k=8))
            yield chunk, chunk // 5, f"{text} {RARE.get(chunk, '')} {' '.join(vocabulary[:1])}"

    index = LexicalIndex.create(None)
    index.update(add=rows(), remove_documents=[], generation=1)
    return index


def vocabulary(*places: int) -> str:
    """Words of the fixture above: that of place 0 is in every chunk, that of place 300 in few."""
    chance = random.Random(7)
    made = ["".join(chance.choices("бвгдмнжзклпрст", k=6)) for _ in range(400)]
    return " ".join(made[place] for place in places)


@pytest.mark.parametrize("places", [(5,), (3, 40), (0, 7, 120, 300), (20, 21, 22, 23, 24)])
@pytest.mark.parametrize("k", [1, 10, 100])
def test_the_best_of_many_are_found(crowd: LexicalIndex, places: tuple[int, ...], k: int) -> None:
    """Among many chunks too those that are chosen by words are no worse than any."""
    found = crowd.search(vocabulary(*places), k)
    assert len(found) == k
    assert_as_good(crowd, vocabulary(*places), found, list(range(MANY)))


@pytest.mark.parametrize("documents", [range(100), range(0, MANY // 5, 2), range(MANY // 5)])
def test_the_best_of_some_of_many_documents_are_found(crowd: LexicalIndex, documents: range) -> None:
    """A filter finds as many as are wanted, with the scores they have among all."""
    query = vocabulary(3, 40, 120)
    chunks = [chunk for chunk in range(MANY) if chunk // 5 in documents]
    found = crowd.search(query, 10, documents)
    assert len(found) == min(10, len(by_hand(crowd, query, chunks)))
    assert_as_good(crowd, query, found, chunks)


@pytest.mark.parametrize(
    ("query", "chunk"),
    [("котелная", 20), ("Floyd", 40), ("заводские котельные", 60), ("Pink Floyd", 40), ("гитаррист завода", 80)],
)
def test_rare_words_are_found(crowd: LexicalIndex, query: str, chunk: int) -> None:
    """Misspelt, foreign and inflected, alone and beside words that every chunk holds."""
    assert first(crowd, query) == chunk
    assert first(crowd, f"{query} {vocabulary(0)}") == chunk


SMALL_STACK = """
import threading
from ragkit.store.lexical import LexicalIndex
index = LexicalIndex.create(None)
names = [f"{a}{b}{c}" for a in "бвгд" for b in "аоуи" for c in ("дарман", "местол", "липков", "котнер", "рогмас")]
texts = (" ".join(names[(chunk * n) % len(names)] for n in range(1, 7)) for chunk in range(20_000))
index.update(add=((n, n, text) for n, text in enumerate(texts)), remove_documents=[], generation=1)
found = []
def ask():
    for length in range(1, 60):
        found.append(len(index.search(" ".join(names[:length]), 10)))
threading.stack_size(256 * 1024)
thread = threading.Thread(target=ask)
thread.start()
thread.join()
print(len(found), min(found))
"""


def test_long_questions_need_no_large_stack() -> None:
    """However many terms are looked up one inside the other, a thread with 256 kB of stack has room for them."""
    run = subprocess.run(
        [sys.executable, "-c", SMALL_STACK],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout.split()) == (0, ["59", "10"]), run.stderr


def test_a_word_of_every_chunk_finds_them(crowd: LexicalIndex) -> None:
    """It says nothing, and is all that the query has."""
    assert len(crowd.search(vocabulary(0), 250)) == 250


def test_common_words_find_where_others_do_not() -> None:
    """A word of three chunks in four chooses none while a rare one does; where that finds too few it is gone by too."""
    texts = ["Договор поставки.", "Договор аренды.", "Договор займа.", "Кошка спит."]
    index = filled(LexicalIndex.create(None), texts)
    assert [chunk for chunk, _ in index.search("договор займа", 10)] == [2, 1, 0]


def test_a_section_helps_its_chunks() -> None:
    """Of two like chunks that one is first whose neighbours speak of the rest of the question."""
    chunks = [
        (1, 1, "Срок поставки тридцать дней."),
        (2, 1, "Прочие условия согласуют стороны."),
        (3, 2, "Срок поставки тридцать дней."),
        (4, 2, "Оборудование котельной описано здесь."),
        (5, 3, "Совсем о другом."),
    ]
    index = LexicalIndex.create(None)
    index.update(add=chunks, remove_documents=[], generation=1)
    scores = index.score("срок поставки оборудования котельной", [1, 3])
    assert scores[3] > scores[1]


def test_a_long_document_has_several_sections() -> None:
    """What stands more than eight chunks away changes nothing."""
    texts = ["Срок поставки тридцать дней."] + ["Прочие условия."] * (2 * SECTION_CHUNKS) + ["Котельная."]
    index = LexicalIndex.create(None)
    index.update(add=[(n, 1, text) for n, text in enumerate(texts)], remove_documents=[], generation=1)
    scores = index.score("поставка котельной", range(len(texts)))
    assert scores[0] > 0
    assert scores[1] == 0  # in the section of chunk 0, but without a word of its own
    assert len(index.search("условия", 100)) == 2 * SECTION_CHUNKS


def test_removed_documents_are_gone_and_changed_ones_are_new(index: LexicalIndex) -> None:
    """One update takes away and adds; its generation comes with it."""
    index.update(add=[(100, 100, "Собака спит на печке.")], remove_documents=[1, 555], generation=9)
    assert index.generation == 9
    assert len(index) == len(TEXTS)
    assert [chunk for chunk, _ in index.search("кошка", 10)] == []
    assert first(index, "собака на печке") == 100


def test_an_update_done_again_changes_nothing(index: LexicalIndex) -> None:
    """After a crash between its commits an update is simply repeated."""
    change = {"add": [(100, 100, "Собака спит на печке.")], "remove_documents": [1], "generation": 2}
    index.update(**change)  # type: ignore[arg-type]  # one literal for two calls
    before = index.search("собака на печке", 10)
    index.update(**change)  # type: ignore[arg-type]  # the same
    assert len(index) == len(TEXTS)
    assert [chunk for chunk, _ in index.search("собака на печке", 10)] == [chunk for chunk, _ in before]


def test_a_failed_update_leaves_everything_as_it_was(index: LexicalIndex) -> None:
    """An error while the chunks are read rolls back all parts."""

    def breaks() -> Iterator[tuple[int, int, str]]:
        yield 100, 100, "Собака спит."
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        index.update(add=breaks(), remove_documents=[0], generation=2)
    assert (index.generation, len(index)) == (1, len(TEXTS))
    assert first(index, "договор") == 0
    index.update(add=[(100, 100, "Собака спит.")], remove_documents=[], generation=2)
    assert first(index, "собака") == 100


def test_idf_counts_chunks(index: LexicalIndex) -> None:
    """ln(1 + (N - n + ½) / (n + ½)): a term in one of seven chunks, and one in none."""
    assert index.idf("печк") == pytest.approx(math.log(1 + 6.5 / 1.5))
    assert index.idf("нет") == pytest.approx(math.log(1 + 7.5 / 0.5))


def test_a_misspelt_word_finds_the_chunk_and_not_its_neighbours() -> None:
    """It is looked for as a word that the index has, not as parts of the section's text."""
    texts = ["Прочие условия согласуют стороны.", "Котельная описана здесь.", "Срок поставки тридцать дней."]
    index = LexicalIndex.create(None)
    index.update(add=[(n, 1, text) for n, text in enumerate(texts)], remove_documents=[], generation=1)
    assert [chunk for chunk, _ in index.search("котелная", 10)] == [1]


def test_a_word_is_as_rare_as_what_is_left_of_it(index: LexicalIndex) -> None:
    """Chunks that went are not counted, though they stay in the index until they are merged away."""
    chunks = [(100 + n, 100 + n, "Котельная завода.") for n in range(5)]
    index.update(add=chunks, remove_documents=[], generation=2)
    (term,) = words.terms("котельная")
    assert index.frequency(term) == 5
    index.update(add=[], remove_documents=[100, 101], generation=3)
    assert index.frequency(term) == 3


def test_words_that_are_gone_are_not_looked_for(index: LexicalIndex) -> None:
    """The list of words keeps those of documents that went; what sounds like them finds what is there."""
    index.update(add=[(100, 100, "Пинта молока.")], remove_documents=[5], generation=2)
    assert [chunk for chunk, _ in index.search("Pink Floyd", 10)] in ([], [100])
    assert {chunk for chunk, _ in index.search("гитаррист", 10)} <= set(range(5)) | {6, 100}


def test_another_reader_sees_commits_when_it_reloads(tmp_path: Path) -> None:
    """A snapshot does not move under a reader."""
    writer = filled(LexicalIndex.create(tmp_path / "lexical"), TEXTS)
    reader = LexicalIndex.open(tmp_path / "lexical")
    writer.update(add=[(100, 100, "Собака лает.")], remove_documents=[], generation=2)
    assert (reader.generation, reader.search("собака", 5)) == (1, [])
    reader.reload()
    assert (reader.generation, first(reader, "собака")) == (2, 100)


def test_a_new_index_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """`create` deletes whatever is at its path."""
    path = tmp_path / "lexical"
    filled(LexicalIndex.create(path), TEXTS)
    (path / "rubbish").write_text("x")
    assert len(LexicalIndex.create(path)) == 0
    assert not (path / "rubbish").exists()
    assert LexicalIndex.open(path).generation == 0


def test_no_index_is_no_accident(tmp_path: Path) -> None:
    """What is missing is said to be missing."""
    with pytest.raises(LexicalUnusable, match="no word index"):
        LexicalIndex.open(tmp_path / "nothing")


def files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size > 0)


def test_damage_is_answered_by_unusable_and_nothing_else(tmp_path: Path) -> None:
    """Each file cut short, emptied or overwritten: the index opens and answers, or says that it is unusable."""
    good = tmp_path / "good"
    filled(LexicalIndex.create(good), TEXTS)
    refused = 0
    for n, file in enumerate(files(good)):
        for kind in ("cut", "empty", "rubbish"):
            copy = tmp_path / f"{n}{kind}"
            shutil.copytree(good, copy)
            target = copy / file.relative_to(good)
            raw = target.read_bytes()
            target.write_bytes({"cut": raw[: len(raw) // 2], "empty": b"", "rubbish": os.urandom(len(raw))}[kind])
            try:
                index = LexicalIndex.open(copy)
                index.search("договор поставки", 5)
                index.score("кошка", [1])
            except LexicalUnusable:
                refused += 1
    assert refused > 10


READ_ONLY = """
import os, sys
from pathlib import Path
import numpy, tantivy, Stemmer  # while it may still read them
from ragkit.store.lexical import LexicalIndex
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)  # root may write anywhere
assert not os.access(sys.argv[1], os.W_OK)
index = LexicalIndex.open(Path(sys.argv[1]))
index.reload()
print(index.generation, index.search("договоры", 1)[0][0])
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs the permissions of POSIX")
def test_a_folder_that_cannot_be_written_can_be_read() -> None:
    """The index opens, answers and reloads for a user who may only read it."""
    with tempfile.TemporaryDirectory() as folder:  # not below tmp_path, which only its owner may enter
        path = Path(folder) / "lexical"
        filled(LexicalIndex.create(path), TEXTS, generation=7)
        before = files(path)
        for place in (Path(folder), path, path / "chunks", path / "sections", path / "words"):
            place.chmod(0o555)
        for file in before:
            file.chmod(0o444)
        try:
            run = subprocess.run(
                [sys.executable, "-c", READ_ONLY, str(path)],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            for place in (Path(folder), path, path / "chunks", path / "sections", path / "words"):
                place.chmod(0o755)
        assert run.stdout.split() == ["7", "0"], run.stderr
        assert files(path) == before


def test_threads_read_while_one_writes(tmp_path: Path) -> None:
    """Readers of one object get whole answers before, during and after an update."""
    index = filled(LexicalIndex.create(tmp_path / "lexical"), TEXTS)
    wrong: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            found = index.search("договор поставки", 3)
            if not found or found[0][0] != 0:
                wrong.append(found)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for generation in range(2, 6):
        index.update(add=[(generation * 100, generation * 100, "Собака.")], remove_documents=[], generation=generation)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_merging_keeps_no_reader_waiting(tmp_path: Path) -> None:
    """While tantivy makes one segment of many, which takes it longer than any search, readers get their answers."""
    chance = random.Random(1)
    words = ["".join(chance.choices("калмнорту", k=6)) for _ in range(5000)]

    def texts(count: int) -> list[str]:
        return [" ".join(chance.choices(words, k=60)) for _ in range(count)]

    def segments() -> int:
        return len(list((tmp_path / "lexical" / "chunks").glob("*.idx")))

    def update(generation: int) -> None:
        rows = [(generation * 1000 + i, generation * 1000 + i, text) for i, text in enumerate(texts(200))]
        writer.update(add=rows, remove_documents=[], generation=generation)

    writer = LexicalIndex.create(tmp_path / "lexical")
    update(1)
    reader = LexicalIndex.open(tmp_path / "lexical")
    answered: list[int] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            answered.append(len(reader.search(words[0], 1)))

    thread = threading.Thread(target=read)
    thread.start()
    during = []  # merges
    for generation in range(2, 12):
        before = len(answered), segments()
        update(generation)
        if segments() < before[1]:
            during.append(len(answered) - before[0])
    ended.set()
    thread.join()
    assert during, "no segments were merged"
    assert min(during) > 0
