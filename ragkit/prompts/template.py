"""A user's own layout of a prompt: plain text with places for rules, sources, question and language.

It cannot do without the sources, and it gets them whole: numbered, framed and made harmless.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ragkit.errors import ConfigError

PLACES = ("rules", "sources", "question", "language")
_PLACE = re.compile(r"\{\{(\w+)\}\}|\{[ \t]*(\w+)[ \t]*\}")
_KNOWN = "known are " + ", ".join(f"{{{name}}}" for name in PLACES) + "; what is no place is written {{so}}"


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template. `{{word}}` stands for `{word}` itself; other braces are text. `name` is told in errors.

    Raises:
        ConfigError: an unknown place, with its line; no {question}; no {sources}, or more than one.
    """

    text: str
    name: str = "the template"

    def __post_init__(self) -> None:
        lines: dict[str, list[int]] = {name: [] for name in PLACES}
        for match in _PLACE.finditer(self.text):
            if match[2] is None:
                continue
            line = self.text.count("\n", 0, match.start()) + 1
            if match[2] not in lines:
                raise ConfigError(f"{self.name}, line {line}: there is no {match[0]}", _KNOWN)
            lines[match[2]].append(line)
        for name in ("sources", "question"):
            if not lines[name]:
                raise ConfigError(f"{self.name} has no {{{name}}}", f"write {{{name}}} where it belongs")
        if len(lines["sources"]) > 1:
            raise ConfigError(
                f"{self.name} has {{sources}} in lines {' and '.join(map(str, lines['sources']))}", "write it once"
            )

    def filled(self, *, rules: str, sources: str, question: str, language: str) -> str:
        """The text with its places filled; what they are filled with is not looked into."""
        values = {"rules": rules, "sources": sources, "question": question, "language": language}
        return _PLACE.sub(lambda match: f"{{{match[1]}}}" if match[2] is None else values[match[2]], self.text)

    @classmethod
    def read(cls, path: Path) -> Template:
        """The template in a UTF-8 file. Raises ConfigError for one that cannot be read too."""
        try:
            return cls(path.read_text("utf-8-sig").strip(), str(path))
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}", "name a text file") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
