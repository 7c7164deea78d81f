"""The door of the command line: a table of the commands, and what becomes of an error.

A command's module is imported when that command runs, so that help, completion and every other command do
not pay for it. Everything raised on purpose ends here as one message and one exit code.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from ragkit.errors import ConfigError, RagkitError
from ragkit_cli.exits import DONE, FAILED, INTERRUPTED, USAGE, exit_of
from ragkit_cli.hints import remember_index
from ragkit_cli.render import OutputClosed, escape, remember_currency, say, write_error

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "ragkit"
COMPLETION = "_RAGKIT_COMPLETE"  # the variable through which the shell asks for completions

# command -> the module of ragkit_cli that holds `<command>_command`, and one line of help
COMMANDS = {
    "index": ("documents", "Bring the index up to date with a folder of documents."),
    "search": ("answers", "Find passages, by words and by likeness."),
    "ask": ("answers", "Answer a question from the documents, with the places."),
    "chat": ("chat", "Ask one question after another, about documents or a file."),
    "status": ("upkeep", "Show what the index holds."),
    "list": ("documents", "List the documents, and what could not be read."),
    "show": ("documents", "Print a passage with its neighbours, or a document."),
    "remove": ("documents", "Take documents out of the index; files stay."),
    "doctor": ("upkeep", "Verify the index and say what mends it."),
    "eval": ("evaluate", "Measure search and answers on your own questions."),
    "map": ("pictures", "Draw the index as a picture."),
    "models": ("services", "List the models of the service, or what is left on the account."),
    "tokens": ("services", "Count the tokens of documents."),
    "image": ("services", "Draw a picture."),
    "files": ("services", "Files that the service keeps: list, upload, get, show, delete."),
    "sandbox": ("sandbox", "Serve a stand-in for GigaChat and OpenAI on this machine."),
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
    _need_utf8()
    # A short process need not look for cycles among the objects that its imports made. A long one, as `index` may be,
    # still collects.
    gc.set_threshold(100_000, 10, 10)
    _end(main())


def _end(code: int) -> NoReturn:
    """Leave at once: taking numpy and tantivy apart costs a fifth of a cold search, and all is closed by now."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # `main` has flushed what was printed, and said what went wrong
            stream.flush()
    atexit._run_exitfuncs()  # temporary folders and logs are put away as ever
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    _open_streams()
    remember_index(None)
    remember_currency("")
    if COMPLETION in os.environ:
        _complete()
    as_json = "--json" in args[: args.index("--")] if "--" in args else "--json" in args
    try:
        try:
            _check_utf8(args)
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
    except (KeyboardInterrupt, click.Abort) as stop:
        hint = "run the same command again to continue"
        write_error("interrupted", "interrupted", hint, as_json=as_json, usage=getattr(stop, "usage", None))
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.UsageError as error:
        named = f"{PROGRAM} {args[0]}" if args and args[0] in COMMANDS else PROGRAM  # click does not always say
        path = error.ctx.command_path if error.ctx else named
        write_error("usage", error.format_message(), f"{path} --help", as_json=as_json)
        return USAGE
    except RagkitError as error:
        write_error(error.code, error.message, error.hint, as_json=as_json, usage=error.usage)
        return exit_of(error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        write_error("os", f"{place}{error.strerror or error}", "", as_json=as_json)
        return FAILED
    except Exception as error:  # noqa: BLE001 - what is left is a mistake of ours; it is said, and the command ends
        _write_bug(error, as_json=as_json)
        return FAILED
    return result if isinstance(result, int) else DONE


def _write_bug(error: Exception, *, as_json: bool) -> None:
    import traceback  # needed for a mistake only

    message = f"a mistake in ragkit itself: {type(error).__name__}: {error}"
    hint = "please report it, with the traceback that the command prints " + ("without --json" if as_json else "here")
    write_error("bug", message, hint, as_json=as_json)
    if not as_json:
        from ragkit.redaction import redacted

        say(escape(redacted("".join(traceback.format_exception(error)).rstrip())))


def _complete() -> NoReturn:
    from click.shell_completion import shell_complete

    sys.exit(shell_complete(commands, {}, PROGRAM, COMPLETION, os.environ[COMPLETION]))


def _need_utf8() -> None:
    """Start again in UTF-8 mode where Python takes names for ASCII and would hand Russian ones on as surrogates.

    Python does so by itself in the C locale, unless it was told not to.
    """
    if sys.getfilesystemencoding() == "ascii" and os.environ.get("PYTHONUTF8") != "1":
        os.execve(  # noqa: S606 - the same interpreter with the same arguments
            sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONUTF8": "1"}
        )


def _check_utf8(args: Sequence[str]) -> None:
    """Refuse what nothing in an index can be called: bytes that are not UTF-8 come from Python as surrogates."""
    for arg in args:
        try:
            arg.encode()
        except UnicodeEncodeError as error:
            shown = os.fsencode(arg).decode("utf-8", "backslashreplace") if os.name == "posix" else repr(arg)
            message = f"the argument {shown} is not UTF-8"
            raise NotUtf8(message, "give it in UTF-8; a file or folder has to be renamed") from error


class NotUtf8(ConfigError):
    """An argument in another encoding."""

    code = "usage"


def _open_streams() -> None:
    """Standard streams in UTF-8; one that the shell has closed, as `>&-` does, becomes the null device."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
        elif name != "stdin":
            _speak_utf8(stream)


def _speak_utf8(stream: TextIO) -> None:
    # A Windows pipe would be cp1251 or cp866. What UTF-8 cannot say (half a surrogate pair, from a file's name) is
    # escaped as \udc.. rather than refused, which is also how JSON writes it.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace")
