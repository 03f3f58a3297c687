"""Bars that come again are found whatever their level; what merely looks alike is not."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars import col

from marketloop.core.frames import BAR_PRICES, BAR_SCHEMA
from marketloop.data.calendar import load_sessions
from marketloop.data.quality import QUARANTINE_SCHEMA, report_of
from marketloop.data.repeats import repeated_bars
from marketloop.data.synthetic import MarketSpec, simulate

PRICES = list(BAR_PRICES)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return simulate(MarketSpec(tickers=12, sessions=260, seed=9)).bars


def again(bars: pl.DataFrame, ticker: str, by: int, *, scale: float = 1.0, digits: int = 6) -> pl.DataFrame:
    """Add the bars of `ticker` as NEW, `by` sessions later, at another level of prices."""
    dates = bars.select("date").unique().sort("date").with_columns(to=col("date").shift(-by))
    more = (
        bars.filter(col("ticker") == ticker)
        .join(dates.drop_nulls(), on="date")
        .with_columns((col(PRICES) * scale).round(digits), date=col("to"), ticker=pl.lit("NEW"))
    )
    return pl.concat([bars, more.select(list(BAR_SCHEMA))])


def test_name_that_comes_again_later_is_found_at_any_level_of_prices(bars: pl.DataFrame) -> None:
    (found,) = repeated_bars(again(bars, "SYN004", 60, scale=3.7, digits=2))
    assert (found.ticker, found.other) == ("NEW", "SYN004")
    dates = bars["date"].unique().sort()
    shift = dates.index_of(found.date) - dates.index_of(found.other_date)  # type: ignore[operator]
    assert shift == 60
    assert found.bars > 100


def test_name_that_comes_early_is_named_as_what_the_other_repeats(bars: pl.DataFrame) -> None:
    (found,) = repeated_bars(again(bars, "SYN007", -5))
    assert (found.ticker, found.other) == ("SYN007", "NEW")


def test_stretch_of_a_ticker_in_its_own_later_history_is_found(bars: pl.DataFrame) -> None:
    own, rest = bars.filter(col("ticker") == "SYN002"), bars.filter(col("ticker") != "SYN002")
    level = own["close"][149] / own["close"][39]
    copied = own.slice(40, 25).with_columns(col(PRICES) * level, date=own["date"].slice(150, 25))
    changed = pl.concat([rest, own.head(150), copied, own.slice(175)])
    (found,) = repeated_bars(changed)
    assert (found.ticker, found.other) == ("SYN002", "SYN002")
    assert found.date > found.other_date + dt.timedelta(days=100)


def test_market_itself_repeats_nothing_in_any_order(bars: pl.DataFrame) -> None:
    assert repeated_bars(bars) == ()
    assert repeated_bars(bars.sample(fraction=1.0, shuffle=True, seed=2)) == ()
    assert repeated_bars(bars.head(0)) == ()


def test_ticker_that_does_not_trade_repeats_nothing(bars: pl.DataFrame) -> None:
    row = pl.int_range(pl.len()).over("ticker")
    frozen = (col("ticker") == "SYN005") & row.is_between(101, 140)
    last = pl.when(frozen).then(None).otherwise(col("close")).forward_fill()
    still = bars.with_columns(pl.when(frozen).then(last).otherwise(col(name)).alias(name) for name in PRICES)
    assert repeated_bars(still) == ()


def test_share_class_on_the_same_dates_is_no_repetition(bars: pl.DataFrame) -> None:
    assert repeated_bars(again(bars, "SYN004", 0, scale=2.0)) == ()


def test_coarse_prices_repeat_nothing(bars: pl.DataFrame) -> None:
    rng = np.random.default_rng(4)
    own = bars.filter(col("ticker") == "SYN001")
    close = (2 + 0.1 * rng.integers(-1, 2, len(own)).cumsum() % 1).round(1)
    coarse = own.with_columns(ticker=pl.lit("PENNY"), **{name: pl.Series(close) for name in PRICES})
    assert repeated_bars(pl.concat([bars, coarse])) == ()


def test_real_bars_repeat_nothing(shared_data: object) -> None:
    bars = pl.read_parquet(f"{shared_data}/sp500_daily_2013_2018.parquet").cast({"volume": pl.Float64})
    names = bars["ticker"].unique().sort().gather_every(3)
    assert repeated_bars(bars.filter(col("ticker").is_in(names.implode()))) == ()


def test_quality_report_warns_of_repeated_bars(bars: pl.DataFrame) -> None:
    sessions = load_sessions("XNYS", bars["date"].min(), bars["date"].max())  # type: ignore[arg-type]
    report = report_of(again(bars, "SYN004", 60), pl.DataFrame(schema=dict(QUARANTINE_SCHEMA)), sessions)
    (warned,) = [w for w in report.warnings if w["rule"] == "repeated_bars"]
    assert warned["ticker"] == "NEW"
    assert "move as those of SYN004" in warned["detail"]
