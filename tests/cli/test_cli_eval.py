"""eval and map from the shell: questions of one's own, collections, comparisons, drafts, limits and pictures."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest
from shell import Cli
from test_cli_json import compare

from ragkit.settings import Settings
from ragkit_cli.trials import OF_ASKING

ROOT = Path(__file__).parents[2]
QUESTIONS = [
    {"id": "deposit", "question": "В какой срок возвращается залог?", "sources": ["contracts/lease.md"]},
    {"id": "warranty", "question": "How long is the warranty of the kettle?", "sources": ["kettle.md"]},
    {"id": "key", "question": "У кого ключ от подвала?", "sources": "windows.txt", "answer": "у консьержки"},
    {"id": "bridge", "question": "Zzyzx qwfp arstd?", "answerable": False},
]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write(tmp_path / "questions.jsonl", *QUESTIONS)


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "colours"
    folder.mkdir()
    colours = ["red", "green", "blue", "yellow", "black", "white", "brown", "purple"]
    write(folder / "corpus.jsonl", *({"_id": c, "title": "", "text": f"The {c} paint is dry."} for c in colours))
    write(folder / "queries.jsonl", *({"_id": f"q-{c}", "text": f"{c} paint"} for c in colours))
    (folder / "qrels.tsv").write_text("".join(f"q-{c}\t{c}\t1\n" for c in colours), "utf-8")
    return folder


def write(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def means(run: dict[str, object]) -> dict[str, float]:
    return {each["measure"]: each["mean"] for each in run["measures"]}  # type: ignore[index, attr-defined]  # JSON


def test_own_questions_are_measured_in_every_mode(cli: Cli, shelf: Path, questions: Path) -> None:
    """A table with a column for each mode; the unanswerable question has nothing to be found and is not asked."""
    run = cli("eval", questions, "-i", shelf)
    assert run.code == 0
    lines = run.out.splitlines()
    assert lines[0].startswith("questions.jsonl: 3 questions asked of ")
    assert lines[2].split() == ["hybrid", "dense", "lexical"]
    assert [line.split()[0] for line in lines[3:8]] == ["nDCG@10", "recall@1", "recall@5", "recall@10", "MRR@10"]
    assert lines[3].split()[1] == "1.000"
    assert lines[8].startswith("ms a search  ")  # the median, in the column of its mode
    starts = [
        [each.start() for each in re.finditer(pattern, line)]
        for pattern, line in ((r"[\d.]+", lines[8]), (r"\w+", lines[2]))
    ]
    assert starts[0] == starts[1]
    assert "with fewer than 30 the intervals are a rough guide" in run.err


def test_json_has_the_values_of_every_question(cli: Cli, shelf: Path, questions: Path) -> None:
    """So that other programs can do their own statistics; stderr stays empty."""
    run = cli("eval", questions, "-i", shelf, "--mode", "lexical,dense", "-n", "5", "--json")
    assert (run.code, run.err) == (0, "")
    assert [each["mode"] for each in run.json["runs"]] == ["lexical", "dense"]  # type: ignore[attr-defined]  # JSON
    first = run.json["runs"][0]  # type: ignore[index]  # JSON
    assert {each["id"]: each["scores"]["mrr@5"] for each in first["questions"]} == {
        "deposit": 1,
        "warranty": 1,
        "key": 1,
    }
    assert first["questions"][0]["found"][0] == "contracts/lease.md"
    assert set(means(first)) == {"ndcg@5", "recall@1", "recall@5", "mrr@5"}


def test_a_collection_is_indexed_for_the_purpose(cli: Cli, beir: Path, tmp_path: Path) -> None:
    """Without -i nothing is left over; with it the index is kept, used again, and never that of other documents."""
    run = cli("eval", beir, "--mode", "lexical")
    assert run.code == 0
    assert "colours: 8 questions asked of 8 chunks" in run.out
    assert not (tmp_path / ".ragkit").exists()
    assert cli("eval", beir, "--mode", "lexical", "-i", "kept", "-q").code == 0
    assert cli("status", "-i", "kept", "--json").json["documents"] == 8
    again = cli("eval", beir, "--mode", "lexical", "-i", "kept", "-q").out
    assert again.partition("ms a search")[0] == run.out.partition("ms a search")[0]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "own.md").write_text("My own words.", "utf-8")
    cli("index", tmp_path / "docs", "-i", "mine", "-q")
    refused = cli("eval", beir, "-i", "mine")
    assert refused.code == 2
    assert "1 document not of the collection, such as 'own.md'" in refused.err
    assert cli("status", "-i", "mine", "--json").json["documents"] == 1


def test_two_modes_are_compared(cli: Cli, beir: Path) -> None:
    """Side by side, with the difference, and a sentence that says whether it is one."""
    run = cli("eval", beir, "--compare", "mode=lexical", "-q")
    assert run.code == 0
    assert "No significant difference in nDCG@10 between hybrid and lexical: they agree on every question" in run.out
    assert run.out.count("not significant") == 5


def test_other_settings_are_compared_in_an_index_of_their_own(
    cli: Cli, shelf: Path, questions: Path, tmp_path: Path
) -> None:
    """The texts of the index are cut anew; neither the files nor the index are touched."""
    before = cli("status", "-i", shelf, "--json").json
    run = cli("eval", questions, "-i", shelf, "--compare", "chunk_size=60,chunk_overlap=0", "--json")
    assert run.code == 0
    first, second = run.json["runs"]  # type: ignore[misc]  # JSON
    assert (first["name"], second["name"]) == ("hybrid", "hybrid, chunk_size=60,chunk_overlap=0")
    assert second["chunks"] > first["chunks"]
    assert (first["index"], second["index"]) == (str(shelf), "")
    [pair] = run.json["comparisons"]  # type: ignore[misc]  # JSON
    assert {each["measure"] for each in pair["differences"]} == {*means(first)}
    assert all(each["questions"] == 3 for each in pair["differences"])
    assert cli("status", "-i", shelf, "--json").json == before
    assert not list(tmp_path.glob("*ragkit*"))


def test_two_indexes_are_compared(cli: Cli, shelf: Path, questions: Path, tmp_path: Path) -> None:
    """What one of them lacks counts as not found, and is named."""
    (tmp_path / "less").mkdir()
    (tmp_path / "less" / "kettle.md").write_text("The warranty of the kettle lasts two years.", "utf-8")
    cli("index", tmp_path / "less", "-i", "small", "-q")
    run = cli("eval", questions, "-i", shelf, "--compare", "small")
    assert run.code == 0
    assert "hybrid, small" in run.out
    assert "2 expected sources are not in small, and count as not found: contracts/lease.md, windows.txt" in run.err
    assert "No significant difference in nDCG@10 between hybrid and hybrid, small" in run.out
    assert "0 questions better, 2 worse, of 3" in run.out


def test_answers_are_scored(cli: Cli, shelf: Path, questions: Path) -> None:
    """Without a model by the documents' own sentences: citations, the expected answer, the refusal."""
    run = cli("eval", questions, "-i", shelf, "--answers", "--mode", "hybrid", "--json")
    [scores] = run.json["runs"][0]["answers"]  # type: ignore[index]  # JSON
    found = {each["measure"]: (each["mean"], each["questions"]) for each in scores["measures"]}
    assert (scores["questions"], scores["refused"]) == (4, 1)
    assert found["answered"] == found["citation_recall"] == (1, 3)
    assert found["answer_contained"] == found["refusal_precision"] == found["refusal_recall"] == (1, 1)
    assert "citation recall" in cli("eval", questions, "-i", shelf, "--answers", "--mode", "hybrid", "-q").out


@pytest.mark.usefixtures("ragkit_sandbox_env")
def test_answers_of_a_service_keep_to_a_limit(
    cli: Cli, shelf: Path, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many requests there will be is said first; at the limit it stops, judges what it has and exits with 6."""
    monkeypatch.setenv("RAGKIT_PASSAGES", "1")
    ask = ("eval", questions, "-i", shelf, "--mode", "lexical", "--answers")
    everything = cli(*ask, "--json")
    assert everything.code == 0
    spent = everything.json["usage"]["total_tokens"]  # type: ignore[index]  # JSON
    assert spent > 0
    said = cli(*ask)
    assert "4 requests to the chat model" in said.err
    assert "Billed: " in said.err
    most = spent * 3 // 4
    stopped = cli(*ask, "--max-tokens", most, "--json")
    assert stopped.code == 6
    assert 0 < stopped.json["usage"]["total_tokens"] <= most  # type: ignore[index]  # JSON
    assert 0 < stopped.json["runs"][0]["answers"][0]["questions"] < 4  # type: ignore[index]  # JSON
    assert "of 4 questions were answered: stopped at the limit" in str(stopped.json["notes"])
    nothing = cli(*ask, "--max-tokens", 1, "-q")
    assert (nothing.code, "answers" in nothing.out) == (6, False)
    assert "none of 4 questions were answered: stopped at the limit" in cli(*ask, "--max-tokens", 1).err
    dear = cli(*ask, "--max-cost", "1")
    assert dear.code == 2
    assert "nothing has a price" in dear.err


@pytest.mark.usefixtures("ragkit_sandbox_env")
def test_a_model_that_orders_hits_keeps_to_the_limit(
    cli: Cli, shelf: Path, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each search asks it, so each is billed, also where no vector is."""
    monkeypatch.setenv("RAGKIT_RERANK", "chat")
    ask = ("eval", questions, "-i", shelf, "--mode", "lexical")
    free = cli(*ask)
    assert free.code == 0
    assert "Billed: " in free.err
    assert "with requests for the order of the hits" in free.err
    stopped = cli(*ask, "--max-tokens", "1")
    assert (stopped.code, "stopped at the limit" in stopped.err) == (6, True)


def test_drafts_are_made_and_can_be_asked(cli: Cli, shelf: Path, tmp_path: Path) -> None:
    """Each is marked as a draft, which is said when they are measured; a file that exists is not written over."""
    run = cli("eval", "--make", "drafts.jsonl", "-i", shelf, "-n", "2")
    assert run.code == 0
    rows = [json.loads(line) for line in (tmp_path / "drafts.jsonl").read_text("utf-8").splitlines()]
    assert 1 <= len(rows) <= 2
    assert all(row["draft"] and row["by"] == "extractive" and row["sources"] for row in rows)
    assert "easier to find than a reader's own questions" in run.err
    asked = cli("eval", "drafts.jsonl", "-i", shelf, "--mode", "lexical")
    assert asked.code == 0
    assert "are drafts that nobody has read" in asked.err
    again = cli("eval", "--make", "drafts.jsonl", "-i", shelf)
    assert again.code == 2
    assert "exists already" in again.err
    assert cli("eval", "--make", "x.jsonl", "--answers", "-i", shelf).code == 2


@pytest.mark.usefixtures("ragkit_sandbox_env")
def test_a_model_that_writes_no_questions_leaves_no_file(cli: Cli, shelf: Path, tmp_path: Path) -> None:
    """The sandbox repeats what it reads, which is no JSON: every passage is counted, and paid for."""
    run = cli("eval", "--make", "drafts.jsonl", "-i", shelf, "--json", "-n", "1")
    assert run.json["drafts"] == 0
    assert "the reply is not a JSON object" in str(run.json["notes"])
    assert run.json["usage"]["total_tokens"] > 0  # type: ignore[index]  # JSON
    assert not (tmp_path / "drafts.jsonl").exists()


def test_the_examples_of_the_documentation_run(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its questions are read and answered from the sample documents, and its Python measures them."""
    assert cli("index", ROOT / "sample_docs", "-q").code == 3  # a page of them is a scan
    text = (ROOT / "docs" / "evaluation.md").read_text("utf-8")
    blocks = dict(re.findall(r"^```(json|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    (tmp_path / "questions.jsonl").write_text(blocks["json"], "utf-8")
    run = cli("eval", "questions.jsonl", "--answers", "--mode", "hybrid", "--json")
    assert run.code == 0
    [first] = run.json["runs"]  # type: ignore[misc]  # JSON
    assert means(first)["recall@1"] == 1
    assert {each["measure"]: each["mean"] for each in first["answers"][0]["measures"]}["refusal_recall"] == 1
    exec(blocks["python"], {})
    assert "ndcg@10 1.0 1.0 False" in capsys.readouterr().out


USAGE = [
    ([], "no questions are named"),
    (["none.jsonl"], "none.jsonl is not there"),
    (["questions.jsonl", "--mode", "fast"], "the mode is 'fast'"),
    (["questions.jsonl", "--plot", "recall.svg"], "ends in .html or .png"),
    (["questions.jsonl", "--plot", "nowhere/recall.html"], "does not exist"),
    (["questions.jsonl", "--compare", "chunk_siez=4"], "unknown setting 'chunk_siez'"),
    (["questions.jsonl", "--compare", "mode=lexical,fast"], "'fast' is no setting"),
    (["questions.jsonl", "--split", "dev"], "has no split"),
    (["questions.jsonl", "--mode", "hybrid,lexical", "--compare", "mode=dense"], "--mode names 2"),
    (["questions.jsonl", "--plot", "."], "ends in .html or .png"),
    (["questions.jsonl", "--plot", "folder.html"], "folder.html is a folder"),
    (["--make", "nowhere/drafts.jsonl"], "does not exist"),
]


@pytest.mark.parametrize(("arguments", "said"), USAGE)
def test_mistakes_are_named(cli: Cli, shelf: Path, questions: Path, arguments: list[str], said: str) -> None:
    """Exit code 2, and the reason, before anything is measured."""
    assert questions.exists()
    Path("folder.html").mkdir()
    run = cli("eval", *arguments, "-i", shelf)
    assert run.code == 2
    assert said in run.err
    assert "Asking" not in run.err


def test_questions_without_sources_are_measured_by_their_answers_alone(cli: Cli, shelf: Path, tmp_path: Path) -> None:
    """There is no ranking to judge: a mistake without --answers, and nothing is said of one with it."""
    write(tmp_path / "refuse.jsonl", {"question": "Zzyzx qwfp arstd?", "answerable": False})
    for arguments in ([], ["--compare", "mode=lexical"], ["--answers", "--plot", "recall.html"]):
        run = cli("eval", "refuse.jsonl", "-i", shelf, *arguments)
        assert (run.code, "no question has expected sources" in run.err) == (2, True)
        assert "Answering" not in run.err
    run = cli("eval", "refuse.jsonl", "-i", shelf, "--answers", "--compare", "mode=lexical")
    assert run.code == 0
    assert run.out.startswith("refuse.jsonl: 1 question, none with expected sources; means with 95 % intervals\n")
    assert "No significant difference in refusal precision" in run.out


def test_what_was_measured_is_printed_also_where_the_picture_fails(cli: Cli, shelf: Path, questions: Path) -> None:
    """A disk may be full by then, and the questions may have cost money."""
    Path("recall.html").symlink_to("/dev/full")
    run = cli("eval", questions, "-i", shelf, "--mode", "lexical", "--plot", "recall.html")
    assert (run.code, "nDCG@10" in run.out, "recall.html" in run.err) == (1, True, True)
    run = cli("eval", questions, "-i", shelf, "--mode", "lexical", "--plot", "recall.html", "--json")
    assert (run.code, run.json["plot"], len(run.json["runs"])) == (1, "", 1)  # type: ignore[arg-type]  # JSON


def test_what_only_changes_the_asking_makes_no_second_index(cli: Cli, shelf: Path, questions: Path) -> None:
    """Another order of hits, or another prompt, is tried on the same vectors: they may have cost money."""
    for change in ("mmr=0.5", "candidates=9,mmr=0.7", "context_tokens=900", "parents=true", "chat_model=x"):
        run = cli("eval", questions, "-i", shelf, "--mode", "hybrid", "--compare", change, "--json")
        assert (run.code, [each["index"] for each in run.json["runs"]]) == (0, [str(shelf)] * 2)  # type: ignore[index]


def test_what_an_index_is_made_with_is_not_of_asking() -> None:
    """Asked of the same index, another chunk size would seem to make no difference."""
    made_with = {"chunk_size", "chunk_overlap", "embed_model", "document_prefix", "dimensions"}
    services = {"provider", "embed_provider", "base_url", "openai_base_url", "embed_base_url", "gigachat_base_url"}
    names = {each.name for each in fields(Settings)}
    assert names >= OF_ASKING
    assert names - OF_ASKING >= made_with | services


def test_a_key_that_is_compared_is_not_shown(cli: Cli, shelf: Path, questions: Path) -> None:
    """Reports and pictures are passed on."""
    change = f"index={shelf},embed_api_key=sk-very-secret,mode=lexical"
    run = cli("eval", questions, "-i", shelf, "--compare", change, "--plot", "recall.html", "--json")
    assert run.code == 0
    assert "embed_api_key=…" in run.out
    for each in (run.out, run.err, Path("recall.html").read_text("utf-8")):
        assert "sk-very-secret" not in each


def test_an_index_that_is_missing_or_of_other_documents_is_named(cli: Cli, questions: Path, beir: Path) -> None:
    """Exit code 5 for none; and 2 where it has none of the expected sources: a wrong name, not a bad search."""
    assert cli("eval", questions, "-i", "none").code == 5
    assert cli("eval", "--make", "q.jsonl", "-i", "none").code == 5
    cli("eval", beir, "-i", "colours-index", "-q", "--mode", "lexical")
    assert cli("eval", questions, "--compare", "none", "-i", "colours-index").code == 5
    run = cli("eval", questions, "-i", "colours-index")
    assert run.code == 2
    assert "none of the expected sources is in" in run.err


def test_recall_is_drawn(cli: Cli, shelf: Path, questions: Path, tmp_path: Path) -> None:
    """As a page, and where matplotlib is installed as a picture; else it is said before anything is measured."""
    run = cli("eval", questions, "-i", shelf, "--plot", "recall.html")
    assert run.code == 0
    page = (tmp_path / "recall.html").read_text("utf-8")
    assert "<svg" in page
    assert "Recall by k: questions.jsonl" in page
    run = cli("eval", questions, "-i", shelf, "--plot", "recall.png", "-q")
    if find_spec("matplotlib"):
        assert (tmp_path / "recall.png").read_bytes().startswith(b"\x89PNG")
    else:
        assert (run.code, run.out) == (2, "")
        assert "pip install matplotlib" in run.err


def test_the_index_is_drawn(cli: Cli, shelf: Path, tmp_path: Path) -> None:
    """Its path on stdout; every passage a dot; the query's hits numbered; what the picture is on stderr."""
    run = cli("map", "-o", "map.html", "-i", shelf, "--query", "залог")
    assert (run.code, run.out) == (0, "map.html\n")
    assert "passages of 3 documents" in run.err
    page = (tmp_path / "map.html").read_text("utf-8")
    assert "contracts/lease.md, line" in page
    assert "<td>1</td>" in page
    found = cli("map", "-o", "map.html", "-i", shelf, "--most", "1", "--json").json
    assert (found["points"], found["hits"]) == (1, [])
    assert cli("map", "-o", "map.html", "-i", "none").code == 5


def test_json_is_documented(cli: Cli, shelf: Path, questions: Path) -> None:
    """Every field of the three objects, in both directions."""
    found = cli("eval", questions, "-i", shelf, "--compare", "mode=lexical", "--answers", "--json").json
    compare("eval", found)
    compare("map", cli("map", "-o", "map.html", "-i", shelf, "--query", "залог", "--json").json)
    compare("drafts", cli("eval", "--make", "q.jsonl", "-i", shelf, "--json").json)
