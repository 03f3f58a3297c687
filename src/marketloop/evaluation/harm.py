"""The harm alarm: a model whose own live evidence has turned bad goes out of service (GATE.md, 4; C7)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from marketloop.evaluation.facts import GatePolicy
from marketloop.evaluation.intervals import least_terms, z_of
from marketloop.evaluation.rank_ic import SessionSeries

__all__ = ["HarmFinding", "harm", "harm_terms"]


@dataclass(frozen=True, slots=True)
class HarmFinding:
    """What the newest `window` terms of a live series say.

    Parameters
    ----------
    n : int
        Terms there were, at most `window`.
    first, last : int, optional
        Sessions of the oldest and the newest of them.
    mean, z : float
        NaN with fewer than `window` terms: nothing is known then, and nothing rings.
    bar : float
        The alarm rings at or below it.
    """

    n: int
    window: int
    first: int | None
    last: int | None
    mean: float
    z: float
    bar: float

    @property
    def alarm(self) -> bool:
        """Whether the series is worse than bad luck explains."""
        return self.z <= self.bar

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON values; what is not known is null."""
        known = {"mean": self.mean, "z": self.z}
        return {
            "n": self.n,
            "window": self.window,
            "first_session": self.first,
            "last_session": self.last,
            **{name: value if math.isfinite(value) else None for name, value in known.items()},
            "z_harm": self.bar,
            "alarm": self.alarm,
        }


def harm_terms(policy: GatePolicy, overlap: int = 1) -> int:
    """Return how many terms the alarm reads: overlapping ones need more for their z."""
    return policy.harm_window if overlap == 1 else max(policy.harm_window, least_terms(overlap))


def harm(x: SessionSeries, policy: GatePolicy, *, overlap: int = 1) -> HarmFinding:
    """Judge the newest terms of a live series.

    Parameters
    ----------
    x : SessionSeries
        What a served model did, per session: its own ic1 or gain, or its difference to the model that served before.
    overlap : int
        Sessions that one value reaches over.
    """
    window = harm_terms(policy, overlap)
    newest, sessions = x.value[-window:], x.session[-window:]
    n = len(newest)
    enough = n >= window
    return HarmFinding(
        n=n,
        window=window,
        first=int(sessions[0]) if n else None,
        last=int(sessions[-1]) if n else None,
        mean=float(newest.mean()) if enough else math.nan,
        z=z_of(newest, overlap) if enough else math.nan,
        bar=policy.z_harm,
    )
