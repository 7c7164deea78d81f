"""Files to documents: a table of suffixes, one module a format.

A loader is a plain function of a stream and a source name. It gives text with exact page, line and heading
positions, names each page that it could not read, and raises LoadError with reason and cure where there is no
text at all. Parsers of foreign formats are imported only when one is needed, which `ParserPool` arranges to be
in a limited process of its own.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from ragkit.errors import LoadError, UnsupportedFormat
from ragkit.loaders.limits import DEFAULT_LIMITS, Limits, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragkit.reports import Loaded


@dataclass(frozen=True, slots=True)
class Format:
    """`loaders` are tried in order, as "module:function" within this folder.

    `foreign` parsers, with C code and formats made for attacks, get a process for each document; our own
    pure-Python readers share one.
    """

    media_type: str
    loaders: tuple[str, ...]
    foreign: bool = False


_TEXT = Format("text/plain", ("text:load_text",))
_MARKDOWN = Format("text/markdown", ("markdown:load_markdown",))
_HTML = Format("text/html", ("html:load_html",), foreign=True)
_PDF = Format("application/pdf", ("pdf:load_pdf", "pdf_second:load_pdf_second"), foreign=True)
_DOCX = Format(
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ("docx:load_docx",), foreign=True
)
FORMATS: dict[str, Format] = {
    ".txt": _TEXT,
    ".text": _TEXT,
    ".log": _TEXT,
    ".rst": _TEXT,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".html": _HTML,
    ".htm": _HTML,
    ".xhtml": _HTML,
    ".pdf": _PDF,
    ".docx": _DOCX,
    ".docm": _DOCX,
}
_CURES = {
    "save it as .docx": (".doc", ".dot", ".odt", ".rtf", ".pages", ".wps"),
    "save it as .pdf, or the text you need as .txt or .md": (
        *(".xls", ".xlsx", ".xlsm", ".ods", ".csv", ".tsv", ".ppt", ".pptx", ".odp", ".key"),
        *(".epub", ".fb2", ".mobi", ".azw3", ".chm", ".xps", ".eml", ".msg", ".tex", ".ipynb"),
    ),
    "it has no text layer; run OCR and save it as PDF": (
        *(".djvu", ".djv", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".heic"),
    ),
    "unpack it": (".zip", ".rar", ".7z", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".zst"),
}


def supported_suffixes() -> tuple[str, ...]:
    """The suffixes that can be loaded, lower case, with their dots."""
    return tuple(FORMATS)


def format_of(source: str) -> Format:
    """The format that the suffix of `source` names. Raises UnsupportedFormat with a cure by kind."""
    suffix = PurePosixPath(source).suffix.lower()
    if suffix in FORMATS:
        return FORMATS[suffix]
    if not suffix:
        raise UnsupportedFormat("a file without a suffix is not supported", "name it .txt if it is text")
    default = f"save it as one of {', '.join(FORMATS)}"
    raise UnsupportedFormat(
        f"{suffix} is not supported", next((cure for cure, kinds in _CURES.items() if suffix in kinds), default)
    )


def load(stream: BinaryIO, source: str, limits: Limits = DEFAULT_LIMITS) -> Loaded:
    """Load in this process, without isolation: for trusted files and for tests. Raises LoadError.

    The second loader of a format is tried where the first fails for a damaged file.
    """
    failure: LoadError | None = None
    for attempt in range(len(format_of(source).loaders)):
        try:
            loaded = load_once(stream, source, limits, attempt)
        except LoadError as error:
            failure = graver(failure, error)
            if error.code not in TRY_ANOTHER:
                break
        else:
            return recovered(loaded, failure) if failure else loaded
    raise failure or LoadError(f"{source} was not loaded")  # the loop raises or returns at its first turn


# Failures that another parser may not share. A file that looks empty to one may be damaged.
TRY_ANOTHER = frozenset(["unreadable", "crash", "timeout", "memory", "empty"])


def graver(first: LoadError | None, second: LoadError) -> LoadError:
    """The failure to report of two parsers: the first's, unless that saw nothing where the second saw damage."""
    if first is not None and (first.code != "empty" or second.code in ("empty", "no_text")):
        return first
    return second


def recovered(loaded: Loaded, first: LoadError) -> Loaded:
    """What a format's second loader gave, with a note of why the first did not."""
    return replace(loaded, notes=(*loaded.notes, f"the first parser failed ({first.message}); read by the second"))


def load_once(stream: BinaryIO, source: str, limits: Limits, attempt: int) -> Loaded:
    """Load by the loader at place `attempt` of the format. Raises LoadError, whatever the parser raises."""
    module, function = format_of(source).loaders[attempt].split(":")
    try:
        loader: Callable[[BinaryIO, str, Limits], Loaded] = getattr(
            importlib.import_module(f"ragkit.loaders.{module}"), function
        )
    except ImportError as error:
        raise unreadable(
            f"its parser cannot be imported: {error}", "install ragkit with its dependencies", "no_parser"
        ) from error
    stream.seek(0)
    try:
        return loader(stream, source, limits)
    except LoadError:
        raise
    except MemoryError as error:
        raise unreadable(
            f"it needs more than {limits.memory >> 20} MiB of memory", "split it, or save it anew", "memory"
        ) from error
    except Exception as error:  # parsers raise anything on damaged files, well beyond their own exceptions
        raise unreadable(
            f"it is damaged: {type(error).__name__}: {str(error)[:200]}",
            "open it in its program, save it anew and index again",
        ) from error
