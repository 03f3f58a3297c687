"""Planted leaks are named with their kind; honest features are not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError
from marketloop.core.values import Context, StrategyConfig
from marketloop.features import builtin_features, check_leaks

CLOSE = col("close")
RETURN = CLOSE / CLOSE.shift(1) - 1


def per_ticker(expr: pl.Expr) -> Callable[[pl.DataFrame], pl.Series]:
    return lambda panel: panel.select(expr.over("ticker")).to_series()


def weekly_close(panel: pl.DataFrame) -> pl.Series:
    week = col("date").dt.truncate("1w")
    return panel.select(CLOSE / CLOSE.last().over("ticker", week) - 1).to_series()


def last_known_spread(panel: pl.DataFrame) -> pl.Series:
    newest = panel.group_by("ticker").agg(volume_now=col("volume").last())
    return panel.join(newest, on="ticker", how="left", maintain_order="left")["volume_now"]


def earnings_of_today(panel: pl.DataFrame) -> pl.Series:
    table = pl.DataFrame({"ticker": [f"T{k:02d}" for k in range(40)], "eps": [1.0 + k / 7 for k in range(40)]})
    return panel.join(table, on="ticker", how="left", maintain_order="left").select(CLOSE / col("eps")).to_series()


def earnings_as_known(panel: pl.DataFrame) -> pl.Series:
    days = [dt.date(2015, 3, 2), dt.date(2015, 9, 1)]
    names = [f"T{k:02d}" for k in range(40)]
    table = pl.DataFrame({"ticker": names * 2, "known": [d for d in days for _ in names], "eps": np.arange(80.0) + 1})
    joined = (
        panel.with_row_index("at")
        .sort("date")
        .join_asof(table.sort("known"), left_on="date", right_on="known", by="ticker", check_sortedness=False)
    )
    return joined.sort("at").select(CLOSE / col("eps")).to_series()


def small_leak(panel: pl.DataFrame) -> pl.Series:
    forward = (CLOSE.shift(-1) / CLOSE - 1).over("ticker").fill_null(0)
    return panel.select(CLOSE.pct_change().over("ticker") + 0.01 * forward).to_series()


def tickers_that_ever_exist(panel: pl.DataFrame) -> pl.Series:
    return pl.Series([float(panel["ticker"].n_unique())] * len(panel))


def share_above_mean(panel: pl.DataFrame) -> pl.Series:
    return panel.select((CLOSE.mean().over("date") < CLOSE).cast(pl.Float64)).to_series()


Plan = tuple[int, pl.Expr | Callable[[pl.DataFrame], pl.Series]]

FUTURE: dict[str, Plan] = {
    "shifted": (0, CLOSE.shift(-1) / CLOSE - 1),
    "shifted_and_filled": (0, (CLOSE.shift(-1) / CLOSE - 1).fill_null(0)),
    "centred": (4, CLOSE / CLOSE.rolling_mean(5, center=True) - 1),
    "back_filled": (0, pl.when(RETURN > 0.01).then(RETURN).backward_fill()),
    "full_sample_quantile": (0, (CLOSE.quantile(0.8) < CLOSE).cast(pl.Float64)),
    "full_sample_scaling": (1, (RETURN - RETURN.mean()) / RETURN.std()),
    "weekly": (0, weekly_close),
    "last_known": (0, last_known_spread),
    "small": (1, small_leak),
    "universe_of_tomorrow": (0, tickers_that_ever_exist),
    "null_pattern": (0, pl.when(CLOSE.shift(-3).is_not_null()).then(1.0)),
    "global_scaling": (0, lambda panel: (panel["close"] - panel["close"].mean()) / panel["close"].std()),
    "context_of_tomorrow": (0, col("vix").shift(-1)),
}
LOOKBACK: dict[str, Plan] = {
    "cumulative": (20, CLOSE.cum_max() / CLOSE),
    "volume_so_far": (5, col("volume").cum_sum() / col("volume")),
    "age": (3, CLOSE.cum_count().cast(pl.Float64)),
    "expanding": (50, per_ticker(CLOSE / (CLOSE.cum_sum() / CLOSE.cum_count()))),
    "short": (10, CLOSE / CLOSE.rolling_mean(12)),
    "too_long_memory": (20, CLOSE / CLOSE.ewm_mean(span=50)),
}
HONEST: dict[str, Plan] = {
    "momentum": (3, CLOSE / CLOSE.shift(3) - 1),
    "weekday": (0, col("date").dt.weekday().cast(pl.Float64)),
    "as_known": (0, earnings_as_known),
    "per_session": (0, share_above_mean),
    "flag": (20, (col("volume") > 2 * col("volume").rolling_mean(20)).cast(pl.Float64)),
    "always_null": (0, pl.lit(None, dtype=pl.Float64)),
}


def feature(name: str, lookback: int, expr: pl.Expr | Callable[[pl.DataFrame], pl.Series]) -> Feature:
    return Feature(name, "plugin", lookback, expr)


@pytest.fixture(scope="module")
def bars(walk: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    return walk(tickers=24, sessions=330)


@pytest.fixture(scope="module")
def context(bars: pl.DataFrame, market_context: Callable[..., Context]) -> Context:
    return market_context(bars)


@pytest.mark.parametrize("name", FUTURE)
def test_check_names_a_feature_that_sees_the_future(name: str, bars: pl.DataFrame, context: Context) -> None:
    report = check_leaks(bars, [feature(name, *FUTURE[name])], context, cuts=16)
    assert [k.feature for k in report.leaks if k.kind == "future"] == [name]


@pytest.mark.parametrize("name", LOOKBACK)
def test_check_names_a_dishonest_lookback(name: str, bars: pl.DataFrame, context: Context) -> None:
    report = check_leaks(bars, [feature(name, *LOOKBACK[name])], context, cuts=16)
    assert [(k.feature, k.kind) for k in report.leaks] == [(name, "lookback")]


@pytest.mark.parametrize("name", HONEST)
def test_check_leaves_an_honest_feature_alone(name: str, bars: pl.DataFrame, context: Context) -> None:
    report = check_leaks(bars, [feature(name, *HONEST[name])], context, cuts=16)
    assert report.leaks == ()


def test_check_names_todays_fundamentals_spread_over_history(bars: pl.DataFrame) -> None:
    report = check_leaks(bars, [feature("eps", 0, earnings_of_today)], cuts=8)
    assert [(k.feature, k.kind) for k in report.leaks] == [("eps", "undated")]
    assert report.leaks[0].first_session == dt.date(2015, 1, 1)


def test_check_finds_nothing_in_the_catalog(bars: pl.DataFrame, context: Context) -> None:
    features = builtin_features()
    report = check_leaks(bars, features, context, cuts=10)
    assert report.checked == len(features) == 91
    assert report.leaks == ()


def test_check_finds_nothing_in_the_catalog_with_other_periods(bars: pl.DataFrame) -> None:
    assert check_leaks(bars, builtin_features(StrategyConfig(14, 30, 50)), cuts=6).leaks == ()


@pytest.mark.parametrize(("tickers", "sessions"), [(5, 300), (1, 40), (2, 8), (1, 1)])
def test_check_finds_nothing_when_there_is_little_to_see(
    tickers: int, sessions: int, walk: Callable[..., pl.DataFrame]
) -> None:
    bars = walk(tickers=tickers, sessions=max(sessions, tickers)).head(sessions * tickers)
    assert check_leaks(bars, builtin_features(), cuts=6).leaks == ()


def test_check_finds_nothing_on_real_bars_with_defects(shared_data: object) -> None:
    bars = pl.read_parquet(f"{shared_data}/sp500_daily_2013_2018.parquet")
    assert check_leaks(bars, builtin_features(), cuts=6, thorough=False, seed=4).leaks == ()


def test_thorough_questions_find_nothing_on_real_bars(shared_data: object) -> None:
    bars = pl.read_parquet(f"{shared_data}/sp500_daily_2013_2018.parquet")
    tickers = bars["ticker"].unique().sort().gather_every(21)
    sessions = bars["date"].unique().sort().tail(600)
    sample = bars.filter(pl.col("ticker").is_in(tickers.implode()), pl.col("date") >= sessions[0])
    assert check_leaks(sample, builtin_features()).leaks == ()


def test_check_finds_nothing_when_bars_are_missing_here_and_there(bars: pl.DataFrame, context: Context) -> None:
    gappy = bars.sample(fraction=0.97, seed=11)
    assert check_leaks(gappy, builtin_features(), context, cuts=16).leaks == ()


def beside_the_others(panel: pl.DataFrame) -> pl.Series:
    """Mean return less that of all tickers, over the sessions of the last 21 bars."""
    change = panel.select("date", change=(CLOSE / CLOSE.shift(1) - 1).over("ticker"))
    rest = change.with_columns(col("change") - col("change").mean().over("date"), ticker=panel["ticker"])
    return rest.select(col("change").rolling_mean(20).over("ticker")).to_series()


def test_ticker_that_missed_sessions_is_compared_with_the_others_in_these_sessions(
    bars: pl.DataFrame, gappy_ticker: str
) -> None:
    gappy = bars.filter((col("ticker") != gappy_ticker) | (col("date").rank("dense") % 7 != 0))
    assert check_leaks(gappy, [feature("beside", 20, beside_the_others)], cuts=16).leaks == ()
    short = check_leaks(gappy, [feature("beside", 19, beside_the_others)], cuts=16).leaks
    assert [leak.kind for leak in short] == ["lookback"]


@pytest.fixture
def gappy_ticker(bars: pl.DataFrame) -> str:
    return str(bars["ticker"][0])


def test_check_looks_at_values_and_not_at_names(bars: pl.DataFrame) -> None:
    tomorrow = feature("future_return_leak", 5, CLOSE / CLOSE.shift(5) - 1)
    assert check_leaks(bars, [tomorrow], cuts=8).leaks == ()


def test_check_says_which_feature_cannot_be_computed_and_why(bars: pl.DataFrame) -> None:
    def broken(panel: pl.DataFrame) -> pl.Series:
        return panel["earnings"]

    with pytest.raises(UsageError, match=r'feature "broken" cannot be computed: ColumnNotFoundError: .*earnings'):
        check_leaks(bars, [feature("broken", 0, broken)])


def test_leak_names_ticker_session_and_both_values(bars: pl.DataFrame) -> None:
    leak = check_leaks(bars, [feature("shifted", *FUTURE["shifted"])], cuts=4, thorough=False).leaks[0]
    assert leak.first_session in set(bars["date"])
    assert f"on {leak.first_session} is" in leak.detail
    assert "when later sessions are others" in leak.detail


def test_check_reports_the_same_when_the_rows_are_shuffled(bars: pl.DataFrame) -> None:
    wrong = [feature(name, *FUTURE[name]) for name in ("centred", "weekly")]
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=3)
    assert check_leaks(shuffled, wrong, cuts=6) == check_leaks(bars, wrong, cuts=6)


def test_rank_of_a_leaking_feature_leaks(bars: pl.DataFrame) -> None:
    base = feature("shifted", *FUTURE["shifted"])
    rank = next(f for f in builtin_features() if f.name == "rank_ret_5")
    leaking = replace(rank, name="rank_shifted", expr=col("shifted").rank(), base=base, lookback=0)
    assert "rank_shifted" in {k.feature for k in check_leaks(bars, [leaking], cuts=6).leaks}


@pytest.mark.parametrize("window", [2, 20, 60])
def test_check_names_a_back_fill_that_hides_in_the_warm_up(window: int, bars: pl.DataFrame) -> None:
    expr = (CLOSE.rolling_mean(window) / CLOSE - 1).fill_null(strategy="backward")
    report = check_leaks(bars, [Feature("filled", "plugin", window - 1, expr)])
    assert [(leak.feature, leak.kind) for leak in report.leaks] == [("filled", "future")]
