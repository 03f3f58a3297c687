"""How good predictions turned out to be: figures beside those of no skill, and an estimate of what is still open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from marketloop.evaluation.intervals import ewc_interval, least_terms
from marketloop.evaluation.rank_ic import spearman_rows

__all__ = ["Estimate", "Figure", "estimated_hits", "hit_rate", "rank_correlation", "root_error"]

LEVEL: Final = 0.95
Array = NDArray[np.float64]
Sessions = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of matured rows beside that of no skill on the same rows.

    Parameters
    ----------
    value, baseline : float
        NaN where there is nothing to measure.
    low, high : float
        Ends of the 95 % interval of `value`; NaN with too few sessions.
    rows, sessions : int
        How many rows, and sessions, the figure rests on.
    """

    value: float
    baseline: float
    low: float = math.nan
    high: float = math.nan
    rows: int = 0
    sessions: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is to be expected of rows that have not matured; `low` and `high` are NaN where the past is too short."""

    value: float
    low: float = math.nan
    high: float = math.nan


def hit_rate(session: Sessions, hit: NDArray[np.bool_], happened: NDArray[Any], *, horizon: int) -> Figure:
    """Return the share of rows whose class came true.

    No skill is one class for every row, the one that was most frequent among these very rows: more than anybody who
    says one class could have known before.

    Parameters
    ----------
    session : int32 (n,)
        Session of which each row speaks.
    hit : bool (n,)
    happened : array (n,)
        Names or codes of the classes that came true.
    horizon : int
        Sessions by which the outcomes of neighbouring sessions overlap.
    """
    if len(hit) == 0:
        return Figure(math.nan, math.nan)
    _, count = np.unique(happened, return_counts=True)
    return _pooled(session, hit.astype(np.float64), baseline=float(count.max()) / len(hit), horizon=horizon)


def root_error(session: Sessions, predicted: Array, happened: Array, *, horizon: int) -> Figure:
    """Return the root mean square error; no skill is one value for every row, the mean of these very rows."""
    if len(happened) == 0:
        return Figure(math.nan, math.nan)
    square = _pooled(session, (predicted - happened) ** 2, baseline=float(happened.var()), horizon=horizon)
    low, high = (math.sqrt(max(end, 0.0)) if math.isfinite(end) else math.nan for end in (square.low, square.high))
    return Figure(math.sqrt(square.value), math.sqrt(square.baseline), low, high, square.rows, square.sessions)


def rank_correlation(
    session: Sessions, ticker: NDArray[np.intp], score: Array, happened: Array, *, horizon: int
) -> Figure:
    """Return the mean over sessions of the Spearman correlation of score and outcome; no skill is 0.

    Sessions with fewer than 10 tickers say nothing; where there is no other the value is NaN.

    Parameters
    ----------
    ticker : int (n,)
        Number of the ticker, 0 and up.
    """
    if len(score) == 0:
        return Figure(math.nan, 0.0)
    sessions, place = np.unique(session, return_inverse=True)
    scores, outcomes = np.full((2, len(sessions), int(ticker.max()) + 1), np.nan)
    scores[place, ticker], outcomes[place, ticker] = score, happened
    series = spearman_rows(scores, outcomes, 0)
    if len(series) == 0:
        return Figure(math.nan, 0.0, rows=len(score))
    found = ewc_interval(series.value, horizon=horizon, level=LEVEL)
    return Figure(found.mean, 0.0, found.low, found.high, len(score), found.n)


def estimated_hits(
    session: Sessions,
    probability: Array,
    *,
    past_session: Sessions,
    past_surprise: Array,
    horizon: int,
) -> Estimate:
    """Return the share of hits to be expected of rows that have not matured, from their own probabilities.

    Parameters
    ----------
    session, probability : int32 (n,), float64 (n,)
        The immature rows, and the probability of the class that each names.
    past_session, past_surprise : int32 (m,), float64 (m,)
        Matured rows: hit (0 or 1) less the probability that was said.

    Notes
    -----
    The tickers of one session, and sessions whose outcomes overlap, are surprised together: the rows are worth little
    more than one observation. The interval takes the mean square of the mean surprise over as many neighbouring
    sessions as there are immature ones, as the past showed it: spread, and miscalibration too. Its degrees of freedom
    are the stretches of that length (and of `horizon` more) that the past holds side by side; below
    ``max(60, 12 * horizon)`` matured sessions there is no interval.
    """
    if len(probability) == 0:
        return Estimate(math.nan)
    value = float(probability.mean())
    ahead = len(np.unique(session))
    means = _session_means(past_session, past_surprise)
    if len(means) < max(least_terms(horizon), 4 * (ahead + horizon)):
        return Estimate(value)
    sums = np.cumsum(np.concatenate([[0.0], means]))
    stretches = (sums[ahead:] - sums[:-ahead]) / ahead
    freedom = len(means) // (ahead + horizon)
    half = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(float(np.mean(stretches**2)))
    return Estimate(value, max(value - half, 0.0), min(value + half, 1.0))


def _pooled(session: Sessions, values: Array, *, baseline: float, horizon: int) -> Figure:
    """Return the mean over all rows, with the interval of the ratio of two session series.

    The interval is that of the session sums less what their number of rows explains, so that sessions may have any
    number of rows and all rows of a session stay together.
    """
    mean = float(values.mean())
    _, place, count = np.unique(session, return_inverse=True, return_counts=True)
    excess = np.bincount(place, weights=values - mean) / count.mean()
    found = ewc_interval(mean + excess, horizon=horizon, level=LEVEL)
    return Figure(mean, baseline, found.low, found.high, len(values), found.n)


def _session_means(session: Sessions, values: Array) -> Array:
    if len(values) == 0:
        return np.zeros(0)
    _, place, count = np.unique(session, return_inverse=True, return_counts=True)
    return np.bincount(place, weights=values) / count
