"""One value of a setting: what each kind accepts, and how a mistake is said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragkit.errors import ConfigError
from ragkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

FAR = 1 << 62  # above every sensible number, below what SQLite can hold

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_HOST = r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f]*:[0-9a-f:.]+"  # few commands need it compiled
_SHOWN = 200  # characters of a value in an error


def checked(name: str, value: object, rule: Mapping[str, Any], origin: str, base: Path) -> Any:
    """`value` as setting `name` keeps it. Raises ConfigError with name, value and `origin` for one that breaks `rule`.

    Paths are taken from `base`. A secret is never shown.
    """
    kind = rule["kind"]
    if kind in ("secret", "headers", "proxy"):
        return _secret(name, _headers(value) if kind == "headers" else value, kind, origin)
    said = f"{name} is {_without_word(shown(value))} ({origin})"
    if kind == "folder":
        if not isinstance(value, str | Path) or not str(value):
            raise ConfigError(f"{said}, which is no path", "give the folder of the index")
        return folder(value, base, said)
    if kind == "choice":
        if value not in rule["choices"]:
            raise ConfigError(said, "choose one of " + ", ".join(rule["choices"]))
        return value
    if kind in ("whole", "size", "decimal"):
        return _ranged(value, rule, said)
    if kind == "flag":
        return _flag(value, said)
    return _text(name, value, kind, base, origin, said)


def _headers(value: object) -> object:
    """Headers with a line for each: from a table of ragkit.toml, or from text with commas between them."""
    if isinstance(value, dict):
        return "\n".join(f"{name}: {text}" for name, text in value.items())
    # A comma in a value is a comma: only before the next name does it part.
    return re.sub(r"\s*,\s*(?=[\w-]+\s*:)", "\n", value) if isinstance(value, str) else value


def _secret(name: str, value: object, kind: str, origin: str) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ConfigError(f"{name} ({origin}) is no text", "put it between quotes")
    lines = value.splitlines() if kind == "headers" else [value]
    if kind == "headers" and any(":" not in line for line in lines):
        raise ConfigError(f"{name} ({origin}) names no header", "write it as name: value, name: value")
    if kind == "proxy" and value and not value.startswith(("http://", "https://", "socks5://", "socks5h://")):
        raise ConfigError(f"{name} ({origin}) is no address", "begin it with http://, https:// or socks5://")
    if not all(line.isprintable() and line.isascii() for line in lines):
        raise ConfigError(f"{name} ({origin}) holds characters that no key has", "copy it again, without line breaks")
    return Secret(value.strip())


def _ranged(value: object, rule: Mapping[str, Any], said: str) -> int | float:
    decimal = rule["kind"] == "decimal"
    wanted = "number" if decimal else "whole number"
    number = _decimal(value) if decimal else _number(value, size=rule["kind"] == "size")
    low, high = rule["low"], rule["high"]
    if number is None:
        raise ConfigError(f"{said}, which is no {wanted}", f"give a {wanted}, {rule['about']}")
    if not low <= number <= high:
        limits = f"from {low} to {high}" if high < FAR else f"{low} or more"
        raise ConfigError(f"{said}, which is out of range", f"give a {wanted} {limits}")
    return number


def _decimal(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)  # nan is in no range
    except (ValueError, OverflowError):
        return None


def _flag(value: object, said: str) -> bool:
    word = value if isinstance(value, bool) else _WORDS.get(value.strip().lower()) if isinstance(value, str) else None
    if word is None:
        raise ConfigError(f"{said}, which is neither yes nor no", "give true or false")
    return word


def _text(name: str, value: object, kind: str, base: Path, origin: str, said: str) -> str:
    if kind == "file" and isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str):
        raise ConfigError(f"{said}, which is no text", "put it between quotes")
    if kind == "hosts":
        return _hosts(value, said)
    if kind == "url" and value:
        if not value.startswith(("http://", "https://")):
            raise ConfigError(f"{said}, which is no address", "begin it with https://, or http:// for this machine")
        if re.match(r"https?://[^/?#]*@|[^?#]*[?#]", value):  # it would be shown wherever the address is
            raise ConfigError(
                f"{name} ({origin}) has a user, a password, a query or a fragment in it",
                "give the key as a setting of its own, and leave off what follows the path",
            )
        return value.rstrip("/")
    if kind == "file" and value:
        return str(folder(value, base, said))
    return value


def _hosts(value: str, said: str) -> str:
    """Names in lower case with commas between them; one that stands for several is none."""
    names = [name.strip().lower() for name in value.split(",") if name.strip()]
    if wrong := [name for name in names if not re.fullmatch(_HOST, name)]:
        raise ConfigError(
            f"{said}, in which {_without_word(repr(wrong[0]))} is no name of a host",
            "write host, other.host: no address",
        )
    return ",".join(names)


def _without_word(text: str) -> str:
    """Without what stands before an @: it may be a password, in a setting where nobody looks for one."""
    return re.sub(r"[^\s'\"@]+@", "***@", text)


def _number(value: object, *, size: bool) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, int):
        return value
    digits = value.strip().rstrip("bBkKmMgGiI ") if size else value.strip()
    unit = value.strip()[len(digits) :].strip().lower()
    if not digits.isascii() or not digits.removeprefix("-").isdigit() or unit not in _UNITS:
        return None
    # Python reads no more than 4300 digits; the first 30 already are beyond every range.
    significant = digits.removeprefix("-").lstrip("0")[:30] or "0"
    return (-1 if digits.startswith("-") else 1) * int(significant) * _UNITS[unit]


def folder(path: str | Path, base: Path, said: str) -> Path:
    """An absolute path, with `~` expanded; `said` begins the error where there is no such home."""
    try:
        return base / Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{said}, and there is no such home folder", "write the path without ~") from error


def shown(value: object) -> str:
    """A value for an error, as Python writes it, and not all of a long one."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a value too large to show"
    size = len(value) if isinstance(value, str) else len(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({size} characters)"
