"""What indexing opens, as the kernel saw it: nothing outside the folder, and no socket in a parser process."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from loader_files import docx, p, text_flood

from hostile.mutants import SEEDS, mutants
from ragkit.errors import LoadError
from ragkit.loaders.isolation import ParserPool

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
STRACE = shutil.which("strace")
CALLS = "openat,open,openat2,creat,socket,connect,bind,sendto,clone,clone3,fork,vfork,execve"
LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*?)(?:\) += (-?\d+)| <unfinished \.\.\.>)")
# Where programs, libraries and fonts are; whatever a document says, no path in it leads there and gives text.
SYSTEM = (
    "/usr/",
    "/lib",
    "/etc/ld.so",
    "/etc/localtime",
    "/etc/fonts",
    "/etc/ssl",
    "/proc/self/",
    "/proc/sys/",
    "/sys/",
    "/dev/",
)


def may_trace() -> bool:
    """Whether strace is there and the system lets it look at another process."""
    return (
        bool(STRACE)
        and subprocess.run([str(STRACE), "-qq", "-o", os.devnull, "true"], capture_output=True).returncode == 0
    )


def traced(command: list[str], log: Path) -> list[tuple[int, str, str, int | None]]:
    """(process, call, what is in its brackets, what it gave) of a command and all its children."""
    done = subprocess.run(
        [str(STRACE), "-f", "-qq", "-e", f"trace={CALLS}", "-o", str(log), *command], capture_output=True
    )
    assert done.returncode in (0, 3), done.stderr.decode()[-500:]
    found = [LINE.match(line) for line in log.read_text("utf-8", "replace").splitlines()]
    return [(int(m[1]), m[2], m[3], None if m[4] is None else int(m[4])) for m in found if m]


@pytest.mark.skipif(not may_trace(), reason="needs strace that may trace: it shows what the kernel was asked for")
def test_nothing_outside_is_opened_and_no_parser_has_a_socket(tmp_path: Path) -> None:
    """Documents that name files and hosts, links that lead out, and mutants, through the command line under strace."""
    folder, outside = tmp_path / "docs", tmp_path / "outside"
    for place in (folder / "sub", outside):
        place.mkdir(parents=True)
    secret = outside / "secret.txt"
    secret.write_text("OUTSIDE")
    (folder / "link.txt").symlink_to(secret)
    (folder / "sub" / "out").symlink_to(outside)
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}"><!ENTITY n SYSTEM "http://127.0.0.1:9/">]>'
    (folder / "entity.html").write_text(
        f'{entity}<p>&e;&n;<img src="file://{secret}"><link href="http://127.0.0.1:9/"></p>'
    )
    (folder / "core.docx").write_bytes(docx(p("слово"), core=f"{entity}<cp>&e;&n;</cp>", header1=p("x") + "&e;"))
    (folder / "words.md").write_text(f"# ![x](file://{secret})\n\n[include]({secret})\n")
    (folder / "words.txt").write_text(f"{secret}\n")
    for suffix, seeds in SEEDS.items():
        for number, data in enumerate(seeds):
            (folder / "sub" / f"{number}.{suffix}").write_bytes(data)
    for name, data in mutants(7, 25):
        (folder / name).write_bytes(data)
    paths = [path for path in sys.path if path]
    program = f"import sys; sys.path[:0] = {paths!r}\nfrom ragkit_cli.main import console; console()"
    command = [sys.executable, "-c", program, "index", str(folder), "-i", str(tmp_path / "index"), "--quiet"]
    calls = traced(command, tmp_path / "calls")

    opened = [(pid, path, what) for pid, call, what, gave in calls if gave != -1 and (path := opened_path(call, what))]
    assert [path for _, path, _ in opened if Path(path).is_relative_to(outside)] == []
    inside = [(path, what) for _, path, what in opened if Path(path).is_relative_to(folder) and path != str(folder)]
    assert inside == []  # files are opened by their names in an open folder
    named = [what for _, path, what in opened if path and not path.startswith("/")]
    assert len(named) > 25
    assert [what for what in named if "O_NOFOLLOW" not in what and "AT_FDCWD" not in what] == []

    workers = parsers(calls)
    assert len(workers) > 10  # two servers and a fork for each foreign document
    sockets = [(call, what) for pid, call, what, _ in calls if pid in workers and call in ("socket", "connect", "bind")]
    assert sockets == []
    homes = tuple(str(Path(path).resolve()) for path in {*sys.path, sys.prefix, sys.base_prefix} if path)
    strange = {
        path for pid, path, _ in opened if pid in workers and not path.startswith((*homes, *sys.path[1:], *SYSTEM))
    }
    assert {path for path in strange if path not in (sys.prefix, sys.base_prefix)} == set()


def opened_path(call: str, what: str) -> str:
    match = re.search(r'"((?:[^"\\]|\\.)*)"', what) if call in ("open", "openat", "openat2", "creat") else None
    return match[1] if match else ""


def parsers(calls: list[tuple[int, str, str, int | None]]) -> set[int]:
    """The parser servers, which are isolated interpreters, and what they forked."""
    found = {pid for pid, call, what, _ in calls if call == "execve" and '"-I", "-c"' in what}
    children = [(pid, gave) for pid, call, _, gave in calls if call in ("clone", "clone3", "fork", "vfork") and gave]
    while more := {child for parent, child in children if parent in found and child and child > 0} - found:
        found |= more
    return found


@linux
def test_a_parser_holds_two_descriptors_and_little_else() -> None:
    """While it reads: bounds that it cannot raise, the document and a pipe, no socket, and an environment of places."""
    seen: dict[str, list[str]] = {}
    with ParserPool(1, memory=4 << 30, cpu_seconds=8) as pool:
        pool.load(io.BytesIO(b"warm"), "a.txt")
        server = next(
            pid for pid in _children(os.getpid()) if b"-I" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        )

        def read() -> None:
            with pytest.raises(LoadError):
                pool.load(io.BytesIO(text_flood()), "flood.pdf")

        thread = threading.Thread(target=read)
        thread.start()
        while thread.is_alive() and "bounds" not in seen:
            for fork in _children(server):
                bounds = Path(f"/proc/{fork}/limits").read_text().splitlines()
                if any(line.startswith("Max file size ") and line.split()[3] == "0" for line in bounds):
                    handles = {handle: str(handle.readlink()) for handle in Path(f"/proc/{fork}/fd").iterdir()}
                    seen["handles"] = [target for handle, target in handles.items() if int(handle.name) > 2]
                    seen["bounds"] = bounds
            time.sleep(0.01)
        environment = Path(f"/proc/{server}/environ").read_bytes().decode().split("\0")
        pool.close()
        thread.join()
    text = "\n".join(" ".join(line.split()) for line in seen["bounds"])
    for bound in (
        "Max file size 0 0",
        "Max core file size 0 0",
        "Max open files 32 32",
        f"Max address space {4 << 30} {4 << 30}",
    ):
        assert bound in text
    assert [target for target in seen["handles"] if target.startswith("socket:")] == []
    own = [target for target in seen["handles"] if not target.startswith(SYSTEM)]  # pdfium looks at the system's fonts
    assert len(own) == 2
    known = {"PATH", "LD_LIBRARY_PATH", "TMPDIR", "TEMP", "HOME", "LC_CTYPE"}
    assert {line.partition("=")[0] for line in environment if line} <= known


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
