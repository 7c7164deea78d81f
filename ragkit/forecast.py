"""How many tokens many texts will be billed, from counting a sample of them.

It knows no service and no prices: what counts tokens is handed in. Up to SAMPLED texts are all counted; of more,
those whose keys are smallest. Keys are checksums, so that is a random sample, and yet the same one every time; a
sample of every k-th text would see only first chunks where documents have k of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

SAMPLED = 1000  # texts counted at most
_BANDS = 4  # a byte more for each character is so many kinds of text


class Forecast:
    """Texts are added as they come; no more than twice the sample is held.

    A token holds fewer characters of one script than of another, so characters are counted by kind of text:
    by bytes of UTF-8 for each character, which are 1 in English, about 1.8 in Russian, and between where both meet.
    """

    def __init__(self) -> None:
        self._texts = 0
        self._characters: Counter[int] = Counter()
        self._sample: list[tuple[bytes, str]] = []

    def add(self, texts: Iterable[tuple[bytes, str]]) -> None:
        """Texts with their keys, none of which was added before."""
        for key, text in texts:
            self._texts += 1
            self._characters[_kind(text)] += len(text)
            self._sample.append((key, text))
            if len(self._sample) > 2 * SAMPLED:
                self._sample = sorted(self._sample)[:SAMPLED]

    def tokens(self, count: Callable[[Sequence[str]], tuple[list[int], bool]]) -> tuple[int, bool]:
        """Tokens of all texts, and whether that is an estimate: scaled, or made of counts that are not exact."""
        if not self._texts:
            return 0, False
        sample = [text for _, text in sorted(self._sample)[:SAMPLED]]
        counts, counted = count(sample)
        if len(sample) == self._texts:
            return sum(counts), not counted
        tokens: Counter[int] = Counter()
        characters: Counter[int] = Counter()
        for text, n in zip(sample, counts, strict=True):
            tokens[_kind(text)] += n
            characters[_kind(text)] += len(text)
        everywhere = sum(tokens.values()) / max(1, sum(characters.values()))
        each = {kind: tokens[kind] / characters[kind] for kind in characters if characters[kind]}
        return round(sum(n * each.get(kind, everywhere) for kind, n in self._characters.items())), True


def _kind(text: str) -> int:
    return int(_BANDS * len(text.encode("utf-8", "surrogatepass")) / max(1, len(text)))
