"""Collections and questions are read whole, and a mistake in them is named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragkit.errors import ConfigError
from ragkit.evaluation import judgements, read_beir, read_questions, write_questions
from ragkit.evaluation.questions import missing
from ragkit.evaluation.sets import read_set

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "retrieval"

CORPUS = [
    {"_id": "d1", "title": "Залог", "text": "Залог возвращают за десять дней."},
    {"_id": 2, "text": "The warranty lasts two years.", "metadata": {"year": 2024}},
    {"_id": "d3", "title": "empty", "text": "  "},
]
QUERIES = [{"_id": "q1", "text": "возврат залога"}, {"_id": "q2", "text": "warranty"}, {"_id": "q3", "text": "train"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\t2\t0\nq2\t2\t1\n"


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    write(tmp_path / "corpus.jsonl", *map(json.dumps, CORPUS))
    write(tmp_path / "queries.jsonl", *map(json.dumps, QUERIES))
    (tmp_path / "qrels.tsv").write_text(QRELS, "utf-8")
    return tmp_path


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_collection_is_read(beir: Path) -> None:
    """Documents under their ids, also numbers; only judged queries; grades of 0 are not relevant."""
    found = read_beir(beir)
    assert [(document.source, document.title) for document in found.documents] == [("d1", "Залог"), ("2", "")]
    assert found.queries == {"q1": "возврат залога", "q2": "warranty"}
    assert found.qrels == {"q1": {"d1": 2}, "q2": {"2": 1}}
    assert found.notes == ("1 document has no text and is not indexed",)


def test_a_split_is_a_file_of_judgements(beir: Path) -> None:
    """qrels.tsv before qrels/test.tsv; a heading may be missing; an unknown split names those that there are."""
    (beir / "qrels").mkdir()
    (beir / "qrels" / "dev.tsv").write_text("q2\t2\t1\n", "utf-8")
    assert read_beir(beir, "dev").qrels == {"q2": {"2": 1}}
    assert len(read_beir(beir).qrels) == 2
    (beir / "qrels.tsv").rename(beir / "qrels" / "test.tsv")
    assert len(read_beir(beir).qrels) == 2
    with pytest.raises(ConfigError, match=r"train\.tsv does not exist") as error:
        read_beir(beir, "train")
    assert error.value.hint == "choose a --split: dev, test"
    with pytest.raises(ConfigError, match="does not exist"):
        read_beir(beir, "../qrels/dev")


def test_a_first_line_with_a_grade_is_no_heading(beir: Path) -> None:
    """Some collections write grades as 1.0, and have no heading: the first judgement is not lost."""
    (beir / "qrels.tsv").write_text("q1\td1\t2.0\nq2\t2\t1.0\nq2\t2\t1\n", "utf-8")
    assert read_beir(beir).qrels == {"q1": {"d1": 2}, "q2": {"2": 1}}
    (beir / "qrels.tsv").write_text("q1\td1\t0.5\nq2\t2\t1\n", "utf-8")
    with pytest.raises(ConfigError, match=r"line 1: the grade is '0\.5'"):
        read_beir(beir)


def test_what_cannot_be_found_is_counted(beir: Path) -> None:
    """A judged document that is not in the corpus, or empty, is a note: it counts as not found."""
    with (beir / "qrels.tsv").open("a") as file:
        file.write("q1\tlost\t1\nq3\td3\t1\n")
    notes = read_beir(beir).notes
    assert notes[-1] == "2 relevant documents are not in the corpus, or empty, and cannot be found: d3, lost"


BROKEN = [
    ("qrels.tsv", "q9\td1\t1", "line 5: no query is called 'q9'"),
    ("qrels.tsv", "q1\td1", "line 5 has 2 columns, not 3"),
    ("qrels.tsv", "q1\td1\thigh", "line 5: the grade is 'high'"),
    ("qrels.tsv", "q1\td1\t0.5", "line 5: the grade is '0.5'"),
    ("qrels.tsv", "q1\td1\tnan", "line 5: the grade is 'nan'"),
    ("qrels.tsv", "q1\td1\t0", "line 5: 'd1' was graded 2 for 'q1' before, now 0"),
    ("queries.jsonl", '{"_id": "q4"}', "line 4: 'text' is missing"),
    ("queries.jsonl", '{"_id": "q1", "text": "again"}', "line 4: a second query 'q1'"),
    ("queries.jsonl", '{"_id": "q4", "text": ', "line 4 is not JSON"),
    ("corpus.jsonl", '["d4", "text"]', "line 4 holds a list, not an object"),
    ("corpus.jsonl", '{"_id": "d1", "text": "again"}', "line 4: a second document 'd1'"),
    ("corpus.jsonl", '{"_id": "d4", "text": 7}', "line 4: 'text' is 7"),
    ("corpus.jsonl", '{"_id": "d4", "text": "half \\ud83d"}', "line 4 has half a surrogate pair"),
    ("corpus.jsonl", "[" * 100_000, "line 4 is not JSON"),
]


@pytest.mark.parametrize(("name", "line", "said"), BROKEN)
def test_a_mistake_in_a_collection_is_named_with_its_line(beir: Path, name: str, line: str, said: str) -> None:
    """One row for each kind of mistake."""
    with (beir / name).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(ConfigError) as error:
        read_beir(beir)
    assert said in error.value.message
    assert name in error.value.message
    assert error.value.hint


def test_missing_files_are_named(beir: Path) -> None:
    """Each by its path; bytes that are not UTF-8 too."""
    (beir / "qrels.tsv").unlink()
    with pytest.raises(ConfigError, match=r"neither does .*qrels\.tsv"):
        read_beir(beir)
    (beir / "queries.jsonl").write_bytes("текст".encode("cp1251"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_beir(beir)
    with pytest.raises(ConfigError, match=r"corpus\.jsonl does not exist"):
        read_beir(beir / "nowhere")


QUESTIONS = [
    '{"question": "В какой срок возвращается залог?", "sources": ["lease.pdf#page=2"], "answer": "десяти дней"}',
    "",
    '{"id": "w", "question": "warranty?", "sources": "kettle.md", "answer": ["24 months", "two years"]}',
    '{"question": "Who built the bridge?", "answerable": false}',
    '{"question": "What colour?", "answer": "red", "draft": true, "by": "extractive", "passage": "…"}',
]


def test_questions_are_read(tmp_path: Path) -> None:
    """One or several sources and answers; ids are lines unless given; a byte order mark is no mistake."""
    file = tmp_path / "questions.jsonl"
    file.write_text("\ufeff" + "\n".join(QUESTIONS), "utf-8")
    found = read_questions(file)
    assert found == read_questions(tmp_path)
    assert [(q.id, dict(q.sources), q.answers, q.answerable, q.draft) for q in found] == [
        ("1", {"lease.pdf#page=2": 1}, ("десяти дней",), True, False),
        ("w", {"kettle.md": 1}, ("24 months", "two years"), True, False),
        ("4", {}, (), False, False),
        ("5", {}, ("red",), True, True),
    ]
    queries, qrels = judgements(found)
    assert list(queries) == list(qrels) == ["1", "w"]
    chosen = read_set(tmp_path)
    assert (len(chosen.questions), chosen.documents) == (4, ())
    assert chosen.notes == ("1 of 4 questions are drafts that nobody has read",)


WRONG = [
    ('{"sources": ["a"]}', "'question' is missing"),
    ('{"question": " ", "sources": ["a"]}', "'question' is ' '"),
    ('{"question": "q"}', "says neither which sources"),
    ('{"question": "q", "sources": [1]}', "'sources' is [1]"),
    ('{"question": "q", "source": ["a"]}', "unknown field 'source'"),
    ('{"question": "q", "sources": ["a#page=0"]}', "has the page '0'"),
    ('{"question": "q", "sources": ["a#page=two"]}', "has the page 'two'"),
    ('{"question": "q", "sources": ["a", "a#page=2"]}', "names 'a' as a whole, and its page 2"),
    ('{"question": "q", "answerable": "no"}', "'answerable' is 'no'"),
    ('{"question": "q", "sources": ["a"], "answerable": false}', "'answerable' is false, and there are sources"),
    ('{"id": 1, "question": "q", "sources": ["a"]}', "a second question '1'"),
]


@pytest.mark.parametrize(("line", "said"), WRONG)
def test_a_mistake_in_a_question_is_named_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    """One row for each kind of mistake."""
    file = write(tmp_path / "mine.jsonl", QUESTIONS[0], line)
    with pytest.raises(ConfigError) as error:
        read_questions(file)
    assert error.value.message.startswith(f"{file}, line 2")
    assert said in error.value.message
    assert error.value.hint


def test_expected_sources_that_are_not_there_are_named() -> None:
    """A document that is not in the index, a page beyond its last, a page of what has none."""
    import ragkit.evaluation as evaluation

    names = ["lease.pdf", "lease.pdf#page=2", "lease.pdf#page=9", "kettle.md#page=1", "lost.pdf", "odd#page=3"]
    questions = [evaluation.Question("1", "?", dict.fromkeys(names, 1))]
    known = {"lease.pdf": 2, "kettle.md": None, "odd#page=3": None}
    assert missing(questions, known) == ["kettle.md#page=1", "lease.pdf#page=9", "lost.pdf"]


def test_a_folder_or_file_that_is_no_set_is_refused(tmp_path: Path) -> None:
    """With what it should have been."""
    with pytest.raises(ConfigError, match="a folder without questions"):
        read_set(tmp_path)
    with pytest.raises(ConfigError, match="not there"):
        read_set(tmp_path / "none")
    file = write(tmp_path / "q.jsonl", QUESTIONS[0])
    with pytest.raises(ConfigError, match="has no split"):
        read_set(file, "test")
    with pytest.raises(ConfigError, match="has no question"):
        read_questions(write(tmp_path / "empty.jsonl"))


def test_drafts_do_not_overwrite_what_somebody_worked_on(tmp_path: Path) -> None:
    """A file that is there is left as it is."""
    write_questions(tmp_path / "q.jsonl", [{"question": "В чём дело?", "sources": ["a"]}])
    assert read_questions(tmp_path / "q.jsonl")[0].text == "В чём дело?"
    with pytest.raises(ConfigError, match="exists already"):
        write_questions(tmp_path / "q.jsonl", [])
    assert read_questions(tmp_path / "q.jsonl")


@pytest.mark.skipif(not DATA.is_dir(), reason="the evaluation data is not here")
def test_real_collections_are_read() -> None:
    """Every set of the evaluation data; of one document of Cranfield its own source has no text."""
    lost = []
    for folder in sorted(DATA.iterdir()):
        found = read_beir(folder)
        assert found.queries.keys() == found.qrels.keys()
        lost += [(folder.name, note.rpartition(": ")[2]) for note in found.notes if "cannot be found" in note]
    assert lost == [("cranfield_en", "995")]
