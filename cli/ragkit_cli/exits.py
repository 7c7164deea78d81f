"""Exit codes: a contract with scripts. A code never changes its meaning."""

DONE = 0  # also for an empty result
FAILED = 1
USAGE = 2  # an unknown command, flag or setting, or a value out of range
PARTLY = 3  # done, but some files or pages could not be read
NOTHING = 4  # refused, or nothing found; only with --exit-code
INDEX = 5  # missing, locked, corrupt or incompatible
PROVIDER = 6  # a service, its key or a limit; run the same command again to continue
INTERRUPTED = 130  # run the same command again to continue
