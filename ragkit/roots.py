"""Which folder of an index a path belongs to, so that the same file has the same source in every run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ragkit.protocols import Writer
from ragkit.reports import Root


@dataclass(frozen=True, slots=True)
class Scope:
    """A path within a root. Sources below it begin with `prefix`."""

    root: Root
    prefix: str


def scope_of(writer: Writer, folder: Path, index: Path, *, whole: bool) -> Scope:
    """The root that holds `folder`, an absolute path; a new one where there is none yet.

    The first root's sources are plain relative paths; those of later roots begin with the folder's name, so
    that two folders may hold files of one name. Where the `whole` folder is indexed, it takes in the roots below
    it: their documents come again under their new sources, with their vectors. A single file takes in nothing.
    """
    home = index.resolve().parent
    roots = {(home / root.path).resolve(): root for root in writer.roots()}
    for place, root in roots.items():
        if whole and folder in place.parents:
            writer.remove_root(root)
    around = [place for place in roots if folder == place or place in folder.parents]
    if around:
        place = max(around, key=lambda place: len(place.parts))
        inside = folder.relative_to(place).as_posix()
        return Scope(roots[place], roots[place].prefix + ("" if inside == "." else inside + "/"))
    taken = {root.prefix for root in writer.roots()}
    name = next(name for name in _names(folder.name) if name not in taken)
    root = writer.add_root(_stored(folder, home), name)
    return Scope(root, root.prefix)


def _names(folder: str) -> list[str]:
    return ["", *(f"{folder}{number}/" for number in ("", *(f"-{n}" for n in range(2, 1000))))]


def _stored(folder: Path, home: Path) -> str:
    """Relative to the folder that holds the index where that works, so that both can be moved together."""
    try:
        return PurePosixPath(folder.relative_to(home)).as_posix()
    except ValueError:
        return os.fspath(folder)
