"""The gate's numbers, as the settings of a project give them."""

from __future__ import annotations

from marketloop.evaluation.gate import GatePolicy
from marketloop.runtime.settings import Settings

__all__ = ["gate_policy"]


def gate_policy(settings: Settings, family: str, *, families: int = 1) -> GatePolicy:
    """Return the gate's numbers for `family`; with ``alpha_scope = "project"`` alpha is shared by the `families`."""
    gate = settings.gate_for(family)
    share = families if gate.alpha_scope == "project" else 1
    return GatePolicy(
        alpha_skill=gate.alpha_skill / share,
        alpha_better=gate.alpha_better,
        min_skill_sessions=gate.min_skill_sessions,
        min_pair_sessions=gate.min_pair_sessions,
        refresh_age=settings.family_section(family).max_age or gate.refresh_age,
        z_refresh=gate.z_refresh,
        harm_window=gate.harm_window,
        z_harm=gate.z_harm,
    )
