"""Leaks that one cut after another would hardly meet: rare ones, remembered ones, ones from a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.values import Context
from marketloop.features import builtin_features, check_leaks, check_whole

CLOSE = col("close")
NEXT = CLOSE.shift(-1) / CLOSE - 1
PAST = CLOSE / CLOSE.shift(10) - 1
EPOCH_DAY = col("date").cast(pl.Int32)
Panel = Callable[[pl.DataFrame], pl.Series]


def mixed(part: pl.Expr, when: pl.Expr, share: float = 0.01) -> pl.Expr:
    """Ten-day momentum (sd about 0.05) with a little of `part` (sd about 0.015) at some rows."""
    return PAST + share * 3.3 * pl.when(when).then(part).fill_null(0.0)


def found(bars: pl.DataFrame, expr: pl.Expr | Panel, lookback: int = 10, context: Context | None = None) -> list[str]:
    report = check_leaks(bars, [Feature("value", "plugin", lookback, expr)], context)
    return [leak.kind for leak in report.leaks]


@pytest.fixture(scope="module")
def bars(walk: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    return walk(tickers=24, sessions=330, seed=8)


@pytest.fixture(scope="module")
def tomorrow(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.select("ticker", "date", value=NEXT.over("ticker")).drop_nulls()


RARE = {
    "one session in forty": EPOCH_DAY % 59 == 7,
    "two tickers": col("ticker").is_in(["T03", "T17"]) & (EPOCH_DAY % 3 == 0),
    "one month": col("date").dt.month() == 4,
    "wide days": col("high") / col("low") > 1.045,
}


@pytest.mark.parametrize("name", RARE)
def test_rare_leak_of_a_hundredth_is_found(name: str, bars: pl.DataFrame) -> None:
    assert "future" in found(bars, mixed(NEXT, RARE[name]))


@pytest.mark.parametrize("name", [name for name in RARE if name != "two tickers"])
def test_same_disguise_around_the_past_is_left_alone(name: str, bars: pl.DataFrame) -> None:
    assert found(bars, mixed(CLOSE / CLOSE.shift(1) - 1, RARE[name])) == []


def test_answer_kept_from_the_first_call_is_found(bars: pl.DataFrame) -> None:
    kept: dict[tuple[str, dt.date], float] = {}

    def remembering(panel: pl.DataFrame) -> pl.Series:
        frame = panel.select("ticker", "date", own=PAST.over("ticker"), ahead=NEXT.over("ticker").fill_null(0.0))
        values = []
        for ticker, date, own, ahead in frame.iter_rows():
            values.append(kept.setdefault((ticker, date), 0.0 if own is None else own + 0.03 * ahead))
        return pl.Series(values)

    remembering(bars.sort("ticker", "date"))  # as a training would have, before anything is checked
    assert "future" in found(bars, remembering)


def test_answer_kept_by_its_input_is_left_alone(bars: pl.DataFrame) -> None:
    kept: dict[bytes, pl.Series] = {}

    def cached(panel: pl.DataFrame) -> pl.Series:
        key = panel["close"].to_numpy().tobytes() + panel["ticker"].hash().to_numpy().tobytes()
        if key not in kept:
            kept[key] = panel.select(PAST.over("ticker")).to_series()
        return kept[key]

    assert found(bars, cached) == []


def table(frame: pl.DataFrame, *keys: str, share: float = 1.0) -> Panel:
    def values(panel: pl.DataFrame) -> pl.Series:
        joined = panel.select(*keys).join(frame, on=list(keys), how="left", maintain_order="left")
        own = panel.select(PAST.over("ticker")).to_series()
        return own + share * joined["value"].fill_null(0.0)

    return values


def test_outcome_in_a_table_is_found_at_a_hundredth(bars: pl.DataFrame, tomorrow: pl.DataFrame) -> None:
    assert found(bars, table(tomorrow, "ticker", "date", share=0.03)) == ["future"]


def test_outcome_found_by_the_price_is_found(bars: pl.DataFrame) -> None:
    rows = bars.select("close", "volume", value=NEXT.over("ticker")).drop_nulls().unique(["close", "volume"])
    assert found(bars, table(rows, "close", "volume", share=0.03)) == ["future"]


def test_later_markets_close_under_its_own_date_is_found_and_a_day_late_is_not(bars: pl.DataFrame) -> None:
    opening = (col("open").shift(-1) / CLOSE - 1).over("ticker")
    daily = bars.select("date", value=opening).drop_nulls().group_by("date").agg(col("value").mean()).sort("date")
    noise = pl.Series(np.random.default_rng(2).normal(0, daily["value"].std(), len(daily)))  # type: ignore[arg-type]
    foreign = daily.with_columns(col("value") + noise)
    assert found(bars, table(foreign, "date", share=0.3)) == ["future"]
    assert found(bars, table(foreign.with_columns(col("value").shift(1)).drop_nulls(), "date", share=0.3)) == []


def test_honest_table_is_left_alone(bars: pl.DataFrame) -> None:
    past = bars.select("ticker", "date", value=(CLOSE / CLOSE.shift(5) - 1).over("ticker")).drop_nulls()
    assert found(bars, table(past, "ticker", "date")) == []


def column(frame: pl.DataFrame) -> Panel:
    """A column computed elsewhere, joined whole."""
    return lambda panel: panel.select("ticker", "date").join(frame, on=["ticker", "date"], how="left")["value"]


def test_column_of_yes_and_no_that_tells_tomorrow_is_found(bars: pl.DataFrame, tomorrow: pl.DataFrame) -> None:
    rises = tomorrow.with_columns((col("value") > 0).cast(pl.Float64))
    assert found(bars, column(rises)) == ["future"]
    yesterday = bars.select("ticker", "date", value=(CLOSE.shift(1) < CLOSE).over("ticker").cast(pl.Float64))
    assert found(bars, column(yesterday)) == []


def test_column_that_tells_the_size_of_tomorrows_move_is_found(bars: pl.DataFrame, tomorrow: pl.DataFrame) -> None:
    assert found(bars, column(tomorrow.with_columns(col("value").abs()))) == ["future"]
    change = CLOSE / CLOSE.shift(1) - 1
    known = bars.select("ticker", "date", value=change.rolling_std(20).over("ticker"))
    assert found(bars, column(known)) == []


@pytest.mark.parametrize("share", [0.3, 0.03])
def test_column_of_momentum_with_a_little_of_tomorrow_is_found(bars: pl.DataFrame, share: float) -> None:
    mixed = bars.select("ticker", "date", value=(PAST + share * NEXT.fill_null(0.0)).over("ticker"))
    assert found(bars, column(mixed)) == ["future"]
    assert found(bars, column(bars.select("ticker", "date", value=PAST.over("ticker")))) == []


OUTSIDE = {
    "one ticker": pl.when(col("ticker") == "T17").then(NEXT.fill_null(0.0)).otherwise(PAST),
    "a long history": pl.when(pl.len() > 300).then(NEXT.fill_null(0.0)).otherwise(PAST),
    "members who stay for 300 bars": PAST.sum() * (pl.len() > 300) + PAST,
    "the warm-up": PAST.fill_null(strategy="backward"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_leak_outside_any_sample_is_found_on_the_whole(name: str, bars: pl.DataFrame) -> None:
    report = check_whole(bars, [Feature("value", "plugin", 10, OUTSIDE[name])])
    assert "future" in {leak.kind for leak in report.leaks}


def test_whole_history_leaves_the_honest_alone(bars: pl.DataFrame, market_context: Callable[..., Context]) -> None:
    assert check_whole(bars, builtin_features(), market_context(bars)).leaks == ()
    assert check_whole(bars.group_by("ticker").head(7), builtin_features()).leaks == ()
    assert check_whole(bars, ()).checked == 0


def test_fact_of_a_ticker_is_left_alone_unless_it_tells_what_became_of_it(bars: pl.DataFrame) -> None:
    names = bars["ticker"].unique().sort()
    sector = pl.DataFrame({"ticker": names, "value": [float(k * 7 % 5) for k in range(len(names))]})
    assert found(bars, table(sector, "ticker")) == []
    gain = bars.group_by("ticker").agg(value=(CLOSE.last() / CLOSE.first()).log())
    assert "undated" in found(bars, table(gain, "ticker"))


def test_feature_that_fails_without_its_future_is_named(bars: pl.DataFrame) -> None:
    def picky(panel: pl.DataFrame) -> pl.Series:
        if panel["date"].n_unique() < bars["date"].n_unique():
            raise ValueError("give me everything")
        return panel.select(PAST.over("ticker")).to_series()

    report = check_leaks(bars, [Feature("picky", "plugin", 10, picky)])
    assert ("picky", "future") in {(leak.feature, leak.kind) for leak in report.leaks}


def test_calendar_that_everybody_has_is_left_alone(bars: pl.DataFrame) -> None:
    left = (col("date").dt.month_end() - col("date")).dt.total_days().cast(pl.Float64)
    assert found(bars, left, lookback=0) == []
    assert found(bars, mixed(left, EPOCH_DAY % 5 == 1, share=0.001)) == []


def test_quick_check_finds_the_plain_leak_too(bars: pl.DataFrame) -> None:
    report = check_leaks(bars, [Feature("value", "plugin", 0, NEXT)], thorough=False)
    assert "future" in {leak.kind for leak in report.leaks}


def test_thorough_check_finds_nothing_in_single_features_of_the_catalog(
    bars: pl.DataFrame, market_context: Callable[..., Context]
) -> None:
    wanted = {"rsi_14", "macd_histogram", "volatility_regime", "max_drawdown_60", "rank_ret_5", "breadth_10"}
    context = market_context(bars)
    for feature in builtin_features():
        if feature.name in wanted:
            assert check_leaks(bars, [feature], context).leaks == ()
