"""The series of `evaluation.rank_ic` without a loop over sessions, for full grids; a test compares both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.bench.study.panels import WARMUP, Arena
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE, sequential_ic

__all__ = ["average_ranks", "forward_ic", "one_session_ic", "rank_correlation"]

Array = NDArray[np.float64]


def average_ranks(values: Array) -> Array:
    """Return the rank 1..N of each value in its row, the average for ties."""
    rows, width = values.shape
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    first = np.ones((rows, width), dtype=bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    group = np.cumsum(first.ravel()) - 1
    places = np.tile(np.arange(1.0, width + 1), rows)
    mean = np.bincount(group, weights=places) / np.bincount(group)
    ranks = np.empty_like(values)
    np.put_along_axis(ranks, order, mean[group].reshape(rows, width), axis=1)
    return ranks


def rank_correlation(a: Array, b: Array) -> Array:
    """Return the correlation of each row of ranks `a` with that of `b` (all (T, N)); 0 where one is constant."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    out: Array = np.where(size > 0, (a * b).sum(axis=1) / np.where(size > 0, size, 1.0), 0.0)
    return out


def one_session_ic(arena: Arena, scores: Array, horizon: int, *, first: int = WARMUP) -> Array:
    """Return ic1 of `scores` from session ``first + horizon`` on, scores before `first` unsaid (GATE.md, 2)."""
    if scores.shape[1] < SMALL_UNIVERSE:
        said = np.where(np.arange(len(scores))[:, None] >= first, _tilt(scores, first), np.nan)
        return sequential_ic(said, arena.panel, arena.neutral, horizon, tilt=said).value
    return rank_correlation(held_ranks(scores[first:], horizon), average_ranks(arena.neutral[first + horizon :]))


def held_ranks(scores: Array, horizon: int) -> Array:
    """Return the ranks of the mean rank of the `horizon` sessions before each, from the first full window on."""
    ranks = average_ranks(scores) / scores.shape[1]
    total = np.cumsum(ranks, axis=0)
    window = total[horizon - 1 : -1].copy()
    window[1:] -= total[: -horizon - 1]
    return average_ranks(np.round(window / horizon, 10))


def forward_ic(arena: Arena, scores: Array, horizon: int, *, first: int = WARMUP) -> Array:
    """Return the rank IC of `scores` with the sum of the next `horizon` neutralised returns; it overlaps."""
    total = np.cumsum(np.nan_to_num(arena.neutral), axis=0)
    ahead = total[first + horizon :] - total[first:-horizon]
    return rank_correlation(average_ranks(scores[first:-horizon]), average_ranks(ahead))


def _tilt(scores: Array, first: int) -> Array:
    """Return the position of a small universe, scaled on the sessions before the first: they stand for training."""
    before = scores[max(first - 60, 0) : first]
    centre = float(np.median(before))
    size = float(np.quantile(np.abs(before - centre), 0.99))
    return np.clip((scores - centre) / size, -1, 1) if size > 0 else np.zeros_like(scores)
