"""How far a window lies from the rest of the reference when nothing has changed: whole windows drawn from it.

A block bootstrap that glues short blocks together makes windows that forget faster than the market does, and its null
is far too narrow for a feature that looks back 60 sessions. So the block here is the window itself (subsampling,
Politis and Romano 1994): all tickers of a session, and all sessions of a window, stay together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from marketloop.monitoring.distances import Distances, distances
from marketloop.monitoring.profile import Profile

__all__ = ["Null", "adjusted", "memory", "null_of"]

Array = NDArray[np.float64]

MOST_WINDOWS = 600
"""Windows that are drawn, evenly spaced; they overlap, so more would tell nothing new."""
SPREAD_AT = (0.1, 0.9)
"""Places in the grid, as fractions of it, whose session-to-session course tells how long the spread is remembered."""


@dataclass(frozen=True, slots=True)
class Null:
    """What windows of the reference say, per feature.

    Parameters
    ----------
    mean, sd : float64 (k,)
        Of `Distances.together`, each window against the rest of the reference.
    freedom : float64 (k,)
        Independent windows that the reference holds, less one: its sessions over window plus memory.
    memory : float64 (k,)
        Sessions over which a feature remembers.
    """

    mean: Array
    sd: Array
    freedom: Array
    memory: Array

    def p_value(self, together: Array) -> Array:
        """Return the probability of a window at least as far away, from Student's t for one more window."""
        freedom = np.maximum(self.freedom, 1.0)
        spread = self.sd * (1 + 1 / freedom)
        t = np.where(spread > 0, (together - self.mean) / np.where(spread > 0, spread, 1.0), np.inf)
        return np.asarray(stats.t.sf(t, freedom), dtype=np.float64)


def null_of(reference: Profile, window: int) -> Null:
    """Return the null of windows of `window` sessions; the reference needs twice as many sessions at least."""
    n = len(reference)
    sums = np.concatenate([np.zeros_like(reference.cdf[:1], dtype=np.float64), np.cumsum(reference.cdf, 0, np.float64)])
    counted = np.concatenate([np.zeros((1, reference.cdf.shape[1])), np.cumsum(reference.known > 0, 0)])
    starts = np.unique(np.linspace(0, n - window, min(MOST_WINDOWS, n - window + 1)).astype(int))
    together = np.empty((len(starts), reference.cdf.shape[1]))
    for at, start in enumerate(starts):
        inside, number = sums[start + window] - sums[start], counted[start + window] - counted[start]
        rest, others = sums[-1] - inside, counted[-1] - number
        now, before = inside / np.maximum(number, 1)[:, None], rest / np.maximum(others, 1)[:, None]
        together[at] = distances(now, before, reference.grid).together
    remembered = memory(reference)
    freedom = n / (window + remembered) - 1
    mean: Array = together.mean(axis=0)
    return Null(mean, together.std(axis=0), freedom, remembered)


def average(profile: Profile) -> tuple[Array, Array]:
    """Return the mean distribution functions (k, g) and means (k,) over the sessions in which a feature is known."""
    count = np.maximum((profile.known > 0).sum(axis=0), 1)
    cdf = profile.cdf.sum(axis=0, dtype=np.float64) / count[:, None]
    return cdf, profile.mean.sum(axis=0) / count


def apart(recent: Profile, reference: Profile) -> Distances:
    """Return how far the recent sessions together lie from the reference."""
    return distances(average(recent)[0], average(reference)[0], reference.grid)


def memory(profile: Profile) -> Array:
    """Return over how many sessions each feature remembers: the longest of its level's and its spread's.

    The integrated autocorrelation time, at least 1, summed while pairs of neighbouring lags stay positive (Geyer 1992)
    and over at most a quarter of the sessions.
    """
    last = profile.cdf.shape[2] - 1
    spreads = [profile.cdf[:, :, round(place * last)].astype(np.float64) for place in SPREAD_AT]
    longest: Array = np.maximum.reduce([_autocorrelation_time(series) for series in (profile.mean, *spreads)])
    return longest


def _autocorrelation_time(series: Array) -> Array:
    n = len(series)
    spectrum = np.abs(np.fft.rfft(series - series.mean(axis=0), 2 * n, axis=0)) ** 2
    covariance = np.fft.irfft(spectrum, axis=0)[: max(3, n // 2)]
    correlation = covariance / np.where(covariance[0] > 0, covariance[0], 1.0)
    even = (len(correlation) - 1) // 2
    pairs = correlation[1 : 2 * even : 2] + correlation[2 : 2 * even + 1 : 2]
    positive = np.minimum.accumulate(pairs > 0, axis=0)
    time: Array = 1 + 2 * np.where(positive, pairs, 0.0).sum(axis=0)
    return time


def adjusted(p: Array) -> Array:
    """Return p-values adjusted for the number of questions: among those at or below q, a share of at most q is false.

    Benjamini and Hochberg (1995); it holds for independent and for positively dependent statistics (Benjamini and
    Yekutieli 2001), as distances of features that move together are. Where nothing has drifted, q bounds the chance
    that a scan says anything at all.

    >>> adjusted(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    order = np.argsort(p)
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return out
