"""Plants secrets wherever a user may put one, lets everything go wrong at DEBUG, and looks for them wherever they
could come out.

    python tests/canaries.py --operations 2000 --seed 1

Not a test in itself: test_canaries.py runs a short form.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import logging
import os
import random
import string
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ragkit.errors import RagkitError
from ragkit.loaders.isolation import ParserPool
from ragkit.sandbox import FAULTS, Sandbox
from ragkit_cli.main import main

QUESTION = "Когда возвращается залог?"
SHORT_FAULTS = {"huge": {"bytes": 2_000_000}, "stall-stream": {"seconds": 0.5}, "slow": {"seconds": 0.4}}


def writings(secret: str) -> set[bytes]:
    """The secret as it is, in base64 at any place, in a URL, and each half of it."""
    half = len(secret) // 2
    found = {secret, quote(secret, safe=""), secret[:half], secret[half:]}
    for shift, skipped in ((0, 0), (1, 2), (2, 3)):
        coded = base64.b64encode(bytes(shift) + secret.encode()).decode().rstrip("=")
        found.add(coded[skipped : -1 if (shift + len(secret)) % 3 else None])
    return {each.encode() for each in found}


class Canaries:
    """Ten secrets, each with its own letters, so that a find tells which one it was."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(f"canaries {seed}")
        letters = string.ascii_letters + string.digits

        def one(name: str) -> str:
            return f"{name}/" + "".join(chance.choices(letters, k=32)) + "+=" + "".join(chance.choices(letters, k=6))

        self.client_secret = one("c0")
        self.credentials = base64.b64encode(f"client:{self.client_secret}".encode()).decode()
        self.all = {
            "credentials": self.client_secret,
            "access token": one("t1"),
            "password": one("w2"),
            "openai key": one("o3"),
            "role key": one("e4"),
            "proxy password": one("p5"),
            "header": one("h6"),
            "password of a key file": one("k7"),
            "ragkit.toml": one("f8"),
            "user in an address": one("u9"),
        }

    def environment(self) -> dict[str, str]:
        """All that belong there, whether the command at hand needs them or not."""
        some = self.all
        return {
            "GIGACHAT_CREDENTIALS": self.credentials,
            "GIGACHAT_ACCESS_TOKEN": some["access token"],
            "GIGACHAT_USER": "somebody",
            "GIGACHAT_PASSWORD": some["password"],
            "GIGACHAT_KEY_FILE_PASSWORD": some["password of a key file"],
            "OPENAI_API_KEY": some["openai key"],
            "RAGKIT_EMBED_API_KEY": some["role key"],
            "RAGKIT_HEADERS": f"X-Api-Key: {some['header']}, X-More: 1",
        }

    def found(self, data: bytes) -> list[str]:
        """Names of those that are there."""
        return [name for name, secret in self.all.items() if any(each in data for each in writings(secret))]


class Careless(BaseHTTPRequestHandler):
    """A service, or a proxy, that repeats in every answer what it was sent, in every way that there is."""

    protocol_version = "HTTP/1.1"
    chance = random.Random(0)

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size).decode("utf-8", "replace") if size else ""
        sent = " ".join(f"{name}: {value}" for name, value in self.headers.items())
        keys = [value.rpartition(" ")[2] for name, value in self.headers.items() if name.lower() in SECRET_HEADERS]
        parts = [text for key in keys for text in self._forms(key)]
        said = f"Incorrect key: {' '.join(parts)} in {sent} {body[:200]}"
        kind = self.chance.randrange(8)
        key = keys[0] if keys else "none"
        if kind == 0:  # no HTTP at all
            self.wfile.write(f"{key} {sent}\r\n\r\n".encode())
            self.close_connection = True
            return
        if kind == 1:  # a header that breaks the rules
            self.wfile.write(f"HTTP/1.1 200 OK\r\nX Bad {key}: {key}\r\n\r\n".encode())
            self.close_connection = True
            return
        status = (200, 400, 401, 403, 404, 429, 500, 302)[kind]
        if kind == 2 and self.path.endswith("completions"):
            data = f"data: {json.dumps({'error': {'message': said, 'code': key}})}\n\n".encode()
            self._send(200, "text/event-stream", data, key)
        elif kind == 3:
            self._send(status, "text/html", f"<title>{said}</title>".encode(), key)
        elif kind == 4:
            self._send(200, "application/json", json.dumps({"unexpected": said, "data": said, "tok": 1}).encode(), key)
        else:
            error = {"error": {"message": said, "type": key, "code": key}, "message": said, "code": key}
            self._send(status, "application/json", json.dumps(error).encode(), key)

    do_GET = do_POST = do_CONNECT = _answer  # noqa: N815 - names of http.server

    def _forms(self, key: str) -> list[str]:
        half = len(key) // 2
        plain = [key]
        with contextlib.suppress(ValueError):
            plain.append(base64.b64decode(key, validate=True).decode("ascii"))
        return [*plain, quote(key, safe=""), base64.b64encode(f"id:{key}".encode()).decode(), key[:half], key[half:]]

    def _send(self, status: int, kind: str, body: bytes, key: str) -> None:
        self.send_response(status, f"Not {key}")
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "X-Echo": key,
            "X-Request-Id": key,
            "Set-Cookie": f"session={key}",
            "Location": f"https://user:{quote(key)}@elsewhere/?key={quote(key)}",
            "Proxy-Authenticate": f"Basic realm={key}",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr: that is looked through."""


class Listening(ThreadingHTTPServer):
    """Says nothing when somebody speaks TLS or SOCKS to it and hangs up."""

    def handle_error(self, request: Any, client_address: Any) -> None: ...


SECRET_HEADERS = {"authorization", "proxy-authorization", "x-api-key"}


@dataclass
class Found:
    """What was done, and where a secret came out: operation -> names."""

    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    bytes_looked_at: Counter[str] = field(default_factory=Counter)
    bugs: list[str] = field(default_factory=list)  # commands that ended with a mistake of ours
    leaks: list[str] = field(default_factory=list)

    def look(self, canaries: Canaries, where: str, data: bytes, told: str) -> None:
        self.bytes_looked_at[where] += len(data)
        for name in canaries.found(data):
            at = min(data.find(each) for each in writings(canaries.all[name]) if each in data)
            shown = data[max(0, at - 120) : at + 20]
            self.leaks.append(f"{name} in {where} of {told}: {shown!r}")


class Hunt:
    """One folder, one sandbox, one careless service, and as many operations as are wanted."""

    def __init__(self, folder: Path, seed: int, sandbox: Sandbox, careless: str) -> None:
        self.canaries = Canaries(seed)
        self.found = Found()
        self._chance = random.Random(f"hunt {seed}")
        self._folder, self._sandbox, self._careless = folder, sandbox, careless
        (folder / "docs").mkdir()
        (folder / "docs" / "lease.md").write_text(f"# Залог\n\n{QUESTION} Через десять дней.\n" * 3, "utf-8")
        (folder / "docs" / "page.html").write_text("<h1>Аванс</h1><p>Аванс возвращается через неделю.", "utf-8")
        (folder / "docs" / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
        (folder / "questions.jsonl").write_text(
            json.dumps({"question": QUESTION, "expected_sources": ["lease.md"]}) + "\n", "utf-8"
        )
        Careless.chance = random.Random(f"careless {seed}")

    def run(self, operations: int) -> None:
        """At DEBUG, with everything that is logged looked at as it would be written."""
        log = io.StringIO()
        handler = logging.StreamHandler(log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        root = logging.getLogger()
        before = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            self._operation(log, ["index", "docs"], self._settings("offline"), "")
            for _ in range(operations - 1):
                self._operation(log, *self._chosen())
        finally:
            root.removeHandler(handler)
            root.setLevel(before)
        self._files()
        self._processes()

    def _chosen(self) -> tuple[list[str], dict[str, str], str]:
        chance = self._chance
        way = chance.choices(WAYS, [6, 6, 4, 4, 3, 3, 2, 1])[0]
        arguments = list(chance.choice(COMMANDS))
        arguments += [each for each in ("--json",) if chance.random() < 0.3 and arguments[0] not in ("chat", "map")]
        fault = ""
        if way in ("gigachat", "openai") and chance.random() < 0.8:
            fault = chance.choice(sorted(FAULTS))
            self._sandbox.inject(fault, times=1, **SHORT_FAULTS.get(fault, {}))
        return arguments, self._settings(way), f"{way} {fault}".strip()

    def _settings(self, way: str) -> dict[str, str]:
        """The environment of one operation, and ragkit.toml beside it."""
        some, chance = self.canaries.all, self._chance
        environ = self.canaries.environment() | {"RAGKIT_TIMEOUT": "0.3", "RAGKIT_RETRIES": "0"}
        environ |= {"GIGACHAT_BASE_URL": self._sandbox.gigachat_url, "GIGACHAT_AUTH_URL": self._sandbox.auth_url}
        environ["OPENAI_BASE_URL"] = self._sandbox.openai_url  # nothing leaves this machine
        if chance.random() < 0.7:  # else the index, which was made without a service, refuses every search
            environ["RAGKIT_EMBED_PROVIDER"] = "offline"
        toml = f'image_api_key = "{some["ragkit.toml"]}"\nimage_base_url = "{self._careless}/v1"\n'
        if way.endswith("gigachat"):
            environ |= {"RAGKIT_PROVIDER": "gigachat", "RAGKIT_CHAT_MODEL": "GigaChat-2"}
            if way == "careless-gigachat":
                environ |= {"GIGACHAT_BASE_URL": self._careless, "GIGACHAT_AUTH_URL": self._careless}
            for name in chance.choice(
                [(), ("GIGACHAT_ACCESS_TOKEN",), ("GIGACHAT_ACCESS_TOKEN", "GIGACHAT_CREDENTIALS")]
            ):
                del environ[name]
        elif way.endswith("openai") or way == "proxy":
            environ |= {"RAGKIT_PROVIDER": "openai", "RAGKIT_CHAT_MODEL": "gpt-4o-mini", "RAGKIT_EMBED_MODEL": "m"}
            if way == "careless-openai":
                environ["OPENAI_BASE_URL"] = self._careless
            environ["RAGKIT_EMBED_BASE_URL"] = environ["OPENAI_BASE_URL"]
            if chance.random() < 0.5:
                environ["RAGKIT_BASE_URL"], environ["RAGKIT_API_KEY"] = environ["OPENAI_BASE_URL"], some["openai key"]
        if way == "proxy":
            proxy = f"://somebody:{quote(some['proxy password'], safe='')}@{self._careless.removeprefix('http://')}"
            environ["RAGKIT_PROXY"] = chance.choice(["http", "http", "socks5", "https", "ftp", "http:/"]) + proxy
            environ["OPENAI_BASE_URL"] = chance.choice(["https://api.invalid/v1", "http://127.0.0.1:9/v1"])
        if way == "offline":
            environ["RAGKIT_PROVIDER"] = "offline"
        if way == "wrong":
            name, value = chance.choice(self._mistakes())
            if name == "ragkit.toml":
                toml = value
            else:
                environ[name] = value
        (self._folder / "ragkit.toml").write_text(toml, "utf-8")
        (self._folder / "ragkit.toml").chmod(0o600)
        return environ

    def _mistakes(self) -> list[tuple[str, str]]:
        """What people do: a key in another setting, in an address, misspelt, cut in two lines, without quotes."""
        some = self.canaries.all
        user = some["user in an address"]
        return [
            ("RAGKIT_BASE_URL", f"https://somebody:{quote(user, safe='')}@host/v1"),
            ("RAGKIT_BASE_URL", f"somebody:{user}@host/v1"),
            ("OPENAI_BASE_URL", f"http://somebody:{quote(user, safe='')}@127.0.0.1:1/v1"),
            ("GIGACHAT_BASE_URL", f"https://{quote(user, safe='')}@host/v1"),
            ("GIGACHAT_AUTH_URL", f"https://host/oauth?key={quote(user, safe='')}"),
            ("HTTPS_PROXY", f"http://somebody:{quote(some['proxy password'], safe='')}@127.0.0.1:9"),
            ("RAGKIT_PROXY", f"somebody:{some['proxy password']}@127.0.0.1:9"),
            ("RAGKIT_GIGACHAT_CREDENTIAL", self.canaries.credentials),
            ("RAGKIT_HEADERS", some["header"]),
            ("RAGKIT_HEADERS", f"X-Api-Key: {some['header']}\u00a0, X: 1"),
            ("RAGKIT_HEADERS", f"Ключ: {some['header']}"),
            ("OPENAI_API_KEY", f"{some['openai key'][:20]}\n{some['openai key'][20:]}"),
            ("OPENAI_API_KEY", f"Bearer {some['openai key']} и ещё"),
            ("GIGACHAT_KEY_FILE", str(self._folder / "no.key")),
            ("GIGACHAT_CERT_FILE", str(self._folder / "ragkit.toml")),
            ("GIGACHAT_CA_BUNDLE_FILE", str(self._folder / "ragkit.toml")),
            ("RAGKIT_PROMPT_TEMPLATE", str(self._folder / "ragkit.toml")),
            ("RAGKIT_INSECURE_TLS_HOST", f"https://u:{user}@host"),
            ("ragkit.toml", f'image_api_key = "{some["ragkit.toml"]}\n'),
            ("ragkit.toml", f"image_api_key = {some['ragkit.toml']}\n"),
            ("ragkit.toml", f'image_api_key = ["{some["ragkit.toml"]}"]\n'),
            ("ragkit.toml", f'image_api_key = {{key = "{some["ragkit.toml"]}"}}\n'),
            ("ragkit.toml", f'headers = "{some["ragkit.toml"]}"\n'),
            ("ragkit.toml", f'image_base_url = "https://u:{quote(some["ragkit.toml"], safe="")}@host/v1"\n'),
        ]

    def _operation(self, log: io.StringIO, arguments: list[str], environ: dict[str, str], about: str) -> None:
        told = f"ragkit {' '.join(arguments)} ({about})"
        kept = {
            name: os.environ.pop(name) for name in list(os.environ) if name.startswith(("RAGKIT", "GIGA", "OPENAI"))
        }
        out, err = _stream(), _stream()
        here, standing = os.getcwd(), (sys.stdin, sys.stdout, sys.stderr)  # noqa: PTH109 - to go back to
        os.environ |= environ
        try:
            os.chdir(self._folder)
            sys.stdin, sys.stdout, sys.stderr = _stream(f"{QUESTION}\n/sources\n".encode()), out, err
            code = main(arguments)
        finally:
            sys.stdin, sys.stdout, sys.stderr = standing
            os.chdir(here)
            for name in environ:
                os.environ.pop(name, None)
            os.environ |= kept
        self.found.operations[arguments[0]] += 1
        self.found.codes[code] += 1
        self.found.faults[about] += 1
        if b"a mistake in ragkit itself" in err.buffer.getvalue():
            self.found.bugs.append(f"{told}: {err.buffer.getvalue().decode()[-1500:]}")
        for where, stream in (("stdout", out), ("stderr", err)):
            self.found.look(self.canaries, where, stream.buffer.getvalue(), told)
        self.found.look(self.canaries, "logs", log.getvalue().encode(), told)
        log.seek(0)
        log.truncate()

    def _files(self) -> None:
        """All that was written, but for the one file that secrets were put into."""
        for path in self._folder.rglob("*"):
            if path.is_file() and path.name != "ragkit.toml":
                self.found.look(self.canaries, "files", path.read_bytes(), str(path.relative_to(self._folder)))

    def _processes(self) -> None:
        """What a parser process is given: its environment and its arguments, on Linux."""
        environ = self.canaries.environment()
        os.environ |= environ
        try:
            with ParserPool(1) as pool, (self._folder / "docs" / "page.html").open("rb") as file:
                pool.load(file, "page.html")
                children = _children(os.getpid())
                for child in children:
                    for name in ("environ", "cmdline"):
                        with contextlib.suppress(OSError):
                            data = Path(f"/proc/{child}/{name}").read_bytes()
                            self.found.look(self.canaries, f"{name} of parsers", data, f"process {child}")
        finally:
            for name in environ:
                os.environ.pop(name, None)


WAYS = ("gigachat", "openai", "careless-gigachat", "careless-openai", "proxy", "wrong", "image", "offline")
COMMANDS = (
    ["search", "залог"],
    ["ask", QUESTION],
    ["ask", QUESTION, "--explain"],
    ["ask", QUESTION, "--agentic"],
    ["ask", QUESTION, "--file", "docs/lease.md", "--route", "attachment"],
    ["chat", "-v"],
    ["chat", "--history", "talk.jsonl"],
    ["models"],
    ["models", "--balance"],
    ["tokens", "questions.jsonl"],
    ["files", "list"],
    ["files", "upload", "docs/lease.md"],
    ["files", "get", "an-id", "-o", "got.bin"],
    ["image", "кот", "-o", "cat.jpg"],
    ["status"],
    ["list"],
    ["config"],
    ["doctor", "tls"],
    ["index", "docs", "--dry-run"],
    ["eval", "questions.jsonl"],
    ["index", "docs", "-i", "another", "-q"],
)


def _stream(data: bytes = b"") -> io.TextIOWrapper[io.BytesIO]:
    return io.TextIOWrapper(io.BytesIO(data), "utf-8", write_through=True)


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found += [int(stat.parent.name), *_children(int(stat.parent.name))]
    return found


@contextlib.contextmanager
def hunt(folder: Path, seed: int) -> Iterator[Hunt]:
    """Everything that is needed, as long as the block runs."""
    state = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache"), "NO_PROXY": ""}
    kept = {name: os.environ.get(name) for name in state}
    os.environ |= state
    try:
        with Sandbox() as sandbox, Listening(("127.0.0.1", 0), Careless) as careless:
            threading.Thread(target=careless.serve_forever, daemon=True).start()
            yield Hunt(folder, seed, sandbox, f"http://127.0.0.1:{careless.server_address[1]}")
            careless.shutdown()
    finally:
        for name, value in kept.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--operations", type=int, default=2000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name, hunt(Path(name), chosen.seed) as running:
        running.run(chosen.operations)
    found = running.found
    met = {about.partition(" ")[2] for about in found.faults} & set(FAULTS)
    lines = [
        f"{sum(found.operations.values())} operations in {time.monotonic() - start:.0f} s, seed {chosen.seed}",
        f"commands: {dict(found.operations.most_common())}",
        f"exit codes: {dict(sorted(found.codes.items()))}",
        f"faults of the sandbox asked for: {len(met)} of {len(FAULTS)}",
        f"bytes looked at: {dict(found.bytes_looked_at)}",
        f"occurrences of {len(running.canaries.all)} secrets: {len(found.leaks)}",
        *(f"  {leak}" for leak in found.leaks[:20]),
        f"mistakes of ours on the way: {len(found.bugs)}",
        *(f"  {bug}" for bug in found.bugs[:3]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found.leaks else 0


if __name__ == "__main__":
    try:
        sys.exit(_main())
    except RagkitError as error:
        sys.exit(str(error))
