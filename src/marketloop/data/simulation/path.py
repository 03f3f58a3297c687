"""The closed loop: bars up to t make the signal at t, the signal at t is in the return of t + 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketloop.data.simulation.bars import BarArrays, draw_noise, empty_bars, write_row
from marketloop.data.simulation.shocks import BURN_IN, Shocks, draw_shocks
from marketloop.data.simulation.signal import COMPONENTS, LOOKBACK, components, csrank, weights
from marketloop.data.simulation.spec import MarketSpec

__all__ = ["HORIZON", "Path", "walk"]

Floats = NDArray[np.float64]

HORIZON: Final = 5
"""Sessions over which the planted rank IC is stated."""

_UNIT: Final = np.sqrt(12.0)
_LARGEST_EXPECTED: Final = 0.2


@dataclass(frozen=True, slots=True)
class Path:
    """A simulated market with its burn-in: arrays over S = `BURN_IN` + sessions + 1 rows.

    Parameters
    ----------
    bars, shocks
        The last row is simulated but not delivered.
    expected : (S, N)
        Conditional expectation of the next session's return beyond the common drift, given everything known at the
        close of the row. Exact.
    horizon_expected : (S, N)
        The same for the sum of the next five; exact for the first of them, by `decay` for the others.
    parts : (S, 5, N) float32
        `COMPONENTS` of the signal, or (0, 5, N) unless they were asked for.
    """

    bars: BarArrays
    shocks: Shocks
    expected: Floats
    horizon_expected: Floats
    parts: NDArray[np.float32]


def walk(spec: MarketSpec, strength: float, decay: Floats, *, keep_parts: bool = False) -> Path:
    """Simulate the market session by session.

    Parameters
    ----------
    strength : float
        Standard deviation over tickers of the expected return, in units of each ticker's conditional sigma.
    decay : (4, 5)
        Row k - 1: coefficients of the `COMPONENTS` at t in the expectation of the signal's rank at t + k.
    """
    shocks = draw_shocks(spec)
    noise = draw_noise(spec, shocks)
    rows, tickers = shocks.total.shape
    bars = empty_bars(rows, tickers)
    expected, horizon = np.zeros((rows, tickers)), np.zeros((rows, tickers))
    parts = np.zeros((rows if keep_parts else 0, len(COMPONENTS), tickers), dtype=np.float32)
    weight = weights(interaction=spec.interaction)
    sign = _signs(spec, rows + HORIZON)
    for t in range(rows):
        ahead = expected[t - 1] if t else 0.0
        write_row(bars, noise, shocks, shocks.common[t] + ahead + shocks.total[t], t)
        if t < LOOKBACK or t + 1 == rows or (strength == 0 and not keep_parts):
            continue
        part = components(bars, t)
        unit = strength * _UNIT * shocks.sigma[t + 1]
        now = sign[t + 1] * csrank(weight @ part)
        later = (sign[t + 2 : t + 1 + HORIZON] @ decay) @ part
        # the bound is part of the expectation: it keeps prices positive whatever the volatility
        expected[t] = np.clip(unit * now, -_LARGEST_EXPECTED, _LARGEST_EXPECTED)
        horizon[t] = unit * (now + later)
        if keep_parts:
            parts[t] = part
    return Path(bars, shocks, expected, horizon, parts)


def _signs(spec: MarketSpec, length: int) -> Floats:
    """Return +1, or -1 for the returns from ``drift_at`` on when the planted relation turns there."""
    sign = np.ones(length)
    if spec.drift_at is not None and spec.drift != "features":
        sign[BURN_IN + spec.drift_at :] = -1.0
    return sign
