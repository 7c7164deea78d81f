"""Memory that is free again goes back to the system."""

import subprocess
import sys

import pytest

from ragkit.store.heap import _function

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


@pytest.mark.skipif(sys.platform != "linux" or _function("malloc_trim") is None, reason="the C library cannot be asked")
def test_free_memory_goes_back() -> None:
    """Most of 60 MB, while the rest stays in use."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 30


# One large block that is freed makes glibc take those of its size for small; 40 of them then stay below what is not
# freed.
LARGE = """
from pathlib import Path
from ragkit.store.heap import return_large

def own():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) >> 10

def take():
    return bytearray(b"x") * 1_500_000

{ask}
first = bytearray(b"x") * 8_000_000
del first
before = own()
freed, kept = [], []
for n in range(40):
    freed.append(take())
    kept.append([bytearray(b"x") * 100_000])
freed.clear()
print(own() - before)
"""


@pytest.mark.skipif(sys.platform != "linux" or _function("mallopt") is None, reason="the C library cannot be asked")
def test_large_blocks_go_back_as_soon_as_they_are_free() -> None:
    """60 MB between blocks that stay, which are 4 MB: without being asked it is all kept."""
    kept = [
        int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        for program in (LARGE.format(ask=""), LARGE.format(ask="return_large()"))
    ]
    assert kept[1] < 20 < kept[0]
