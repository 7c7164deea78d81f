"""How nouns become columns and back: checksums, JSON records, attributes and the conditions on them.

It writes fragments of SQL for the catalog and runs none.
"""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ragkit.errors import IndexCorrupt, StoreError
from ragkit.types import Chunk, Document, Metadata

if TYPE_CHECKING:
    from ragkit.reports import DocumentInfo, FileStamp, Problem

# Primary codes of SQLite's for what is wrong around a file and not in it.
_OF_THE_SYSTEM = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
_SECOND = 1_000_000_000  # in nanoseconds
_TOO_LARGE = 1 << 63
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A version of a document is alive in the generations from `added` up to, and without, `removed`.
ALIVE = "added <= :at AND (removed IS NULL OR removed > :at)"

# What of a document's row its checksum covers, and the checksum.
RECORD = "source, sha256, characters, chunks, record, layout, crc"

# The row of one attribute: the name of its key, its value, its document. A number equals another of another type.
ATTRIBUTE = "key = (SELECT id FROM attribute_key WHERE name = ?) AND value = ? AND document = ?"

DAMAGED_HINT = "see what else is: ragkit doctor --data; save what can be saved: ragkit doctor --repair"


def damaged(what: str) -> IndexCorrupt:
    """The error for stored bytes that are not those that were written."""
    return IndexCorrupt(f"{what} is damaged in the index", DAMAGED_HINT)


def unreadable(path: Path, error: Exception) -> StoreError:
    """The error for a catalog that SQLite cannot read: it is damaged, or the system keeps SQLite from its work."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in _OF_THE_SYSTEM and code != sqlite3.SQLITE_IOERR_SHORT_READ:
        return StoreError(
            f"{path} cannot be used: {error}",
            "nothing that was committed is lost; make room, mend permissions or the disk, and run again",
        )
    return IndexCorrupt(
        f"{path} is damaged: {error}",
        "restore the index from a copy, or save what can be saved: ragkit doctor --repair",
    )


def crc(*values: object) -> int:
    """crc32 of the values, with their order, their bounds and their types."""
    kinds = "".join([type(value).__name__[0] for value in values])
    return zlib.crc32("\x1f".join([kinds, *map(str, values)]).encode("utf-8", "surrogatepass"))


def chunk_crc(id: int, document: int, n: int, chunk: Chunk, vector: int) -> int:
    """The checksum of a chunk's row together with the text that it points at."""
    c = chunk
    return crc(id, document, n, c.start, c.end, c.page, c.line, c.heading, vector, c.text)


def state_crc(id: int, root: int | None, stamp: FileStamp, indexed: int, problems: str) -> int:
    """The checksum of what of a document's row may change while its content stays, beside when it was removed."""
    return crc(id, root, stamp.size, stamp.mtime_ns, stamp.checked_ns, stamp.sidecar, indexed, problems)


def iso(time_ns: int) -> str:
    """ISO 8601 in UTC, to the second; empty for 0, which stands for no time."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time_ns else ""


def id_array(ids: Iterable[int]) -> str:
    """Ids as the JSON array that SQLite's json_each takes, so that any number of them is one parameter."""
    return str(list(ids))  # which is JSON, and takes half as long as `json.dumps`


def packed_sha256(sha256: str) -> str | bytes:
    """As it is stored: 32 bytes, or the caller's own word where it is no such number."""
    return bytes.fromhex(sha256) if _SHA256.fullmatch(sha256) else sha256


def check_record(*row: Any) -> None:
    """Raises IndexCorrupt where the columns RECORD of a document differ from the last of them, their checksum."""
    *fields, check = row
    if check != crc(*fields):
        raise damaged(f"the record of {fields[0]}")


def sha256_from(stored: str | bytes) -> str:
    return stored.hex() if isinstance(stored, bytes) else stored


def problems_text(problems: Sequence[Problem]) -> str:
    """JSON; empty for none."""
    return json.dumps([asdict(problem) for problem in problems], ensure_ascii=False) if problems else ""


def problems_from(text: str) -> tuple[Problem, ...]:
    if not text:  # nearly always, and there may be a million
        return ()
    from ragkit.reports import Problem  # no search needs it

    return tuple(Problem(**fields) for fields in json.loads(text))


def record_text(document: Document) -> str:
    """What of a document can be filtered by, as JSON; what is as `record_from` has it is left out."""
    return _told({"media_type": document.media_type, "metadata": dict(document.metadata)}, record_from("{}"))


def record_from(text: str) -> dict[str, Any]:
    """Raises IndexCorrupt where it is no record: with a right checksum too, an index may be somebody else's."""
    try:
        said = json.loads(text)
    except ValueError as error:
        raise damaged("the record of a document") from error
    if not isinstance(said, dict) or not isinstance(said.get("metadata", {}), dict):
        raise damaged("the record of a document")
    return {"media_type": "text/plain", "metadata": {}, **said}


def layout_text(document: Document) -> str:
    """Where its pages and headings are, which may be long, as JSON; empty where it has none."""
    if not document.page_starts and not document.headings:
        return ""
    headings = [(heading.start, heading.level, heading.text) for heading in document.headings]
    return _told({"page_starts": list(document.page_starts), "headings": headings}, layout_from(""))


def layout_from(text: str) -> dict[str, Any]:
    return {"page_starts": [], "headings": [], **(json.loads(text) if text else {})}


def _told(fields: dict[str, object], usual: dict[str, Any]) -> str:
    told = {name: value for name, value in fields.items() if value != usual[name]}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def attributes(source: str, media_type: str, metadata: Metadata, mtime_ns: int) -> dict[str, str | int | float]:
    """What can be filtered by, beside the source. The document's own keys win over those made here."""
    made: dict[str, str | int | float] = {"media_type": media_type}
    if suffix := PurePosixPath(source).suffix:
        made["type"] = suffix[1:].lower()
    if mtime_ns:
        made["modified"] = iso(mtime_ns)
    return {**made, **metadata}


def attributes_of(source: str, record: str, mtime_ns: int) -> dict[str, str | int | float]:
    """The same by a document's row. Raises IndexCorrupt or ValueError for what no row of ours says."""
    fields = record_from(record)
    made = attributes(source, fields["media_type"], fields["metadata"], mtime_ns)
    if any(not isinstance(value, str | int | float) or _is_too_large(value) for value in made.values()):
        raise damaged(f"the record of {source}")
    return made


def _is_too_large(value: object) -> bool:
    """For SQLite."""
    return isinstance(value, int) and not -_TOO_LARGE <= value < _TOO_LARGE


def attribute_of(key: str, source: str, record: str, mtime_ns: int) -> str | int | float | None:
    """One of them; None for a document without. SQL calls it under this name: conditions test documents by it."""
    metadata = record_from(record)["metadata"]
    return metadata[key] if key in metadata else attributes_of(source, record, mtime_ns).get(key)


def unread_attribute(key: str, source: str, mtime_ns: int) -> str | int | float | None:
    """The same of a file that gave nothing: what its name and time tell."""
    return attributes(source, "", {}, mtime_ns).get(key) or None


def info_from(
    source: str,
    sha256: str | bytes,
    size: int,
    mtime_ns: int,
    indexed: int,
    characters: int,
    chunks: int,
    record: str,
    layout: str,
    problems: str,
    stored_crc: int,
) -> DocumentInfo:  # fmt: skip - the parameters stand as the columns do
    """A row of the table of documents as the noun. Raises IndexCorrupt where its checksum differs."""
    check_record(source, sha256, characters, chunks, record, layout, stored_crc)
    from ragkit.reports import DocumentInfo  # no search needs it

    fields = record_from(record)
    metadata = fields["metadata"]
    return DocumentInfo(
        source,
        media_type=fields["media_type"],
        title=str(metadata.get("title", "")),
        characters=characters,
        pages=len(layout_from(layout)["page_starts"]) or None,
        chunks=chunks,
        size=size,
        sha256=sha256_from(sha256),
        modified=iso(mtime_ns),
        indexed=iso(indexed * _SECOND),
        metadata=metadata,
        problems=problems_from(problems),
    )
