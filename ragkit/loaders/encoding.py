"""Which encoding are these bytes? Byte order marks, then UTF-16 by its pattern, UTF-8, then letters.

Old one-byte Cyrillic encodings are told apart by how well pairs of letters fit Russian. A guess is always
named to the reader, and below a threshold the file is refused: mojibake is never indexed. It knows nothing of
files.
"""

from __future__ import annotations

import codecs
import math
import re
from dataclasses import dataclass

from ragkit.loaders.letters import FIT_LIMIT, pair_bits

_CYRILLIC = ("cp1251", "koi8_r", "koi8_u", "cp866", "mac_cyrillic", "iso8859_5")
_SHOWN = {
    "koi8_r": "koi8-r",
    "koi8_u": "koi8-u",
    "mac_cyrillic": "mac-cyrillic",
    "iso8859_5": "iso8859-5",
    "utf_8": "utf-8",
}
_PRIOR = {"mac_cyrillic": 12.0, "iso8859_5": 4.0}  # bits: how much rarer than cp1251 such files are, an estimate
_MARGIN = 8.0  # bits in all between the best reading and the next: odds of 256 to 1
_SAMPLE = 40_000  # bytes with high ones that are looked at
_MULTIBYTE = re.compile(  # exactly the sequences of RFC 3629, section 4, so that noise does not pass for them
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_BYTES = bytes(range(0x80, 0x100))
_CESU = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """`note` says what was guessed; `damage` what was lost, where U+FFFD stands for it in the text."""

    text: str
    encoding: str
    note: str = ""
    damage: str = ""


class UnknownEncodingError(ValueError):
    """No reading of the bytes makes sense; the message says which came nearest."""


def decode(data: bytes) -> Decoded:
    """The bytes as text. Raises UnknownEncodingError where every reading would be mojibake."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decode_marked(data[len(mark) :], encoding)
    if wide := _wide_encoding(data):
        decoded = _decode_marked(data, wide)
        return Decoded(decoded.text, wide, f"read as {wide}: no byte order mark, told by its pattern", decoded.damage)
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        return _decode_broken(data)


def _decode_marked(data: bytes, encoding: str) -> Decoded:
    try:
        return Decoded(data.decode(encoding), encoding)
    except UnicodeDecodeError:
        text = data.decode(encoding, "replace")
    if encoding == "utf-8" and text.count("\ufffd") > len(text) / 20:
        return _decode_broken(data)  # the mark lies
    return Decoded(text, encoding, damage=_count_damage(text.count("\ufffd"), encoding))


def _count_damage(count: int, encoding: str) -> str:
    return f"{count} broken characters could not be read as {encoding}"


def _wide_encoding(data: bytes) -> str:
    """UTF-16 without a mark, or "". Only zeros and other control bytes can tell it from one-byte text."""
    sample = data[: 1 << 16]
    sample = sample[: len(sample) & ~1]
    if len(sample) < 4 or not re.search(rb"[\x00-\x08]", sample):
        return ""
    fits = {encoding: _plain_share(sample, encoding) for encoding in ("utf-16-le", "utf-16-be")}
    best = max(fits, key=lambda encoding: fits[encoding])
    return best if fits[best] >= 0.9 and min(fits.values()) < 0.7 else ""


def _plain_share(sample: bytes, encoding: str) -> float:
    """Share of characters from the blocks that ordinary writing uses, 0 to 1."""
    text = sample.decode(encoding, "replace")
    plain = re.findall(
        "[\t\n\r\x20-\x7e\u00a0-\u017f\u0370-\u04ff\u2010-\u2044\u20ac\u2116\u3000-\u30ff\u4e00-\u9fff]", text
    )
    common = len(re.findall("[\t\n\r\x20-\x7e\u0400-\u045f\u3001\u3002]", text))
    return len(plain) / len(text) if common else 0.0


def _decode_broken(data: bytes) -> Decoded:
    """Not UTF-8 as a whole: UTF-8 with damage, two encodings in one file, or one old encoding."""
    lines = data.split(b"\n")
    bad = [number for number, line in enumerate(lines) if not _is_utf8(line)]
    broken = b"\n".join(lines[number] for number in bad)
    bad_high = _high(broken)
    good_high = _high(data) - bad_high
    if _mostly_utf8(broken):
        text = _decode_damaged(data)
        count = text.count("\ufffd") - data.count(b"\xef\xbf\xbd")
        if count <= 0:
            return Decoded(text, "utf-8", "surrogate pairs written as UTF-8 (CESU-8) were joined")
        return Decoded(text, "utf-8", damage=_count_damage(count, "utf-8"))
    if good_high * 4 < bad_high:  # the lines that are UTF-8 are so by chance or plain ASCII
        encoding, bits = _guess(data)
        return Decoded(data.decode(encoding, "replace"), _shown(encoding), _guessed(encoding, bits))
    encoding, bits = _guess(broken)
    for number in bad:
        lines[number] = lines[number].decode(encoding, "replace").encode()
    shown = _shown(encoding)
    where = f"{len(bad)} of {len(lines)} lines, from line {bad[0] + 1} on, are not UTF-8: {_guessed(encoding, bits)}"
    return Decoded(b"\n".join(lines).decode("utf-8"), f"utf-8 and {shown}", where)


def _guessed(encoding: str, bits: float) -> str:
    shown = _shown(encoding)
    if math.isnan(bits):
        return f"read as {shown}, guessed by the few letters outside ASCII"
    return f"read as {shown}, guessed by letter frequency ({bits:.1f} bits a pair; limit {FIT_LIMIT})"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _mostly_utf8(broken: bytes) -> bool:
    """Whether the lines that fail are UTF-8 with a few wrong bytes: four whole sequences for each bad byte."""
    rest, whole = _MULTIBYTE.subn(b"", broken)  # no list of millions of sequences
    return whole >= 4 * _high(rest)


def _high(data: bytes) -> int:
    """How many bytes are above ASCII."""
    return len(data) - len(data.translate(None, _HIGH_BYTES))


def _decode_damaged(data: bytes) -> str:
    joined = _CESU.sub(
        lambda pair: (
            pair[0].decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass").decode("utf-16-le").encode()
        ),
        data,
    )
    return joined.decode("utf-8", "replace")


def _guess(data: bytes) -> tuple[str, float]:
    """The best one-byte encoding and its bits a pair (NaN for a western one). Raises UnknownEncodingError."""
    sample = _high_sample(data)
    if _is_western(sample):
        return "cp1252", math.nan
    readings: dict[str, str] = {}  # text -> encoding; cp1251 and mac-cyrillic often read alike, then the first serves
    for encoding in _CYRILLIC:
        readings.setdefault(sample.decode(encoding, "replace"), encoding)
    fits = []
    for text, encoding in readings.items():
        total, pairs = pair_bits(text)
        fits.append((total + _PRIOR.get(encoding, 0.0), total / max(pairs, 1), encoding))
    (best_total, bits, best), (next_total, next_bits, second) = sorted(fits)[:2]
    if bits > FIT_LIMIT:
        raise UnknownEncodingError(f"nearest is {_shown(best)} at {bits:.1f} bits a pair of letters, limit {FIT_LIMIT}")
    likeliest = min(fits, key=lambda fit: fit[0] - _PRIOR.get(fit[2], 0.0))[2]
    if next_total - best_total < _MARGIN or likeliest != best:
        raise UnknownEncodingError(
            f"{_shown(best)} ({bits:.1f} bits a pair of letters) and {_shown(second)} ({next_bits:.1f}) fit alike"
        )
    return best, bits


def _shown(encoding: str) -> str:
    return _SHOWN.get(encoding, encoding)


def _high_sample(data: bytes) -> bytes:
    """The first lines that have bytes above ASCII, up to _SAMPLE bytes."""
    lines, size = [], 0
    for line in data.split(b"\n"):
        if _HIGH.search(line):
            lines.append(line)
            size += len(line)
            if size > _SAMPLE:
                break
    return b"\n".join(lines)[:_SAMPLE]


def _is_western(sample: bytes) -> bool:
    """Latin letters with a sprinkling of accents and typographic signs, as cp1252 writes them."""
    high = _HIGH.findall(sample)
    latin = len(re.findall(rb"[A-Za-z]", sample))
    single = len(re.findall(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])", sample))
    ordinary = len(
        re.findall(
            rb"[\x80\x85\x91-\x97\x99\xa0\xa3\xa7\xa9\xab\xae\xb0\xb1\xb7\xbb\xc0-\xd6\xd8-\xf6\xf8-\xff]", sample
        )
    )
    return latin >= 3 * len(high) and single >= 0.8 * len(high) and ordinary >= 0.95 * len(high)
