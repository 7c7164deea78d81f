"""Whatever is given to our own parsers: a value or one of our errors, and what they find lies where they say.

`pytest --hypothesis-profile=long tests/test_parsers.py` tries 10,000 examples of each.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import unicodedata
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from loader_files import docx, p

from ragkit.answers import Citation, Verification
from ragkit.chunking import RecursiveChunker
from ragkit.citations import Reader, verify
from ragkit.dialogue import Turn
from ragkit.errors import BadResponse, ConfigError, IndexCorrupt, LoadError
from ragkit.evaluation.beir import read_beir
from ragkit.evaluation.questions import document_of, judgements, read_questions
from ragkit.filters import Condition, parse_where
from ragkit.folders import SIDECAR, is_text, metadata_fault, opened, walk
from ragkit.intake import clean
from ragkit.loaders import load
from ragkit.loaders.frames import LENGTHS, check_lengths, pack, unpack
from ragkit.loaders.hygiene import normalise
from ragkit.loaders.limits import DEFAULT_LIMITS
from ragkit.positions import Positions, contextual_text, line_of, page_of
from ragkit.providers import jsontext, sse
from ragkit.providers.wire import rerank
from ragkit.reports import Loaded, Problem
from ragkit.settings import FILE, Settings, load_settings, names
from ragkit.store.segments import SegmentInfo, map_segment, read_segment
from ragkit.tables import head_row, table_end, table_start
from ragkit.types import Chunk, Document, Heading, Hit
from ragkit.uploads import Uploads
from ragkit_cli import transcript

REPEATED_FIXTURES = [HealthCheck.function_scoped_fixture]  # a folder may be used again: each example writes anew
ANY = settings(deadline=None, suppress_health_check=[*REPEATED_FIXTURES, HealthCheck.too_slow])
LETTERS = st.text(st.sampled_from("аб1. \n|=-#[]()«»\"'“”*_`>\t,:;!?\u00a0\u0301\f2"), max_size=120)
TEXTS = st.text(max_size=80) | LETTERS
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
DEEP = st.integers(1, 50).map(lambda n: b"[" * n * 2000)  # deeper than the interpreter's stack


def rows(*fields: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with these fields or some of them, each of any kind."""
    return st.dictionaries(st.sampled_from(fields), JSON | TEXTS | st.lists(TEXTS, max_size=3), max_size=len(fields))


def lines(objects: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """A file of lines of which some are JSON, some are damaged, some are anything."""
    written = objects.map(lambda value: json.dumps(value).encode())
    return st.lists(written | st.binary(max_size=20) | DEEP, max_size=4).map(b"\n".join)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = normalise(draw(LETTERS))
    places = st.lists(st.integers(0, len(text)), max_size=4).map(sorted)
    headings = tuple(Heading(start, draw(st.integers(1, 6)), draw(LETTERS)) for start in draw(places))
    pages = (0, *draw(places)) if draw(st.booleans()) else ()
    return Document("a", text, page_starts=pages, headings=headings)


# -- files


@pytest.mark.parametrize("suffix", ["txt", "md", "html"])
@ANY
@given(st.binary(max_size=300) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_text_or_a_named_reason(suffix: str, data: bytes) -> None:
    """What comes out can be stored: clean text, landmarks inside it and in order, no half pair in any of its words."""
    try:
        document = load(io.BytesIO(data), f"a.{suffix}").document
    except LoadError:
        return
    assert normalise(document.text) == document.text
    assert clean(document).text == document.text
    assert all(is_text(heading.text) for heading in document.headings)


ELEMENTS = (
    *(
        "<w:p>",
        "</w:p>",
        "<w:r>",
        "</w:r>",
        "<w:t>я</w:t>",
        "<w:tbl>",
        "</w:tbl>",
        "<w:tr>",
        "</w:tr>",
        "<w:tc>",
        "</w:tc>",
    ),
    *("<w:br/>", "<w:del>", "</w:del>", "<w:txbxContent>", "</w:txbxContent>", p("раз")),
    *(
        '<w:pPr><w:outlineLvl w:val="9999999999"/></w:pPr>',
        '<w:numPr><w:ilvl w:val="-1"/><w:numId w:val="x"/></w:numPr>',
    ),
)


@ANY
@given(st.lists(st.sampled_from(ELEMENTS), max_size=12))
def test_any_body_is_text_or_a_named_reason(parts: list[str]) -> None:
    """Word's elements in any order, of which XML allows few."""
    with suppress(LoadError):
        document = load(io.BytesIO(docx("".join(parts))), "a.docx").document
        assert clean(document).text == document.text


@ANY
@given(
    documents(), st.lists(TEXTS, max_size=3), st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats(), max_size=2)
)
def test_any_document_comes_through_a_frame(document: Document, words: list[str], metadata: dict[str, Any]) -> None:
    """Text and landmarks are equal; whatever reasons, notes and metadata say can be stored."""
    loaded = Loaded(replace(document, metadata=metadata), tuple(Problem(word, word) for word in words), tuple(words))
    frame = b"".join(pack(loaded, DEFAULT_LIMITS))
    header, _ = check_lengths(frame[: LENGTHS.size], DEFAULT_LIMITS)
    found = unpack(frame[LENGTHS.size :][:header], frame[LENGTHS.size + header :], "a")
    assert (found.document.text, found.document.page_starts) == (document.text, document.page_starts)
    assert [heading.start for heading in found.document.headings] == [heading.start for heading in document.headings]
    assert all(is_text(word) and "\0" not in word for word in [*found.notes, *found.document.metadata])


@ANY
@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60) | DEEP, st.binary(max_size=30))
def test_any_frame_is_refused_or_holds_a_document(header: bytes, text: bytes) -> None:
    """Whatever a parser that was taken over may answer."""
    with suppress(ValueError, LoadError):
        unpack(header, text, "a")


@ANY
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()) | DEEP)
def test_any_sidecar_is_metadata_or_a_named_reason(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_text("слово")
    (tmp_path / f"a.txt{SIDECAR}").write_bytes(data)
    (file,) = walk(tmp_path, max_file_size=1000)
    with suppress(LoadError), opened(file) as content:
        assert metadata_fault(content.metadata) == ""


@pytest.mark.skipif(os.name != "posix", reason="names of any bytes")
@ANY
@given(st.sets(st.binary(min_size=1, max_size=30).filter(lambda name: not set(name) & set(b"/\0")), max_size=5))
def test_any_names_have_one_line_each(found: set[bytes]) -> None:
    """Every file that is not hidden is found once, by a name that can be stored, and opened where it has no problem."""
    some = {name for name in found if name not in (b".", b"..") and not name.endswith(SIDECAR.encode())}
    with tempfile.TemporaryDirectory() as place:
        for name in some:
            Path(os.fsdecode(os.fsencode(place) + b"/" + name)).write_bytes(name)
        files = list(walk(Path(place), max_file_size=1000))
        assert len(files) == sum(not name.startswith(b".") for name in some)
        assert all(is_text(file.source) for file in files)
        for file in files:
            if not file.problem:
                with opened(file) as content:
                    assert content.stream.read().decode() == file.source


# -- text


@ANY
@given(documents(), st.integers(1, 60), st.integers(0, 30))
def test_chunks_are_spans_that_hold_all_that_is_visible(document: Document, size: int, overlap: int) -> None:
    chunks = RecursiveChunker(size=size, overlap=min(overlap, size // 2))(document)
    assert all(chunk.text == document.text[chunk.start : chunk.end] for chunk in chunks)
    seen = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
    assert all(place in seen for place, letter in enumerate(document.text) if not letter.isspace())
    assert all(chunk.text in contextual_text("Имя", chunk) for chunk in chunks)


@ANY
@given(documents())
def test_places_only_grow(document: Document) -> None:
    """Pages never go back, lines begin at 1 on each page, and the quick ways agree with the prepared one."""
    places, before = Positions(document), (1, 1)
    for offset in range(len(document.text) + 1):
        now = (places.page(offset) or 1, places.line(offset))
        assert now >= before
        assert (page_of(document, offset), line_of(document, offset)) == (places.page(offset), places.line(offset))
        before = now
        places.heading(offset)


@ANY
@given(
    st.lists(st.sampled_from(["| a | b |", "слово", "", "|---|", "x | y", " "]), max_size=10).map("\n".join), st.data()
)
def test_a_table_holds_the_row_it_was_asked_for(text: str, data: st.DataObject) -> None:
    bars = [place for place, letter in enumerate(text) if letter == "|"]
    assume(bars)
    offset = data.draw(st.sampled_from(bars))
    start, end = table_start(text, offset), table_end(text, offset, len(text))
    assert 0 <= start <= offset < end <= len(text)
    assert all("|" in line for line in text[start:end].split("\n"))
    assert head_row(text, offset) == text[start:end].split("\n")[0].strip()


@ANY
@given(st.lists(TEXTS, max_size=4))
def test_clean_pieces_joined_by_newlines_are_clean(pieces: list[str]) -> None:
    """Which is what lets a loader clean page by page."""
    joined = "\n".join(map(normalise, pieces))
    assert normalise(joined) == joined


@ANY
@example("n=7")
@example("n>0.5")
@given(TEXTS)
def test_any_condition_is_parsed_or_refused(text: str) -> None:
    with suppress(ConfigError):
        (condition,) = parse_where([text])
        assert condition.key
        assert condition.value
        assert condition.number is None or isinstance(condition.number, int | float)


@ANY
@example("a", "=", "\uf900")  # a character of one's own that stands for another
@example("a\u0301", ">=", "и\u0306")
@given(
    st.text(min_size=1).filter(lambda key: key != "source" and not any(c.isspace() or c in "=<>!" for c in key)),
    st.sampled_from(["=", "!=", ">=", "<=", ">", "<"]),
    st.text(min_size=1).map(str.strip).filter(lambda value: value and value[0] not in "=<>"),
)
def test_a_condition_that_is_written_out_is_parsed_back(key: str, op: str, value: str) -> None:
    """With any blanks around the operator, and composed, as metadata is."""
    glob = op in ("=", "!=") and any(mark in value for mark in "*?[")
    name, meant = (unicodedata.normalize("NFC", text) for text in (key, value))
    expected = (Condition(name, {"=": "glob", "!=": "!glob"}[op] if glob else op, meant),)
    assert parse_where([f"{key}{op}{value}"]) == parse_where([f" {key} {op}  {value} "]) == expected


# -- answers


SOURCES = st.lists(LETTERS.filter(str.strip), min_size=1, max_size=3)
ANSWERS = st.lists(
    LETTERS | st.sampled_from(["[1]", "[2]", "[7]", "[1, 2]", "«", "»", '"', " аб 1. ", "[", "]", "```"])
).map("".join)


def given_hits(texts: list[str]) -> tuple[list[Hit], dict[str, Document]]:
    known = {f"{number}.txt": Document(f"{number}.txt", normalise(text)) for number, text in enumerate(texts)}
    return [Hit(0, Chunk(name, 0, len(each.text), each.text), 1.0) for name, each in known.items()], known


@ANY
@given(SOURCES, ANSWERS)
def test_any_answer_is_verified_without_an_error(texts: list[str], answer: str) -> None:
    """Quotes that were found stand where they are said to; no marker names a source that was not given."""
    hits, known = given_hits(texts)
    found = verify(answer, hits, known.__getitem__)
    for citation in found.citations:
        if citation.verification is Verification.NOT_FOUND:
            assert (citation.start, citation.end) == (0, 0)
            continue
        text = known[citation.source].text
        assert 0 <= citation.start <= citation.end <= len(text)
        if citation.verification is Verification.EXACT:
            assert citation.quote == text[citation.start : citation.end]
    assert all(0 <= each.start <= each.end <= len(found.text) for each in found.statements)
    assert {citation.marker for citation in found.citations} - {""} <= {
        f"[{number}]" for number in range(1, len(hits) + 1)
    }


@ANY
@given(SOURCES, ANSWERS, st.lists(st.integers(0, 200), max_size=5))
def test_an_answer_in_pieces_is_verified_as_the_whole(texts: list[str], answer: str, cuts: list[int]) -> None:
    hits, known = given_hits(texts)
    places = [0, *sorted(min(cut, len(answer)) for cut in cuts), len(answer)]
    reader = Reader(hits, known.__getitem__)
    shown = "".join(reader.feed(answer[start:end]) for start, end in pairwise(places))
    found = reader.finish()
    assert found.text.startswith(shown)
    assert found == verify(answer, hits, known.__getitem__)


# -- services


@ANY
@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n\n", b"\r", b"event: x\n", b"\xef\xbb\xbf"]),
        max_size=8,
    )
)
def test_any_packets_are_the_events_of_the_whole(packets: list[bytes]) -> None:
    """Or end with the same error: where they were cut changes nothing."""

    def read(pieces: list[bytes]) -> tuple[list[sse.Event], bool]:
        found = []
        try:
            for event in sse.events(pieces):
                found.append(event)  # noqa: PERF402 - what came before an error counts
        except BadResponse:
            return found, True
        return found, False

    assert read(packets) == read([b"".join(packets)]) == read([bytes([byte]) for byte in b"".join(packets)])


@ANY
@given(st.binary(max_size=60) | DEEP | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_json_or_a_bad_response(body: bytes) -> None:
    """In words that quote nothing of it."""
    with suppress(BadResponse):
        jsontext.Reply(200, {}, body).json()


@ANY
@given(
    JSON | rows("results", "data", "usage", "meta") | st.lists(rows("index", "relevance_score", "score")),
    st.integers(1, 3),
)
def test_any_ranking_is_scores_or_a_bad_response(reply: object, count: int) -> None:
    with suppress(BadResponse):
        assert len(rerank.scores(reply, count=count)[0]) == count
    with suppress(BadResponse):
        rerank.scores({"results": reply}, count=count)


# -- files of the user's


VALUES = (
    *(
        "1",
        "-1",
        "true",
        '"x"',
        "[1]",
        "1e999",
        "nan",
        "1979-05-27",
        '"4 GiB"',
        '"https://u:p@h"',
        "{a = 1}",
        "9" * 5000,
    ),
    *('"\\u0000"', "''", "[" * 5000),
)
TOML = st.tuples(st.sampled_from(sorted(names())), st.sampled_from(VALUES)).map(" = ".join) | TEXTS


@ANY
@given(st.lists(TOML, max_size=3).map("\n".join))
def test_any_settings_file_is_settings_or_a_config_error(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_bytes(text.encode("utf-8", "surrogatepass"))
    (tmp_path / FILE).chmod(0o600)
    with suppress(ConfigError):
        assert isinstance(load_settings(environ={}, cwd=tmp_path), Settings)


@ANY
@given(st.dictionaries(st.sampled_from([f"RAGKIT_{name.upper()}" for name in sorted(names())]), TEXTS, max_size=3))
def test_any_environment_is_settings_or_a_config_error(tmp_path: Path, variables: dict[str, str]) -> None:
    with suppress(ConfigError):
        repr(load_settings(environ=variables, cwd=tmp_path))


@ANY
@given(st.binary(max_size=400), st.integers(1, 4), st.integers(1, 8), st.data())
def test_any_bytes_are_no_segment(tmp_path: Path, data: bytes, rows: int, dimension: int, draw: st.DataObject) -> None:
    """Whatever the catalog says and whatever the file holds: IndexCorrupt, or pieces that are called damaged."""
    size = draw.draw(st.sampled_from([len(data), 64 + rows * (8 + 4 * dimension) + 4]))
    info = SegmentInfo("seg-" + "0" * 32, 1, rows, rows, dimension, draw.draw(st.integers(0, 2**32 - 1)), size)
    (tmp_path / info.name).write_bytes(data.ljust(size, b"\1")[:size])
    with pytest.raises(IndexCorrupt):
        map_segment(tmp_path, info)
    with suppress(IndexCorrupt):
        assert read_segment(tmp_path, info).faults


CITED = rows("marker", "source", "page", "line", "start", "end", "quote", "verification")


TALK = CITED.map(
    lambda cited: {
        "question": "q",
        "rewritten": "",
        "answer": "a",
        "citations": [cited],
        "time": "2026-01-02T03:04:05Z",
    }
)


@ANY
@given(lines(rows("question", "rewritten", "answer", "citations", "time") | TALK))
def test_any_conversation_is_turns_or_a_config_error(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "talk.jsonl"
    file.write_bytes(data)
    with suppress(ConfigError):
        transcript.save(file, transcript.read(file), again=True)  # what was read can be written


@ANY
@given(st.lists(st.tuples(st.text(), st.text(), st.text(), st.integers(0, 2**32)), max_size=3))
def test_a_conversation_comes_back_as_it_was(tmp_path: Path, talk: list[tuple[str, str, str, int]]) -> None:
    """Any text, half pairs and line separators included, and citations with it."""
    cited = Citation("[1]", "a.pdf", 2, 3, 4, 5, "слово", Verification.EXACT)
    turns = [Turn(question, answer, (cited,), rewritten, time) for question, answer, rewritten, time in talk]
    transcript.save(tmp_path / "talk.jsonl", turns, again=True)
    assert transcript.read(tmp_path / "talk.jsonl") == turns


@ANY
@given(
    lines(rows("_id", "text", "title")), lines(rows("_id", "text")), st.lists(TEXTS | st.just("q\td\t1")).map("\n".join)
)
def test_any_collection_is_read_or_a_config_error(tmp_path: Path, corpus: bytes, queries: bytes, qrels: str) -> None:
    (tmp_path / "corpus.jsonl").write_bytes(corpus + b'\n{"_id": "d", "text": "x"}')
    (tmp_path / "queries.jsonl").write_bytes(queries + b'\n{"_id": "q", "text": "x"}')
    (tmp_path / "qrels.tsv").write_bytes(qrels.encode("utf-8", "surrogatepass"))
    with suppress(ConfigError):
        assert all(grade > 0 for grades in read_beir(tmp_path).qrels.values() for grade in grades.values())


SOURCE = TEXTS | st.sampled_from(
    ["a.pdf", "a.pdf#page=1", "a.pdf#page=" + "9" * 5000, "a#page=²", "a#page=0", "#page=1"]
)


ASKED = st.fixed_dictionaries({"question": st.just("q"), "sources": st.lists(SOURCE, max_size=2)})


@ANY
@given(lines(rows("id", "question", "sources", "answer", "answerable") | ASKED))
@example(json.dumps({"id": "1", "question": "?", "sources": f"a.pdf#page={'7' * 5000}"}).encode())
def test_any_questions_are_read_or_a_config_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "questions.jsonl").write_bytes(data)
    with suppress(ConfigError):
        found = read_questions(tmp_path)
        judgements(found)
        for question in found:
            for name in question.sources:
                document_of(name, {"a.pdf": 2})


class OneFileStore:
    """A service of files that has none: enough to ask whether one was uploaded before."""

    account = "a"

    def file(self, id: str) -> object:
        return id

    def upload(self, path: Path) -> object:
        return f"uploaded {path.name}"


@ANY
@given(st.binary(max_size=60) | DEEP | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_memory_of_uploads_costs_an_upload_at_most(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "uploads.json").write_bytes(data)
    (tmp_path / "a.txt").write_text("слово")
    assert Uploads(tmp_path / "uploads.json").upload(OneFileStore(), tmp_path / "a.txt") == ("uploaded a.txt", False)  # type: ignore[arg-type, comparison-overlap]  # of a FileStore it needs these two
