"""What a delivered market shows: its rank IC, how much of it a linear model can have, and its stylised facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.data.simulation.bars import BarArrays
from marketloop.data.simulation.market import Market
from marketloop.data.simulation.measures import forward_returns, neutralise, rank_ic, trailing_controls
from marketloop.data.simulation.path import HORIZON
from marketloop.data.simulation.signal import LOOKBACK, QUANTITIES, components

__all__ = ["Facts", "bar_arrays", "linear_share", "measure", "signal_components"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Facts:
    """Measured on one market.

    Parameters
    ----------
    planted_ic, rank_ic, rank_ic_raw : float
        Stated rank IC; and the mean over sessions of the Spearman correlation of `Market.horizon_expected` with the
        5-session forward returns, neutralised and raw.
    linear_share : float
        Share of the IC that the best linear combination of the quantities' ranks has; NaN without a signal.
    sd_5, beyond_2 : float
        Standard deviation of 5-session returns, and the share of them beyond +-2 %.
    pair_correlation : float
        Mean over pairs of tickers of the correlation of their returns.
    kurtosis : float
        Mean over tickers, 3 for the normal law.
    clustering : float
        Mean over tickers of the lag-1 autocorrelation of absolute returns.
    """

    planted_ic: float
    rank_ic: float
    rank_ic_raw: float
    linear_share: float
    sd_5: float
    beyond_2: float
    pair_correlation: float
    kurtosis: float
    clustering: float


def measure(market: Market) -> Facts:
    """Measure the `Facts` of a market of at least 7 sessions and 2 tickers."""
    returns = market.returns
    forward = forward_returns(returns, HORIZON)
    controls = trailing_controls(returns, market.index_returns)
    known = forward[:-HORIZON]
    deviations = returns - returns.mean(axis=0)
    variance = (deviations**2).mean(axis=0)
    correlation = (deviations.T @ deviations) / len(returns) / np.sqrt(np.outer(variance, variance))
    size = np.abs(returns)
    size = size - size.mean(axis=0)
    pairs = len(variance) * (len(variance) - 1)
    return Facts(
        planted_ic=market.spec.planted_ic,
        rank_ic=float(np.nanmean(rank_ic(market.horizon_expected, neutralise(forward, *controls)))),
        rank_ic_raw=float(np.nanmean(rank_ic(market.horizon_expected, forward))),
        linear_share=linear_share(market),
        sd_5=float(known.std()),
        beyond_2=float((np.abs(known) > 0.02).mean()),
        pair_correlation=float((correlation.sum() - len(variance)) / pairs),
        kurtosis=float(((deviations**4).mean(axis=0) / variance**2).mean()),
        clustering=float(((size[1:] * size[:-1]).mean(axis=0) / (size**2).mean(axis=0)).mean()),
    )


def linear_share(market: Market) -> float:
    """Return IC of the best linear combination of the quantities' ranks / IC of the generator's expectation.

    Best means least squares on the expectation in units of sigma, over the whole market. Both ICs are taken less the
    IC with the returns that lack the signal, whose expectation is 0: the ratio would be noisy otherwise. NaN where
    nothing is planted, and next to nothing where the relation turns half-way: one linear model cannot have both.
    """
    if market.strength == 0 or len(market.dates) <= LOOKBACK + HORIZON + 1:
        return float("nan")
    rows = slice(LOOKBACK, -1)
    ranks = signal_components(market)[:-1, : len(QUANTITIES)]
    aim = market.horizon_expected[rows] / market.sigma[LOOKBACK + 1 :]
    gram, cross = np.einsum("tjn,tin->ji", ranks, ranks), np.einsum("tjn,tn->j", ranks, aim)
    linear = np.einsum("j,tjn->tn", np.linalg.solve(gram, cross), ranks)
    without = market.returns.copy()
    without[1:] -= market.expected[:-1]
    outcomes = [
        neutralise(forward_returns(r, HORIZON), *trailing_controls(market.returns, market.index_returns))[rows]
        for r in (market.returns, without)
    ]
    whole, part = (
        np.nanmean(rank_ic(score, outcomes[0]) - rank_ic(score, outcomes[1]))
        for score in (market.horizon_expected[rows], linear)
    )
    return float(part / whole)


def bar_arrays(market: Market) -> BarArrays:
    """Return the delivered bars as arrays (T, N)."""
    shape = (len(market.tickers), len(market.dates))
    columns = {c: market.bars[c].to_numpy().reshape(shape).T for c in ("open", "high", "low", "close", "volume")}
    high, low, close = columns["high"], columns["low"], columns["close"]
    return BarArrays(**columns, flow=(2 * close - low - high) / (high - low) * columns["volume"])


def signal_components(market: Market) -> Floats:
    """Return the signal's components (T - 59, 5, N) from the 60th session on, from the delivered bars alone."""
    bars = bar_arrays(market)
    return np.stack([components(bars, t) for t in range(LOOKBACK, len(market.dates))])
