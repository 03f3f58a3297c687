"""What the features look like in each session: their distributions on one common grid, in order of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.core.values import Matrix

__all__ = ["LEVELS", "Grid", "Profile", "profile_of"]

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

LEVELS = np.array([0.005, *np.arange(1, 40) / 40, 0.995])
"""Quantiles of the reference at which distributions are compared; the deciles are among them."""
DECILES = np.searchsorted(LEVELS, np.arange(1, 10) / 10 - 1e-9) + 2
"""Where the deciles stand in a grid, behind its two outer points."""
OUTER = np.array([3.0, 1.0])
"""Standard deviations of the reference by which the grid goes on beyond its outermost quantiles."""
GRID_ROWS = 50_000
"""Rows of the reference that the quantiles are read from: every so many-th."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The points at which distributions are compared, per feature, and the scale of the reference.

    Parameters
    ----------
    names : k feature names
    points : float32 (k, g), ascending
    mean, sd : float64 (k,)
        Of the reference; `sd` is 0 for a constant feature, both are NaN for one that is never known.
    """

    names: tuple[str, ...]
    points: Array32
    mean: Array
    sd: Array

    @classmethod
    def of(cls, reference: Matrix) -> Grid:
        """Return the grid of the reference rows."""
        every = max(1, len(reference) // GRID_ROWS)
        X = np.where(np.isfinite(reference.X[::every]), reference.X[::every], np.nan)
        count, k = len(LEVELS) + 2 * len(OUTER), len(reference.names)
        points, mean, sd = np.zeros((k, count), np.float32), np.full(k, np.nan), np.full(k, np.nan)
        for column in range(k):
            values = X[:, column][~np.isnan(X[:, column])].astype(np.float64)
            if len(values) == 0:
                continue
            mean[column], sd[column] = values.mean(), values.std()
            inner = np.quantile(values, LEVELS)
            low, high = inner[0] - OUTER * sd[column], inner[-1] + OUTER[::-1] * sd[column]
            points[column] = np.concatenate([low, inner, high])
        return cls(reference.names, points, mean, sd)


@dataclass(frozen=True, slots=True)
class Profile:
    """The distribution of every feature in every session.

    Parameters
    ----------
    grid : Grid
    session : int32 (s,), ascending
    cdf : float32 (s, k, g)
        Share of the session's known values that lie at or below each point; 0 where none is known.
    mean : float64 (s, k)
        0 where no value is known.
    known : float64 (s, k)
        Share of the session's rows in which the value is known.
    """

    grid: Grid
    session: NDArray[np.int32]
    cdf: Array32
    mean: Array
    known: Array

    def __len__(self) -> int:
        return len(self.session)


def profile_of(rows: Matrix, grid: Grid) -> Profile:
    """Return the profile of `rows`, which are sorted by session; every session counts alike, however many tickers.

    Raises
    ------
    UsageError
        The rows have other features than the grid.
    """
    if rows.names != grid.names:
        raise UsageError("the rows have other features than the reference: select the same ones, in the same order")
    session, place = np.unique(rows.session, return_inverse=True)
    count, (k, g) = len(session), grid.points.shape
    size = np.bincount(place, minlength=count).astype(np.float64)
    cdf, mean, known = np.zeros((count, k, g), np.float32), np.zeros((count, k)), np.zeros((count, k))
    for column in range(k):
        values = rows.X[:, column]
        good = np.isfinite(values)
        values, at = (values, place) if good.all() else (values[good], place[good])
        bins = np.searchsorted(grid.points[column], values, side="left")
        counts = np.bincount(at * (g + 1) + bins, minlength=count * (g + 1)).reshape(count, g + 1)
        total = counts.sum(axis=1).astype(np.float64)
        scale = 1 / np.maximum(total, 1)
        cdf[:, column] = np.cumsum(counts[:, :g], axis=1) * scale[:, None]
        mean[:, column] = np.bincount(at, weights=values, minlength=count) * scale
        known[:, column] = total / size
    return Profile(grid, session.astype(np.int32), cdf, mean, known)
