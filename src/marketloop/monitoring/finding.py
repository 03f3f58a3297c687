"""What is to be done: monitor, plan a retraining, or retrain now; the most severe reason wins (SPEC M3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from marketloop.monitoring.features import Level

__all__ = [
    "ACTIONS",
    "PLAN_DAYS",
    "Action",
    "Finding",
    "by_error",
    "by_features",
    "by_points",
    "by_rank_ic",
    "most_severe",
]

Action = Literal["monitor", "plan", "retrain"]

ACTIONS: Final[tuple[Action, ...]] = ("monitor", "plan", "retrain")
"""From mild to severe."""
PLAN_DAYS: Final = 14
"""Days within which a planned retraining should come."""
POINTS: Final = (5.0, 10.0)
STANDARD_ERRORS: Final = (1.0, 2.0)
RELATIVE_ERROR: Final = (0.05, 0.10)
_OF_LEVEL: Final[dict[Level, Action]] = {"Low": "monitor", "Medium": "plan", "High": "retrain"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason and what it asks for.

    Parameters
    ----------
    about : ``accuracy``, ``calibration``, ``features`` or ``regime``
    action : ``monitor``, ``plan`` (within 14 days) or ``retrain`` (now)
    reason : str
        One sentence with the numbers.
    """

    about: str
    action: Action
    reason: str

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"about": self.about, "action": self.action, "reason": self.reason}


def by_points(lost: float) -> Action:
    """Return what accuracy asks for that has lost so many percentage points; a gain asks for nothing.

    >>> by_points(4.99), by_points(5.0), by_points(9.99), by_points(10.0)
    ('monitor', 'plan', 'plan', 'retrain')
    """
    return _stage(lost, POINTS)


def by_rank_ic(lost: float, standard_error: float) -> Action:
    """Return what a mean rank IC asks for that has lost `lost`, by its own standard errors.

    >>> by_rank_ic(0.009, 0.01), by_rank_ic(0.01, 0.01), by_rank_ic(0.02, 0.01)
    ('monitor', 'plan', 'retrain')
    """
    return "monitor" if standard_error <= 0 else _stage(lost / standard_error, STANDARD_ERRORS)


def by_error(now: float, reference: float) -> Action:
    """Return what a root mean squared error asks for, relative to the reference.

    >>> by_error(1.049, 1.0), by_error(1.05, 1.0), by_error(1.10, 1.0)
    ('monitor', 'plan', 'retrain')
    """
    return "monitor" if reference <= 0 else _stage(now / reference - 1, RELATIVE_ERROR)


def by_features(level: Level) -> Action:
    """Return what drift of the features asks for."""
    return _OF_LEVEL[level]


def most_severe(findings: Sequence[Finding]) -> Action:
    """Return the most severe action; ``monitor`` where nothing was found."""
    return max((finding.action for finding in findings), key=ACTIONS.index, default="monitor")


def _stage(value: float, steps: tuple[float, float]) -> Action:
    # a hair below a step is the step: 0.10 - 0.05 lost is 5 points, whatever the binary fractions make of it
    mild, grave = (step - 1e-9 for step in steps)
    if value >= grave:
        return "retrain"
    return "plan" if value >= mild else "monitor"
