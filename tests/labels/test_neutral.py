"""Residuals of returns after beta and volatility."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketloop.labels import neutralise


def test_residuals_equal_those_of_least_squares_on_one_beta_and_volatility() -> None:
    rng = np.random.default_rng(0)
    returns, beta, vol = rng.normal(size=(6, 30)), rng.normal(1, 0.3, (6, 30)), rng.uniform(0.01, 0.04, (6, 30))
    out = neutralise(returns, (beta, vol))
    for t in range(6):
        design = np.column_stack([np.ones(30), beta[t], vol[t]])
        expected = returns[t] - design @ np.linalg.lstsq(design, returns[t], rcond=None)[0]
        np.testing.assert_allclose(out[t], expected, atol=1e-12)


@given(st.integers(0, 10_000), st.integers(20, 60))
def test_residuals_have_no_mean_and_no_correlation_with_the_controls(seed: int, tickers: int) -> None:
    rng = np.random.default_rng(seed)
    returns, beta, vol = rng.normal(size=(2, tickers)), rng.normal(size=(2, tickers)), rng.normal(size=(2, tickers))
    returns[1, :3] = np.nan
    out = neutralise(returns, (beta, vol))
    np.testing.assert_array_equal(np.isnan(out), np.isnan(returns))
    known = np.isfinite(returns[0])
    assert abs(out[0].sum()) < 1e-9
    for control in (beta[0], vol[0]):
        assert abs(out[0, known] @ control[known]) < 1e-8


def test_fewer_than_twenty_tickers_lose_their_mean_only() -> None:
    rng = np.random.default_rng(1)
    returns, beta = rng.normal(size=(1, 19)), rng.normal(size=(1, 19))
    np.testing.assert_allclose(neutralise(returns, (beta,)), returns - returns.mean(), atol=1e-15)


def test_missing_control_of_a_ticker_takes_the_mean_of_the_session() -> None:
    rng = np.random.default_rng(2)
    returns, beta = rng.normal(size=(1, 25)), rng.normal(size=(1, 25))
    holed, filled = beta.copy(), beta.copy()
    holed[0, 4] = np.nan
    filled[0, 4] = np.delete(beta[0], 4).mean()
    np.testing.assert_allclose(neutralise(returns, (holed,)), neutralise(returns, (filled,)), atol=1e-12)


@pytest.mark.parametrize("absent", [np.nan, 1.0, 0.1 + 0.2])
def test_control_that_is_missing_or_constant_for_a_session_is_left_out(absent: float) -> None:
    rng = np.random.default_rng(4)
    returns, beta = rng.normal(size=(1, 25)), rng.normal(size=(1, 25))
    useless = np.full((1, 25), absent)
    useless[0, ::2] *= 1 + 1e-16
    np.testing.assert_allclose(neutralise(returns, (beta, useless)), neutralise(returns, (beta,)), atol=1e-12)


def test_twin_controls_do_not_upset_the_regression() -> None:
    rng = np.random.default_rng(6)
    returns, beta = rng.normal(size=(1, 25)), rng.normal(size=(1, 25))
    np.testing.assert_allclose(neutralise(returns, (beta, 3 * beta)), neutralise(returns, (beta,)), atol=1e-9)


def test_session_without_returns_stays_unknown() -> None:
    assert np.isnan(neutralise(np.full((1, 30), np.nan), (np.ones((1, 30)),))).all()
