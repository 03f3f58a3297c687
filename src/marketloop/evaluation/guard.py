"""The guard: a new champion beside the one it replaced, on sessions that neither has seen (SPEC C7; ADR 0010)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from marketloop.core.errors import UsageError
from marketloop.evaluation.boundary import constant_boundary
from marketloop.evaluation.intervals import LEAST_TERMS, ewc_interval, least_terms, z_of
from marketloop.evaluation.rank_ic import SessionSeries

__all__ = ["GuardFinding", "GuardPolicy", "guard", "guard_terms"]


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """The numbers of ``[guard]``.

    Parameters
    ----------
    window : int, at least 40
        Terms after a promotion that are looked at, night by night; afterwards the guard is silent for good. A series
        that overlaps is watched in proportion to its first look.
    alpha : float, above 0, to 0.05
        Probability of taking an equal champion back, over all looks of its window together. A series that overlaps
        spends half of it, because its z is rougher from night to night than the walk that the boundary was made for.
    """

    window: int = 63
    alpha: float = 0.02

    def __post_init__(self) -> None:
        if self.window < LEAST_TERMS:
            raise UsageError(f"[guard] window = {self.window}: expected at least {LEAST_TERMS} terms, z needs as many")


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """What the terms since a promotion say of the new champion.

    Parameters
    ----------
    n : int
        Terms that were read, at most `last_look`.
    first_look, last_look : int
        Terms at which the guard may speak for the first time, and after which it never speaks again.
    first, last : int, optional
        Sessions of the oldest and the newest term.
    mean, z : float
        Of new less old; `z` is NaN before the first look.
    low, high : float
        95 % interval of the mean; NaN with fewer than 60 terms.
    bar : float
        The champion is taken back when z is at or below it: minus the boundary that pays for every look.
    """

    n: int
    first_look: int
    last_look: int
    first: int | None
    last: int | None
    mean: float
    low: float
    high: float
    z: float
    bar: float
    alpha: float

    @property
    def worse(self) -> bool:
        """Whether the new champion is worse than bad luck explains."""
        return self.z <= self.bar

    @property
    def over(self) -> bool:
        """Whether the window is full: no later night changes this finding."""
        return self.n >= self.last_look

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON values; what is not known is null."""
        known = {"mean": self.mean, "z": self.z}
        interval = [self.low, self.high] if math.isfinite(self.low) else None
        return {
            "n": self.n,
            "first_look": self.first_look,
            "last_look": self.last_look,
            "first_session": self.first,
            "last_session": self.last,
            **{name: value if math.isfinite(value) else None for name, value in known.items()},
            "interval": interval,
            "z_guard": self.bar,
            "alpha": self.alpha,
            "worse": self.worse,
        }


def guard_terms(policy: GuardPolicy, overlap: int = 1) -> tuple[int, int]:
    """Return the numbers of terms at the first and at the last look.

    >>> guard_terms(GuardPolicy()), guard_terms(GuardPolicy(), 20)
    ((40, 63), (240, 378))
    """
    first = LEAST_TERMS if overlap == 1 else least_terms(overlap)
    return first, math.ceil(first * policy.window / LEAST_TERMS)


def guard(d: SessionSeries, policy: GuardPolicy, *, overlap: int = 1) -> GuardFinding:
    """Judge the differences, new champion less old, since the first session that neither has seen.

    The bar is fixed before the first term is known, and only the terms of the window are read: a night that runs twice
    is one look, a skipped night is no look, and what comes after the window changes nothing.

    Parameters
    ----------
    d : SessionSeries
        Differences of the series that decides about the family: ic1, or gains in log loss.
    overlap : int
        Sessions that one value reaches over; 1 takes a plain z, more the EWC p-value (GATE.md, 3).
    """
    first, last = guard_terms(policy, overlap)
    alpha = policy.alpha if overlap == 1 else policy.alpha / 2
    value, session = d.value[:last], d.session[:last]
    n = len(value)
    interval = ewc_interval(value, horizon=overlap)
    return GuardFinding(
        n=n,
        first_look=first,
        last_look=last,
        first=int(session[0]) if n else None,
        last=int(session[-1]) if n else None,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        z=z_of(value, overlap) if n >= first else math.nan,
        bar=-constant_boundary(alpha, last / first),
        alpha=alpha,
    )
