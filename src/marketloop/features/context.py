"""Market series, sector returns and breadth, brought to the rows of the bars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.frames import CONTEXT_COLUMNS
from marketloop.core.values import Context, FloatArray
from marketloop.features.panel import BAR, TICKER

__all__ = [
    "DERIVED",
    "JOINED",
    "expression",
    "join_market",
    "join_sectors",
    "join_sessions",
    "known_by",
    "session_values",
    "universe_sessions",
]

JOINED = CONTEXT_COLUMNS
"""Columns of the market frame that an expression over a ticker's bars may read."""

DERIVED = ("sector_return_20", "spx_return_20")
"""Returns over the last 20 sessions: of the ticker's sector, and of the S&P 500."""

SESSIONS = 20
MEMBERS = 3


def join_market(bars: pl.DataFrame, market: pl.DataFrame) -> pl.DataFrame:
    """Add the columns of the market frame by date; null where the frame has no such session or lacks the column."""
    known = [c for c in JOINED if c in market.columns]
    series = market.select("date", *(col(c).cast(pl.Float64).fill_nan(None) for c in known))
    missing = [pl.lit(None, dtype=pl.Float64).alias(c) for c in JOINED if c not in known]
    return join_sessions(bars, series).with_columns(missing)


def join_sessions(bars: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Add the columns of `sessions`, one row per date, to the bars of these dates; null elsewhere."""
    table = sessions.sort("date")
    at = pl.Series(_rows(bars["date"], table["date"])).replace(-1, None)
    return bars.hstack([series.gather(at) for series in table.drop("date")])


def _rows(dates: pl.Series, known: pl.Series) -> NDArray[np.int32]:
    """Return the row of each of `dates` in the ascending `known`, -1 where it is not among them."""
    days, table = dates.to_physical().to_numpy(), known.to_physical().to_numpy()
    if not len(days) or not len(table):
        return np.full(len(days), -1, dtype=np.int32)
    first = min(days.min(), table.min())
    row_of = np.full(max(days.max(), table.max()) - first + 1, -1, dtype=np.int32)
    row_of[table - first] = np.arange(len(table), dtype=np.int32)
    found: NDArray[np.int32] = row_of[days - first]
    return found


def session_values(frame: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """Evaluate expressions on the sessions of `frame`, null before their look-back; return ``date`` and the values."""
    session = pl.int_range(pl.len())
    return frame.sort("date").select(
        "date", *(pl.when(session >= f.lookback).then(expression(f)).cast(pl.Float64).alias(f.name) for f in features)
    )


def expression(feature: Feature) -> pl.Expr:
    """Return the expression of a feature that is known not to be a function."""
    if not isinstance(feature.expr, pl.Expr):
        raise TypeError(f"{feature.name} is a function of the panel")
    return feature.expr


def universe_sessions(bars: pl.DataFrame) -> pl.DataFrame:
    """Count, per session of the bars, the tickers that rose, fell, and were there with a bar before."""
    change = pl.when(col(BAR) >= 1).then((col("close") - col("close").shift(1)).sign())
    return (
        bars.lazy()
        .select("date", change=change)
        .group_by("date")
        .agg(
            advancers=(col("change") > 0).sum().cast(pl.Float64),
            decliners=(col("change") < 0).sum().cast(pl.Float64),
            tickers=col("change").count(),
        )
        .sort("date")
        .collect()
    )


def join_sectors(bars: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Add `DERIVED`: the return of the sector's ETF, else of the other members (at least 3), equally weighted."""
    spx = context.market.select("date", col("spx").cast(pl.Float64).fill_nan(None)).sort("date")
    frame = join_sessions(bars, spx.select("date", spx_return_20=col("spx") / col("spx").shift(SESSIONS) - 1))
    sector_of = context.sectors.drop_nulls().unique("ticker", keep="first", maintain_order=True)
    names = pl.Series("sector", pl.concat([sector_of["sector"], context.sector_prices["sector"]]).unique().sort())
    tickers = bars.select("ticker", TICKER).unique(TICKER, keep="first", maintain_order=True)
    of_ticker = tickers.join(sector_of, on="ticker", how="left", maintain_order="left")["sector"]
    sector = _codes(of_ticker, names)[bars[TICKER].to_numpy()]
    dates = pl.concat([bars["date"], context.sector_prices["date"]]).unique().sort()
    cell = _rows(bars["date"], dates) * (len(names) + 1) + sector
    funds = np.full(len(dates) * (len(names) + 1), np.nan)
    etf = _etf_returns(context)
    funds[_rows(etf["date"], dates) * (len(names) + 1) + _codes(etf["sector"], names)] = etf["etf"].to_numpy()
    both = np.where(np.isnan(funds[cell]), _members(bars, cell, len(funds)), funds[cell])
    known = np.where(sector < len(names), both, np.nan)
    return frame.with_columns(pl.Series("sector_return_20", known, nan_to_null=True))


def _members(bars: pl.DataFrame, cell: NDArray[np.int32], cells: int) -> FloatArray:
    """Return the mean 20-bar return of the other tickers in each row's cell of (session, sector), NaN below three."""
    change = pl.when(col(BAR) >= SESSIONS).then(col("close") / col("close").shift(SESSIONS) - 1)
    own = bars.select(change.fill_null(np.nan)).to_series().to_numpy()
    known = np.isfinite(own)
    own = np.where(known, own, 0.0)
    total = np.bincount(cell, own, cells)[cell] - own
    count = np.bincount(cell, known, cells)[cell] - known
    return np.where(count >= MEMBERS, total / np.maximum(count, 1), np.nan)


def _codes(values: pl.Series, names: pl.Series) -> NDArray[np.int32]:
    """Return the position of each value in `names`; their number stands for none of them."""
    code = pl.Series(range(len(names)), dtype=pl.Int32)
    replaced = values.replace_strict(names, code, default=len(names), return_dtype=pl.Int32)
    codes: NDArray[np.int32] = replaced.fill_null(len(names)).to_numpy()
    return codes


def known_by(context: Context, end: dt.date, sessions: int | None = None) -> Context:
    """Return the context without what is dated after `end`; with `sessions`, only the last so many of each series."""
    market = context.market.filter(col("date") <= end).sort("date")
    prices = context.sector_prices.filter(col("date") <= end).sort("sector", "date")
    if sessions is not None:
        market = market.tail(sessions)
        prices = prices.group_by("sector", maintain_order=True).tail(sessions)
    return replace(context, market=market, sector_prices=prices)


def _etf_returns(context: Context) -> pl.DataFrame:
    prices = context.sector_prices.select("date", "sector", col("close").cast(pl.Float64).fill_nan(None))
    fund = (col("close") / col("close").shift(SESSIONS) - 1).over("sector")
    return prices.sort("sector", "date").select("date", "sector", etf=fund.fill_null(np.nan))
