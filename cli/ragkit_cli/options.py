"""Options that mean the same in every command, and how a command comes by its index."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ragkit.errors import ConfigError
from ragkit.settings import MODES, ROUTES, load_settings
from ragkit_cli.hints import remember_index
from ragkit_cli.render import remember_currency

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ragkit.rag import RAG
    from ragkit.settings import Settings

    Decorated = TypeVar("Decorated", bound=Callable[..., Any])

READ_STDIN = "-"


def _remembered(ctx: click.Context, _: click.Parameter, given: str | None) -> str | None:
    if not ctx.resilient_parsing:
        remember_index(given)
    return given


index_option = click.option(
    "-i",
    "--index",
    metavar="PATH",
    type=click.Path(),
    is_eager=True,  # a mistake in what follows is told with it
    callback=_remembered,
    help="The index: a folder; else the nearest .ragkit upwards.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object; docs/json.md lists it.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing but results and errors.")
mode_option = click.option("--mode", type=click.Choice(MODES), help="How to search; hybrid unless a setting says else.")
where_option = click.option(
    "-w",
    "--where",
    metavar="CONDITION",
    multiple=True,
    help="Only documents with key=value; also != >= <= > <, and * in the value of = and !=. A document without the "
    "key fulfils != alone. Numbers are compared as numbers, words as words. Repeat: all must hold.",
)
exit_code_option = click.option("--exit-code", is_flag=True, help="Exit with 4 where nothing is found or answered.")


def limit_option(about: str) -> Callable[[Decorated], Decorated]:
    """-n/--limit, with what it limits."""
    return click.option("-n", "--limit", metavar="N", type=click.IntRange(min=1), help=about)


def route_option(usual: str) -> Callable[[Decorated], Decorated]:
    """--route, with what is done without it."""
    about = f"From passages, or from whole documents; auto chooses by size and cost. Without it {usual}."
    return click.option("--route", type=click.Choice(ROUTES), help=about)


def route_of(chosen: Settings) -> str | None:
    """The route of a question to the index; None where nobody chose one: passages, and nothing is said of it."""
    return None if chosen.origin("route") == "default" else chosen.route


def settings(**arguments: object) -> Settings:
    """All layers of settings, with the command line's on top. None was not given."""
    found = load_settings(arguments, said_in="command line")
    remember_currency(found.currency)
    return found


def open_index(chosen: Settings) -> RAG:
    """The index with what searches it. Imported here: help and mistakes need none of it."""
    # One query is one product of a matrix and a vector: a pool of threads costs more to start than it saves, and
    # stalls where other processes keep the cores busy. It must be said before numpy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ragkit.assembly import build

    return build(chosen)


def text_of(words: Sequence[str], what: str) -> str:
    """A query from the words of the command line, quoted or not; `-` alone reads it from stdin."""
    if tuple(words) == (READ_STDIN,):
        try:
            text = sys.stdin.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"the {what} on stdin is not UTF-8 (byte {error.start})", "convert it, for example with iconv"
            ) from error
    else:
        text = " ".join(words)
    if not text.strip():
        raise ConfigError(f"the {what} is empty", f"give some words, or {READ_STDIN} and the {what} on stdin")
    return text.strip()
