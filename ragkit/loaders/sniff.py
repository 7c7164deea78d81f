"""What kind of file the first bytes belong to, whatever its name says."""

from __future__ import annotations

from typing import BinaryIO

from ragkit.loaders.limits import unreadable

# Longer signatures first. MZ, BM and the like are too short to trust in a file that may be text.
_SIGNATURES = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file (.doc, .xls) or an encrypted one"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"AT&TFORM", "a DjVu file"),
    (b"%PDF-", "a PDF"),
    (b"{\\rtf", "an RTF file"),
    (b"PK\x03\x04", "a zip archive or an Office file (.docx, .xlsx, .odt)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"MZ\x90\0", "a program"),
    (b"ID3", "sound"),
    (b"OggS", "sound"),
    (b"fLaC", "sound"),
)


def binary_kind(data: bytes) -> str:
    """What `data` plainly is by its first bytes ("a PNG image"), or "" where it may be text."""
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    return ""


def looks_like_html(data: bytes) -> bool:
    """Whether `data` begins as HTML documents do."""
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def check_kind(stream: BinaryIO, expected: str, signature: bytes) -> None:
    """Raise where the bytes are none, or plainly of another kind than `expected`; leaves the stream at its start.

    Readers accept rubbish before the signature, so that it is sought in the first 2048 bytes. Bytes of no known
    kind pass: a damaged file is the parser's to judge.
    """
    stream.seek(0)
    head = stream.read(2048)
    stream.seek(0)
    if not head:
        raise unreadable("it is empty", "remove it, or copy it again", "empty")
    if signature in head:
        return
    if kind := "an HTML page" if looks_like_html(head) else binary_kind(head):
        raise unreadable(f"it is not {expected} but {kind}", "give it the suffix of its kind", "misnamed")
