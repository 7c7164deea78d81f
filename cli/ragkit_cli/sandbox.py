"""sandbox: a local server that speaks GigaChat and OpenAI, for trying things without a key."""

from __future__ import annotations

import difflib
import re
import shlex
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from ragkit.errors import ConfigError
from ragkit_cli.exits import DONE
from ragkit_cli.options import json_option
from ragkit_cli.render import out, out_json, say

if TYPE_CHECKING:
    from ragkit.sandbox import Sandbox

TICK = 0.5  # seconds: Windows sees Ctrl-C only between two waits
_FAULT = re.compile(r"(?P<name>[\w-]+)(?::(?P<times>\d{1,9}|all))?(?:@(?P<path>/\S*))?")


def _list_faults(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from ragkit.sandbox import FAULTS

    width = max(map(len, FAULTS))
    for name, fault in FAULTS.items():
        out(f"{name:{width}}  {fault.meaning}")
    ctx.exit()


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--credentials", metavar="KEY", help="The only GigaChat key that works; otherwise any does.")
@click.option("--api-key", metavar="KEY", help="The only OpenAI-style key that works; otherwise any does.")
@click.option("--slots", type=click.IntRange(1), help="Requests at once; more are answered with 429.")
@click.option("--latency", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Of every request.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:TIMES][@PATH]",
    help="Let the next requests meet a fault, as 429:2@/embeddings; TIMES is 1, or `all`.",
)
@click.option(
    "--list-faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_faults,
    help="Show the faults and what they do.",
)
@json_option
def sandbox_command(
    port: int,
    credentials: str | None,
    api_key: str | None,
    slots: int | None,
    latency: float,
    faults: tuple[str, ...],
    as_json: bool,
) -> int:
    """
    \b
    ragkit sandbox --port 8080
    ragkit sandbox --slots 1 --fault 429-retry-after:2@/embeddings

    Serve the GigaChat API and the OpenAI-compatible routes on 127.0.0.1, without a key, a network or a model: for
    trying ragkit, and for testing programs against errors that are hard to come by. Prints the variables to set,
    and serves until Ctrl-C.
    """
    from ragkit.sandbox import Sandbox

    wanted = [_parse(text) for text in faults]
    sandbox = Sandbox(port, credentials=credentials, api_key=api_key, slots=slots, latency=latency)
    for name, times, path in wanted:
        sandbox.inject(name, times=times, path=path)
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    try:
        _start(sandbox, port)
        try:
            _announce(sandbox.environment(), as_json=as_json)
            say(f"The sandbox serves at {sandbox.url}. Ctrl-C ends it.", quiet=as_json)
            while not ended.wait(TICK):
                pass
        finally:
            sandbox.close()
    finally:
        signal.signal(signal.SIGTERM, before)
    return DONE


def _start(sandbox: Sandbox, port: int) -> None:
    try:
        sandbox.start()
    except OSError as error:
        message = f"the sandbox cannot listen on port {port}: {error.strerror or error}"
        raise ConfigError(message, "choose another with --port, or --port 0 for a free one") from error


def _announce(variables: dict[str, str], *, as_json: bool) -> None:
    """The variables for a shell to take over, at once: whoever started us waits for them."""
    if as_json:
        out_json("sandbox", {"environment": variables})
    else:
        for name, value in variables.items():
            out(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()


def _parse(text: str) -> tuple[str, int | None, str | None]:
    """NAME[:TIMES][@PATH] as (name, times, path); times is None for all."""
    from ragkit.sandbox import FAULTS

    found = _FAULT.fullmatch(text)
    name = found["name"] if found else text
    if found is None or name not in FAULTS:
        near = difflib.get_close_matches(name, FAULTS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(
            f"{text!r} is not a fault written NAME[:TIMES][@PATH]", f"{hint}ragkit sandbox --list-faults shows all"
        )
    times = found["times"] or "1"
    if times == "0":
        raise ConfigError(f"{text!r} would never happen", "give a number of times above 0, or `all`")
    return name, None if times == "all" else int(times), found["path"]
