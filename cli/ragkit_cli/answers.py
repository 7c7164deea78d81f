"""search and ask: a query in, passages or an answer out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ragkit.errors import ConfigError, ProviderError
from ragkit.numbers import count
from ragkit.settings import NO_CHAT_MODEL
from ragkit_cli.exits import DONE, NOTHING
from ragkit_cli.hints import with_index
from ragkit_cli.options import (
    exit_code_option,
    index_option,
    json_option,
    limit_option,
    mode_option,
    open_index,
    quiet_option,
    route_of,
    route_option,
    settings,
    text_of,
    where_option,
)
from ragkit_cli.passages import explanation, print_hits
from ragkit_cli.render import cut, escape, one_line, out, out_json, out_part, place, say, spent, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ragkit.answers import Answer, Citation
    from ragkit.messages import Delta
    from ragkit.settings import Settings
    from ragkit.types import Hit

LONGEST_QUOTE = 100  # columns of one that was not found
MOST_NEAREST = 3  # passages that are named where a question is refused


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
        try:
            hits = rag.search(text, chosen.limit, mode=chosen.mode, where=where)
        except ProviderError as error:
            if chosen.mode != "lexical" and chosen.rerank == "off":
                error.hint = "; ".join(filter(None, [error.hint, "--mode lexical searches without it"]))
            raise
    related = _related(chosen, hits)
    if as_json:
        from ragkit_cli import payload  # text needs no JSON

        found = [payload.of_hit(hit, explain=explain) for hit in hits]
        out_json("search", {"query": text, "mode": chosen.mode, "hits": found})
    elif related:
        print_hits(text, related, explain=explain)
    elif hits:
        which = " that fulfils the conditions" if where else ""
        say(f"Nothing found. No passage{which} shares a word, or a part of one, with the query.", quiet=quiet)
    else:
        say("Nothing found." + (" The conditions leave out every passage that fits." if where else ""), quiet=quiet)
    return NOTHING if exit_code and not related else DONE


@click.command("ask")
@click.argument("question", nargs=-1, required=True)
@limit_option("Passages to answer from; 6 unless the setting `passages` says else.")
@mode_option
@where_option
@click.option("--file", "files", metavar="PATH", multiple=True, type=click.Path(), help="Ask about this file instead.")
@route_option("retrieval, but auto for a file")
@click.option("--max-cost", metavar="MONEY", type=click.FloatRange(min=0), help="What the question may cost.")
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
    max_cost: float | None,
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
    ragkit ask --route auto -w "source=contracts/*" "Чем отличаются договоры?"
    ragkit ask --file contract.pdf "Кто стороны договора?"

    Answer a question from the documents, each statement with its source. A chat model writes the answer where
    one is configured; otherwise it is made of the documents' own sentences. Refuses where the documents say
    nothing of it. The question may stand without quotes; `-` reads it from stdin.
    """
    text = text_of(question, "question")
    if files and (agentic or where):
        raise ConfigError("--file asks about a file, --agentic and --where about the index", "leave one of them out")
    if (keep or functions) and not files:
        raise ConfigError("--keep and --functions are for files", "name one with --file")
    if agentic and (route or max_cost is not None):
        raise ConfigError("--agentic asks as often as the model likes", "leave it out, or --route and --max-cost")
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
                max_cost=max_cost,
                told=stream.told,
            )
        else:
            answer = rag.ask(
                text,
                chosen.passages,
                mode=chosen.mode,
                where=where,
                route=None if agentic else route_of(chosen),
                max_cost=max_cost,
                agentic=agentic,
                told=stream.told,
            )
    if as_json:
        from ragkit_cli import payload  # text needs no JSON

        out_json("answer", payload.of_answer(answer, explain=explain))
    else:
        print_answer(answer, streamed=stream.shown, explain=explain, quiet=quiet)
    return NOTHING if exit_code and answer.status == "refused" else DONE


def _related(chosen: Settings, hits: list[Hit]) -> list[Hit]:
    """The hits that mean something: the offline embedder is made of words, and near without any is near by chance."""
    from ragkit.services import OFFLINE, provider_of  # the search has loaded it

    offline = provider_of(chosen, "embed") == OFFLINE  # the embedder is the index's, or the search had raised
    return [hit for hit in hits if hit.scores.get("lexical", 1.0) > 0] if offline else hits


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


def print_answer(answer: Answer, *, streamed: bool, explain: bool, quiet: bool, advise: bool = True) -> None:
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
    elif answer.status == "refused":
        _say_nearest(answer, quiet=quiet)
    for note in (*answer.notes, *answer.dropped):
        say(escape(with_index(note)), quiet=quiet)
    if answer.mode == "extractive":
        if advise and answer.status != "refused":
            say(f"No chat model is configured: the answer quotes the documents. For one, {NO_CHAT_MODEL}.", quiet=quiet)
    else:
        by = f"{one_line(answer.model)}: " if answer.model else ""
        say(style(f"{by}{spent(answer.usage)}", "dim", sys.stderr), quiet=quiet)


def _print_citation(citation: Citation) -> None:
    if citation.verification == "not_found":
        where = f"{citation.marker} {one_line(citation.source)}".strip()
        out(f"{where}  {style('not found', 'red')}: “{cut(one_line(citation.quote), LONGEST_QUOTE)}”")
    else:
        out(f"{citation.marker} {place(citation)}")


def _say_nearest(answer: Answer, *, quiet: bool) -> None:
    nearest = [hit for hit in answer.hits if hit.id][:MOST_NEAREST]
    if nearest:
        say("The nearest passages:", quiet=quiet)
    for hit in nearest:
        heading = f"  › {one_line(hit.chunk.heading)}" if hit.chunk.heading else ""
        say(f"  #{hit.id}  {place(hit.chunk)}{heading}", quiet=quiet)


def _print_evidence(answer: Answer) -> None:
    out()
    read = "document" if answer.mode == "attached" else "passage"
    made = "Refused after reading" if answer.status == "refused" else "Made from"
    out(f"{made} {count(len(answer.hits), read)}, {_timings(answer.timings)}:")
    for hit in answer.hits:
        if not hit.id:  # a whole document, which nobody searched for
            out(f"  {one_line(hit.chunk.source)}")
            continue
        out(f"  #{hit.id}  {place(hit.chunk)}  ({hit.score:.2f})  {explanation(hit)}".rstrip())


def _timings(timings: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in timings.items())
