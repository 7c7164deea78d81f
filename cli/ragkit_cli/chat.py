"""chat: a conversation with the documents, at a terminal or one question a line from a pipe."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ragkit.errors import ConfigError, RagkitError
from ragkit.numbers import count
from ragkit.settings import NO_CHAT_MODEL
from ragkit_cli.answers import Streamed, print_answer
from ragkit_cli.exits import DONE, exit_of
from ragkit_cli.options import (
    index_option,
    limit_option,
    mode_option,
    open_index,
    quiet_option,
    route_of,
    route_option,
    settings,
    where_option,
)
from ragkit_cli.passages import print_hits
from ragkit_cli.render import escape, near_path, one_line, out, place, say, spent, style, write_error

if TYPE_CHECKING:
    from ragkit.dialogue import Dialogue
    from ragkit.rag import RAG

HELP = """/file PATH     ask about this file from now on; /file alone asks the index again
/sources       the passages that the last answer was made from
/save PATH     write the conversation to a new file, as JSON lines
/help          this
/quit          end; so does Ctrl-D. Ctrl-C stops an answer, or drops what is typed"""


@click.command("chat")
@limit_option("Passages to answer from; 6 unless the setting `passages` says else.")
@mode_option
@where_option
@route_option("retrieval")
@click.option("-m", "--model", metavar="NAME", help="The model that answers.")
@click.option(
    "--history", metavar="FILE", type=click.Path(), help="Go on with the conversation in this file, and keep it there."
)
@click.option("-v", "--verbose", is_flag=True, help="Show what a question that follows another is searched as.")
@index_option
@quiet_option
def chat_command(
    limit: int | None,
    mode: str | None,
    where: tuple[str, ...],
    route: str | None,
    model: str | None,
    history: str | None,
    verbose: bool,
    index: str | None,
    quiet: bool,
) -> int:
    """
    \b
    ragkit chat
    ragkit chat --history lease.jsonl -v
    ragkit chat < questions.txt

    Ask the documents one question after another; "and how long is it?" is understood from those before. Nothing
    is written unless a file is named. From a pipe, each line is a question; where one fails, the others are
    answered, and the exit code is that of the first failure.
    """
    from ragkit.dialogue import Dialogue  # help needs none of it
    from ragkit_cli import transcript

    chosen = settings(index=index, passages=limit, mode=mode, route=route, chat_model=model)
    kept = Path(history) if history else None
    turns = transcript.read(kept) if kept else []
    with _ended_in_order(), open_index(chosen) as rag:
        offline = rag.chat() is None
        with Dialogue(
            rag,
            session=chosen.session,
            turns=turns,
            k=chosen.passages,
            mode=chosen.mode,
            where=where,
            route=route_of(chosen),
        ) as dialogue:
            chat = Chat(dialogue, kept, verbose=verbose, quiet=quiet)
            if offline:
                say(f"No chat model is configured: answers quote the documents. For one, {NO_CHAT_MODEL}.", quiet=quiet)
            if sys.stdin.isatty():
                _greet(rag, len(turns), quiet=quiet)
                code = chat.at_a_terminal()
            else:
                code = chat.from_a_pipe()
        if dialogue.usage.total_tokens:
            say(style(f"All in all: {spent(dialogue.usage)}", "dim", sys.stderr), quiet=quiet)
    return code


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """A window that is closed, or a polite kill, ends the conversation as /quit does: what was uploaded is deleted."""

    def end(number: int, _: object) -> NoReturn:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # a second one does not break off the end
        raise SystemExit(128 + number)

    names = [name for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name)]
    before = {getattr(signal, name): signal.signal(getattr(signal, name), end) for name in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _greet(rag: RAG, turns: int, *, quiet: bool) -> None:
    try:
        documents = rag.status().documents
    except RagkitError as error:  # a file can be asked about without an index
        write_error(error.code, error.message, error.hint, as_json=False)
        return
    going_on = f" Going on after {count(turns, 'question')}." if turns else ""
    say(f"{count(documents, 'document')} in {near_path(str(rag.path))}.{going_on} /help lists what else.", quiet=quiet)


class Chat:
    """What becomes of each line."""

    def __init__(self, dialogue: Dialogue, kept: Path | None, *, verbose: bool, quiet: bool) -> None:
        self._dialogue = dialogue
        self._kept = kept
        self._verbose = verbose
        self._quiet = quiet
        self._saved: set[Path] = set()
        self._answered = False

    def at_a_terminal(self) -> int:
        """Until /quit or Ctrl-D. An interrupt ends the answer that is coming, or what was typed of a line."""
        for line in self._typed():
            try:
                if not self.take(line):
                    break
            except KeyboardInterrupt:
                say("Interrupted. Ask the next question, or end with Ctrl-D.")
            except (RagkitError, OSError) as error:
                _failed(error)
        return DONE

    def from_a_pipe(self) -> int:
        """To the end, or /quit. The exit code of the first line that failed."""
        code = DONE
        for number, line in enumerate(sys.stdin.buffer, 1):
            try:
                if not self.take(_decoded(line, number)):
                    break
            except (RagkitError, OSError) as error:
                failed = _failed(error, f"line {number}: ")
                code = code or failed
        return code

    def _typed(self) -> Iterator[str]:
        with suppress(ImportError):
            import readline  # noqa: F401 - `input` edits lines with it; not every Python has it
        while True:
            try:
                line = _read(f"{one_line(self._dialogue.file.name) if self._dialogue.file else ''}> ")
                line.encode()
            except EOFError:
                say("")
                return
            except KeyboardInterrupt:
                say("\nCtrl-D ends.")
                continue
            except UnicodeError:
                say("That line is not UTF-8.")
                continue
            yield line

    def take(self, line: str) -> bool:
        """Do what the line says; False where that is to end."""
        text = line.strip()
        if not text.startswith("/"):
            if text:
                self._ask(text)
            return True
        command, _, rest = text.partition(" ")
        path = _path(rest)
        if command == "/quit":
            return False
        if command == "/help":
            say(HELP)
        elif command == "/sources":
            self._sources()
        elif command == "/file":
            self._file(path)
        elif command == "/save":
            self._save(path)
        else:
            raise ConfigError(f"{command} is none of the commands", "/help lists them; a question begins with a word")
        return True

    def _ask(self, question: str) -> None:
        if self._answered:
            out()
        stream = Streamed(wanted=True, quiet=self._quiet)
        with stream:
            answer = self._dialogue.ask(question, stream.told, searching=self._searching)
        self._answered = True
        print_answer(answer, streamed=stream.shown, explain=False, quiet=self._quiet, advise=False)
        if self._kept:
            from ragkit_cli import transcript

            transcript.append(self._kept, self._dialogue.turns[-1])

    def _searching(self, rewritten: str) -> None:
        if self._verbose:
            say(f"Searching for: {one_line(rewritten)}")

    def _file(self, path: Path | None) -> None:
        self._dialogue.about(path)
        now = f"the file {one_line(str(path))}" if path else "the index"
        say(f"Questions are about {now} now.", quiet=self._quiet)

    def _sources(self) -> None:
        answer = self._dialogue.last
        if answer is None or not answer.hits:
            say("There are no sources: nothing was answered yet." if answer is None else "That answer has no sources.")
            return
        out()  # parts them from the answer
        if answer.mode == "attached":
            for hit in answer.hits:
                out(place(hit.chunk))
        else:
            print_hits(self._dialogue.rewritten or answer.question, list(answer.hits), explain=False)

    def _save(self, path: Path | None) -> None:
        from ragkit_cli import transcript

        if path is None:
            raise ConfigError("no file is named", "/save PATH")
        if not self._dialogue.turns:
            raise ConfigError("nothing was asked yet", "ask something first")
        transcript.save(path, self._dialogue.turns, again=path.absolute() in self._saved)
        self._saved.add(path.absolute())
        say(f"Saved {count(len(self._dialogue.turns), 'question')} to {escape(str(path))}", quiet=self._quiet)


def _failed(error: RagkitError | OSError, line: str = "") -> int:
    """Say what went wrong, in which line; the exit code that it would end another command with."""
    if isinstance(error, RagkitError):
        write_error(error.code, line + error.message, error.hint, as_json=False, usage=error.usage)
    else:
        where = f"{error.filename}: " if error.filename else ""
        write_error("os", f"{line}{where}{error.strerror or error}", "", as_json=False)
    return exit_of(error)


def _read(prompt: str) -> str:
    """A line from the terminal, edited with readline where it is there. The prompt never gets into what is written."""
    if sys.stdout.isatty():
        return input(prompt)
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _decoded(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 (byte {error.start})", "convert it, for example with iconv") from error


def _path(text: str) -> Path | None:
    """The rest of a command as a path, with ~ and without quotes around it; None where there is none."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    return Path(text).expanduser() if text else None
