"""How much of the best of many trials is luck: deflated Sharpe ratio and probability of backtest overfitting.

Both are recorded with a version and shown; neither ever decides (GATE.md, 3 and 7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from marketloop.core.errors import UsageError
from marketloop.evaluation.rank_ic import SessionSeries, rank_rows, recent_mean

__all__ = [
    "LEAST_SESSIONS",
    "LEAST_TRIALS",
    "SharpeMoments",
    "deflated_sharpe",
    "expected_best_sharpe",
    "long_short_returns",
    "overfitting_probability",
    "probabilistic_sharpe",
    "sharpe_moments",
]

LEAST_TRIALS, LEAST_SESSIONS = 4, 100
"""Fewest columns and rows that a probability of overfitting is computed from."""
GROUPS = 10
EULER = 0.5772156649
YEAR = 252
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SharpeMoments:
    """What a Sharpe ratio and its uncertainty are computed from; per session, kurtosis 3 for a normal distribution.

    Parameters
    ----------
    sharpe : float
        Mean over standard deviation of the returns of one session, not annualised.
    sessions : int
        How many returns.
    skew, kurtosis : float
    """

    sharpe: float
    sessions: int
    skew: float = 0.0
    kurtosis: float = 3.0

    @property
    def annual(self) -> float:
        """The ratio in units of a year of 252 sessions, for people."""
        return self.sharpe * math.sqrt(YEAR)

    def document(self) -> dict[str, Any]:
        """Return the moments as JSON values."""
        return {
            "sharpe": _finite(self.sharpe),
            "sharpe_annual": _finite(self.annual),
            "sessions": self.sessions,
            "skew": _finite(self.skew),
            "kurtosis": _finite(self.kurtosis),
        }


def sharpe_moments(returns: Array) -> SharpeMoments:
    """Return the moments of per-session `returns`; NaN are left out, and what never moves has the ratio 0."""
    known = returns[np.isfinite(returns)]
    if len(known) < 2 or float(np.ptp(known)) <= 1e-12 * float(np.abs(known).max(initial=0.0)):
        return SharpeMoments(0.0, len(known))
    return SharpeMoments(
        sharpe=float(known.mean() / known.std(ddof=1)),
        sessions=len(known),
        skew=float(stats.skew(known)),
        kurtosis=float(stats.kurtosis(known, fisher=False)),
    )


def probabilistic_sharpe(found: SharpeMoments, benchmark: float = 0.0) -> float:
    """Return the probability that the true ratio exceeds `benchmark` (Bailey, Lopez de Prado 2012), NaN below two.

    ``Phi((SR - benchmark) * sqrt(T - 1) / sqrt(1 - skew * SR + (kurtosis - 1) / 4 * SR**2))``
    """
    if found.sessions < 2:
        return math.nan
    spread = 1 - found.skew * found.sharpe + (found.kurtosis - 1) / 4 * found.sharpe**2
    if spread <= 0:
        raise UsageError(
            f"skew {found.skew:g} and kurtosis {found.kurtosis:g} belong to no distribution: "
            "expected kurtosis >= skew**2 + 1"
        )
    return float(special.ndtr((found.sharpe - benchmark) * math.sqrt((found.sessions - 1) / spread)))


def expected_best_sharpe(trials: int, variance: float) -> float:
    """Return SR0, the ratio that the best of `trials` without any skill is expected to show; 0 for a single one.

    ``sqrt(V) * ((1 - g) * Phi^-1(1 - 1/N) + g * Phi^-1(1 - 1/(N e)))`` with Euler's constant g (Bailey, Lopez de Prado
    2014); `variance` is that of the trials' ratios.
    """
    if trials < 1 or not variance >= 0:
        raise UsageError(f"{trials} trials with variance {variance:g}: expected at least 1 and a variance from 0")
    if trials == 1:
        return 0.0
    first, second = special.ndtri(1 - 1 / trials), special.ndtri(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * float((1 - EULER) * first + EULER * second)


def deflated_sharpe(found: SharpeMoments, *, trials: int, variance: float) -> float:
    """Return the probability that the true ratio beats what luck gives the best of `trials`.

    Parameters
    ----------
    trials : int
        Every counted one: pruned and failed ones too.
    variance : float
        Variance of the trials' ratios per session, in the units of ``found.sharpe`` squared.
    """
    return probabilistic_sharpe(found, expected_best_sharpe(trials, variance))


def overfitting_probability(returns: Array, *, groups: int = GROUPS) -> float:
    """Return how often the best trial of one half of the sessions is below the median in the other half.

    Combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado, Zhu 2017): the sessions are cut into
    `groups` contiguous groups, and every choice of half of them is in-sample once. The best there by mean over standard
    deviation (the first of equals) has rank w / (N + 1) on the rest; the result is the share of logits that are <= 0.
    One such number has a standard deviation of about 0.2 on pure noise: record it, never decide by it.

    Parameters
    ----------
    returns : float64 (T, N)
        Per-session returns of all trials on the same sessions, T >= 100, N >= 4, without NaN.
    """
    sessions, trials = returns.shape
    if trials < LEAST_TRIALS or sessions < LEAST_SESSIONS or not np.isfinite(returns).all():
        raise UsageError(
            f"{trials} trials on {sessions} sessions: overfitting is measured on at least {LEAST_TRIALS} trials and "
            f"{LEAST_SESSIONS} sessions without gaps"
        )
    parts = np.array_split(np.arange(sessions), groups)
    below = []
    for chosen in combinations(range(groups), groups // 2):
        inside = np.concatenate([parts[g] for g in chosen])
        outside = np.concatenate([parts[g] for g in range(groups) if g not in chosen])
        best = int(np.argmax(_ratios(returns[inside])))
        share = stats.rankdata(_ratios(returns[outside]))[best] / (trials + 1)
        below.append(math.log(share / (1 - share)) <= 0)
    return float(np.mean(below))


def _ratios(returns: Array) -> Array:
    spread = returns.std(axis=0, ddof=1)
    ratios: Array = np.where(spread > 0, returns.mean(axis=0) / np.where(spread > 0, spread, 1.0), 0.0)
    return ratios


def long_short_returns(scores: Array, returns: Array, horizon: int, *, first: int) -> SessionSeries:
    """Return what a portfolio that follows `scores` earned in each session, per unit of money put in.

    At each close the tickers are weighted by their rank in the session, averaged over the last `horizon` closes (so
    that nothing overlaps: each session's return is counted once) and scaled to a gross exposure of 1; it is what ic1
    (GATE.md, 2) measures, in money. Costs are left out. Sessions before the first `horizon` closes have no return.

    Parameters
    ----------
    scores : float64 (T, N)
        Score at each close, NaN where there is none. Of a single column, one score for the whole market, there is no
        rank: the score itself, averaged and cut to -1..1, is what is held.
    returns : float64 (T, N)
        Return of each session: neutralised for beta and volatility, so that neither earns anything here.
    first : int
        Number of the session of row 0.
    """
    alone = scores.shape[1] == 1
    weight = recent_mean(np.clip(scores, -1, 1) if alone else rank_rows(scores), horizon)
    known = np.isfinite(weight) & np.isfinite(returns)
    rows = np.flatnonzero(known.any(axis=1))
    weight, moves = np.where(known, weight, 0.0)[rows], np.where(known, returns, 0.0)[rows]
    gross = np.ones(len(rows)) if alone else np.abs(weight).sum(axis=1)
    earned = (weight * moves).sum(axis=1) / np.where(gross > 0, gross, 1.0)
    return SessionSeries((rows + first).astype(np.int32), earned)


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
