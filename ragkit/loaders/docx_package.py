"""The zip of a docx: its parts, bounded. It knows nothing of what the parts say."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from typing import BinaryIO

from ragkit.errors import LoadError
from ragkit.loaders.limits import unreadable
from ragkit.loaders.markup import Element, attribute, children, parse_xml
from ragkit.loaders.sniff import check_kind

_MAX_ENTRIES = 20_000
_MAX_PART = 100 << 20  # bytes of XML
_MAX_RATIO = 200  # XML of Word compresses 10 to 30 times
_RATIO_FROM = 1 << 20
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ANEW = "open it in its program, save it anew and index again"


class Package:
    """The parts of an opened docx. `faults` collects what was damaged in those that were read."""

    def __init__(self, stream: BinaryIO) -> None:
        """Raises UnreadableDocument for another format, an encrypted file, a damaged one, a bomb."""
        _check_ole(stream)
        check_kind(stream, "a Word document", b"PK\x03\x04")
        try:
            self._zip = zipfile.ZipFile(stream)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise unreadable(f"it is damaged: {error}", _ANEW) from error
        entries = self._zip.infolist()
        if len(entries) > _MAX_ENTRIES:
            raise unreadable(f"it has {len(entries)} parts, the limit is {_MAX_ENTRIES}", _ANEW, "too_large")
        self._entries = {entry.filename.lstrip("/").lower(): entry for entry in entries}
        self.faults: list[str] = []
        self.main = self._main_name()
        self._own = self._relations(self.main)

    def _main_name(self) -> str:
        for _, kind, target in self._relations(""):
            if kind == "officeDocument" and target.lower() in self._entries:
                return target
        if "word/document.xml" in self._entries:
            return "word/document.xml"
        kind = next((kind for folder, kind in _OTHER_KINDS.items() if self._has_folder(folder)), "")
        if kind:
            raise unreadable(f"it is not a Word document but {kind}", "give it the suffix of its kind", "misnamed")
        raise unreadable("it has no word/document.xml", _ANEW)

    def _has_folder(self, folder: str) -> bool:
        return any(name.startswith(folder) for name in self._entries)

    def _relations(self, part: str) -> list[tuple[str, str, str]]:
        """(id, last word of the kind, part name) of each relation of `part`; "" for the package itself."""
        folder, name = posixpath.split(part)
        root = self.tree(posixpath.join(folder, "_rels", f"{name}.rels"))
        if root is None:
            return []
        return [
            (
                attribute(relation, "Id"),
                attribute(relation, "Type").rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, attribute(relation, "Target"))).lstrip("/"),
            )
            for relation in children(root, "Relationship")
            if attribute(relation, "TargetMode") != "External"
        ]

    def related(self, kind: str) -> str:
        """The name of the main part's part of a kind ("styles", "footnotes"), or the name that Word gives it."""
        return next((target for _, found, target in self._own if found == kind), f"word/{kind}.xml")

    def related_id(self, identity: str) -> str:
        """The name of the part that the main part refers to by this id, or ""."""
        return next((target for found, _, target in self._own if found == identity), "")

    def read(self, name: str) -> bytes | None:
        """A part's bytes, None where there is no such part. Raises UnreadableDocument for a bomb or damage."""
        entry = self._entries.get(name.lower())
        if entry is None:
            return None
        if entry.flag_bits & 1:
            raise unreadable("it is encrypted", "remove the password and index again", "encrypted")
        ratio = entry.file_size / max(entry.compress_size, 1)
        if entry.file_size > _MAX_PART or (entry.file_size > _RATIO_FROM and ratio > _MAX_RATIO):
            size = f"{entry.file_size >> 20} MiB from {entry.compress_size >> 10} KiB"
            raise unreadable(f"{name} unpacks to {size}, as attacks do", _ANEW, "too_large")
        try:
            with self._zip.open(entry) as part:
                data = part.read(_MAX_PART + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
            raise unreadable(f"{name} is damaged: {error}", _ANEW) from error
        if len(data) > _MAX_PART:
            raise unreadable(f"{name} unpacks to more than {_MAX_PART >> 20} MiB", _ANEW, "too_large")
        return data

    def optional(self, name: str) -> bytes | None:
        """As `read`, for a part that the text can do without: a damaged one counts as absent, and is in `faults`."""
        try:
            return self.read(name)
        except LoadError as error:
            self.faults.append(error.message)
            return None

    def tree(self, name: str) -> Element | None:
        """An optional part as XML."""
        data = self.optional(name)
        try:
            return None if data is None else self._parsed(data, name)
        except LoadError as error:
            self.faults.append(error.message)
            return None

    def main_tree(self) -> Element:
        """The main part. Raises UnreadableDocument where nothing of it can be read."""
        return self._parsed(self.read(self.main) or b"", self.main)

    def _parsed(self, data: bytes, name: str) -> Element:
        root, fault = parse_xml(data, name)
        if fault:
            self.faults.append(fault)
        return root


_OTHER_KINDS = {"xl/": "a spreadsheet (.xlsx)", "ppt/": "a presentation (.pptx)", "content.xml": "an .odt document"}


def _check_ole(stream: BinaryIO) -> None:
    """Encrypted docx files and old .doc files are both OLE containers."""
    stream.seek(0)
    if stream.read(len(_OLE)) != _OLE:
        return
    stream.seek(0)
    if "EncryptedPackage".encode("utf-16-le") in stream.read(1 << 26):
        raise unreadable("it is encrypted", "remove the password and index again", "encrypted")
    raise unreadable("it is an old .doc file", "save it as .docx", "misnamed")
