"""How much of what a slot shows is the luck of many trials: recorded with every version, and never deciding (E5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.evaluation.overfitting import (
    LEAST_SESSIONS,
    LEAST_TRIALS,
    SharpeMoments,
    deflated_sharpe,
    expected_best_sharpe,
    overfitting_probability,
    probabilistic_sharpe,
    sharpe_moments,
)
from marketloop.loop.house import House
from marketloop.state import Connection, Slot, streams, tunings

__all__ = ["search_evidence", "trial_evidence"]

YEAR = 252
Array = NDArray[np.float64]


def trial_evidence(house: House, slot: Slot, returns: Array | None = None) -> dict[str, Any]:
    """Return the deflated Sharpe ratio and the probability of overfitting of a slot, from all its counted trials.

    Counted are every trial of every tuning, pruned and failed ones too, and every recipe that a nomination compared.

    Parameters
    ----------
    returns : float64 (sessions,), optional
        Per-session returns of what is judged, usually the slot's stream (`evaluation.trials.stream_returns`); without
        them the best settings of the newest tuning are judged by the returns on its own folds.

    Returns
    -------
    dict
        ``trials, tuning_trials, recipes_compared, of, sharpe, sharpe_annual, sessions, skew, kurtosis, variance,
        variance_of, luck_annual, probabilistic_sharpe, deflated_sharpe, pbo, pbo_trials, pbo_sessions``; None where
        there is nothing to compute a figure from. `variance_of` says whether the variance of the ratios is that of the
        ``trials`` or, where fewer than two are known, what ``luck`` alone gives, ``1 / (sessions - 1)``.
    """
    with house.state.read() as db:
        counted = tunings.counts(db, slot)
        sharpes = [t.sharpe for t in tunings.trials_of(db, slot) if t.state == "complete" and t.sharpe is not None]
        newest = tunings.latest(db, slot)
        compared = _recipes_compared(db, slot)
    total = max(1, sum(counted.values()) + compared)
    searched: dict[str, Any] = {} if newest is None else dict(newest.evidence)
    if returns is not None:
        of, found = "stream", sharpe_moments(returns)
    elif searched:
        of, found = "tuning", _moments(searched["sharpe"])
    else:
        of, found = None, SharpeMoments(0.0, 0)
    return {
        "trials": total,
        "tuning_trials": counted,
        "recipes_compared": compared,
        "of": of,
        **found.document(),
        **_deflated(found, total, sharpes),
        **{name: searched.get(name) for name in ("pbo", "pbo_trials", "pbo_sessions")},
    }


def search_evidence(best: Sequence[float], complete: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Return what is kept of one search: moments of the `best` trial's returns, and overfitting over `complete` ones.

    Parameters
    ----------
    best : per-session returns of the best trial
    complete : per-session returns of every complete trial, on the same sessions
    """
    table = np.array(complete, dtype=np.float64).T if complete else np.zeros((0, 0))
    enough = table.ndim == 2 and table.shape[0] >= LEAST_SESSIONS and table.shape[1] >= LEAST_TRIALS
    return {
        "sharpe": sharpe_moments(np.asarray(best, dtype=np.float64)).document(),
        "pbo": round(overfitting_probability(table), 6) if enough else None,
        "pbo_trials": len(complete),
        "pbo_sessions": int(table.shape[0]),
    }


def _recipes_compared(db: Connection, slot: Slot) -> int:
    """Return how many contenders the nominations of the slot's streams have compared."""
    names = {
        str(fold["contender"])
        for stream in streams.history(db, slot)
        for block in streams.blocks_of(db, stream.id)
        for fold in block.params.get("folds", ())
    }
    return len(names)


def _deflated(found: SharpeMoments, total: int, sharpes: Sequence[float]) -> dict[str, Any]:
    if found.sessions < 2:
        names = ("variance", "variance_of", "luck_annual", "probabilistic_sharpe", "deflated_sharpe")
        return dict.fromkeys(names)
    known = len(sharpes) >= 2
    variance = float(np.var(sharpes, ddof=1)) if known else 1 / (found.sessions - 1)
    return {
        "variance": variance,
        "variance_of": "trials" if known else "luck",
        "luck_annual": round(expected_best_sharpe(total, variance) * math.sqrt(YEAR), 6),
        "probabilistic_sharpe": round(probabilistic_sharpe(found), 6),
        "deflated_sharpe": round(deflated_sharpe(found, trials=total, variance=variance), 6),
    }


def _moments(document: dict[str, Any]) -> SharpeMoments:
    return SharpeMoments(document["sharpe"], document["sessions"], document["skew"], document["kurtosis"])
