"""What was measured on, and what a process holds: memory by kind, CPU seconds, bytes of a folder."""

from __future__ import annotations

import os
import platform
import resource
import sys
import threading
from pathlib import Path
from typing import Self

THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"),
    *("LANCE_CPU_THREADS", "TOKENIZERS_PARALLELISM"),
)


def description() -> dict[str, object]:
    """Of this machine, now."""
    return {
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def environment(threads: int) -> dict[str, str]:
    """That of a measured process: no settings or keys of the user's own, so many threads, nothing fetched."""
    ours = ("RAGKIT_", "GIGACHAT_", "OPENAI_", "LLM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    limits = dict.fromkeys(THREADS, str(threads)) | {"TOKENIZERS_PARALLELISM": "false"}
    return kept | limits | {"HF_HUB_OFFLINE": "1", "ANONYMIZED_TELEMETRY": "False", "PYTHONWARNINGS": "ignore"}


def memory() -> dict[str, int]:
    """Bytes of this process: "anonymous" is its own, "file" are mapped files, which the system may drop at any time."""
    sizes = {}
    if sys.platform.startswith("linux"):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            name, _, rest = line.partition(":")
            if name in ("RssAnon", "RssFile", "RssShmem"):
                sizes[name] = int(rest.split()[0]) * 1024
        return {"anonymous": sizes["RssAnon"] + sizes["RssShmem"], "file": sizes["RssFile"]}
    return {"anonymous": peak(), "file": 0}  # what else a POSIX system tells of all alike


def peak() -> int:
    """The most bytes that this process has held, mapped files included."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Watch:
    """The most bytes of its own that this process held while the block ran, looked at every 20 ms.

    What the system counts as a process's peak has the mapped files in it, which are no engine's doing.
    """

    most = 0

    def __enter__(self) -> Self:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self.most = max(self.most, memory()["anonymous"])


def cpu_seconds() -> float:
    """Of this process and of those it has ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each thing directly inside the folder, whatever is below it."""
    found = {}
    for entry in sorted(folder.iterdir()):
        files = entry.rglob("*") if entry.is_dir() else [entry]
        found[entry.name] = sum(file.stat().st_size for file in files if file.is_file())
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
