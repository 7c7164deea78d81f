"""How long state machines are driven: some seconds in the suite, MACHINE_EXAMPLES=2000 for a night."""

from __future__ import annotations

import os
import tempfile
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


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """A new folder, in memory where the system has such a place: syncing costs nothing there."""
    shared = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None)
