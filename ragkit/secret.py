"""A value that is shown to nobody: a key, a token, a password."""

from __future__ import annotations

import weakref
from typing import NoReturn

_living: weakref.WeakValueDictionary[int, Secret] = weakref.WeakValueDictionary()  # by identity: equal ones may die


class Secret:
    """Text that `str`, `repr`, formatting and pickling do not give away; `reveal` does, where it is sent."""

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        if value:
            _living[id(self)] = self

    @classmethod
    def of(cls, value: str | Secret) -> Secret:
        """A secret of text; a secret as it is."""
        return value if isinstance(value, Secret) else cls(value)

    def reveal(self) -> str:
        return self._value

    def fingerprint(self, *context: str) -> str:
        """A name for this secret in this context: 64 hex digits of sha256, by which it cannot be guessed."""
        import hashlib  # only where a service is called

        return hashlib.sha256("\0".join((*context, self._value)).encode()).hexdigest()

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "***" if self._value else "(none)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


def revealed() -> set[str]:
    """Every secret that this program holds at the moment: for who takes them out of what is logged."""
    return {secret.reveal() for reference in _living.valuerefs() if (secret := reference())}
