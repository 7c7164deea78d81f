"""What was uploaded and kept, by content: the same bytes are not sent to the same account twice.

A small file of the user's own, for ids outlive the index and the folder that a file was in. Names of accounts are
fingerprints, so it gives no key away.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from ragkit.errors import NotFound, RagkitError
from ragkit.messages import RemoteFile
from ragkit.protocols import FileStore

_BLOCK = 1 << 20


def default_place(environ: dict[str, str] | None = None) -> Path:
    """Where programs of this system keep what they remember between runs."""
    environ = dict(os.environ) if environ is None else environ
    if sys.platform == "win32" and environ.get("LOCALAPPDATA"):
        return Path(environ["LOCALAPPDATA"]) / "ragkit" / "uploads.json"
    state = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "ragkit" / "uploads.json"


class Uploads:
    """Files kept with a service. The file at `place` is read and written as a whole; two writers lose no file
    with the service, only the memory of it.
    """

    def __init__(self, place: Path) -> None:
        self._place = place

    def upload(self, store: FileStore, path: Path) -> tuple[RemoteFile, bool]:
        """The file with the service, and whether it was there already."""
        key = _key(store, path)
        id = self._read().get(key)
        if id:
            with suppress(NotFound):  # deleted meanwhile, from elsewhere
                return store.file(id), True
            self.forget(id)
        return store.upload(path), False

    def remember(self, store: FileStore, path: Path, file: RemoteFile) -> None:
        """The file stays with the service; the next upload of these bytes finds it."""
        self._write({**self._read(), _key(store, path): file.id})

    def forget(self, id: str) -> None:
        """The file is gone from the service."""
        known = self._read()
        if id in known.values():
            self._write({key: kept for key, kept in known.items() if kept != id})

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._place.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}  # no memory, or one that cannot be read, costs an upload and no more
        return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}

    def _write(self, known: dict[str, str]) -> None:
        self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=self._place.parent, delete=False) as draft:  # mode 0600
            json.dump(known, draft)
        Path(draft.name).replace(self._place)


class Lent(Uploads):
    """Uploads for as long as a conversation: what was there before stays, what it brings itself goes at its end."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._own: dict[str, tuple[FileStore, str]] = {}

    def upload(self, store: FileStore, path: Path) -> tuple[RemoteFile, bool]:
        """As of any uploads; a file that the conversation brought itself does not count as there already."""
        key = _key(store, path)
        if key in self._own:
            with suppress(NotFound):
                return store.file(self._own[key][1]), False
            del self._own[key]
        file, known = super().upload(store, path)
        if not known:
            self._own[key] = (store, file.id)
        return file, known

    def remember(self, store: FileStore, path: Path, file: RemoteFile) -> None:
        """Nothing is kept for longer than the conversation."""

    def forget(self, id: str) -> None:
        """The file is gone from the service."""
        self._own = {key: (store, own) for key, (store, own) in self._own.items() if own != id}
        super().forget(id)

    def give_back(self) -> list[RagkitError]:
        """Delete what the conversation brought; gives what went wrong, each with the id of the file that stays."""
        failed = []
        while self._own:
            key, (store, id) = next(iter(self._own.items()))
            try:
                store.delete(id)
            except NotFound:
                pass  # deleted meanwhile, from elsewhere
            except RagkitError as error:
                hint = f"ragkit files delete {id}"
                failed.append(RagkitError(f"a file may still be with the service: {error.message}", hint))
            del self._own[key]
        return failed


def _key(store: FileStore, path: Path) -> str:
    """Account, name and content: the name tells the service the format."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return f"{store.account}/{digest.hexdigest()}/{path.suffix.lower()}"
