"""How often an interval holds the mean that it is about."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from marketloop.evaluation.intervals import ewc_interval, least_terms

__all__ = ["LENGTHS", "covered", "uncapped_covered"]

Array = NDArray[np.float64]

LENGTHS = (60, 120, 250, 500, 750)


def covered(x: Array, n: int, horizon: int, truth: float) -> bool | None:
    """Say whether the 95 % interval of the first `n` values holds `truth`; None where there is no interval."""
    if n < least_terms(horizon):
        return None
    interval = ewc_interval(x[:n], horizon=horizon)
    return bool(interval.low <= truth <= interval.high)


def uncapped_covered(x: Array, n: int, horizon: int, truth: float) -> bool | None:
    """Say the same of the interval with ``floor(0.41 n^(2/3))`` cosines whatever the overlap: the rule of before."""
    if n < least_terms(horizon):
        return None
    nu = max(4, math.floor(0.41 * n ** (2 / 3)))
    mean = float(x[:n].mean())
    waves = fft.dct(x[:n] - mean, type=2)[1 : nu + 1] / math.sqrt(2 * n)
    half = float(special.stdtrit(nu, 0.975)) * math.sqrt(float(np.mean(waves**2)) / n)
    return bool(abs(mean - truth) <= half)
