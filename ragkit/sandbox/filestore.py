"""The files of all clients, in memory: who owns them, what kind they are, how large they may be."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from ragkit.sandbox.wire import Refusal

MEGABYTE = 1_000_000
TEXT, IMAGE, AUDIO = "text", "image", "audio"
LIMITS = {TEXT: 40 * MEGABYTE, IMAGE: 15 * MEGABYTE, AUDIO: 35 * MEGABYTE}

# suffix -> (kind, media types that IANA or common use give it)
OFFICE = "application/vnd.openxmlformats-officedocument."
SUFFIXES: dict[str, tuple[str, tuple[str, ...]]] = {
    "txt": (TEXT, ("text/plain",)),
    "md": (TEXT, ("text/markdown", "text/plain")),
    "doc": (TEXT, ("application/msword",)),
    "docx": (TEXT, (f"{OFFICE}wordprocessingml.document",)),
    "pdf": (TEXT, ("application/pdf",)),
    "epub": (TEXT, ("application/epub+zip", "application/epub")),
    "ppt": (TEXT, ("application/vnd.ms-powerpoint", "application/ppt")),
    "pptx": (TEXT, (f"{OFFICE}presentationml.presentation",)),
    "xlsx": (TEXT, (f"{OFFICE}spreadsheetml.sheet",)),
    "jpg": (IMAGE, ("image/jpeg", "image/jpg")),
    "jpeg": (IMAGE, ("image/jpeg", "image/jpg")),
    "png": (IMAGE, ("image/png",)),
    "tiff": (IMAGE, ("image/tiff",)),
    "tif": (IMAGE, ("image/tiff",)),
    "bmp": (IMAGE, ("image/bmp", "image/x-ms-bmp")),
    "mp3": (AUDIO, ("audio/mpeg", "audio/mp3")),
    "mp4": (AUDIO, ("audio/mp4", "video/mp4")),
    "m4a": (AUDIO, ("audio/mp4", "audio/m4a", "audio/x-m4a")),
    "wav": (AUDIO, ("audio/wav", "audio/x-wav", "audio/vnd.wave")),
    "weba": (AUDIO, ("audio/webm",)),
    "ogg": (AUDIO, ("audio/ogg",)),
    "opus": (AUDIO, ("audio/opus", "audio/ogg")),
}


@dataclass(frozen=True, slots=True)
class File:
    """One stored file; a drawn image remembers the X-Client-ID it was made under."""

    id: str
    name: str
    media_type: str
    kind: str
    content: bytes
    purpose: str
    owner: str
    created_at: int
    made_under: str | None = None
    secret: bool = False  # not shown in lists: what the model drew


class FileStore:
    """All files by id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, File] = {}

    def reset(self) -> None:
        with self._lock:
            self._files.clear()

    def add(
        self,
        id: str,
        name: str,
        content: bytes,
        *,
        media_type: str,
        kind: str,
        owner: str,
        purpose: str = "general",
        made_under: str | None = None,
        drawn: bool = False,
    ) -> File:
        file = File(id, name, media_type, kind, content, purpose, owner, int(time.time()), made_under, drawn)
        with self._lock:
            self._files[id] = file
        return file

    def get(self, id: str, owner: str) -> File:
        """The file of that id.

        Raises:
            Refusal: 404 for an unknown id, 403 for a file of another client.
        """
        with self._lock:
            file = self._files.get(id)
        if file is None:
            raise Refusal(404, f"File not found: {id}")
        if file.owner != owner:
            raise Refusal(403, "Permission denied")
        return file

    def of(self, owner: str) -> list[File]:
        """The uploads of one client, oldest first."""
        with self._lock:
            return [file for file in self._files.values() if file.owner == owner and not file.secret]

    def remove(self, id: str) -> None:
        with self._lock:
            self._files.pop(id, None)


def kind_of(name: str, media_type: str) -> tuple[str, str]:
    """(kind, media type) of an upload.

    Raises:
        Refusal: 400 for a suffix that is not taken, or a media type that is another suffix's.
    """
    suffix = name.rpartition(".")[2].lower()
    if "." not in name or suffix not in SUFFIXES:
        raise Refusal(400, f"Bad request: unsupported file format of {name!r}")
    kind, types = SUFFIXES[suffix]
    plain = media_type.partition(";")[0].strip().lower()
    if plain in ("", "application/octet-stream"):
        raise Refusal(400, f"Bad request: the media type of {name!r} is missing; it is {types[0]}")
    if plain not in types:
        raise Refusal(400, f"Bad request: {plain} is not the media type of {name!r}; it is {types[0]}")
    return kind, types[0]
