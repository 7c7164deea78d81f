"""Files that a service keeps: its replies about them, and what kinds and sizes it takes. It opens no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ragkit.errors import BadResponse, ConfigError
from ragkit.messages import RemoteFile
from ragkit.providers.wire.shapes import as_object, items, moment, needed_text, text, whole

MEGABYTE = 1024 * 1024
# What the service documents at the time of writing; it changes, so callers may bring their own.
LIMITS: Mapping[str, int] = {"text": 40 * MEGABYTE, "image": 15 * MEGABYTE, "audio": 35 * MEGABYTE}

_OFFICE = "application/vnd.openxmlformats-officedocument"
# Suffix -> IANA media type. The service's own page has those of doc and docx the wrong way round.
_TEXTS = {
    "txt": "text/plain",
    "md": "text/plain",  # the service's list has no Markdown; a Markdown file is plain text too
    "doc": "application/msword",
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "pdf": "application/pdf",
    "epub": "application/epub+zip",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": f"{_OFFICE}.presentationml.presentation",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
}
_IMAGES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
}
_AUDIO = {
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "m4a": "audio/mp4",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
}


@dataclass(frozen=True, slots=True)
class FileType:
    """`kind` is "text", "image" or "audio": limits and rules go by it."""

    media_type: str
    kind: str


TYPES: Mapping[str, FileType] = {
    suffix: FileType(media_type, kind)
    for kind, table in (("text", _TEXTS), ("image", _IMAGES), ("audio", _AUDIO))
    for suffix, media_type in table.items()
}


def file_type(name: str | PurePath) -> FileType:
    """The type of a file by the ending of its name. Raises ConfigError where the service takes none of that kind."""
    path = PurePath(name)
    found = TYPES.get(path.suffix.lower().removeprefix("."))
    if found is None:
        ending = f"the ending {path.suffix!r}" if path.suffix else "no ending"
        raise ConfigError(f"{path.name!r} has {ending}, which the service does not take", f"it takes {_accepted()}")
    return found


def check_upload(name: str | PurePath, size: int, *, limits: Mapping[str, int] = LIMITS) -> FileType:
    """The type of a file that may be uploaded; `size` and `limits` are in bytes, by kind.

    Raises ConfigError for a file that is empty, too large, or of a kind that the service does not take.
    """
    found = file_type(name)
    limit = limits.get(found.kind)
    if size <= 0:
        raise ConfigError(f"{PurePath(name).name!r} is empty", "upload a file with something in it")
    if limit is not None and size > limit:
        raise ConfigError(
            f"{PurePath(name).name!r} has {size} bytes, the most for {found.kind} is {limit}",
            "upload a smaller file, or a part of it",
        )
    return found


def _accepted() -> str:
    kinds: dict[str, list[str]] = {}
    for suffix, found in TYPES.items():
        kinds.setdefault(found.kind, []).append(suffix)
    return "; ".join(f"{kind}: {', '.join(suffixes)}" for kind, suffixes in kinds.items())


def remote_file(reply: object) -> RemoteFile:
    """One file as the service describes it."""
    fields = as_object(reply, "the description of a file")
    return RemoteFile(
        id=needed_text(fields, "id", "a file"),
        name=text(fields, "filename", "name"),
        size=whole(fields.get("bytes")),
        created=moment(fields.get("created_at")),
        purpose=text(fields, "purpose"),
        access=text(fields, "access_policy"),
    )


def remote_files(reply: object) -> list[RemoteFile]:
    """All files, in the order of the reply."""
    return [remote_file(item) for item in items(reply, "data", "the list of files")]


def deleted(reply: object) -> bool:
    """Whether the service says that the file is gone."""
    fields: Mapping[str, Any] = as_object(reply, "the reply")
    said = fields.get("deleted")
    if not isinstance(said, bool):
        raise BadResponse("the service does not say whether it deleted the file", "list the files to see")
    return said
