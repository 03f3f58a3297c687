"""The truth that a simulated market states is the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from marketloop.data.simulation.calibration import calibrate, decay_of, measure_decay, strength_of
from marketloop.data.simulation.facts import linear_share, measure
from marketloop.data.simulation.measures import forward_returns, neutralise, rank_ic, trailing_controls
from marketloop.data.synthetic import Market, MarketSpec, simulate

Floats = NDArray[np.float64]


def plain_quantities(market: Market) -> dict[str, pd.DataFrame]:
    """Return the four quantities (T, N) as FEATURES.md defines them, from the bars, in plain pandas."""
    bars = market.bars.to_pandas()
    wide = {c: bars.pivot(index="date", columns="ticker", values=c) for c in ("high", "low", "close", "volume")}
    high, low, close, volume = wide["high"], wide["low"], wide["close"], wide["volume"]
    mean = close.rolling(20).mean()
    floor, roof = low.rolling(60).min(), high.rolling(60).max()
    flow = ((close - low) - (high - close)) / (high - low) * volume
    return {
        "price_vs_sma20": (close - mean) / mean,
        "range_position_60": (close - floor) / (roof - floor),
        "cmf_20": flow.rolling(20).sum() / volume.rolling(20).sum(),
        "volume_sma_ratio": volume.rolling(5).mean() / volume.rolling(50).mean() - 1,
    }


def ranks(values: pd.DataFrame) -> Floats:
    return ((values.rank(axis=1) - 1) / (values.shape[1] - 1) - 0.5).to_numpy()


def tie_break(price: Floats, place: Floats, flow: Floats, volume: Floats) -> Floats:
    roots = np.sqrt([2.0, 3.0, 5.0, 7.0, 11.0])
    parts = (price, place, flow, volume, 4 * price * volume)
    return 1e-6 * np.sum([root * part for root, part in zip(roots, parts, strict=True)], axis=0)  # type: ignore[no-any-return]


def neutral(market: Market, horizon: int) -> Floats:
    controls = trailing_controls(market.returns, market.index_returns)
    return neutralise(forward_returns(market.returns, horizon), *controls)


def mean_ic(score: Floats, outcome: Floats) -> float:
    return float(np.nanmean(rank_ic(score[60:], outcome[60:])))


def test_expected_is_what_the_delivered_bars_say() -> None:
    market = simulate(MarketSpec(tickers=30, sessions=120, planted_ic=0.1))
    price, place, flow, volume = (ranks(q) for q in plain_quantities(market).values())
    score = -price - 0.5 * place - 0.5 * flow + 0.5 * volume - 0.8 * 4 * price * volume
    score += tie_break(price, place, flow, volume)
    wanted = market.strength * np.sqrt(12) * market.sigma[60:] * ranks(pd.DataFrame(score))[59:-1]
    np.testing.assert_allclose(market.expected[59:-1], wanted, rtol=1e-9)


def test_expected_is_the_product_alone_when_the_signal_is_an_interaction() -> None:
    market = simulate(MarketSpec(tickers=30, sessions=120, planted_ic=0.1, interaction=True))
    price, place, flow, volume = (ranks(q) for q in plain_quantities(market).values())
    score = pd.DataFrame(-4 * price * volume + tie_break(price, place, flow, volume))
    wanted = market.strength * np.sqrt(12) * market.sigma[60:] * ranks(score)[59:-1]
    np.testing.assert_allclose(market.expected[59:-1], wanted, rtol=1e-9)


def test_expected_is_unbiased_and_of_the_right_size() -> None:
    slopes = []
    for seed in range(4):
        market = simulate(MarketSpec(seed=seed, planted_ic=0.3))
        surprise = (market.returns - market.common[:, None])[1:] / market.sigma[1:]
        forecast = market.expected[:-1] / market.sigma[1:]
        slopes.append((forecast * surprise).sum() / (forecast**2).sum())
    assert np.mean(slopes) == pytest.approx(1.0, abs=0.05)


def test_horizon_expected_is_unbiased_and_of_the_right_size() -> None:
    slopes = []
    for seed in range(4):
        market = simulate(MarketSpec(seed=seed, planted_ic=0.1))
        known = slice(0, -5)
        surprise = forward_returns(market.returns - market.common[:, None], 5)[known] / market.sigma[known]
        forecast = market.horizon_expected[known] / market.sigma[known]
        slopes.append((forecast * surprise).sum() / (forecast**2).sum())
    assert np.mean(slopes) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("planted", [0.03, 0.10])
def test_planted_ic_is_the_rank_ic_of_the_expectation(planted: float) -> None:
    found = [measure(simulate(MarketSpec(seed=seed, planted_ic=planted))).rank_ic for seed in range(400, 406)]
    standard_error = 0.006 / np.sqrt(6)
    assert np.mean(found) == pytest.approx(planted, abs=3.5 * standard_error)


@pytest.mark.parametrize(
    "spec",
    [
        MarketSpec(planted_ic=0.02),
        MarketSpec(planted_ic=0.05, tickers=50),
        MarketSpec(planted_ic=0.05, volatility="constant", shocks="normal"),
        MarketSpec(planted_ic=0.10, regimes=True),
        MarketSpec(planted_ic=0.10, interaction=True),
        MarketSpec(planted_ic=0.30),
    ],
    ids=["0.02", "50 tickers", "random walk", "regimes", "interaction", "0.30"],
)
def test_calibration_is_found_again(spec: MarketSpec) -> None:
    assert calibrate(spec, strength_of(spec), seeds=(500, 501)) == pytest.approx(spec.planted_ic, abs=0.004)


def test_decay_is_found_again() -> None:
    spec = MarketSpec()
    np.testing.assert_allclose(measure_decay(spec, 0.03, seeds=(502, 503)), decay_of(spec), atol=0.03)


def test_linear_model_on_ranks_has_most_of_the_signal() -> None:
    for planted in (0.03, 0.05, 0.10):
        assert 0.85 < linear_share(simulate(MarketSpec(seed=510, planted_ic=planted))) < 1.0


def test_linear_model_on_ranks_has_next_to_nothing_when_the_signal_is_an_interaction() -> None:
    assert abs(linear_share(simulate(MarketSpec(seed=510, planted_ic=0.1, interaction=True)))) < 0.15


def test_no_signal_gives_every_ticker_the_same_expectation() -> None:
    market = simulate(MarketSpec(tickers=30, sessions=100))
    assert market.strength == 0
    assert not market.expected.any()
    assert not market.horizon_expected.any()


def test_no_signal_leaves_nothing_to_predictors() -> None:
    found: dict[str, list[float]] = {}
    for seed in range(600, 620):
        market = simulate(MarketSpec(seed=seed, tickers=50, sessions=800))
        close = market.bars["close"].to_numpy().reshape(50, 800).T
        prices = pd.DataFrame(close)
        stretch = ((prices - prices.rolling(20).mean()) / prices.rolling(20).std()).to_numpy()
        beta, volatility = trailing_controls(market.returns, market.index_returns)
        next_one, next_five = neutral(market, 1), neutral(market, 5)
        reversal = np.vstack([np.zeros((5, 50)), close[:-5] / close[5:]])
        pairs = {
            "ret_5 on 5": (reversal, next_five),
            "ret_5 on 1": (reversal, next_one),
            "zscore_20 on 5": (stretch, next_five),
            "zscore_20 on 1": (stretch, next_one),
            "beta on raw 1": (beta, forward_returns(market.returns, 1)),
            "volatility on 1": (volatility, next_one),
        }
        for name, (score, outcome) in pairs.items():
            found.setdefault(name, []).append(mean_ic(score, outcome))
    for name, values in found.items():
        standard_error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values)) < 3 * standard_error, name


def test_overnight_gap_tells_nothing_of_tomorrow() -> None:
    found = []
    for seed in range(20):
        market = simulate(MarketSpec(seed=seed, tickers=50, sessions=400))
        shape = (50, 400)
        opening, close = (market.bars[c].to_numpy().reshape(shape).T for c in ("open", "close"))
        gap = np.vstack([np.zeros((1, 50)), opening[1:] / close[:-1] - 1])
        found.append(mean_ic(gap, neutral(market, 1)))
    assert abs(np.mean(found)) < 3 * np.std(found, ddof=1) / np.sqrt(20)


@pytest.mark.parametrize(("drift", "sign"), [("relation", -1), ("both", -1), ("features", 1)])
def test_relation_turns_at_the_drift(drift: str, sign: int) -> None:
    spec = MarketSpec(sessions=600, planted_ic=0.2, drift_at=300)
    market = simulate(replace(spec, drift=drift))  # type: ignore[arg-type]
    # the return of session t follows the law of session t, so the expectation turns one session earlier
    score = -plain_quantities(market)["price_vs_sma20"].to_numpy()
    link = rank_ic(np.nan_to_num(score), market.expected)
    assert (link[60:299] > 0.2).all()
    assert (sign * link[299:] > 0.2).all()
    outcome = neutral(market, 1)
    assert np.nanmean(rank_ic(score[60:299], outcome[60:299])) > 0.02
    assert sign * np.nanmean(rank_ic(score[299:], outcome[299:])) > 0.02
    # inside five sessions of the turn the horizon holds both laws
    assert mean_ic(market.horizon_expected, neutral(market, 5)) > 0.1
