"""index, list, show and remove: the documents of an index and what became of them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from ragkit.errors import ConfigError, RagkitError
from ragkit.filters import meant
from ragkit.numbers import count, number
from ragkit.types import Usage
from ragkit_cli import payload
from ragkit_cli.exits import DONE, FAILED, PARTLY
from ragkit_cli.hints import with_index
from ragkit_cli.options import index_option, json_option, open_index, quiet_option, settings, where_option
from ragkit_cli.passages import print_document, print_neighbours
from ragkit_cli.render import one_line, out, out_json, problem, say, size, table
from ragkit_cli.reports import print_report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ragkit.rag import RAG
    from ragkit.reports import DocumentInfo, IndexReport

_LONGEST_NUMBER = 18  # digits; no passage has a longer one


class NotIndexed(RagkitError):
    """The command is well formed, but the index does not have what it names."""

    code = "not_indexed"


@contextmanager
def _in_the_index() -> Iterator[None]:
    """For the library a name that it does not know is a wrong argument; here the words of the command were right."""
    try:
        yield
    except ConfigError as error:
        raise NotIndexed(error.message, error.hint) from error


@click.command("index")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True))
@click.option("--dry-run", is_flag=True, help="Say what would change and what it would cost, and change nothing.")
@click.option("--reembed", is_flag=True, help="Move the index to the embedding model that is configured now.")
@click.option("--embed-model", metavar="NAME", help="The model that makes vectors, by its service's name for it.")
@click.option("--max-tokens", metavar="N", type=click.IntRange(min=0), help="Stop before more is billed than that.")
@click.option(
    "--max-cost", metavar="MONEY", type=click.FloatRange(min=0), help="The same in money; embed_price is set."
)
@index_option
@json_option
@quiet_option
@click.option("-v", "--verbose", is_flag=True, help="Name every file that changed, with what was decided for it.")
def index_command(
    paths: tuple[str, ...],
    dry_run: bool,
    reembed: bool,
    embed_model: str | None,
    max_tokens: int | None,
    max_cost: float | None,
    index: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """
    \b
    ragkit index ~/docs
    ragkit index ~/docs --dry-run
    ragkit index --reembed

    Bring the index up to date with a folder of documents: what is new or changed is read, what is gone is
    removed, what is unchanged costs nothing. Interrupt it and run it again at any time. Exit code 3 where a
    file or a page could not be read, 6 where a service or a limit stopped it; what was paid for is kept.
    """
    from ragkit_cli.progress import bar

    if not paths and not reembed:
        raise ConfigError("no folder is named", "name one to index, or --reembed")
    chosen = settings(index=index, embed_model=embed_model)
    reports: list[IndexReport] = []
    try:
        with open_index(chosen) as rag:
            for path in ([""] if reembed else []) + list(paths):
                run = partial(rag.index_folder, path, moved=reembed) if path else rag.reembed
                spent = sum((report.usage for report in reports), Usage())
                left_tokens = None if max_tokens is None else max(0, max_tokens - spent.total_tokens)
                left_cost = None if max_cost is None else max(0.0, max_cost - spent.cost)
                shown = bar(path or str(chosen.index), wanted=not (quiet or as_json), currency=chosen.currency)
                with shown as progress:
                    reports.append(run(progress=progress, dry_run=dry_run, max_tokens=left_tokens, max_cost=left_cost))
                if not as_json:  # at once: a later folder may fail
                    print_report(reports[-1], dry_run=dry_run, quiet=quiet, verbose=verbose)
    finally:
        if as_json and reports:
            folders = map(payload.of_report, reports)
            out_json("index", {"index": str(chosen.index), "dry_run": dry_run, "folders": folders})
    if not (as_json or dry_run) and any(report.new + report.changed + report.unchanged for report in reports):
        say(with_index('Next: ragkit ask "your question"'), quiet=quiet)
    return DONE if all(report.complete for report in reports) else PARTLY


@click.command("list")
@where_option
@click.option("--failed", is_flag=True, help="Only documents of which something is not in the index.")
@index_option
@json_option
@quiet_option
def list_command(where: tuple[str, ...], failed: bool, index: str | None, as_json: bool, quiet: bool) -> int:
    """
    \b
    ragkit list -w "source=contracts/*"
    ragkit list --failed

    List the documents of the index, and what of them could not be read.
    """
    with open_index(settings(index=index)) as rag:
        found = rag.documents(where)
    if failed:
        found = [info for info in found if info.problems]
    if as_json:
        out_json("list", {"documents": map(payload.of_info, found)})
        return DONE
    for line in () if failed else table(found, _row):
        out(line)
    tell = out if failed else partial(say, quiet=quiet)
    for info in found:
        for each in info.problems:
            tell(f"{one_line(info.source)}   {problem(each)}")
    say(count(len(found), "document") + (" with problems" if failed else ""), quiet=quiet)
    return DONE


def _row(info: DocumentInfo) -> list[str]:
    pages = count(info.pages, "page") if info.pages is not None else ""
    return [one_line(info.source), size(info.size), pages, count(info.chunks, "chunk"), one_line(info.title)]


@click.command("show")
@click.argument("what", metavar="ID|SOURCE")
@click.option("-p", "--page", metavar="N", type=click.IntRange(min=1), help="Only this page of a document.")
@index_option
@json_option
def show_command(what: str, page: int | None, index: str | None, as_json: bool) -> int:
    """
    \b
    ragkit show 42
    ragkit show contracts/lease.pdf --page 3

    Print a passage with its neighbours, by the number that `search` shows after #, or the text of a document
    with the line numbers that citations use.
    """
    number_given = what.removeprefix("#")
    with open_index(settings(index=index)) as rag, _in_the_index():
        if number_given.isascii() and number_given.isdigit() and len(number_given) <= _LONGEST_NUMBER:
            if page is not None:
                raise click.UsageError("--page goes with a document, not with a passage")
            hits = rag.neighbours(int(number_given))
            if as_json:
                out_json("show", {"id": int(number_given), "passages": [payload.of_hit(hit) for hit in hits]})
            else:
                print_neighbours(int(number_given), hits)
            return DONE
        document = rag.document(what)
    if as_json and page is None:
        out_json("document", payload.of_document(document))
    elif as_json:
        raise click.UsageError("--page is for reading; page_starts in the JSON says where each page begins")
    else:
        print_document(document, page)
    return DONE


@click.command("remove")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Name what would be removed, and remove nothing.")
@index_option
@json_option
@quiet_option
def remove_command(
    sources: tuple[str, ...], yes: bool, dry_run: bool, index: str | None, as_json: bool, quiet: bool
) -> int:
    """
    \b
    ragkit remove "drafts/*" --dry-run
    ragkit remove old.pdf -y

    Take documents out of the index. The files stay where they are, and come back with the next `ragkit index`
    of their folder. SOURCE is a name as `ragkit list` shows it; * stands for any characters.
    """
    with open_index(settings(index=index)) as rag:
        named = _named(rag, sources)
        if not (dry_run or yes or _agreed(named)):
            named = []
        if named and not dry_run:
            rag.remove(*named)
    if as_json:
        out_json("remove", {"dry_run": dry_run, "removed": named})
    for source in [] if as_json else named:
        out(one_line(source))
    if not named:
        say("Nothing removed.", quiet=quiet or as_json)
        return FAILED
    say(f"{'Would remove' if dry_run else 'Removed'} {count(len(named), 'document')}", quiet=quiet or as_json)
    return DONE


def _named(rag: RAG, sources: tuple[str, ...]) -> list[str]:
    """What is meant, each once, in the order given."""
    listed = [info.source for info in rag.documents()]  # files that gave nothing among them
    found: dict[str, None] = {}
    for source in sources:
        names = meant(source, listed)
        if not names:
            raise NotIndexed(f"{source!r} is not in the index, and nothing was removed", "see what is: ragkit list")
        found.update(dict.fromkeys(names))
    return list(found)


def _agreed(named: list[str]) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"{count(len(named), 'document')} would be removed, and there is no terminal to ask at", "add --yes"
        )
    shown = ", ".join(map(one_line, named[:5])) + (f" and {number(len(named) - 5)} more" if len(named) > 5 else "")
    return click.confirm(f"Remove {shown} from the index?", err=True)
