"""How figures, moments and families are written on a page."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "FIGURES",
    "ago",
    "family_name",
    "figure",
    "headline",
    "interval",
    "moment",
    "no_skill",
    "number",
    "percent",
    "span",
]

NONE: Final = "-"
PERCENTS: Final = frozenset({"accuracy", "precision", "recall", "f1_score", "direction_hit_rate"})
FIGURES: Final[Mapping[str, str]] = {
    "rank_ic": "Rank IC",
    "icir": "ICIR",
    "z": "z",
    "accuracy": "Accuracy",
    "f1_score": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "roc_auc": "ROC-AUC",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "mcc": "MCC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "calibration_score": "Calibration score",
}
"""Figures by name, in the order in which they are shown."""
HEADLINES: Final = ("rank_ic", "accuracy", "log_loss", "rmse")


def number(value: Any, digits: int = 3) -> str:
    """Write a number, a dash where there is none.

    >>> number(0.01234), number(None), number(float("nan")), number(12345.6, 0)
    ('0.012', '-', '-', '12,346')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return NONE
    return f"{value:,.{digits}f}"


def percent(value: Any, digits: int = 1) -> str:
    """Write a fraction as percent.

    >>> percent(0.547)
    '54.7 %'
    """
    text = number(value * 100 if isinstance(value, int | float) and not isinstance(value, bool) else None, digits)
    return text if text == NONE else f"{text} %"


def figure(name: str, value: Any) -> str:
    """Write a figure as it is usually written."""
    if name in PERCENTS:
        return percent(value)
    return number(value, {"rank_ic": 4, "rmse": 4, "mae": 4, "r2": 4, "log_loss": 4, "brier": 4, "z": 2}.get(name, 3))


def interval(bounds: Any, name: str = "rank_ic") -> str:
    """Write a 95 % interval of a figure in its unit, nothing where there is none.

    >>> interval([0.001, 0.015]), interval(None)
    ('95 %: 0.0010 to 0.0150', '')
    """
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        return ""
    return f"95 %: {figure(name, bounds[0])} to {figure(name, bounds[1])}"


def headline(metrics: Mapping[str, Any]) -> str | None:
    """Return the name of the figure by which a model is known."""
    return next((name for name in HEADLINES if isinstance(metrics.get(name), int | float)), None)


def no_skill(name: str, baseline: Mapping[str, Any]) -> float | None:
    """Return a figure of no skill; those that compare with it already have it at 0."""
    known = baseline.get(name, 0.0 if name in {"rank_ic", "icir", "z"} else None)
    return None if known is None else float(known)


def moment(at: dt.datetime | str | None) -> str:
    """Write a moment in UTC to the minute.

    >>> moment("2026-01-30T21:05:09+00:00")
    '2026-01-30 21:05 UTC'
    """
    if not at:
        return NONE
    known = dt.datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{known.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def span(seconds: float | None) -> str:
    """Write a length of time roughly.

    >>> span(40), span(3600 * 5), span(86400 * 3)
    ('40 s', '5.0 h', '3.0 days')
    """
    if seconds is None:
        return NONE
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def ago(then: dt.datetime | str | None, now: dt.datetime) -> str:
    """Write how long ago something was; what lies ahead is said so."""
    if not then:
        return NONE
    known = dt.datetime.fromisoformat(then) if isinstance(then, str) else then
    seconds = (now - known).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def family_name(name: str) -> str:
    """Write the name of a family for people.

    >>> family_name("price_predictor")
    'Price predictor'
    """
    return name.replace("_", " ").capitalize()
