"""Exit codes: a contract with scripts. A code never changes its meaning."""

from __future__ import annotations

from ragkit.errors import BudgetExceeded, ConfigError, ProviderError, StoreError

DONE = 0  # also for an empty result
FAILED = 1
USAGE = 2  # an unknown command, flag or setting, or a value out of range
PARTLY = 3  # done, but some files or pages could not be read
NOTHING = 4  # refused, or nothing found; only with --exit-code
INDEX = 5  # missing, locked, corrupt or incompatible
PROVIDER = 6  # a service, its key or a limit; run the same command again to continue
INTERRUPTED = 130  # run the same command again to continue

_codes = {ConfigError: USAGE, StoreError: INDEX, ProviderError: PROVIDER, BudgetExceeded: PROVIDER}


def exit_of(error: Exception) -> int:
    """The exit code that tells a script what kind of error it was."""
    return next((code for kind, code in _codes.items() if isinstance(error, kind)), FAILED)
