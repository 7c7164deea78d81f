"""Memory that is free again goes back to the system."""

import subprocess
import sys

import pytest

from ragkit.store.heap import _trim

# 60 MB that are freed below some that are not: without being asked glibc keeps them.
PROGRAM = """
from pathlib import Path
from ragkit.store.heap import release

def own():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) >> 10

freed, kept = [], []
for n in range(60_000):
    freed.append(bytes(1000))
    if n % 100 == 0:
        kept.append(bytes(1000))
freed.clear()
before = own()
release()
print(before - own())
"""


@pytest.mark.skipif(sys.platform != "linux" or _trim() is None, reason="the C library cannot be asked")
def test_free_memory_goes_back() -> None:
    """Most of 60 MB, while the rest stays in use."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 30
