"""What the commands print: data to stdout, everything else to stderr, and nothing that could steer a terminal.

It knows documents, passages and numbers as text; what is printed when is decided by the commands.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, TextIO, TypeVar

import click

from ragkit.numbers import count, number
from ragkit_cli.hints import with_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ragkit.answers import Citation
    from ragkit.reports import Problem
    from ragkit.types import Chunk, Usage

_T = TypeVar("_T")
WIDTH_OF_A_PIPE = 100  # columns where there is no terminal to ask

# Controls (colours, cursor, title, clipboard) and marks that turn the direction of text around, in a document or
# in a file's name, would change what the terminal shows. Newline and tab are text. Compiled by the command that prints.
_UNSAFE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
_UNSAFE_IN_JSON = "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"


_currency: ContextVar[str] = ContextVar("currency", default="")


class OutputClosed(Exception):
    """The reader of stdout has gone, as `head` does."""


def escape(text: str) -> str:
    r"""Text of a document with controls and direction marks made visible, as \u001b; newlines stay."""
    return re.sub(_UNSAFE, lambda mark: f"\\u{ord(mark[0]):04x}", text)


def one_line(text: str) -> str:
    """As `escape`, for names and headings: on one line."""
    return escape(" ".join(text.split()) if "\n" in text or "\t" in text else text)


def out(text: str = "") -> None:
    """A line of data."""
    try:
        click.echo(text, color=colours(sys.stdout))
    except BrokenPipeError as error:
        raise OutputClosed from error


def out_part(text: str) -> None:
    """A piece of a line to stdout, at once."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise OutputClosed from error


def say(text: str, *, quiet: bool = False) -> None:
    """A line to the person at the terminal, on stderr."""
    if not quiet:
        click.echo(text, err=True, color=colours(sys.stderr))


def out_json(schema: str, payload: Mapping[str, object]) -> None:
    """One JSON object on one line, named with its schema.

    An iterator in it is a list that is written while it is made: there may be a million files to tell of.
    """
    try:
        for part in _json_parts({"schema": f"ragkit.{schema}/1", **payload}):
            sys.stdout.write(part)
    except BrokenPipeError as error:
        raise OutputClosed from error
    out()


def _json_parts(value: object) -> Iterator[str]:
    """The JSON of a value in pieces. Iterators stand in dicts, and in what iterators give."""
    comma = ""
    if isinstance(value, Iterator):
        yield "["
        for each in value:
            yield comma
            yield from _json_parts(each)
            comma = ", "
        yield "]"
    elif isinstance(value, dict) and any(isinstance(each, Iterator) for each in value.values()):
        yield "{"
        for key, each in value.items():
            yield f"{comma}{to_json(key)}: "
            yield from _json_parts(each)
            comma = ", "
        yield "}"
    else:
        yield to_json(value)


def to_json(value: object) -> str:
    """JSON that is readable in Russian and safe on a terminal."""
    import json  # 3 ms, for machines only

    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return re.sub(_UNSAFE_IN_JSON, lambda mark: f"\\u{ord(mark[0]):04x}", text)


def write_error(code: str, message: str, hint: str, *, as_json: bool, usage: Usage | None = None) -> None:
    """What went wrong and what to do, on stderr, with no secret that a service or a library may have repeated.

    `usage` is what services billed until then.
    """
    from ragkit.redaction import redacted  # needed for a mistake only

    message, hint = redacted(message), redacted(with_index(hint))
    if as_json:
        from ragkit_cli.payload import of_usage

        billed = of_usage(usage) if usage else None
        say(to_json({"error": {"code": code, "message": message, "hint": hint, "usage": billed}}))
        return
    say(f"{style('Error:', 'red', sys.stderr)} {escape(message)}")
    if hint:
        say(f"  Hint: {escape(hint)}")
    if usage and usage.total_tokens:
        say(f"Billed until then: {spent(usage)}")


def colours(stream: TextIO) -> bool:
    """Whether colours may be written there: to a terminal, unless NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, colour: str, stream: TextIO | None = None) -> str:
    """The text in a colour, or "bold" or "dim", where the stream may show it."""
    if not colours(stream or sys.stdout):
        return text
    if colour in ("bold", "dim"):
        return click.style(text, **{colour: True})
    return click.style(text, fg=colour)


def size(value: int) -> str:
    """Bytes in the largest unit that leaves a whole part: 1.4 MB. Units are powers of 1000."""
    amount, unit = float(value), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{value} B" if unit == "B" else f"{amount:.1f} {unit}"


def remember_currency(currency: str) -> None:
    """In which prices are set, as far as this command knows its settings."""
    _currency.set(currency)


def spent(usage: Usage) -> str:
    """What services billed: 1 204 tokens (1 100 prompt, 104 answer; 900 of them cached), 0.34 RUB"""
    kinds = (
        (usage.embedding_tokens, "embedded"),
        (usage.prompt_tokens, "prompt"),
        (usage.completion_tokens, "answer"),
        (usage.precached_prompt_tokens, "of the prompt cached"),
    )
    parts = ", ".join(f"{number(tokens)} {name}" for tokens, name in kinds if tokens)
    money = f", {usage.cost:.4f} {_currency.get()}".rstrip() if usage.cost else ""
    return f"{count(usage.total_tokens, 'token')}{f' ({parts})' if parts else ''}{money}"


def moment(seconds: int) -> str:
    """Seconds since 1970 as 2026-05-04 09:30, UTC."""
    import time  # few commands show one

    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def near_path(path: str) -> str:
    """The path as a person would write it here: relative to this folder or to the home folder."""
    from pathlib import Path  # 3 ms that help need not pay

    absolute, here, home = Path(path).absolute(), Path.cwd(), Path.home()
    if absolute.is_relative_to(here):
        return one_line(str(absolute.relative_to(here)))
    if absolute.is_relative_to(home):
        return one_line(str("~" / absolute.relative_to(home)))
    return one_line(str(absolute))


def place(where: Chunk | Citation) -> str:
    """contract.pdf  page 3, line 12"""
    page = f"page {where.page}, " if where.page is not None else ""
    return f"{style(one_line(where.source), 'bold')}  {page}line {where.line}"


def problem(what: Problem) -> str:
    """What kept text out of the index, and its cure, on one line."""
    page = f"page {what.page}: " if what.page is not None and f"page {what.page}" not in what.reason else ""
    return one_line(f"{page}{what.reason}" + (f"; {with_index(what.cure)}" if what.cure else ""))


def columns(rows: Iterable[Sequence[str]], *, indent: str = "") -> list[str]:
    """Rows with all columns but the last padded to line up."""
    return list(table(list(rows), list, indent=indent))


def table(
    items: Iterable[_T], row: Callable[[_T], Sequence[str]], *, indent: str = "", widest: int = 48
) -> Iterator[str]:
    """The same, of the `row` of each item, which is made twice rather than kept: there may be a million.

    A cell wider than `widest` does not move the others, and a row with fewer cells stands for itself.
    """
    widths: list[int] = []
    for cells in map(row, items):
        widths += [0] * (len(cells) - len(widths))
        for i, cell in enumerate(cells):
            widths[i] = max(widths[i], min(widest, len(cell)))
    for cells in map(row, items):
        if len(cells) < len(widths):
            yield (indent + "   ".join(cells)).rstrip()
        else:
            padded = [f"{cell:<{width}}   " for cell, width in zip(cells[:-1], widths, strict=False)]
            yield (indent + "".join(padded) + cells[-1]).rstrip()


def width() -> int:
    """Columns of the terminal, or of a line in a pipe."""
    if not sys.stdout.isatty():
        return WIDTH_OF_A_PIPE
    import shutil

    return max(40, min(shutil.get_terminal_size().columns, 120))


def wrap(text: str, most: int) -> list[str]:
    """The lines of a text without its blank ones, each broken between words to at most `most` columns."""
    lines: list[str] = []
    for line in text.expandtabs(4).splitlines():
        current = ""
        for word in line.split():
            if current and len(current) + 1 + len(word) > most:
                lines.append(current)
                current = word
            else:
                current = f"{current} {word}" if current else word
        if current:
            lines.append(current)
    return lines


def cut(line: str, most: int) -> str:
    """The line up to `most` columns, with … where more followed: a word may have thousands of letters."""
    return line if len(line) <= most else line[: most - 1] + "…"


def excerpt(lines: list[str], most: int, weight: Callable[[str], int]) -> list[str]:
    """The `most` neighbouring lines of greatest weight, the first of equals, with … where lines are left out."""
    if len(lines) <= most:
        return lines
    weights = [weight(line) for line in lines]
    start = max(range(len(lines) - most + 1), key=lambda i: (sum(weights[i : i + most]), -i))
    chosen = lines[start : start + most]
    if start:
        chosen[0] = f"… {chosen[0]}"
    if start + most < len(lines):
        chosen[-1] = f"{chosen[-1]} …"
    return chosen
