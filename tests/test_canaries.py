"""Ten secrets, put wherever a user may put one, come out nowhere: the short form of canaries.py."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from canaries import Canaries, Found, hunt


def test_no_secret_comes_out_whatever_goes_wrong(tmp_path: Path) -> None:
    """Commands against a sandbox with faults and a service that repeats what it was sent, at DEBUG: not in logs,
    output, errors, files, nor in the environment or the arguments of a parser process.
    """
    with hunt(tmp_path, seed=1) as running:
        running.run(60)
    found = running.found
    assert not found.leaks
    assert not found.bugs
    assert sum(found.operations.values()) == 60
    assert min(found.bytes_looked_at[where] for where in ("stdout", "stderr", "logs", "files")) > 1000
    if sys.platform == "linux":
        assert found.bytes_looked_at["environ of parsers"] > 50
        assert found.bytes_looked_at["cmdline of parsers"] > 50


@pytest.mark.parametrize("name", sorted(Canaries(1).all))
def test_the_hunt_finds_what_it_looks_for(name: str) -> None:
    """As it is, cut in half, in base64 at any place, in a URL; and not where it is not."""
    canaries = Canaries(1)
    secret = canaries.all[name]
    for shown in (
        secret,
        secret[: len(secret) // 2],
        secret[len(secret) // 2 :],
        quote(secret, safe=""),
        *(base64.b64encode(f"{before}{secret}:after".encode()).decode() for before in ("", "a", "ab")),
    ):
        found = Found()
        found.look(canaries, "stderr", f"before {shown} after".encode(), "a command")
        assert len(found.leaks) == 1, shown
        assert found.leaks[0].startswith(name)
    assert canaries.found(b"nothing of the kind") == []
