"""The computation beyond single formulas: schema, gaps, flat stretches, context, plugins."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError
from marketloop.core.values import Context, StrategyConfig
from marketloop.features import (
    FEATURE_SETS,
    FeatureEngineer,
    builtin_features,
    compute,
    fill,
    fingerprint,
    latest,
    resolve,
)
from marketloop.features.elementwise import is_elementwise

NAMED = {f.name: f for f in builtin_features()}
EXTENDED = resolve(NAMED, "extended")
CLOSE = col("close")


@pytest.fixture(scope="module")
def bars(walk: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    return walk(tickers=24, sessions=320, seed=7)


@pytest.fixture(scope="module")
def context(bars: pl.DataFrame, market_context: Callable[..., Context]) -> Context:
    return market_context(bars)


def plugin(name: str, expr: pl.Expr | Callable[[pl.DataFrame], pl.Series], lookback: int = 0) -> Feature:
    return Feature(name, "plugin", lookback, expr)


@pytest.mark.parametrize("sessions", [1, 4])
def test_latest_equals_the_full_computation(sessions: int, bars: pl.DataFrame, context: Context) -> None:
    features = tuple(f for f in NAMED.values() if f.family != "rank")
    since = bars["date"].unique().sort()[-1 - sessions]
    whole = compute(bars, features, context)
    new = latest(bars, features, context, since=since)
    old = whole.filter(col("date") > since)
    assert new.select("date", "ticker").equals(old.select("date", "ticker"))
    for f in features:
        a, b = old[f.name].to_numpy().astype(float), new[f.name].to_numpy().astype(float)
        spread = float(whole[f.name].drop_nulls().cast(pl.Float64).std() or 0.0)  # type: ignore[arg-type]
        assert (np.isnan(a) == np.isnan(b)).all(), f.name
        assert (np.abs(a - b) <= 1e-6 * np.maximum(np.abs(a), spread)).all(), f.name


def test_latest_counts_a_ticker_that_stopped_trading_in_earlier_breadth(bars: pl.DataFrame) -> None:
    days = bars["date"].unique().sort()
    stopped = bars.filter((col("ticker") != "T05") | (col("date") <= days[-4]))
    breadth = [NAMED["breadth_10"]]
    whole = compute(stopped, breadth).filter(col("date") > days[-2])
    assert latest(stopped, breadth, None, since=days[-2]).equals(whole)


def test_latest_reads_what_the_others_did_in_sessions_that_a_ticker_missed(bars: pl.DataFrame) -> None:
    def beside(panel: pl.DataFrame) -> pl.Series:
        change = panel.select("ticker", "date", change=(CLOSE / CLOSE.shift(1) - 1).over("ticker"))
        rest = change.with_columns(col("change") - col("change").mean().over("date"))
        return rest.select(col("change").rolling_mean(25).over("ticker")).to_series()

    days = bars["date"].unique().sort()
    missed = days.gather([-9, -17, -20]).implode()
    gappy = bars.filter((col("ticker") != "T05") | ~col("date").is_in(missed))
    feature = plugin("beside", beside, lookback=25)
    whole = compute(gappy, [feature]).filter(col("date") > days[-2])
    new = latest(gappy, [feature], None, since=days[-2])
    assert new["beside"].to_list() == pytest.approx(whole["beside"].to_list(), rel=1e-5)


def test_latest_gives_no_rows_when_nothing_is_new(bars: pl.DataFrame, context: Context) -> None:
    newest = bars["date"].unique().sort()[-1]
    assert latest(bars, EXTENDED, context, since=newest).shape == (0, 77)


def test_flat_ticker_has_null_for_every_zero_over_zero() -> None:
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=k) for k in range(330)]
    flat = pl.DataFrame({"date": days, "ticker": "FLAT", "open": 5.0, "high": 5.0, "low": 5.0, "close": 5.0})
    flat = flat.with_columns(volume=pl.lit(0.0))
    row = compute(flat, EXTENDED).row(-1, named=True)
    undefined = """rsi williams_r_14 stoch_k stoch_d cci_20 stoch_rsi ultimate_osc bb_squeeze keltner_position mom_10
        obv_slope_20 volume_sma_ratio vwap_distance_20 mfi_14 cmf_20 ret_tstat_20 ret_skew_20 ret_kurt_20 zscore_20
        autocorr_20 rsi_divergence volume_vs_average range_position_60 amihud_20 adx_14 plus_di_14"""
    assert {name: row[name] for name in undefined.split() if row[name] is not None} == {}
    assert row["ret_20"] == row["bb_width"] == row["atr_14_pct"] == row["macd"] == row["max_drawdown_60"] == 0


def test_row_without_a_price_is_null_and_counts_as_no_bar(bars: pl.DataFrame) -> None:
    one = bars.filter(col("ticker") == "T00")
    at = one["date"][100]
    broken = one.with_columns(pl.when(col("date") == at).then(None).otherwise(col("open")).alias("open"))
    with_gap, without = compute(broken, EXTENDED), compute(one.filter(col("date") != at), EXTENDED)
    assert len(with_gap) == len(one)
    assert set(with_gap.filter(col("date") == at).drop("date", "ticker").row(0)) == {None}
    assert with_gap.filter(col("date") != at).equals(without)


def test_ticker_without_volume_loses_its_volume_features_only(bars: pl.DataFrame) -> None:
    silent = bars.with_columns(volume=pl.lit(float("nan")))
    frame = compute(silent, EXTENDED).filter(col("date") == bars["date"].max())
    lost = {c for c in frame.columns if frame[c].null_count() == len(frame)}
    fed_by_volume = {f.name for f in EXTENDED if f.family == "volume"} | {"volume_vs_average", "amihud_20"}
    assert lost - {f.name for f in EXTENDED if f.source in {"market", "sector"}} == fed_by_volume


def test_sector_return_is_the_fund_where_there_is_one_and_else_the_other_members(
    bars: pl.DataFrame, context: Context
) -> None:
    frame = compute(bars, [NAMED["sector_relative_20"]], context)
    day = bars["date"].max()
    value = {row["ticker"]: row["sector_relative_20"] for row in frame.filter(col("date") == day).to_dicts()}
    closes = bars.pivot(on="ticker", index="date", values="close").sort("date")
    spx = context.market.sort("date")["spx"]
    fund = context.sector_prices.sort("date")["close"]
    index = spx[-1] / spx[-21] - 1
    assert value["T01"] == pytest.approx(fund[-1] / fund[-21] - 1 - index, rel=1e-5)
    others = [closes[t][-1] / closes[t][-21] - 1 for t in closes.columns[1:] if int(t[1:]) % 3 == 0 and t != "T03"]
    assert value["T03"] == pytest.approx(sum(others) / len(others) - index, rel=1e-5)


def test_sector_with_three_members_in_all_is_null_without_a_fund(bars: pl.DataFrame, context: Context) -> None:
    few = bars.filter(col("ticker").is_in(["T00", "T03", "T06", "T01"]))
    alone = replace(context, sector_prices=Context.empty().sector_prices)
    assert compute(few, [NAMED["sector_relative_20"]], alone)["sector_relative_20"].null_count() == len(few)


def test_breadth_is_null_below_twenty_tickers(bars: pl.DataFrame) -> None:
    nineteen = bars.filter(col("ticker") < "T19")
    assert compute(nineteen, [NAMED["breadth_10"]])["breadth_10"].null_count() == len(nineteen)
    counted = compute(bars, [NAMED["breadth_10"]]).filter(col("date") == bars["date"].max())["breadth_10"]
    signs = bars.with_columns(up=(CLOSE - CLOSE.shift(1).over("ticker")).sign()).sort("date")
    daily = signs.group_by("date").agg(b=col("up").sum() / col("up").abs().sum()).sort("date")["b"].tail(10)
    assert counted.to_list() == pytest.approx([daily.mean()] * 24, rel=1e-5)


def test_rank_is_centred_and_null_below_five_tickers(bars: pl.DataFrame) -> None:
    rank = NAMED["rank_ret_5"]
    last = compute(bars, [rank, NAMED["ret_5"]]).filter(col("date") == bars["date"].max()).sort("ret_5")
    assert last["rank_ret_5"].to_list() == pytest.approx([k / 23 - 0.5 for k in range(24)], abs=1e-6)
    four = bars.filter(col("ticker") < "T04")
    assert compute(four, [rank])["rank_ret_5"].null_count() == len(four)


def test_bars_of_another_scale_do_not_disturb_their_neighbours(bars: pl.DataFrame) -> None:
    own = [f for f in EXTENDED if f.source == "bars"]
    prices = [
        pl.when(col("ticker") == "T01").then(col(c) * 1e9).otherwise(col(c)) for c in ("open", "high", "low", "close")
    ]
    before, after = compute(bars, own), compute(bars.with_columns(prices), own)
    others = col("ticker") != "T01"
    assert before.filter(others).equals(after.filter(others))


def test_integer_volume_and_other_columns_are_accepted(bars: pl.DataFrame) -> None:
    wider = bars.with_columns(col("volume").cast(pl.Int64), adj_close=CLOSE)
    assert compute(wider, EXTENDED).equals(compute(bars, EXTENDED))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.drop("volume"), "lacks the column.s. volume"),
        (lambda b: b.with_columns(col("date").cast(pl.String)), 'column "date" of the bars is String: expected Date'),
        (lambda b: b.with_columns(col("close").cast(pl.String)), 'column "close" of the bars is String'),
        (lambda b: b.with_columns(date=pl.lit(None, dtype=pl.Date)), 'column "date" of the bars has .* nulls'),
        (lambda b: pl.concat([b, b.head(1)]), "T00 has more than one bar on 2015-01-01"),
    ],
)
def test_wrong_bars_are_refused_with_one_sentence(
    change: Callable[[pl.DataFrame], pl.DataFrame], message: str, bars: pl.DataFrame
) -> None:
    with pytest.raises(UsageError, match=message):
        compute(change(bars), EXTENDED)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (plugin("x", col("earnings")), 'feature "x" reads earnings, which the bars do not have'),
        (plugin("x", CLOSE.rank().over("date")), r'feature "x" says .over\(\) inside its expression'),
        (
            plugin("x", lambda panel: panel["close"].head(3)),
            'feature "x" returned 3 values: expected .* one value per row',
        ),
        (plugin("x", lambda _: 1.0), 'feature "x" returned float'),  # type: ignore[arg-type, return-value]
        (plugin("x", lambda panel: 1 / panel["missing"]), 'feature "x" cannot be computed: ColumnNotFoundError'),
        (plugin("x", CLOSE.str.to_date()), 'feature "x" cannot be computed: .*'),
        (replace(plugin("x", CLOSE), over="week"), 'feature "x": over = "week" is none of'),
        (replace(NAMED["sma_50_ratio"], name="x", shared={"sma_50": CLOSE}), 'feature "x" means another series'),
        (plugin("ret_1", CLOSE), '"ret_1" is asked for twice'),
    ],
)
def test_feature_that_cannot_be_computed_is_named(feature: Feature, message: str, bars: pl.DataFrame) -> None:
    with pytest.raises(UsageError, match=message):
        compute(bars, [*EXTENDED, feature])


def test_plugin_expressions_and_functions_stand_beside_the_house(bars: pl.DataFrame) -> None:
    share = plugin("share", lambda panel: panel["close"] / panel["open"], 2)
    level = plugin("level", CLOSE.mean())
    frame = compute(bars, [NAMED["ret_1"], share, level])
    first = frame.filter(col("ticker") == "T00")
    assert frame.columns == ["date", "ticker", "ret_1", "share", "level"]
    assert first["share"].head(3).is_null().to_list() == [True, True, False]
    own = bars.filter(col("ticker") == "T00")
    assert first["level"].to_list() == pytest.approx([own["close"].mean()] * len(own))


def test_fill_repeats_forward_and_then_puts_the_neutral_value() -> None:
    days = [dt.date(2020, 1, k + 1) for k in range(5)]
    frame = pl.DataFrame(
        {
            "date": days * 2,
            "ticker": ["A"] * 5 + ["B"] * 5,
            "x": [None, None, None, 2.0, None, None, None, None, None, None],
            "empty": [None] * 10,
        },
        schema_overrides={"x": pl.Float32, "empty": pl.Float32},
    )
    features = [Feature("x", "plugin", 1, CLOSE, neutral=7.0), Feature("empty", "plugin", 0, CLOSE, neutral=1.0)]
    filled = fill(frame, features)
    assert filled["x"].to_list() == [None, 7, 7, 2, 2, None, 7, 7, 7, 7]
    assert filled["empty"].null_count() == 10
    assert fill(frame, features, warmed=True)["x"].to_list() == [7, 7, 7, 2, 2, 7, 7, 7, 7, 7]
    assert fill(frame, features, "none").equals(frame)


def test_engineer_gives_the_kind_of_frame_that_it_got(bars: pl.DataFrame, context: Context) -> None:
    engineer = FeatureEngineer(StrategyConfig())
    ours = engineer.create_features(bars, "basic", context=context)
    theirs = engineer.create_features(bars.to_pandas(), "basic", context=context)
    assert isinstance(theirs, pd.DataFrame)
    assert list(theirs.columns) == ["date", "ticker", *FEATURE_SETS["basic"]]
    np.testing.assert_array_equal(theirs["rsi"].to_numpy(), ours["rsi"].to_numpy())
    stamped = bars.with_columns(col("date").cast(pl.Datetime))
    assert engineer.create_features(stamped, "basic", context=context).equals(ours)


def test_engineer_adds_features_to_a_set_and_fills_on_request(bars: pl.DataFrame) -> None:
    engineer = FeatureEngineer(features=[plugin("gap", col("open") / CLOSE.shift(1), 1)])
    frame = engineer.create_features(bars, "legacy", "none")
    assert frame.columns[2:] == [*FEATURE_SETS["legacy"], "gap"]
    assert frame["rsi"].null_count() == 24 * 170


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"feature_set": "extendet"}, 'unknown feature set "extendet".* Did you mean "extended"'),
        ({"fill_method": "back"}, 'unknown fill method "back"'),
    ],
)
def test_engineer_refuses_unknown_names(arguments: dict[str, Any], message: str, bars: pl.DataFrame) -> None:
    with pytest.raises(UsageError, match=message):
        FeatureEngineer().create_features(bars, **arguments)


def test_engineer_refuses_time_zones_times_and_strange_frames(bars: pl.DataFrame) -> None:
    engineer, stamps = FeatureEngineer(), col("date").cast(pl.Datetime)
    with pytest.raises(UsageError, match="in time zone UTC"):
        engineer.create_features(bars.with_columns(stamps.dt.replace_time_zone("UTC")))
    with pytest.raises(UsageError, match="has times of day"):
        engineer.create_features(bars.with_columns(stamps.dt.offset_by("3h")))
    with pytest.raises(UsageError, match="expected a pandas or a Polars DataFrame"):
        engineer.create_features({"date": []})  # type: ignore[type-var]


def test_fingerprint_changes_with_every_part_of_a_definition() -> None:
    base = plugin("x", CLOSE.rolling_mean(5), 4)
    same = plugin("x", CLOSE.rolling_mean(5), 4)
    default = StrategyConfig()
    others = [
        replace(base, expr=CLOSE.rolling_mean(6)),
        replace(base, lookback=5),
        replace(base, name="y"),
        replace(base, expr=lambda panel: panel["close"]),
        replace(base, expr=lambda panel: panel["open"]),
        replace(base, expr=col("s"), shared={"s": CLOSE.rolling_mean(5)}),
        replace(base, expr=col("s"), shared={"s": CLOSE.rolling_mean(6)}),
    ]
    prints = {fingerprint([f], default) for f in (base, *others)}
    assert len(prints) == 1 + len(others)
    assert fingerprint([same], default) == fingerprint([base], default)
    assert fingerprint([base], StrategyConfig(14)) != fingerprint([base], default)
    assert fingerprint(EXTENDED, default) == fingerprint(resolve(NAMED, "extended"), default)


def test_periods_come_from_the_strategy(bars: pl.DataFrame) -> None:
    other = {f.name: f for f in builtin_features(StrategyConfig(14, 30, 50))}
    assert other["rsi"].lookback == 238
    assert other["volume_spike"].lookback == 30
    assert other["support_distance"].lookback == 50
    first = compute(bars, [other["support_distance"]]).filter(col("ticker") == "T00")["support_distance"]
    own = bars.filter(col("ticker") == "T00")
    lowest = min(own["low"][k] for k in range(69, 119))
    assert first[119] == pytest.approx(1 - lowest / own["close"][119], rel=1e-5)


def test_resolve_adds_named_features_after_the_set() -> None:
    assert [f.name for f in resolve(NAMED, "legacy", ["rank_rsi"])][-2:] == ["bb_lower_level", "rank_rsi"]
    with pytest.raises(UsageError, match=r'unknown feature "rank_rsj".* Did you mean "rank_rsi"'):
        resolve(NAMED, "legacy", ["rank_rsj"])
    with pytest.raises(UsageError, match='"rsi" is asked for twice'):
        resolve(NAMED, "legacy", ["rsi"])


@pytest.mark.parametrize(
    ("expr", "alone"),
    [
        (CLOSE / col("open") - 1, True),
        (pl.when(CLOSE > 0).then(CLOSE.log()).otherwise(pl.lit(1.5)), True),
        (CLOSE.clip(col("low"), pl.max_horizontal("high", "open")), True),
        (CLOSE - CLOSE.mean(), False),
        (CLOSE - CLOSE.shift(1), False),
        (pl.when(CLOSE.is_first_distinct()).then(1), False),
        (CLOSE + pl.lit(pl.Series([1.0, 2.0])), False),
        (CLOSE.forward_fill(), False),
        (pl.len() + CLOSE, False),
    ],
)
def test_elementwise_expressions_are_told_from_windows(expr: pl.Expr, alone: bool) -> None:
    assert is_elementwise(expr) is alone


def test_most_of_the_catalog_is_elementwise_over_shared_series() -> None:
    own = [f.expr for f in EXTENDED if isinstance(f.expr, pl.Expr) and f.over == "ticker"]
    assert sum(is_elementwise(expr) for expr in own) >= 35
