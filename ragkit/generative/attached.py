"""An answer from whole files that are given to the model, instead of passages of an index."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ragkit.answers import Answer
from ragkit.errors import ConfigError, LoadError, RagkitError
from ragkit.generative import Told, after, answered
from ragkit.messages import Message, Picture
from ragkit.numbers import number
from ragkit.prompts import about_file
from ragkit.protocols import FileStore
from ragkit.providers.wire.files import TYPES
from ragkit.types import Chunk, Hit

if TYPE_CHECKING:
    from ragkit.messages import ChatOptions, FunctionChoice, RemoteFile
    from ragkit.protocols import ChatModel
    from ragkit.types import Document
    from ragkit.uploads import Uploads

MOST_IMAGES = 10  # in one request, by GigaChat's documentation
LONGEST_TEXT = 200_000  # characters that are put into a message, where a service keeps no files
PICTURES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
IMAGES = frozenset({*PICTURES, *(f".{suffix}" for suffix, known in TYPES.items() if known.kind == "image")})


def check(paths: Sequence[Path], *, keeps_files: bool, functions: bool) -> None:
    """Raises ConfigError for what a service would refuse, or would leave out without a word."""
    if not paths:
        raise ConfigError("no file is named", "name a document or an image")
    for path in paths:
        if not path.is_file():
            raise ConfigError(f"{path} is no file", "name a document or an image")
    pictures = [path for path in paths if is_image(path)]
    texts = [path for path in paths if not is_image(path)]
    if pictures and texts:
        raise ConfigError(
            f"{pictures[0].name} is an image and {texts[0].name} a document", "ask about images and documents apart"
        )
    if len(texts) > 1 and keeps_files and not functions:
        raise ConfigError(
            f"{len(texts)} documents are attached, and the model reads the first one only",
            "ask about one, or allow it the functions that read several: --functions",
        )
    if len(pictures) > MOST_IMAGES:
        raise ConfigError(f"{len(pictures)} images are attached", f"one request takes {MOST_IMAGES}")


def is_image(path: Path) -> bool:
    """Whether a file is sent as an image, by the ending of its name."""
    return path.suffix.lower() in IMAGES


def from_files(
    chat: ChatModel,
    question: str,
    paths: Sequence[Path],
    *,
    uploads: Uploads,
    load: Callable[[Path], Document],
    keep: bool = False,
    functions: bool = False,
    history: Sequence[Message] = (),
    options: ChatOptions | None = None,
    told: Told | None = None,
) -> Answer:
    """Upload, ask, delete. What was uploaded and kept before is used again, and stays; `keep` keeps these too.

    A service that keeps no files gets pictures inside the message, and the text of documents as our loaders read it.

    Raises:
        ConfigError: a file or a number of files that cannot be asked about; nothing was sent.
    """
    check(paths, keeps_files=isinstance(chat, FileStore), functions=functions)
    rules = Message("system", about_file(question))
    notes: list[str] = []
    documents = _read(paths, load, notes)
    # Each document is one source, as our own loaders read it: quotes of the answer are looked up there.
    hits = [Hit(0, Chunk(each.source, 0, len(each.text), each.text), 1.0) for each in documents.values()]
    ask = partial(answered, chat, question, document=documents.__getitem__, cites=False, options=options, told=told)
    if not isinstance(chat, FileStore):
        return ask(after(history, [rules, *_inline(question, paths, documents)]), hits, "attached")
    with ExitStack() as later:
        ids = []
        for path in paths:
            file, known = uploads.upload(chat, path)
            ids.append(file.id)
            if keep:
                _remember(uploads, chat, path, file, notes)
            elif not known:
                later.callback(_delete, chat, uploads, file.id, path, notes)
            if known:
                notes.append(f"{path.name} was there already, and was not uploaded again")
        messages = after(history, [rules, *_attached(question, paths, ids)])
        choice: FunctionChoice = "auto" if functions else "none"
        answer = ask(messages, hits, "attached", function_call=choice)
    return replace(answer, notes=(*answer.notes, *notes))


def _read(paths: Sequence[Path], load: Callable[[Path], Document], notes: list[str]) -> dict[str, Document]:
    """The documents among the files, by name, or by path where two have one name; what we cannot read is noted."""
    documents: dict[str, Document] = {}
    for path in paths:
        if not is_image(path):
            source = str(path) if path.name in documents else path.name
            try:
                documents[source] = replace(load(path), source=source)
            except LoadError as error:
                notes.append(f"quotes could not be checked: {error.message}")
    return documents


def _attached(question: str, paths: Sequence[Path], ids: Sequence[str]) -> list[Message]:
    """Documents go with the question; of images one goes with each message, the last with the question."""
    if not is_image(paths[0]):
        return [Message("user", question, attachments=tuple(ids))]
    *before, last = zip(paths, ids, strict=True)
    return [
        *(Message("user", path.name, attachments=(id,)) for path, id in before),
        Message("user", question, attachments=(last[1],)),
    ]


def _inline(question: str, paths: Sequence[Path], documents: Mapping[str, Document]) -> list[Message]:
    if is_image(paths[0]):
        return [Message("user", question, pictures=tuple(map(_picture, paths)))]
    for document in documents.values():
        if len(document.text) > LONGEST_TEXT:
            raise ConfigError(
                f"{document.source} has {number(len(document.text))} characters, "
                f"and {number(LONGEST_TEXT)} fit into a question",
                "index it and ask the index: ragkit index FILE",
            )
    texts = [f"{document.source}\n\n{document.text}" for document in documents.values()]
    if not texts:
        raise ConfigError("none of the files can be read", "name a text, a PDF or a docx")
    return [Message("user", "\n\n".join([*texts, question]))]


def _picture(path: Path) -> Picture:
    media_type = PICTURES.get(path.suffix.lower())
    if media_type is None:
        raise ConfigError(f"{path.name} cannot be sent inside a message", f"convert it to {', '.join(PICTURES)}")
    return Picture(path.read_bytes(), media_type)


def _remember(uploads: Uploads, store: FileStore, path: Path, file: RemoteFile, notes: list[str]) -> None:
    """Failing to remember costs an upload next time, not this answer."""
    try:
        uploads.remember(store, path, file)
    except OSError as error:
        notes.append(f"that {path.name} is kept as {file.id} could not be remembered: {error.strerror}")


def _delete(store: FileStore, uploads: Uploads, id: str, path: Path, notes: list[str]) -> None:
    """What is not kept is deleted, whatever became of the question; an interrupt does not leave it there unsaid."""
    left = f"{path.name} may still be with the service: ragkit files delete {id}"
    try:
        try:
            store.delete(id)
        except KeyboardInterrupt:
            logging.getLogger("ragkit").warning(left)
            store.delete(id)
            raise
        uploads.forget(id)
    except (RagkitError, OSError) as error:
        notes.append(f"{left} ({error})")
