"""What the regime classifier reads: market series alone, each value from its own past."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError
from marketloop.core.values import Context
from marketloop.features import (
    FEATURE_SETS,
    builtin_features,
    check_leaks,
    compute,
    regime_features,
    regime_lookback,
    regime_set,
)

SESSIONS = 700
DAYS = [dt.date(2010, 1, 1) + dt.timedelta(days=k) for k in range(SESSIONS)]


def market(seed: int = 0) -> pl.DataFrame:
    steps = np.random.default_rng(seed).normal(0, 0.01, (4, SESSIONS)).cumsum(axis=1)
    values = {"vix": 20 * np.exp(steps[0]), "spx": 1500 * np.exp(steps[1]), "us10y": 3 + steps[2]}
    return pl.DataFrame({"date": DAYS, **values, "usd": 95 * np.exp(steps[3])})


def context_of(frame: pl.DataFrame) -> Context:
    empty = Context.empty()
    return Context(market=frame, sectors=empty.sectors, sector_prices=empty.sector_prices)


def bars_of(frame: pl.DataFrame) -> pl.DataFrame:
    prices = [col("spx").alias(name) for name in ("open", "high", "low", "close")]
    return frame.select("date", pl.lit("MARKET").alias("ticker"), *prices, pl.lit(0.0).alias("volume"))


def values_of(frame: pl.DataFrame, lookback: int = 30) -> pl.DataFrame:
    return compute(bars_of(frame), regime_features(lookback), context_of(frame))


@pytest.mark.parametrize("lookback", [20, 30, 250])
def test_no_feature_sees_the_future_and_every_lookback_is_honest(lookback: int) -> None:
    frame = market()
    report = check_leaks(bars_of(frame), regime_features(lookback), context_of(frame))
    assert report.leaks == ()
    assert report.checked == len(regime_features(lookback)) >= 23


def test_feature_that_sees_tomorrow_is_caught_among_them() -> None:
    frame = market()
    leak = Feature("tomorrow", "regime", 0, col("spx").shift(-1) / col("spx") - 1, source="market", over="market")
    short = Feature("hurried", "regime", 10, col("vix").rolling_mean(60), source="market", over="market")
    report = check_leaks(bars_of(frame), (*regime_features(), leak, short), context_of(frame))
    assert {(found.feature, found.kind) for found in report.leaks} >= {("tomorrow", "future"), ("hurried", "lookback")}
    assert {found.feature for found in report.leaks} == {"tomorrow", "hurried"}


def test_every_feature_is_known_from_its_lookback_on_and_lies_in_its_range() -> None:
    values = values_of(market())
    for feature in regime_features():
        column = values[feature.name]
        assert column.null_count() == feature.lookback, feature.name
        assert feature.low is None or column.min() >= np.float32(feature.low)  # type: ignore[operator]
        assert feature.high is None or column.max() <= np.float32(feature.high)  # type: ignore[operator]


def test_features_are_those_of_plain_arithmetic() -> None:
    frame = market(3)
    row = values_of(frame).row(-1, named=True)
    spx, vix = frame["spx"].to_numpy(), frame["vix"].to_numpy()
    r = spx[1:] / spx[:-1] - 1
    expected = {
        "spx_return_30": spx[-1] / spx[-31] - 1,
        "spx_drawdown_60": spx[-1] / spx[-60:].max() - 1,
        "spx_vol_30": r[-30:].std(ddof=1) * np.sqrt(252),
        "spx_vol_ratio_30": r[-30:].std(ddof=1) / r[-252:].std(ddof=1),
        "spx_trend_200": spx[-1] / spx[-200:].mean() - 1,
        "spx_tstat_30": np.sqrt(30) * r[-30:].mean() / r[-30:].std(ddof=1),
        "vix_percentile_252": (vix[-252:] < vix[-1]).sum() / 251,
        "vix_premium_20": vix[-1] / 100 - r[-20:].std(ddof=1) * np.sqrt(252),
        "us10y_change_60": frame["us10y"][-1] - frame["us10y"][-61],
        "usd_index_change_20": frame["usd"][-1] / frame["usd"][-21] - 1,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_names_shared_with_the_catalog_mean_the_same() -> None:
    frame, catalog = market(), {f.name: f for f in builtin_features()}
    shared = [f for f in regime_features() if f.name in catalog]
    assert len(shared) >= 4
    bars, context = bars_of(frame), context_of(frame)
    own, other = compute(bars, shared, context), compute(bars, [catalog[f.name] for f in shared], context)
    assert own.equals(other)


def test_sets_of_the_catalog_hold_none_of_the_others() -> None:
    own = {f.name for f in regime_features()} - {f.name for f in builtin_features()}
    assert own
    assert not own & {name for names in FEATURE_SETS.values() for name in names}


def test_scale_of_the_index_changes_nothing() -> None:
    frame = market()
    before, after = values_of(frame), values_of(frame.with_columns(col("spx") * 7, col("usd") * 3))
    for name in before.columns[2:]:
        assert (before[name] - after[name]).abs().max() < 1e-5, name  # type: ignore[operator]


def test_series_that_is_absent_leaves_its_features_null_and_no_others() -> None:
    values = values_of(market().with_columns(vix=pl.lit(None, pl.Float64), usd=pl.lit(None, pl.Float64)))
    empty = {name for name in values.columns if values[name].null_count() == len(values)}
    assert empty == {name for name in values.columns if name.startswith(("vix_", "usd_"))}


def test_series_that_begins_later_is_null_until_its_own_lookback() -> None:
    late = market().with_columns(vix=pl.when(pl.int_range(pl.len()) >= 300).then(col("vix")))
    values = values_of(late)
    assert values["vix_level"].null_count() == 300
    assert values["vix_percentile_252"].null_count() == 300 + 251
    assert values["spx_vol_60"].null_count() == 60


def test_flat_index_has_no_trend_statistic_and_no_infinite_value() -> None:
    values = values_of(market().with_columns(spx=pl.lit(100.0)))
    assert values["spx_tstat_30"].null_count() == len(values)
    assert values["spx_vol_ratio_30"].null_count() == len(values)
    assert values["spx_vol_30"].drop_nulls().max() == 0


def test_lookback_stands_in_the_names_that_depend_on_it() -> None:
    short, long = ({f.name for f in regime_features(n)} for n in (40, 90))
    assert short - long == {"spx_return_40", "spx_vol_40", "spx_vol_ratio_40", "spx_tstat_40"}


def test_set_name_gives_its_lookback_back() -> None:
    assert regime_lookback(regime_set(45)) == 45
    with pytest.raises(UsageError, match='"extended" is no set of market features'):
        regime_lookback("extended")


@pytest.mark.parametrize("lookback", [4, 251, True, 30.0])
def test_lookback_out_of_range_is_refused(lookback: int) -> None:
    with pytest.raises(UsageError, match="expected 5 to 250 sessions"):
        regime_features(lookback)
