"""What a version's report is made of, and how its figures are written for people."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from marketloop.core.values import Sessions
from marketloop.evaluation.timeline import Timeline
from marketloop.reports import numbers

__all__ = [
    "MEASURES",
    "Measure",
    "Nominee",
    "VersionEvidence",
    "figure",
    "interval",
    "label",
    "measure",
    "number",
    "points",
]

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Nominee:
    """The recipe that spoke for the family from one date to another, over `blocks` blocks."""

    first: dt.date
    last: dt.date
    blocks: int
    name: str


@dataclass(frozen=True, slots=True)
class VersionEvidence:
    """Everything that is known of one version.

    Parameters
    ----------
    family, description, config_key, version
    verdict, reason_code, reason, recommendation : str
        The gate's word, None while it was not asked, and what to do about it.
    facts : mapping
        What was examined, ready to print.
    nominees, inner : sequence, mapping
        Who spoke for the family when, and the mean inner figure of each contender.
    metrics, baseline, scorecard, record : mapping
        As the ledger holds them; `record` is that of the decision.
    classes : names, empty for a value
    checks, grades, parts, importance : sequences of mappings
        As `validate` and `importance` give them; `importance` holds every feature.
    trials, harm : mapping, optional
    warnings : sequence of str
    horizon, overlap : int
        Of the label, and of one value of the series that decides, in sessions.
    statistic : str
        What skill is measured by: ``rank_ic`` or ``log_loss``.
    unit : str
        Of the label where it is a value: ``return`` or ``rank``.
    timeline : Timeline, optional
        The course of its stream; None where it has none.
    sessions : Sessions, optional
        Turns the session numbers of `timeline` into dates.
    """

    family: str
    description: str
    config_key: str
    version: int
    verdict: str | None
    reason_code: str | None
    reason: str
    recommendation: str
    facts: Mapping[str, str] = field(default_factory=dict)
    nominees: Sequence[Nominee] = ()
    inner: Mapping[str, float] = field(default_factory=dict)
    metrics: Values = field(default_factory=dict)
    baseline: Values = field(default_factory=dict)
    scorecard: Values = field(default_factory=dict)
    record: Values = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    checks: Sequence[Values] = ()
    grades: Sequence[Values] = ()
    parts: Sequence[Values] = ()
    importance: Sequence[Values] = ()
    trials: Values | None = None
    harm: Values | None = None
    warnings: Sequence[str] = ()
    horizon: int = 5
    overlap: int = 1
    statistic: str = "rank_ic"
    unit: str = ""
    timeline: Timeline | None = None
    sessions: Sessions | None = None

    @property
    def by_order(self) -> bool:
        """Whether skill is measured by the order of tickers (ic1), and not by a log loss."""
        return self.statistic == "rank_ic"


@dataclass(frozen=True, slots=True)
class Measure:
    """How a figure is called and written, and what it means; `low` says that smaller is better."""

    label: str
    write: Callable[[float], str]
    meaning: str = ""
    low: bool = False


def number(value: Any, digits: int = 2) -> str:
    """Write a number, a dash where there is none.

    >>> number(1234.567), number(None)
    ('1,234.57', '-')
    """
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return numbers.number(float(value) if known else math.nan, digits)


def points(value: Any, digits: int = 1) -> str:
    """Write a fraction as percent, a dash where there is none."""
    return numbers.percent(float(value) if isinstance(value, int | float) else math.nan, digits)


def interval(bounds: Sequence[float] | None, write: Callable[[float], str]) -> str:
    """Write a 95 % interval, or why there is none."""
    return (
        "too few sessions for an interval" if not bounds else f"95 % interval {write(bounds[0])} to {write(bounds[1])}"
    )


def label(text: str) -> str:
    """Escape a name for a figure, where the plotting library reads a few tags itself.

    >>> label("<b>a & b")
    '&lt;b&gt;a &amp; b'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _four(value: float) -> str:
    return number(value, 4)


MEASURES: Final[Mapping[str, Measure]] = {
    "accuracy": Measure("accuracy", points, "rows whose likeliest class happened"),
    "precision": Measure("precision", points, "of the rows said to be a class, those that were; weighted"),
    "recall": Measure("recall", points, "of the rows of a class, those that were said to be; weighted"),
    "f1_score": Measure("F1", points, "harmonic mean of precision and recall; weighted"),
    "roc_auc": Measure("ROC-AUC", lambda v: number(v, 3), "0.5 is a coin; one class against the rest, weighted"),
    "log_loss": Measure("log loss", lambda v: f"{_four(v)} nats", "surprise about what happened", low=True),
    "brier": Measure("Brier score", _four, "squared distance of the probabilities, 0 to 2", low=True),
    "mcc": Measure("MCC", lambda v: number(v, 3), "correlation of said and true classes, \u22121 to 1"),
    "rmse": Measure("root mean square error", _four, "in the label's unit", low=True),
    "mae": Measure("mean absolute error", _four, "in the label's unit", low=True),
    "r2": Measure("R²", lambda v: number(v, 4), "share of the variance explained; below 0 is worse than the mean"),
    "rank_ic": Measure("rank IC", _four, "rank correlation of score and neutralised return, mean over sessions"),
    "rank_ic_raw": Measure("rank IC, raw returns", _four, "the same without taking out beta and volatility"),
    "icir": Measure("ICIR", lambda v: number(v, 3), "mean rank IC over its standard deviation, per session"),
    "z": Measure("z", number, "of the series that decides"),
    "calibration_score": Measure("calibration score", lambda v: number(v, 3), "1 less the calibration error"),
}
_RETURNS: Final[Mapping[str, Measure]] = {
    name: Measure(MEASURES[name].label, lambda v: points(v, 2), "of the return", low=True) for name in ("rmse", "mae")
}


def measure(name: str, unit: str = "") -> Measure:
    """Return how the figure `name` is written; of a return, errors are percent."""
    if unit == "return" and name in _RETURNS:
        return _RETURNS[name]
    return MEASURES.get(name, Measure(name.replace("_", " "), _four))


def figure(name: str, value: Any, unit: str = "") -> str:
    """Write one figure with its unit, a dash where there is none."""
    known = isinstance(value, int | float) and math.isfinite(value)
    return measure(name, unit).write(value) if known else numbers.NONE
