"""Does a score order the returns? Rank information coefficients per session, with and without overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.labels import Panel, neutralise

__all__ = [
    "SMALL_UNIVERSE",
    "SessionSeries",
    "mean_rank_ic",
    "neutral_one_session",
    "rank_rows",
    "sequential_ic",
    "spearman_rows",
]

SMALL_UNIVERSE = 10
"""With fewer tickers in common a session has no cross-section to speak of."""

LEAST_PAST = 60
"""Returns of a ticker from which its drift is taken at least; before, it counts as none."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SessionSeries:
    """One value per session, in order of time; `dropped` counts sessions with too few common tickers."""

    session: NDArray[np.int32]
    value: Array
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.session)

    def between(self, first: int, last: int) -> SessionSeries:
        """Return the values of the sessions ``first..last``."""
        keep = (self.session >= first) & (self.session <= last)
        return SessionSeries(self.session[keep], self.value[keep])

    def minus(self, other: SessionSeries) -> SessionSeries:
        """Return the differences on the sessions that both have."""
        common, mine, theirs = np.intersect1d(self.session, other.session, return_indices=True)
        return SessionSeries(common.astype(np.int32), self.value[mine] - other.value[theirs])


def rank_rows(values: Array) -> Array:
    """Rank each row to ``rank / (N - 1) - 0.5`` (average ranks for ties); NaN stays NaN, a lone value is 0."""
    out = np.full(values.shape, np.nan)
    for t, row in enumerate(values):
        known = np.isfinite(row)
        n = int(known.sum())
        if n:
            out[t, known] = (_average_ranks(row[known]) - 1) / (n - 1) - 0.5 if n > 1 else 0.0
    return out


def neutral_one_session(panel: Panel) -> Array:
    """Return one-session returns (T, N) less what beta and volatility known the close before explain."""
    return neutralise(panel.returns, (_lag(panel.beta), _lag(panel.vol)))


def _lag(values: Array) -> Array:
    out = np.full_like(values, np.nan)
    out[1:] = values[:-1]
    return out


def spearman_rows(scores: Array, returns: Array, first: int) -> SessionSeries:
    """Return the Spearman correlation of every row of `scores` (T, N) with the same row of `returns`.

    A constant score is worth 0, not NaN; rows with fewer than 10 common tickers are dropped and counted, except rows
    where nothing is known at all.
    """
    sessions, values, dropped = [], [], 0
    for t in range(len(scores)):
        common = np.isfinite(scores[t]) & np.isfinite(returns[t])
        n = int(common.sum())
        if n == 0:
            continue
        if n < SMALL_UNIVERSE:
            dropped += 1
            continue
        sessions.append(first + t)
        values.append(_correlation(_average_ranks(scores[t, common]), _average_ranks(returns[t, common])))
    return SessionSeries(np.array(sessions, np.int32), np.array(values, np.float64), dropped)


def mean_rank_ic(rows: Matrix, score: Array) -> float:
    """Return the mean rank IC of `score` (n,) against the targets of `rows`; NaN where no session has 10 tickers."""
    if len(rows) == 0:
        return float("nan")
    first, last = int(rows.session[0]), int(rows.session[-1])
    shape = (last - first + 1, len(rows.tickers))
    scores, outcome = np.full(shape, np.nan), np.full(shape, np.nan)
    scores[rows.session - first, rows.ticker] = score
    outcome[rows.session - first, rows.ticker] = rows.target
    value = spearman_rows(scores, outcome, first).value
    return float(value.mean()) if len(value) else float("nan")


def _average_ranks(values: Array) -> Array:
    """Return ranks 1..n, the average for ties: `scipy.stats.rankdata` without what its many options cost per row."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def _correlation(a: Array, b: Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt(np.dot(a, a) * np.dot(b, b)))
    return float(np.dot(a, b)) / size if size > 0 else 0.0


def sequential_ic(
    scores: Array, panel: Panel, neutral: Array, horizon: int, *, tilt: Array | None = None
) -> SessionSeries:
    """Return ic1, the series that decides: recent scores against the *one-session* return (GATE.md, 2).

    The ranks of the scores of the last `horizon` sessions are averaged and correlated with the neutralised return of
    session t alone. Without skill every term is a martingale difference, so nothing overlaps and each new session is
    evidence the same evening.

    Parameters
    ----------
    scores : float64 (T, N)
        Score of each ticker at the close of each session of `panel`; NaN where there is none.
    neutral : float64 (T, N)
        From `neutral_one_session`.
    tilt : float64 (T, N), optional
        Score less its median on training rows over the 99 % quantile of its size, clipped to -1..1; with fewer than
        10 tickers the position it stands for is followed instead of a rank, less its own past mean.
    """
    if scores.shape[1] < SMALL_UNIVERSE:
        return _position_pnl(scores if tilt is None else tilt, panel, horizon)
    # Means of ranks tie often; the last bits of a sum must not break a tie.
    held = np.round(recent_mean(rank_rows(scores), horizon), 12)
    return spearman_rows(held, neutral, panel.first)


def recent_mean(values: Array, horizon: int) -> Array:
    """Return the mean of the `horizon` rows *before* each row, NaN before the first full window.

    Gaps of a ticker are skipped.
    """
    out = np.full(values.shape, np.nan)
    known = np.isfinite(values)
    scored = np.flatnonzero(known.any(axis=1))
    if len(scored) == 0:
        return out
    first = int(scored[0]) + horizon
    filled = np.where(known, values, 0.0)
    sums, counts = np.zeros_like(out[first:]), np.zeros_like(out[first:])
    for back in range(1, horizon + 1):
        sums += filled[first - back : len(values) - back]
        counts += known[first - back : len(values) - back]
    out[first:] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return out


def _position_pnl(tilt: Array, panel: Panel, horizon: int) -> SessionSeries:
    """Return what positions gained by their timing, for a universe without a cross-section (ADR 0014).

    Both sides are taken less their own past: a position less the mean of those before it, a return less the mean of the
    ticker's returns before it. Otherwise a constant bet on tickers that happened to rise counts as skill.
    """
    held = recent_mean(np.clip(tilt, -1, 1), horizon)
    held = held - _lag(_past_mean(held, 1))  # the first has no past, and tells nothing
    with np.errstate(invalid="ignore", divide="ignore"):
        surprise = panel.returns - np.nan_to_num(_lag(_past_mean(panel.returns, LEAST_PAST)))
        move = np.clip(surprise / _lag(panel.short_vol), -4, 4)
    gain = held * move
    known = np.isfinite(gain)
    rows = np.flatnonzero(known.any(axis=1))
    value = np.where(known, gain, 0.0).sum(axis=1)[rows] / known.sum(axis=1)[rows]
    return SessionSeries((rows + panel.first).astype(np.int32), value)


def _past_mean(values: Array, least: int) -> Array:
    """Return the mean of each column through each row, NaN with fewer than `least` values; gaps are skipped."""
    known = np.isfinite(values)
    count = np.cumsum(known, axis=0)
    total = np.cumsum(np.where(known, values, 0.0), axis=0)
    return np.where(count >= least, total / np.maximum(count, 1), np.nan)
