"""Text to index terms: the one analyser of the word index, the offline embedder and the measure of relevance.

Russian and English by script, identifiers and codes by their parts and whole, words of one script met in the
other by their sound. It knows nothing of documents, indexes or scores; a text's words depend on that text only.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import Stemmer  # type: ignore[import-not-found]  # PyStemmer ships no types

GRAM = 4  # characters; with 3 quality falls on prose, with 5 on inflected Russian
MAX_TERM = 64  # characters; longer runs are base64, hashes of hashes and broken PDFs, and tantivy stops at 65 530 bytes
_CACHED_WORDS = 1 << 16  # distinct written forms; about 40 MB when full
_CACHED_TERMS = 1 << 14  # with the sounds of each; about 15 MB when full

# Written by hand: words that carry grammar, not content. Question words are among them, since queries have them and
# passages that answer do not; "us" is not, since it is also a country.
_STOP_RU = """а без бы был была были было быть в вам вами вас весь во вот все всего всей всем всеми всему всех всю
    вся вы где да для до его ее ей ему если есть еще же за и из или им ими их к как какая какие каким какими каких
    какого какое какой каком какому какую ко когда которая которого которое которой котором которому которую
    которые который которым которыми которых кто куда ли либо лишь между меня мне мной мы на над нам нами нас наш
    наша наше наши не него нее ней нем нему нет ни ним ними них но ну о об обо однако он она они оно от ото перед
    по под при про с сам сама сами само свое своего своей своем своему своим своими своих свой свою своя себе себя
    собой со так такая также такие таким такими таких такого такое такой таком такому такую там те тебе тебя тем
    теми тех то того тоже той только том тому тот ту ты у уже хотя чего чей чем чему через что чтобы чье чья эта
    эти этим этими этих это этого этой этом этому этот эту я является являются"""
_STOP_EN = """a about am an and any are as at be because been being between but by can could d did do does doing
    don for from had has have having he her hers him his how i if in into is it its itself ll me my no nor not of
    off on or our ours out over re s she should so some such t than that the their theirs them then there these
    they this those through to too under until up ve very was we were what when where which while who whom whose
    why will with would you your yours"""
_STOP = frozenset(_STOP_RU.split() + _STOP_EN.split())

# Invisible inside words: soft and zero-width marks, stress marks that have no composed letter. A soft hyphen at a
# line's end takes the line break with it.
_INVISIBLE = re.compile("\u00ad(?:\n[ \t]*)?|[\u0300\u0301\u200b-\u200f\u2060\ufeff]")
_LINE_HYPHEN = re.compile(r"(?<=\w)[-‐‑]\n[ \t]*(?=\w)")
_TOKEN = re.compile(r"\w+(?:[-‐‑.,:/]\w+)*")
_WORD = re.compile(r"\w+")
# Parts of an identifier: HTTPServer -> HTTP Server, parseDate2 -> parse Date 2, snake_case -> snake case.
_PART = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-zа-яё])(?=[A-ZА-ЯЁ])|(?<=[A-ZА-ЯЁ])(?=[A-ZА-ЯЁ][a-zа-яё])")
_DOTTED = re.compile(r"[.,:/]")
_HYPHENS = str.maketrans("", "", "-‐‑")
_DOUBLE = re.compile(r"(.)\1+")
_SHORTEST_STEM = 3  # letters; what is shorter meets by chance
_FLEETING = re.compile("(?<=[бвгджзйклмнпрстфхцчшщ])[ое](?=[кцнл]$)")  # ошибок and ошибка, отец and отца
_MOST_PARTS = 8  # of one identifier; what has more is a hash or encoded bytes, not a name
# Scripts that are written without spaces: their words are character pairs.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")

_TO_CYRILLIC = str.maketrans("aceopxykmthb", "асеорхукмтнв")
_TO_LATIN = str.maketrans("асеорхукмтнв", "aceopxykmthb")
_LOOK_LATIN = frozenset("aceopxykmthb")
_LOOK_CYRILLIC = frozenset("асеорхукмтнв")

# How a letter sounds, roughly, in Latin letters. Kept coarse: ц and z, х and h, е and э are one.
_CYRILLIC_SOUNDS = str.maketrans(
    {
        **dict(zip("абвгдежзийклмнопрстуфхцыэіїєґў", "abvgdejziiklmnoprstufhzieiiegu", strict=True)),
        "ч": "ch",
        "ш": "sh",
        "щ": "sh",
        "ъ": "",
        "ь": "",
        "ю": "u",
        "я": "ia",
    }
)
# English spelling by its usual sound, the longest match first; then what both scripts fold.
_SPELLINGS = """tion=zi sch=sh tch=ch igh=ai ph=f th=t ck=k qu=kv q=k x=ks wh=v w=v kh=h zh=j oo=u ee=i ea=i ou=u ay=ei
    ew=u aw=o au=o ce=se ci=si cy=si ch=ch c=k y=i"""
_LATIN_SOUNDS = dict(pair.split("=") for pair in _SPELLINGS.split())
_LATIN_SPELLING = re.compile("|".join(_LATIN_SOUNDS))
_COMMON_SOUNDS = {"dj": "j", "ai": "ei", "ei": "e", "ie": "e", "ts": "z", "iu": "u"}


class Fields(NamedTuple):
    """A text's words in the forms that an index keeps, each joined by spaces in the order of the text."""

    terms: str  # stems, numbers, codes, identifiers and their parts; no stop words
    grams: str  # character 4-grams of the words with their edges, no stop words
    pairs: str  # neighbouring stems, stop words among them
    stops: str  # the stop words
    cyrillic: str  # 4-grams of the sound of Cyrillic words, in Latin letters
    latin: str  # 4-grams of the sound of Latin words


NOTHING = Fields("", "", "", "", "", "")


class _Stemmers(threading.local):
    """A pair for each thread: a Stemmer object is not thread-safe."""

    def __init__(self) -> None:
        # No cache of its own: words are cached here, with everything else that is known of them.
        self.russian: Callable[[str], str] = Stemmer.Stemmer("russian", 0).stemWord
        self.english: Callable[[str], str] = Stemmer.Stemmer("english", 0).stemWord


_stemmers = _Stemmers()


def fields(text: str) -> Fields:
    """What an index keeps of a text."""
    columns = list(zip(*map(token_fields, tokens(text)), strict=True))
    if not columns:
        return NOTHING
    found = Fields(*map(" ".join, columns))
    stems = found.pairs.split()
    return found._replace(pairs=" ".join([f"{first}_{second}" for first, second in pairwise(stems)]))


def tokens(text: str) -> list[str]:
    """The written words in order; those that hyphens, dots and the like join are one: ГОСТ, 7.32-2017."""
    return _TOKEN.findall(_clean(text))


def terms(text: str) -> list[str]:
    """Stems, numbers, codes and identifiers in the order of the text, repeated as often as they stand there."""
    return fields(text).terms.split()


def grams(text: str) -> list[str]:
    """Character 4-grams of the words in the order of the text."""
    return fields(text).grams.split()


def _clean(text: str) -> str:
    text = unicodedata.normalize("NFKC", text)
    text = _INVISIBLE.sub("", text)
    return _LINE_HYPHEN.sub("-", text)


@lru_cache(maxsize=_CACHED_WORDS)
def token_fields(token: str) -> Fields:
    """The fields of one of `tokens`, with the stems that will be paired in place of the pairs."""
    found = _Found()
    words = _WORD.findall(token)
    for word in words:
        found.add_word(word)
    if len(words) > 1 and len(token) <= MAX_TERM:
        joined = token.lower().replace("ё", "е").replace(",", ".").translate(_HYPHENS)
        if any(map(str.isdecimal, joined)):
            found.terms.append(joined)
        elif not _DOTTED.search(joined):
            found.terms.append(_stem(joined))
    return found.joined()


class _Found:
    """Collects the fields of one token."""

    def __init__(self) -> None:
        self.terms: list[str] = []
        self.grams: list[str] = []
        self.stops: list[str] = []
        self.cyrillic: list[str] = []
        self.latin: list[str] = []
        self.stems: list[str] = []

    def joined(self) -> Fields:
        found = (self.terms, self.grams, self.stems, self.stops, self.cyrillic, self.latin)
        return Fields(*map(" ".join, found))

    def add_word(self, word: str) -> None:
        if _UNSPACED.search(word):
            self._add_unspaced(word)
            return
        parts = _PART.findall(_CAMEL.sub(" ", word))
        if len(parts) > _MOST_PARTS:
            parts = [word]
        if len(parts) > 1 and len(word) <= MAX_TERM:
            whole = word.lower().replace("ё", "е")
            self.terms.append(whole)
            self.grams += grams_of(whole)
        for part in parts:
            self._add_simple(part.lower().replace("ё", "е")[:MAX_TERM])

    def _add_simple(self, word: str) -> None:
        if not word.isascii():
            word = _one_script(_without_accents(word))
        stem = _stem(word)
        self.stems.append(stem)
        if word in _STOP:
            self.stops.append(word)
            return
        self.terms.append(stem)
        self.grams += grams_of(word)
        if is_cyrillic(word):
            self.cyrillic += grams_of(sound(word))
        elif _is_latin(word):
            self.latin += grams_of(sound(word))

    def _add_unspaced(self, word: str) -> None:
        for run in _UNSPACED.findall(word):
            pairs = [run[i : i + 2] for i in range(len(run) - 1)] or [run]
            self.terms += pairs
            self.grams += pairs
            self.stems += pairs
        for rest in _PART.findall(_UNSPACED.sub(" ", word)):
            self._add_simple(rest.lower()[:MAX_TERM])


def grams_of(word: str) -> list[str]:
    """The 4-grams of one word between two edges, each marked by an underscore: _wor, word, ord_."""
    word = f"_{word}_"
    return [word[i : i + GRAM] for i in range(len(word) - GRAM + 1)] or [word]


@lru_cache(maxsize=_CACHED_TERMS)
def sounds_of(term: str) -> frozenset[str]:
    """The 4-grams of the sound of one of `terms`, its beginning marked by an underscore; none of what has digits."""
    if (not is_cyrillic(term) and not _is_latin(term)) or any(map(str.isdigit, term)):
        return frozenset()
    heard = f"_{sound(term)}"
    return frozenset([heard[i : i + GRAM] for i in range(len(heard) - GRAM + 1)] or [heard])


def sound(word: str) -> str:
    """A lower-case word as it sounds, roughly, in Latin letters: often one for a name in both scripts.

    Panthers and Пэнтерс are panters and penters. A key for matching, not a transliteration to read.
    """
    if is_cyrillic(word):
        word = word.translate(_CYRILLIC_SOUNDS)
    else:
        word = _LATIN_SPELLING.sub(lambda found: _LATIN_SOUNDS[found[0]], word)
    word = _DOUBLE.sub(r"\1", word)
    for spelling, folded in _COMMON_SOUNDS.items():
        word = word.replace(spelling, folded)
    return _DOUBLE.sub(r"\1", word)


def is_cyrillic(word: str) -> bool:
    """Whether a word begins with a letter of that script."""
    return "\u0400" <= word[:1] <= "\u04ff"


def _is_latin(word: str) -> bool:
    return "a" <= word[:1] <= "z"


def _stem(word: str) -> str:
    if is_cyrillic(word):
        return _russian_stem(word)
    if _is_latin(word):
        return _stemmers.english(word)
    return word


def _russian_stem(word: str) -> str:
    """Snowball until nothing more comes off, without the vowel that comes and goes.

    Once leaves массив as масс and массивом as массив: 11 % of random forms of a word do not meet, and 6 to 9 % so.
    """
    stem, longer = _stemmers.russian(word), word
    while stem != longer and len(shorter := _stemmers.russian(stem)) >= _SHORTEST_STEM:
        stem, longer = shorter, stem
    return _FLEETING.sub("", stem) if len(stem) > _SHORTEST_STEM else stem


def _without_accents(word: str) -> str:
    """Latin letters without their marks: café is found as cafe. Cyrillic й keeps its own."""
    if is_cyrillic(word):
        return word
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def _one_script(word: str) -> str:
    """A word of both scripts in the one it is mostly of, where the rest are letters that look alike in both."""
    latin = [c for c in word if "a" <= c <= "z"]
    if not latin:
        return word
    cyrillic = [c for c in word if "а" <= c <= "я"]
    if len(latin) <= len(cyrillic) and _LOOK_LATIN.issuperset(latin):
        return word.translate(_TO_CYRILLIC)
    if len(cyrillic) < len(latin) and _LOOK_CYRILLIC.issuperset(cyrillic):
        return word.translate(_TO_LATIN)
    return word
