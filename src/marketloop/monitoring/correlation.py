"""Whether features still move together as they did: the correlation matrix, then and now."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from marketloop.core.values import Matrix
from marketloop.monitoring.profile import Grid

__all__ = ["CorrelationShift", "Together", "correlation_shift"]

Array = NDArray[np.float64]

CLIP = 3.0
"""Standard deviations of the reference at which a value is cut: one outlier makes no correlation."""
LEAST_WINDOWS = 7
"""Windows side by side in the reference that a null needs."""


@dataclass(frozen=True, slots=True)
class CorrelationShift:
    """How far the correlations have moved.

    Parameters
    ----------
    distance : float, 0..2
        Root mean square of the changes over all pairs of features.
    usual : float
        The same of the median window of the reference.
    p, p_adjusted : float
        Probability of a window so far away when nothing has changed, and the same adjusted with all features.
    pair : two names
        The pair that has moved furthest.
    before, now : float, -1..1
        Its correlation.
    """

    distance: float
    usual: float
    p: float
    pair: tuple[str, str]
    before: float
    now: float
    p_adjusted: float | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "distance": round(self.distance, 4),
            "usual": round(self.usual, 4),
            "p_adjusted": None if self.p_adjusted is None else round(self.p_adjusted, 6),
            "pair": list(self.pair),
            "before": round(self.before, 4),
            "now": round(self.now, 4),
        }


@dataclass(frozen=True, slots=True)
class Together:
    """How the features of a reference moved together, and how far windows of it lay from the rest.

    Parameters
    ----------
    vary : int (v,)
        Features that vary.
    before : float64 (v, v)
        Correlations over the whole reference.
    past : float64 (w,)
        Distance of each window, side by side and in order of time, from the rest.
    """

    grid: Grid
    vary: NDArray[np.intp]
    before: Array
    past: Array

    @classmethod
    def of(cls, reference: Matrix, grid: Grid, window: int) -> Together | None:
        """Return None with fewer than two features that vary, or fewer than seven windows."""
        vary = np.flatnonzero(np.nan_to_num(grid.sd) > 0)
        sessions = np.unique(reference.session)
        count = len(sessions) // window
        if len(vary) < 2 or count < LEAST_WINDOWS:
            return None
        edges = np.searchsorted(reference.session, sessions[len(sessions) - count * window :: window])
        bounds = [*edges, len(reference)]
        moments = np.array([_moments(reference.X[a:b], grid, vary) for a, b in pairwise(bounds)])
        total = moments.sum(axis=0)
        past = np.array([_gap(_correlations(m), _correlations(total - m)) for m in moments])
        return cls(grid, vary, _correlations(total), past)


def correlation_shift(reference: Together | None, recent: Matrix) -> CorrelationShift | None:
    """Compare the correlations of the recent rows with those of windows side by side in the reference.

    Windows that follow each other are alike, so they count for less: their number is divided by the memory of their
    own distances. What some window of the reference has matched already is never rarer than its rank. None where the
    reference tells nothing.
    """
    if reference is None:
        return None
    grid, vary, before, past = reference.grid, reference.vary, reference.before, reference.past
    count = len(past)
    now = _correlations(_moments(recent.X, grid, vary))
    distance = _gap(now, before)
    freedom = max(count / _memory(past) - 1, 1.0)
    logs = np.log(np.maximum(past, 1e-9))
    spread = float(logs.std()) * (1 + 1 / freedom)
    t = (np.log(max(distance, 1e-9)) - logs.mean()) / spread if spread > 0 else 0.0
    rank = float((1 + (past >= distance).sum()) / (1 + count))
    p = float(stats.t.sf(t, freedom)) if distance > past.max() else max(rank, float(stats.t.sf(t, freedom)))
    far = np.abs(now - before)
    a, b = np.unravel_index(int(far.argmax()), far.shape)
    return CorrelationShift(
        distance=distance,
        usual=float(np.median(past)),
        p=p,
        pair=(grid.names[vary[a]], grid.names[vary[b]]),
        before=float(before[a, b]),
        now=float(now[a, b]),
    )


def _moments(X: NDArray[np.float32], grid: Grid, vary: NDArray[np.intp]) -> Array:
    """Return the sums of products (k + 1, k + 1), the last row and column those of the values; unknown ones are 0."""
    scale = (1 / grid.sd[vary]).astype(np.float32)
    z = np.nan_to_num((X[:, vary] - grid.mean[vary].astype(np.float32)) * scale, posinf=CLIP, neginf=-CLIP)
    z = np.column_stack([np.clip(z, -CLIP, CLIP), np.ones(len(z), np.float32)])
    product: Array = (z.T @ z).astype(np.float64)
    return product


def _correlations(moments: Array) -> Array:
    mean = moments[-1, :-1] / moments[-1, -1]
    covariance = moments[:-1, :-1] / moments[-1, -1] - np.outer(mean, mean)
    sd = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    return np.asarray(np.clip(covariance / np.outer(sd, sd), -1, 1))


def _gap(now: Array, before: Array) -> float:
    k = len(now)
    return float(np.sqrt(((now - before) ** 2).sum() / (k * (k - 1))))


def _memory(values: Array) -> float:
    """Return over how many windows a distance remembers, from its first autocorrelation as that of an AR(1)."""
    x = values - values.mean()
    first = float(np.dot(x[1:], x[:-1]) / np.dot(x, x)) if np.dot(x, x) > 0 else 0.0
    first = min(max(first + 1 / len(x), 0.0), 0.9)
    return (1 + first) / (1 - first)
