"""How figures are written on a page: percent, money and numbers with a real minus sign, a dash where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable

from marketloop.evaluation.performance import Bounds

__all__ = ["interval", "money", "number", "percent"]

NONE = "-"
MINUS = "\u2212"


def percent(value: float, digits: int = 1) -> str:
    """Write a fraction as percent.

    >>> percent(0.1234)
    '12.3 %'
    """
    return NONE if not math.isfinite(value) else f"{100 * value:,.{digits}f} %".replace("-", MINUS)


def money(value: float) -> str:
    """Write an amount without decimals.

    >>> money(1234567.8)
    '1,234,568'
    """
    return number(value, 0)


def number(value: float, digits: int = 2) -> str:
    """Write a number.

    >>> number(1.005, 1)
    '1.0'
    """
    return NONE if not math.isfinite(value) else f"{value:,.{digits}f}".replace("-", MINUS)


def interval(bounds: Bounds, write: Callable[[float], str] = number) -> str:
    """Write both ends of an interval.

    >>> interval(Bounds(0.5, 0.25, 0.75))
    '0.25 to 0.75'
    """
    return f"{write(bounds.low)} to {write(bounds.high)}" if math.isfinite(bounds.low) else "too few sessions"
