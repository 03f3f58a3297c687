"""Context series of a simulated market, each value with the time at which it was known."""

from __future__ import annotations

import datetime as dt
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.data.simulation.shocks import BURN_IN, SECTORS, Shocks, stream
from marketloop.data.simulation.spec import MarketSpec

__all__ = ["context_series", "sector_frame"]

Floats = NDArray[np.float64]

_DELAY: Final = {"us10y": dt.timedelta(hours=3)}
"""From the close to the publication of a value."""
_VIX_PREMIUM: Final = 1.25


def context_series(spec: MarketSpec, shocks: Shocks, closes: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the series ``vix``, ``spx``, ``us10y``, ``usd`` and ``sector:<name>``, frames ``date, value, known_at``.

    The index is the market factor with the common drift; vix is its conditional volatility for the next session,
    annualised, with a premium and noise; yield and dollar are slow AR(1) processes of no consequence. The yield is
    published after the close, so it is known in the next session. `closes` is a frame ``date, close_utc``.
    """
    rows = slice(BURN_IN, BURN_IN + spec.sessions)
    market = shocks.common + shocks.factor
    noise = stream(spec, "vix").normal(0.0, 0.04, len(market))
    vix = 100 * np.sqrt(252) * _VIX_PREMIUM * shocks.factor_sigma[1:] * np.exp(noise[:-1])
    values = {
        "vix": vix[rows],
        "spx": 1500 * np.cumprod(1 + market)[rows],
        "us10y": 2.5 + _slow(spec, "us10y", len(market), 0.045)[rows],
        "usd": 95 * np.exp(_slow(spec, "usd", len(market), 0.004)[rows]),
    }
    levels = 50 * np.cumprod(1 + market[:, None] + shocks.sector, axis=0)[rows]
    values |= {f"sector:{name}": levels[:, k] for k, name in enumerate(SECTORS)}
    at_close = pl.col("close_utc").alias("known_at")
    return {
        name: closes.select("date", pl.Series("value", value), at_close + _DELAY.get(name, dt.timedelta(0)))
        for name, value in values.items()
    }


def sector_frame(spec: MarketSpec, shocks: Shocks) -> pl.DataFrame:
    """Return the frame ``ticker, sector``."""
    return pl.DataFrame({"ticker": spec.names, "sector": [SECTORS[k] for k in shocks.sector_of]})


def _slow(spec: MarketSpec, name: str, length: int, sd: float, carry: float = 0.998) -> Floats:
    steps = stream(spec, name).normal(0.0, sd, length)
    level = np.zeros(length)
    for t in range(1, length):
        level[t] = carry * level[t - 1] + steps[t]
    return level
