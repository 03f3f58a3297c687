"""The evidence about one version put together for a reader: checks, grades, features, and what to do (E6, F15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marketloop.loop.house import House
from marketloop.loop.importance import feature_warnings, measured_importance, top_features
from marketloop.loop.lookup import find_version, gate_decision, history_of
from marketloop.loop.shares import left_out
from marketloop.state.decisions import Decision
from marketloop.state.versions import Version

__all__ = ["Validation", "validate"]

GOOD_CALIBRATION, FAIR_CALIBRATION = 0.90, 0.85
GOOD_STABILITY, FAIR_STABILITY = 0.03, 0.06
MOST_GAP = 0.15
PARTS = ("train", "validation", "test", "seen", "unseen")
"""In the order in which they are shown: what was learned from first."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What is known of one version.

    Parameters
    ----------
    verdict, reason_code, reason : str or None
        The gate's word; None while it was not asked.
    checks : list of mappings
        As the gate recorded them.
    grades : list of mappings ``name, value, threshold, grade``
        Calibration, stability and overfit: reported, never deciding.
    features : list of mappings ``name, share, contribution, permutation``
        The five features that hold most of the importance: the learner's own share, the share of the contributions to
        the score (SHAP), and the rank IC that a shuffle costs; the last two out of sample, null where not measured.
    parts : list of mappings ``part, rows, figures, baseline``
        The model on rows that it learned from, and its recipe on rows that it did not.
    trials : mapping, optional
        How many settings were tried, and how much of the best one is luck (E5); None where nothing was tuned.
    harm : mapping, optional
        When and why the harm alarm took the version out of service.
    decision : Decision, optional
        The gate's word as the ledger holds it.
    """

    version: Version
    verdict: str | None
    reason_code: str | None
    reason: str
    recommendation: str
    checks: list[dict[str, Any]] = field(default_factory=list)
    grades: list[dict[str, Any]] = field(default_factory=list)
    features: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    parts: list[dict[str, Any]] = field(default_factory=list)
    trials: dict[str, Any] | None = None
    harm: dict[str, Any] | None = None
    decision: Decision | None = None

    @property
    def exit_code(self) -> int:
        """1 when the gate refused, 3 when the examination failed, else 0."""
        return {"refused": 1, "failed": 3}.get(self.verdict or "", 0)

    def document(self) -> dict[str, Any]:
        """Return the `validate` document."""
        return {
            "family": self.version.slot.family,
            "config_key": self.version.slot.config_key,
            "version": self.version.version,
            "verdict": self.verdict,
            "reason_code": self.reason_code,
            "reason": self.reason,
            "metrics": dict(self.version.metrics),
            "baseline": dict(self.version.baseline),
            "checks": self.checks,
            "grades": self.grades,
            "features": self.features,
            "parts": self.parts,
            "trials": self.trials,
            "harm": self.harm,
            "warnings": list(self.warnings),
            "recommendation": self.recommendation,
        }


def validate(house: House, family: str | None = None, version: int | None = None) -> Validation:
    """Return what is known of `version`, by default the newest one of `family`, by default the primary one.

    Raises
    ------
    UsageError
        The family or the version is unknown, or nothing was trained yet.
    FailedError
        The artefact is damaged.
    """
    row = find_version(house, family, version)
    history = history_of(house, row)
    decision = gate_decision(history)
    measured = measured_importance(house, row)
    record: Mapping[str, Any] = {} if decision is None else decision.record
    parts = _parts(row.scorecard)
    harm = _harm(history)
    return Validation(
        version=row,
        verdict=None if decision is None else decision.verdict,
        reason_code=None if decision is None else decision.reason_code,
        reason="trained, and not examined by the gate" if decision is None else decision.reason,
        recommendation=_recommendation(row.slot.family, decision, harm),
        checks=list(record.get("checks", ())),
        grades=_grades(row.scorecard, parts),
        features=top_features(measured["gain"], measured),
        warnings=(
            *left_out(int(record.get("sessions_dropped") or 0), int(record.get("n") or 0)),
            *_somebody_else(row.scorecard),
            *_overfit_warning(parts),
            *feature_warnings(measured["gain"]),
        ),
        parts=parts,
        trials=next((t for t in (row.scorecard.get("trials"), record.get("trials")) if isinstance(t, dict)), None),
        harm=harm,
        decision=decision,
    )


def _harm(history: tuple[Decision, ...]) -> dict[str, Any] | None:
    found = next((d for d in history if d.verdict == "harm"), None)
    if found is None:
        return None
    return {"at": found.decided_at.isoformat(), "reason": found.reason, **(found.record.get("harm") or {})}


def _parts(scorecard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the table of seen and unseen rows: of the holdout of `train`, or of an examination."""
    table = scorecard.get("holdout") or scorecard.get("seen_and_unseen")
    if not table:
        return []
    baseline, figures = table.get("baseline") or {}, table["figures"]
    return [
        {"part": part, "rows": table["rows"][part], "figures": figures[part], "baseline": baseline.get(part, {})}
        for part in PARTS
        if part in figures
    ]


def _grades(scorecard: Mapping[str, Any], parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    calibration = (scorecard.get("calibration") or {}).get("score")
    if calibration is not None:
        word = _grade(-calibration, -GOOD_CALIBRATION, -FAIR_CALIBRATION)
        found.append({"name": "calibration", "value": calibration, "threshold": FAIR_CALIBRATION, "grade": word})
    stability = scorecard.get("stability")
    if stability is not None:
        word = _grade(stability, GOOD_STABILITY, FAIR_STABILITY)
        found.append({"name": "stability", "value": stability, "threshold": FAIR_STABILITY, "grade": word})
    gap = _gap(parts)
    if gap is not None:
        word = "poor" if gap > MOST_GAP else "good"
        found.append({"name": "overfit", "value": gap, "threshold": MOST_GAP, "grade": word})
    return found


def _gap(parts: list[dict[str, Any]]) -> float | None:
    """Return the accuracy lost from seen to unseen rows or, for values, by what share the error grows."""
    if len(parts) < 2:
        return None
    seen, unseen = parts[0]["figures"], parts[-1]["figures"]
    if seen.get("accuracy") is not None and unseen.get("accuracy") is not None:
        return float(seen["accuracy"] - unseen["accuracy"])
    if seen.get("rmse") and unseen.get("rmse") is not None:
        return float(unseen["rmse"] / seen["rmse"] - 1)
    return None


def _grade(value: float, good: float, fair: float) -> str:
    return "good" if value <= good else "acceptable" if value <= fair else "poor"


def _overfit_warning(parts: list[dict[str, Any]]) -> tuple[str, ...]:
    gap = _gap(parts)
    if gap is None or gap <= MOST_GAP:
        return ()
    what = "accuracy falls by" if "accuracy" in parts[0]["figures"] else "the error grows by"
    unit = "points" if "accuracy" in parts[0]["figures"] else "%"
    text = f"overfit: {what} {100 * gap:.0f} {unit} from rows that were learned from to rows that were not"
    return (f"{text}; use a shrunk recipe (--algorithm rank_ridge) or smaller trees (--algorithm xgboost_regularised)",)


def _somebody_else(scorecard: Mapping[str, Any]) -> tuple[str, ...]:
    """Say so when the figures of a candidate are of another contender than it is."""
    table = scorecard.get("holdout") or {}
    spoke, candidate = table.get("nominee"), table.get("candidate")
    if spoke == candidate:
        return ()
    return (f"the figures are of {spoke}, nominated before validation began; the version itself is {candidate}",)


def _recommendation(family: str, decision: Decision | None, harm: Mapping[str, Any] | None) -> str:
    if harm is not None:
        return f"do not trade it: the harm alarm took it out of service; run `marketloop retrain {family}`"
    if decision is None:
        return f"run `marketloop retrain {family}`: it examines a candidate and asks the gate"
    to_pass = decision.record.get("to_pass") or "more evidence"
    if decision.verdict == "promoted" and decision.record.get("skill_proven", True):
        return "serve it: the gate promoted it"
    if decision.verdict == "promoted":
        return f"serve it as provisional, with signals HOLD: it was forced; to be proven it takes {to_pass}"
    if decision.verdict == "provisional":
        return f"serve it as provisional, with signals HOLD; to be proven it takes {to_pass}"
    return _instead(decision, to_pass)


def _instead(decision: Decision, to_pass: str) -> str:
    """Say what to do about a version that was refused."""
    match decision.reason_code:
        case "leak" | "implausible":
            return "do not serve it: find the feature that sees the future (`marketloop features --check`)"
        case "no_skill":
            return f"keep what serves; skill would take {to_pass}"
        case "not_better":
            return "keep what serves: this version is not shown to be better, and no refresh was due (see the reason)"
        case "floor":
            return "keep what serves: a floor that the project set itself was not reached"
        case "error":
            return "keep what serves, and mend what failed: see the reason"
    return "keep what serves, and look at the check that failed"
