"""What the market turns into after a close: Risk-Off, Neutral or Risk-On, by its return and its drawdown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import LabelValues
from marketloop.core.errors import UsageError
from marketloop.labels.panel import Panel

__all__ = ["NEUTRAL", "REGIME_CLASSES", "RISK_OFF", "RISK_ON", "regime_classes", "regime_outcomes"]

RISK_OFF, NEUTRAL, RISK_ON = 0, 1, 2
REGIME_CLASSES = ("Risk-Off", "Neutral", "Risk-On")
DEEP, SHALLOW = -0.05, -0.03
"""Drawdown at or below which a stretch is Risk-Off, and above which a gain is Risk-On."""
UNKNOWN = np.iinfo(np.int32).max
Array = NDArray[np.float64]


def regime_classes(level: Array, horizon: int = 20) -> Array:
    """Return the regime of the `horizon` sessions after each close: 0, 1, 2, NaN where it was not seen whole.

    Risk-Off (0) is a drawdown of 5 % or more from the running peak, which starts at the close of t itself; Risk-On (2)
    a gain with a drawdown of less than 3 %; Neutral (1) is the rest.

    Parameters
    ----------
    level : float64 (T, N)
        Price or index level; a NaN anywhere in ``t..t + horizon`` leaves the regime of t unknown.

    >>> regime_classes(np.array([[100.0], [94.0], [96.0], [97.0]]), 2).ravel()
    array([ 0.,  2., nan, nan])
    """
    if horizon < 1:
        raise UsageError(f"label horizon {horizon}: expected at least 1 session")
    out = np.full(level.shape, np.nan)
    rows = len(level) - horizon
    if rows <= 0:
        return out
    peak, deepest = level[:rows].copy(), np.zeros((rows, level.shape[1]))
    for ahead in range(1, horizon + 1):  # a NaN stays: np.maximum and np.minimum hand it on
        now = level[ahead : ahead + rows]
        peak = np.maximum(peak, now)
        deepest = np.minimum(deepest, now / peak - 1)
    gain = level[horizon:] > level[:rows]
    regime = np.where(deepest <= DEEP, RISK_OFF, np.where(gain & (deepest > SHALLOW), RISK_ON, NEUTRAL))
    out[:rows] = np.where(np.isfinite(deepest), regime, np.nan)
    return out


def regime_outcomes(panel: Panel, horizon: int = 20) -> LabelValues:
    """Return `regime_classes` of every ticker's closes, each known at the close of ``t + horizon``."""
    value = regime_classes(panel.close, horizon)
    day = np.arange(len(value), dtype=np.int64)[:, None] + panel.first + horizon
    return LabelValues(value, np.where(np.isfinite(value), day, UNKNOWN).astype(np.int32))
