"""Returns without the part that beta and volatility explain, session by session."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_FOR_REGRESSION", "neutralise"]

LEAST_FOR_REGRESSION = 20
"""With fewer tickers in a session only the mean is taken out."""

Array = NDArray[np.float64]


def neutralise(returns: Array, controls: tuple[Array, ...]) -> Array:
    """Return the residual of each session's cross-section after OLS on ``[1, *controls]``.

    Parameters
    ----------
    returns : float64 (T, N)
        NaN entries stay NaN and take no part.
    controls : tuple of float64 (T, N)
        Known at the close *before* the return starts. A control that is missing for a ticker takes the session's mean;
        one that is missing for a whole session is left out of that session.

    Notes
    -----
    Residuals carry neither beta nor volatility bets, so a rank correlation with them credits neither (GATE.md, 2).
    """
    out = np.full_like(returns, np.nan)
    for t in range(len(returns)):
        known = np.isfinite(returns[t])
        n = int(known.sum())
        if n == 0:
            continue
        y = returns[t, known]
        if n < LEAST_FOR_REGRESSION:
            out[t, known] = y - y.mean()
            continue
        design = np.column_stack([np.ones(n), *_usable(controls, t, known)])
        coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
        out[t, known] = y - design @ coefficients
    return out


def _usable(controls: tuple[Array, ...], t: int, known: NDArray[np.bool_]) -> list[Array]:
    columns = []
    for control in controls:
        column = control[t, known]
        have = np.isfinite(column)
        if not have.any():
            continue
        filled = np.where(have, column, column[have].mean())
        spread = filled.std()
        if spread > 1e-12 * np.abs(filled).max():  # the rounding of a constant is no control
            columns.append((filled - filled.mean()) / spread)
    return columns
