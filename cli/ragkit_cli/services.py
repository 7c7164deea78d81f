"""models, tokens, image and files: what a service offers beside answers, straight from it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragkit.errors import ConfigError, LoadError
from ragkit.numbers import count, number
from ragkit_cli import payload
from ragkit_cli.exits import DONE, FAILED, PARTLY
from ragkit_cli.options import json_option, open_index, quiet_option, settings, text_of
from ragkit_cli.render import columns, escape, moment, one_line, out, out_json, say, size, spent, style, write_error
from ragkit_cli.saving import save

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragkit.messages import RemoteFile, TokenCount
    from ragkit.protocols import FileStore
    from ragkit.settings import Settings

model_option = click.option("-m", "--model", metavar="NAME", help="The model, by the name that its service gives it.")


@click.command("models")
@click.option("--balance", is_flag=True, help="What is left of the tokens that were paid for, instead of the models.")
@json_option
@quiet_option
def models_command(balance: bool, as_json: bool, quiet: bool) -> int:
    """
    \b
    ragkit models
    ragkit models --balance

    List the models of the service, each with its kind where the service tells it.
    """
    from ragkit.services import connect

    service = connect(settings())
    if balance:
        left = service.balance()
        if as_json:
            out_json("balance", {"balance": [{"usage": each.usage, "value": each.value} for each in left]})
        for line in [] if as_json else columns([(one_line(each.usage), number(round(each.value))) for each in left]):
            out(line)
        return DONE
    models = service.models()
    if as_json:
        listed = [{"id": each.id, "type": each.type, "owner": each.owner} for each in models]
        out_json("models", {"models": listed})
        return DONE
    for line in columns([(one_line(each.id), one_line(each.type), one_line(each.owner)) for each in models]):
        out(line)
    say(count(len(models), "model"), quiet=quiet)
    return DONE


@click.command("tokens")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@model_option
@json_option
@quiet_option
def tokens_command(files: tuple[str, ...], model: str | None, as_json: bool, quiet: bool) -> int:
    """
    \b
    ragkit tokens contract.pdf
    echo "Сколько это токенов?" | ragkit tokens -

    Count the tokens of documents as the service's model counts them, which GigaChat does for free. Where a
    service cannot count, the numbers are estimates, and marked with ≈.
    """
    chosen = settings(chat_model=model)
    texts: list[tuple[str, str]] = []
    unread: list[LoadError] = []
    if files == ("-",):
        texts.append(("-", text_of(files, "text")))
    else:
        with open_index(chosen) as rag:
            for file in files:
                try:
                    texts.append((file, rag.read_file(file).text))
                except LoadError as error:
                    unread.append(error)
    if unread and not texts:
        raise unread[0]
    counts, counted = _counted(chosen, [text for _, text in texts])
    rows = [(name, found) for (name, _), found in zip(texts, counts, strict=True)]
    _print_tokens(rows, counted=counted, as_json=as_json, quiet=quiet)
    for each in unread:
        write_error(each.code, each.message, each.hint, as_json=as_json)
    return PARTLY if unread else DONE


def _print_tokens(counts: Sequence[tuple[str, TokenCount]], *, counted: bool, as_json: bool, quiet: bool) -> None:
    total = sum(each.tokens for _, each in counts)
    if as_json:
        rows = [{"file": name, "tokens": each.tokens, "characters": each.characters} for name, each in counts]
        out_json("tokens", {"files": rows, "total": total, "counted": counted})
        return
    about = "" if counted else "≈"
    rows_shown = [
        (f"{about}{number(each.tokens)}", count(each.characters, "character"), one_line(name)) for name, each in counts
    ]
    for line in columns(rows_shown):
        out(line)
    if len(counts) > 1:
        say(f"{about}{count(total, 'token')} in all", quiet=quiet)


def _counted(chosen: Settings, texts: Sequence[str]) -> tuple[list[TokenCount], bool]:
    """How long the texts are, and whether that was counted by the service."""
    from ragkit.services import OFFLINE, connect, provider_of

    if provider_of(chosen, "chat") == OFFLINE:
        from ragkit.providers.lengths import estimates

        return estimates(texts), False
    return connect(chosen).count_tokens(texts)


@click.command("image")
@click.argument("prompt", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="FILE", required=True, type=click.Path(dir_okay=False), help="Where to save it."
)
@model_option
@click.option("--system", metavar="TEXT", help='Who draws, for GigaChat: "Ты — Василий Кандинский".')
@click.option("-n", "--number", "wanted", type=click.IntRange(1, 10), default=1, help="Pictures to make; 1.")
@click.option("--size", "shape", metavar="WxH", help="1024x1024, for services that take a size.")
@click.option("--quality", metavar="WORD", help="standard or hd, for services that take one.")
@click.option("--style", "manner", metavar="WORD", help="vivid or natural, for services that take one.")
@json_option
@quiet_option
def image_command(
    prompt: tuple[str, ...],
    output: str,
    model: str | None,
    system: str | None,
    wanted: int,
    shape: str | None,
    quality: str | None,
    manner: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """
    \b
    ragkit image "розовый кот" -o cat.jpg
    ragkit image "a lighthouse at night" --size 1792x1024 --quality hd -o lighthouse.png

    Draw a picture: with GigaChat's own text2image, or with the images API of an OpenAI-compatible service.
    Several pictures are saved as cat-1.jpg, cat-2.jpg and so on.
    """
    from ragkit.messages import ImageOptions
    from ragkit.metering import metered
    from ragkit.services import connect

    text = text_of(prompt, "prompt")
    place = Path(output)
    if not place.parent.is_dir():
        raise ConfigError(f"{place.parent} is no folder", "save the picture into one that exists")
    chosen = settings(image_model=model)
    options = ImageOptions(n=wanted, size=shape or "", quality=quality or "", style=manner or "", system=system or "")
    rows = []
    names = [place] if wanted == 1 else [place.with_stem(f"{place.stem}-{n}") for n in range(1, wanted + 1)]
    made = [name for name in names if not name.exists()]
    for name in names:  # before anything is paid for
        name.open("ab").close()
    with metered() as meter:
        try:
            for name, image in zip(names, connect(chosen, "image").generate(text, options), strict=False):
                save(name, image.data)  # at once: a later one may fail
                rows.append(payload.of_image(str(name), image))
                if not as_json:
                    out(f"{one_line(str(name))}  {size(len(image.data))}  {image.media_type}".rstrip())
                for words in filter(None, (image.text, image.revised_prompt)):
                    say(escape(words), quiet=quiet or as_json)
        finally:
            for name in made:
                if not name.stat().st_size:
                    name.unlink()
            if as_json and rows:
                out_json("image", {"prompt": text, "images": rows, "usage": payload.of_usage(meter.usage)})
    if meter.usage.total_tokens:
        say(style(spent(meter.usage), "dim", sys.stderr), quiet=quiet or as_json)
    return DONE


@click.group("files", context_settings={"help_option_names": ["-h", "--help"]})
def files_command() -> None:
    """
    \b
    ragkit files list
    ragkit files upload contract.pdf

    Files that GigaChat keeps for you, which `ragkit ask --file` uploads and deletes by itself.
    """


def _store() -> FileStore:
    from ragkit.protocols import FileStore
    from ragkit.services import connect

    service = connect(settings())
    if not isinstance(service, FileStore):
        raise ConfigError("the configured service keeps no files", "set chat_provider to gigachat, with its key")
    return service


@files_command.command("list")
@json_option
@quiet_option
def list_files(as_json: bool, quiet: bool) -> int:
    """List the files of the account."""
    found = _store().files()
    if as_json:
        out_json("files", {"files": [payload.of_remote_file(each) for each in found]})
        return DONE
    for line in columns([_row(each) for each in found]):
        out(line)
    say(count(len(found), "file"), quiet=quiet)
    return DONE


@files_command.command("upload")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@json_option
def upload_files(paths: tuple[str, ...], as_json: bool) -> int:
    """Upload documents or images; prints their ids."""
    store = _store()
    found: list[RemoteFile] = []
    try:
        for path in paths:
            found.append(store.upload(path))
            if not as_json:  # at once: a later one may fail
                out("  ".join(_row(found[-1])))
    finally:
        if as_json and found:
            out_json("files", {"files": [payload.of_remote_file(each) for each in found]})
    return DONE


@files_command.command("get")
@click.argument("id")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Where to save it; its own name.")
@quiet_option
def get_file(id: str, output: str | None, quiet: bool) -> int:
    """Download a file, or a picture that the model drew."""
    store = _store()
    place = Path(output) if output else Path(Path(store.file(id).name).name or id)
    if output is None and place.exists():
        raise ConfigError(f"{place} is there already", "name another place with -o")
    save(place, store.content(id))
    out(one_line(str(place)))
    say(size(place.stat().st_size), quiet=quiet)
    return DONE


@files_command.command("show")
@click.argument("id")
@json_option
def show_file(id: str, as_json: bool) -> int:
    """Show what the service says of a file."""
    found = _store().file(id)
    if as_json:
        out_json("files", {"files": [payload.of_remote_file(found)]})
    else:
        out("  ".join(_row(found)))
    return DONE


@files_command.command("delete")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@json_option
def delete_files(ids: tuple[str, ...], as_json: bool) -> int:
    """Delete files from the service."""
    store = _store()
    gone: list[str] = []
    try:
        for id in ids:
            if store.delete(id):
                gone.append(id)
                if not as_json:  # at once: a later one may fail
                    out(one_line(id))
    finally:
        if as_json:
            out_json("deleted", {"deleted": gone})
    return DONE if len(gone) == len(ids) else FAILED


def _row(file: RemoteFile) -> tuple[str, ...]:
    when = moment(file.created) if file.created else ""
    return (one_line(file.id), size(file.size), when, one_line(file.name))
