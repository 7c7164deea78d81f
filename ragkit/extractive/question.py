"""What a question asks: its words with their weights, and the kind of thing that would answer it.

It knows nothing of documents: a text is given, and how much of the question it meets comes back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from ragkit import words
from ragkit.extractive.expected import FREQUENCY, MONEY, NAME, NUMBER, PERIOD, Wanted, wanted

_ALIKE = 0.5  # share of a word's 4-grams that another word must have to be met by it
_INFLECTED = 0.9  # credit for that, times the share
_RELATED = 0.8  # credit for a word whose stem is the beginning of the other's: калибровать, калибровка
_SHORTEST_STEM, _LONGEST_REST = 5, 3  # letters: of such a beginning, and of what the longer stem has beyond it
_PART = 0.4  # credit for a part of a code: TL or 40 of TL-40, times the share
_MOST_WORDS = 40  # of one question, those that say most; more would make a pasted page slow
_FRAME = 0.2  # weight of a word that only frames the question, as "many" in "how many"

# Words that frame a question and rarely stand in its answer.
_FRAMES = """сколько долго часто давно стоит стоят значит означает называется называются находится зовут
    много much many long often far old mean means meant happen happened called name kind type following"""
_MEANING_ASKED = re.compile(
    r"\b(?:что\s+(?:такое|значит|означает|обозначает)|what\s+(?:does|do|is|are)\b(?=.{1,60}\bmean|(?:\s+\S+){1,3}\W*$))",
    re.IGNORECASE,
)
_COPULA = re.compile(
    r"[\s»\"”)]*(?:[:=]|[—–-]\s|(?:—\s*)?это\b|означает\b|is\b|are\b|means?\b|refers\b|—)", re.IGNORECASE
)


class Question:
    """The words of a question, each once however many terms it gives, weighted by how much it says.

    Args:
        text: as it was asked.
        idf: gives how much each of some terms says.
    """

    def __init__(self, text: str, idf: Callable[[Sequence[str]], Mapping[str, float]]) -> None:
        tokens = [token for token in dict.fromkeys(words.tokens(text)) if words.token_fields(token).terms]
        self._asked = [_Asked(token) for token in tokens]
        weights = idf([term for asked in self._asked for term in asked.terms])
        for asked in self._asked:
            asked.weigh(weights)
        self._asked = sorted(self._asked, key=lambda asked: -asked.weight)[:_MOST_WORDS]
        self.weights = [asked.weight for asked in self._asked]
        self.total = sum(self.weights)
        self.terms = frozenset(term for asked in self._asked for term in asked.terms)
        self._wanted = wanted(text)
        self._wants_meaning = bool(_MEANING_ASKED.search(text))
        self._met: dict[str, tuple[float, ...]] = {}  # by token: one text's words come again in the next

    def met(self, text: str) -> list[float]:
        """How well the text meets each word of the question, from 0 to 1."""
        return self.best(self._of(token) for token in words.tokens(text))

    def best(self, credits: Iterable[Sequence[float]]) -> list[float]:
        """The best credit for each word."""
        return [max(column) for column in zip([0.0] * len(self._asked), *credits, strict=True)]

    def share(self, credits: Sequence[float]) -> float:
        """How much of the question these credits are, from 0 to 1."""
        return sum(credit * weight for credit, weight in zip(credits, self.weights, strict=True)) / self.total

    def news(self, text: str) -> int:
        """How many words of content the text has beside those of the question."""
        return len(
            {term for token in words.tokens(text) for term in words.token_fields(token).terms.split()} - self.terms
        )

    def fits(self, text: str, head: str = "") -> bool:
        """Whether the text has what the question's first words want: a price, a time, a number, a name.

        True where they want none of these. `head` is that of the table where the text is a row: units stand there.
        """
        match self._wanted:
            case Wanted.PRICE:
                return bool(NUMBER.search(text) and MONEY.search(f"{head}\n{text}"))
            case Wanted.FREQUENCY:
                return bool(FREQUENCY.search(text))
            case Wanted.PERIOD:
                return bool(PERIOD.search(f"{head}\n{text}"))
            case Wanted.NUMBER:
                return any(not self._is_asked(text, match.start()) for match in NUMBER.finditer(text))
            case Wanted.PERSON:
                return any(not self.terms.intersection(words.terms(match[1])) for match in NAME.finditer(text))
            case None:
                return True

    def defines(self, text: str) -> bool:
        """Whether a word of the question stands before a colon, a dash or "is", as what is explained does."""
        if not self._wants_meaning:
            return False
        for match in re.finditer(r"[\w-]+", text):
            credits = self._of(match[0])
            if max(credits) >= 1 and self.weights[credits.index(max(credits))] and _COPULA.match(text, match.end()):
                return True
        return False

    def _is_asked(self, text: str, place: int) -> bool:
        """Whether the number at `place` belongs to a word of the question, as 40 to TL-40."""
        start = max(text.rfind(" ", 0, place), text.rfind("\n", 0, place)) + 1
        word = re.match(r"\S+", text[start:])
        return word is not None and any(credit >= 1 for token in words.tokens(word[0]) for credit in self._of(token))

    def _of(self, token: str) -> tuple[float, ...]:
        found = self._met.get(token)
        if found is None:
            fields = words.token_fields(token)
            found = self._met[token] = tuple(asked.met_by(fields) for asked in self._asked)
        return found


@cache
def _frames() -> frozenset[str]:
    return frozenset(words.terms(_FRAMES))


class _Asked:
    """One word of the question: its terms, the whole last, and the forms by which another word may meet it."""

    def __init__(self, token: str) -> None:
        fields = words.token_fields(token)
        self.terms = fields.terms.split()
        self.weight = 0.0
        self._whole = self.terms[-1]
        self._parts = set(self.terms[:-1])
        self._grams = set(fields.grams.split())
        self._cyrillic = set(fields.cyrillic.split())
        self._latin = set(fields.latin.split())

    def weigh(self, idf: Mapping[str, float]) -> None:
        """A code weighs as its rarest part, a word that only frames the question next to nothing."""
        self.weight = max(idf.get(term, 1.0) for term in self.terms)
        if not _frames().isdisjoint(self.terms):
            self.weight *= _FRAME

    def met_by(self, fields: words.Fields) -> float:
        terms = fields.terms.split()
        if self._whole in terms:
            return 1.0
        if any(self._related(term) for term in terms):
            return _RELATED
        part = _PART * len(self._parts.intersection(terms)) / len(self._parts) if self._parts else 0.0
        # Words of one script are looked for among the sounds of the other.
        pairs = ((self._grams, fields.grams), (self._cyrillic, fields.latin), (self._latin, fields.cyrillic))
        alike = max(len(of.intersection(among.split())) / len(of) if of and among else 0.0 for of, among in pairs)
        return max(part, _INFLECTED * alike if alike >= _ALIKE else 0.0)

    def _related(self, term: str) -> bool:
        short, long = sorted((self._whole, term), key=len)
        near = len(short) >= _SHORTEST_STEM and len(long) - len(short) <= _LONGEST_REST
        return near and long.startswith(short) and long.isalpha()
