"""Figures of matured predictions: pooled over rows, sure or unsure by sessions, estimated where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from marketloop.evaluation.accuracy import Estimate, estimated_hits, hit_rate, rank_correlation, root_error

HORIZON, TICKERS = 5, 30


def sessions(count: int, tickers: int = TICKERS) -> NDArray[np.int32]:
    return np.repeat(np.arange(count, dtype=np.int32), tickers)


def market(seed: int, count: int, *, hit: float = 0.4) -> NDArray[np.bool_]:
    """Draw whether each ticker of each session is hit: outcomes overlap by five sessions and share a market."""
    rng = np.random.default_rng(seed)
    daily = 0.7 * rng.standard_normal((count + HORIZON, 1)) + rng.standard_normal((count + HORIZON, TICKERS))
    ahead = np.cumsum(daily, axis=0)
    move = (ahead[HORIZON:] - ahead[:-HORIZON]) / math.sqrt(HORIZON * (1 + 0.7**2))
    hits: NDArray[np.bool_] = (move > stats.norm.isf(hit)).ravel()
    return hits


def test_hit_rate_is_that_of_all_rows_beside_the_most_frequent_class() -> None:
    happened = np.array(["BUY", "HOLD", "HOLD", "HOLD", "SELL"])
    said = np.array(["BUY", "HOLD", "SELL", "HOLD", "BUY"])
    figure = hit_rate(np.array([1, 1, 1, 2, 3], np.int32), said == happened, happened, horizon=5)
    assert (figure.value, figure.baseline, figure.rows, figure.sessions) == (0.6, 0.6, 5, 3)
    assert math.isnan(figure.low)


def test_no_rows_are_no_figure() -> None:
    nothing, none = np.zeros(0, np.int32), np.zeros(0)
    assert math.isnan(hit_rate(nothing, none.astype(bool), none, horizon=5).value)
    assert math.isnan(root_error(nothing, none, none, horizon=5).value)
    assert math.isnan(rank_correlation(nothing, nothing.astype(np.intp), none, none, horizon=5).value)
    empty = estimated_hits(nothing, none, past_session=nothing, past_surprise=none, horizon=5)
    assert math.isnan(empty.value)


@pytest.mark.parametrize(("count", "known"), [(59, False), (60, True)])
def test_interval_needs_sixty_sessions(count: int, known: bool) -> None:
    hit = market(1, count)
    figure = hit_rate(sessions(count), hit, hit, horizon=HORIZON)
    assert math.isfinite(figure.low) is known
    if known:
        assert figure.low < figure.value < figure.high


def test_interval_of_the_hit_rate_covers_under_overlap_and_a_common_market() -> None:
    covered = naive = 0
    for seed in range(200):
        hit = market(seed, 250)
        figure = hit_rate(sessions(250), hit, hit, horizon=HORIZON)
        covered += figure.low <= 0.4 <= figure.high
        half = 1.96 * math.sqrt(figure.value * (1 - figure.value) / len(hit))
        naive += abs(figure.value - 0.4) <= half
    assert covered >= 180  # 95 % of 200 is 190, with a standard error of 3
    assert naive <= 100  # rows counted as if they were independent: the interval is far too short


def test_sessions_with_many_rows_weigh_as_many_rows() -> None:
    session = np.concatenate([np.zeros(30, np.int32), np.arange(1, 101, dtype=np.int32)])
    hit = np.concatenate([np.ones(30, bool), np.zeros(100, bool)])
    figure = hit_rate(session, hit, hit, horizon=1)
    assert figure.value == pytest.approx(30 / 130)
    assert figure.low < figure.value < figure.high


def test_root_error_stands_beside_that_of_the_mean() -> None:
    happened = np.array([0.01, -0.01, 0.03, -0.03])
    figure = root_error(np.arange(4, dtype=np.int32), np.array([0.0, 0.0, 0.02, -0.02]), happened, horizon=5)
    assert figure.value == pytest.approx(0.01)
    assert figure.baseline == pytest.approx(happened.std())


def test_rank_correlation_is_the_mean_over_sessions() -> None:
    rng = np.random.default_rng(3)
    score, happened = rng.standard_normal((2, 3, 12))
    by_session = [stats.spearmanr(s, h).statistic for s, h in zip(score, happened, strict=True)]
    ticker = np.tile(np.arange(12), 3)
    figure = rank_correlation(sessions(3, 12), ticker, score.ravel(), happened.ravel(), horizon=5)
    assert figure.value == pytest.approx(np.mean(by_session))
    assert (figure.baseline, figure.sessions, figure.rows) == (0.0, 3, 36)


def test_rank_correlation_of_few_tickers_is_unknown() -> None:
    score = np.arange(9, dtype=np.float64)
    figure = rank_correlation(sessions(1, 9), np.arange(9), score, score, horizon=5)
    assert math.isnan(figure.value)


def estimated(hit: NDArray[np.bool_], *, matured: int, said: float) -> Estimate:
    surprise = hit.astype(np.float64) - said
    known = matured * TICKERS
    return estimated_hits(
        np.arange(matured, matured + HORIZON, dtype=np.int32).repeat(TICKERS),
        np.full(HORIZON * TICKERS, said),
        past_session=sessions(matured),
        past_surprise=surprise[:known],
        horizon=HORIZON,
    )


def test_estimate_is_the_mean_of_the_probabilities_and_unsure_without_a_past() -> None:
    estimate = estimated(market(1, 40), matured=35, said=0.4)
    assert estimate.value == pytest.approx(0.4)
    assert math.isnan(estimate.low)


@pytest.mark.parametrize("said", [0.4, 0.5], ids=["calibrated", "too sure"])
def test_interval_of_the_estimate_covers_what_comes(said: float) -> None:
    covered = 0
    for seed in range(200):
        hit = market(seed, 250)
        estimate = estimated(hit, matured=245, said=said)
        covered += estimate.low <= hit[245 * TICKERS :].mean() <= estimate.high
    assert covered >= 180
