"""The figures of a series of returns agree with the field's reference implementation, and their intervals hold."""

from __future__ import annotations

import math

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from marketloop.core.errors import UsageError
from marketloop.evaluation.performance import (
    drawdowns,
    excess_return,
    performance_of,
    rolling_sharpe,
    sharpe_interval,
)

Array = NDArray[np.float64]
ORACLES = {
    "total_return": empyrical.cum_returns_final,
    "annual_return": empyrical.annual_return,
    "annual_volatility": empyrical.annual_volatility,
    "sharpe_ratio": empyrical.sharpe_ratio,
    "sortino_ratio": empyrical.sortino_ratio,
    "calmar_ratio": empyrical.calmar_ratio,
    "max_drawdown": empyrical.max_drawdown,
    "value_at_risk": empyrical.value_at_risk,
    "expected_shortfall": empyrical.conditional_value_at_risk,
    "tail_ratio": empyrical.tail_ratio,
}


def fat_returns(seed: int, count: int = 750) -> Array:
    rng = np.random.default_rng(seed)
    draws: Array = 0.0004 + 0.01 * rng.standard_t(4, count)
    return draws


@pytest.mark.parametrize("figure", sorted(ORACLES))
@given(st.lists(st.integers(-5000, 5000), min_size=2, max_size=120))
@settings(max_examples=60, deadline=None)
def test_figure_equals_the_reference(figure: str, basis_points: list[int]) -> None:
    returns = np.array(basis_points) / 10_000
    with np.errstate(divide="ignore", invalid="ignore"):  # the reference divides by a tail of zeros
        theirs = float(ORACLES[figure](returns))
    ours = getattr(performance_of(returns), figure)
    if math.isfinite(theirs):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    else:
        assert math.isnan(ours)


@pytest.mark.parametrize("figure", sorted(ORACLES))
@pytest.mark.parametrize("count", [2, 40, 251, 2520])
def test_figure_equals_the_reference_on_fat_tails(figure: str, count: int) -> None:
    returns = fat_returns(count, count)
    theirs = float(ORACLES[figure](returns))
    assert getattr(performance_of(returns), figure) == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_moments_are_those_of_scipy() -> None:
    returns = fat_returns(5)
    found = performance_of(returns)
    assert found.skewness == pytest.approx(stats.skew(returns), rel=1e-9)
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-9)


def test_performance_of_four_sessions() -> None:
    found = performance_of(np.array([0.10, -0.20, 0.05, 0.0]))
    assert found.total_return == pytest.approx(1.1 * 0.8 * 1.05 - 1)
    assert found.max_drawdown == pytest.approx(-0.20)
    assert found.omega_ratio == pytest.approx(0.15 / 0.20)
    assert found.winning_sessions == 0.5
    assert (found.best_session, found.worst_session) == (0.10, -0.20)


def test_performance_has_no_figures_when_nothing_happened() -> None:
    assert all(math.isnan(value) for value in performance_of(np.zeros(0)).figures().values())
    flat = performance_of(np.full(300, 0.001))
    assert math.isnan(flat.sharpe_ratio)
    assert math.isnan(flat.skewness)
    assert flat.annual_volatility == 0


def test_performance_names_the_return_that_is_not_finite() -> None:
    with pytest.raises(UsageError, match="return 1 is nan"):
        performance_of(np.array([0.1, np.nan]))


def test_drawdown_starts_from_the_capital() -> None:
    assert drawdowns(np.array([-0.1, -0.1, 0.5])).tolist() == pytest.approx([-0.1, -0.19, 0.0])


def test_sharpe_interval_is_about_the_textbook_one_for_independent_returns() -> None:
    returns = 0.0005 + 0.01 * np.random.default_rng(2).standard_normal(5000)
    found = sharpe_interval(returns)
    daily = found.value / math.sqrt(252)
    error = math.sqrt((1 + daily**2 / 2) / 5000) * math.sqrt(252)
    assert found.value == pytest.approx(performance_of(returns).sharpe_ratio)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.25)
    assert found.low < found.value < found.high


def test_sharpe_interval_covers_the_truth_as_often_as_it_says() -> None:
    truth = 0.05 * math.sqrt(252)
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(400):
        shock = rng.standard_t(5, 500) * math.sqrt(3 / 5)
        found = sharpe_interval(0.01 * (0.05 + shock))
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 400 <= 0.985


def test_sharpe_interval_is_wider_when_returns_follow_each_other() -> None:
    shock = np.random.default_rng(3).standard_normal(4000)
    slow = np.zeros(4000)
    for t in range(1, 4000):
        slow[t] = 0.5 * slow[t - 1] + shock[t]
    narrow, wide = sharpe_interval(0.01 * shock), sharpe_interval(0.01 * slow)
    assert wide.high - wide.low > 1.4 * (narrow.high - narrow.low)


def test_sharpe_interval_is_left_out_when_sessions_are_few() -> None:
    found = sharpe_interval(fat_returns(1, 59))
    assert math.isfinite(found.value)
    assert math.isnan(found.low)


def test_excess_return_is_paired() -> None:
    market = fat_returns(7)
    found = excess_return(market + 0.0001, market)
    assert found.value == pytest.approx(0.0252)
    assert found.low == pytest.approx(0.0252)
    assert found.high == pytest.approx(0.0252)


def test_rolling_sharpe_looks_back_only() -> None:
    returns = fat_returns(9, 200)
    found = rolling_sharpe(returns, 50)
    assert np.isnan(found[:49]).all()
    assert found[120] == pytest.approx(performance_of(returns[71:121]).sharpe_ratio)
    assert np.array_equal(rolling_sharpe(returns[:150], 50), found[:150], equal_nan=True)
