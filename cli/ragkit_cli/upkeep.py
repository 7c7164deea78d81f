"""status, doctor and config: what there is, whether it is sound, and why it is as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragkit.numbers import count, number
from ragkit_cli import payload
from ragkit_cli.certificates import tls_command
from ragkit_cli.exits import DONE, INDEX
from ragkit_cli.hints import with_index
from ragkit_cli.options import index_option, json_option, open_index, quiet_option, settings
from ragkit_cli.render import columns, near_path, one_line, out, out_json, say, size, style

if TYPE_CHECKING:
    from ragkit.reports import IndexStatus


@click.command("status")
@index_option
@json_option
def status_command(index: str | None, as_json: bool) -> int:
    """
    \b
    ragkit status

    Show what the index holds.
    """
    with open_index(settings(index=index)) as rag:
        status = rag.status()
    if as_json:
        out_json("status", payload.of_status(status))
        return DONE
    troubles = f"; {number(status.incomplete)} with problems (ragkit list --failed)" if status.incomplete else ""
    empty = "" if status.documents else ": the index is empty"
    changed = f"{status.changed}, generation {number(status.generation)}" if status.changed else "never"
    rows = [
        ("index", f"{near_path(status.path)}, {size(status.size)}, format {status.format}"),
        ("documents", f"{number(status.documents)}{empty}{with_index(troubles)}"),
        ("chunks", f"{number(status.chunks)}"),
        ("vectors", _vectors(status)),
        *([("vector search", _vector_search(status))] if status.vectors else []),
        ("embedding model", one_line(status.embedding_model) or "none yet"),
        *(
            (name.replace("_", " "), one_line(value))
            for name in ("document_prefix", "query_prefix", "query_model")
            if (value := getattr(status, name))
        ),
        ("folders", ", ".join(_folder(status.path, root) for root in status.roots) or "none"),
        ("created", status.created),
        ("changed", changed),
    ]
    for line in columns(rows):
        out(line)
    return DONE


def _folder(index: str, root: str) -> str:
    """Where it is; and whether it is not there, for its documents stay in the index until somebody says so."""
    from pathlib import Path  # 3 ms that help need not pay

    folder = Path(index).resolve().parent / root
    gone = "" if folder.is_dir() else " (not there; its documents stay until they are removed)"
    return f"{near_path(str(folder))}{gone}"


def _vectors(status: IndexStatus) -> str:
    """Those of the index's own model, and those of another: the dimension is that of the former alone."""
    if not status.vectors:
        return "none"
    others = f"; {number(status.other_vectors)} of another model" if status.other_vectors else ""
    own = number(status.vectors - status.other_vectors)
    return f"{own} of {count(status.dimension, 'dimension')}, kept for reuse included{others}"


def _vector_search(status: IndexStatus) -> str:
    """How the nearest vectors are found, and how many of them."""
    if status.by_words:
        return "only what words find, which offline vectors repeat; exact where words find too little"
    if status.recall is None:
        return "exact"
    found = f"{status.recall:.1%} of the ten nearest"
    if not status.coded:
        return f"exact; codes would find {found}, which is too few"
    return f"by codes, which find {found}: measured on this index"


def _part(_: click.Context, option: click.Parameter, given: str | None) -> tuple[int, int] | None:
    """1/7 as numbers: the first of seven parts."""
    if given is None:
        return None
    n, slash, m = given.partition("/")
    short = len(given) < 20  # Python reads no number of thousands of digits
    if not (short and slash and n.isdecimal() and m.isdecimal() and 1 <= int(n) <= int(m)):
        raise click.BadParameter(f"{given!r:.40} is no part: say 1/7 for the first of seven", param=option)
    return int(n), int(m)


@click.group("doctor", invoke_without_command=True)
@index_option
@json_option
@quiet_option
@click.option("--data", is_flag=True, help="Read every stored byte, and compare it with its checksum.")
@click.option("--subset", metavar="N/M", callback=_part, help="As --data, but the N-th of M parts that make up all.")
@click.option("--repair", is_flag=True, help="Save what can be saved, embed again only what was lost.")
@click.option("--max-tokens", metavar="N", type=click.IntRange(min=0), help="With --repair: embed no more than that.")
@click.option("--max-cost", metavar="MONEY", type=click.FloatRange(min=0), help="The same in money.")
def doctor_command(
    index: str | None,
    as_json: bool,
    quiet: bool,
    data: bool,
    subset: tuple[int, int] | None,
    repair: bool,
    max_tokens: int | None,
    max_cost: float | None,
) -> int:
    """
    \b
    ragkit doctor
    ragkit doctor --data
    ragkit doctor --subset 1/7
    ragkit doctor --repair
    ragkit doctor tls

    Look at the index and say what mends what is wrong: at its shape, counts and caches, or with --data at every
    stored byte. Exit code 5 where something is. --repair keeps the damaged catalog beside the new one, and says
    what could not be saved. `doctor tls` looks at the hosts of the services instead.
    """
    if click.get_current_context().invoked_subcommand:
        return DONE
    if not repair and (max_tokens is not None or max_cost is not None):
        raise click.UsageError("only a repair embeds: give a limit together with --repair")
    from ragkit.store.engine import sqlite_finding

    with open_index(settings(index=index)) as rag:
        if repair:
            findings = [*rag.repair(max_tokens=max_tokens, max_cost=max_cost), sqlite_finding()]
        else:
            findings = [*rag.check(data=data or subset is not None, subset=subset or (1, 1)), sqlite_finding()]
    sound = all(finding.ok for finding in findings)
    if as_json:
        out_json("doctor", {"ok": sound, "findings": [payload.of_finding(finding) for finding in findings]})
        return DONE if sound else INDEX
    for finding in findings:
        if quiet and finding.ok:
            continue
        mark = style("ok   ", "green") if finding.ok else style("wrong", "red")
        out(f"{mark}  {one_line(finding.subject)}: {one_line(finding.message)}")
        if finding.hint:
            out(f"       {'' if finding.ok else 'run: '}{one_line(with_index(finding.hint))}")
    say("The index is sound." if sound else "The index is not sound.", quiet=quiet)
    return DONE if sound else INDEX


doctor_command.add_command(tls_command)


@click.command("config")
@index_option
@json_option
def config_command(index: str | None, as_json: bool) -> int:
    """
    \b
    ragkit config
    RAGKIT_LIMIT=3 ragkit config --json

    Show every setting, its value and where it was said: on the command line, in the environment
    (RAGKIT_LIMIT), in the nearest ragkit.toml upwards (limit = 3), or nowhere (default).
    """
    from ragkit.settings import names

    chosen = settings(index=index)
    found = [(name, getattr(chosen, name), chosen.origin(name), about) for name, about in names().items()]
    if as_json:
        listed = [
            {
                "name": name,
                "value": value if isinstance(value, int | float | None) else str(value),  # a secret shows as ***
                "origin": origin,
                "about": about,
            }
            for name, value, origin, about in found
        ]
        out_json("config", {"settings": listed})
        return DONE
    for line in columns(
        [(name, "" if value is None else one_line(str(value)), origin) for name, value, origin, _ in found]
    ):
        out(line)
    return DONE
