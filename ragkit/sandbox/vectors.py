"""Texts as vectors, by hashing their stems: alike where words are shared, the same in every run and on every machine.

They look like those of the real `Embeddings`: not normalised (length about 29), every number exact in float16, and all
of them near one common direction, so that texts which share nothing still have a cosine of about .9.
"""

from __future__ import annotations

import math
import threading
import zlib
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ragkit.sandbox.words import STOP, stem, words

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH = 29.2  # of a vector of GigaChat's, measured in its recorded replies
COMMON = 0.9  # cosine of two texts that share no word
ROWS = 8192  # random directions; a stem is the sum of two of them
PREFIX = 3  # letters: a second, weaker feature, which inflected and misspelt words share
PREFIX_WEIGHT = 0.5
STOP_WEIGHT = 0.1
FULL_WEIGHT_AT = 7  # letters: shorter words mean less
REMEMBERED = 4096  # vectors, of 2 to 5 KB
_lock = threading.Lock()
turn = threading.Lock()  # held while a request's texts are embedded: many at once fight over the interpreter


@lru_cache(maxsize=REMEMBERED)
def embed(
    text: str, dimension: int, *, seed: int = 0, common: float = COMMON, length: float = LENGTH
) -> NDArray[np.float16]:
    """The vector of a text, (dimension,) float16, read-only: the same text gets the same array again."""
    centre, table = _directions(dimension, seed)
    rows, weights = _features(text)
    # (features,) times (features, dimension) -> (dimension,); not by BLAS, whose threads cost more than they save here
    taken = table.take(rows, axis=0).astype(np.float32)
    own = np.einsum("i,ij->j", np.asarray(weights, dtype=np.float32), taken)
    own /= float(np.linalg.norm(own)) or 1.0
    mixed = math.sqrt(common) * centre + math.sqrt(1 - common) * own
    vector: NDArray[np.float16] = (length * mixed).astype(np.float16)
    vector.flags.writeable = False
    return vector


def as_json(vector: NDArray[np.float16]) -> bytes:
    """The vector as a JSON array whose numbers are exactly those of float16, from a table of all 65 536."""
    return b"[" + b",".join(_numbers()[vector.view(np.uint16)].tolist()) + b"]"


def _features(text: str) -> tuple[list[int], list[float]]:
    """Rows of the table and their weights; a row may come twice."""
    rows: list[int] = []
    weights: list[float] = []
    for word, count in (Counter(words(text)) or Counter([text[:64]])).items():  # a text without words is its marks
        own_rows, own_weights = _features_of(word)
        rows += own_rows
        weights += own_weights if count == 1 else [weight * (1 + math.log(count)) for weight in own_weights]
    return rows, weights


@lru_cache(maxsize=65536)
def _features_of(word: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Two rows for the stem, and a weaker one for the first letters, of a word that is longer."""
    weight = STOP_WEIGHT if word in STOP else min(1.0, len(word) / FULL_WEIGHT_AT)
    root = stem(word).encode()
    rows = (zlib.crc32(root) % ROWS, zlib.crc32(root, 0x5EED) % ROWS)
    if len(word) <= PREFIX:
        return rows, (weight, weight)
    prefix = word[:PREFIX].encode()
    return (*rows, zlib.crc32(prefix, 0xBEEF) % ROWS), (weight, weight, weight * PREFIX_WEIGHT)


_made: dict[tuple[int, int], tuple[Any, Any]] = {}


def _directions(dimension: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """The common direction, unit; and (ROWS, dimension) random ones."""
    key = (dimension, seed)
    with _lock:  # made once, though many threads ask at once
        if key not in _made:
            random = np.random.default_rng([0x7A6B, seed, dimension])
            centre = random.standard_normal(dimension).astype(np.float32)
            centre /= np.linalg.norm(centre)
            _made[key] = centre, random.integers(-127, 128, size=(ROWS, dimension), dtype=np.int8)
    return _made[key]


@lru_cache(maxsize=1)
def _numbers() -> NDArray[np.object_]:
    every = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64)
    return np.array([repr(number).encode() for number in every.tolist()], dtype=object)
