"""Real pictures from nothing but the standard library: a PNG of stripes and a JPEG of coloured squares.

Their colours come from the prompt, so that the same words draw the same picture.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from functools import lru_cache

BLOCK = 8  # pixels: JPEG's unit, which is one colour here
SIDE = 12  # blocks of the drawn JPEG
STRIPE = 32  # pixels

# Standard Huffman table of luminance DC (ITU T.81, table K.3): how many codes there are of each length, and the values.
_DC_COUNTS = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
_DC_VALUES = bytes(range(12))
# An AC table with one code, of one bit: "the rest of the block is zero".
_AC_COUNTS = bytes([1, *([0] * 15)])
_AC_VALUES = bytes([0])


@lru_cache(maxsize=64)
def png(prompt: str, width: int, height: int) -> bytes:
    """A PNG of that size: stripes in eight colours of the prompt."""
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
    row = bytes(1) + bytes((x // STRIPE) % BLOCK for x in range(width))  # filter 0, then one palette index a pixel
    rows = row * height
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    palette = digest[: 3 * BLOCK]
    parts = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(name, body) for name, body in parts)


@lru_cache(maxsize=64)
def jpeg(prompt: str) -> bytes:
    """A baseline JPEG, 96 by 96 pixels: a grid of squares, each a grey of the prompt."""
    digest = hashlib.shake_256(prompt.encode("utf-8", "surrogatepass")).digest(SIDE * SIDE)
    size = SIDE * BLOCK
    quantisation = b"\x00" + bytes([8]) * 64  # a DC step of 8 is one grey level: the DC term is 8 times the mean
    frame = struct.pack(">BHHB", 8, size, size, 1) + bytes([1, 0x11, 0])  # 8 bits, one component
    segments = [
        (0xE0, b"JFIF\x00\x01\x01\x00" + struct.pack(">HH", 1, 1) + b"\x00\x00"),
        (0xDB, quantisation),
        (0xC0, frame),
        (0xC4, b"\x00" + _DC_COUNTS + _DC_VALUES),
        (0xC4, b"\x10" + _AC_COUNTS + _AC_VALUES),
        (0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
    ]
    head = b"".join(struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body for mark, body in segments)
    return b"\xff\xd8" + head + _scan(digest) + b"\xff\xd9"


def dimensions(content: bytes) -> str:
    """A picture's format and size as words: "JPEG 96x96"; its first bytes tell."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack(">II", content[16:24])
        return f"PNG {width}x{height}"
    if content.startswith(b"BM") and len(content) >= 26:  # the header that holds the size
        width, height = struct.unpack("<ii", content[18:26])
        return f"BMP {width}x{abs(height)}"
    if content.startswith(b"\xff\xd8"):
        return _jpeg_dimensions(content)
    return "TIFF" if content[:4] in (b"II*\x00", b"MM\x00*") else "image"


def _jpeg_dimensions(content: bytes) -> str:
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:  # every segment begins with it
        mark, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return f"JPEG {width}x{height}"
        at += 2 + length
    return "JPEG"


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _scan(greys: bytes) -> bytes:
    """The entropy-coded data: for each block the difference of its DC from the last, and an end of block."""
    codes = _huffman_codes(_DC_COUNTS, _DC_VALUES)
    bits: list[str] = []
    last = 0
    for grey in greys:
        level = grey - 128
        difference, last = level - last, level
        size = abs(difference).bit_length()
        bits.append(codes[size])
        if size:
            value = difference if difference > 0 else difference + (1 << size) - 1
            bits.append(f"{value:0{size}b}")
        bits.append("0")  # the one AC code
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    return int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\x00")


def _huffman_codes(counts: bytes, values: bytes) -> dict[int, str]:
    codes, code, taken = {}, 0, 0
    for length, count in enumerate(counts, start=1):
        for _ in range(count):
            codes[values[taken]] = f"{code:0{length}b}"
            code, taken = code + 1, taken + 1
        code <<= 1
    return codes
