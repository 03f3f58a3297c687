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
    known = np.isfinite(returns)
    count = known.sum(axis=1, keepdims=True)
    residual = _centred(returns, known, count)
    columns = [_standardised(control, known, count) for control in controls]
    if columns:
        design = np.stack(columns, axis=2)
        design *= (count >= LEAST_FOR_REGRESSION)[:, :, None]
        gram = np.einsum("tni,tnj->tij", design, design)
        moment = np.einsum("tni,tn->ti", design, residual)
        # A pseudo-inverse: of two controls that say the same each gets half, as with least squares of minimal norm.
        weights = np.einsum("tij,tj->ti", np.linalg.pinv(gram, hermitian=True), moment)
        residual = residual - np.einsum("tni,ti->tn", design, weights)
    return np.where(known, residual, np.nan)


def _centred(values: Array, known: NDArray[np.bool_], count: NDArray[np.intp]) -> Array:
    """Return `values` less their mean over the known entries of each row, 0 elsewhere."""
    inside = np.where(known, values, 0.0)
    mean = inside.sum(axis=1, keepdims=True) / np.maximum(count, 1)
    return np.where(known, inside - mean, 0.0)


def _standardised(control: Array, known: NDArray[np.bool_], count: NDArray[np.intp]) -> Array:
    """Return a control with mean 0 and size 1 in each row; 0 where it is missing, all of 0 where it is constant."""
    have = known & np.isfinite(control)
    inside = np.where(have, control, 0.0)
    mean = inside.sum(axis=1, keepdims=True) / np.maximum(have.sum(axis=1, keepdims=True), 1)
    centred = np.where(have, inside - mean, 0.0)
    spread = np.sqrt((centred * centred).sum(axis=1, keepdims=True) / np.maximum(count, 1))
    # The rounding of a constant is no control.
    real = spread > 1e-12 * np.abs(inside).max(axis=1, keepdims=True)
    return np.where(real, centred / np.where(real, spread, 1.0), 0.0)
