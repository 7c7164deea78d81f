"""How many tokens a text may be, where the service cannot count them. An estimate, and said to be one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragkit.messages import TokenCount

# Users report 2.3 to 3 characters of Russian for a token, and about 4.5 of English prose: short English words whole,
# identifiers parted at their capitals, a token for each mark, each letter of other scripts, each three digits and each
# new line. No service's own tokenizer was compared; against the sandbox's rule, which is another,
# benchmarks/forecast.py finds 2 % at most.
_PIECES = re.compile(r"[\u0400-\u052f]+|[A-ZÀ-ÖØ-Þ]?[a-zß-öø-ɏ]+|[A-ZÀ-ÖØ-Þ]+|[^\W\d_]|\d{1,3}|[^\w\s]|_|\n\s*")
_CYRILLIC = re.compile(r"[\u0400-\u052f]")
_RUSSIAN_LETTERS = 2.6
_OTHER_LETTERS = 5.0


def estimated_tokens(text: str) -> int:
    """About as many tokens as `text` is for a service whose tokenizer is not known."""
    russian = other = marks = 0
    for piece in _PIECES.findall(text):
        if _CYRILLIC.match(piece):
            russian += max(1, round(len(piece) / _RUSSIAN_LETTERS))
        elif piece[0].isalpha():
            other += max(1, round(len(piece) / _OTHER_LETTERS))
        else:
            marks += 1
    return max(1, russian + other + marks)


def estimates(texts: Sequence[str]) -> list[TokenCount]:
    """The same for several texts."""
    return [TokenCount(estimated_tokens(text), len(text)) for text in texts]
