"""How far two distributions lie apart: PSI, Kolmogorov-Smirnov and Wasserstein, on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.monitoring.profile import DECILES, Grid

__all__ = ["Distances", "distances"]

Array = NDArray[np.float64]

SMALLEST_SHARE = 1e-3
"""An empty bin counts as this much, else one of them would make PSI infinite."""
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Distances:
    """Distances between distributions; arrays of one shape, the last axis counts features.

    Parameters
    ----------
    psi : array, at least 0
        Population stability index over the ten bins between the reference's deciles (Siddiqi 2006): by custom 0.1 is a
        moderate and 0.25 a large difference, whatever chance may do.
    ks : array, 0..1
        Largest difference of the distribution functions.
    wasserstein : array, at least 0
        Area between the distribution functions, in standard deviations of the reference: how far values have moved on
        average. By trapezoids between the points of the grid, so that a feature of two values shows half of it.
    """

    psi: Array
    ks: Array
    wasserstein: Array

    @property
    def together(self) -> Array:
        """One number that grows with each: the cube root of the geometric mean of sqrt(PSI), KS and Wasserstein.

        Distances of windows are skewed; their cube roots are close to normally distributed (as those of a chi-squared
        variable are, Wilson and Hilferty 1931), so that Student's t fits. Measured in ``docs/evidence/drift.md``.
        """
        product: Array = (np.sqrt(self.psi) + TINY) * (self.ks + TINY) * (self.wasserstein + TINY)
        root: Array = product ** (1 / 9)
        return root


def distances(now: NDArray[np.floating], reference: NDArray[np.floating], grid: Grid) -> Distances:
    """Return the distances of distribution functions `now` from `reference`, arrays (..., k, g) that broadcast."""
    gap = np.abs(now - reference)
    width = np.diff(grid.points.astype(np.float64), axis=1)
    scale = np.where(grid.sd > 0, grid.sd, 1.0)
    area = ((gap[..., 1:] + gap[..., :-1]) * (width / 2)).sum(axis=-1) / scale
    return Distances(_psi(now, reference), gap.max(axis=-1).astype(np.float64), area)


def _psi(now: NDArray[np.floating], reference: NDArray[np.floating]) -> Array:
    a, b = _shares(now), _shares(reference)
    value: Array = ((a - b) * np.log(a / b)).sum(axis=-1)
    return value


def _shares(cdf: NDArray[np.floating]) -> Array:
    inner = cdf[..., DECILES].astype(np.float64)
    edge = np.ones_like(inner[..., :1])
    return np.maximum(np.diff(np.concatenate([0 * edge, inner, edge], axis=-1), axis=-1), SMALLEST_SHARE)
