"""The text of an uploaded file, as far as the standard library goes: txt, md and docx; others are described."""

from __future__ import annotations

import html
import io
import re
import zipfile

from ragkit.sandbox.filestore import IMAGE, File
from ragkit.sandbox.pictures import dimensions

MOST = 5_000_000  # characters of a document's XML that are looked at
_DECODED = ("txt", "md")


def text_of(file: File) -> str | None:
    """The text, or None for what is not read here."""
    suffix = file.name.rpartition(".")[2].lower()
    if suffix in _DECODED:
        try:
            return file.content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return file.content.decode("cp1251", "replace")
    return _docx(file.content) if suffix == "docx" else None


def describe(file: File, *, russian: bool) -> str:
    """A plain statement about a file that is not read."""
    size = len(file.content)
    if file.kind == IMAGE:
        seen = dimensions(file.content)
        return (
            f"Это изображение {file.name}: {seen}, {size} байт."
            if russian
            else (f"This is an image, {file.name}: {seen}, {size} bytes.")
        )
    return (
        f"Это файл {file.name}, {size} байт; песочница его не читает."
        if russian
        else (f"This is the file {file.name}, {size} bytes; the sandbox does not read it.")
    )


def _docx(content: bytes) -> str | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package, package.open("word/document.xml") as part:
            xml = part.read(MOST).decode("utf-8", "replace")
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, OSError):  # damaged, encrypted, no docx
        return None
    paragraphs = re.split(r"</w:p>", xml)
    return "\n\n".join(
        html.unescape("".join(re.findall(r"<w:t(?: [^>]*)?>([^<]*)</w:t>", part))) for part in paragraphs
    )
