"""Deflated Sharpe ratio and probability of overfitting: the numbers of GATE.md, section 3."""

from __future__ import annotations

import math

import numpy as np
import pytest

from marketloop.core.errors import UsageError
from marketloop.evaluation.overfitting import (
    SharpeMoments,
    deflated_sharpe,
    expected_best_sharpe,
    long_short_returns,
    overfitting_probability,
    probabilistic_sharpe,
    sharpe_moments,
)

PAPER = SharpeMoments(sharpe=2.5 / math.sqrt(250), sessions=1250, skew=-3, kurtosis=10)
VARIANCE = 0.5 / 250


@pytest.mark.parametrize(("trials", "expected"), [(1, 0.0), (10, 1.5746), (50, 2.2763), (100, 2.5306), (1000, 3.2551)])
def test_best_of_many_without_skill_is_expected_to_show_this(trials: int, expected: float) -> None:
    assert expected_best_sharpe(trials, 1.0) == pytest.approx(expected, abs=5e-5)


def test_best_of_a_hundred_in_the_paper() -> None:
    assert expected_best_sharpe(100, VARIANCE) == pytest.approx(0.1132, abs=5e-5)


@pytest.mark.parametrize(("trials", "expected"), [(100, 0.9004), (46, 0.9505)])
def test_deflated_sharpe_of_the_paper(trials: int, expected: float) -> None:
    assert deflated_sharpe(PAPER, trials=trials, variance=VARIANCE) == pytest.approx(expected, abs=5e-5)


def test_probabilistic_sharpe_of_the_paper() -> None:
    assert probabilistic_sharpe(PAPER) == pytest.approx(0.999997, abs=5e-7)
    assert deflated_sharpe(PAPER, trials=1, variance=VARIANCE) == probabilistic_sharpe(PAPER)


@pytest.mark.parametrize(("years", "expected"), [(5, 1.018), (1, 2.276)])
def test_fifty_trials_are_worth_this_much_luck_a_year(years: int, expected: float) -> None:
    sessions = 250 * years
    assert expected_best_sharpe(50, 1 / sessions) * math.sqrt(250) == pytest.approx(expected, abs=5e-4)


def test_deflated_sharpe_falls_with_every_further_trial() -> None:
    values = [deflated_sharpe(PAPER, trials=n, variance=VARIANCE) for n in (1, 2, 5, 20, 100, 1000)]
    assert values == sorted(values, reverse=True)


def test_moments_are_those_of_the_returns() -> None:
    found = sharpe_moments(np.array([1.0, 2.0, 3.0, 4.0, np.nan]))
    assert found.sharpe == pytest.approx(2.5 / np.std([1, 2, 3, 4], ddof=1))
    assert (found.sessions, found.skew) == (4, 0.0)
    assert found.kurtosis == pytest.approx(1.64)
    assert found.annual == pytest.approx(found.sharpe * math.sqrt(252))


@pytest.mark.parametrize("returns", [[], [0.1], [0.1] * 50, [0.0] * 50, [np.nan] * 5])
def test_moments_of_what_never_moves_are_zero(returns: list[float]) -> None:
    found = sharpe_moments(np.array(returns))
    assert found.sharpe == 0.0
    assert found.document()["sharpe"] == 0.0


def test_probability_is_not_known_below_two_sessions() -> None:
    assert math.isnan(probabilistic_sharpe(SharpeMoments(0.0, 1)))


def test_moments_that_no_distribution_has_are_refused() -> None:
    with pytest.raises(UsageError, match=r"skew 9 and kurtosis 1 .* kurtosis >= skew"):
        probabilistic_sharpe(SharpeMoments(1.0, 100, skew=9, kurtosis=1))


@pytest.mark.parametrize(("trials", "variance"), [(0, 1.0), (5, -1.0), (5, math.nan)])
def test_no_trials_or_no_variance_are_refused(trials: int, variance: float) -> None:
    with pytest.raises(UsageError, match="expected at least 1 and a variance from 0"):
        expected_best_sharpe(trials, variance)


def test_probability_of_overfitting_of_noise_and_of_one_column_with_skill() -> None:
    noise = np.random.default_rng(1).normal(size=(500, 20))
    assert overfitting_probability(noise) == pytest.approx(0.2460, abs=5e-5)
    noise[:, 3] += 0.2
    assert overfitting_probability(noise) == pytest.approx(0.0556, abs=5e-5)


def test_probability_of_overfitting_of_pure_noise_is_a_half_on_average_and_noisy() -> None:
    rng = np.random.default_rng(0)
    values = [overfitting_probability(rng.normal(size=(500, 20))) for _ in range(40)]
    assert np.mean(values) == pytest.approx(0.484, abs=5e-4)
    assert np.std(values, ddof=1) == pytest.approx(0.197, abs=5e-3)


def test_trials_that_are_all_the_same_are_in_the_middle() -> None:
    same = np.tile(np.random.default_rng(0).normal(size=(200, 1)), (1, 5))
    assert overfitting_probability(same) == 1.0  # every logit is exactly 0


def test_trial_that_never_trades_is_no_winner_and_no_error() -> None:
    returns = np.random.default_rng(0).normal(0.5, 1, size=(200, 5))
    returns[:, 2] = 0.0
    assert 0 <= overfitting_probability(returns) <= 1


@pytest.mark.parametrize("shape", [(99, 10), (500, 3)])
def test_too_few_trials_or_sessions_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="at least 4 trials and 100 sessions"):
        overfitting_probability(np.zeros(shape))


def test_gaps_are_refused() -> None:
    with pytest.raises(UsageError, match="without gaps"):
        overfitting_probability(np.full((200, 5), np.nan))


def test_portfolio_follows_the_ranks_of_the_scores_before_the_session() -> None:
    scores = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    returns = np.array([[9.0, 9.0, 9.0], [-0.02, 0.0, 0.04], [-0.02, 0.0, 0.04], [0.0, 0.0, 0.0]])
    found = long_short_returns(scores, returns, 1, first=700)
    assert found.session.tolist() == [701, 702, 703]
    assert found.value == pytest.approx([0.03, -0.03, 0.0])  # half short the first, half long the last


def test_portfolio_of_a_longer_horizon_averages_the_ranks_and_starts_later() -> None:
    scores = np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [3.0, 2.0, 1.0]])
    returns = np.array([[9.0, 9.0, 9.0], [9.0, 9.0, 9.0], [-0.04, 0.02, 0.02]])
    found = long_short_returns(scores, returns, 2, first=700)
    assert found.session.tolist() == [702]
    assert found.value == pytest.approx([0.5 * 0.04 + 0.25 * 0.02 + 0.25 * 0.02])


def test_portfolio_of_equal_scores_holds_nothing() -> None:
    found = long_short_returns(np.ones((3, 4)), np.full((3, 4), 0.01), 1, first=0)
    assert found.value.tolist() == [0.0, 0.0]


def test_single_score_for_the_market_is_held_as_it_is() -> None:
    found = long_short_returns(
        np.array([[0.3], [-0.1], [7.0], [0.0]]), np.array([[9.0], [0.02], [0.03], [0.04]]), 1, first=5
    )
    assert found.value == pytest.approx([0.006, -0.003, 0.04])
