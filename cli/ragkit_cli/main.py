"""The door of the command line: a table of the commands, and what becomes of an error.

A command's module is imported when that command runs, so that help, completion and every other command do
not pay for it. Everything raised on purpose ends here as one message and one exit code.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from ragkit.errors import ConfigError, RagkitError, StoreError
from ragkit_cli.exits import DONE, FAILED, INDEX, INTERRUPTED, USAGE
from ragkit_cli.render import OutputClosed, write_error

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "ragkit"
COMPLETION = "_RAGKIT_COMPLETE"  # the variable through which the shell asks for completions

# command -> the module of ragkit_cli that holds `<command>_command`, and one line of help
COMMANDS = {
    "index": ("documents", "Bring the index up to date with a folder of documents."),
    "search": ("answers", "Find passages, by words and by likeness."),
    "ask": ("answers", "Answer a question from the documents, with the places."),
    "status": ("upkeep", "Show what the index holds."),
    "list": ("documents", "List the documents, and what could not be read."),
    "show": ("documents", "Print a passage with its neighbours, or a document."),
    "remove": ("documents", "Take documents out of the index; files stay."),
    "doctor": ("upkeep", "Verify the index and say what mends it."),
    "config": ("upkeep", "Show every setting, its value and where it was said."),
    "completion": ("completion", "Print the script that completes commands in your shell."),
}


class Commands(click.Group):
    """The commands of the table, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command itself, or None for a name that is not in the table."""
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        found = getattr(import_module(f"ragkit_cli.{COMMANDS[cmd_name][0]}"), f"{cmd_name}_command")
        assert isinstance(found, click.Command)  # noqa: S101 - a slip in the table above, found by its test
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown name is answered with the nearest one in every version of click."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {args[0]!r}.{_nearest(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The table, without importing what it names."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


def _nearest(name: str) -> str:
    import difflib  # needed for a mistake only

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        import ragkit

        click.echo(f"{PROGRAM} {ragkit.__version__}")
        ctx.exit()


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="The help of every command begins with an example: ragkit index --help",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def commands() -> None:
    """
    \b
    ragkit index ~/docs
    ragkit ask "В какой срок возвращается залог?"

    Index a folder of documents, Russian or English, and ask it questions. Every answer can be checked.
    """


def console() -> NoReturn:
    """The program: one command, one process."""
    # A short process need not look for cycles among the objects that its imports made, nor once more at its end.
    # A long one, as `index` may be, still collects.
    gc.set_threshold(100_000, 10, 10)
    code = main()
    gc.freeze()
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        _speak_utf8(stream)
    if COMPLETION in os.environ:
        _complete()
    as_json = "--json" in args[: args.index("--")] if "--" in args else "--json" in args
    try:
        try:
            with commands.make_context(PROGRAM, args) as ctx:
                result = commands.invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise OutputClosed from error
    except OutputClosed:  # `| head` has seen enough: no error, and nothing may be said at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        write_error("interrupted", "interrupted", "run the same command again to continue", as_json=as_json)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        write_error("usage", error.format_message(), f"{path} --help", as_json=as_json)
        return USAGE
    except RagkitError as error:
        write_error(error.code, error.message, error.hint, as_json=as_json)
        return USAGE if isinstance(error, ConfigError) else INDEX if isinstance(error, StoreError) else FAILED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        write_error("os", f"{place}{error.strerror or error}", "", as_json=as_json)
        return FAILED
    return result if isinstance(result, int) else DONE


def _complete() -> NoReturn:
    from click.shell_completion import shell_complete

    sys.exit(shell_complete(commands, {}, PROGRAM, COMPLETION, os.environ[COMPLETION]))


def _speak_utf8(stream: TextIO) -> None:
    # A Windows pipe would be cp1251 or cp866. What UTF-8 cannot say (half a surrogate pair, from a file's name) is
    # escaped as \udc.. rather than refused, which is also how JSON writes it.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace")
