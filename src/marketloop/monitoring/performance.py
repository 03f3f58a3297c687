"""How the predictions of a champion have done since, beside what it was examined with: accuracy and calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from marketloop.evaluation.intervals import ewc_interval
from marketloop.evaluation.matured import per_session
from marketloop.evaluation.metrics import calibration
from marketloop.monitoring.finding import Action, Finding, by_error, by_points, by_rank_ic

__all__ = ["LEAST_SESSIONS", "Judged", "Performance", "calibration_now", "judge", "regime_lag"]

Array = NDArray[np.float64]

LEAST_SESSIONS: Final = 20
"""Matured sessions below which nothing is said of accuracy."""
MOST_LAG: Final = 3
"""Sessions by which a classifier of regimes may come late."""
LONGEST_LAG: Final = 20
LEAST_FOR_LAG: Final = 60
_UNITS: Final = {"accuracy": "points of accuracy", "rank_ic": "of mean rank IC", "rmse": "of RMSE"}


@dataclass(frozen=True, slots=True)
class Judged:
    """Matured predictions, one figure per session, in order of time.

    Parameters
    ----------
    figure : ``accuracy``, ``rank_ic`` or ``rmse``
    value : float64 (s,)
        Share of hits, rank IC, or mean *squared* error of the session.
    overlap : int
        Sessions by which the outcomes of neighbours overlap.
    """

    figure: str
    value: Array
    overlap: int = 1


@dataclass(frozen=True, slots=True)
class Performance:
    """What was lost against the reference.

    Parameters
    ----------
    figure : str
        ``accuracy``, ``rank_ic`` or ``rmse``.
    reference, current : float or None
        The champion's figure when it was examined, and that of the matured sessions.
    lost : float or None
        Points of accuracy, rank IC, or the relative growth of RMSE; None, and never 0, where it is not known.
    low, high : float or None
        95 % interval of `lost`; None where there are too few sessions for one.
    sessions : int
        Matured sessions.
    finding : Finding
    """

    figure: str
    reference: float | None
    current: float | None
    lost: float | None
    low: float | None
    high: float | None
    sessions: int
    finding: Finding

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        interval = None if self.low is None or self.high is None else [round(self.low, 4), round(self.high, 4)]
        return {
            "figure": self.figure,
            "sessions": self.sessions,
            "lost": None if self.lost is None else round(self.lost, 4),
            "interval": interval,
        }


def judge(judged: Judged, reference: float | None) -> Performance:
    """Compare matured predictions with the reference.

    A loss that chance explains (its 95 % interval reaches 0) asks for nothing yet: with overlapping outcomes twenty
    sessions of accuracy swing widely on a market that has not changed. Rank IC is counted in its own
    standard errors already.
    """
    n, name = len(judged.value), judged.figure
    if n < LEAST_SESSIONS or reference is None:
        why = (
            f"the champion was examined without {name}"
            if reference is None and n >= LEAST_SESSIONS
            else f"{n} matured sessions, at least {LEAST_SESSIONS} are needed: what was lost is not known yet"
        )
        return Performance(name, reference, None, None, None, None, n, Finding("accuracy", "monitor", why))
    interval = ewc_interval(judged.value, horizon=judged.overlap)
    mean, error = interval.mean, _standard_error(judged, interval.low, interval.high)
    current = math.sqrt(mean) if name == "rmse" else mean
    lost, spread = _lost(name, current, reference, error)
    low, high = (None, None) if spread is None else (lost - 1.96 * spread, lost + 1.96 * spread)
    action = _action(name, current, reference, error)
    chance = name != "rank_ic" and action != "monitor" and (low is None or low <= 0)
    said = f"{lost:+.1%}" if name == "rmse" else (f"{lost:.1f}" if name == "accuracy" else f"{lost:.4f}")
    reason = f"{said} {_UNITS[name]} lost on {n} matured sessions ({current:.4f}, reference {reference:.4f})"
    if chance:
        action, reason = "monitor", f"{reason}: chance explains as much"
    return Performance(name, reference, current, lost, low, high, n, Finding("accuracy", action, reason))


def _standard_error(judged: Judged, low: float, high: float) -> float | None:
    """Return the standard error of the mean, with overlap; a plain one, widened for it, where EWC has too few."""
    if math.isfinite(low):
        return (high - low) / 2 / 1.96
    x = judged.value
    spread = float(x.std(ddof=1)) / math.sqrt(len(x))
    return spread * math.sqrt(judged.overlap) if spread > 0 else None


def _lost(name: str, current: float, reference: float, error: float | None) -> tuple[float, float | None]:
    if name == "accuracy":
        return 100 * (reference - current), None if error is None else 100 * error
    if name == "rank_ic":
        return reference - current, error
    # d sqrt(m) = dm / (2 sqrt(m)), relative to the reference
    grown = current / reference - 1 if reference > 0 else 0.0
    return grown, None if error is None or current <= 0 or reference <= 0 else error / (2 * current * reference)


def _action(name: str, current: float, reference: float, error: float | None) -> Action:
    if name == "accuracy":
        return by_points(100 * (reference - current))
    if name == "rank_ic":
        return "monitor" if error is None else by_rank_ic(reference - current, error)
    return by_error(current, reference)


def calibration_now(
    hit: NDArray[np.bool_],
    probability: Array,
    session: NDArray[np.integer],
    *,
    reference: float | None,
    overlap: int = 1,
) -> tuple[float | None, Finding]:
    """Return the calibration score of matured predictions (1 less expected calibration error), and what it asks for.

    Parameters
    ----------
    hit : bool (n,)
        Whether the likeliest class came true.
    probability : float64 (n,)
        What it was given.
    session : int (n,)
        Number of the session, 0 and up, that each row speaks of.
    reference : float or None
        The score of the examination. Points lost against it are judged as points of accuracy are: by so much the
        probabilities lie further from what happens. What chance explains (the 95 % interval of the mean gap between
        probability and hits is as wide) asks for nothing yet.
    overlap : int
        Sessions by which the outcomes of neighbours overlap.
    """
    sessions = len(np.unique(session))
    if sessions < LEAST_SESSIONS or reference is None:
        return None, Finding("calibration", "monitor", f"{sessions} matured sessions: calibration is not known yet")
    score = calibration(np.where(hit, 0, 1), probability[:, None]).score
    lost = 100 * (reference - score)
    action = by_points(lost)
    reason = f"{lost:.1f} points of calibration lost ({score:.3f}, reference {reference:.3f})"
    _, gaps = per_session(session.astype(np.int32), probability - hit)
    interval = ewc_interval(gaps, horizon=overlap)
    error = _standard_error(Judged("gap", gaps, overlap), interval.low, interval.high)
    if action != "monitor" and error is not None and 100 * 1.96 * error >= lost:
        action, reason = "monitor", f"{reason}: chance explains as much"
    return score, Finding("calibration", action, reason)


def regime_lag(said: NDArray[np.integer], happened: NDArray[np.integer]) -> int | None:
    """Return by how many sessions what was said follows what happened: the shift at which both agree most.

    Parameters
    ----------
    said, happened : int (s,)
        Class of consecutive sessions; both NaN-free.

    Returns
    -------
    int or None
        0..20; None with fewer than 60 sessions, or when either never changes.

    >>> happened = np.repeat([0, 1, 2, 0, 1], 20)
    >>> regime_lag(np.roll(happened, 5), happened)
    5
    """
    n = len(happened)
    if n < LEAST_FOR_LAG or len(np.unique(said)) < 2 or len(np.unique(happened)) < 2:
        return None
    longest = min(LONGEST_LAG, n // 3)
    agreement = [float(np.mean(said[longest:] == happened[longest - lag : n - lag])) for lag in range(longest + 1)]
    return int(np.argmax(agreement))
