"""Everything of a simulated market that does not depend on its signal: volatility, factors, regimes, shocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketloop.data.simulation.spec import MarketSpec

__all__ = ["BURN_IN", "DAILY_DRIFT", "REGIMES", "SECTORS", "Shocks", "draw_shocks", "stream"]

Floats = NDArray[np.float64]

BURN_IN: Final = 150
"""Sessions simulated before the first delivered one, to forget the start of volatility, volume and signal."""

SECTORS: Final = (
    "Communication Services",
    "Consumer Discretionary",
    "Consumer Staples",
    "Energy",
    "Financials",
    "Health Care",
    "Industrials",
    "Information Technology",
    "Materials",
    "Utilities",
)

DAILY_DRIFT: Final = 2e-4
REGIMES: Final = ("bull", "sideways", "bear")
_REGIME_DRIFT: Final = np.array([10e-4, 0.0, -15e-4])
_REGIME_SCALE: Final = np.array([0.8, 1.0, 1.6])
_REGIME_STAY: Final = np.array([0.992, 0.985, 0.98])

_ALPHA, _BETA = 0.06, 0.91
_FACTOR_SD, _SECTOR_SD, _NAME_SD, _NAME_SPREAD = 0.0074, 0.0045, 0.0147, 0.30
_DRIFT_SCALE: Final = 1.5
_LARGEST_Z: Final = 10.0
_LARGEST_MOVE: Final = 0.75


@dataclass(frozen=True, slots=True)
class Shocks:
    """What moves the names, for ``BURN_IN + sessions + 1`` sessions (S) and N tickers; the last one is not delivered.

    Parameters
    ----------
    total : (S, N)
        Unexpected part of each return; conditionally symmetric, so its expectation given the past is exactly 0.
    sigma : (S, N)
        Conditional standard deviation of `total`, known at the close of the session before.
    common : (S,)
        Expected return that all tickers share.
    factor, factor_sigma : (S,)
        The market factor's shock and its conditional standard deviation.
    sector : (S, 10)
        Sector shocks.
    beta : (N,)
    sector_of : int (N,)
        Position in `SECTORS`.
    regime : int8 (S,)
        Position in `REGIMES`; 1 throughout when the market has no regimes.
    """

    total: Floats
    sigma: Floats
    common: Floats
    factor: Floats
    factor_sigma: Floats
    sector: Floats
    beta: Floats
    sector_of: NDArray[np.int64]
    regime: NDArray[np.int8]


def stream(spec: MarketSpec, name: str) -> np.random.Generator:
    """Return the random stream `name` of the market.

    One stream per quantity, drawn session by session, makes a longer market begin with the shorter one.
    """
    return np.random.default_rng([spec.seed, *name.encode()])


def draw_shocks(spec: MarketSpec) -> Shocks:
    """Draw the shocks of a market: factor (beta ~ N(1, 0.3)), ten sectors, and names, with GARCH(1,1) or constant.

    The drift is shared by all tickers alike, not multiplied by beta: otherwise beta itself would predict returns and
    a market without signal would have one. Simple returns are drawn, not log returns, for the same reason: the
    expectation of exp(shock) would grow with volatility (Jensen).
    """
    length, width = BURN_IN + spec.sessions + 1, spec.tickers
    names = stream(spec, "names")
    beta = names.normal(1.0, 0.3, width)
    base = _NAME_SD * np.exp(names.normal(0.0, _NAME_SPREAD, width))
    sector_of = names.permutation(np.arange(width) % len(SECTORS))

    regime = _regimes(spec, length)
    scale = _scale(spec, regime)
    factor_z = _standardised(spec, "factor", (length, 1))
    name_z = _standardised(spec, "idiosyncratic", (length, width))
    sector_z = _standardised(spec, "sector", (length, len(SECTORS)))

    factor_sigma = _FACTOR_SD * _volatility(spec, factor_z) * scale
    name_sigma = base * _volatility(spec, name_z) * scale
    sector_sigma = _SECTOR_SD * scale
    factor, sector = factor_sigma * factor_z, sector_sigma * sector_z
    total = beta * factor + sector[:, sector_of] + name_sigma * name_z
    sigma = np.sqrt((beta * factor_sigma) ** 2 + sector_sigma**2 + name_sigma**2)
    return Shocks(
        # symmetric, hence still without expectation; keeps prices above 0
        total=np.clip(total, -_LARGEST_MOVE, _LARGEST_MOVE),
        sigma=sigma,
        common=_REGIME_DRIFT[regime] if spec.regimes else np.full(length, DAILY_DRIFT),
        factor=factor[:, 0],
        factor_sigma=factor_sigma[:, 0],
        sector=sector,
        beta=beta,
        sector_of=sector_of,
        regime=regime,
    )


def _standardised(spec: MarketSpec, name: str, shape: tuple[int, int]) -> Floats:
    rng = stream(spec, name)
    if spec.shocks == "normal":
        return rng.standard_normal(shape)
    return np.asarray(np.clip(rng.standard_t(5, shape) * np.sqrt(3 / 5), -_LARGEST_Z, _LARGEST_Z))


def _volatility(spec: MarketSpec, z: Floats) -> Floats:
    """Return sqrt(h), mean of h 1: h[t+1] = 1 - a - b + (a z[t]^2 + b) h[t] (Bollerslev 1986)."""
    h = np.ones_like(z)
    if spec.volatility == "constant":
        return h
    carry = _ALPHA * z**2 + _BETA
    for t in range(1, len(z)):
        h[t] = (1 - _ALPHA - _BETA) + carry[t - 1] * h[t - 1]
    return np.sqrt(h)


def _regimes(spec: MarketSpec, length: int) -> NDArray[np.int8]:
    state = np.ones(length, dtype=np.int8)
    if not spec.regimes:
        return state
    draws = stream(spec, "regime").random((length, 2))
    for t in range(1, length):
        last = state[t - 1]
        stays = draws[t, 0] < _REGIME_STAY[last]
        state[t] = last if stays else (last + 1 + int(draws[t, 1] < 0.5)) % 3
    return state


def _scale(spec: MarketSpec, regime: NDArray[np.int8]) -> Floats:
    scale: Floats = _REGIME_SCALE[regime] if spec.regimes else np.ones(len(regime))
    if spec.drift_at is not None and spec.drift != "relation":
        scale = np.where(np.arange(len(regime)) >= BURN_IN + spec.drift_at, scale * _DRIFT_SCALE, scale)
    return scale[:, None]
