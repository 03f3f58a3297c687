"""Finding a version and the gate's word on it in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from marketloop.core.errors import UsageError
from marketloop.dataset import LabelSpec
from marketloop.evaluation.stream import StreamSpec
from marketloop.loop.house import House
from marketloop.loop.preparing import choose
from marketloop.state import decisions, versions
from marketloop.state.decisions import Decision
from marketloop.state.versions import Version

__all__ = ["find_version", "gate_decision", "history_of", "recorded_spec"]

GATE_WORDS = frozenset({"promoted", "provisional", "refused", "failed"})


def find_version(house: House, family: str | None = None, version: int | None = None) -> Version:
    """Return a version of `family`, by default the newest one of the primary family.

    Raises
    ------
    UsageError
        The family or the version is unknown, or nothing was trained yet.
    """
    slot = house.slot(family or house.settings.serve.primary)
    with house.state.read() as db:
        if version is not None:
            return versions.require(db, slot, version)
        complete = [row for row in versions.listing(db, slot) if row.state == "complete"]
    if not complete:
        text = f"{slot.family} has no version with the configuration {slot.config_key} yet"
        raise UsageError(f"{text}: run `marketloop retrain {slot.family}`")
    return complete[-1]


def history_of(house: House, version: Version) -> tuple[Decision, ...]:
    """Return every decision on a version, newest first."""
    with house.state.read() as db:
        return decisions.history(db, version.slot, version=version.version)


def gate_decision(history: tuple[Decision, ...]) -> Decision | None:
    """Return the newest word of the gate itself: a rollback to a version is no examination of it."""
    return next((d for d in history if d.verdict in GATE_WORDS), None)


def recorded_spec(house: House, family: str, manifest: Mapping[str, Any]) -> StreamSpec:
    """Return the family's spec with the label and the features that the `manifest` of a version names.

    Its contenders are those of the settings of now, and not what made the version.
    """
    spec = choose(house, family)
    label = LabelSpec(int(manifest["horizon"]), manifest["threshold"], spec.label.label)
    return replace(spec, feature_set=str(manifest["feature_set"]), label=label)
