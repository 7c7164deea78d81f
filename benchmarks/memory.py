"""What indexing folders of several sizes takes of memory, beside which small ones tell how it grows.

    python -m benchmarks.memory 8 80
    python -m benchmarks.memory 8:20 80:20 0.3:1000 3:10000
    python -m benchmarks.memory 500:100:pdf 50000:10000:pdf

Each folder is so many megabytes of text in so many files; files of 300 kB where no number is said. PDFs have a page of
text, and all the rest of them is a picture. `ragkit index` goes over it in a process of its own, offline, and is looked
at every 20 ms; then again, when nothing has changed. Mapped files are not counted, and the parser processes apart.
What was measured before stays in results/memory.json, and results/memory.md is written from it; `--here` only prints.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import textwrap
import time
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.suite.formats import number, table
from benchmarks.suite.machine import description, environment

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
USUAL_FILE = 0.3  # megabytes
IN_A_FOLDER = 1000  # files
PAGE = 1500  # characters of a PDF's text
PICTURE = random.Random(1).randbytes(1 << 20)
HEAD = ["MB", "files", "peak, MB", "after the run, MB", "parsers, MB", "again, MB", "CPU, s", "again, CPU s"]
CHILD = """
import sys
from pathlib import Path
from ragkit_cli.main import main
code = main(["index", sys.argv[1], "-i", sys.argv[2], "-q"])
print(int(Path("/proc/self/status").read_text("ascii").split("RssAnon:")[1].split()[0]) << 10)
sys.exit(code)
"""


class Writing:
    """Text of 60 000 made-up words, which are said as often as words are: the k-th as 1 / (k + 10)."""

    def __init__(self) -> None:
        chooser = random.Random(0)
        syllables = ["".join(pair) for pair in itertools.product("bcdfghklmnprstvz", "aeiou")]
        self._words = ["".join(chooser.choices(syllables, k=chooser.randint(1, 4))) for _ in range(60_000)]
        self._weights = list(itertools.accumulate(1 / (k + 10) for k in range(len(self._words))))

    def text(self, seed: int, length: int) -> str:
        """Of so many characters, and up to a sentence more; hardly two sentences are the same."""
        chooser = random.Random(seed)
        parts: list[str] = []
        while length > 0:
            said = " ".join(chooser.choices(self._words, cum_weights=self._weights, k=12)).capitalize()
            parts.append(f"{said} {chooser.random():.6f}.{chooser.choice([' ', ' ', ' ', chr(10) * 2])}")
            length -= len(parts[-1])
        return "".join(parts)


def pdf(text: str, length: int) -> bytes:
    """A page of that text, and a grey picture that makes the file about so many bytes long."""
    said = "".join([f"({line}) Tj T*\n" for line in textwrap.wrap(text, 90)])
    page = f"BT /F 10 Tf 12 TL 40 800 Td\n{said}ET q 500 0 0 200 40 40 cm /P Do Q".encode("ascii")
    rows = max(1, (length - len(page) - 1000) // 1024)
    picture = (PICTURE * (rows // 1024 + 1))[: rows * 1024]
    kind = f"/Type /XObject /Subtype /Image /Width 1024 /Height {rows} /ColorSpace /DeviceGray /BitsPerComponent 8 "
    resources = "/Resources << /Font << /F 5 0 R >> /XObject << /P 6 0 R >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R {resources} >>".encode(),
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< %b/Length %d >>\nstream\n%b\nendstream" % (kind.encode(), len(picture), picture),
    ]
    parts, places = [b"%PDF-1.4\n"], []
    for n, body in enumerate(objects, 1):
        places.append(sum(map(len, parts)))
        parts.append(b"%d 0 obj\n%b\nendobj\n" % (n, body))
    table = "".join([f"{place:010} 00000 n \n" for place in places])
    size = f"{len(objects) + 1}"
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    return b"".join([*parts, f"{end}startxref\n{sum(map(len, parts))}\n%%EOF\n".encode()])


def fill(folder: Path, megabytes: float, files: int, kind: str) -> int:
    """Write the files, and give their bytes."""
    writing, size = Writing(), 0
    each = round(megabytes * 1e6 / files)
    for n in range(files):
        place = folder / f"{n // IN_A_FOLDER:04}"
        place.mkdir(parents=True, exist_ok=True)
        content = pdf(writing.text(n, PAGE), each) if kind == "pdf" else writing.text(n, each).encode()
        size += (place / f"{n:07}.{kind}").write_bytes(content)
    return size


def own_memory(process: int) -> int:
    """Bytes of a process without mapped files; 0 where it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text("ascii")
        return int(status.split("RssAnon:")[1].split()[0]) << 10
    except (OSError, IndexError):
        return 0


def children(process: int) -> list[int]:
    """The processes that it started, and those that these started."""
    try:
        found = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()]
        return found + [below for child in found for below in children(child)]
    except OSError:
        return []


def run(folder: Path, index: Path) -> dict[str, float]:
    """The most bytes of a run and of its parsers together, those it holds at its end, seconds."""
    began, cpu = time.perf_counter(), _cpu()
    own = parsers = 0
    command = [sys.executable, "-c", CHILD, str(folder), str(index)]
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"}
    with subprocess.Popen(command, env=environment(1) | paths, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            own = max(own, own_memory(process.pid))
            parsers = max(parsers, sum(map(own_memory, children(process.pid))))
            time.sleep(0.02)
        assert process.stdout
        after = process.stdout.read()
    assert process.returncode == 0
    seconds = time.perf_counter() - began
    return {"peak": own, "parsers": parsers, "after": int(after), "cpu": _cpu() - cpu, "clock": seconds}


def _cpu() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def measure(megabytes: float, files: int, kind: str, work: Path | None) -> dict[str, Any]:
    """A run over a new folder, and one more."""
    machine = {**description(), "date": date.today().isoformat()}
    with tempfile.TemporaryDirectory(dir=work) as place:
        folder, index = Path(place, "docs"), Path(place, "index")
        size = fill(folder, megabytes, files, kind)
        first, again = run(folder, index), run(folder, index)
    return {"bytes": size, "files": files, "kind": kind, "machine": machine, "first": first, "again": again}


def row(measured: dict[str, Any]) -> list[str]:
    first, again = measured["first"], measured["again"]
    sizes = [first["peak"], first["after"], first["parsers"], again["peak"]]
    return [
        number(measured["bytes"] / 1e6),
        f"{measured['files']:,} {measured['kind']}",
        *(f"{size / 1e6:,.0f}" for size in sizes),
        *(number(each["cpu"]) for each in (first, again)),
    ]


def page(every: list[dict[str, Any]]) -> str:
    """The whole page."""
    machines = [each["machine"] for each in every]
    dates = sorted({machine["date"] for machine in machines})
    loads = [machine["load"] for machine in machines]
    kinds = dict.fromkeys(
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB, {machine['system']}, "
        f"Python {machine['python']}"
        for machine in machines
    )
    return "\n\n".join(
        [
            "# Memory of an indexing run",
            f"Written by `python -m benchmarks.memory`. {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}, "
            f"{'; later '.join(kinds)}; 1 thread for each process; load at the beginning of a run {min(loads)} to "
            f"{max(loads)}. Offline embedder, default settings; files in folders of {IN_A_FOLDER:,}. A PDF has a page "
            f"of {PAGE:,} characters, and the rest of it is a picture.",
            "Memory is what `ragkit index` holds of its own; the system may drop mapped files, which are not in it. "
            "*Again* is a second run, over the same folder.",
            table(HEAD, [row(each) for each in every]),
        ]
    )


def _what(measured: dict[str, Any]) -> tuple[bool, bool, int, int]:
    """By which folders are told apart and put in order: PDFs last, and before them what has many small files."""
    size, files = measured["bytes"], measured["files"]
    return measured["kind"] == "pdf", files > size / 1e4, size, files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="MB[:FILES[:pdf]]")
    parser.add_argument("--here", action="store_true", help="print, and write no results")
    parser.add_argument("--work", type=Path, help="where the folders and indexes are made")
    arguments = parser.parse_args()
    results = RESULTS / "memory.json"
    known = json.loads(results.read_text("utf-8")) if results.exists() else []
    for each in arguments.folders:
        megabytes, files, kind = [*each.split(":"), "", ""][:3]
        wanted = int(files or max(1, round(float(megabytes) / USUAL_FILE)))
        found = measure(float(megabytes), wanted, kind or "txt", arguments.work)
        print("  ".join(f"{name} {cell}" for name, cell in zip(HEAD, row(found), strict=True)), flush=True)
        known = sorted([*(before for before in known if _what(before) != _what(found)), found], key=_what)
        if not arguments.here:
            results.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
            (RESULTS / "memory.md").write_text(page(known) + "\n", "utf-8")


if __name__ == "__main__":
    main()
