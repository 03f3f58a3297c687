"""Features that no rolling expression gives at a bearable cost, as functions of the whole panel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from marketloop.core.values import BoolArray, FloatArray, IntArray

__all__ = ["max_drawdown_60", "volatility_regime"]


YEAR = 252

BLOCK = 8192
"""Rows compared at a time; a block and its reach stay in the processor's cache."""


class _Stretch(NamedTuple):
    """Highest, lowest and deepest relative fall of the stretch of bars that ends at each row."""

    high: FloatArray
    low: FloatArray
    fall: FloatArray


def max_drawdown_60(panel: pl.DataFrame) -> pl.Series:
    """Return the deepest fall of the close from its running maximum inside the last 60 bars, -1..0.

    Stretches of 4, 8, 16 and 32 bars are built by doubling and joined to 60: some 60 passes over the column instead of
    the 180 of the definition. The first 59 rows of each ticker reach into the ticker above and mean nothing; the
    feature's look-back makes them null.

    Parameters
    ----------
    panel : frame with ``close``, sorted by (ticker, date)

    Returns
    -------
    float64 series, aligned with `panel`
    """
    close = panel["close"].to_numpy()
    stretch = {1: _Stretch(close, close, np.ones_like(close))}
    for bars in (1, 2, 4, 8, 16):
        stretch[2 * bars] = _join(stretch[bars], stretch[bars], bars)
    whole, length = stretch[32], 32
    for bars in (16, 8, 4):
        whole = _join(stretch[bars], whole, length)
        length += bars
    return pl.Series("max_drawdown_60", whole.fall - 1)


def volatility_regime(panel: pl.DataFrame) -> pl.Series:
    """Return the tercile of ``ret_std_20`` among its own trailing 252 values: 0 low, 1 middle, 2 high.

    Low are the 84 smallest of the window, high the 84 largest, equal values counting as the smaller.

    Parameters
    ----------
    panel : frame with ``ticker, close``, sorted by (ticker, date)

    Returns
    -------
    float64 series, aligned with `panel`
    """
    change = pl.col("close") / pl.col("close").shift(1) - 1
    spread = panel.select(change.rolling_std(20).over("ticker", mapping_strategy="explode")).to_series()
    values = spread.fill_null(np.nan).to_numpy()
    whole = panel.select((pl.col("ticker") == pl.col("ticker").shift(YEAR - 1)).fill_null(value=False)).to_series()
    smaller = _smaller(values, whole.to_numpy())
    regime = (smaller >= YEAR // 3).astype(np.float64) + (smaller >= 2 * YEAR // 3)
    return pl.Series("volatility_regime", np.where(np.isnan(values), np.nan, regime))


def _smaller(values: FloatArray, whole: BoolArray) -> IntArray:
    """Count for each row with a `whole` window how many of the 251 rows before it are smaller."""
    count = np.zeros(len(values), dtype=np.int16)
    rows = np.flatnonzero(whole)
    if len(rows) < len(values) // 8:  # few windows: gather them
        windows = values[rows[:, None] - np.arange(1, YEAR)]
        count[rows] = (windows < values[rows, None]).sum(axis=1)
        return count
    for start in range(YEAR - 1, len(values), BLOCK):
        block = values[start : start + BLOCK]
        for back in range(1, YEAR):
            count[start : start + BLOCK] += values[start - back : start - back + len(block)] < block
    return count


def _join(older: _Stretch, newer: _Stretch, bars: int) -> _Stretch:
    """Put the stretch that ended `bars` rows earlier before the `newer` one of that length."""
    high, fall = newer.high.copy(), newer.fall.copy()
    low = newer.low.copy()
    np.maximum(older.high[:-bars], newer.high[bars:], out=high[bars:])
    np.minimum(older.low[:-bars], newer.low[bars:], out=low[bars:])
    across = newer.low[bars:] / older.high[:-bars]
    np.minimum(across, fall[bars:], out=fall[bars:])
    np.minimum(older.fall[:-bars], fall[bars:], out=fall[bars:])
    return _Stretch(high, low, fall)
