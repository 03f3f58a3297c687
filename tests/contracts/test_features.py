"""What every feature of the catalog promises, each promise checked for all of them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars import col
from scipy import stats

from marketloop.core.catalog import Feature
from marketloop.core.values import Context, StrategyConfig
from marketloop.features import FEATURE_SETS, builtin_features, compute

FEATURES = builtin_features()
NAMED = {f.name: f for f in FEATURES}
EXTENDED = tuple(NAMED[name] for name in FEATURE_SETS["extended"])
FLOAT32 = 1.2e-7
"""Rounding of the output."""

PRICES = ("open", "high", "low", "close")

NAMES = """
sma_20_slope sma_50_ratio sma_200_ratio ema_12_ratio ema_26_ratio sma_20_50_cross macd macd_signal macd_hist adx_14
plus_di_14 minus_di_14 psar_distance ichimoku_conversion ichimoku_cloud
rsi roc_10 mom_10 williams_r_14 stoch_k stoch_d cci_20 aroon_osc_25 stoch_rsi trix_15 ultimate_osc
bb_upper_distance bb_lower_distance bb_width bb_squeeze atr_14_pct hist_vol_30 keltner_position parkinson_20
obv_slope_20 volume_sma_ratio volume_spike vwap_distance_20 mfi_14 cmf_20
doji hammer engulfing support_distance resistance_distance
ret_1 ret_5 ret_20 ret_60 ret_tstat_20 ret_std_20 ret_skew_20 ret_kurt_20 zscore_20 autocorr_20 downside_dev_20
max_drawdown_60
vix_level vix_change_5 spx_trend_50 spx_momentum_20 us10y_level us10y_change_20 sector_relative_20 breadth_10
price_vs_sma20 rsi_divergence volume_vs_average volatility_regime beta_60 corr_60 overnight_gap range_position_60
high_252_distance amihud_20
"""
ORDER = tuple(NAMES.split())

BARS_BEFORE = """
24 49 199 108 234 49 260 260 260 266 238 238 200 8 77
170 10 238 13 15 17 19 25 183 200 28
19 19 19 170 238 30 180 19
20 49 20 19 14 19
10 11 2 20 20
1 5 20 60 20 20 20 20 19 21 20 59
0 5 49 20 0 20 20 10
19 189 19 271 60 60 1 59 251 252
"""
LOOKBACKS = tuple(int(bars) for bars in BARS_BEFORE.split())


def walk(tickers: int, sessions: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    days = [dt.date(2014, 1, 1) + dt.timedelta(days=k) for k in range(sessions)]
    frames = []
    for k in range(tickers):
        close = 80 * np.exp(np.cumsum(rng.normal(0, 0.015, sessions)))
        opened = close * np.exp(rng.normal(0, 0.006, sessions))
        high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.006, sessions)))
        low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.006, sessions)))
        volume = np.round(np.exp(rng.normal(12, 0.5, sessions)))
        prices = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
        frames.append(pl.DataFrame({"date": days, "ticker": [f"T{k:02d}"] * sessions, **prices}))
    return pl.concat(frames)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return walk(22, 320, seed=2)


@pytest.fixture(scope="module")
def context(bars: pl.DataFrame) -> Context:
    days = bars["date"].unique().sort()
    steps = np.random.default_rng(3).normal(0, 0.01, (4, len(days))).cumsum(axis=1)
    series = {"vix": 15 * np.exp(steps[0]), "spx": 2000 * np.exp(steps[1]), "us10y": 2 + steps[2], "usd": 95 + steps[3]}
    names = bars["ticker"].unique().sort()
    return Context(
        market=pl.DataFrame({"date": days, **series}),
        sectors=pl.DataFrame({"ticker": names, "sector": ["Energy"] * len(names)}),
        sector_prices=Context.empty().sector_prices,
    )


@pytest.fixture(scope="module")
def values(bars: pl.DataFrame, context: Context) -> pl.DataFrame:
    return compute(bars, FEATURES, context)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> tuple[pl.DataFrame, Context]:
    """Every eighth ticker of the S&P 500 file without its defective rows, and its market series."""
    bars = pl.read_parquet(shared_data / "sp500_daily_2013_2018.parquet").drop_nulls()
    names = bars["ticker"].unique().sort().gather_every(8)
    sound = (col("high") >= col("low")) & pl.all_horizontal(
        col(c).is_between(col("low"), col("high")) for c in ("open", "close")
    )
    indices = pl.read_parquet(shared_data / "context_indices_1990_2018.parquet")
    wide = indices.pivot(on="ticker", index="date", values="close").filter(col("^GSPC").is_not_null()).sort("date")
    yields = pl.read_parquet(shared_data / "us_treasury_yields_1990_2018.parquet").select("date", us10y="dgs10")
    market = wide.select("date", vix="^VIX", spx="^GSPC", usd="DX-Y.NYB").join(yields, on="date", how="left")
    market = market.with_columns(col("us10y").forward_fill().shift(1))
    sectors = pl.read_parquet(shared_data / "sp500_constituents_2018.parquet").select("ticker", sector="gics_sector")
    context = Context(market=market, sectors=sectors, sector_prices=Context.empty().sector_prices)
    return bars.filter(sound, col("ticker").is_in(names.implode())), context


def deviation(name: str, whole: pl.Series, part: pl.Series) -> float:
    """Largest difference as a share of the larger of value and spread; infinite where only one is null."""
    a, b = whole.to_numpy().astype(float), part.to_numpy().astype(float)
    if (np.isnan(a) != np.isnan(b)).any():
        return float("inf")
    scale = np.maximum(np.abs(a), np.nanstd(a) if np.isfinite(a).any() else 1.0)
    return float(np.nanmax(np.abs(a - b) / np.maximum(scale, 1e-12), initial=0.0))


def test_sets_have_the_exact_names_in_the_exact_order() -> None:
    assert list(FEATURE_SETS) == ["legacy", "basic", "extended"]
    assert FEATURE_SETS["extended"] == ORDER
    assert FEATURE_SETS["legacy"] == (
        *("sma_50_level", "sma_200_level", "rsi", "hist_vol_30", "roc_10"),
        *("macd_level", "macd_signal_level", "bb_upper_level", "bb_lower_level"),
    )
    assert FEATURE_SETS["basic"] == (
        *("price_vs_sma20", "sma_50_ratio", "ema_12_ratio", "ema_26_ratio", "macd", "macd_signal", "rsi", "roc_10"),
        *("mom_10", "williams_r_14", "bb_upper_distance", "bb_lower_distance", "atr_14_pct", "hist_vol_30"),
        *("obv_slope_20", "volume_sma_ratio", "volume_spike", "ret_1", "ret_5", "ret_20"),
    )


def test_families_have_their_counts() -> None:
    assert Counter(f.family for f in FEATURES) == {
        "trend": 15,
        "momentum": 11,
        "volatility": 8,
        "volume": 6,
        "pattern": 5,
        "statistical": 12,
        "market": 8,
        "derived": 10,
        "rank": 10,
        "level": 6,
    }
    assert len(NAMED) == len(FEATURES) == 91


def test_lookbacks_are_those_of_the_specification() -> None:
    assert tuple(f.lookback for f in EXTENDED) == LOOKBACKS


def test_every_set_gives_its_columns_in_order_as_float32(bars: pl.DataFrame, context: Context) -> None:
    for names in FEATURE_SETS.values():
        frame = compute(bars, [NAMED[n] for n in names], context)
        assert frame.columns == ["date", "ticker", *names]
        assert set(frame.dtypes[2:]) == {pl.Float32()}
        assert len(frame) == len(bars)


def test_every_feature_has_values_and_never_nan_on_a_long_history(values: pl.DataFrame) -> None:
    tail = values.filter(col("date") >= values["date"].unique().sort()[272]).drop("date", "ticker")
    assert [c for c in tail.columns if tail[c].null_count() or not tail[c].is_finite().all()] == []
    assert [c for c in values.columns[2:] if values[c].is_nan().any()] == []


def test_every_value_lies_in_its_range(values: pl.DataFrame) -> None:
    assert_ranges(values)


def test_every_value_lies_in_its_range_on_real_bars(real: tuple[pl.DataFrame, Context]) -> None:
    assert_ranges(compute(real[0], FEATURES, real[1]))


def assert_ranges(values: pl.DataFrame) -> None:
    for f in FEATURES:
        column = values[f.name].drop_nulls()
        assert len(column), f.name
        assert f.low is None or column.min() >= np.float32(f.low), f.name  # type: ignore[operator]
        assert f.high is None or column.max() <= np.float32(f.high), f.name  # type: ignore[operator]


@pytest.mark.parametrize("strategy", [StrategyConfig(), StrategyConfig(14, 30, 50)], ids=lambda s: s.key)
def test_last_bars_of_the_lookback_alone_give_the_value(strategy: StrategyConfig) -> None:
    bars = walk(22, 330, seed=4)
    own = [f for f in builtin_features(strategy) if f.source == "bars" or f.over == "universe"]
    whole = compute(bars, own)
    last = col("date") == whole["date"].max()
    wrong = []
    for f in own:
        window = bars.group_by("ticker", maintain_order=True).tail(f.lookback + 1)
        part = compute(window, [f]).filter(last)[f.name]
        scale = pl.max_horizontal(col(f.name).abs(), pl.lit(whole[f.name].std()))
        gap = (col(f.name).cast(pl.Float64) - part).abs() - FLOAT32 * col(f.name).abs()
        honest = whole.filter(last).select((gap <= 1e-6 * scale).all()).item() and not part.null_count()
        wrong += [] if honest else [f.name]
    assert len(own) == 72  # without market series, sectors, and the ranks, whose memory is their base's
    assert wrong == []


def test_feature_is_null_when_one_bar_is_missing_to_its_lookback() -> None:
    bars = walk(22, 300, seed=6)
    own = [f for f in FEATURES if f.source == "bars" and f.over == "ticker"]
    for f in own:
        row = compute(bars.group_by("ticker", maintain_order=True).head(f.lookback + 1), [f])
        last = row.group_by("ticker", maintain_order=True).last()[f.name]
        assert row[f.name].null_count() == len(row) - 22, f.name
        assert last.null_count() == 0, f.name


def test_no_two_features_are_monotone_twins_on_real_bars(real: tuple[pl.DataFrame, Context]) -> None:
    values = compute(real[0], EXTENDED, real[1]).drop_nulls()
    assert len(values) > 40_000
    ranks = np.column_stack([stats.rankdata(values[f.name].to_numpy()) for f in EXTENDED])
    correlation = np.abs(np.corrcoef(ranks, rowvar=False))
    np.fill_diagonal(correlation, 0)
    twins = {tuple(sorted((ORDER[i], ORDER[j]))) for i, j in np.argwhere(correlation >= 0.999)}
    assert twins == set()


def test_scale_of_prices_and_volume_changes_nothing_but_levels(bars: pl.DataFrame, context: Context) -> None:
    scaled = bars.with_columns(
        *(pl.when(col("ticker") == "T03").then(col(c) * 7).otherwise(col(c)) for c in PRICES),
        pl.when(col("ticker") == "T03").then(col("volume") * 1000).otherwise(col("volume")),
    )
    before, after = compute(bars, FEATURES, context), compute(scaled, FEATURES, context)
    changed = {f.name for f in FEATURES if deviation(f.name, before[f.name], after[f.name]) > 1e-6}
    assert changed == {f.name for f in FEATURES if f.family == "level"}


def test_dropping_the_start_of_history_changes_no_later_value(bars: pl.DataFrame, context: Context) -> None:
    days = bars["date"].unique().sort()
    first = days[len(days) - 272 - 10]
    late = bars.filter(col("date") >= first)
    seen = col("date") >= late["date"].unique().sort()[271]
    whole, part = compute(bars, FEATURES, context).filter(seen), compute(late, FEATURES, context).filter(seen)
    wrong = [f.name for f in FEATURES if deviation(f.name, whole[f.name], part[f.name]) > 1.5e-6]
    assert wrong == []


def test_order_of_the_rows_does_not_matter(bars: pl.DataFrame, context: Context, values: pl.DataFrame) -> None:
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=9)
    assert compute(shuffled, FEATURES, context).equals(values)


@pytest.mark.parametrize("column", [*PRICES, "volume"])
@pytest.mark.parametrize("gap", [None, float("nan")])
def test_missing_value_inside_a_ticker_does_not_ruin_the_rest(column: str, gap: float | None) -> None:
    whole = walk(2, 640, seed=8)
    at = whole["date"].unique().sort()[300]
    hit = (col("date") == at) & (col("ticker") == "T00")
    broken = whole.with_columns(pl.when(hit).then(pl.lit(gap, dtype=pl.Float64)).otherwise(col(column)).alias(column))
    own = [f for f in FEATURES if f.source == "bars" and f.over == "ticker"]
    after = compute(broken, own).filter(col("ticker") == "T00", col("date") > at + dt.timedelta(days=273))
    assert len(after) > 60
    assert [f.name for f in own if after[f.name].null_count()] == []


def test_every_feature_names_what_feeds_it() -> None:
    assert {f.source for f in FEATURES} == {"bars", "market", "sector", "universe"}


def test_context_features_are_null_without_context(bars: pl.DataFrame) -> None:
    frame = compute(bars, FEATURES)
    empty = {c for c in frame.columns if frame[c].null_count() == len(frame)}
    fed: set[str] = {f.name for f in FEATURES if _is_fed_by_context(f)}
    assert empty == fed


def _is_fed_by_context(feature: Feature) -> bool:
    return feature.source in {"market", "sector"}
