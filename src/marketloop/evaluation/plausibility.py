"""Figures too good to be true are treated as a leak until proven otherwise (GATE.md, section 5)."""

from __future__ import annotations

import math

from marketloop.core.catalog import Check
from marketloop.evaluation.scorecard import Scorecard

__all__ = ["most_plausible_ic", "plausibility"]

MOST_HIT_RATE = 0.60


def most_plausible_ic(horizon: int) -> float:
    """Return the rank IC that nobody reaches honestly at `horizon` sessions: ``0.15 sqrt(h / 5)`` in 0.10..0.35."""
    return min(max(0.15 * math.sqrt(horizon / 5), 0.10), 0.35)


def plausibility(scorecard: Scorecard, *, threshold_ic: float | None = None) -> tuple[Check, ...]:
    """Return the hard checks on rank IC and direction hit rate.

    One-sided 95 % lower bounds are compared, so a lucky short run does not quarantine; with too few sessions for an
    interval the check passes and says so. Never an absolute accuracy: the majority class alone may have 0.77.

    Parameters
    ----------
    threshold_ic : float, optional
        ``gate.plausibility_ic``, when the user raised the bar; the record states it.
    """
    bar = most_plausible_ic(scorecard.horizon) if threshold_ic is None else threshold_ic
    return (
        _check("plausibility", "rank IC", scorecard.ic.lower, bar),
        _check("plausibility_direction", "direction hit rate", scorecard.hit_rate.lower, MOST_HIT_RATE),
    )


def _check(name: str, what: str, lower: float, bar: float) -> Check:
    if not math.isfinite(lower):
        return Check(
            name,
            None,
            bar,
            passed=True,
            hard=True,
            detail=f"{what}: too few sessions with at least 10 tickers to judge",
        )
    good = lower <= bar
    verdict = "plausible" if good else "too good to be true: look for a leak"
    detail = f"{what} is at least {lower:.3f} at 95 %, {verdict} (bar {bar:.3f})"
    return Check(name, lower, bar, good, hard=True, detail=detail)
