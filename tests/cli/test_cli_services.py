"""The commands that ask a service, against the sandbox: what they print, what they cost, how they fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from shell import Cli, on_a_terminal

from ragkit.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("ragkit_sandbox_env")
QUESTION = "В какой срок арендодатель возвращает залог?"


@pytest.fixture
def indexed(cli: Cli, docs: Path, ragkit_sandbox_env: dict[str, str]) -> Path:
    """The three documents, embedded by the sandbox's GigaChat."""
    assert ragkit_sandbox_env
    assert cli("index", docs).code == 3
    return docs


@pytest.mark.usefixtures("indexed")
def test_index_and_ask_use_the_model(cli: Cli, sandbox: Sandbox) -> None:
    """With a key in the environment, vectors come from /embeddings and the answer from /chat/completions."""
    assert "Embeddings" in cli("status").out
    run = cli("ask", QUESTION)
    assert (run.code, "десяти рабочих дней" in run.out) == (0, True)
    assert "[1] contracts/lease.md" in run.out
    assert re.search(r"GigaChat-2:\S+: [\d\s]+tokens \(\d+ embedded", run.err)
    assert sandbox.stats.routes["POST /chat/completions"] == 1


@pytest.mark.usefixtures("indexed")
def test_the_answer_appears_while_it_is_written(ragkit_sandbox_env: dict[str, str]) -> None:
    """On a terminal the text comes in pieces, once, and its sources after it."""
    shown = on_a_terminal("ask", QUESTION, **ragkit_sandbox_env).decode()
    assert shown.count("десяти рабочих дней") == 1
    assert shown.index("десяти рабочих дней") < shown.index("[1] ")


@pytest.mark.usefixtures("indexed")
def test_an_agent_shows_its_searches(ragkit_sandbox_env: dict[str, str], cli: Cli) -> None:
    """`--agentic` answers from its own searches, and says on a terminal what it looks for."""
    run = cli("ask", "--agentic", QUESTION, "--json")
    assert run.json["mode"] == "agentic"
    assert "десяти рабочих дней" in str(run.json["text"])
    assert "ищу: " in on_a_terminal("ask", "--agentic", QUESTION, **ragkit_sandbox_env).decode()


def test_a_file_can_be_asked_about_without_an_index(cli: Cli, docs: Path, sandbox: Sandbox) -> None:
    """It is uploaded, read by the model and deleted; --keep leaves it, and the next question uses it again."""
    file = docs / "note.txt"
    file.write_text("Ключ от подвала лежит у консьержки.", "utf-8")
    assert "консьержки" in cli("ask", "--file", file, "Где ключ от подвала?").out
    assert cli("files", "list").out == ""
    cli("ask", "--file", file, "--keep", "Где ключ от подвала?")
    assert "note.txt" in cli("files", "list").out
    assert "not uploaded again" in cli("ask", "--file", file, "Где ключ?").err
    assert sandbox.stats.routes["POST /files"] == 2


def test_a_file_that_does_not_say_is_refused(cli: Cli, docs: Path) -> None:
    """The same state as of an index, whether the file was attached or searched."""
    for route in ("attachment", "retrieval"):
        found = cli("ask", "--file", docs / "windows.txt", "--route", route, "Qwxzj vkpfd?", "--json", "--exit-code")
        assert (found.code, found.json["status"], found.json["refusal"]) == (4, "refused", "not_in_sources")
        assert found.json["hits"]


def test_a_short_file_is_attached_and_a_long_one_searched(cli: Cli, docs: Path, sandbox: Sandbox) -> None:
    """Which way it was and why is said on stderr; both print the same object. `--route` and its setting choose."""
    run = cli("ask", "--file", docs / "windows.txt", "Где ключ от подвала?")
    assert "windows.txt has about" in run.err
    assert "the model reads all of it" in run.err
    long = docs / "long.txt"
    lines = [f"Полка {n}: здесь лежат старые газеты, журналы и письма." for n in range(1_200)]
    long.write_text("\n".join([*lines, "Арендодатель возвращает залог в течение десяти рабочих дней."]), "utf-8")
    found = cli("ask", "--file", long, QUESTION, "--json")
    assert found.err == ""
    assert found.json["mode"] == "generative"
    assert "десяти рабочих дней" in str(found.json["text"])
    [first, *_] = found.json["notes"]  # type: ignore[misc]  # JSON
    assert "more than the 20\u202f000 that are read whole" in first
    assert sandbox.stats.routes["POST /files"] == 1  # the short one
    assert "as was asked" in cli("ask", "--file", long, "--route", "attachment", QUESTION).err
    assert sandbox.stats.routes["POST /files"] == 2
    Path("ragkit.toml").write_text('route = "retrieval"', "utf-8")
    searched = cli("ask", "--file", docs / "windows.txt", "Где ключ от подвала?", "--json").json
    assert searched["mode"] == "generative"
    assert set(searched) == set(found.json)
    assert cli("ask", "--file", docs / "windows.txt", "--keep", "Где ключ?").code == 2


@pytest.mark.usefixtures("indexed")
def test_a_small_index_is_read_as_a_whole_where_asked(cli: Cli, sandbox: Sandbox) -> None:
    """The way and its reason are on stderr, or in `notes`; the object has the same fields, the citation its line."""
    usual = cli("ask", QUESTION, "--json")
    assert (usual.json["mode"], usual.json["notes"]) == ("generative", [])
    embedded = sandbox.stats.routes["POST /embeddings"]
    run = cli("ask", "--route", "auto", QUESTION)
    assert (run.code, "десяти рабочих дней" in run.out) == (0, True)
    assert "[1] contracts/lease.md  line 9" in run.out
    reason = re.search(r"^the text of 3 documents has about \d+ tokens: the model reads all of it.*", run.err)
    assert reason
    assert "; letter.doc could not be read: " in reason[0]
    whole = cli("ask", "--route", "auto", QUESTION, "--json").json
    assert (whole["mode"], set(whole)) == ("attached", set(usual.json))
    assert whole["notes"][0] == reason[0]  # type: ignore[index]  # JSON
    assert sandbox.stats.routes["POST /embeddings"] == embedded
    one = cli("ask", "--route", "attachment", "-w", "source=kettle.md", "How long is the warranty?", "--explain")
    assert "the model reads all of kettle.md, as was asked" in one.err
    assert "Made from 1 document, read" in one.out
    assert one.out.rstrip().endswith("kettle.md")
    parts = cli("ask", "--route", "retrieval", QUESTION)
    assert "passages are searched for, as was asked" in parts.err


@pytest.mark.usefixtures("indexed")
def test_a_large_index_is_searched_or_refused(cli: Cli, docs: Path) -> None:
    """`--route auto` says why; `--route attachment` fails with both numbers, and says what helps."""
    (docs / "long.txt").write_text("Полка, где лежат старые газеты. " * 5_000, "utf-8")
    cli("index", docs)
    run = cli("ask", "--route", "auto", QUESTION)
    assert "десяти рабочих дней" in run.out
    assert re.search(
        r"the question about \d+\u202f\d+ tokens, too many for the 32\u202f768 of the model: passages are searched",
        run.err,
    )
    all_of_it = cli("ask", "--route", "attachment", QUESTION)
    assert (all_of_it.code, all_of_it.out) == (2, "")
    assert re.search(r"question about \d+\u202f\d+ tokens, too many for the 32\u202f768 of the model", all_of_it.err)
    assert "context_tokens" in all_of_it.err


@pytest.mark.usefixtures("indexed")
def test_a_question_that_leaves_no_room_for_a_passage_is_not_paid_for(cli: Cli, sandbox: Sandbox) -> None:
    """To embed it would cost as much as the documents, and no prompt would hold it."""
    embedded = sandbox.stats.routes["POST /embeddings"]
    run = cli("ask", "слово " * 40_000)
    assert (run.code, run.out) == (6, "")
    assert "no passage fits" in run.err
    assert "context_tokens" in run.err
    assert sandbox.stats.routes["POST /embeddings"] == embedded


@pytest.mark.usefixtures("indexed")
def test_a_setting_chooses_the_route_of_the_index_too(cli: Cli) -> None:
    """Also of a conversation; a model that searches by itself is asked for by a flag, and knows no route."""
    Path("ragkit.toml").write_text('route = "auto"', "utf-8")
    assert cli("ask", QUESTION, "--json").json["mode"] == "attached"
    assert cli("ask", "--agentic", QUESTION, "--json").json["mode"] == "agentic"
    for flag in (["--route", "auto"], ["--max-cost", "1"]):
        assert cli("ask", "--agentic", *flag, QUESTION).code == 2


@pytest.mark.usefixtures("indexed")
def test_what_a_question_may_cost(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without prices a limit cannot be held; with them it chooses the way, drops passages, and in the end fails."""
    unpriced = cli("ask", "--max-cost", "1", QUESTION)
    assert (unpriced.code, "no price of a prompt is known" in unpriced.err) == (2, True)
    assert "prompt_price" in unpriced.err
    monkeypatch.setenv("RAGKIT_PROMPT_PRICE", "1000")
    monkeypatch.setenv("RAGKIT_COMPLETION_PRICE", "1000")
    assert cli("ask", "--route", "auto", "--max-cost", "5", QUESTION, "--json").json["mode"] == "attached"
    parts = cli("ask", "--route", "auto", "--max-cost", "1.2", QUESTION)
    assert re.search(r"would cost 1\.\d+, and 1\.2 is the limit: passages are searched for", parts.err)
    assert "was left out: there was no room for it" in parts.err
    over = cli("ask", "--max-cost", "0.6", QUESTION, "--json")
    assert (over.code, over.out) == (6, "")
    assert json.loads(over.err)["error"]["code"] == "budget"


@pytest.mark.usefixtures("indexed")
def test_a_service_that_refuses_a_topic_is_told(cli: Cli, sandbox: Sandbox) -> None:
    """A refusal is no failure: its reason and the nearest passages, and 4 only with --exit-code."""
    sandbox.inject("blacklist")
    run = cli("ask", QUESTION)
    assert run.code == 0
    assert "the service refuses this topic (finish_reason blacklist)" in run.err
    assert re.search(r"^The nearest passages:\n  #\d+  contracts/lease.md  line \d+  › ", run.err, re.MULTILINE)
    sandbox.inject("blacklist")
    found = cli("ask", QUESTION, "--json", "--exit-code")
    assert (found.code, found.json["status"], found.json["refusal"]) == (4, "refused", "filtered")
    assert found.json["hits"]


def test_a_file_is_asked_about_without_any_key(cli: Cli, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own sentences answer; no index is made where one stands, and the temporary one is gone."""
    monkeypatch.setenv("RAGKIT_PROVIDER", "offline")
    temporary = docs.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    run = cli("ask", "--file", docs / "contracts" / "lease.md", QUESTION)
    assert run.code == 0
    assert "десяти рабочих дней" in run.out
    assert "lease.md" in run.out
    assert "passages are searched for" in run.err
    assert cli("ask", "--file", docs / "kettle.md", "--exit-code", "Кто такой Ньютон?").code == 4
    assert cli("ask", "--file", docs / "letter.doc", "Что здесь?").code != 0
    assert not list(temporary.iterdir())
    assert not Path(".ragkit").exists()
    assert cli("ask", "--keep", "Что здесь?").code == 2


def test_files_are_managed_from_the_shell(cli: Cli, docs: Path, tmp_path: Path) -> None:
    """upload, show, get, delete."""
    run = cli("files", "upload", docs / "windows.txt")
    id = run.out.split()[0]
    assert "windows.txt" in cli("files", "show", id).out
    assert cli("files", "get", id, "-o", tmp_path / "copy.txt").code == 0
    assert (tmp_path / "copy.txt").read_bytes() == (docs / "windows.txt").read_bytes()
    assert cli("files", "delete", id).out.strip() == id
    gone = cli("files", "show", id)
    assert (gone.code, "404" in gone.err) == (6, True)


def test_a_picture_is_saved(cli: Cli, tmp_path: Path) -> None:
    """`image` draws with text2image and saves the JPEG; several get numbers."""
    run = cli("image", "розовый кот", "-o", "cat.jpg")
    assert (run.code, run.out.startswith("cat.jpg")) == (0, True)
    assert (tmp_path / "cat.jpg").read_bytes().startswith(b"\xff\xd8")
    cli("image", "розовый кот", "-n", "2", "-o", "cats.jpg")
    assert {path.name for path in tmp_path.glob("cats-*.jpg")} == {"cats-1.jpg", "cats-2.jpg"}
    assert cli("image", "кот", "-o", "nowhere/cat.jpg").code == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
def test_a_picture_that_does_not_fit_leaves_what_was_there(cli: Cli, tmp_path: Path) -> None:
    """The error names the file, and nothing lies beside it; a picture that fits takes its place, a link stays one."""
    (tmp_path / "old.jpg").write_bytes(b"old")
    (tmp_path / "link.jpg").symlink_to("old.jpg")
    command = ["image", "кот", "-o", "link.jpg"]
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    limited = f"{limit}; from ragkit_cli.main import main; sys.exit(main(sys.argv[1:]))"
    run = subprocess.run(
        [sys.executable, "-c", limited, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert "link.jpg: File too large" in run.stderr
    assert (tmp_path / "old.jpg").read_bytes() == b"old"
    assert {path.name for path in tmp_path.glob("*.*")} >= {"old.jpg", "link.jpg"}
    assert not list(tmp_path.glob(".ragkit-*"))
    assert cli(*command).code == 0
    assert (tmp_path / "old.jpg").read_bytes().startswith(b"\xff\xd8")
    assert (tmp_path / "link.jpg").is_symlink()


def test_a_picture_that_is_not_made_leaves_the_files_that_were_there(
    cli: Cli, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty ones too, as a device is; those that were made for it go."""
    monkeypatch.setenv("OPENAI_API_KEY", sandbox.api_key)
    monkeypatch.setenv("OPENAI_BASE_URL", sandbox.openai_url)
    monkeypatch.setenv("RAGKIT_IMAGE_PROVIDER", "openai")
    (tmp_path / "cat-1.jpg").touch()
    assert cli("image", "forbidden", "-n", "2", "-o", "cat.jpg").code == 6
    assert [path.name for path in tmp_path.glob("*.jpg")] == ["cat-1.jpg"]


def test_pictures_of_another_service(cli: Cli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images API of an OpenAI-compatible provider, while answers stay GigaChat's."""
    monkeypatch.setenv("OPENAI_API_KEY", sandbox.api_key)
    monkeypatch.setenv("OPENAI_BASE_URL", sandbox.openai_url)
    monkeypatch.setenv("RAGKIT_IMAGE_PROVIDER", "openai")
    run = cli("image", "a lighthouse", "--size", "1792x1024", "--quality", "hd", "-o", "l.png")
    assert (run.code, "image/png" in run.out) == (0, True)
    assert cli("image", "a lighthouse", "--size", "1x1", "-o", "l.png").code == 2
    refused = cli("image", "forbidden", "-o", "l.png", "--json")
    assert (refused.code, "content_rejected" in refused.err) == (6, True)


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_counted(cli: Cli, docs: Path) -> None:
    """`tokens` ends with 3 as `index` does, and with 1 where nothing could be read; the cure knows no index."""
    torn = docs / "torn.pdf"
    torn.write_bytes(b"no PDF")
    run = cli("tokens", torn, docs / "kettle.md")
    assert run.code == 3
    assert "kettle.md" in run.out
    assert f"Error: {torn}: it is damaged, or no PDF at all\n  Hint: open it in its program, save it anew\n" in run.err
    counted = cli("tokens", torn, docs / "kettle.md", "--json")
    assert counted.code == 3
    assert [each["file"] for each in counted.json["files"]] == [str(docs / "kettle.md")]  # type: ignore[attr-defined]
    assert json.loads(counted.err)["error"]["code"] == "unreadable"
    for alone in (["tokens", torn], ["ask", "--file", torn, "--route", "retrieval", "Что там?"]):
        run = cli(*alone)
        assert (run.code, run.out) == (1, "")
        assert f"Error: {torn}: it is damaged, or no PDF at all\n  Hint: open it" in run.err


def test_tokens_are_counted_or_said_to_be_estimates(cli: Cli, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GigaChat counts; without a service the numbers carry ≈."""
    counted = cli("tokens", docs / "kettle.md", docs / "windows.txt")
    assert "≈" not in counted.out
    assert "tokens in all" in counted.err
    monkeypatch.setenv("RAGKIT_PROVIDER", "offline")
    assert cli("tokens", docs / "kettle.md").out.startswith("≈")


def test_a_dry_run_says_what_the_bill_will_be(cli: Cli, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens, and money where a price is set; nothing is embedded, and the bill is the same."""
    monkeypatch.setenv("RAGKIT_EMBED_PRICE", "14")
    monkeypatch.setenv("RAGKIT_CURRENCY", "RUB")
    planned = cli("index", docs, "--dry-run", "--json").json["folders"][0]["usage"]  # type: ignore[index]  # JSON
    assert "RUB" in cli("index", docs, "--dry-run").out
    assert not Path(".ragkit").exists()
    billed = cli("index", docs, "--json").json["folders"][0]["usage"]  # type: ignore[index]  # JSON
    assert billed == planned
    assert billed["cost"] == pytest.approx(billed["embedding_tokens"] * 14 / 1_000_000)


def test_a_limit_stops_and_the_next_run_goes_on(cli: Cli, docs: Path, sandbox: Sandbox) -> None:
    """Exit code 6, what was paid for is kept, and nothing is paid for twice."""
    for n in range(40):
        (docs / f"{n}.txt").write_text(f"Записка номер {n}: ключ лежит на полке {n}.", "utf-8")
    whole = cli("index", docs, "--dry-run", "--json").json["folders"][0]["usage"]["total_tokens"]  # type: ignore[index]
    stopped = cli("index", docs, "--max-tokens", whole // 2)
    assert (stopped.code, "embedded and kept" in stopped.err) == (6, True)
    assert 0 < sandbox.stats.tokens["embedding"] <= whole // 2
    paid = sandbox.stats.tokens["embedding"]
    rest = cli("index", docs, "--dry-run", "--json").json["folders"][0]["usage"]["total_tokens"]  # type: ignore[index]
    assert cli("index", docs).code == 3
    assert sandbox.stats.tokens["embedding"] == paid + rest
    assert paid + rest - whole < 40  # each run knows the model by the vector of one short text
    assert cli("index", docs, "--max-cost", "1").code == 2  # no price is set


def test_what_is_done_is_told_when_a_later_folder_fails(
    cli: Cli, docs: Path, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report of the first folder is printed, and what the failed run was billed, in which currency."""
    other = tmp_path / "other"
    other.mkdir()
    for n in range(80):
        (other / f"{n}.txt").write_text(f"Записка номер {n}: ключ лежит на полке {n}.", "utf-8")
    first = cli("index", docs, "--dry-run", "--json").json["folders"][0]["usage"]["total_tokens"]  # type: ignore[index]
    run = cli("index", docs, other, "--max-tokens", first + 500)
    assert run.code == 6
    assert "Indexed docs" in run.out
    assert "Billed until then: " in run.err
    monkeypatch.setenv("RAGKIT_EMBED_PRICE", "1000")
    monkeypatch.setenv("RAGKIT_CURRENCY", "RUB")
    assert re.search(r"Billed until then: .*\d RUB$", cli("index", other, "--max-tokens", 500).err, re.MULTILINE)
    stopped = json.loads(cli("index", other, "--max-tokens", 500, "--json").err)["error"]
    assert stopped["usage"]["embedding_tokens"] > 0
    assert stopped["usage"]["cost"] > 0
    whole = cli("index", other, "--json")
    assert sandbox.stats.tokens["embedding"] > whole.json["folders"][0]["usage"]["total_tokens"]  # type: ignore[index]


@pytest.mark.usefixtures("indexed")
def test_another_model_is_refused_and_the_index_can_be_moved(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both names and the command are told; after it, searches use the new model."""
    monkeypatch.setenv("RAGKIT_EMBED_MODEL", "EmbeddingsGigaR")
    refused = cli("search", "залог")
    assert refused.code == 5
    assert "Embeddings" in refused.err
    assert "EmbeddingsGigaR" in refused.err
    assert "ragkit index --reembed" in refused.err
    assert "use it with RAGKIT_EMBED_MODEL=Embeddings, or search by words with --mode lexical" in refused.err
    assert "Would move .ragkit to the embedding model EmbeddingsGigaR: " in cli("index", "--reembed", "--dry-run").out
    assert "Moved .ragkit to the embedding model EmbeddingsGigaR: " in cli("index", "--reembed").out
    assert cli("index", "--reembed", "--json").json["folders"][0]["model"] == "EmbeddingsGigaR"  # type: ignore[index]
    assert "EmbeddingsGigaR" in cli("status").out
    shown = cli("status").out.replace("\u202f", " ")
    status = cli("status", "--json").json
    chunks = status["chunks"]
    assert (status["vectors"], status["other_vectors"]) == (2 * chunks, chunks)  # type: ignore[operator]
    assert f"{chunks} of 2 560 dimensions, kept for reuse included; {chunks} of another model" in shown
    assert cli("search", "залог").code == 0


@pytest.mark.usefixtures("ragkit_sandbox_env")
def test_an_offline_index_is_used_as_its_hint_says_until_it_is_moved(
    cli: Cli, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that was set meanwhile makes another embedder; what searches with the old one is named, and does."""
    monkeypatch.setenv("RAGKIT_EMBED_PROVIDER", "offline")
    cli("index", docs)
    monkeypatch.delenv("RAGKIT_EMBED_PROVIDER")
    for command in (["search", "залог"], ["ask", QUESTION], ["index", docs]):
        refused = cli(*command)
        assert refused.code == 5
        assert "use it with RAGKIT_EMBED_PROVIDER=offline" in refused.err
        assert "--mode lexical" in refused.err
        assert "ragkit index --reembed" in refused.err
    assert cli("search", "залог", "--mode", "lexical").code == 0
    monkeypatch.setenv("RAGKIT_EMBED_PROVIDER", "offline")
    assert "lease.md" in cli("search", "залог").out
    assert "десяти рабочих дней" in cli("ask", QUESTION).out
    assert cli("index", docs).code == 3


@pytest.mark.usefixtures("indexed")
def test_a_service_that_is_down_does_not_end_all_searching(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the search that needs no service, and it finds what it can."""
    monkeypatch.setenv("GIGACHAT_AUTH_URL", "http://127.0.0.1:9/oauth")
    monkeypatch.setenv("GIGACHAT_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("RAGKIT_RETRIES", "0")
    down = cli("search", "залог")
    assert down.code == 6
    assert "; --mode lexical searches without it" in down.err
    assert "lease.md" in cli("search", "залог", "--mode", "lexical").out


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("402", "payment_required", "EMBED_PROVIDER"),
        ("422", "invalid_request", ""),
        ("404", "not_found", "ragkit models"),
    ],
)
def test_a_failing_service_ends_with_6_and_the_cure(
    cli: Cli, docs: Path, sandbox: Sandbox, fault: str, code: str, said: str
) -> None:
    """Every kind of refusal has its code and its hint, and the request id of the service."""
    sandbox.inject(fault, times=None, path="/embeddings")
    run = cli("index", docs, "--json")
    assert run.code == 6
    assert code in run.err
    assert said in run.err
    assert sandbox.credentials not in run.err


def test_without_a_service_the_cure_is_said(cli: Cli, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that need one say how to set one; an unknown name lists the known."""
    monkeypatch.setenv("RAGKIT_PROVIDER", "offline")
    photo = docs / "photo.png"
    photo.write_bytes(b"\x89PNG")
    for arguments in (
        ["models"],
        ["files", "list"],
        ["image", "кот", "-o", "x.jpg"],
        ["ask", "--file", photo, "что?"],
        ["ask", "--file", docs / "kettle.md", "--route", "attachment", "что?"],
        ["ask", "--file", docs / "kettle.md", "--keep", "что?"],
    ):
        run = cli(*arguments)
        assert run.code == 2
        assert "GIGACHAT_CREDENTIALS" in run.err
    monkeypatch.setenv("RAGKIT_PROVIDER", "gigachad")
    run = cli("models")
    assert (run.code, "gigachat" in run.err) == (2, True)
