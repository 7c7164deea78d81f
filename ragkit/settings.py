"""Settings, each with the place it came from: arguments > environment > ragkit.toml > defaults.

A setting is one field of `Settings`: its default, its range and its sentence of explanation stand in one
place, and every layer is checked against them. It knows nothing of what the settings are used for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "RAGKIT_"
FILE = "ragkit.toml"
FOLDER = ".ragkit"
MODES = ("hybrid", "dense", "lexical")

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_SHOWN = 200  # characters of a value in an error
_FAR = 1 << 62  # above every sensible number, below what SQLite can hold


def _whole(default: int, about: str, low: int, high: int = _FAR, *, size: bool = False) -> Any:
    return field(default=default, metadata={"about": about, "low": low, "high": high, "size": size})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting. `origins` names for each the layer that decided it."""

    index: Path = field(default=Path(FOLDER), metadata={"about": "folder of the index"})
    chunk_size: int = _whole(800, "characters of a chunk, at most", 50, 100_000)
    chunk_overlap: int = _whole(200, "characters that a chunk repeats of the one before it, at most", 0, 50_000)
    limit: int = _whole(10, "hits that a search shows", 1, 10_000)
    mode: str = field(default="hybrid", metadata={"about": "how to search", "choices": MODES})
    passages: int = _whole(6, "chunks that an answer is made from", 1, 1_000)
    workers: int = _whole(0, "processes that read files; 0 is one for each CPU", 0, 256)
    max_file_size: int = _whole(512 << 20, "bytes of the largest file that is read; KiB, MiB, GiB work", 1, size=True)
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def origin(self, name: str) -> str:
        """Where the value of setting `name` was decided."""
        return self.origins.get(name, "default")


_FIELDS = {each.name: each for each in fields(Settings) if each.name != "origins"}


def names() -> dict[str, str]:
    """Every setting with its sentence of explanation, in order."""
    return {name: str(each.metadata["about"]) for name, each in _FIELDS.items()}


def load_settings(
    arguments: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    said_in: str = "argument",
) -> Settings:
    """All layers, checked and merged. An argument that is None was not given.

    Relative paths are taken from `cwd`, those in ragkit.toml from the folder of that file. `said_in` is the
    origin to show for `arguments`. Raises ConfigError for an unknown name, a wrong type or a value out of
    range, with the name, the value and where it was said.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd() if cwd is None else Path(cwd)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}

    file = _upwards(here, FILE, Path.is_file)
    if file is not None:
        for name, value in _read(file).items():
            _known(name, f"in {file}")
            values[name], origins[name] = _checked(name, value, str(file), file.parent), str(file)
    for variable, text in environ.items():
        if variable.startswith(PREFIX):
            name = variable.removeprefix(PREFIX).lower()
            _known(name, f"(the environment variable {variable})")
            if text:  # an empty variable is the shell's way to unset one for a single command
                values[name] = _checked(name, text, f"the environment variable {variable}", here)
                origins[name] = f"environment {variable}"
    for name, value in (arguments or {}).items():
        _known(name, f"({said_in})")
        if value is not None:
            values[name], origins[name] = _checked(name, value, said_in, here), said_in

    if "index" not in values:
        values["index"] = find_index(None, environ={}, cwd=here)
        if values["index"] != here / FOLDER or values["index"].is_dir():
            origins["index"] = f"nearest {FOLDER} upwards"
    settings = Settings(**values, origins=origins)
    try:
        str(settings.index).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"index is {_shown(str(settings.index))} ({settings.origin('index')}), which is not UTF-8",
            "choose a folder with another path",
        ) from error
    if settings.chunk_overlap > settings.chunk_size // 2:
        raise ConfigError(
            f"chunk_overlap is {settings.chunk_overlap} ({settings.origin('chunk_overlap')}), but chunk_size is "
            f"{settings.chunk_size} ({settings.origin('chunk_size')})",
            f"set chunk_overlap to {settings.chunk_size // 2} or less, half of chunk_size; a quarter is usual",
        )
    return settings


def find_index(
    explicit: str | Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
) -> Path:
    """The folder of the index: `explicit`, else RAGKIT_INDEX, else the nearest .ragkit upwards, else ./.ragkit.

    The folder need not exist. It is absolute, with `~` expanded.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd() if cwd is None else Path(cwd)
    said = explicit or environ.get(f"{PREFIX}INDEX")
    if said:
        return _folder(said, here, f"index is {_shown(said)}")
    return _upwards(here, FOLDER, Path.is_dir) or here / FOLDER


def _upwards(here: Path, name: str, is_there: Callable[[Path], bool]) -> Path | None:
    here = here.absolute()
    return next((folder / name for folder in (here, *here.parents) if is_there(folder / name)), None)


def _read(file: Path) -> dict[str, object]:
    import tomllib  # 10 ms that only those who have such a file should pay

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits, or lists as deep
        raise ConfigError(f"{file} is not TOML in UTF-8: {error}", "mend the file or remove it") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", "mend its permissions or remove it") from error


def _known(name: str, where: str) -> None:
    if name in _FIELDS:
        return
    import difflib  # needed for a mistake only

    near = difflib.get_close_matches(name, _FIELDS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else ""
    raise ConfigError(
        f"unknown setting {name!r} {where}", hint or "`ragkit config` lists the settings: " + ", ".join(_FIELDS)
    )


def _checked(name: str, value: object, origin: str, base: Path) -> Any:
    rule = _FIELDS[name].metadata
    said = f"{name} is {_shown(value)} ({origin})"
    if name == "index":
        if not isinstance(value, str | Path) or not str(value):
            raise ConfigError(f"{said}, which is no path", "give the folder of the index")
        return _folder(value, base, said)
    if "choices" in rule:
        if value not in rule["choices"]:
            raise ConfigError(said, "choose one of " + ", ".join(rule["choices"]))
        return value
    number = _number(value, size=rule["size"])
    low, high = rule["low"], rule["high"]
    if number is None:
        raise ConfigError(f"{said}, which is no whole number", f"give a whole number, {rule['about']}")
    if not low <= number <= high:
        limits = f"from {low} to {high}" if high < _FAR else f"{low} or more"
        raise ConfigError(f"{said}, which is out of range", f"give a whole number {limits}")
    return number


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


def _folder(path: str | Path, base: Path, said: str) -> Path:
    try:
        return base / Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{said}, and there is no such home folder", "write the path without ~") from error


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a value too large to show"
    size = len(value) if isinstance(value, str) else len(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({size} characters)"
