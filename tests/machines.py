"""How long state machines are driven: some seconds in the suite, MACHINE_EXAMPLES=2000 for a night."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings


def driven(examples: int, steps: int) -> settings:
    """So many examples of so many steps; the number of examples can be set from outside."""
    return settings(
        max_examples=int(os.environ.get("MACHINE_EXAMPLES", examples)),
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


class MemoryFolder(tempfile.TemporaryDirectory[str]):
    """A new folder, in memory where the system has such a place: syncing costs nothing there."""

    def __init__(self) -> None:
        shared = Path("/dev/shm")
        super().__init__(dir=shared if os.access(shared, os.W_OK) else None)

    def cleanup(self) -> None:
        """A thread of tantivy tidies for a moment after a commit, and may put a file where all were just deleted."""
        for _ in range(20):
            with suppress(OSError):
                return super().cleanup()
            time.sleep(0.1)
        return super().cleanup()
