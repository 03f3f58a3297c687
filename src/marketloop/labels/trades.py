"""Trades simulated on bars, judged by the barrier that they meet first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import LabelValues
from marketloop.core.errors import UsageError
from marketloop.labels.panel import Panel

__all__ = ["AVOID", "BUY_TRADE", "TRADE_CLASSES", "WATCH", "average_true_range", "trade_outcomes"]

AVOID, WATCH, BUY_TRADE = 0, 1, 2
TRADE_CLASSES = ("avoid", "watch", "buy")
TARGET, STOP = 2.0, 1.0
"""Distance of the barriers from the entry, in average true ranges."""
PERIOD = 14
UNKNOWN = np.iinfo(np.int32).max
Array = NDArray[np.float64]


def average_true_range(panel: Panel, period: int = PERIOD) -> Array:
    """Return Wilder's average true range (T, N) in price units, known at the close of t (Wilder 1978).

    The first value is the mean of `period` true ranges; sessions without a bar leave it as it was.
    """
    _, high, low = _within(panel)
    last = _previous_close(panel.close)
    reach = np.fmax(high - low, np.fmax(np.abs(high - last), np.abs(low - last)))
    out = np.full_like(reach, np.nan)
    average, count = np.zeros(reach.shape[1]), np.zeros(reach.shape[1])
    for t, row in enumerate(reach):
        known = np.isfinite(row) & np.isfinite(last[t])
        count += known
        share = 1 / np.clip(count, 1, period)
        average = np.where(known, average + (np.nan_to_num(row) - average) * share, average)
        out[t] = np.where(count >= period, average, np.nan)
    return out


def trade_outcomes(panel: Panel, horizon: int = 20) -> LabelValues:
    """Simulate, after each close, a trade entered at the next open, and say which barrier it meets first.

    ``buy``: the high reaches entry + 2 ATR14 before the low reaches entry - 1 ATR14; ``avoid``: the stop is met first,
    or both within one session, whose order bars do not tell; ``watch``: neither within `horizon` sessions.

    Every outcome counts as known at the close of ``t + horizon``, also where a barrier was met earlier: otherwise a
    training that ends in between would see the quick trades and not the slow ones.

    Raises
    ------
    UsageError
        The bars have no open, high and low.
    """
    if horizon < 1:
        raise UsageError(f"label horizon {horizon}: expected at least 1 session")
    opens, high, low = _within(panel)
    size = average_true_range(panel)
    sessions, tickers = panel.close.shape
    value = np.full((sessions, tickers), np.nan)
    known_on = np.full((sessions, tickers), UNKNOWN, dtype=np.int32)
    if sessions <= horizon:
        return LabelValues(value, known_on)
    rows = sessions - horizon
    entry, reach = opens[1 : rows + 1], size[:rows]
    target, stop = entry + TARGET * reach, entry - STOP * reach
    result = np.full((rows, tickers), np.nan)
    for ahead in range(1, horizon + 1):
        open_still = np.isnan(result)
        with np.errstate(invalid="ignore"):
            stopped = open_still & (low[ahead : ahead + rows] <= stop)
            reached = open_still & ~stopped & (high[ahead : ahead + rows] >= target)
        result[stopped], result[reached] = AVOID, BUY_TRADE
    result[np.isnan(result)] = WATCH
    traded = np.isfinite(entry) & np.isfinite(reach) & np.isfinite(panel.close[:rows])
    value[:rows] = np.where(traded, result, np.nan)
    days = np.arange(rows, dtype=np.int32)[:, None] + np.int32(panel.first + horizon)
    known_on[:rows] = np.where(traded, days, UNKNOWN)
    return LabelValues(value, known_on)


def _within(panel: Panel) -> tuple[Array, Array, Array]:
    if panel.open is None or panel.high is None or panel.low is None:
        raise UsageError("the label trade needs bars with open, high and low; these have closes only")
    return panel.open, panel.high, panel.low


def _previous_close(close: Array) -> Array:
    """Return the last close before each session; sessions without a bar are looked past."""
    at = np.where(np.isfinite(close), np.arange(len(close))[:, None], -1)
    at = np.maximum.accumulate(at, axis=0)
    carried = np.where(at >= 0, np.take_along_axis(close, np.maximum(at, 0), axis=0), np.nan)
    before = np.full_like(carried, np.nan)
    before[1:] = carried[:-1]
    return before
