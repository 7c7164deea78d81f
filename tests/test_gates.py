"""What the code of the package may not contain or do, whoever writes it next."""

from __future__ import annotations

import ast
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import ragkit
from ragkit.errors import IndexCorrupt
from ragkit.sandbox import Sandbox
from ragkit.settings import Settings, load_settings
from ragkit.store.engine import loses_commits, sqlite_finding

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "ragkit").rglob("*.py"), *(ROOT / "cli" / "ragkit_cli").rglob("*.py")])
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes and umask of POSIX")

RUN_WHAT_THEY_LOAD = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
PICKLE_ON_THE_WAY = {"multiprocessing"}  # its queues and pools load what they are sent
RUN_TEXT = {"eval", "exec", "compile", "__import__"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"}
UNSAFE = {"tempfile.mktemp", "yaml.load", "yaml.unsafe_load", "ssl._create_unverified_context", "xml.etree.ElementTree"}
TRUSTING = {"verify", "verify_ssl", "verify_ssl_certs", "check_hostname", "ssl_verify"}
# The two files that may look at a host without checking it: for a named host, and to tell what it shows.
MAY_TRUST = {"ragkit/providers/tls.py", "ragkit/providers/inspection.py"}
EVERYWHERE = {"0.0.0.0", "::", "[::]"}


def breaches(source: str, name: str = "") -> Iterator[str]:
    """What a file does that none may, as text."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = [each.name for each in names]
            case ast.ImportFrom(module=module, names=names):
                found = [f"{module}", *(f"{module}.{each.name}" for each in names)]
            case ast.Call(func=ast.Name(id=called)) if called in RUN_TEXT:
                found = [f"{called}()"]
            case ast.Attribute():
                found = [ast.unparse(node)]
            case ast.keyword(arg="shell", value=value) if not _is(value, False):
                found = ["shell=True"]
            case ast.keyword(arg="allow_pickle", value=value) if not _is(value, False):
                found = ["allow_pickle=True"]
            case ast.keyword(arg=str(option), value=value) if option in TRUSTING and _is(value, False):
                found = [f"{option}=False"]
            case ast.Assign(targets=[ast.Attribute(attr="check_hostname")], value=value) if not _is(value, True):
                found = ["check_hostname=False"]
            case ast.Constant(value=str(text)) if text in EVERYWHERE:
                found = [f"bound to {text}"]
            case _:
                continue
        for each in found:
            trusts = each.endswith("=False") or each == "ssl.CERT_NONE"
            loads = each.partition(".")[0] in RUN_WHAT_THEY_LOAD | PICKLE_ON_THE_WAY
            runs = each.endswith(("()", "=True")) or each in SHELLS | UNSAFE
            if loads or runs or each.startswith("bound to") or (trusts and name not in MAY_TRUST):
                yield each


def _is(node: ast.expr, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import marshal, os",
        "import multiprocessing.pool",
        "from multiprocessing import Pool",
        "eval(text)",
        "exec(text)",
        "compile(text, '', 'exec')",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "subprocess.run(line, shell=True)",
        "os.system(line)",
        "from os import system",
        "tempfile.mktemp()",
        "yaml.load(text)",
        "client(verify=False)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "ssl._create_unverified_context()",
        "server.bind(('0.0.0.0', 80))",
    ],
)
def test_the_gate_sees_what_it_is_for(source: str) -> None:
    assert list(breaches(source))


@pytest.mark.parametrize("source", ["re.compile(x)", "model.eval()", "run(x, shell=False)", "client(verify=True)"])
def test_the_gate_lets_other_things_through(source: str) -> None:
    assert not list(breaches(source))


def test_nothing_loads_code_runs_text_or_trusts_anybody() -> None:
    """No pickle, no eval, no shell, no unchecked certificate and no open port in any file of the package."""
    assert len(FILES) > 100
    found = {}
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        if some := list(breaches(path.read_text("utf-8"), name)):
            found[name] = some
    assert not found


def test_the_sandbox_listens_on_this_machine_only(sandbox: Sandbox) -> None:
    assert sandbox.url.startswith("http://127.0.0.1:")


@POSIX
def test_what_is_written_is_ours_alone(tmp_path: Path) -> None:
    """With a umask that lets everybody in: index, caches, conversation, memory of uploads and what is on its way."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "lease.md").write_text("# Залог\n\nЗалог возвращается через десять дней.\n", "utf-8")
    script = (
        "import os, sys, io\n"
        "os.umask(0)\n"
        "from ragkit_cli.main import main\n"
        "from ragkit.sandbox import Sandbox\n"
        "with Sandbox() as sandbox:\n"
        "    os.environ |= {k: v for k, v in sandbox.environment().items() if k.startswith('GIGACHAT_')}\n"
        "    assert main(['index', 'docs', '-q']) == 0\n"
        "    assert main(['search', 'залог']) == 0\n"
        "    assert main(['ask', 'Когда возвращается залог?', '--file', 'docs/lease.md', '--keep', '--route',"
        " 'attachment']) == 0\n"
        "    sys.stdin = io.TextIOWrapper(io.BytesIO('Когда возвращается залог?'.encode()))\n"
        "    assert main(['chat', '--history', 'talk.jsonl']) == 0\n"
    )
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    written = [
        path for top in (".ragkit", "state", "talk.jsonl") for path in (tmp_path / top, *(tmp_path / top).rglob("*"))
    ]
    assert len(written) > 10
    assert any(path.name.endswith(".json") for path in (tmp_path / "state").rglob("*"))
    reached = [path for path in written if path.is_file() and not _hidden(path, tmp_path)]
    assert not reached
    for name in (".ragkit", ".ragkit/catalog.sqlite", ".ragkit/vectors", ".ragkit/lexical", "talk.jsonl"):
        assert not (tmp_path / name).stat().st_mode & 0o077, name


def _hidden(path: Path, top: Path) -> bool:
    """Whether others are kept out by the file itself or by a folder above it: a library writes some as it likes."""
    above = [path, *(each for each in path.parents if each.is_relative_to(top) and each != top)]
    return any(not each.stat().st_mode & 0o077 for each in above)


def test_a_strangers_index_is_no_code(tmp_path: Path) -> None:
    """A trigger or a view in the catalog would run with the next write or read: such an index is refused."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("Залог возвращается.", "utf-8")
    with ragkit.open(tmp_path / "index") as rag:
        rag.index_folder(tmp_path / "docs")
    with closing(sqlite3.connect(tmp_path / "index" / "catalog.sqlite")) as db:
        [table] = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' LIMIT 1").fetchone()
    for statement in (
        f"CREATE TRIGGER t AFTER INSERT ON {table} BEGIN DELETE FROM {table}; END",
        "CREATE VIEW v AS SELECT load_extension('x')",
    ):
        db = sqlite3.connect(tmp_path / "index" / "catalog.sqlite")
        db.execute(statement)
        db.commit()
        for act in (lambda rag: rag.search("залог"), lambda rag: rag.index_folder(tmp_path / "docs")):
            with ragkit.open(tmp_path / "index") as rag, pytest.raises(IndexCorrupt):
                act(rag)
        db.execute(re.sub(r"CREATE (\w+ \w).*", r"DROP \1", statement))
        db.commit()
        db.close()


@pytest.mark.parametrize(
    ("version", "bad"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((4, 0, 0), False),
    ],
)
def test_versions_of_sqlite_that_lose_commits(version: tuple[int, int, int], bad: bool) -> None:
    """3.7.0 to 3.51.2, but for the two older lines that were mended."""
    assert loses_commits(version) is bad


def test_doctor_tells_the_version_of_sqlite() -> None:
    """And, where it is one of those, why it does no harm here."""
    found = sqlite_finding()
    assert found.ok
    assert sqlite3.sqlite_version in found.message
    major, minor, patch, *_ = sqlite3.sqlite_version_info
    assert ("lock" in found.message) is loses_commits((major, minor, patch))


def test_no_setting_is_a_command() -> None:
    """What ragkit.toml can say is of a kind that nothing runs."""
    kinds = {rule.metadata["kind"] for rule in Settings.__dataclass_fields__.values() if rule.metadata}
    assert kinds <= {
        *("folder", "whole", "size", "decimal", "choice", "text", "flag", "url", "file", "hosts"),
        *("secret", "headers", "proxy"),
    }
    assert load_settings(environ={}, cwd="/").index


@pytest.mark.parametrize(("page", "least"), [("SECURITY.md", 30), ("docs/reliability.md", 25)])
def test_every_promise_names_a_test_that_is_there(page: str, least: int) -> None:
    """Neither page promises what no test attacks."""
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) >= least
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text("utf-8"), f"{path} has no {name}"
    for script in re.findall(r"`python ((?:tests|benchmarks)/\w+\.py)", text):
        assert (ROOT / script).is_file()


def test_every_defence_and_every_promise_has_a_test() -> None:
    """Whatever is added to either list comes with one."""
    defended = (
        (ROOT / "SECURITY.md").read_text("utf-8").partition("## What is defended")[2].partition("## What is not")[0]
    )
    assert all("`tests/" in each for each in re.split(r"\n\*\*", defended)[1:])
    promised = re.findall(r"^\| P\d+ \|.*", (ROOT / "docs" / "reliability.md").read_text("utf-8"), re.MULTILINE)
    assert len(promised) == 15
    assert all("`tests/" in each for each in promised)
