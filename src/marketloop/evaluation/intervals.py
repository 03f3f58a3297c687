"""How sure a mean is: equal-weighted-cosine t for overlapping series, z for martingale differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["Interval", "ewc_interval", "sequential_z"]

LEAST_TERMS = 40
LEAST_FOR_EWC = 60
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """Mean of a series with its interval; all but `mean` and `n` are NaN when there are too few sessions.

    ``low, high`` bound the mean at the stated level on both sides, ``lower`` is the one-sided 95 % bound,
    ``p`` the one-sided p-value against a mean of zero.
    """

    mean: float
    low: float
    high: float
    lower: float
    t: float
    p: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there were enough sessions for an interval."""
        return math.isfinite(self.low)


def ewc_interval(x: Array, *, horizon: int = 1, level: float = 0.95) -> Interval:
    """Return the equal-weighted-cosine interval of the mean of an autocorrelated series.

    Parameters
    ----------
    x : float64 (n,)
        One value per session, in order of time.
    horizon : int
        Sessions by which neighbouring values overlap; below ``max(60, 12 * horizon)`` values there is no interval.
    level : float
        Coverage of ``low..high``.

    Notes
    -----
    Lazarus, Lewis, Stock and Watson (2018), *HAR Inference*, J. Bus. Econ. Stat. 36: project the demeaned series on
    ``nu = max(4, floor(0.41 n^(2/3)))`` cosines; their mean square estimates the long-run variance with `nu` degrees
    of freedom, so the t quantile is exact in the limit of fixed smoothing.
    """
    x = np.asarray(x, dtype=np.float64)
    n = len(x)
    mean = float(x.mean()) if n else math.nan
    if n < max(LEAST_FOR_EWC, 12 * horizon):
        unknown = math.nan
        return Interval(mean, unknown, unknown, unknown, unknown, unknown, n)
    nu = max(4, math.floor(0.41 * n ** (2 / 3)))
    at = (np.arange(1, n + 1) - 0.5) / n
    waves = np.cos(np.pi * np.outer(np.arange(1, nu + 1), at))
    projections = math.sqrt(2 / n) * (waves @ (x - mean))
    error = math.sqrt(float(np.mean(projections**2)) / n)
    if error == 0:
        return Interval(mean, mean, mean, mean, math.nan, math.nan, n)
    half = float(stats.t.ppf((1 + level) / 2, nu)) * error
    t = mean / error
    lower = mean - float(stats.t.ppf(0.95, nu)) * error
    return Interval(mean, mean - half, mean + half, lower, t, float(stats.t.sf(t, nu)), n)


def sequential_z(x: Array) -> float:
    """Return ``sum(x) / sqrt(sum(x^2))``, NaN with fewer than 40 terms.

    Under no skill each term of `x` is a martingale difference, so this is standard normal for large n; the uncentred
    variance makes it slightly conservative under skill.
    """
    x = np.asarray(x, dtype=np.float64)
    square = float(np.dot(x, x))
    if len(x) < LEAST_TERMS or square == 0:
        return math.nan
    return float(x.sum()) / math.sqrt(square)
