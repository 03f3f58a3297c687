"""Rows before a row: of its own ticker, of earlier sessions, however the rows were cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluation.builders import small_market

from marketloop.core.past import Past
from marketloop.core.values import Matrix
from marketloop.dataset import newest_rows, with_past


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    """Some rows of five tickers; they know only each other."""
    rows = small_market(sessions=40, tickers=5, features=1).matrix()
    some = rows.take(np.random.default_rng(0).random(len(rows)) < 0.8)
    return with_past(replace(some, past=None))


def before(rows: Matrix, steps: int) -> tuple[Past, NDArray[np.int32]]:
    assert rows.past is not None
    return rows.past, rows.past.before(rows.session, rows.ticker, steps)


def by_a_loop(past: Past, session: int, ticker: int, steps: int) -> list[int]:
    own = [i for i in range(len(past.session)) if past.ticker[i] == ticker and past.session[i] < session]
    return [-1] * steps if not own else ([own[0]] * steps + own)[-steps:]


@pytest.mark.parametrize("steps", [1, 3, 60])
def test_past_is_what_a_plain_loop_finds(matrix: Matrix, steps: int) -> None:
    past, at = before(matrix, steps)
    for row in range(len(matrix)):
        assert at[row].tolist() == by_a_loop(past, int(matrix.session[row]), int(matrix.ticker[row]), steps)


def test_past_reaches_into_no_later_session_and_no_other_ticker(matrix: Matrix) -> None:
    past, at = before(matrix, 12)
    known = at >= 0
    assert known.any()
    assert (past.session[at] < matrix.session[:, None])[known].all()
    assert (past.ticker[at] == matrix.ticker[:, None])[known].all()
    assert (np.diff(past.session[at[known.all(axis=1)]], axis=1) >= 0).all()


def test_rows_keep_their_past_when_they_are_shuffled_repeated_or_left_out(matrix: Matrix) -> None:
    _, whole = before(matrix, 4)
    for rows in (
        np.random.default_rng(1).permutation(len(matrix)),
        np.arange(len(matrix)).repeat(2),
        np.arange(50, 60),
    ):
        _, at = before(matrix.take(rows), 4)
        np.testing.assert_array_equal(at, whole[rows])


def test_past_of_thinned_rows_is_what_lies_between_them(matrix: Matrix) -> None:
    rows = matrix.take(matrix.session % 5 == 0)
    past, at = before(rows, 1)
    gap = (rows.session - past.session[at[:, 0]])[at[:, 0] >= 0]
    assert (gap == 1).mean() > 0.5


def test_newest_rows_find_the_past_that_the_training_rows_found(matrix: Matrix) -> None:
    rows = newest_rows(matrix)
    past, at = before(rows, 2)
    assert past is matrix.past
    assert (past.session[at[:, 1]] >= rows.session[0] - 5).all()


def test_past_is_shared_and_not_copied(matrix: Matrix) -> None:
    assert with_past(matrix) is matrix
    assert matrix.past is not None
    assert matrix.past.X is matrix.X
    assert matrix.take(slice(0, 10)).past is matrix.past


def test_past_has_the_features_of_the_matrix_in_its_order() -> None:
    rows = small_market(sessions=30, tickers=4, features=3).matrix()
    chosen = rows.select(("f2", "f0")).select(("f0", "f2"))
    past, at = before(chosen, 1)
    assert rows.past is not None
    assert past.X is rows.past.X
    np.testing.assert_array_equal(past.rows(at[-4:, 0]), rows.X[at[-4:, 0]][:, [0, 2]])


def test_feature_that_nothing_feeds_is_missing_in_the_past_too() -> None:
    rows = replace(small_market(sessions=30, tickers=4, features=2).matrix(), empty=("none",))
    past, at = before(rows.select(("none", "f1")), 2)
    values = past.rows(at[-1])
    assert np.isnan(values[:, 0]).all()
    np.testing.assert_array_equal(values[:, 1], rows.X[at[-1], 1])
    again, at = before(rows.select(("none", "f1")).select(("f1", "none")), 2)
    np.testing.assert_array_equal(again.rows(at[-1]), values[:, ::-1])


def test_past_around_rows_holds_what_they_find_and_nothing_later(matrix: Matrix) -> None:
    rows = matrix.take((matrix.session < 520) & (matrix.ticker % 2 == 0))
    past, at = before(rows, 3)
    less = past.around(rows.session, rows.ticker)
    assert less.session.max() < 520
    assert set(less.ticker.tolist()) == {0, 2, 4}
    found = less.before(rows.session, rows.ticker, 3)
    np.testing.assert_array_equal(less.rows(found)[found >= 0], past.rows(at)[at >= 0])
    assert len(past.around(rows.session[:0], rows.ticker[:0]).session) == 0
