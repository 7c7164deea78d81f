"""How far a hit stands out is measured on the index it was found in."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from ragkit.relevance import LEAST, relevance

AROUND_ZERO = np.tile(np.array([-0.1, 0.1], np.float32), LEAST)  # mean 0, standard deviation .1


def test_relevance_counts_standard_deviations_above_the_mean() -> None:
    """A cosine of .5 where others are 0 ± .1 is five deviations up, and one of -.2 two down."""
    assert relevance(0.5, AROUND_ZERO) == pytest.approx(5)
    assert relevance(-0.2, AROUND_ZERO) == pytest.approx(-2)


def test_a_model_whose_texts_are_all_alike_gets_the_same_relevance() -> None:
    """Cosines squeezed into .92 ± .004, as GigaChat's are, say the same as those spread around 0."""
    assert relevance(0.92 + 0.04 * 0.5, 0.92 + 0.04 * AROUND_ZERO) == pytest.approx(5, abs=1e-3)


def test_a_flat_background_gives_a_finite_relevance() -> None:
    """Where every passage is equally near, a hit that is no nearer stands out by nothing."""
    flat = np.full(LEAST, 0.5, np.float32)
    assert relevance(0.5, flat) == 0
    assert relevance(0.6, flat) == pytest.approx(1e5)


def test_a_small_index_cannot_call_anything_irrelevant() -> None:
    """With fewer passages than are needed nothing is below any threshold; with enough it can be."""
    assert relevance(0.0, AROUND_ZERO[: LEAST - 1]) == inf
    assert relevance(0.0, AROUND_ZERO[:LEAST]) == pytest.approx(0)
