"""What whole runs against a service that breaks need: parsers for a file of tests, and a desk for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faultapi.desk import Desk, fill
from ragkit.loaders.isolation import ParserPool


@pytest.fixture(scope="module")
def parsers() -> Iterator[ParserPool]:
    with ParserPool(1) as pool:
        yield pool


@pytest.fixture
def desk(tmp_path: Path, parsers: ParserPool) -> Desk:
    return Desk(tmp_path, fill(tmp_path / "docs"), parsers)
