"""Whether one passage says what another has said already. It knows words, and nothing of where passages stand."""

from __future__ import annotations

import re
import unicodedata

from ragkit.citations.folding import form_of

_SHINGLE = 5  # words
_SHARED = 0.9  # of the later passage's runs of words
_WORD = re.compile(r"\w+")
# What turns a sentence round, however much of it is the same; so do its numbers.
_TURNING = frozenset(
    ("не", "нет", "ни", "без", "кроме", "нельзя", "not", "no", "nor", "never", "without", "except", "cannot", "t")
)


class Wording:
    """The words of a passage, prepared for many comparisons."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("ё", "е"))
        self._runs = set(zip(*(self._words[i:] for i in range(_SHINGLE)), strict=False))
        self._turning = {word for word in self._words if word in _TURNING or any(map(str.isdigit, word))}

    def says(self, later: Wording) -> bool:
        """Whether the later passage adds nothing to this one.

        It is the same but for spaces, marks of quotation and letter case; or nine tenths of its runs of five words
        stand here, and all of its numbers and words such as "not": a contract's next version is another text.
        """
        if later._words == self._words:
            return form_of(later._text) == form_of(self._text)
        shared = len(later._runs & self._runs)
        return bool(shared) and shared >= _SHARED * len(later._runs) and later._turning <= self._turning
