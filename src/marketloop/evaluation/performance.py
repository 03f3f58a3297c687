"""What a series of session returns amounts to: growth, risk, their ratios, and how sure one is of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.evaluation.intervals import ewc_interval

__all__ = [
    "YEAR",
    "Bounds",
    "Performance",
    "drawdowns",
    "excess_return",
    "performance_of",
    "rolling_sharpe",
    "sharpe_interval",
]

YEAR = 252
"""Sessions that count as one year."""
TAIL = 0.05

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bounds:
    """A figure with its 95 % interval; the bounds are NaN where there are too few sessions for one."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures of a series of simple returns, one per session.

    Fractions, not percent; a year has 252 sessions and cash earns nothing. Figures that cannot be computed (too few
    sessions, no dispersion, no loss) are NaN.

    Parameters
    ----------
    total_return, annual_return : float
        Growth over all sessions, and the constant growth per year that would have given it.
    annual_volatility : float
        Standard deviation (ddof 1) per year.
    sharpe_ratio, sortino_ratio, calmar_ratio : float
        Mean per year over volatility, over downside deviation, and annual return over the size of the worst drawdown.
    max_drawdown : float, <= 0
        Worst fall from an earlier high, the starting capital included.
    value_at_risk, expected_shortfall : float
        The 5 % quantile of the returns, and the mean of the returns in that tail.
    tail_ratio, omega_ratio : float
        Size of the 95 % quantile over that of the 5 % quantile; sum of gains over sum of losses.
    skewness, kurtosis : float
        Third and fourth standardised moments; a normal distribution has kurtosis 3.
    best_session, worst_session, winning_sessions : float
        Largest and smallest return, and the share of sessions with a gain.
    """

    total_return: float
    annual_return: float
    annual_volatility: float
    sharpe_ratio: float
    sortino_ratio: float
    calmar_ratio: float
    max_drawdown: float
    value_at_risk: float
    expected_shortfall: float
    tail_ratio: float
    omega_ratio: float
    skewness: float
    kurtosis: float
    best_session: float
    worst_session: float
    winning_sessions: float

    def figures(self) -> dict[str, float]:
        """Return all figures by name."""
        return asdict(self)


def performance_of(returns: Array) -> Performance:
    """Return the figures of `returns` (n,), in order of time.

    Growth, volatility, Sharpe, Sortino, Calmar, drawdown, omega and tail figures are those of the field's reference
    implementation, empyrical, on which the tests insist.

    Raises
    ------
    UsageError
        A return is not finite.
    """
    r = _checked(returns)
    if len(r) == 0:
        return Performance(*[math.nan] * len(Performance.__slots__))
    total = float(np.prod(1 + r))
    deviation = _deviation(r)
    worst = float(drawdowns(r).min())
    annual = total ** (YEAR / len(r)) - 1
    downside = math.sqrt(float(np.mean(np.minimum(r, 0) ** 2)))
    low, high = np.percentile(r, [100 * TAIL, 100 * (1 - TAIL)])
    gains, losses = float(r[r > 0].sum()), -float(r[r < 0].sum())
    some = len(r) > 1
    mean = float(r.mean())
    return Performance(
        total_return=total - 1,
        annual_return=annual,
        annual_volatility=deviation * math.sqrt(YEAR),
        sharpe_ratio=_ratio(mean, deviation) * math.sqrt(YEAR),
        sortino_ratio=_ratio(mean, downside) * math.sqrt(YEAR) if some else math.nan,
        calmar_ratio=_ratio(annual, -worst),
        max_drawdown=worst,
        value_at_risk=float(low),
        expected_shortfall=float(np.sort(r)[: int((len(r) - 1) * TAIL) + 1].mean()),
        tail_ratio=_ratio(abs(float(high)), abs(float(low))),
        omega_ratio=_ratio(gains, losses) if some else math.nan,
        skewness=_moment(r, 3),
        kurtosis=_moment(r, 4),
        best_session=float(r.max()),
        worst_session=float(r.min()),
        winning_sessions=float(np.mean(r > 0)),
    )


def drawdowns(returns: Array) -> Array:
    """Return how far the account lies below its highest value so far, the start included: (n,), 0 or below.

    >>> drawdowns(np.array([-0.5, 1.0, 0.5, -0.2])).round(6).tolist()
    [-0.5, 0.0, 0.0, -0.2]
    """
    level = np.cumprod(1 + np.asarray(returns, dtype=np.float64))
    high = np.maximum.accumulate(np.maximum(level, 1.0))
    below: Array = level / high - 1
    return below


def sharpe_interval(returns: Array) -> Bounds:
    """Return the Sharpe ratio per year with a 95 % interval that allows for autocorrelation and for fat tails.

    Notes
    -----
    The Sharpe ratio is a smooth function of mean and variance, so its error is the mean of its influence function
    ``(z - SR/2 * (z^2 - 1))``, z the standardised return (Lo 2002, *The Statistics of Sharpe Ratios*; Ledoit and Wolf
    2008). The long-run variance of that mean is estimated by equal-weighted cosines (`ewc_interval`).
    """
    r = _checked(returns)
    deviation = _deviation(r)
    value = _ratio(float(r.mean()), deviation) if len(r) else math.nan
    if not math.isfinite(value):
        return Bounds(math.nan, math.nan, math.nan)
    z = (r - r.mean()) / deviation
    influence = z - value / 2 * (z**2 - 1)
    found = ewc_interval(value + influence - influence.mean())
    scale = math.sqrt(YEAR)
    return Bounds(value * scale, found.low * scale, found.high * scale)


def excess_return(returns: Array, benchmark: Array) -> Bounds:
    """Return the mean difference of two series on the same sessions, per year, with its 95 % interval."""
    found = ewc_interval(_checked(returns) - _checked(benchmark))
    return Bounds(found.mean * YEAR, found.low * YEAR, found.high * YEAR)


def rolling_sharpe(returns: Array, window: int = 126) -> Array:
    """Return the Sharpe ratio per year of the last `window` returns at each session, NaN before there are as many."""
    r = _checked(returns)
    out = np.full(len(r), np.nan)
    if len(r) >= window:
        parts = np.lib.stride_tricks.sliding_window_view(r, window)
        deviation = parts.std(axis=1, ddof=1)
        moving = np.ptp(parts, axis=1) > 0
        out[window - 1 :][moving] = parts.mean(axis=1)[moving] / deviation[moving] * math.sqrt(YEAR)
    return out


def _checked(returns: Array) -> Array:
    r = np.asarray(returns, dtype=np.float64)
    if not np.isfinite(r).all():
        at = int(np.flatnonzero(~np.isfinite(r))[0])
        raise UsageError(f"return {at} is {r[at]}: expected a finite fraction for every session")
    return r


def _deviation(r: Array) -> float:
    """Return the standard deviation, exactly 0 for equal values: a residue of rounding would make a ratio of it."""
    if len(r) < 2:
        return math.nan
    return 0.0 if float(np.ptp(r)) == 0 else float(r.std(ddof=1))


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


def _moment(r: Array, power: int) -> float:
    deviation = float(r.std())
    if len(r) < 2 or float(np.ptp(r)) == 0 or deviation == 0:
        return math.nan
    return float(np.mean(((r - r.mean()) / deviation) ** power))
