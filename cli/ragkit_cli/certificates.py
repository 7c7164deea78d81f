"""doctor tls: how the hosts of the configured services prove who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragkit_cli.exits import DONE, PROVIDER
from ragkit_cli.options import json_option, quiet_option, settings
from ragkit_cli.render import one_line, out, out_json, say, style

if TYPE_CHECKING:
    from ragkit.providers.inspection import Seen
    from ragkit.settings import Settings


@click.command("tls")
@json_option
@quiet_option
def tls_command(as_json: bool, quiet: bool) -> int:
    """
    \b
    ragkit doctor tls

    Connect to the hosts of the configured services, show the certificates that they prove themselves with, and
    say what mends what is wrong. No key is sent. Exit code 6 where something is wrong.
    """
    found = _looked_at(settings())
    well = all(seen.ok for seen, _ in found)
    if as_json:
        out_json("tls", {"ok": well, "hosts": [_payload(seen, roles) for seen, roles in found]})
        return DONE if well else PROVIDER
    for seen, roles in found:
        if not (quiet and seen.ok):
            _print(seen, roles)
    if not found:
        say("No service is configured: nothing is sent anywhere.", quiet=quiet)
    return DONE if well else PROVIDER


def _looked_at(chosen: Settings) -> list[tuple[Seen, list[str]]]:
    """Every host once, with the roles that it fills."""
    from dataclasses import replace

    from ragkit.providers.inspection import inspect
    from ragkit.services import GIGACHAT, OFFLINE, ROLES, connect, provider_of

    chosen = replace(chosen, verify=True, gigachat_verify=True)  # who switched it off is to learn what to do instead
    roles = [*ROLES, *(["rerank"] if chosen.rerank == "api" else [])]
    hosts: dict[tuple[str, str], tuple[Seen, list[str]]] = {}
    for role in roles:
        name = provider_of(chosen, role)
        if name == OFFLINE or (role == "rerank" and name == GIGACHAT):
            continue
        setting = "GIGACHAT_CA_BUNDLE_FILE (gigachat_ca_file)" if name == GIGACHAT else "RAGKIT_CA_FILE (ca_file)"
        with connect(chosen, role) as service:
            for connection in service.connections:
                if not connection.base_url:
                    continue
                key = (connection.base_url, setting)
                if key not in hosts:
                    hosts[key] = inspect(connection, setting), []
                hosts[key][1].append(role)
    return list(hosts.values())


def _print(seen: Seen, roles: list[str]) -> None:
    mark = style("ok   ", "green") if seen.ok else style("wrong", "red")
    about = ", ".join(filter(None, (seen.protocol, f"through {seen.proxy}" if seen.proxy else "", *roles)))
    out(f"{mark}  {one_line(seen.host)}:{seen.port}  {one_line(about)}")
    out(f"       {one_line(seen.message)}")
    for each in seen.chain:
        out(f"       {one_line(each.subject)}")
        out(f"         issued by {one_line(each.issuer)}, {each.not_before:%Y-%m-%d} to {each.not_after:%Y-%m-%d}")
        out(f"         SHA-256 {each.sha256}")
    if seen.hint:
        out(f"       fix: {one_line(seen.hint)}")


def _payload(seen: Seen, roles: list[str]) -> dict[str, object]:
    return {
        "host": seen.host,
        "port": seen.port,
        "roles": roles,
        "ok": seen.ok,
        "state": seen.state,
        "message": seen.message,
        "hint": seen.hint,
        "protocol": seen.protocol,
        "proxy": seen.proxy,
        "chain": [
            {
                "subject": each.subject,
                "issuer": each.issuer,
                "not_before": f"{each.not_before:%Y-%m-%dT%H:%M:%SZ}",
                "not_after": f"{each.not_after:%Y-%m-%dT%H:%M:%SZ}",
                "sha256": each.sha256,
            }
            for each in seen.chain
        ],
    }
