"""Where tables stand in a text, as loaders write them: a line for each row, with bars between its cells.

It knows lines, and nothing of formats and documents.
"""

from __future__ import annotations

import re

RULE = re.compile(r"[|\s:+=-]+\Z")  # the line below a table's head, in Markdown
_NO_ROW = re.compile(r"^[^|\n]*+$", re.MULTILINE)


def is_row(line: str) -> bool:
    return "|" in line


def table_start(text: str, offset: int) -> int:
    """Where the first row of the table begins that has a row at this offset."""
    line = text.rfind("\n", 0, offset) + 1
    block = text.rfind("\n\n", 0, line) + 1
    others = [match.end() + 1 for match in _NO_ROW.finditer(text, block, line - 1)] if line > block else []
    return others[-1] if others else block


def table_end(text: str, offset: int, most: int) -> int:
    """Where the last row ends of the table that has a row at this offset; a place beyond `most` may be any."""
    end = offset
    while True:
        end = _line_end(text, end)
        following = _line_end(text, end + 1)
        if end > most or "|" not in text[end + 1 : following]:
            return end
        end += 1


def head_row(text: str, offset: int) -> str:
    """The first row of the table that has a row at this offset."""
    start = table_start(text, offset)
    return text[start : _line_end(text, start)].strip()


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return end if end >= 0 else len(text)
