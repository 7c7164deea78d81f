"""Everything that ragkit raises on purpose, as one tree.

    RagkitError
    ├── ConfigError             a setting, a flag or an argument is wrong
    ├── LoadError               a file gave no text
    │   ├── UnsupportedFormat       nothing here reads this kind of file
    │   └── UnreadableDocument      damaged, encrypted, empty, too large, changed while it was read
    └── StoreError              the index
        ├── IndexNotFound           there is none at that place
        ├── IndexMismatch           made by another embedding model, dimension or format
        ├── IndexCorrupt            stored bytes are not the bytes that were written
        └── IndexLocked             another writer is at work

A message says what happened, with both values where two disagree; `hint` says what to do about it.
Exceptions of third-party libraries never cross a seam: they are raised again as one of these.
"""


class RagkitError(Exception):
    """What happened, and in `hint` what to do: a command, a setting, a changed file."""

    code = "failed"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(RagkitError):
    code = "config"


class LoadError(RagkitError):
    code = "unreadable"


class UnsupportedFormat(LoadError):
    code = "unsupported"


class UnreadableDocument(LoadError):
    code = "unreadable"


class StoreError(RagkitError):
    code = "index"


class IndexNotFound(StoreError):
    code = "index_not_found"


class IndexMismatch(StoreError):
    code = "index_mismatch"


class IndexCorrupt(StoreError):
    code = "index_corrupt"


class IndexLocked(StoreError):
    code = "index_locked"
