"""How many tokens a text may be, where the service cannot count them. An estimate, and said to be one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragkit.messages import TokenCount

# Characters a token, of services that publish a tokenizer: Russian words 2.2 to 3.3, English 3.8 to 4.6, one for
# each mark and each three digits. The low ends, for a batch that is too small costs less than one that is refused.
_PIECES = re.compile(r"[а-яёА-ЯЁ]+|[^\W\d_а-яёА-ЯЁ]+|\d{1,3}|[^\w\s]|_")
_CYRILLIC = re.compile(r"[а-яёА-ЯЁ]")
_RUSSIAN_LETTERS = 2.6
_OTHER_LETTERS = 4.2


def estimated_tokens(text: str) -> int:
    """About as many tokens as `text` is, to some 20 %."""
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
