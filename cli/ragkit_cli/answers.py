"""search and ask: a query in, passages or an answer out."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from ragkit.errors import ConfigError
from ragkit.settings import NO_CHAT_MODEL, ROUTES
from ragkit_cli.exits import DONE, NOTHING
from ragkit_cli.options import (
    exit_code_option,
    index_option,
    json_option,
    limit_option,
    mode_option,
    open_index,
    quiet_option,
    settings,
    text_of,
    where_option,
)
from ragkit_cli.render import (
    colours,
    count,
    cut,
    escape,
    excerpt,
    one_line,
    out,
    out_json,
    out_part,
    place,
    say,
    spent,
    style,
    width,
    wrap,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ragkit.messages import Delta
    from ragkit.rag import RAG
    from ragkit.types import Answer, Citation, Hit

LONGEST_QUOTE = 100  # columns of one that was not found
LINES_OF_A_HIT = 5  # of a passage's eight or so; `show` prints all of it

_WORD = re.compile(r"\w+")


@click.command("search")
@click.argument("query", nargs=-1, required=True)
@limit_option("Hits to show; 10 unless a setting says else.")
@mode_option
@where_option
@click.option("--explain", is_flag=True, help="Show what each way of searching made of every hit.")
@index_option
@json_option
@exit_code_option
@quiet_option
def search_command(
    query: tuple[str, ...],
    limit: int | None,
    mode: str | None,
    where: tuple[str, ...],
    explain: bool,
    index: str | None,
    as_json: bool,
    exit_code: bool,
    quiet: bool,
) -> int:
    """
    \b
    ragkit search "сроки возврата залога" -n 3
    ragkit search warranty -w "source=manuals/*" --json

    Find passages, by words and by likeness. The query may stand without quotes; `-` reads it from stdin. The
    number after # is for `ragkit show`.
    """
    text = text_of(query, "query")
    chosen = settings(index=index, limit=limit, mode=mode)
    with open_index(chosen) as rag:
        hits = rag.search(text, chosen.limit, mode=chosen.mode, where=where)
        related = _related(rag, hits)
    if as_json:
        from ragkit_cli import payload  # text needs no JSON

        found = [payload.of_hit(hit, explain=explain) for hit in hits]
        out_json("search", {"query": text, "mode": chosen.mode, "hits": found})
    elif related:
        print_hits(text, related, explain=explain)
    elif hits:
        say("Nothing found. No passage shares a word, or a part of one, with the query.", quiet=quiet)
    else:
        say("Nothing found." + (" The conditions leave out every passage that fits." if where else ""), quiet=quiet)
    return NOTHING if exit_code and not related else DONE


@click.command("ask")
@click.argument("question", nargs=-1, required=True)
@limit_option("Passages to answer from; 6 unless the setting `passages` says else.")
@mode_option
@where_option
@click.option("--file", "files", metavar="PATH", multiple=True, type=click.Path(), help="Ask about this file instead.")
@click.option("--route", type=click.Choice(ROUTES), help="Search in the file, or attach it; auto chooses by its size.")
@click.option("--keep", is_flag=True, help="Leave the file with the service, for the next question.")
@click.option("--functions", is_flag=True, help="Let the model use its own functions, which read several files.")
@click.option("--agentic", is_flag=True, help="Let the model search by itself, several times.")
@click.option("-m", "--model", metavar="NAME", help="The model that answers.")
@click.option("--explain", is_flag=True, help="Show the passages that the answer was made from.")
@index_option
@json_option
@exit_code_option
@quiet_option
def ask_command(
    question: tuple[str, ...],
    limit: int | None,
    mode: str | None,
    where: tuple[str, ...],
    files: tuple[str, ...],
    route: str | None,
    keep: bool,
    functions: bool,
    agentic: bool,
    model: str | None,
    explain: bool,
    index: str | None,
    as_json: bool,
    exit_code: bool,
    quiet: bool,
) -> int:
    """
    \b
    ragkit ask "В какой срок возвращается залог?"
    ragkit ask "How long is the warranty?" --json
    ragkit ask --file contract.pdf "Кто стороны договора?"

    Answer a question from the documents, each statement with its source. A chat model writes the answer where
    one is configured; otherwise it is made of the documents' own sentences. Refuses where the documents say
    nothing of it. The question may stand without quotes; `-` reads it from stdin.
    """
    text = text_of(question, "question")
    if files and (agentic or where):
        raise ConfigError("--file asks about a file, --agentic and --where about the index", "leave one of them out")
    if (route or keep or functions) and not files:
        raise ConfigError("--route, --keep and --functions are for files", "name one with --file")
    chosen = settings(index=index, passages=limit, mode=mode, route=route, chat_model=model)
    stream = Streamed(wanted=not as_json, quiet=quiet)
    with open_index(chosen) as rag, stream:
        if files:
            answer = rag.ask_file(
                files,
                text,
                chosen.passages,
                mode=chosen.mode,
                route=chosen.route,
                keep=keep,
                functions=functions,
                told=stream.told,
            )
        else:
            answer = rag.ask(text, chosen.passages, mode=chosen.mode, where=where, agentic=agentic, told=stream.told)
    if as_json:
        from ragkit_cli import payload  # text needs no JSON

        out_json("answer", payload.of_answer(answer, explain=explain))
    else:
        print_answer(answer, streamed=stream.shown, explain=explain, quiet=quiet, currency=chosen.currency)
    return NOTHING if exit_code and answer.status == "refused" else DONE


def _related(rag: RAG, hits: list[Hit]) -> list[Hit]:
    """The hits that mean something: the offline embedder is made of words, and near without any is near by chance."""
    from ragkit.ranking import is_offline  # the search has loaded it

    related = [hit for hit in hits if hit.scores.get("lexical", 1.0) > 0]
    return related if len(related) < len(hits) and is_offline(rag.status().embedding_model) else hits


def print_hits(query: str, hits: list[Hit], *, explain: bool) -> None:
    """Passages by number, with the lines that have most of the query."""
    from ragkit.words import terms  # the search has loaded it

    wanted = frozenset(terms(query))
    for number, hit in enumerate(hits, 1):
        if number > 1:
            out()
        heading = f"  › {one_line(hit.chunk.heading)}" if hit.chunk.heading else ""
        score = style(f"({hit.score:.2f})  #{hit.id}", "dim")
        out(f"{number}. {place(hit.chunk)}{heading}  {score}")
        if explain:
            out(f"   {_explanation(hit)}")
        lines = wrap(escape(hit.chunk.text), width() - 3)
        lines = [cut(line, width() - 3) for line in lines]
        for line in excerpt(lines, LINES_OF_A_HIT, lambda line: sum(term in wanted for term in terms(line))):
            out(f"   {_highlighted(line, wanted)}")


def _explanation(hit: Hit) -> str:
    def leg(name: str, score: float) -> str:
        rank = f" (place {hit.ranks[name]})" if name in hit.ranks else ""
        return f"{name} {score:.3f}{rank}"

    return " · ".join(leg(name, score) for name, score in hit.scores.items())


def _highlighted(line: str, wanted: frozenset[str]) -> str:
    """The line with the words of the query, in any inflection, in colour."""
    if not colours(sys.stdout):
        return line
    from ragkit.words import terms

    def in_colour(word: re.Match[str]) -> str:
        return word[0] if wanted.isdisjoint(terms(word[0])) else style(word[0], "yellow")

    return _WORD.sub(in_colour, line)


class Streamed:
    """The answer on the terminal while it is written, and news of what the model is doing beside it."""

    def __init__(self, *, wanted: bool, quiet: bool) -> None:
        self.shown = False
        self._quiet = quiet
        self.told: Callable[[Delta], None] | None = self._told if wanted and sys.stdout.isatty() else None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.shown and kind:  # what is said next begins on a line of its own
            out()

    def _told(self, delta: Delta) -> None:
        if delta.progress:
            say(style(one_line(delta.progress), "dim", sys.stderr), quiet=self._quiet)
        if delta.text:
            self.shown = True
            out_part(escape(delta.text))


def print_answer(
    answer: Answer, *, streamed: bool, explain: bool, quiet: bool, currency: str, advise: bool = True
) -> None:
    """The answer with its places; where no model wrote it, `advise` says how to get one."""
    if streamed:
        out()
    elif answer.status != "refused":
        out(escape(answer.text))
    if answer.status == "refused":
        if not (streamed and answer.text):
            out(escape(answer.text or answer.reason or "The documents do not answer this."))
        if answer.text and answer.reason:
            say(escape(answer.reason), quiet=quiet)
    else:
        if answer.citations:
            out()
        for citation in answer.citations:
            _print_citation(citation)
        if answer.reason:
            say(escape(answer.reason), quiet=quiet)
    if explain:
        _print_evidence(answer)
    for note in (*answer.notes, *answer.dropped):
        say(escape(note), quiet=quiet)
    if answer.mode == "extractive":
        if advise and answer.status != "refused":
            say(f"No chat model is configured: the answer quotes the documents. For one, {NO_CHAT_MODEL}.", quiet=quiet)
    else:
        by = f"{one_line(answer.model)}: " if answer.model else ""
        say(style(f"{by}{spent(answer.usage, currency)}", "dim", sys.stderr), quiet=quiet)


def _print_citation(citation: Citation) -> None:
    if citation.verification == "not_found":
        where = f"{citation.marker} {one_line(citation.source)}".strip()
        out(f"{where}  {style('not found', 'red')}: “{cut(one_line(citation.quote), LONGEST_QUOTE)}”")
    else:
        out(f"{citation.marker} {place(citation)}")


def _print_evidence(answer: Answer) -> None:
    out()
    out(f"Made from {count(len(answer.hits), 'passage')}, {_timings(answer.timings)}:")
    for hit in answer.hits:
        out(f"  #{hit.id}  {place(hit.chunk)}  ({hit.score:.2f})  {_explanation(hit)}".rstrip())


def _timings(timings: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in timings.items())
