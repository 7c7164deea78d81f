"""How well letters fit Russian, and the mending of letters that a wrong table has replaced.

It knows nothing of files and bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Bits it costs to write the column's letter after the row's, 'a' = 0 ... 'p' = 15 and more; rows and columns are
# space (any non-letter), then а ... я with ё as е. Counted over 0.8 million letters of Russian Wikipedia.
_ALPHABET = " абвгдежзийклмнопрстуфхцчшщъыьэюя"
_PAIR_BITS = (
    "pffdffghfekegfeedfdfgghhfhloopgjh",  # space
    "ckgehfggfhheefdlgeeejigggiipppkgf",  # а
    "gekilldjkemidjfcldgkfmhmljfgdjkjh",  # б
    "cdnjjjdoieohfifdiffggmjlmglmeinnh",  # в
    "fekjjgenndniejhbmdijflmlllnnnnjmn",  # г
    "eckfkidgjdnhfiedhffjenkijinkfikkh",  # д
    "cihffegggjffeedhhdeelihhhiipppnji",  # е
    "gdhkkdbildlhlkdgjkhlgllkhlllkhill",  # ж
    "dchehefikemhgfeelfimfmmjlkmkfimlh",  # з
    "cghfhgeifeffeeeghfeekifgfjjpppnge",  # и
    "akkjkhkmkkmhihegkjdhmkkhigmmmmmml",  # й
    "ddlhlnfgkdoifjhckegefnnhmlonomlmn",  # к
    "edknjjdhmcohgkgdmmgjflmollmohdmfe",  # л
    "cdhjjndnmdniggfdglhmekmjlmnnfiklf",  # м
    "edkihgdlkdphkmecokffgikhilkmdhokg",  # н
    "dkfdeeggghefeeeigeeekiiigijpppkih",  # о
    "hemmnldnnenjfmhchcihflnkklnngjlmh",  # п
    "fcigghdhmdohhgfcjifgejhkkilofhljg",  # р
    "efkfljelneodehfefgfcfiikiinlhglke",  # с
    "ddkenjdomdogijfdkeejfkljjnmnfekkh",  # т
    "chfhfeffgikfeffjeeeelkghegfnnniej",  # у
    "fdkljldljclkfjjdldggeflklkllikkjk",  # ф
    "belgmmhmkfmkgigdlfgjgmllllmllljlm",  # х
    "edkgjkcljblfjkkgklkkfllklkllfllkk",  # ц
    "fcmlllcjmdmggjdjkhkdgmmmlimmmhllm",  # ч
    "hdkgllcllcleejfejijffllilllllgjll",  # ш
    "jdkjkkbkkckkkkgkkjkkfkkkkkkkkgkkk",  # щ
    "ghhhhhbhhhhhhhhhhhhhhhhhhhhhhhhfc",  # ъ
    "cmhfiidkhkdhddgnhgffnndkggknnnnnk",  # ы
    "bmhiihfmfhmfmfcjjmefmjlhjekmmmmef",  # ь
    "fihgigjkjhgdefeieefbifjkkikkkkkkj",  # э
    "bigjgflgfkiggigkjggcljkgejdlllkil",  # ю
    "bnheigfhfjihgfflihgenngiilgnnnngi",  # я
)
# Bits of a pair that Russian does not write: a foreign letter or a box-drawing sign inside a word, a capital after
# a small letter. More than any pair of letters costs, so that a wrong reading cannot hide behind frequent ones.
_WRONG = 16.0
_OTHER_CYRILLIC = 7.0  # Ukrainian and Belarusian letters: possible, yet rarer than any Russian one
_RARE_CYRILLIC = 11.0  # Serbian, Macedonian and others
FIT_LIMIT = 5.6  # bits a pair. Russian measures 3.4 to 4.4, Ukrainian to 5.2, a wrong reading 6.5 and more
_TYPOGRAPHIC = frozenset("«»„“”‘’–—…№§©®°·•±™€\u00a0")  # ordinary in any text, so they cost nothing
_NOT_AFTER_A_LETTER = frozenset("«„€№§©±")
_NOT_BEFORE_A_LETTER = frozenset("»™€")
# Letters by their places in a common font instead of by Unicode: А is ":", я is "y", 0x3D6 places lower.
_SHIFT = {code: code + 0x3D6 for code in range(0x3A, 0x7A)}
_SHIFTED = re.compile(r"(?<=[A-Za-z_])[\[\\\]^](?=[A-Za-z_])")  # б, в, г, д; a code listing has no three of them
_LATIN = re.compile("[A-Za-z]")
_ACCENTED = re.compile("[\u00c0-\u00ff]")
_LETTER = re.compile(r"[^\W\d_]")
UNMENDED = "unmended"
_PORTION = 1 << 16  # characters
_LEAST = 20  # signs that letters were replaced; fewer prove nothing


def mend_letters(text: str) -> tuple[str, str]:
    """The text with replaced Russian letters put back, line by line where they then fit, and what was done.

    Two faults are common in Russian files: letters by their place in the font (Mgb\\_jkbl_l) and cp1251 shown as
    cp1252 (Óíèâåðñèòåò). What is done is "" for sound text, and "unmended" where letters were replaced in another
    way, or by too many ways: then it is not worth reading.
    """
    signs = Counter(match[0] for match in _SHIFTED.finditer(text))
    if len(signs) >= 3 and signs.total() >= _LEAST and signs.total() >= 0.03 * count(_LATIN, text):
        mended = _mend_lines(text, lambda line: line.translate(_SHIFT), "letters by their places in the font")
        return (text, "") if mended[1] == UNMENDED else mended
    accented = count(_ACCENTED, text)
    if accented >= _LEAST and accented >= 0.6 * count(_LETTER, text):
        return _mend_lines(text, _from_western, "cp1251 that was shown as cp1252")
    return text, ""


def count(character: re.Pattern[str], text: str) -> int:
    """How many characters of the text match. Of a portion at a time: a list of letters takes 8 to 80 bytes for each."""
    return sum(len(character.findall(text, at, at + _PORTION)) for at in range(0, len(text), _PORTION))


def _mend_lines(text: str, mend: Callable[[str], str], fault: str) -> tuple[str, str]:
    lines, mended_letters = [], 0
    for line in text.split("\n"):
        mended = mend(line)
        total, count = pair_bits(mended)
        fits = count > 0 and total / count <= FIT_LIMIT
        mended_letters += len(line) if fits else 0
        lines.append(mended if fits else line)
    return ("\n".join(lines), fault) if mended_letters > len(text) / 2 else (text, UNMENDED)


def _from_western(line: str) -> str:
    return "".join(_cyrillic(char) for char in line)


def _cyrillic(char: str) -> str:
    try:
        return char.encode("cp1252").decode("cp1251")
    except UnicodeError:
        return char


def pair_bits(text: str) -> tuple[float, int]:
    """Bits of the pairs that touch a character above ASCII, and how many there are."""
    pairs = Counter(zip(" " + text, text + " ", strict=True))
    total, count = 0.0, 0
    for (left, right), times in pairs.items():
        if left >= "\x80" or right >= "\x80":
            total += times * _bits(left, right)
            count += times
    return total, count


def _bits(left: str, right: str) -> float:
    left_class, right_class = _class(left), _class(right)
    if "?" in (left_class, right_class):
        return _WRONG
    if "L" in (left_class, right_class) and left_class + right_class not in (" L", "L "):
        return _WRONG  # Latin and Cyrillic letters in one word
    if left.islower() and right.isupper():
        return _WRONG
    if (left.isalpha() and right in _NOT_AFTER_A_LETTER) or (right.isalpha() and left in _NOT_BEFORE_A_LETTER):
        return _WRONG
    if "r" in (left_class, right_class):
        return _RARE_CYRILLIC
    if "i" in (left_class, right_class):
        return _OTHER_CYRILLIC
    if "L" in (left_class, right_class):
        return 0.0
    return float(ord(_PAIR_BITS[_ALPHABET.index(left_class)][_ALPHABET.index(right_class)]) - ord("a"))


def _class(char: str) -> str:
    """A letter of _ALPHABET, "i" or "r" another Cyrillic one, "L" Latin, " " a neutral sign, "?" a wrong one."""
    small = char.lower()
    if small == "ё":
        return "е"
    if small in _ALPHABET:
        return small
    if char < "\x80":
        return "L" if char.isalpha() else " "
    if char in _TYPOGRAPHIC:
        return " "
    if small in "іїєґў":
        return "i"
    return "r" if "\u0400" <= char <= "\u04ff" else "?"
