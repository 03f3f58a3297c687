"""Bars that come again: stretches of one ticker that stand once more under another date or another name."""

from __future__ import annotations

import datetime as dt
import importlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import col

__all__ = ["Repeat", "repeated_bars"]

RUN: Final = 10
"""Bars in a row that must agree."""
CLOSE_ENOUGH: Final = 6e-4
"""Largest difference of a move, as a fraction: prices rounded to cents, or shaken by as much."""
PART: Final = 100_000
LEAST_MOVE: Final = 4e-3
"""Smallest typical move within a run; a ticker that hardly trades repeats itself by nature."""
LEAST_VALUES: Final = 24
"""Fewest different moves among the ``4 x RUN`` of a run; prices in coarse steps repeat themselves too."""
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A stretch of at least `bars` bars of `ticker`, from `date` on, with the moves of `other` from `other_date` on."""

    ticker: str
    date: dt.date
    other: str
    other_date: dt.date
    bars: int


def repeated_bars(bars: pl.DataFrame) -> tuple[Repeat, ...]:
    """Find stretches of some 20 bars whose moves (gap, high, low, close; not the level) stand elsewhere too.

    The same dates under two names are no finding: two classes of shares may move alike, and both are examined in the
    same sessions. Of each pair of tickers the longest stretch is named, the later one first.

    Parameters
    ----------
    bars : frame `BAR_SCHEMA`, any order
    """
    ordered = bars.sort("ticker", "date")
    before = col("close").shift(1).over("ticker")
    moves = ordered.select(
        *((col(name) / before - 1).fill_null(float("nan")).alias(name) for name in ("open", "high", "low", "close"))
    ).to_numpy()
    ticker = ordered["ticker"].rle_id().to_numpy().astype(np.int64)
    starts = _starts(moves, ticker)
    if len(starts) < 2:
        return ()
    a, b = _pairs(moves, starts)
    days = ordered["date"].to_physical().to_numpy()
    apart = (days[a] != days[b]) & ((ticker[a] != ticker[b]) | (np.abs(a - b) >= RUN))
    return _named(ordered, ticker, a[apart], b[apart])


def _starts(moves: Floats, ticker: Rows) -> Rows:
    """Return the rows at which a run begins that says enough to be known again."""
    rows: Rows = np.arange(max(len(moves) - RUN + 1, 0), dtype=np.int64)
    rows = rows[np.asarray(ticker[rows] == ticker[rows + RUN - 1])]
    found = [part[_telling(_runs(moves, part))] for part in np.array_split(rows, len(rows) // PART + 1)]
    return np.concatenate(found)


def _runs(moves: Floats, starts: Rows) -> Floats:
    """Return the moves of the runs that begin at `starts`, one row each."""
    runs: Floats = moves[starts[:, None] + np.arange(RUN)].reshape(len(starts), RUN * moves.shape[1])
    return runs


def _telling(runs: Floats) -> NDArray[np.bool_]:
    ordered = np.sort(np.round(runs / CLOSE_ENOUGH), axis=1)
    varied = (np.diff(ordered, axis=1) != 0).sum(axis=1) + 1 >= LEAST_VALUES
    lively = np.median(np.abs(runs), axis=1) >= LEAST_MOVE
    telling: NDArray[np.bool_] = np.isfinite(runs).all(axis=1) & varied & lively
    return telling


def _pairs(moves: Floats, starts: Rows) -> tuple[Rows, Rows]:
    """Return the rows at which runs begin that agree in every move: every tenth one is looked for among all."""
    closes = moves[:, 3]
    few = closes[starts[:, None] + np.arange(0, RUN, 2)]
    asked = np.flatnonzero(starts % RUN == 0)
    tree = importlib.import_module("scipy.spatial").KDTree  # most collections bring too little to look for
    near = tree(few).query_ball_point(few[asked], CLOSE_ENOUGH, p=np.inf)
    count = np.fromiter((len(found) for found in near), np.int64, len(near))
    a = starts[np.repeat(asked, count)]
    b = starts[np.fromiter((k for found in near for k in found), np.int64, int(count.sum()))]
    other = a != b
    a, b = a[other], b[other]
    agree = np.abs(_runs(moves, a) - _runs(moves, b)).max(axis=1, initial=0.0) <= CLOSE_ENOUGH
    return a[agree], b[agree]


def _named(bars: pl.DataFrame, ticker: NDArray[np.int64], a: Rows, b: Rows) -> tuple[Repeat, ...]:
    dates, names = bars["date"], bars["ticker"]
    later = np.where(dates.gather(a).to_physical().to_numpy() >= dates.gather(b).to_physical().to_numpy(), a, b)
    earlier = a + b - later
    frame = pl.DataFrame({"later": later, "earlier": earlier, "own": ticker[later], "other": ticker[earlier]})
    found = (
        frame.with_columns(shift=col("later") - col("earlier"))
        .group_by("own", "other", "shift")
        .agg(first=col("later").min(), last=col("later").max(), earlier=col("earlier").min())
        .with_columns(runs=col("last") - col("first"))
        .sort("runs", "first", descending=[True, False])
        .unique(["own", "other"], keep="first", maintain_order=True)
    )
    return tuple(
        Repeat(
            names[row["first"]],
            dates[row["first"]],
            names[row["earlier"]],
            dates[row["earlier"]],
            row["runs"] + RUN,
        )
        for row in found.iter_rows(named=True)
    )
