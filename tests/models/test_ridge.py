"""The strongly shrunk direction learner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.evaluation.builders import small_market

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.models import RankRidge


@pytest.fixture(scope="module")
def train() -> Matrix:
    market = small_market(sessions=220, tickers=20, features=4, planted=0.2).matrix()
    return market.take(np.isfinite(market.label))


def direction(learner: RankRidge, rows: Matrix) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    output = learner.predict(rows)
    difference: np.ndarray[tuple[int], np.dtype[np.float64]] = output[:, 2] - output[:, 0]
    return difference


def test_direction_weights_solve_the_weighted_ridge_on_ranks(train: Matrix) -> None:
    learner = RankRidge(penalty=1.5).fit(train)
    assert train.ranks is not None
    ranks, weight = train.ranks.astype(np.float64), train.weight.astype(np.float64)
    gram = (ranks * weight[:, None]).T @ ranks
    moment = (ranks * weight[:, None]).T @ train.target.astype(np.float64)
    np.testing.assert_allclose(learner.weights, np.linalg.solve(gram + 1.5 * np.diag(np.diag(gram)), moment), rtol=1e-4)


def test_lone_feature_keeps_forty_percent_of_its_least_squares_weight_at_penalty_one_and_a_half(train: Matrix) -> None:
    lone = train.select(("f0",))
    free, shrunk = RankRidge(penalty=1e-6).fit(lone), RankRidge(penalty=1.5).fit(lone)
    assert shrunk.weights[0] / free.weights[0] == pytest.approx(0.4, abs=1e-3)


def test_names_of_a_session_are_ordered_by_ranks_whatever_their_volatility(train: Matrix) -> None:
    learner = RankRidge().fit(train)
    assert train.ranks is not None
    wild = replace(train, X=train.X.copy())  # the magnitude model reads levels, the direction reads ranks
    wild.X[::2] *= 3
    for session in (600, 650, 700):
        rows = wild.take(wild.session == session)
        assert rows.ranks is not None
        order = stats.spearmanr(direction(learner, rows), rows.ranks @ learner.weights).statistic
        assert order > 0.97


def test_row_whose_target_is_unknown_teaches_no_direction(train: Matrix) -> None:
    unknown = train.ticker == 3
    target = np.where(unknown, np.nan, train.target).astype(np.float32)
    learner = RankRidge().fit(replace(train, target=target))
    np.testing.assert_allclose(learner.weights, RankRidge().fit(train.take(~unknown)).weights, rtol=1e-5)


def test_tail_without_direction_leaves_the_order_and_little_confidence(train: Matrix) -> None:
    rng = np.random.default_rng(0)
    noise = replace(
        train,
        target=rng.uniform(-0.5, 0.5, len(train)).astype(np.float32),
        label=rng.integers(0, 3, len(train)).astype(np.float32),
    )
    learner = RankRidge().fit(noise)
    assert learner.readout.gain > 0
    assert np.ptp(direction(learner, noise)) < 0.25
    assert len(np.unique(direction(learner, noise))) > 100


def test_probability_of_a_move_follows_the_level_that_announces_it(train: Matrix) -> None:
    rng = np.random.default_rng(2)
    restless = rng.random(len(train)) < 1 / (1 + np.exp(-2 * train.X[:, 3]))
    label = np.where(restless, rng.choice([0.0, 2.0], len(train)), 1.0).astype(np.float32)
    output = RankRidge().fit(replace(train, label=label)).predict(train)
    high, low = train.X[:, 3] > 1, train.X[:, 3] < -1
    assert output[high, 1].mean() < 0.35
    assert output[low, 1].mean() > 0.65
    assert output[:, 1].mean() == pytest.approx((label == 1).mean(), abs=0.03)


def test_newest_sessions_set_the_gain_out_of_sample(train: Matrix) -> None:
    start = np.unique(train.session)[int(220 * 0.8) - 5]
    flipped = replace(train, label=np.where(train.session >= start, 2 - train.label, train.label).astype(np.float32))
    plain, turned = RankRidge().fit(train), RankRidge().fit(flipped)
    assert turned.readout.gain < 0.2 * plain.readout.gain


def test_rows_without_ranks_are_refused(train: Matrix) -> None:
    with pytest.raises(FailedError, match="needs rows with ranks"):
        RankRidge().fit(replace(train, ranks=None))


def test_gain_is_not_taken_in_by_what_was_fitted_to_noise() -> None:
    gains = []
    for seed in range(6):
        market = small_market(sessions=90, tickers=10, features=40, seed=seed).matrix()
        noise = market.take(np.isfinite(market.label))
        assert noise.ranks is not None
        learner = RankRidge(penalty=0.01).fit(noise)
        fitted = noise.ranks @ learner.weights
        in_sample = float(np.polyfit(fitted, noise.label, 1)[0])
        gains.append(learner.readout.gain / in_sample)
    assert np.mean(gains) < 0.4
