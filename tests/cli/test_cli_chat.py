"""`ragkit chat`: what is typed or piped in, what is answered, kept, uploaded and left behind."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from shell import Cli, Run, process
from toys import Says

import ragkit
from ragkit.dialogue import Dialogue
from ragkit.sandbox import Sandbox
from ragkit_cli.chat import Chat

FIRST = "В какой срок арендодатель возвращает залог?"
SECOND = "А на сколько месяцев договор заключён?"


class Piped:
    """Pipes lines into the command, in this process."""

    def __init__(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cli = cli
        self.monkeypatch = monkeypatch

    def __call__(self, *lines: object, options: tuple[object, ...] = ()) -> Run:
        stdin = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
        self.monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stdin, "utf-8"))
        return self.cli("chat", *options)


@pytest.fixture
def chat(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Piped:
    return Piped(cli, monkeypatch)


@pytest.fixture
def indexed(cli: Cli, docs: Path, monkeypatch: pytest.MonkeyPatch, ragkit_sandbox_env: dict[str, str]) -> Path:
    """The documents, embedded offline; the sandbox's GigaChat answers."""
    assert ragkit_sandbox_env
    monkeypatch.setenv("RAGKIT_EMBED_PROVIDER", "offline")
    assert cli("index", docs).code == 3
    return docs


def test_each_line_of_a_pipe_is_a_question(chat: Piped, shelf: Path) -> None:
    """Offline: answers with their places on stdout, no prompt; that there is no model is said once."""
    run = chat(FIRST, "", "How long is the warranty of the kettle?", options=("-i", shelf))
    assert run.code == 0
    assert run.out.index("десяти рабочих дней") < run.out.index("[1] contracts/lease.md")
    assert run.out.index("[1] contracts/lease.md") < run.out.index("twenty-four months")
    assert ">" not in run.out
    assert run.err.count("No chat model is configured") == 1
    assert chat(FIRST, options=("-i", shelf, "-q")).err == ""


@pytest.mark.usefixtures("indexed")
def test_a_conversation_with_a_model(chat: Piped, sandbox: Sandbox) -> None:
    """One session for all answers, and the second is cheaper for it; a sum at the end."""
    run = chat(FIRST, SECOND)
    assert (run.code, "десяти рабочих дней" in run.out, "одиннадцать месяцев" in run.out) == (0, True, True)
    assert "of the prompt cached" in run.err
    assert "All in all: " in run.err
    chats = [each for each in sandbox.stats.requests if each.path.endswith("/chat/completions")]
    answers = [each for each in chats if "data-" in json.dumps(each.body)]
    assert len({each.headers["x-session-id"] for each in answers}) == 1
    assert [message["role"] for message in answers[1].body["messages"]] == ["system", "user", "assistant", "user"]
    assert not Path(".ragkit", "chat").exists()


def test_a_file_is_asked_about_and_leaves_nothing_behind(
    chat: Piped, docs: Path, cli: Cli, sandbox: Sandbox, ragkit_sandbox_env: dict[str, str]
) -> None:
    """/file uploads once, /file alone goes back to the index, and at the end the file is gone."""
    assert ragkit_sandbox_env
    note = docs / "note with spaces.txt"
    note.write_text("Ключ от подвала лежит у консьержки.", "utf-8")
    run = chat(f'/file "{note}"', "Где ключ от подвала?", "У кого ключ?", "/sources", "/file", FIRST)
    assert run.out.count("консьержки") >= 2
    assert "note with spaces.txt  line 1" in run.out
    assert (run.code, "no index" in run.err or "ragkit index" in run.err) == (5, True)
    assert sandbox.stats.routes["POST /files"] == 1
    assert cli("files", "list").out == ""
    assert not (Path("state") / "ragkit" / "uploads.json").exists()


@pytest.mark.usefixtures("indexed")
def test_an_error_is_said_and_the_conversation_goes_on(
    chat: Piped, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its hint; the exit code of a pipe is that of the first failure."""
    monkeypatch.setenv("RAGKIT_RETRIES", "0")
    sandbox.inject("402", times=1, path="/chat/completions")
    run = chat(FIRST, FIRST, "/nonsense", "/file nowhere.txt", "/save", "/sources")
    assert run.code == 6
    assert run.out.count("десяти рабочих дней") >= 1
    for said in ("402", "Hint: ", "/nonsense is none of the commands", "nowhere.txt is no file", "/save PATH"):
        assert said in run.err
    assert "Error: line 3: /nonsense is none" in run.err  # of many questions, which


def test_a_file_is_asked_about_without_a_model(chat: Piped, shelf: Path, docs: Path) -> None:
    """From its passages, which is said once; an error at each question would be of no use."""
    run = chat(
        f"/file {docs / 'kettle.md'}", "How long is the warranty of the kettle?", "/sources", options=("-i", shelf)
    )
    assert (run.code, "twenty-four months" in run.out) == (0, True)
    assert "[1] kettle.md" in run.out
    assert "1. kettle.md" in run.out
    assert run.err.count("passages are searched for") == 1


def test_a_conversation_is_saved_and_goes_on(chat: Piped, shelf: Path, tmp_path: Path) -> None:
    """--history keeps each turn and reads them again; /save writes all of them, over no file of somebody else's."""
    kept, saved = tmp_path / "kept.jsonl", tmp_path / "saved.jsonl"
    options = ("-i", shelf, "--history", kept)
    chat(FIRST, options=options)
    run = chat(SECOND, f"/save {saved}", SECOND, f"/save {saved}", options=options)
    assert run.code == 0
    turns = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    assert [turn["question"] for turn in turns] == [FIRST, SECOND, SECOND]
    assert saved.read_bytes() == kept.read_bytes()
    assert set(turns[0]) == {"question", "rewritten", "answer", "citations", "time"}
    assert (turns[0]["citations"][0]["source"], "десяти" in turns[0]["answer"]) == ("contracts/lease.md", True)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (kept, saved)} == {0o600}
    refused = chat(SECOND, f"/save {kept}", options=("-i", shelf))
    assert (refused.code, "exists already" in refused.err) == (2, True)
    assert len(kept.read_bytes().splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a letter\n", "line 1"),
        (b'{"question": "?"}\n', "line 1"),
        (b"\n[]\n", "line 2"),
        (b'{"question": 1, "rewritten": "", "answer": "", "citations": [], "time": ""}', "line 1"),
        (b"\xff\n", "line 1"),
    ],
)
def test_a_file_that_holds_no_conversation_is_left_alone(
    chat: Piped, shelf: Path, tmp_path: Path, content: bytes, said: str
) -> None:
    """It is refused before anything is asked, and not written to."""
    file = tmp_path / "letter.txt"
    file.write_bytes(content)
    run = chat(FIRST, options=("-i", shelf, "--history", file))
    assert (run.code, run.out, file.read_bytes()) == (2, "", content)
    assert said in run.err
    assert chat(FIRST, options=("-i", shelf, "--history", tmp_path / "none" / "x")).code == 2
    assert chat(FIRST, options=("-i", shelf, "--history", tmp_path)).code == 2


def test_a_history_that_cannot_be_written_is_refused_before_the_first_question() -> None:
    """A file of somebody else, or a new one in a folder of somebody else: each answer would be paid for and lost."""
    read = """
import os, sys
from pathlib import Path
from ragkit.errors import ConfigError
from ragkit_cli import transcript
if os.getuid() == 0:  # root may write anything
    os.setuid(65534)
for name in ("old.jsonl", "new.jsonl"):
    try:
        transcript.read(Path(sys.argv[1]) / name)
    except ConfigError as error:
        print(error.message.removeprefix(sys.argv[1] + "/"))
"""
    with tempfile.TemporaryDirectory() as place:  # the test's own folder is closed to other users
        (Path(place) / "old.jsonl").touch(0o444)
        Path(place).chmod(0o555)
        done = subprocess.run([sys.executable, "-c", read, place], capture_output=True, text=True, check=False)
        Path(place).chmod(0o755)
    assert done.stdout.splitlines() == ["old.jsonl cannot be written", "new.jsonl cannot be written"], done.stderr


def test_a_history_without_its_last_newline_is_gone_on_with(chat: Piped, shelf: Path, tmp_path: Path) -> None:
    """The next turn gets a line of its own."""
    file = tmp_path / "kept.jsonl"
    options = ("-i", shelf, "--history", file)
    chat(FIRST, options=options)
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    chat(SECOND, options=options)
    assert [json.loads(line)["question"] for line in file.read_text("utf-8").splitlines()] == [FIRST, SECOND]


def test_nothing_is_written_unless_a_file_is_named(chat: Piped, shelf: Path, tmp_path: Path) -> None:
    """No history of lines, no conversation, no memory of uploads."""
    before = sorted(tmp_path.rglob("*"))
    chat(FIRST, "/sources", "/help", options=("-i", shelf))
    assert sorted(tmp_path.rglob("*")) == before


def test_sources_are_the_passages_of_the_last_answer(chat: Piped, shelf: Path) -> None:
    """As `search` prints them; before any answer that is said."""
    run = chat("/sources", FIRST, "/sources", "/help", "/quit", FIRST, options=("-i", shelf, "-n", "1"))
    assert "nothing was answered yet" in run.err
    assert "/save PATH" in run.err
    assert "\n\n1. contracts/lease.md" in run.out
    assert run.out.count("[1] contracts/lease.md") == 1  # nothing comes after /quit


def test_a_pipe_that_is_not_utf8(shelf: Path) -> None:
    """The line is named; the others are answered."""
    run = process("chat", "-i", shelf, stdin="\ufeffЗалог?\n".encode() + b"\xcf\xf0\n" + FIRST.encode())
    assert run.returncode == 2
    assert "line 2: not UTF-8 (byte 0)" in run.stderr.decode()
    assert "десяти рабочих дней" in run.stdout.decode()


class Terminal:
    """The command at a pseudo-terminal, where a test types after it has read what it waits for."""

    def __init__(self, *options: object, **environment: str) -> None:
        import pty

        self._leader, follower = pty.openpty()
        self.running = subprocess.Popen(
            [sys.executable, "-m", "ragkit_cli", "chat", *map(str, options)],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env={**os.environ, **environment, "TERM": "xterm"},
        )
        os.close(follower)
        self._shown = b""

    def until(self, said: str) -> None:
        """Read on until that is shown; fails where nothing more comes."""
        while said.encode() not in self._shown:
            ready, _, _ = select.select([self._leader], [], [], 30)
            assert ready, self._shown.decode("utf-8", "replace")
            self._shown += os.read(self._leader, 65_536)
        self._shown = self._shown.partition(said.encode())[2]

    def type(self, text: str) -> None:
        os.write(self._leader, text.encode())

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Ctrl-C, again where nothing comes of it: readline does not see one between its prompt and its waiting."""
        for _ in range(30):
            self.running.send_signal(number)
            if select.select([self._leader], [], [], 1)[0]:
                return

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.running.wait(10)
        self.running.kill()
        self.running.wait()
        os.close(self._leader)


@pytest.mark.parametrize("end", ["/quit\n", "\x04"])
def test_at_a_terminal(shelf: Path, end: str) -> None:
    """A prompt, answers, and Ctrl-D or /quit to end with 0."""
    with Terminal("-i", shelf) as terminal:
        terminal.until("3 documents")
        terminal.until("> ")
        terminal.type(f"{FIRST}\n")
        terminal.until("десяти рабочих дней")
        terminal.until("> ")
        terminal.type(end)
    assert terminal.running.returncode == 0


@pytest.mark.usefixtures("indexed")
def test_ctrl_c_ends_an_answer_or_a_line_and_not_the_conversation(
    sandbox: Sandbox, ragkit_sandbox_env: dict[str, str]
) -> None:
    """While an answer comes it stops that answer only; at the prompt what was typed is dropped."""
    sandbox.inject("stall-stream", times=1, path="/chat/completions")
    with Terminal(**ragkit_sandbox_env) as terminal:
        terminal.until("> ")
        terminal.type(f"{FIRST}\n")
        terminal.until("залог?")  # as typed
        terminal.until("рендодатель")  # the answer has begun
        terminal.interrupt()
        terminal.until("Interrupted")
        terminal.until("> ")
        terminal.type(f"{FIRST}\n")
        terminal.until("десяти рабочих дней")
        terminal.until("> ")
        terminal.type("это не вопрос")
        terminal.until("вопрос")
        terminal.interrupt()
        terminal.until("Ctrl-D ends")
        terminal.until("> ")
        terminal.type(f"{FIRST}\n")
        terminal.until("десяти рабочих дней")
        terminal.until("> ")
        terminal.type("\x04")
    assert terminal.running.returncode == 0


def test_a_closed_window_leaves_no_file_behind(
    docs: Path, cli: Cli, sandbox: Sandbox, ragkit_sandbox_env: dict[str, str]
) -> None:
    """SIGTERM and SIGHUP end the conversation in order: what it uploaded is deleted."""
    (docs / "note.txt").write_text("Ключ от подвала лежит у консьержки.", "utf-8")
    for number in (signal.SIGTERM, signal.SIGHUP):
        with Terminal(**ragkit_sandbox_env) as terminal:
            terminal.until("> ")
            terminal.type(f"/file {docs / 'note.txt'}\n")
            terminal.until("note.txt> ")
            terminal.type("Где ключ от подвала?\n")
            terminal.until("консьержки")
            assert "note.txt" in cli("files", "list").out
            terminal.interrupt(number)
        assert terminal.running.returncode == 128 + number
        assert cli("files", "list").out == ""
    assert sandbox.stats.routes["POST /files"] == 2


def test_what_is_searched_for_is_shown_where_asked(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With -v, on stderr; without, nothing is said of it."""
    standing = "На сколько месяцев заключён договор аренды?"
    for verbose in (True, False):
        model = Says("За десять дней [1].", standing, "На одиннадцать месяцев [1].")
        with ragkit.open(shelf, chat=model) as rag, Dialogue(rag) as dialogue:
            chat = Chat(dialogue, None, verbose=verbose, quiet=True)
            assert [chat.take(line) for line in (FIRST, SECOND, "/quit")] == [True, True, False]
        shown = capsys.readouterr()
        assert shown.err == (f"Searching for: {standing}\n" if verbose else "")
        assert "одиннадцать" in shown.out


@pytest.mark.usefixtures("indexed")
def test_what_is_no_rewriting_is_not_searched_for(chat: Piped, sandbox: Sandbox) -> None:
    """The sandbox cannot rewrite: it repeats all it was told, which is no question, and the words as asked are used."""
    run = chat(FIRST, SECOND, options=("-v",))
    assert run.err.count("Searching for") == 1
    assert f"Searching for: {SECOND}\n" in run.err
    assert sandbox.stats.routes["POST /chat/completions"] == 3
    assert "одиннадцать месяцев" in run.out


def test_a_document_cannot_steer_the_terminal(chat: Piped, cli: Cli, tmp_path: Path) -> None:
    """Escape sequences of a document are printed as text, in answers and among sources."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "evil.md").write_text(
        "Залог \x1b]0;owned\x07 возвращается через \x9b31m десять дней.", "utf-8"
    )
    cli("index", tmp_path / "docs")
    run = chat("Через сколько дней возвращается залог?", "/sources", f"/file {tmp_path / 'no'}\x1b[2J")
    assert "десять дней" in run.out
    assert not {"\x1b", "\x9b", "\x07"} & set(run.out + run.err)
