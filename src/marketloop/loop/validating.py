"""The evidence about one version put together for a reader: checks, grades, features, and what to do (E6, F15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marketloop.core.errors import UsageError
from marketloop.loop.house import House
from marketloop.state import decisions, versions
from marketloop.state.decisions import Decision
from marketloop.state.versions import Version

__all__ = ["Validation", "feature_warnings", "validate"]

TOP = 5
WEAK, DOMINANT = 0.5, 0.3
GOOD_CALIBRATION, FAIR_CALIBRATION = 0.90, 0.85
GOOD_STABILITY, FAIR_STABILITY = 0.03, 0.06
MOST_GAP = 0.15


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
    slot = house.slot(family or house.settings.serve.primary)
    with house.state.read() as db:
        if version is None:
            complete = [row for row in versions.listing(db, slot) if row.state == "complete"]
            if not complete:
                text = f"{slot.family} has no version with the configuration {slot.config_key} yet"
                raise UsageError(f"{text}: run `marketloop retrain {slot.family}`")
            version = complete[-1].version
        row = versions.require(db, slot, version)
        decision = _gate_decision(decisions.history(db, slot, version=version))
    measured: Mapping[str, Any] = row.scorecard.get("importance") or {}
    importance = dict(measured.get("gain", {}))
    if not importance and row.state == "complete":
        importance = dict(house.registry.load(slot, version).manifest.get("importance", {}))
    record: Mapping[str, Any] = {} if decision is None else decision.record
    return Validation(
        version=row,
        verdict=None if decision is None else decision.verdict,
        reason_code=None if decision is None else decision.reason_code,
        reason="trained, and not examined by the gate" if decision is None else decision.reason,
        recommendation=_recommendation(slot.family, decision),
        checks=list(record.get("checks", ())),
        grades=_grades(row.scorecard),
        features=_top(importance, measured),
        warnings=feature_warnings(importance),
    )


def _top(importance: Mapping[str, float], measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    contribution, permutation = measured.get("contribution", {}), measured.get("permutation", {})
    names = sorted(importance, key=lambda name: -importance[name])[:TOP]
    return [
        {
            "name": name,
            "share": importance[name],
            "contribution": contribution.get(name),
            "permutation": permutation.get(name),
        }
        for name in names
    ]


def feature_warnings(importance: Mapping[str, float]) -> tuple[str, ...]:
    """Warn when importance is spread thinly (top five below half) or one feature holds more than 30 %."""
    if not importance:
        return ()
    shares = sorted(importance.items(), key=lambda item: -item[1])
    top = sum(share for _, share in shares[:TOP])
    warnings = []
    if len(shares) > TOP and top < WEAK:
        warnings.append(f"weak: the top five features hold {top:.0%} of the importance, less than half")
    name, most = shares[0]
    if most > DOMINANT:
        warnings.append(f"dominant: {name} holds {most:.0%} of the importance; look whether it sees the future")
    return tuple(warnings)


def _gate_decision(history: tuple[Decision, ...]) -> Decision | None:
    """Return the newest word of the gate itself: a rollback to a version is no examination of it."""
    return next((d for d in history if d.verdict in {"promoted", "provisional", "refused", "failed"}), None)


def _grades(scorecard: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    calibration = (scorecard.get("calibration") or {}).get("score")
    if calibration is not None:
        word = _grade(-calibration, -GOOD_CALIBRATION, -FAIR_CALIBRATION)
        found.append({"name": "calibration", "value": calibration, "threshold": FAIR_CALIBRATION, "grade": word})
    stability = scorecard.get("stability")
    if stability is not None:
        word = _grade(stability, GOOD_STABILITY, FAIR_STABILITY)
        found.append({"name": "stability", "value": stability, "threshold": FAIR_STABILITY, "grade": word})
    holdout = (scorecard.get("holdout") or {}).get("figures")
    if holdout:
        gap = holdout["train"]["accuracy"] - holdout["test"]["accuracy"]
        word = "poor" if gap > MOST_GAP else "good"
        found.append({"name": "overfit", "value": gap, "threshold": MOST_GAP, "grade": word})
    return found


def _grade(value: float, good: float, fair: float) -> str:
    return "good" if value <= good else "acceptable" if value <= fair else "poor"


def _recommendation(family: str, decision: Decision | None) -> str:
    if decision is None:
        return f"run `marketloop retrain {family}`: it examines a candidate and asks the gate"
    if decision.verdict == "promoted":
        return "serve it: the gate promoted it"
    to_pass = decision.record.get("to_pass")
    if decision.verdict == "provisional":
        return f"serve it as provisional, with signals HOLD; to be proven it takes {to_pass or 'more evidence'}"
    code = decision.reason_code
    if code in {"leak", "implausible"}:
        return "do not serve it: find the feature that sees the future (`marketloop features --check`)"
    if code == "no_skill":
        return f"keep what serves; skill would take {to_pass}"
    return "keep what serves, and look at the check that failed"
