"""Honest features that look like those of `whole`: rolling statistics, anchors, finished periods, members of today."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
from polars import col

from marketloop.bench.zoo.ahead import EPOCH_DAY, SIZE, WEEKDAY
from marketloop.bench.zoo.ingredients import BASES, CLOSE, RETURN, Draft, Panel, draft, everywhere, plain, within

__all__ = ["anchored", "finished_periods", "present_members", "rolling_samples"]

VOLUME = col("volume")
WEEK, MONTH = col("date").dt.truncate("1w"), col("date").dt.truncate("1mo")


def rolling_samples() -> Iterator[Draft]:
    """Yield features with the statistics of the full-sample ones, over a window of the past or a session."""
    kind = "full_sample"
    score = (CLOSE - CLOSE.rolling_mean(120)) / CLOSE.rolling_std(120)
    yield draft(kind, 0.0, plain(score, 119), "standardised over 120 bars")
    yield draft(kind, 0.0, plain(RETURN.rolling_rank(60) / 60 - 0.5, 60), "rank of a return among the last 60")
    yield draft(kind, 0.0, plain(_session_score, 19), "standardised within the session")
    fixed = (BASES["volume"].expr - 0.04) / 0.41
    yield draft(kind, 0.0, plain(fixed, 19), "standardised by constants that were fixed once for all")
    low, high = VOLUME.rolling_min(60), VOLUME.rolling_max(60)
    yield draft(kind, 0.0, plain((VOLUME - low) / (high - low), 59), "scaled to the range of 60 volumes")
    yield draft(kind, 0.0, plain(BASES["trend"].expr.clip(-0.3, 0.3), 60), "outliers cut at constants")
    yield draft(kind, 0.0, plain(_session_cut, 60), "outliers cut at quantiles of the session")
    yield draft(kind, 0.0, plain(_trailing_beta, 60), "beta over 60 bars")
    edges = (-0.05, -0.02, 0.0, 0.02, 0.05)
    bins = sum(((BASES["momentum"].expr > edge).cast(pl.Float64) for edge in edges), start=pl.lit(0.0))
    yield draft(kind, 0.0, plain(bins, 10), "classes between constants")
    yield draft(kind, 0.0, plain(CLOSE.rolling_quantile(0.9, window_size=60) / CLOSE - 1, 59), "quantile of 60 closes")
    yield draft(kind, 0.0, plain(CLOSE.rolling_median(20), 19), "a level of prices: poor, but of the past")


def _session_score(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select("date", value=BASES["volume"].expr.over("ticker"))
    return frame.select(((col("value") - col("value").mean()) / col("value").std()).over("date")).to_series()


def _session_cut(panel: pl.DataFrame) -> pl.Series:
    """Cut by today's quantiles over the tickers that have the 60 bars which the look-back asks for."""
    frame = panel.select("date", value=BASES["trend"].expr.over("ticker"))
    value = col("value")
    return frame.select(value.clip(value.quantile(0.1), value.quantile(0.9)).over("date")).to_series()


def _trailing_beta(panel: pl.DataFrame) -> pl.Series:
    """Regress on the S&P 500 of the context, by windows of 60 returns."""
    moves = panel.select(
        "ticker", own=RETURN.over("ticker"), index=(col("spx") / col("spx").shift(1) - 1).over("ticker")
    )
    slope = pl.rolling_cov("own", "index", window_size=60, ddof=1) / col("index").rolling_var(60)
    return moves.select(slope.over("ticker").alias("value")).to_series()


def anchored() -> Iterator[Draft]:
    """Yield features that cumulate from an anchor within their look-back, or forget their start in it."""
    kind = "moving_start"
    month, year = CLOSE / CLOSE.first().over("ticker", MONTH) - 1, col("date").dt.truncate("1q")
    yield draft(kind, 0.0, plain(_rows(month), 23), "gain since the first close of the month")
    yield draft(
        kind, 0.0, plain(_rows(CLOSE / CLOSE.first().over("ticker", year) - 1), 66), "since that of the quarter"
    )
    yield draft(
        kind, 0.0, plain(CLOSE / CLOSE.ewm_mean(span=12, adjust=False) - 1, 108), "a memory that fits its look-back"
    )
    long = CLOSE / CLOSE.ewm_mean(span=26, adjust=False) - 1
    yield draft(kind, 0.0, plain(long, 234), "a long memory that fits its look-back")
    signed = pl.when(CLOSE.shift(1) < CLOSE).then(VOLUME).otherwise(-VOLUME)
    balance = (signed.cum_sum() - signed.cum_sum().shift(20)) / VOLUME.rolling_sum(20)
    yield draft(kind, 0.0, plain(balance, 20), "a difference of cumulative sums: the start cancels but for float noise")
    noisy = RETURN.fill_null(0.0).cum_sum() - RETURN.fill_null(0.0).cum_sum().shift(10)
    yield draft(kind, 0.0, plain(noisy, 10), "a difference of cumulative sums of returns")
    yield draft(kind, 0.0, plain(CLOSE / CLOSE.rolling_max(120) - 1, 119), "distance to the highest of 120 closes")
    fifth = pl.when(EPOCH_DAY % 7 == 6).then(RETURN).forward_fill(limit=9)
    yield draft(kind, 0.0, plain(fifth, 10), "every fifth bar, counted from a fixed date")
    age = pl.int_range(pl.len()).clip(0, 40).cast(pl.Float64)
    yield draft(kind, 0.0, plain(age, 40), "bars since listing up to 40: constant once the look-back is there")


def _rows(expr: pl.Expr) -> Panel:
    return lambda panel: panel.select(expr.alias("value")).to_series()


def finished_periods() -> Iterator[Draft]:
    """Yield features of weekly and monthly bars that were over before t, or of the running one up to t."""
    kind = "resampled"
    yield draft(kind, 0.0, plain(_last_week(CLOSE.last()), 10), "last week's close, not of a week that runs")
    so_far = CLOSE / col("open").first().over("ticker", WEEK) - 1
    yield draft(kind, 0.0, plain(_rows(so_far), 5), "the week's return so far")
    span = col("high").cum_max().over("ticker", WEEK) / col("low").cum_min().over("ticker", WEEK) - 1
    yield draft(kind, 0.0, plain(_rows(span), 5), "the week's range so far")
    yield draft(kind, 0.0, plain(_last_week(CLOSE.max()), 10), "the highest close of last week")
    tuesday = everywhere("volume", _last_week(CLOSE.mean()), share=0.01, size=0.03, when=WEEKDAY == 2)
    yield draft(kind, 0.0, tuesday, "last week's mean, on Tuesdays")
    yield draft(kind, 0.0, plain(_right_labelled, 15), "weekly bars dated by their last day")
    day = VOLUME.cum_sum().over("ticker", MONTH) / VOLUME.cum_count().over("ticker", MONTH) / VOLUME
    yield draft(kind, 0.0, plain(_rows(day), 23), "mean volume of the month so far")


def _last_week(what: pl.Expr) -> Panel:
    """Return `what` of the last week that was over, relative to the close."""

    def values(panel: pl.DataFrame) -> pl.Series:
        weekly = panel.group_by("ticker", WEEK.alias("week"), maintain_order=True).agg(value=what)
        weekly = weekly.with_columns(col("value").shift(1).over("ticker"))
        rows = panel.select("ticker", "close", week=WEEK)
        joined = rows.join(weekly, on=["ticker", "week"], how="left", maintain_order="left")
        return joined.select(col("value") / col("close") - 1).to_series()

    return values


def _right_labelled(panel: pl.DataFrame) -> pl.Series:
    """Join the return of the newest week whose Sunday lies before the row; fifteen bars hold two whole weeks."""
    weekly = panel.group_by("ticker", sunday=WEEK.dt.offset_by("6d"), maintain_order=True).agg(last=CLOSE.last())
    weekly = weekly.with_columns(change=(col("last") / col("last").shift(1) - 1).over("ticker")).sort("sunday")
    rows = panel.select("date", "ticker").with_row_index("row").sort("date")
    joined = rows.join_asof(weekly, left_on="date", right_on="sunday", by="ticker", check_sortedness=False)
    return joined.sort("row")["change"]


def present_members() -> Iterator[Draft]:
    """Yield features over the tickers of a session that know only who is there today."""
    kind = "later_members"
    yield draft(kind, 0.0, plain(_against_present, 10), "distance to the mean of those that are there today")
    yield draft(kind, 0.0, plain(_rank_present, 19), "rank among those that are there today")
    count = pl.len().over("date") / 30.0
    yield draft(kind, 0.0, everywhere("position", _rows(count), share=0.01, size=0.1), "how many are there today")
    yield draft(kind, 0.0, plain(_liquid, 19), "the ten that were liquid in the last 20 bars")
    yield draft(kind, 0.0, everywhere("gap", _median, share=0.1, size=SIZE), "today's median return")
    odd = col("ticker").str.slice(-1).is_in([*"13579"]).cast(pl.Float64) - 0.5
    yield draft(
        kind, 0.0, everywhere("body", _rows(odd), share=0.01, size=0.5), "a segment that its name tells, fixed for ever"
    )
    yield draft(kind, 0.0, everywhere("momentum", _breadth, share=0.1, size=0.2), "share of tickers that rose today")
    yield draft(kind, 0.0, plain(within(pl.lit(1.0) + 0 * CLOSE), 0), "one, for whoever is there")


def _against_present(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select("date", value=BASES["momentum"].expr.over("ticker"))
    return frame.select(col("value") - col("value").mean().over("date")).to_series()


def _rank_present(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select("date", value=BASES["volume"].expr.over("ticker"))
    return frame.select((col("value").rank() / col("value").count()).over("date")).to_series()


def _liquid(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select("date", size=(CLOSE * VOLUME).rolling_mean(20).over("ticker"))
    return frame.select((col("size").rank(descending=True) <= 10).cast(pl.Float64).over("date")).to_series()


def _median(panel: pl.DataFrame) -> pl.Series:
    return panel.select("date", move=RETURN.over("ticker")).select(col("move").median().over("date")).to_series()


def _breadth(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select("date", move=RETURN.over("ticker"))
    return frame.select((col("move") > 0).mean().over("date") - 0.5).to_series()
