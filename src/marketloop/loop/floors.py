"""Absolute floors that a user wishes for: printed as such, never a test of skill (G5)."""

from __future__ import annotations

from marketloop.core.catalog import Check
from marketloop.loop.examining import Examined
from marketloop.loop.house import House
from marketloop.loop.preparing import floor_names

__all__ = ["floor_checks"]


def floor_checks(house: House, examined: Examined) -> tuple[Check, ...]:
    """Return one check per floor of the family's gate settings; there are none by default."""
    metrics = examined.scorecard.metrics
    figures = {} if metrics is None else metrics.figures()
    checks = []
    for name, floor in floor_names(house, examined.made.spec.family.name).items():
        value = figures.get(name)
        good = value is not None and value >= floor
        shown = "not measured" if value is None else f"{value:.3f}"
        checks.append(Check(f"floor:{name}", value, floor, good, detail=f"{name} {shown}, wished at least {floor:g}"))
    return tuple(checks)
