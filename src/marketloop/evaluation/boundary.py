"""The bar that a sequential test must clear, so that looking every night costs nothing extra."""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, stats

from marketloop.core.errors import UsageError

__all__ = ["constant_boundary", "robbins_siegmund", "robbins_siegmund_constant"]

RATIOS = (1.00, 1.10, 1.25, 1.40, 1.60, 2.00, 3.00, 5.00, 8.00)
ALPHAS = (0.05, 0.04, 0.025, 0.02, 0.0125, 0.01, 0.005)
TABLE = np.array(
    [
        [1.645, 1.751, 1.960, 2.054, 2.241, 2.326, 2.576],
        [1.855, 1.956, 2.168, 2.258, 2.441, 2.523, 2.763],
        [1.991, 2.096, 2.289, 2.387, 2.559, 2.633, 2.916],
        [2.032, 2.133, 2.345, 2.441, 2.603, 2.687, 2.920],
        [2.088, 2.188, 2.378, 2.471, 2.640, 2.719, 2.973],
        [2.157, 2.262, 2.456, 2.567, 2.751, 2.842, 3.116],
        [2.317, 2.412, 2.614, 2.711, 2.880, 2.970, 3.174],
        [2.390, 2.487, 2.677, 2.763, 2.937, 3.019, 3.234],
        [2.459, 2.556, 2.732, 2.817, 2.983, 3.072, 3.332],
    ]
)
"""1 - alpha quantiles of the maximum of W(n)/sqrt(n) over n0..n1 (20,000 Gaussian random walks)."""


def constant_boundary(alpha: float, ratio: float) -> float:
    """Return z* that a driftless walk exceeds with probability `alpha` while its information grows by `ratio`.

    Parameters
    ----------
    alpha : float, above 0, to 0.05
        Probability of a false claim over the whole range.
    ratio : float, >= 1
        Last over first number of sessions looked at, ``n1 / n0``.

    Returns
    -------
    float
        Interpolated linearly in the logarithms of both; outside the table (ratio > 8 or alpha < 0.005) the
        Robbins-Siegmund bound at the end of the range, which holds for any number of looks.

    Examples
    --------
    >>> round(constant_boundary(0.025, 1.4), 3)
    2.345
    """
    if not 0 < alpha <= ALPHAS[0]:
        raise UsageError(f"alpha {alpha}: expected a probability above 0, to 0.05")
    if ratio < 1:
        raise UsageError(f"information ratio {ratio}: expected at least 1")
    if ratio > RATIOS[-1] or alpha < ALPHAS[-1]:
        return robbins_siegmund(alpha, ratio)
    by_alpha = [float(np.interp(math.log(ratio), np.log(RATIOS), column)) for column in TABLE.T]
    return float(np.interp(-math.log(alpha), -np.log(ALPHAS), by_alpha))


def robbins_siegmund_constant(alpha: float) -> float:
    """Return the `a` that solves ``1 - Phi(a) + a phi(a) = alpha`` (Robbins and Siegmund 1970).

    >>> round(robbins_siegmund_constant(0.025), 2)
    2.8
    """
    return float(optimize.brentq(lambda a: stats.norm.sf(a) + a * stats.norm.pdf(a) - alpha, 1.0, 37.0))


def robbins_siegmund(alpha: float, variance_ratio: float) -> float:
    """Return the bound on z at ``V_n / V_m = variance_ratio``, valid at every look after the first."""
    a = robbins_siegmund_constant(alpha)
    return math.sqrt(a * a + math.log(max(variance_ratio, 1.0)))
