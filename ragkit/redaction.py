"""Takes secrets out of what is logged or shown: those that the program holds, in whatever writing, and what looks like
one.

A filter of a logger sees only what is logged through that very logger, not what its children hand up; so each logger
gets it, when a service is connected. It knows no services.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote

from ragkit.secret import revealed

HIDDEN = "***"
SHORTEST = 4  # characters; what is shorter stands in other words too
SHORTEST_PART = 8  # characters of what is only a part of a secret, or a writing of one that is cut at its ends
LONG_HALF = 12  # characters of half of a secret that is looked for by itself

_OURS = "ragkit"
_THEIRS = ("connection", "http11", "http2", "proxy", "socks")  # below httpcore; at DEBUG they log headers and passwords

_BEFORE = r"""['"]?\s*[:=,]\s*(?:b?['"])?"""  # between a name and its value: in HTTP, in JSON, in Python's pairs
_SHAPES = tuple(
    (re.compile(pattern), shown)
    for pattern, shown in (
        (rf"""(?i)(authorization{_BEFORE}(?:(?:basic|bearer|api-key|token)\s+)?)[^\s'",)\]}}]+""", rf"\1{HIDDEN}"),
        (rf"""(?i)(\b(?:set-)?cookie{_BEFORE})[^'"\r\n]+""", rf"\1{HIDDEN}"),
        (rf"""(?i)(\b(?:x-)?(?:api[-_]?key|auth[-_]token|access[-_]token){_BEFORE})[^\s'",)\]}}]+""", rf"\1{HIDDEN}"),
        (r"\b((?i:basic|bearer|api-key)\s+)(?=\S*[\d=A-Z])[\w.~+/=-]{12,}", rf"\1{HIDDEN}"),
        (r"\b(sk|gsk|rk|pk|hf|ghp|glpat)([-_])[\w-]{8,}", rf"\1\2{HIDDEN}"),
        (r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*", HIDDEN),
        (r"""(?<=://)[^/\s@'"?#]+@""", f"{HIDDEN}@"),
        (r"""(?i)([?&][\w-]*(?:key|token|secret|sig|signature|password|auth|credential)=)[^&\s'"#]+""", rf"\1{HIDDEN}"),
        (r"""(?i)(['"](?:tok|password|\w*secret|refresh_token|credentials?)['"]\s*:\s*['"])[^'"]+""", rf"\1{HIDDEN}"),
    )
)


class _Redacting(logging.Filter):
    """Lets every record through, without its secrets; what holds none is not touched."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
        except (TypeError, ValueError, KeyError):  # a slip in the format; logging would print the arguments with it
            said = f"{record.msg} {record.args!r}"
        if (clean := redacted(said)) != said:
            record.msg, record.args = clean, ()
        if record.exc_info:
            told = logging.Formatter().formatException(record.exc_info)
            if (clean := redacted(told)) != told:
                record.exc_text, record.exc_info = clean, None
        if record.exc_text:
            record.exc_text = redacted(record.exc_text)
        if record.stack_info:
            record.stack_info = redacted(record.stack_info)
        return True


_FILTER = _Redacting("redaction")


def guard() -> None:
    """Attach the filter to our loggers and to those of the HTTP library. May be called again."""
    for name in (_OURS, "httpcore", *(f"httpcore.{each}" for each in _THEIRS)):
        logging.getLogger(name).addFilter(_FILTER)


def redacted(text: str) -> str:
    """The text with *** for every secret that is alive, and for what has the shape of one."""
    known = _pattern(tuple(sorted(revealed())))
    if known is not None:
        text = known.sub(HIDDEN, text)
    for pattern, shown in _SHAPES:
        text = pattern.sub(shown, text)
    return text


@lru_cache(maxsize=1)
def _pattern(values: tuple[str, ...]) -> re.Pattern[str] | None:
    parts = {part for value in values for part in _parts(value)}
    halves = {half for part in parts if len(part) >= 2 * LONG_HALF for half in _halves(part)}
    found = {form for part in parts | halves for form in _writings(part)}
    return re.compile("|".join(re.escape(form) for form in sorted(found, key=len, reverse=True))) if found else None


def _parts(value: str) -> set[str]:
    """The secret, and what stands in it: behind a scheme, a header's name, a colon, base64, in an address."""
    found = {value} if len(value) >= SHORTEST else set()
    for line in value.splitlines():
        name, colon, rest = line.partition(":")
        found |= {rest.strip()} if colon and re.fullmatch(r"[\w-]+", name) else set()
    for part in [*found]:
        *_, last = part.split(" ")
        found.add(last)
        if user := re.search(r"://([^/@]*)@", part):
            word = user[1].partition(":")[2]
            found |= {user[1], word, unquote(word)}
        try:
            plain = base64.b64decode(last, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
        if ":" in plain and plain.isprintable():
            found |= {plain, plain.partition(":")[2]}
    return {part for part in found if len(part) >= (SHORTEST if part == value else SHORTEST_PART)}


def _halves(value: str) -> tuple[str, str]:
    """A service may repeat one half of a key, to tell it from others: it is half of what guards an account."""
    return value[: len(value) // 2], value[len(value) // 2 :]


def _writings(value: str) -> set[str]:
    """As it is, and as URLs, JSON, Python and base64 write it, the last also in the middle of something."""
    raw = value.encode("utf-8", "surrogatepass")
    found = {
        value,
        quote(raw),
        quote(raw, safe=""),
        quote_plus(raw),
        json.dumps(value)[1:-1],
        repr(value)[1:-1],
        repr(raw)[2:-1],
    }
    for shift, skipped in ((0, 0), (1, 2), (2, 3)):
        written = base64.b64encode(bytes(shift) + raw).decode("ascii").rstrip("=")
        cut = written[skipped : -1 if (shift + len(raw)) % 3 else None]  # what its neighbours have no share in
        if len(cut) >= SHORTEST_PART:
            found |= {cut, cut.replace("+", "-").replace("/", "_")}
    return found
