"""Features as ranks within their session."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from tests.evaluation.builders import small_market

from marketloop.dataset import session_ranks, with_ranks

Block = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def plain_ranks(block: Block) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    out = np.zeros(block.shape)
    for j in range(block.shape[1]):
        known = np.isfinite(block[:, j])
        if known.sum() > 1:
            out[known, j] = (stats.rankdata(block[known, j]) - 1) / (known.sum() - 1) - 0.5
    return out


values = st.one_of(
    st.integers(-3, 3).map(float), st.just(np.nan), st.just(np.inf), st.just(-np.inf), st.floats(-10, 10, width=32)
)


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 14), st.integers(1, 3)), elements=values))
def test_ranks_of_a_session_equal_average_ranks_scaled_to_one_half(block: Block) -> None:
    ranks = session_ranks(block, np.zeros(len(block), np.int32))
    np.testing.assert_allclose(ranks, plain_ranks(block), atol=1e-6)


def test_sessions_are_ranked_apart() -> None:
    X = np.array([[1.0], [2.0], [3.0], [30.0], [20.0]], np.float32)
    ranks = session_ranks(X, np.array([4, 4, 4, 9, 9], np.int32))
    assert ranks[:, 0].tolist() == [-0.5, 0.0, 0.5, 0.5, -0.5]


def test_missing_values_ties_of_all_and_lone_values_rank_zero() -> None:
    X = np.array([[np.nan, 7, np.nan], [2, 7, np.nan], [1, 7, 5]], np.float32)
    assert session_ranks(X, np.zeros(3, np.int32)).tolist() == [[0, 0, 0], [0.5, 0, 0], [-0.5, 0, 0]]
    assert session_ranks(X[:1], np.zeros(1, np.int32)).tolist() == [[0, 0, 0]]
    assert session_ranks(X[:0], np.zeros(0, np.int32)).shape == (0, 3)


def test_matrix_keeps_the_ranks_it_has() -> None:
    matrix = small_market(sessions=20).matrix()
    assert with_ranks(matrix) is matrix
