"""A stream beside the champion that it would replace, in variance time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from marketloop.evaluation.boundary import robbins_siegmund
from marketloop.evaluation.facts import GatePolicy
from marketloop.evaluation.intervals import LEAST_TERMS, Interval, ewc_interval, least_terms, mean_for_z, z_of
from marketloop.evaluation.rank_ic import SessionSeries

__all__ = ["Pair", "pair_of"]


@dataclass(frozen=True, slots=True)
class Pair:
    """What the differences between a stream and a frozen champion have shown (G3).

    Parameters
    ----------
    n : int
        Sessions that neither side had seen.
    interval : Interval
        Of the mean difference.
    z, boundary : float
        NaN while the series is too short; the boundary grows with the logarithm of the variance gathered since the
        first look.
    alpha : float
        What this reign may spend; it is halved by each of the `reign` promotions before.
    first_look : int
        Terms at which the comparison may speak for the first time, and whose share of all variance is
        `variance_share`.
    needed : float
        Mean difference that would have passed tonight.
    """

    n: int
    interval: Interval
    z: float
    boundary: float
    alpha: float
    reign: int
    first_look: int
    variance_share: float
    needed: float

    @property
    def better(self) -> bool:
        """Whether the stream is better beyond the boundary."""
        return self.z >= self.boundary

    def document(self) -> dict[str, Any]:
        """Return the comparison as JSON values; what is not known is null."""
        figures = {
            "mean": self.interval.mean,
            "z": self.z,
            "boundary": self.boundary,
            "variance_share_first_look": self.variance_share,
            "mean_to_pass": self.needed,
        }
        return {
            "n": self.n,
            "interval": [self.interval.low, self.interval.high] if self.interval.known else None,
            "alpha": self.alpha,
            "reign": self.reign,
            "first_look": self.first_look,
            **{name: value if math.isfinite(value) else None for name, value in figures.items()},
        }


def pair_of(d: SessionSeries | None, policy: GatePolicy, *, reign: int, overlap: int = 1) -> Pair:
    """Compare in variance time: what two models differ by grows as they part, so sessions are the wrong clock.

    Parameters
    ----------
    d : SessionSeries, optional
        The stream's series less the champion's; None counts as no session.
    reign : int
        Promotions for being better before this comparison, in the slot's year.
    """
    value = np.zeros(0) if d is None else d.value
    n, first = len(value), LEAST_TERMS if overlap == 1 else least_terms(overlap)
    gathered = np.cumsum(value * value)
    alpha = policy.alpha_better / 2 ** (reign + 1)
    interval = ewc_interval(value, horizon=overlap)
    z = boundary = share = needed = math.nan
    if n >= max(policy.min_pair_sessions, first) and gathered[-1] > 0:
        share = float(gathered[first - 1] / gathered[-1])
        z, boundary = z_of(value, overlap), robbins_siegmund(alpha, 1 / max(share, 1e-12))
        needed = mean_for_z(value, boundary, n=n, overlap=overlap)
    return Pair(n, interval, z, boundary, alpha, reign, first, share, needed)
