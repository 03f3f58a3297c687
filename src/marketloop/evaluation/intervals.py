"""How sure a mean is: equal-weighted-cosine t for overlapping series, z for martingale differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

__all__ = ["LEAST_TERMS", "Interval", "ewc_interval", "least_terms", "mean_for_z", "sequential_z", "z_of"]

LEAST_TERMS = 40
LEAST_FOR_EWC = 60
SMALLEST_P = 1e-16
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
    ``nu = floor(0.41 n^(2/3))`` cosines; their mean square estimates the long-run variance with `nu` degrees of
    freedom, so the t quantile is exact in the limit of fixed smoothing. At most ``n / 3h`` of them and at least 4: an
    overlap by h sessions flattens whatever is quicker than that, and cosines up there make the variance look small
    (coverage 0.73-0.92 instead of 0.95 for h of 20 and 60; ADR 0007).
    """
    x = np.asarray(x, dtype=np.float64)
    n = len(x)
    mean = float(x.mean()) if n else math.nan
    if n < least_terms(horizon):
        unknown = math.nan
        return Interval(mean, unknown, unknown, unknown, unknown, unknown, n)
    nu = _degrees(n, horizon)
    # The discrete cosine transform of type 2 is twice the sum of d_t cos(pi j (t - 1/2) / n).
    projections = fft.dct(x - mean, type=2)[1 : nu + 1] / math.sqrt(2 * n)
    error = math.sqrt(float(np.mean(projections**2)) / n)
    if error == 0:
        return Interval(mean, mean, mean, mean, math.nan, math.nan, n)
    half = float(special.stdtrit(nu, (1 + level) / 2)) * error
    t = mean / error
    lower = mean - float(special.stdtrit(nu, 0.95)) * error
    return Interval(mean, mean - half, mean + half, lower, t, float(special.stdtr(nu, -t)), n)


def _degrees(n: int, horizon: int) -> int:
    usual: int = math.floor(0.41 * n ** (2 / 3))
    return max(4, min(usual, n // (3 * horizon)))


def least_terms(horizon: int) -> int:
    """Return how many values an interval of a series that overlaps by `horizon` sessions needs."""
    return max(LEAST_FOR_EWC, 12 * horizon)


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


def z_of(x: Array, overlap: int = 1) -> float:
    """Return the z of a mean above zero: of a martingale-difference series, or of one whose values overlap.

    Parameters
    ----------
    overlap : int
        Sessions that a value reaches over. 1 takes `sequential_z`; more takes the normal quantile of ``1 - p`` of the
        EWC interval, NaN below ``max(60, 12 * overlap)`` values.
    """
    if overlap == 1:
        return sequential_z(x)
    p = ewc_interval(x, horizon=overlap).p
    return -float(special.ndtri(min(max(p, SMALLEST_P), 1 - SMALLEST_P))) if math.isfinite(p) else math.nan


def mean_for_z(x: Array, z: float, *, n: int, overlap: int = 1) -> float:
    """Return the mean at which `n` values, spread as those of `x` are, would have `z_of` of `z`; NaN where not known.

    Of a series that overlaps it is the Student quantile that belongs to `z` that the mean must be errors above zero,
    which is more than `z`: with 12 cosines 2.74 for a z of 2.37.
    """
    x = np.asarray(x, dtype=np.float64)
    if overlap == 1:
        return z * math.sqrt(float(np.mean(x * x)) / n) if len(x) and x.any() else math.nan
    found = ewc_interval(x, horizon=overlap)
    if not found.t:
        return math.nan
    error = abs(found.mean / found.t) * math.sqrt(found.n / n)
    return float(special.stdtrit(_degrees(n, overlap), special.ndtr(z))) * error
