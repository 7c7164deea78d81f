"""Whatever a document, a name, a model or a service says: nothing of it steers the terminal, wherever it is printed."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from shell import Cli, dialogue, on_a_terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such names are possible there")

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eкитанбо\u2066\x08\x85\x7f"  # title, clear, colour, direction, backspace
NAME = f"за{EVIL}лог\u2028\r\x1b[1A"
TEXT = f"# Залог {EVIL}\n\nЗалог {EVIL} возвращается {EVIL} через десять\x0b дней. Оплата {EVIL} вперёд.\n"
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
COLOURS = re.compile(rb"\x1b\[\d*(;\d+)*m")  # ours, on a terminal
QUESTION = "Когда возвращается залог?"


class Hostile(BaseHTTPRequestHandler):
    """An OpenAI-compatible service that puts controls into everything it says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(200, {"data": [{"id": NAME, "object": "model", "owned_by": EVIL}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] == "refuses":
            self._say(400, {"error": {"message": f"no {EVIL} such", "code": EVIL}})
            return
        choice = {"index": 0, "finish_reason": "stop"}
        said = {"role": "assistant", "content": f"Через {EVIL} десять дней [1]. «Цитата {EVIL}» [1]."}
        if not asked.get("stream"):
            self._say(200, {"choices": [choice | {"message": said}], "model": EVIL, "usage": {}})
            return
        events = [{"choices": [choice | {"delta": said, "finish_reason": None}]}, {"choices": [choice | {"delta": {}}]}]
        body = "".join(f"data: {json.dumps(each)}\n\n" for each in events) + "data: [DONE]\n\n"
        self._send(200, "text/event-stream", body.encode())

    def _say(self, status: int, value: object) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, text in (("Content-Type", kind), ("Content-Length", str(len(body))), ("X-Request-Id", "a\x1b[2Jb")):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""


@pytest.fixture
def hostile() -> Iterator[dict[str, str]]:
    """The variables that lead to that service."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "RAGKIT_CHAT_PROVIDER": "vllm",
            "RAGKIT_BASE_URL": f"http://127.0.0.1:{server.server_address[1]}/v1",
            "RAGKIT_EMBED_PROVIDER": "offline",
            "RAGKIT_CHAT_MODEL": "m",
            "RAGKIT_RETRIES": "0",
        }
        server.shutdown()


@pytest.fixture
def evil(cli: Cli, tmp_path: Path) -> Path:
    """An indexed folder of which every name and every text means harm."""
    folder = tmp_path / f"docs{NAME}"
    folder.mkdir()
    (folder / f"{NAME}.md").write_text(TEXT, "utf-8")
    (folder / f"broken{NAME}.pdf").write_bytes(b"%PDF-1.7 \x1b[2J broken")
    (folder / f"{NAME}.html").write_text(
        f"<title>{EVIL}</title><h1>{EVIL}</h1><p>Аванс {EVIL} не возвращается.", "utf-8"
    )
    assert cli("index", folder).code == 3
    return folder


def commands(folder: Path) -> Iterator[list[object]]:
    """Every command that prints, with arguments that mean harm where they are asked for."""
    name = f"{NAME}.md"
    questions = folder.parent / f"q{NAME}.jsonl"
    questions.write_text(json.dumps({"question": f"{QUESTION} {EVIL}", "expected_sources": [name]}) + "\n", "utf-8")
    yield ["index", folder, "--dry-run"]
    yield ["index", folder, "--full"]
    yield ["list"]
    yield ["list", "--failed"]
    yield ["search", f"залог {EVIL}", "--explain"]
    yield ["search", "залог", "-w", f"{EVIL}=1"]
    yield ["search", "залог", "-w", EVIL]
    yield ["ask", QUESTION, "--explain"]
    yield ["ask", QUESTION, "--file", folder / name]
    yield ["ask", EVIL]
    yield ["show", name]
    yield ["show", "1", "--context", "2"]
    yield ["show", f"no-such{EVIL}"]
    yield ["remove", name, "--dry-run"]
    yield ["remove", f"no-such{EVIL}"]
    yield ["status"]
    yield ["doctor"]
    yield ["config"]
    yield ["eval", questions]
    yield ["eval", questions.parent / f"none{EVIL}"]
    yield ["map", "--query", f"залог {EVIL}", "-o", folder.parent / f"map{NAME}.html"]
    yield ["tokens", folder / name]
    yield ["models"]
    yield ["image", EVIL, "-o", folder.parent / f"none{EVIL}" / "cat.jpg"]
    yield ["doctor", "tls"]
    yield [f"no-such-command{EVIL}"]
    yield ["search", f"--no-such-option{EVIL}"]
    yield ["ask", QUESTION, "-m", "refuses"]
    yield ["models", f"too{EVIL}many"]


@pytest.mark.parametrize("machine", [False, True])
def test_no_command_prints_what_steers(
    cli: Cli, evil: Path, hostile: dict[str, str], monkeypatch: pytest.MonkeyPatch, machine: bool
) -> None:
    """Neither on stdout nor on stderr, as text nor as JSON, offline nor with a service that means harm."""
    printed = 0
    for with_service in (False, True):
        for name, value in hostile.items() if with_service else ():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("RAGKIT_DOCUMENT_PREFIX", "")
        for arguments in commands(evil):
            run = cli(*arguments, *(["--json"] if machine else []))
            shown = run.out + run.err
            assert not STEERS.search(shown), (arguments, STEERS.findall(shown)[:3], shown[-300:])
            assert "mistake in ragkit" not in shown, (arguments, shown)
            printed += "u001b" in shown
    assert printed > 20  # the harm was there, and was shown as what it is


@pytest.mark.usefixtures("evil")
def test_a_terminal_is_not_steered_while_it_is_written_to(hostile: dict[str, str]) -> None:
    """The streamed answer, the conversation, colours and highlights: only our own colours reach the terminal."""
    ours = on_a_terminal("search", "залог"), on_a_terminal("ask", QUESTION, **hostile)
    code, chat = dialogue(f"{QUESTION}\n/sources\n/quit\n".encode(), "chat", "-v", **hostile)
    assert code == 0
    for written in (*ours, chat):
        text = COLOURS.sub(b"", written).replace(b"\r\n", b"\n").decode()
        for typed in ("\x1b[?2004h", "\x1b[?2004l", "\r"):  # readline's own, around what is typed
            text = text.replace(typed, "")
        assert "\\u001b" in text
        assert not STEERS.search(text), STEERS.findall(text)[:5]


@pytest.mark.usefixtures("ragkit_sandbox_env")
def test_names_of_files_that_are_written_or_sent(cli: Cli, tmp_path: Path) -> None:
    """A picture's place, an upload's name as the service repeats it."""
    (tmp_path / f"{NAME}.txt").write_text(TEXT, "utf-8")
    for arguments in (
        ["image", "кот", "-o", tmp_path / f"{NAME}.jpg"],
        ["files", "upload", tmp_path / f"{NAME}.txt"],
        ["files", "list"],
    ):
        run = cli(*arguments)
        assert not STEERS.search(run.out + run.err), (arguments, run)
        assert run.code == 0, run


def test_a_page_holds_no_markup_of_a_document(cli: Cli, tmp_path: Path) -> None:
    """The map, its tooltips and its key: names and texts are text, and the page asks nobody for anything."""
    folder = tmp_path / "docs"
    folder.mkdir()
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg onload=alert(1)>&lt;script&gt;"
    (folder / "a<img src=x onerror=alert(1)>&.md").write_text(f"# {attack}\n\nЗалог {attack} {EVIL}\n", "utf-8")
    cli("index", folder)
    assert cli("map", "--query", f"залог {attack}", "-o", tmp_path / "map.html").code == 0
    page = (tmp_path / "map.html").read_text("utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r"<[^>]*\son\w+\s*=", page)
    assert "default-src 'none'" in page
    assert not STEERS.search(page.replace("\n", ""))
