"""An answer from whole files that are given to the model, instead of passages of an index."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragkit.errors import ConfigError, RagkitError
from ragkit.generative import Told, completed, read
from ragkit.messages import Message, Picture
from ragkit.prompts import about_file
from ragkit.protocols import FileStore
from ragkit.types import Answer

if TYPE_CHECKING:
    from ragkit.messages import ChatOptions, RemoteFile
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
IMAGES = frozenset({*PICTURES, ".tif", ".tiff", ".bmp"})


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
    if not isinstance(chat, FileStore):
        messages = _inline(question, paths, load)
        return read(
            question, completed(chat, [rules, *messages], options=options, told=told), (), "attached", cites=False
        )
    notes: list[str] = []
    with ExitStack() as after:
        ids = []
        for path in paths:
            file, known = uploads.upload(chat, path)
            ids.append(file.id)
            if keep:
                _remember(uploads, chat, path, file, notes)
            elif not known:
                after.callback(_delete, chat, uploads, file.id, path, notes)
            if known:
                notes.append(f"{path.name} was there already, and was not uploaded again")
        messages = _attached(question, paths, ids)
        if functions:
            answer = read(
                question, chat.complete([rules, *messages], function_call="auto", options=options), (), "attached"
            )
        else:
            answer = read(
                question, completed(chat, [rules, *messages], options=options, told=told), (), "attached", cites=False
            )
    return replace(answer, notes=(*answer.notes, *notes))


def _attached(question: str, paths: Sequence[Path], ids: Sequence[str]) -> list[Message]:
    """Documents go with the question; of images one goes with each message, the last with the question."""
    if not is_image(paths[0]):
        return [Message("user", question, attachments=tuple(ids))]
    *before, last = zip(paths, ids, strict=True)
    return [
        *(Message("user", path.name, attachments=(id,)) for path, id in before),
        Message("user", question, attachments=(last[1],)),
    ]


def _inline(question: str, paths: Sequence[Path], load: Callable[[Path], Document]) -> list[Message]:
    if is_image(paths[0]):
        return [Message("user", question, pictures=tuple(map(_picture, paths)))]
    texts = []
    for path in paths:
        text = load(path).text
        if len(text) > LONGEST_TEXT:
            raise ConfigError(
                f"{path.name} has {len(text)} characters, and {LONGEST_TEXT} fit into a question",
                "index it and ask the index: ragkit index FILE",
            )
        texts.append(f"{path.name}\n\n{text}")
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
