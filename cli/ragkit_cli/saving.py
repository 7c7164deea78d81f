"""Files that a person named for an output: whole, or as they were."""

from __future__ import annotations

import os
from pathlib import Path


def save(path: Path, data: bytes) -> None:
    """Put data into the file, in the place of what it held. Raises OSError that names it, and it holds what it held."""
    place = path.resolve()  # a link stays one
    if path.exists() and not (path.is_file() and os.access(place.parent, os.W_OK)):  # a pipe, or nothing fits beside it
        path.write_bytes(data)
        return
    part = place.with_name(f".ragkit-{os.getpid()}.part")
    try:
        part.write_bytes(data)
        if place.exists():
            part.chmod(place.stat().st_mode & 0o777)
        part.replace(place)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        part.unlink(missing_ok=True)
