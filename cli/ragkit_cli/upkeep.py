"""status, doctor and config: what there is, whether it is sound, and why it is as it is."""

from __future__ import annotations

import click

from ragkit_cli import payload
from ragkit_cli.certificates import tls_command
from ragkit_cli.exits import DONE, INDEX
from ragkit_cli.options import index_option, json_option, open_index, quiet_option, settings
from ragkit_cli.render import columns, count, near_path, number, one_line, out, out_json, say, size, style


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
    failed = f", and {number(status.failed)} with problems (ragkit list --failed)" if status.failed else ""
    rows = [
        ("index", f"{near_path(status.path)}, {size(status.size)}, format {status.format}"),
        ("documents", f"{number(status.documents)}{failed}"),
        ("chunks", f"{number(status.chunks)}"),
        ("vectors", f"{number(status.vectors)} of {count(status.dimension, 'dimension')}, kept for reuse included"),
        ("embedding model", one_line(status.embedding_model)),
        *(
            (name.replace("_", " "), one_line(value))
            for name in ("document_prefix", "query_prefix", "query_model")
            if (value := getattr(status, name))
        ),
        ("folders", ", ".join(near_path(root) for root in status.roots) or "none"),
        ("created", status.created),
        ("changed", f"{status.changed}, generation {number(status.generation)}"),
    ]
    for line in columns(rows):
        out(line)
    return DONE


@click.group("doctor", invoke_without_command=True)
@index_option
@json_option
@quiet_option
def doctor_command(index: str | None, as_json: bool, quiet: bool) -> int:
    """
    \b
    ragkit doctor
    ragkit doctor tls

    Read the whole index again, verify checksums, counts and caches, and say what mends what is wrong. Exit
    code 5 where something is. `doctor tls` looks at the hosts of the services instead.
    """
    if click.get_current_context().invoked_subcommand:
        return DONE
    from ragkit.store.engine import sqlite_finding

    with open_index(settings(index=index)) as rag:
        findings = [*rag.check(), sqlite_finding()]
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
            out(f"       run: {one_line(finding.hint)}" if not finding.ok else f"       {one_line(finding.hint)}")
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
