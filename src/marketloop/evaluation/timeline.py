"""The course of a stream, session by session and window by window: what the charts of a report are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.evaluation.intervals import LEAST_TERMS, ewc_interval, z_of
from marketloop.evaluation.matured import Matured, matured
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE, SessionSeries, spearman_rows
from marketloop.evaluation.skill_series import skill_series
from marketloop.evaluation.stream import Stream, StreamSpec, grid_of
from marketloop.labels import Panel, forward_outcomes

__all__ = ["Regimes", "Rolling", "Timeline", "Window", "rolling_mean", "timeline", "z_path"]

WINDOW_BLOCKS = 3
ROLLING = 126
OVERLAPPING_STEP = 5
"""An overlapping series needs a whole interval for each point of its path; every fifth point draws the same line."""
Array = NDArray[np.float64]
Sessions = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Window:
    """Figures of neighbouring blocks: the accuracy of a classifier beside that of no skill, the mean rank IC.

    What a family does not have is NaN.
    """

    first: int
    last: int
    rows: int
    accuracy: float
    no_skill: float
    rank_ic: float


@dataclass(frozen=True, slots=True)
class Regimes:
    """What was said of each session's regime, and what came of it.

    `probabilities` and `persistence` (what the last known regime alone would say) are (n, classes); `label` (n,) is the
    class code that was realised, -1 while it is not known.
    """

    session: Sessions
    probabilities: Array
    persistence: Array
    label: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The series of one stream.

    Parameters
    ----------
    x : SessionSeries
        What decides: ic1, or gains in log loss.
    rank_ic : SessionSeries, optional
        At the label's horizon, on neutralised returns; None where there is no cross-section.
    windows : tuple of Window
    regimes : Regimes, optional
        For a family that says one thing of a whole session.
    """

    x: SessionSeries
    rank_ic: SessionSeries | None
    windows: tuple[Window, ...]
    regimes: Regimes | None


@dataclass(frozen=True, slots=True)
class Rolling:
    """Mean of the last `length` values at each session, with the 95 % interval of that mean."""

    length: int
    session: Sessions
    mean: Array
    low: Array
    high: Array


def timeline(stream: Stream, matrix: Matrix, panel: Panel, spec: StreamSpec) -> Timeline:
    """Return the course of `stream` as far as `panel` and `matrix` know the outcomes."""
    rank_ic = None
    if spec.family.unit == "ticker" and len(panel.tickers) >= SMALL_UNIVERSE:
        outcome = forward_outcomes(panel, spec.label.horizon).neutral
        rank_ic = spearman_rows(grid_of(stream.scores, panel), outcome, panel.first)
    rows = matured(stream, matrix)
    return Timeline(
        x=skill_series(stream, matrix, panel, spec),
        rank_ic=rank_ic,
        windows=_windows(stream, rows, rank_ic),
        regimes=_regimes(stream, rows) if spec.family.unit == "session" else None,
    )


def z_path(x: SessionSeries, overlap: int = 1) -> SessionSeries:
    """Return the z that each session's look would have seen, from the first that is known."""
    if overlap == 1:
        total, square = np.cumsum(x.value), np.cumsum(np.square(x.value))
        known = np.flatnonzero((np.arange(1, len(x) + 1) >= LEAST_TERMS) & (square > 0))
        return SessionSeries(x.session[known], total[known] / np.sqrt(square[known]))
    ends = np.arange(len(x), 0, -OVERLAPPING_STEP)[::-1]
    values = np.array([z_of(x.value[:end], overlap) for end in ends.tolist()])
    good = np.isfinite(values)
    return SessionSeries(x.session[ends[good] - 1], values[good])


def rolling_mean(series: SessionSeries, *, horizon: int, length: int = ROLLING) -> Rolling:
    """Return the rolling mean of a series whose values reach over `horizon` sessions, with its EWC interval."""
    ends = np.arange(length, len(series) + 1)
    found = [ewc_interval(series.value[end - length : end], horizon=horizon) for end in ends.tolist()]
    return Rolling(
        length,
        series.session[ends - 1] if len(ends) else series.session[:0],
        *(np.array([getattr(interval, name) for interval in found]) for name in ("mean", "low", "high")),
    )


def _windows(stream: Stream, rows: Matured, rank_ic: SessionSeries | None) -> tuple[Window, ...]:
    """Return one window per three blocks of the calendar; the first and the last may be cut short."""
    if stream.scores.is_empty():
        return ()
    bounds = (
        stream.scores.group_by(window=pl.col("block") // WINDOW_BLOCKS)
        .agg(first=pl.col("session").min(), last=pl.col("session").max(), rows=pl.len())
        .sort("window")
    )
    right, usual = _hits(rows)
    found = []
    for first, last, count in bounds.select("first", "last", "rows").iter_rows():
        inside = (rows.session >= first) & (rows.session <= last)
        ic = rank_ic.between(first, last).value if rank_ic is not None else np.zeros(0)
        accuracy = _mean(right[inside]) if right is not None else np.nan
        no_skill = _mean(usual[inside]) if usual is not None else np.nan
        found.append(Window(first, last, count, accuracy, no_skill, _mean(ic)))
    return tuple(found)


def _hits(rows: Matured) -> tuple[Array | None, Array | None]:
    if rows.probabilities is None or rows.baseline is None:
        return None, None
    return (
        (rows.probabilities.argmax(axis=1) == rows.label).astype(np.float64),
        (rows.baseline.argmax(axis=1) == rows.label).astype(np.float64),
    )


def _regimes(stream: Stream, rows: Matured) -> Regimes | None:
    scores = stream.scores
    if scores.is_empty() or scores["probabilities"].null_count() or scores["baseline"].null_count():
        return None
    session = scores["session"].to_numpy()
    label = np.full(len(session), -1, dtype=np.intp)
    label[np.searchsorted(session, rows.session)] = rows.label.astype(np.intp)
    said, usual = (np.array(scores[name].to_list(), dtype=np.float64) for name in ("probabilities", "baseline"))
    return Regimes(session.astype(np.int32), said, usual, label)


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")
