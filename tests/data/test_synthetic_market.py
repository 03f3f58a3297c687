"""Simulated markets look like markets, and the same market always looks the same."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from marketloop.core.frames import BAR_SCHEMA
from marketloop.data.simulation.facts import measure
from marketloop.data.simulation.shocks import SECTORS
from marketloop.data.synthetic import MarketSpec, simulate

PLANTED = MarketSpec(tickers=20, sessions=200, planted_ic=0.1)


def test_simulate_repeats_itself_when_the_spec_is_the_same() -> None:
    one, two = simulate(PLANTED), simulate(PLANTED)
    assert_frame_equal(one.bars, two.bars, check_exact=True)
    np.testing.assert_array_equal(one.horizon_expected, two.horizon_expected)


def test_simulate_differs_when_the_seed_does() -> None:
    assert not np.array_equal(simulate(PLANTED).returns, simulate(replace(PLANTED, seed=1)).returns)


@pytest.mark.parametrize("spec", [PLANTED, replace(PLANTED, volatility="constant", shocks="normal", regimes=True)])
def test_simulate_begins_alike_when_the_market_is_longer(spec: MarketSpec) -> None:
    short, long = simulate(spec), simulate(replace(spec, sessions=260))
    last = short.bars["date"].max()
    assert_frame_equal(short.bars, long.bars.filter(pl.col("date") <= last), check_exact=True)
    np.testing.assert_array_equal(short.expected, long.expected[:200])
    np.testing.assert_array_equal(short.horizon_expected, long.horizon_expected[:200])
    for name, series in short.series.items():
        assert_frame_equal(series, long.series[name].head(200), check_exact=True)


def test_simulate_changes_nothing_before_the_drift() -> None:
    steady, drifting = simulate(PLANTED), simulate(replace(PLANTED, drift_at=150))
    np.testing.assert_array_equal(steady.returns[:150], drifting.returns[:150])
    assert not np.array_equal(steady.returns[150], drifting.returns[150])


def test_simulate_gives_bars_that_break_no_rule() -> None:
    market = simulate(replace(PLANTED, tickers=50, sessions=500, drift_at=250, regimes=True))
    bars = market.bars
    assert bars.schema == pl.Schema(BAR_SCHEMA)
    assert bars.height == 50 * 500
    assert_frame_equal(bars, bars.sort("ticker", "date"))
    assert bars.null_count().sum_horizontal().item() == 0
    broken = bars.filter(
        (pl.col("low") <= 0)
        | (pl.col("low") > pl.min_horizontal("open", "close"))
        | (pl.col("high") < pl.max_horizontal("open", "close"))
        | (pl.col("high") <= pl.col("low"))
        | (pl.col("volume") <= 0)
        | ~pl.all_horizontal(pl.col("open", "high", "low", "close", "volume").is_finite())
    )
    assert broken.is_empty()


def test_simulate_uses_the_sessions_of_the_exchange() -> None:
    market = simulate(MarketSpec(tickers=1, sessions=15))
    days = market.bars["date"].to_list()
    assert days[0] == dt.date(2013, 1, 2)
    assert dt.date(2013, 1, 21) not in days  # Martin Luther King's day
    assert days[-1] == dt.date(2013, 1, 23)


def test_simulate_has_the_stylised_facts_of_daily_returns() -> None:
    facts = [measure(simulate(MarketSpec(seed=seed))) for seed in range(300, 306)]
    mean = {name: float(np.mean([getattr(f, name) for f in facts])) for name in facts[0].__slots__}
    assert 0.035 < mean["sd_5"] < 0.047
    assert 0.53 < mean["beyond_2"] < 0.61
    assert 0.15 < mean["pair_correlation"] < 0.25
    assert mean["kurtosis"] > 4
    assert mean["clustering"] > 0.04


def test_simulate_clusters_no_volatility_when_it_is_constant() -> None:
    facts = measure(simulate(MarketSpec(sessions=1000, volatility="constant", shocks="normal")))
    assert abs(facts.clustering) < 0.02
    assert facts.kurtosis == pytest.approx(3.0, abs=0.1)


def test_simulate_raises_range_and_volume_with_volatility() -> None:
    market = simulate(MarketSpec(tickers=50, sessions=600))
    day = market.bars.with_columns(
        span=(pl.col("high") / pl.col("low")).log(),
        move=(pl.col("close") / pl.col("close").shift(1) - 1).abs().over("ticker"),
        busy=pl.col("volume").log() - pl.col("volume").log().mean().over("ticker"),
    ).drop_nulls()
    assert day.select(pl.corr("span", "move")).item() > 0.4
    assert day.select(pl.corr("busy", "move")).item() > 0.1
    carried = day.select(pl.corr("busy", pl.col("busy").shift(1).over("ticker"))).item()
    assert 0.6 < carried < 0.95


def test_simulate_tells_when_each_context_value_was_known() -> None:
    market = simulate(MarketSpec(tickers=20, sessions=130))
    assert set(market.series) == {"vix", "spx", "us10y", "usd", *(f"sector:{name}" for name in SECTORS)}
    for frame in market.series.values():
        assert frame.schema == {"date": pl.Date, "value": pl.Float64, "known_at": pl.Datetime("us", "UTC")}
        assert frame["value"].is_finite().all()
    half_day = pl.col("date") == dt.date(2013, 7, 3)  # closes at 13:00 in New York
    known = {name: market.series[name].filter(half_day)["known_at"].item() for name in ("spx", "us10y")}
    assert known["spx"] == dt.datetime(2013, 7, 3, 17, tzinfo=dt.UTC)
    assert known["us10y"] == dt.datetime(2013, 7, 3, 20, tzinfo=dt.UTC)


def test_simulate_moves_tickers_with_index_and_sector() -> None:
    market = simulate(MarketSpec(tickers=100, sessions=1000))
    np.testing.assert_allclose(market.series["spx"]["value"].pct_change()[1:], market.index_returns[1:], atol=1e-12)
    with_index = np.array([np.corrcoef(market.index_returns, r)[0, 1] for r in market.returns.T])
    assert 0.2 < with_index.mean() < 0.6
    names = market.sectors["sector"].to_list()
    assert {names.count(name) for name in SECTORS} == {10}
    own: list[float] = []
    other: list[float] = []
    for sector in SECTORS:
        returns = market.series[f"sector:{sector}"]["value"].pct_change().to_numpy()[1:] - market.index_returns[1:]
        for name, r in zip(names, market.returns.T, strict=True):
            (own if name == sector else other).append(np.corrcoef(returns, r[1:])[0, 1])
    assert np.mean(own) > np.mean(other) + 0.1


def test_vix_follows_the_volatility_to_come() -> None:
    market = simulate(MarketSpec(tickers=1, sessions=1250, regimes=True))
    vix = market.series["vix"]["value"].to_numpy()
    assert np.corrcoef(vix[:-1], np.abs(market.index_returns[1:]))[0, 1] > 0.15
    assert 8 < np.median(vix) < 35


def test_regimes_differ_in_drift_and_volatility() -> None:
    market = simulate(MarketSpec(tickers=1, sessions=8000, regimes=True))
    days = [market.index_returns[market.regime == k] for k in range(3)]
    assert min(len(d) for d in days) > 800
    assert days[0].mean() > 0 > days[2].mean()
    assert days[2].std() > 1.4 * days[0].std()
    assert (np.diff(market.regime) != 0).mean() < 0.03
    assert set(simulate(MarketSpec(tickers=1, sessions=50)).regime) == {1}


def test_drift_moves_the_distribution_of_the_features() -> None:
    market = simulate(MarketSpec(tickers=50, sessions=600, drift_at=300, drift="features", volatility="constant"))
    before, after = market.returns[:300].std(), market.returns[300:].std()
    assert after / before == pytest.approx(1.5, abs=0.1)
    volume = np.log(market.bars["volume"].to_numpy().reshape(50, 600))
    assert volume[:, 300:].mean() - volume[:, :300].mean() > 0.1
