"""search, show and ask: passages and answers with their places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import Cli, process


def test_search_shows_place_heading_score_and_text(cli: Cli, shelf: Path) -> None:
    """A hit is its place, its headings, its score, its number and its text, on stdout."""
    run = cli("search", "возврат залога", "-n", "1", "-i", shelf)
    assert (run.code, run.err) == (0, "")
    head, *text = run.out.splitlines()
    assert head.startswith("1. contracts/lease.md  line ")
    assert "›" in head
    assert "десяти рабочих дней" in " ".join(text)
    assert "page" not in head


def test_the_query_needs_no_quotes_and_may_come_on_stdin(cli: Cli, shelf: Path) -> None:
    """Words of the command line are joined; `-` reads the query from stdin."""
    quoted = cli("search", "возврат залога", "--json", "-i", shelf).json
    assert cli("search", "возврат", "залога", "--json", "-i", shelf).json == quoted
    piped = process("search", "-", "--json", "-i", shelf, stdin="\ufeffвозврат залога\n".encode())
    assert json.loads(piped.stdout) == quoted
    wrong = process("search", "-", "-i", shelf, stdin="залог".encode("cp1251"))
    assert wrong.returncode == 2
    assert "not UTF-8" in wrong.stderr.decode()


def test_limit_mode_and_where_do_what_they_say(cli: Cli, shelf: Path) -> None:
    """-n bounds the hits, --mode chooses the legs, -w bounds the documents."""
    assert len(cli("search", "the kettle залог", "-n", "1", "--json", "-i", shelf).json["hits"]) == 1  # type: ignore[arg-type]  # JSON
    for mode in ("hybrid", "dense", "lexical"):
        assert cli("search", "warranty", "--mode", mode, "--json", "-i", shelf).json["mode"] == mode
    found = cli("search", "kettle залог", "-w", "source=contracts/*", "--json", "-i", shelf).json["hits"]
    assert {hit["source"] for hit in found} == {"contracts/lease.md"}  # type: ignore[attr-defined]  # JSON


def test_explain_shows_each_leg(cli: Cli, shelf: Path) -> None:
    """--explain: what dense and lexical search made of each hit, and its place in each."""
    run = cli("search", "warranty", "-n", "1", "--explain", "-i", shelf)
    assert "lexical" in run.out
    assert "place 1" in run.out


def test_nothing_found_is_no_failure_unless_asked(cli: Cli, shelf: Path) -> None:
    """An empty result exits with 0, with 4 where --exit-code asks; the text is on stderr, the JSON list is empty."""
    nothing = ["search", "залог", "-w", "source=nowhere/*", "-i", shelf]
    run = cli(*nothing)
    assert (run.code, run.out) == (0, "")
    assert run.err.startswith("Nothing found.")
    assert cli(*nothing, "--exit-code").code == 4
    assert cli(*nothing, "--json").json["hits"] == []
    assert cli(*nothing, "-q").err == ""


def test_what_shares_nothing_with_the_query_is_not_shown(cli: Cli, shelf: Path) -> None:
    """For a query of no word in the documents the terminal lists nothing; JSON and --mode dense list what is near."""
    nonsense = ["search", "qwxzj", "vkpfd", "-i", shelf]
    run = cli(*nonsense)
    assert (run.code, run.out) == (0, "")
    assert run.err == "Nothing found. No passage shares a word, or a part of one, with the query.\n"
    assert cli(*nonsense, "--exit-code").code == 4
    found = cli(*nonsense, "--json", "--exit-code")
    assert found.code == 4
    assert found.json["hits"]
    assert cli(*nonsense, "--mode", "dense").out
    assert "kettle.md" in cli("search", "waranty", "of", "ketle", "-i", shelf).out


def test_a_line_without_spaces_is_cut(cli: Cli, tmp_path: Path) -> None:
    """Thousands of characters without a space take one line of a search's result; `show` prints them all."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "long.md").write_text("Залог возвращается\n\n" + "🙂" * 3000 + "\n", "utf-8")
    cli("index", tmp_path / "docs")
    run = cli("search", "залог")
    assert "Залог возвращается" in run.out
    assert max(map(len, run.out.splitlines())) <= 100
    assert "…" in run.out
    assert cli("show", "long.md").out.count("🙂") == 3000


def test_show_prints_the_passage_that_search_numbers(cli: Cli, shelf: Path) -> None:
    """The number after # leads to the passage in full, with or without the #."""
    hit = cli("search", "возврат залога", "-n", "1", "--json", "-i", shelf).json["hits"][0]  # type: ignore[index]  # JSON
    run = cli("show", hit["id"], "-i", shelf)
    assert run.code == 0
    shown = " ".join(line.removeprefix("┃ ") for line in run.out.splitlines() if line.startswith("┃"))
    assert shown.split() == hit["text"].split()
    assert cli("show", f"#{hit['id']}", "-i", shelf).out == run.out
    assert cli("show", "7" * 5000, "-i", shelf).err.count("is not in the index") == 1  # it names a document
    unknown = cli("show", "999999", "-i", shelf)
    assert (unknown.code, unknown.out) == (1, "")
    assert "999999" in unknown.err


def test_show_numbers_the_lines_of_a_document_as_citations_do(cli: Cli, shelf: Path) -> None:
    """The line number of a hit is the number at which `show SOURCE` prints it."""
    hit = cli("search", "citric acid", "-n", "1", "--json", "-i", shelf).json["hits"][0]  # type: ignore[index]  # JSON
    lines = cli("show", "kettle.md", "-i", shelf).out.splitlines()
    number, text = lines[hit["line"] - 1].strip().split(maxsplit=1)
    assert int(number) == hit["line"]
    assert hit["text"].startswith(text)
    assert "no pages" in cli("show", "kettle.md", "--page", "1", "-i", shelf).err


@pytest.mark.parametrize(
    ("question", "words", "source"),
    [
        ("В какой срок возвращается залог?", "десяти рабочих дней", "contracts/lease.md"),
        ("How long is the warranty of the kettle?", "twenty-four months", "kettle.md"),
        ("Где лежит ключ от подвала?", "у консьержки", "windows.txt"),
    ],
)
def test_ask_quotes_the_documents_with_their_places(
    cli: Cli, shelf: Path, question: str, words: str, source: str
) -> None:
    """An answer is sentences of the documents, each with source and line; stderr says that no model wrote it."""
    run = cli("ask", question, "-i", shelf)
    assert run.code == 0
    assert words in run.out
    assert f"[1] {source}  line " in run.out
    assert run.err.count("\n") == 1
    assert run.err.startswith("No chat model is configured")
    assert cli("ask", question, "-q", "-i", shelf).err == ""


def test_ask_refuses_what_is_not_in_the_documents(cli: Cli, shelf: Path) -> None:
    """A question that no document touches is refused; exit code 4 only where --exit-code asks."""
    question = "Кто изобрёл синхрофазотрон?"
    answer = cli("ask", question, "--json", "-i", shelf).json
    assert (answer["status"], answer["refusal"]) == ("refused", "nothing_relevant")
    assert answer["citations"] == []
    assert answer["hits"]
    run = cli("ask", question, "-i", shelf)
    assert (run.code, run.out) == (0, f"{answer['reason']}\n")
    assert run.err.startswith("The nearest passages:\n  #")
    assert cli("ask", question, "-i", shelf, "-q").err == ""
    explained = cli("ask", question, "-i", shelf, "--explain")
    assert "nearest" not in explained.err
    assert "Refused after reading" in explained.out
    assert cli("ask", question, "--exit-code", "-i", shelf).code == 4


@pytest.mark.parametrize(
    ("arguments", "refusal", "reason"),
    [
        (
            ["-w", "source=nowhere/*"],
            "nothing_indexed",
            "no document with text fulfils the conditions: source=nowhere/*",
        ),
        (["--mode", "lexical"], "nothing_relevant", "no passage has a word of the question"),
        ([], "nothing_relevant", "no passage is about what the question asks"),
    ],
)
def test_a_refusal_has_one_reason(cli: Cli, shelf: Path, arguments: list[str], refusal: str, reason: str) -> None:
    """A word for machines and a sentence for people."""
    found = cli("ask", "Qwxzj vkpfd?", *arguments, "--json", "-i", shelf).json
    assert (found["refusal"], found["reason"]) == (refusal, reason)
    assert bool(found["hits"]) is (arguments == [])


def test_a_route_needs_a_model_to_read_all_of_it(cli: Cli, shelf: Path) -> None:
    """Without one `auto` searches and says why; `attachment` says what is missing. A limit on money holds anyway."""
    run = cli("ask", "--route", "auto", "--max-cost", "1", "How long is the warranty of the kettle?", "-i", shelf)
    assert (run.code, "twenty-four months" in run.out) == (0, True)
    assert "no chat model is configured that could read a whole document" in run.err
    run = cli("ask", "--route", "attachment", "How long is the warranty?", "-i", shelf)
    assert (run.code, run.out) == (2, "")
    assert "no chat model is configured that could read" in run.err
    assert "GIGACHAT_CREDENTIALS" in run.err


def test_ask_explains_what_it_read(cli: Cli, shelf: Path) -> None:
    """--explain lists the passages that the answer was made from."""
    assert "#" in cli("ask", "How long is the warranty?", "--explain", "-i", shelf).out


def test_nothing_found_under_conditions_says_so(cli: Cli, shelf: Path) -> None:
    """The word may well stand in a document that the conditions leave out."""
    run = cli("search", "залог", "-w", "source!=*lease.md", "-i", shelf, "--exit-code")
    assert (run.code, run.out) == (4, "")
    assert "No passage that fulfils the conditions shares a word" in run.err
    assert "lease.md" in cli("search", "залог", "-w", "source!=kettle*", "-i", shelf).out
