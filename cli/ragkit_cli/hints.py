"""Commands that are shown to be run next, for the index that this command was given.

The library names commands without an index, as it knows none by the words of the command line; run like that they
would act on the nearest index instead. What is printed goes through here.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

# Those that take -i; a test compares them with the options of the commands.
WITH_INDEX = ("index", "search", "ask", "chat", "status", "list", "show", "remove", "doctor", "eval", "map", "config")
_COMMAND = rf"\bragkit ({'|'.join(WITH_INDEX)})\b(?! (?:-i|--index|--help|tls)\b)"

_index: ContextVar[str | None] = ContextVar("index", default=None)


def remember_index(path: str | None) -> None:
    """What -i of this command says; None where it was not given."""
    _index.set(path)


def with_index(text: str) -> str:
    """The text with -i in every command that would otherwise act on another index."""
    path = _index.get()
    if path is None:
        return text
    import shlex  # few commands have something to say

    return re.sub(_COMMAND, lambda command: f"{command[0]} -i {shlex.quote(path)}", text)
