"""completion: the script that lets the shell complete commands and options."""

from __future__ import annotations

import click

from ragkit_cli.exits import DONE
from ragkit_cli.render import out


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> int:
    """
    \b
    ragkit completion bash > ~/.local/share/bash-completion/completions/ragkit
    ragkit completion zsh > "${fpath[1]}/_ragkit"
    ragkit completion fish > ~/.config/fish/completions/ragkit.fish

    Print the script that completes commands and options in your shell.
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    maker = get_completion_class(shell)
    if maker is None:
        raise click.UsageError(f"No completion for {shell}.")
    out(maker(root.command, {}, "ragkit", "_RAGKIT_COMPLETE").source())
    return DONE
