"""Open, high, low and volume around a given return: a bridge inside the day, so that nothing of tomorrow is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketloop.data.simulation.shocks import Shocks, stream
from marketloop.data.simulation.spec import MarketSpec

__all__ = ["BarArrays", "BarNoise", "draw_noise", "empty_bars", "write_row"]

Floats = NDArray[np.float64]

_OVERNIGHT: Final = 0.25
"""Share of a day's variance that falls between the closes and the next opening."""
_VOLUME_CARRY, _VOLUME_SD = 0.90, 0.18
_VOLUME_ON_VOLATILITY, _VOLUME_ON_MOVE = 0.6, 0.25


@dataclass(frozen=True, slots=True)
class BarArrays:
    """Bars as arrays (S, N); `flow` is the money-flow volume ((C-L)-(H-C))/(H-L) x V."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    flow: Floats


@dataclass(frozen=True, slots=True)
class BarNoise:
    """What shapes a bar besides its return: all (S, N), independent of every shock to come.

    `gap` is the overnight deviation in log price; `up` and `down` widen the range (-2 x variance x ln U of the bridge's
    extremes); `volume` is the log of the volume of a day without a move.
    """

    gap: Floats
    up: Floats
    down: Floats
    volume: Floats
    start: Floats


def empty_bars(rows: int, tickers: int) -> BarArrays:
    """Return arrays for `rows` sessions, not yet filled."""
    shape = (rows, tickers)
    return BarArrays(*(np.empty(shape) for _ in range(6)))


def draw_noise(spec: MarketSpec, shocks: Shocks) -> BarNoise:
    """Draw what shapes the bars; volume is an AR(1) around a level that rises with volatility."""
    shape = shocks.sigma.shape
    variance = shocks.sigma**2
    inside = (1 - _OVERNIGHT) * variance
    names = stream(spec, "levels")
    start = np.exp(names.normal(4.0, 0.6, spec.tickers))
    level = names.normal(14.0, 1.0, spec.tickers)
    innovations = stream(spec, "volume").normal(0.0, _VOLUME_SD, shape)
    state = np.empty(shape)
    state[0] = innovations[0] / np.sqrt(1 - _VOLUME_CARRY**2)
    for t in range(1, len(state)):
        state[t] = _VOLUME_CARRY * state[t - 1] + innovations[t]
    volume = level + state + _VOLUME_ON_VOLATILITY * np.log(shocks.sigma / 0.018)
    return BarNoise(
        gap=stream(spec, "gap").standard_normal(shape) * np.sqrt(_OVERNIGHT * inside),
        up=-2 * inside * np.log1p(-stream(spec, "up").random(shape)),
        down=-2 * inside * np.log1p(-stream(spec, "down").random(shape)),
        volume=volume,
        start=start,
    )


def write_row(bars: BarArrays, noise: BarNoise, shocks: Shocks, returns: Floats, t: int) -> None:
    """Fill row `t` of `bars` for the simple `returns` (N,) of that session.

    The opening is a point of a Brownian bridge between the two closes; high and low are drawn from the exact laws of
    the extremes of the bridge from open to close (Karatzas and Shreve 1991, 4.3), each by itself.
    """
    before = bars.close[t - 1] if t else noise.start
    move = np.log1p(returns)
    gap = _OVERNIGHT * move + noise.gap[t]
    rest = move - gap
    square = rest * rest
    opening = before * np.exp(gap)
    closing = before * (1 + returns)
    high = opening * np.exp((rest + np.sqrt(square + noise.up[t])) / 2)
    low = opening * np.exp((rest - np.sqrt(square + noise.down[t])) / 2)
    # rounding of exp may put the range a hair inside open or close
    high = np.maximum(high, np.maximum(opening, closing))
    low = np.minimum(low, np.minimum(opening, closing))
    volume = np.rint(np.exp(noise.volume[t] + _VOLUME_ON_MOVE * np.abs(move) / shocks.sigma[t]))
    bars.open[t], bars.high[t], bars.low[t], bars.close[t], bars.volume[t] = opening, high, low, closing, volume
    bars.flow[t] = (2 * closing - low - high) / (high - low) * volume
