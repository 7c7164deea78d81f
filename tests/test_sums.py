"""Checksums of large files, in little memory. What they are good for is shown by tests of damage."""

import tracemalloc
import zlib
from pathlib import Path

import pytest

from ragkit.store.sums import _crc, _is_whole


def written(path: Path, body: bytes, checksum: int) -> Path:
    """A file as tantivy ends it."""
    footer = b'{"version":{"major":0},"crc":%d}' % checksum
    path.write_bytes(body + footer + len(footer).to_bytes(4, "little") + (1337).to_bytes(4, "little"))
    return path


@pytest.mark.parametrize("size", [0, 100, 5_000_000])
def test_a_file_is_whole_where_its_footer_says_so(tmp_path: Path, size: int) -> None:
    """And not where a byte differs, or the footer is another's."""
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    path = written(tmp_path / "whole", body, zlib.crc32(body))
    assert _is_whole(path)
    assert _crc(path) == zlib.crc32(path.read_bytes())
    assert not _is_whole(written(tmp_path / "other", body, zlib.crc32(body) ^ 1))
    if size:
        assert not _is_whole(written(tmp_path / "bit", b"\1" + body[1:], zlib.crc32(body)))


@pytest.mark.parametrize("data", [b"", b"1234567", b"\xff" * 8, b'"crc":0}' + b"\xff" * 8, b'"crc":0}' * 1000])
def test_what_has_no_footer_is_not_whole(tmp_path: Path, data: bytes) -> None:
    """Whatever length it says that the footer has."""
    (tmp_path / "file").write_bytes(data)
    assert not _is_whole(tmp_path / "file")


def test_a_large_file_is_not_held(tmp_path: Path) -> None:
    """Of 64 MB a few are in memory at once."""
    body = bytes(64 << 20)
    path = written(tmp_path / "large", body, zlib.crc32(body))
    del body
    tracemalloc.start()
    assert _is_whole(path)
    assert _crc(path) != -1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
