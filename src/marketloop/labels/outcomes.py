"""Forward returns, the classes made of them, and the session on which each becomes known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.labels.neutral import neutralise
from marketloop.labels.panel import Panel

__all__ = ["BUY", "HOLD", "SELL", "UNKNOWN", "Outcomes", "direction_classes", "forward_outcomes"]

SELL, HOLD, BUY = 0, 1, 2
UNKNOWN = np.iinfo(np.int32).max
"""`known_on` of a label that is not known yet."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What happened to each ticker in the `horizon` sessions after each close; arrays (T, N).

    ``returns`` is the plain forward return, ``neutral`` its residual after beta and volatility, ``rank`` the rank of
    that residual within the session (-0.5..0.5). All are NaN until ``known_on`` (int32 session number).
    """

    horizon: int
    returns: Array
    neutral: Array
    rank: Array
    known_on: NDArray[np.int32]


def forward_outcomes(panel: Panel, horizon: int) -> Outcomes:
    """Return the outcomes of holding from the close of t to the close of ``t + horizon``.

    A ticker that stops trading inside the window is closed out at its last price; one without any bar after t has no
    outcome. The outcome of session t is known at the close of ``t + horizon``, never before.
    """
    if horizon < 1:
        raise UsageError(f"label horizon {horizon}: expected at least 1 session")
    sessions, tickers = panel.close.shape
    returns = np.full((sessions, tickers), np.nan)
    if sessions > horizon:
        last_close, last_at = _carry(panel.close)
        start = panel.close[:-horizon]
        traded_after = last_at[horizon:] > np.arange(sessions - horizon)[:, None]
        returns[:-horizon] = np.where(traded_after, last_close[horizon:] / start - 1, np.nan)
    neutral = neutralise(returns, (panel.beta, panel.vol))
    known = np.arange(sessions, dtype=np.int64)[:, None] + panel.first + horizon
    known_on = np.where(np.isfinite(returns), known, UNKNOWN).astype(np.int32)
    return Outcomes(horizon, returns, neutral, _rank_rows(neutral), known_on)


def _carry(close: Array) -> tuple[Array, NDArray[np.intp]]:
    """Return the last known close at each row, and the row it comes from (-1: none)."""
    at = np.where(np.isfinite(close), np.arange(len(close))[:, None], -1)
    at = np.maximum.accumulate(at, axis=0)
    carried = np.take_along_axis(close, np.maximum(at, 0), axis=0)
    return np.where(at >= 0, carried, np.nan), at


def _rank_rows(values: Array) -> Array:
    """Rank each row to -0.5..0.5; outcomes are continuous, so ties keep the order of the tickers."""
    known = np.isfinite(values)
    count = known.sum(axis=1, keepdims=True)
    order = np.argsort(np.where(known, values, np.inf), axis=1, kind="stable")
    rank = np.empty_like(values)
    np.put_along_axis(rank, order, np.arange(values.shape[1], dtype=float)[None, :].repeat(len(values), 0), axis=1)
    scaled = np.where(count > 1, rank / np.maximum(count - 1, 1) - 0.5, 0.0)
    return np.where(known, scaled, np.nan)


def direction_classes(returns: Array, threshold: float) -> Array:
    """Return SELL 0, HOLD 1, BUY 2 for moves below ``-threshold``, within, above ``threshold``; NaN stays NaN.

    >>> direction_classes(np.array([-0.03, 0.0, 0.05, np.nan]), 0.02)
    array([ 0.,  1.,  2., nan])
    """
    if not 0 <= threshold < 1:
        raise UsageError(f"label threshold {threshold}: expected a fraction from 0 up to 1, e.g. 0.02 for 2 %")
    classes = np.where(returns > threshold, float(BUY), np.where(returns < -threshold, float(SELL), float(HOLD)))
    return np.where(np.isfinite(returns), classes, np.nan)
