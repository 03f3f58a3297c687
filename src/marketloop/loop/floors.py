"""Absolute floors that a user wishes for: printed as such, never a test of skill (G5)."""

from __future__ import annotations

from collections.abc import Mapping

from marketloop.core.catalog import Check
from marketloop.loop.examining import Examined
from marketloop.loop.house import House
from marketloop.loop.preparing import floor_names
from marketloop.state import versions

__all__ = ["figure_floor", "floor_checks", "loss_floor"]

POINTS_LOST = "points_lost"
ROUNDING = 1e-9
"""Floors are inclusive; what rounding takes from a figure must not put it below."""


def floor_checks(house: House, examined: Examined) -> tuple[Check, ...]:
    """Return one check per floor of the family's gate settings; there are none by default.

    All figures of the floors are those of classes: a family that predicts a value has none of them, and no floors.
    """
    family = examined.made.spec.family
    if not family.classes:
        return ()
    figures = examined.scorecard.figures()
    reference = _reference(house, examined)
    return tuple(
        loss_floor(figures, reference, floor, champion=examined.champion.version if examined.champion else None)
        if name == POINTS_LOST
        else figure_floor(name, figures.get(name), floor)
        for name, floor in floor_names(house, family.name).items()
    )


def figure_floor(name: str, value: float | None, floor: float) -> Check:
    """Return the check that a figure is at least `floor`; one that was not measured is below every floor."""
    good = value is not None and value >= floor - ROUNDING
    known = "not measured" if value is None else f"{value:.3f}"
    return Check(f"floor:{name}", value, floor, good, detail=f"{name} {known}, wished at least {floor:g}")


def loss_floor(
    figures: Mapping[str, float], reference: Mapping[str, float], most: float, *, champion: int | None
) -> Check:
    """Return the check that accuracy lost against the champion's own figure is at most `most` points.

    Parameters
    ----------
    figures, reference : mapping of figure to value
        Of the candidate now, and of the champion when it was examined.
    champion : int, optional
        Version of the champion, None when there is none and nothing to lose.
    """
    name = f"floor:{POINTS_LOST}"
    own, before = figures.get("accuracy"), reference.get("accuracy")
    if champion is None or before is None:
        return Check(name, None, most, passed=True, detail="no champion with an accuracy to lose against")
    if own is None:
        return Check(name, None, most, passed=False, detail="accuracy not measured")
    lost = 100 * (before - own)
    relative = f" ({(own - before) / before:+.1%} relative)" if before > 0 else ""
    what = f"{lost:.1f} points lost" if lost > 0 else f"{-lost:.1f} points gained"
    detail = f"accuracy {own:.3f} against {before:.3f} of version {champion}: {what}{relative}"
    return Check(name, lost, most, lost <= most + ROUNDING, detail=f"{detail}, wished at most {most:g} points lost")


def _reference(house: House, examined: Examined) -> Mapping[str, float]:
    if examined.champion is None:
        return {}
    with house.state.read() as db:
        version = versions.get(db, examined.champion.slot, examined.champion.version)
    return {} if version is None else version.metrics
