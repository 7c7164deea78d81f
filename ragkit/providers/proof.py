"""What is sent to prove who we are, and whether it can be sent at all. Knows neither services nor HTTP."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from ragkit.errors import ConfigError
from ragkit.secret import Secret


@dataclass(frozen=True, slots=True)
class Proof:
    """The value of an Authorization header, empty for none, and the count of tokens it belongs to."""

    header: Secret
    generation: int = 0

    def parts(self) -> tuple[str, ...]:
        """Every text in it that must not be seen, what is behind base64 as well."""
        value = self.header.reveal()
        scheme, _, credential = value.rpartition(" ")
        found = [value, credential] if value else []
        if scheme.lower() == "basic":
            plain = decoded(credential)
            found += [plain, plain.partition(":")[2]] if plain else []
        return tuple(found)


def sendable(value: str, name: str) -> str:
    """A secret fit for a header. Raises ConfigError for one that holds what no key holds."""
    value = value.strip()
    if not value.isascii():
        raise ConfigError(
            f"{name} has letters that are not ASCII", "copy it again: a Cyrillic letter looks like a Latin one"
        )
    if "\n" in value or "\r" in value:
        raise ConfigError(f"{name} has a line break inside", "copy it again, in one line")
    if any(not c.isprintable() for c in value):
        raise ConfigError(f"{name} has control characters inside", "copy it again")
    if " " in value and not value.startswith("Basic "):
        raise ConfigError(f"{name} has a space inside", "copy it again, without what stands before or after it")
    return value


def decoded(key: str) -> str:
    try:
        return base64.b64decode(key, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
