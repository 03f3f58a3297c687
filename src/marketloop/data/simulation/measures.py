"""What is measured on a simulated market: neutralised forward returns, rank IC, linear share, stylised facts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

__all__ = ["forward_returns", "neutralise", "rank_ic", "trailing_controls"]

Floats = NDArray[np.float64]


def forward_returns(returns: Floats, horizon: int) -> Floats:
    """Return the compounded return of the next `horizon` rows (T, N); NaN for the last `horizon` rows."""
    level = np.vstack([np.zeros((1, returns.shape[1])), np.cumsum(np.log1p(returns), axis=0)])
    out = np.full(returns.shape, np.nan)
    out[: len(returns) - horizon] = np.expm1(level[horizon + 1 :] - level[1 : len(returns) - horizon + 1])
    return out


def trailing_controls(returns: Floats, index: Floats, window: int = 60) -> tuple[Floats, Floats]:
    """Return beta to `index` (T,) and volatility of `returns` (T, N) over the last `window` rows; NaN before."""

    def mean(values: Floats) -> Floats:
        total = np.cumsum(values, axis=0)
        out = np.full(values.shape, np.nan)
        out[window - 1] = total[window - 1]
        out[window:] = total[window:] - total[:-window]
        return out / window

    market = index[:, None]
    mean_r, mean_m = mean(returns), mean(market)
    beta = (mean(returns * market) - mean_r * mean_m) / (mean(market**2) - mean_m**2)
    return beta, np.sqrt(np.maximum(mean(returns**2) - mean_r**2, 0.0) * window / (window - 1))


def neutralise(values: Floats, *controls: Floats) -> Floats:
    """Return the residuals of each row of `values` (T, N) after least squares on [1, controls] of that row.

    A row where a control is missing throughout is regressed on the others.
    """
    residual: Floats = values - values.mean(axis=1, keepdims=True)
    basis: list[Floats] = []
    for control in controls:
        x = np.where(np.isnan(control), 0.0, control)
        x = x - x.mean(axis=1, keepdims=True)
        for b in basis:
            x = x - _project(x, b)
        residual = residual - _project(residual, x)
        basis.append(x)
    return residual


def _project(values: Floats, onto: Floats) -> Floats:
    norm = np.einsum("tn,tn->t", onto, onto)
    inner = np.einsum("tn,tn->t", values, onto)
    share: Floats = np.divide(inner, norm, out=np.zeros_like(inner), where=norm > 0)
    return np.asarray(share[:, None] * onto)


def rank_ic(score: Floats, outcome: Floats) -> Floats:
    """Return the Spearman correlation of each row (T,): 0 where a side is constant, NaN where an outcome is missing."""
    known = ~np.isnan(outcome).any(axis=1)
    a = rankdata(score[known], axis=1)
    b = rankdata(outcome[known], axis=1)
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    norm = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    out = np.full(len(score), np.nan)
    out[known] = np.divide((a * b).sum(axis=1), norm, out=np.zeros(len(a)), where=norm > 0)
    return out
