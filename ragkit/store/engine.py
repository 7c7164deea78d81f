"""The SQLite that Python brings along: whether it has the fault that lost commits for sixteen years, and why it does
none here.
"""

from __future__ import annotations

import sqlite3

from ragkit.reports import Finding

# While one connection copies the log into the database and another commits, 3.7.0 to 3.51.2 may take committed pages
# for copied ones (https://sqlite.org/wal.html, "the WAL-reset bug"). Mended in 3.51.3, and in two older lines.
_FIRST, _MENDED = (3, 7, 0), (3, 51, 3)
_MENDED_LINES = {(3, 44): 6, (3, 50): 7}


def loses_commits(version: tuple[int, int, int]) -> bool:
    """Whether this version of SQLite has the fault."""
    mended = _MENDED_LINES.get(version[:2])
    return _FIRST <= version < _MENDED and (mended is None or version[2] < mended)


def sqlite_finding() -> Finding:
    """Sound in any case: with one writer, under its lock, nobody commits while the log is copied."""
    major, minor, patch, *_ = sqlite3.sqlite_version_info
    said = f"version {sqlite3.sqlite_version}"
    if loses_commits((major, minor, patch)):
        said += (
            ", which may lose a commit that comes while another connection copies the log; not here, where only the one"
            " writer does either, under its lock, and readers cannot; mended in 3.51.3"
        )
    return Finding("SQLite", True, said)
