"""kill -9 of the real command at any moment: nothing that was committed is lost, and the next run goes on.

A thousand of them: python -m kills.
"""

import random
import sys
from pathlib import Path

import pytest
from kills import Folder, Ledger, kill_many
from toys import colour_rag

from ragkit.sandbox import Sandbox

KILLS = 12


@pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL are POSIX")
def test_kill_9_at_random_moments_loses_nothing_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    """After each kill all that any reader saw is there, and at most a batch of each worker is embedded again."""
    seed = random.randrange(1 << 30)
    tally = kill_many(tmp_path, KILLS, seed=seed, files=25)
    assert tally.faults == [], seed
    assert tally.counts["killed"] == KILLS
    assert tally.counts["texts sent"] > 100


def test_the_ledger_sees_what_is_lost_old_or_strange(tmp_path: Path, sandbox: Sandbox) -> None:
    """A check that cannot fail would prove nothing."""
    folder = Folder(tmp_path / "docs", 3, random.Random(1))
    ledger = Ledger(folder, tmp_path / "index", sandbox)
    first = folder.history["0000.txt"][0]
    with colour_rag(tmp_path / "index") as rag:
        rag.index_folder(folder.path)
        folder.put("0000.txt", "Another text.")
        rag.index_folder(folder.path)
        ledger.look("now")
        assert ledger.tally.faults == []
        for text in (first, "What was never there."):
            (folder.path / "0000.txt").write_text(text, "utf-8")
            rag.index_folder(folder.path)
            ledger.look("now")
        rag.remove("0001.txt")
        ledger.look("now")
        (folder.path / "0002.txt").unlink()
        folder.here.discard("0002.txt")
        rag.index_folder(folder.path)
        ledger.look("now")
    said = [fault.removeprefix("now: ") for fault in ledger.tally.faults]
    assert said[:2] == ["0000.txt is an older version again", "0000.txt holds what it never did"]
    assert set(said[2:]) == {"0000.txt holds what it never did", "0001.txt was committed and is gone"}
