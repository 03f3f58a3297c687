"""Prediction intervals from a stream's own mistakes, and how often later outcomes fell inside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.evaluation.intervals import Interval, ewc_interval
from marketloop.evaluation.matured import Matured, per_session
from marketloop.labels import Panel

__all__ = ["Conformal", "conformal"]

LEVEL = 0.9
LEAST_ROWS = 500
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Conformal:
    """Intervals ``prediction -+ quantile * volatility * sqrt(horizon)`` at `level`.

    `quantile` is the newest one, for predictions made now; `coverage` the share of outcomes inside, on sessions after
    those that each quantile was read from; `width` the mean width of the intervals, in the label's unit.
    """

    level: float
    quantile: float
    coverage: Interval
    width: float

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        known = self.coverage.known
        return {
            "level": self.level,
            "quantile": self.quantile,
            "coverage": self.coverage.mean,
            "coverage_interval": [self.coverage.low, self.coverage.high] if known else None,
            "sessions": self.coverage.n,
            "mean_width": self.width,
        }


def conformal(rows: Matured, panel: Panel, *, horizon: int, block: int, level: float = LEVEL) -> Conformal | None:
    """Return split-conformal intervals whose calibration rows are the stream's own matured past.

    Before each block the quantile is read from the absolute errors, in units of the ticker's 60-session volatility,
    of the rows whose label was known by then: all of them were out of sample, and none is needed twice
    (Papadopoulos et al. 2002; normalised residuals). None with fewer than 500 such rows.
    """
    scale = panel.vol[panel.rows_of(rows.session), rows.ticker] * math.sqrt(horizon)
    good = np.isfinite(scale) & (scale > 0) & np.isfinite(rows.score)
    error = np.where(good, np.abs(rows.label - rows.score) / np.where(good, scale, 1.0), np.nan)
    inside = np.full(len(rows), np.nan)
    width = np.full(len(rows), np.nan)
    for number in np.unique(rows.block).tolist():
        quantile = _quantile(error[good & (rows.known_on < number * block)], level)
        here = good & (rows.block == number)
        inside[here] = np.where(np.isfinite(quantile), error[here] <= quantile, np.nan)
        width[here] = 2 * quantile * scale[here]
    newest = _quantile(error[good], level)
    if not math.isfinite(newest):
        return None
    seen = np.isfinite(inside)
    _, share = per_session(rows.session[seen], inside[seen])
    return Conformal(
        level, newest, ewc_interval(share, horizon=horizon), float(np.nanmean(width)) if seen.any() else 0.0
    )


def _quantile(errors: Array, level: float) -> float:
    """Return the ``ceil((n + 1) level)``-th smallest error, NaN with too few."""
    n = len(errors)
    rank = math.ceil((n + 1) * level)
    if n < LEAST_ROWS or rank > n:
        return math.nan
    return float(np.partition(errors, rank - 1)[rank - 1])
