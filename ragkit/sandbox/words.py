"""Words, sentences, languages and tokens, by rules that fit on a page.

Stems are the first five letters without an ending, tokens are counted by length: crude, and the same everywhere.
"""

from __future__ import annotations

import re
from functools import lru_cache

STEM = 5  # letters
_WORD = re.compile(r"[^\W_]+")
_TOKEN = re.compile(r"[а-яё]+|[^\W\d_а-яё]+|\d+|[^\w\s]|_+|\n", re.IGNORECASE)
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ings?|ed|e?s)$|(?<=[а-я]{3})[аеиоуыэюяйь]{1,2}$")
_RUSSIAN = re.compile(r"[а-яё]", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"»”)\]]*\s+(?=[«\"“(\[—–-]?\s?[^\W_a-zа-яё])")
_BREAK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-•*–—|#>\[]|\d+[.)]\s))")

_STOP = """
и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по только ее мне было вот от меня
еще нет о из ему теперь когда даже ну ли если уже или ни быть был него до вас опять вам ведь там потом себя
может они тут где есть надо ней для мы тебя их чем была сам чтоб без будто чего раз тоже себе под будет ж тогда
кто этот того потому этого какой какая какие какое совсем ним здесь этом один мой тем чтобы нее были куда зачем
всех при два об другой хоть после над больше тот через эти нас про них сколько это эта ли каков каким каком
какую какого a an the of to in on at for and or is are was were be been do does did what which who whom whose
when where why how it its this that these those with from by as not no if then than there their they them he she
his her we our you your i my me can could should would will shall may might must have has had much many about
into over under
"""
STOP = frozenset(_STOP.split())
TOKEN_LENGTH = {"russian": 3, "other": 7, "digits": 3}  # letters or digits that one token covers


def words(text: str) -> list[str]:
    """The words of a text in lower case, ё written as е."""
    return _WORD.findall(text.lower().replace("ё", "е"))


def stem(word: str) -> str:
    """The first letters of a word without its commonest endings: crude, and enough to know a word again."""
    return _ENDING.sub("", word)[:STEM]


def stems(text: str) -> set[str]:
    """The stems of the words that mean something."""
    return {stem(word) for word in words(text) if word not in STOP and (len(word) > 1 or word.isdigit())}


def is_russian(text: str) -> bool:
    return _RUSSIAN.search(text) is not None


def sentences(text: str) -> list[str]:
    """The sentences of a text, each as it stands there; items of lists and paragraphs end one too."""
    found = []
    for block in _BREAK.split(text):
        start = 0
        for end in _SENTENCE_END.finditer(block):
            found.append(block[start : end.end()].strip())
            start = end.end()
        found.append(block[start:].strip())
    return [sentence for sentence in found if _WORD.search(sentence)]


@lru_cache(maxsize=4096)
def count_tokens(text: str) -> int:
    """Tokens by rule: a Russian word has one per 3 letters, another word one per 7, a number one per 3 digits.

    A mark and a line break are one each; spaces are free. "First text" is 2, as the real service says.
    """
    return sum(map(_size, _TOKEN.findall(text)))


def cut_to_tokens(text: str, limit: int) -> str:
    """The longest beginning of a text, in whole words, that is not over the limit; at least something."""
    used = 0
    for piece in _TOKEN.finditer(text):
        used += _size(piece[0])
        if used > limit:
            kept = text[: piece.start()].rstrip()
            return kept or text[: piece.start() + max(1, limit * TOKEN_LENGTH["russian"])]
    return text


@lru_cache(maxsize=65536)
def _size(piece: str) -> int:
    if piece[0].isdigit():
        length = TOKEN_LENGTH["digits"]
    elif piece[0].isalpha():
        length = TOKEN_LENGTH["russian" if is_russian(piece[0]) else "other"]
    else:
        return 1
    return -(-len(piece) // length)


def phrases(text: str, size: int = 3) -> list[str]:
    """A text in pieces of a few words, as a stream brings it; joined they are the text again."""
    parts = re.findall(r"\s*\S+", text)
    pieces = ["".join(parts[at : at + size]) for at in range(0, len(parts), size)]
    rest = text[sum(map(len, pieces)) :]
    if rest:
        pieces.append(rest)
    return pieces
