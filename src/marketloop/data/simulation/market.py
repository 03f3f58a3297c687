"""A simulated market as it is delivered: bars, context series, sectors, and the truth behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_SCHEMA
from marketloop.data.simulation.bars import BarArrays
from marketloop.data.simulation.calibration import decay_of, strength_of
from marketloop.data.simulation.path import walk
from marketloop.data.simulation.series import context_series, sector_frame
from marketloop.data.simulation.shocks import BURN_IN
from marketloop.data.simulation.spec import MarketSpec

__all__ = ["Market", "generate"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Market:
    """A simulated market of T sessions and N tickers, and what its generator knows.

    Parameters
    ----------
    spec : MarketSpec
    dates : datetime64[D] (T,)
    tickers : N names
    bars : frame `BAR_SCHEMA`
        Sorted by (ticker, date).
    series : frames ``date, value, known_at``
        ``vix``, ``spx``, ``us10y``, ``usd``, ``sector:<name>``.
    sectors : frame ``ticker, sector``
    expected : (T, N)
        The generator's conditional expectation of the *next* session's simple return, given everything known at the
        close of t, less the drift that all tickers share. Exact; 0 throughout where nothing is planted.
    horizon_expected : (T, N)
        The same for the next five sessions together. The first of the five is exact; the signal's rank in the other
        four is its best linear prediction from today's ranks, with coefficients measured once
        (`calibration.measure_decay`), and volatility is held. The planted IC is the rank IC of this.
    common : (T,)
        Expected return of the session that all tickers share (the drift, of its regime).
    returns, sigma : (T, N)
        Simple returns of the session, and their standard deviation as known one session before.
    index_returns : (T,)
        Simple returns of ``spx``.
    beta : (N,)
    regime : int8 (T,)
        0 bull, 1 sideways, 2 bear; 1 throughout without regimes.
    strength : float
        Standard deviation over tickers of `expected`, in units of sigma.
    """

    spec: MarketSpec
    dates: NDArray[np.datetime64]
    tickers: tuple[str, ...]
    bars: pl.DataFrame
    series: Mapping[str, pl.DataFrame]
    sectors: pl.DataFrame
    expected: Floats
    horizon_expected: Floats
    common: Floats
    returns: Floats
    sigma: Floats
    index_returns: Floats
    beta: Floats
    regime: NDArray[np.int8]
    strength: float


def generate(spec: MarketSpec, closes: pl.DataFrame) -> Market:
    """Simulate the market of `spec` on the given sessions.

    Parameters
    ----------
    closes : frame ``date, close_utc``, ascending
        At least ``spec.sessions`` rows; the first ``spec.sessions`` are used.

    Raises
    ------
    UsageError
        When there are fewer rows than sessions.
    """
    if len(closes) < spec.sessions:
        raise UsageError(
            f"synthetic: {spec.sessions} sessions asked, but the calendar has only {len(closes)} from {spec.start} on; "
            "ask fewer sessions or an earlier start"
        )
    closes = closes.head(spec.sessions)
    dates = closes["date"].to_numpy().astype("datetime64[D]")
    strength = strength_of(spec)
    path = walk(spec, strength, decay_of(spec))
    rows = slice(BURN_IN, BURN_IN + spec.sessions)
    close, shocks = path.bars.close, path.shocks
    return Market(
        spec=spec,
        dates=dates,
        tickers=spec.names,
        bars=_frame(spec, path.bars, dates),
        series=context_series(spec, shocks, closes),
        sectors=sector_frame(spec, shocks),
        expected=path.expected[rows],
        horizon_expected=path.horizon_expected[rows],
        common=shocks.common[rows],
        returns=close[rows] / close[BURN_IN - 1 : BURN_IN + spec.sessions - 1] - 1,
        sigma=shocks.sigma[rows],
        index_returns=(shocks.common + shocks.factor)[rows],
        beta=shocks.beta,
        regime=shocks.regime[rows],
        strength=strength,
    )


def _frame(spec: MarketSpec, bars: BarArrays, dates: NDArray[np.datetime64]) -> pl.DataFrame:
    def column(values: Floats) -> Floats:
        return values[BURN_IN : BURN_IN + spec.sessions].T.ravel()

    size = spec.sessions
    return pl.DataFrame(
        {
            "date": pl.Series(np.tile(dates, spec.tickers), dtype=pl.Date),
            "ticker": pl.Series(spec.names).gather(np.repeat(np.arange(spec.tickers), size)),
            "open": column(bars.open),
            "high": column(bars.high),
            "low": column(bars.low),
            "close": column(bars.close),
            "volume": column(bars.volume),
        },
        schema=dict(BAR_SCHEMA),
    )
