"""What a simulated market is made of; every value that a user may choose, checked."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

from marketloop.core.errors import UsageError, unknown_name

__all__ = ["DRIFTS", "FEWEST_RANKED", "SHOCKS", "VOLATILITIES", "Drift", "MarketSpec", "Shocks", "Volatility"]

Volatility = Literal["garch", "constant"]
Shocks = Literal["t5", "normal"]
Drift = Literal["both", "features", "relation"]

VOLATILITIES: Final = ("garch", "constant")
SHOCKS: Final = ("t5", "normal")
DRIFTS: Final = ("both", "features", "relation")
FEWEST_RANKED: Final = 10
"""Fewest tickers among which a rank is a signal: below it no rank IC is defined."""


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """A market to simulate; equal values give equal markets, to the last bit.

    A longer market begins with the shorter one: ``sessions`` and ``drift_at`` change nothing before them.

    Parameters
    ----------
    tickers : int, 1..5000
        Names SYN001, SYN002, ...
    sessions : int, 1..20000
        Sessions delivered, the warm-up of the features among them.
    seed : int, >= 0
    planted_ic : float, 0..0.3
        Rank IC, at the 5-session horizon, of the generator's own expectation with neutralised returns, calibrated on
        100 tickers (with 20, neutralising costs a fourteenth of it). Below `FEWEST_RANKED` tickers only 0. 0 plants
        nothing: every ticker then has the same expected return in every session. (The *median* of a return
        compounded over five sessions still falls with its volatility, so against 5-session returns a score made of
        volatility has a rank IC of about -0.006; against one-session returns it has 0.)
    volatility : "garch" or "constant"
        GARCH(1,1) on the market factor and on every name, or none: a random walk.
    shocks : "t5" or "normal"
        Law of the standardised shocks.
    regimes : bool
        Switch the market's drift and volatility between bull, sideways and bear by a Markov chain.
    drift_at : int, optional
        First session (0-based) that follows the changed law.
    drift : "both", "features" or "relation"
        What changes then: the features' distribution (volatility x 1.5, volume with it), the sign of the planted
        relation, or both.
    interaction : bool
        Plant the signal in a product of two quantities only, where a linear model sees nothing.
    start : date
        The first session is the first one of `calendar` on or after it.
    calendar : str
        Exchange whose sessions the market has.
    """

    tickers: int = 100
    sessions: int = 1250
    seed: int = 0
    planted_ic: float = 0.0
    volatility: Volatility = "garch"
    shocks: Shocks = "t5"
    regimes: bool = False
    drift_at: int | None = None
    drift: Drift = "both"
    interaction: bool = False
    start: dt.date = dt.date(2013, 1, 2)
    calendar: str = "XNYS"

    def __post_init__(self) -> None:
        _whole("tickers", self.tickers, 1, 5000)
        _whole("sessions", self.sessions, 1, 20_000)
        _whole("seed", self.seed, 0, 2**63 - 1)
        if self.drift_at is not None:
            _whole("drift_at", self.drift_at, 0, 20_000)
        if not 0.0 <= self.planted_ic <= 0.3:
            raise UsageError(f"synthetic: planted_ic = {self.planted_ic!r}: expected a rank IC from 0 to 0.3")
        if self.planted_ic > 0 and self.tickers < FEWEST_RANKED:
            raise UsageError(
                f"synthetic: planted_ic = {self.planted_ic} with {self.tickers} ticker(s): a signal across tickers "
                f"needs at least {FEWEST_RANKED}; raise tickers or set planted_ic = 0"
            )
        for name, value, known in (
            ("volatility", self.volatility, VOLATILITIES),
            ("shocks", self.shocks, SHOCKS),
            ("drift", self.drift, DRIFTS),
        ):
            if value not in known:
                raise unknown_name(f"synthetic {name}", str(value), known)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tickers, in order.

        >>> MarketSpec(tickers=2).names
        ('SYN001', 'SYN002')
        """
        width = max(3, len(str(self.tickers)))
        return tuple(f"SYN{i:0{width}d}" for i in range(1, self.tickers + 1))


def _whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(f"synthetic: {name} = {value!r}: expected a whole number from {low} to {high}")
