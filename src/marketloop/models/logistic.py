"""A logistic curve of one variable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["logistic_fit"]

Array = NDArray[np.float64]


def logistic_fit(index: Array, happened: Array) -> tuple[float, float]:
    """Fit intercept and slope of ``P(happened) = 1 / (1 + exp(-(intercept + slope * index)))``.

    Newton's method with a weak ridge; `happened` (n,) holds 0 and 1.
    """
    design = np.column_stack([np.ones(len(index)), index])
    share = np.clip(happened.mean(), 0.02, 0.98)
    beta = np.array([np.log(share / (1 - share)), 0.0])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        curvature = (design * (p * (1 - p))[:, None]).T @ design + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, design.T @ (happened - p) - 1e-3 * beta)
        beta = beta + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-9:
            break
    return float(beta[0]), float(beta[1])
