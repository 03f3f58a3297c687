"""Absolute floors that a user wishes for: printed as such, never a test of skill (G5)."""

from __future__ import annotations

from collections.abc import Mapping

from marketloop.core.catalog import Check
from marketloop.core.errors import unknown_name
from marketloop.loop.examining import Examined
from marketloop.loop.house import House

__all__ = ["PROFILES", "floor_checks"]

PROFILES: Mapping[str, Mapping[str, float]] = {
    "none": {},
    "guide": {"accuracy": 0.60},
    "strict": {"accuracy": 0.70, "f1_score": 0.65},
}
"""Floors by profile; inclusive."""


def floor_checks(house: House, examined: Examined) -> tuple[Check, ...]:
    """Return one check per floor of the family's gate settings; there are none by default."""
    gate = house.settings.gate_for(examined.made.spec.family.name)
    floors = {**PROFILES[gate.profile], **gate.floors}
    metrics = examined.scorecard.metrics
    figures = {} if metrics is None else metrics.figures()
    checks = []
    for name, floor in floors.items():
        if name not in figures:
            raise unknown_name("figure in [gate] floors", name, figures)
        value = figures[name]
        checks.append(
            Check(
                f"floor:{name}", value, floor, value >= floor, detail=f"{name} {value:.3f}, wished at least {floor:g}"
            )
        )
    return tuple(checks)
