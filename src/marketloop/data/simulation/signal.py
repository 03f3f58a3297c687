"""The planted signal: four quantities that the feature catalog can see, ranked in their session and combined."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketloop.data.simulation.bars import BarArrays

__all__ = ["COMPONENTS", "LOOKBACK", "QUANTITIES", "components", "csrank", "quantities", "weights"]

Floats = NDArray[np.float64]

QUANTITIES: Final = ("price_vs_sma20", "range_position_60", "cmf_20", "volume_sma_ratio")
"""Names in the feature catalog, whose definitions they follow."""

COMPONENTS: Final = (*QUANTITIES, "price_vs_sma20 x volume_sma_ratio")
LOOKBACK: Final = 59
"""Bars before t that the signal depends on."""

# Ranks tie often in a sum with round weights; rounding, which differs between machines, must not order them.
_UNTIE: Final = 1e-6 * np.sqrt([2.0, 3.0, 5.0, 7.0, 11.0])
_MIXED: Final = np.array([-1.0, -0.5, -0.5, 0.5, -0.8]) + _UNTIE
_INTERACTION: Final = np.array([0.0, 0.0, 0.0, 0.0, -1.0]) + _UNTIE


def weights(*, interaction: bool) -> Floats:
    """Return the weight of each of the `COMPONENTS`.

    Mixed: names that have run away from their average, stand high in their range and closed near their highs fall
    back, names with fresh volume rise, and the fall-back is stronger under volume.
    """
    return _INTERACTION if interaction else _MIXED


def quantities(bars: BarArrays, t: int) -> Floats:
    """Return the four `QUANTITIES` (4, N) at the close of row `t` >= `LOOKBACK`, from rows up to `t` only."""
    close = bars.close[t]
    low = bars.low[t - 59 : t + 1].min(axis=0)
    high = bars.high[t - 59 : t + 1].max(axis=0)
    volume = bars.volume[t - 49 : t + 1]
    out = np.empty((4, len(close)))
    out[0] = close / (bars.close[t - 19 : t + 1].sum(axis=0) / 20) - 1
    out[1] = (close - low) / (high - low)
    out[2] = bars.flow[t - 19 : t + 1].sum(axis=0) / volume[-20:].sum(axis=0)
    out[3] = (volume[-5:].sum(axis=0) / 5) / (volume.sum(axis=0) / 50) - 1
    return out


def csrank(values: Floats) -> Floats:
    """Return ranks within the last axis, from -0.5 to 0.5; ties, which do not occur here, in order of position."""
    n = values.shape[-1]
    order = np.argsort(values, axis=-1, kind="stable")
    ranks = np.empty_like(values)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(n) / max(n - 1, 1) - 0.5, values.shape), axis=-1)
    return ranks


def components(bars: BarArrays, t: int) -> Floats:
    """Return the `COMPONENTS` (5, N): four ranks, and a product of two of them scaled to -1..1."""
    ranks = csrank(quantities(bars, t))
    return np.vstack([ranks, 4 * ranks[0] * ranks[3]])
