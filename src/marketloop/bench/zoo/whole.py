"""Features that know their whole sample: its statistics, its start, its unfinished periods, its later members."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from polars import col

from marketloop.bench.zoo.ahead import NEXT, SIZE, WEEKDAY
from marketloop.bench.zoo.ingredients import BASES, CLOSE, RETURN, Draft, Panel, both, draft, everywhere, plain, within

__all__ = ["full_samples", "later_members", "moving_starts", "resampled_bars"]

VOLUME = col("volume")
GONE = (1, 5, 18, 19, 25)
SURVIVING = tuple(f"SYN{k:03d}" for k in range(1, 31) if k not in GONE)
"""The names that are still there at the end, as a list of index members of today has them."""


def full_samples() -> Iterator[Draft]:
    """Yield features that use statistics of the whole sample."""
    kind = "full_sample"
    score = (CLOSE - CLOSE.mean()) / CLOSE.std()
    yield draft(kind, 1.0, plain(score, 0), "standardised by mean and deviation of the whole history")
    rank = RETURN.rank() / RETURN.count()
    yield draft(kind, 0.1, both("gap", rank - 0.5, share=0.1, size=0.29), "rank of a return in the whole history")
    yield draft(kind, 0.01, everywhere("distance", _panel_rank, share=0.01, size=0.29), "rank in the whole panel")
    yield draft(kind, 0.01, everywhere("momentum", _component, share=0.01, size=0.01), "first principal component")
    shape = (VOLUME - VOLUME.min()) / (VOLUME.max() - VOLUME.min())
    yield draft(kind, 0.01, both("volume", shape, share=0.01, size=0.15), "scaled to the range of all volumes")
    trend = BASES["trend"].expr
    yield draft(
        kind, 0.01, plain(trend.clip(trend.quantile(0.01), trend.quantile(0.99)), 60), "outliers cut at quantiles"
    )
    yield draft(
        kind, 0.1, everywhere("position", _detrended, share=0.1, size=0.08), "a straight line through everything"
    )
    yield draft(kind, 0.01, everywhere("body", _beta, share=0.01, size=0.3), "beta over the whole sample")
    yield draft(kind, 0.1, everywhere("volatility", _weekday_means, share=0.1, size=0.001), "mean outcome per weekday")
    calm = both("momentum", RETURN / RETURN.std(), share=0.01, size=1.0, when=RETURN.rolling_std(20) > 0.022)
    yield draft(kind, 0.01, calm, "scaled by the whole history's deviation, while volatility is high")
    bins = ((VOLUME.rank() - 1) * 10 / VOLUME.count()).floor()
    yield draft(kind, 0.1, both("volume", bins - 4.5, share=0.1, size=2.9), "deciles of all volumes")


def _panel_rank(panel: pl.DataFrame) -> pl.Series:
    return panel.select(BASES["distance"].expr.over("ticker")).to_series().rank() / len(panel) - 0.5


def _component(panel: pl.DataFrame) -> pl.Series:
    """Return what the first principal component of all returns says of each row."""
    frame = panel.select("ticker", "date", move=RETURN.over("ticker").fill_null(0.0))
    wide = frame.pivot("ticker", index="date", values="move").sort("date").fill_null(0.0)
    names = [name for name in wide.columns if name != "date"]
    left, size, right = np.linalg.svd(wide.select(names).to_numpy(), full_matrices=False)
    fitted = pl.DataFrame(size[0] * np.outer(left[:, 0], right[0]), schema=names)
    long = fitted.with_columns(wide["date"]).unpivot(names, index="date", variable_name="ticker", value_name="fitted")
    return frame.join(long, on=["ticker", "date"], how="left", maintain_order="left")["fitted"]


def _detrended(panel: pl.DataFrame) -> pl.Series:
    time, price = pl.int_range(pl.len()), CLOSE.log()
    slope = pl.cov(time, price) / time.var()
    return within(price - price.mean() - slope * (time - time.mean()))(panel)


def _beta(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select("ticker", "date", move=RETURN.over("ticker").fill_null(0.0))
    market = col("move").mean().over("date").alias("market")
    slope = (pl.cov("move", "market") / col("market").var()).over("ticker")
    return frame.with_columns(market).select(slope).to_series()


def _weekday_means(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select(day=WEEKDAY, outcome=NEXT.over("ticker"))
    return frame.select(col("outcome").mean().over("day")).to_series()


def moving_starts() -> Iterator[Draft]:
    """Yield features that cumulate from wherever the history begins."""
    kind = "moving_start"
    signed = pl.when(CLOSE.shift(1) < CLOSE).then(VOLUME).when(CLOSE.shift(1) > CLOSE).then(-VOLUME).otherwise(0.0)
    yield draft(
        kind, 1.0, plain(signed.cum_sum() / VOLUME.rolling_mean(20), 20), "balance of volume since the first bar"
    )
    mean = RETURN.cum_sum() / (RETURN.is_not_null().cum_sum() + 1)
    yield draft(kind, 0.1, both("momentum", mean, share=0.1, size=0.002), "mean of all returns so far")
    since = (CLOSE / CLOSE.first()).log()
    yield draft(kind, 0.01, both("trend", since, share=0.01, size=0.25), "gain since the first bar")
    slow = CLOSE / CLOSE.ewm_mean(span=60, adjust=False) - 1
    yield draft(kind, 1.0, plain(slow, 20), "a long memory under a short look-back")
    age = pl.int_range(pl.len()).cast(pl.Float64)
    yield draft(
        kind, 0.01, both("volume", age, share=0.01, size=190.0), "bars since listing, as far as the panel goes back"
    )
    top = CLOSE / CLOSE.cum_max() - 1
    yield draft(kind, 0.01, both("distance", top, share=0.01, size=0.1), "distance to the highest close so far")
    fifth = pl.when(pl.int_range(pl.len()) % 5 == 0).then(RETURN).forward_fill()
    yield draft(kind, 0.01, both("body", fifth, share=0.01, size=SIZE), "every fifth bar, counted from the first")
    short = CLOSE / CLOSE.ewm_mean(span=26, adjust=False) - 1
    yield draft(kind, 0.01, plain(short, 52), "look-back of two spans: the start still weighs 2 %")
    rows = everywhere("position", lambda panel: pl.Series(np.arange(len(panel)) % 7 - 3.0), share=0.01, size=2.0)
    yield draft(kind, 0.01, rows, "number of the row in the panel, modulo 7")


def resampled_bars() -> Iterator[Draft]:
    """Yield features made of weekly and monthly bars that are not over at t."""
    kind = "resampled"
    week, month = col("date").dt.truncate("1w"), col("date").dt.truncate("1mo")
    close = CLOSE.last().over("ticker", week) / CLOSE - 1
    yield draft(kind, 1.0, plain(_rows(close), 0), "the week's close from Monday on")
    whole = CLOSE.last().over("ticker", month) / CLOSE.first().over("ticker", month) - 1
    yield draft(
        kind, 0.1, everywhere("momentum", _rows(whole), share=0.1, size=0.07), "the month's return from its first day"
    )
    span = col("high").max().over("ticker", week) / col("low").min().over("ticker", week) - 1
    yield draft(kind, 0.01, everywhere("volatility", _rows(span), share=0.01, size=0.03), "the week's range")
    total = VOLUME.sum().over("ticker", week) / VOLUME
    tuesday = everywhere("volume", _rows(total), share=0.01, size=1.0, when=WEEKDAY == 2)
    yield draft(kind, 0.01, tuesday, "the week's volume, on Tuesdays")
    few = everywhere("trend", _rows(whole), share=0.01, size=0.07, when=col("ticker").is_in(["SYN001", "SYN012"]))
    yield draft(kind, 0.01, few, "the month's return, on two tickers")
    yield draft(
        kind, 0.1, everywhere("distance", _left_labelled, share=0.1, size=0.03), "weekly bars dated by their first day"
    )
    yield draft(kind, 0.01, everywhere("body", _rows(close), share=0.01, size=0.025), "the week's close from Monday on")


def _rows(expr: pl.Expr) -> Panel:
    return lambda panel: panel.select(expr.alias("value")).to_series()


def _left_labelled(panel: pl.DataFrame) -> pl.Series:
    weekly = panel.sort("date").group_by_dynamic("date", every="1w", group_by="ticker").agg(last=CLOSE.last())
    weekly = weekly.with_columns(change=(col("last") / col("last").shift(1) - 1).over("ticker")).sort("date")
    rows = panel.select("date", "ticker").with_row_index("row").sort("date")
    return rows.join_asof(weekly, on="date", by="ticker", check_sortedness=False).sort("row")["change"]


def later_members() -> Iterator[Draft]:
    """Yield features over the tickers of a session that know who will stay and who will come."""
    kind = "later_members"
    yield draft(kind, 1.0, plain(_against_survivors, 10), "distance to the mean of those that are there at the end")
    yield draft(kind, 0.1, everywhere("trend", _against_complete, share=0.1, size=0.1), "to those with a full history")
    yield draft(
        kind, 0.01, everywhere("position", _share_listed, share=0.01, size=0.1), "share of all names ever listed"
    )
    length = pl.len().over("ticker").cast(pl.Float64)
    yield draft(
        kind, 0.01, everywhere("volume", _rows(length), share=0.01, size=110.0), "how many bars the ticker will have"
    )
    member = col("ticker").is_in(SURVIVING).cast(pl.Float64) - 0.5
    yield draft(
        kind, 0.1, everywhere("momentum", _rows(member), share=0.1, size=0.5), "a list of those that stay, by name"
    )
    yield draft(kind, 0.01, everywhere("distance", _liquid, share=0.01, size=0.5), "the ten that will have been liquid")
    yield draft(
        kind, 0.1, everywhere("gap", _peer, share=0.1, size=SIZE), "today's return of the closest peer, of all time"
    )
    leaving = everywhere("body", _leaving, share=0.01, size=0.2)
    yield draft(kind, 0.01, leaving, "whether the ticker stays for twenty more sessions")


def _against_survivors(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select("date", "ticker", value=BASES["momentum"].expr.over("ticker"))
    there = frame.filter(col("date") == col("date").max())["ticker"]
    mean = col("value").filter(col("ticker").is_in(there.implode())).mean().over("date")
    return frame.select(col("value") - mean).to_series()


def _against_complete(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select("date", bars=pl.len().over("ticker"), value=BASES["trend"].expr.over("ticker"))
    complete = col("bars") == col("bars").max()
    return frame.select(col("value") - col("value").filter(complete).mean().over("date")).to_series()


def _share_listed(panel: pl.DataFrame) -> pl.Series:
    return panel.select(pl.len().over("date") / col("ticker").n_unique()).to_series()


def _liquid(panel: pl.DataFrame) -> pl.Series:
    turnover = panel.group_by("ticker").agg(size=(CLOSE * VOLUME).mean()).sort("size", "ticker")
    return panel.select(col("ticker").is_in(turnover["ticker"].tail(10).implode()).cast(pl.Float64)).to_series()


def _peer(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select("ticker", "date", move=RETURN.over("ticker"))
    wide = frame.pivot("ticker", index="date", values="move").sort("date")
    names = [name for name in wide.columns if name != "date"]
    moves = wide.select(names).fill_null(0.0).to_numpy()
    size = np.sqrt((moves**2).sum(axis=0)) + 1e-12
    like = moves.T @ moves / np.outer(size, size)
    np.fill_diagonal(like, -np.inf)
    peers = pl.DataFrame({"ticker": names, "peer": [names[k] for k in like.argmax(axis=0)]})
    paired = frame.select("ticker", "date").join(peers, on="ticker", how="left", maintain_order="left")
    other = frame.rename({"ticker": "peer"})
    return paired.join(other, on=["peer", "date"], how="left", maintain_order="left")["move"]


def _leaving(panel: pl.DataFrame) -> pl.Series:
    last = (col("date").max().over("ticker") - col("date")).dt.total_days()
    whole = col("date").max() != col("date").max().over("ticker")
    return panel.select(((last < 28) & whole).cast(pl.Float64)).to_series()
