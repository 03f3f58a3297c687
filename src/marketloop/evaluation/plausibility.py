"""Figures too good to be true are treated as a leak until proven otherwise (GATE.md, section 5)."""

from __future__ import annotations

import math
from typing import Protocol

from marketloop.core.catalog import Check
from marketloop.evaluation.intervals import Interval

__all__ = ["MOST_REGIME_EDGE", "Figures", "most_plausible_hit_rate", "most_plausible_ic", "plausibility"]

MOST_REGIME_EDGE = 0.20
"""Accuracy beyond that of the last *known* label; yesterday's label, which nobody knows yet, would have 0.45 more."""


class Figures(Protocol):
    """What is judged: of a `Scorecard`, or of a stretch of a stream."""

    @property
    def statistic(self) -> str:
        """``rank_ic`` or ``log_loss``."""

    @property
    def horizon(self) -> int:
        """Sessions that the label reaches over."""

    @property
    def ic(self) -> Interval:
        """Reported rank IC."""

    @property
    def hit_rate(self) -> Interval:
        """Right directions among the larger moves; without terms for a family that predicts a value."""

    @property
    def regime_edge(self) -> Interval | None:
        """Accuracy beyond that of the last known label."""


def most_plausible_ic(horizon: int) -> float:
    """Return the rank IC that nobody reaches honestly at `horizon` sessions: ``0.15 sqrt(h / 5)`` in 0.10..0.35."""
    return min(max(0.15 * math.sqrt(horizon / 5), 0.10), 0.35)


def most_plausible_hit_rate(horizon: int) -> float:
    """Return the share of right directions among the larger moves that nobody reaches honestly.

    0.60 up to 5 sessions, where a rank IC of 0.20 gives 0.589; then ``0.5 + 0.1 sqrt(h / 5)``, at most 0.70: over 20
    sessions of a rising market whoever is always bullish has 0.67 without looking (docs/evidence/gate.md).
    """
    return min(max(0.5 + 0.1 * math.sqrt(horizon / 5), 0.60), 0.70)


def plausibility(scorecard: Figures, *, threshold_ic: float | None = None) -> tuple[Check, ...]:
    """Return the hard checks of a family's figures: each reads those that the family has.

    Regimes are judged by their lead on the last known label, everything else by its rank IC and, where there are
    classes, by its direction hit rate. One-sided 95 % lower bounds are compared, so a lucky short run does not
    quarantine; with too few sessions for an interval a check passes and says so. Never an absolute accuracy: the
    majority class alone may have 0.77.

    Parameters
    ----------
    threshold_ic : float, optional
        ``gate.plausibility_ic``, when the user raised the bar; the record states it.
    """
    if scorecard.statistic == "log_loss":
        edge = scorecard.regime_edge
        return (_check("plausibility_regime", "the lead on the last known label", edge, MOST_REGIME_EDGE),)
    usual = most_plausible_ic(scorecard.horizon)
    order = _check("plausibility", "rank IC", scorecard.ic, usual if threshold_ic is None else threshold_ic)
    if threshold_ic is not None:
        order = _with_remark(order, f"gate.plausibility_ic set by the project, usually {usual:.3f}")
    if scorecard.hit_rate.n == 0:
        return (order,)
    return order, _check(
        "plausibility_direction", "direction hit rate", scorecard.hit_rate, most_plausible_hit_rate(scorecard.horizon)
    )


def _check(name: str, what: str, interval: Interval | None, bar: float) -> Check:
    lower = math.nan if interval is None else interval.lower
    if not math.isfinite(lower):
        detail = f"{what}: too few sessions to judge ({0 if interval is None else interval.n})"
        return Check(name, None, bar, passed=True, hard=True, detail=detail)
    good = lower <= bar
    verdict = "plausible" if good else "too good to be true: look for a leak"
    detail = f"{what} is at least {lower:.3f} at 95 %, {verdict} (bar {bar:.3f})"
    return Check(name, lower, bar, good, hard=True, detail=detail)


def _with_remark(check: Check, remark: str) -> Check:
    detail = f"{check.detail}; {remark}"
    return Check(check.name, check.value, check.threshold, check.passed, hard=check.hard, detail=detail)
