"""What faiss computes over arrays of ours, mapped files among them; the only file that imports it.

faiss takes NaN and wrong shapes, pads with id -1, and its reader of files trusts them. So it reads none: it is given
arrays whose lengths were checked, copies none of them, and of what it gives back the padding is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, cast

import faiss
import numpy as np

from ragkit.store.segments import VectorBlock
from ragkit.types import FloatMatrix, FloatVector, IntVector

CodeMatrix: TypeAlias = "np.ndarray[tuple[int, int], np.dtype[np.uint8]]"  # (n, bytes of a code)
_QUERY_BITS = 4  # of each number of a query, while codes are scanned; 8 find no more, and take half as long again


def nearest_rows(
    blocks: Iterable[VectorBlock], query: FloatVector, n: int, within: IntVector | None
) -> tuple[IntVector, FloatVector]:
    """Ids and cosines of the `n` nearest rows, in no order; of those `within`, ascending, where it is given."""
    index: Any = faiss.IndexScalarQuantizer(len(query), faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    chosen = _Chosen(within)
    scanner = index.sq.select_InvertedListScanner(faiss.METRIC_INNER_PRODUCT, None, False, chosen.selector, False)
    scan = _Scan(scanner, query, n)
    for block in blocks:
        scan.add(block.ids, block.rows.view(np.uint8))
    return scan.best()


class Coder:
    """Codes of one bit a dimension, relative to a centre (d,): RaBitQ, by Gao and Long (SIGMOD 2024)."""

    def __init__(self, centre: FloatVector) -> None:
        self._quantizer: Any = faiss.IndexFlatL2(len(centre))
        self._quantizer.add(centre[None, :])
        self._index: Any = faiss.IndexIVFRaBitQ(self._quantizer, len(centre), 1, faiss.METRIC_INNER_PRODUCT)
        self._parameters: Any = faiss.IVFRaBitQSearchParameters()
        self._parameters.qb = _QUERY_BITS

    def encode(self, rows: FloatMatrix) -> CodeMatrix:
        """(n, bytes) for (n, d)."""
        codes = np.empty((len(rows), self._index.code_size), np.uint8)
        lists = np.zeros(len(rows), np.int64)
        self._index.encode_vectors(len(rows), faiss.swig_ptr(rows), faiss.swig_ptr(lists), faiss.swig_ptr(codes))
        return cast("CodeMatrix", codes)

    def nearest(self, stretches: Iterable[tuple[IntVector, CodeMatrix]], query: FloatVector, n: int) -> IntVector:
        """Ids of the `n` that seem nearest by their codes, in no order."""
        scan = _Scan(self._index.get_InvertedListScanner(False, None, self._parameters), query, n)
        for ids, codes in stretches:
            scan.add(ids, codes)
        return scan.best()[0]


def code_bytes(dimension: int) -> int:
    """The bytes of one code: its bits, and two numbers that correct what they say."""
    return -(-dimension // 8) + 8


class _Chosen:
    """A selector of ids, with the bits that it looks into."""

    def __init__(self, within: IntVector | None) -> None:
        self.selector: Any = None
        if within is not None:
            wanted = np.zeros(int(within[-1]) + 1 if len(within) else 1, bool)
            wanted[within] = True
            self._bits = np.packbits(wanted, bitorder="little")
            self.selector = faiss.IDSelectorBitmap(len(self._bits), faiss.swig_ptr(self._bits))


class _Scan:
    """A heap of the best, over any number of arrays."""

    def __init__(self, scanner: Any, query: FloatVector, n: int) -> None:
        self._scanner = scanner
        self._n = n
        self._query = np.ascontiguousarray(query, np.float32)
        self._scores = np.full(n, -np.inf, np.float32)
        self._ids = np.full(n, -1, np.int64)
        self._heap = faiss.swig_ptr(self._scores), faiss.swig_ptr(self._ids)
        scanner.set_query(faiss.swig_ptr(self._query))
        scanner.set_list(0, 0.0)

    def add(self, ids: IntVector, rows: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> None:
        if len(ids):
            self._scanner.scan_codes(len(ids), faiss.swig_ptr(rows), faiss.swig_ptr(ids), *self._heap, self._n)

    def best(self) -> tuple[IntVector, FloatVector]:
        found = self._ids >= 0
        return cast("IntVector", self._ids[found]), cast("FloatVector", self._scores[found])
