"""Functions of the panel that read a table held in a closure, as a plugin with data of its own does."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import col
from scipy.spatial import KDTree

from marketloop.bench.zoo.ahead import NEXT
from marketloop.bench.zoo.habitat import market
from marketloop.bench.zoo.ingredients import BASES, RETURN, Panel

__all__ = ["by_asof", "by_key", "by_position", "by_returns", "fitted", "latest", "nearest", "shape"]

SHAPE: Final = (RETURN, RETURN.shift(1), RETURN.shift(2), BASES["gap"].expr, BASES["body"].expr * 0.03)
"""What a bar and its two predecessors look like, in similar units."""


def by_key(table: pl.DataFrame, *keys: str) -> Panel:
    """Return the value of a table with the columns `keys` and ``value``, null where a row has none."""

    def values(panel: pl.DataFrame) -> pl.Series:
        return panel.select(keys).join(table, on=list(keys), how="left", maintain_order="left")["value"]

    return values


def by_asof(table: pl.DataFrame, *, days: int = 120) -> Panel:
    """Return the newest value dated on or before each row in a table ``date, [ticker,] value``."""
    by = ["ticker"] if "ticker" in table.columns else None
    ordered = table.drop_nulls().sort("date")

    def values(panel: pl.DataFrame) -> pl.Series:
        rows = panel.select("date", "ticker").with_row_index("row").sort("date")
        found = rows.join_asof(ordered, on="date", by=by, tolerance=f"{days}d", check_sortedness=False)
        return found.sort("row")["value"]

    return values


def latest(table: pl.DataFrame) -> Panel:
    """Return, on all dates, the newest value that a table ``ticker, date, value`` has of each ticker."""
    newest = table.sort("date").group_by("ticker").agg(col("value").last())
    return by_key(newest, "ticker")


def by_returns(expr: pl.Expr, digits: int = 7) -> Panel:
    """Return what `expr` says of the market's rows, found again by the size of their last two returns."""
    key = [RETURN.round(digits), RETURN.shift(1).round(digits)]
    names = ["first", "second"]
    named = [part.over("ticker").alias(name) for name, part in zip(names, key, strict=True)]
    table = market().bars.select(*named, value=expr.over("ticker")).drop_nulls().unique(names, keep="first")
    table = table.with_columns((col(name) * 10**digits).round().cast(pl.Int64) for name in names)

    def values(panel: pl.DataFrame) -> pl.Series:
        rows = panel.select((part * 10**digits).round().fill_null(0.0).cast(pl.Int64) for part in named)
        return rows.join(table, on=names, how="left", maintain_order="left")["value"]

    return values


def by_position(expr: pl.Expr) -> Panel:
    """Return what `expr` said of the row that stood at the same place in the market's own panel."""
    table = market().bars.select(expr.over("ticker")).to_series().fill_null(0.0).to_numpy()

    def values(panel: pl.DataFrame) -> pl.Series:
        return pl.Series(table[np.arange(len(panel)) % len(table)])

    return values


def shape(panel: pl.DataFrame) -> NDArray[np.float64]:
    """Return `SHAPE` of each row, zero where unknown."""
    columns = [part.over("ticker").fill_null(0.0).fill_nan(0.0).alias(f"{k}") for k, part in enumerate(SHAPE)]
    return panel.select(columns).to_numpy()


def nearest(count: int) -> Panel:
    """Return the mean next return of the `count` rows of the whole market that look most alike.

    That is a model fitted on everything and shipped inside the feature.
    """
    bars = market().bars
    outcome = bars.select(NEXT.over("ticker").fill_null(0.0)).to_series().to_numpy()
    tree = KDTree(shape(bars))

    def values(panel: pl.DataFrame) -> pl.Series:
        _, rows = tree.query(shape(panel), k=count)
        return pl.Series(outcome[rows].reshape(len(panel), count).mean(axis=1))

    return values


def fitted(until: int) -> Panel:
    """Return a linear model of the next return on `shape`, fitted on the first `until` sessions and silent in them.

    Five coefficients and the date from which they were known are all that it keeps.
    """
    bars = market().bars
    dates = bars["date"].unique().sort()
    first, start = dates[until], dates[until + 5]
    old = bars.filter(col("date") <= first)
    outcome = old.select(NEXT.over("ticker").fill_null(0.0)).to_series().to_numpy()
    weights = np.linalg.lstsq(shape(old), outcome, rcond=None)[0]

    def values(panel: pl.DataFrame) -> pl.Series:
        said = pl.Series(np.einsum("ij,j->i", shape(panel), weights))
        return panel.select(pl.when(col("date") >= start).then(said)).to_series()

    return values
