"""How good the champions are: near chance, worse than no skill, overfitted, or worse since the last promotion."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from marketloop.cli.examinations.champions import reigning
from marketloop.cli.examinations.finding import Finding, Patient, ok, warning
from marketloop.state import Connection, champions, decisions, versions
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision
from marketloop.state.versions import Version

__all__ = ["EXAMINATIONS"]

_MOST_GAP: Final = 0.15
"""Accuracy lost from seen to unseen rows (or share by which the error grows) that is flagged."""
_LATELY: Final = dt.timedelta(days=92)
"""About 63 sessions: as long as the guard watches a promotion."""


def performance(patient: Patient) -> Iterator[Finding]:
    """Say of each champion how its evidence stands beside no skill."""
    with patient.ledger.read() as db:
        found = {
            family: (now, versions.get(db, now.slot, now.version)) for family, now in reigning(db, patient).items()
        }
    for family, (now, row) in found.items():
        if row is not None:
            yield _performance(family, now, row)
            yield from _overfit(family, row)


def _performance(family: str, now: Champion, row: Version) -> Finding:
    name, evidence = f"performance {family}", f"marketloop validate {family} --report"
    ic = row.scorecard.get("rank_ic") or {}
    value = ", ".join([*_beside(row), *_interval(ic)])
    if not value:
        value = "nothing was examined out of sample: too short a history, so nothing is known of its performance"
        return warning(name, value, "marketloop collect --timeframe 10y, then marketloop retrain " + family)
    ends = ic.get("interval")
    if ends and ends[1] < 0:
        return warning(name, f"poor performance, worse than no skill: {value}", evidence, expected="rank IC above 0")
    if not now.skill_proven:
        said = "near chance, no skill proven" if ends else "no skill proven"
        value = f"{said}, every signal HOLD: {value}"
        remedy = f"{evidence} says what would be enough; more tickers and years help, another split does not"
        return warning(name, value, remedy, expected="a proven skill; on daily bars often there is none")
    return ok(name, f"skill proven: {value}")


def _beside(row: Version) -> Iterator[str]:
    for figure in ("accuracy", "log_loss", "rmse"):
        mine, none = row.metrics.get(figure), row.baseline.get(figure)
        if isinstance(mine, int | float) and isinstance(none, int | float):
            yield f"{figure} {mine:.3f} beside {none:.3f} of no skill"
            return


def _interval(ic: Mapping[str, Any]) -> Iterator[str]:
    mean, ends = ic.get("mean"), ic.get("interval")
    if isinstance(mean, int | float):
        yield f"rank IC {mean:.4f}" + (f" ({ends[0]:.4f} to {ends[1]:.4f})" if ends else "")


def _overfit(family: str, row: Version) -> Iterator[Finding]:
    table = row.scorecard.get("holdout") or row.scorecard.get("seen_and_unseen")
    parts = list(table["figures"].values()) if table else []
    if len(parts) < 2:
        return
    seen, unseen, name = parts[0], parts[-1], f"overfitting {family}"
    if seen.get("accuracy") is not None and unseen.get("accuracy") is not None:
        gap, unit = seen["accuracy"] - unseen["accuracy"], "points of accuracy lost"
    elif seen.get("rmse") and unseen.get("rmse") is not None:
        gap, unit = unseen["rmse"] / seen["rmse"] - 1, "% more error"
    else:
        return
    value = f"{max(100 * gap, 0):.0f} {unit} from rows that were learned from to rows that were not"
    if gap > _MOST_GAP:
        smaller = "--set max_depth=4" if row.recipe == "random_forest" else "--algorithm ridge"
        remedy = f"marketloop retrain {family} {smaller}"
        yield warning(name, value, remedy, expected=f"at most {100 * _MOST_GAP:.0f}")
    else:
        yield ok(name, value)


@dataclass(frozen=True, slots=True)
class _Reign:
    """A champion, what the ledger wrote since, and its version beside the one before."""

    now: Champion
    history: tuple[Champion, ...]
    row: Version | None
    before: Version | None
    words: Mapping[int, Decision]

    @property
    def family(self) -> str:
        return self.now.slot.family


def degradation(patient: Patient) -> Iterator[Finding]:
    """Say of each champion whether things went wrong since it was promoted."""
    with patient.ledger.read() as db:
        found = [_reign(db, now) for now in reigning(db, patient).values()]
    for reign in found:
        yield _degradation(patient, reign)


def _reign(db: Connection, now: Champion) -> _Reign:
    before = champions.previous(db, now.slot)
    return _Reign(
        now=now,
        history=champions.history(db, now.slot, limit=20),
        row=versions.get(db, now.slot, now.version),
        before=None if before is None else versions.get(db, now.slot, before.version),
        words={word.id: word for word in decisions.history(db, now.slot, version=now.version)},
    )


def _degradation(patient: Patient, reign: _Reign) -> Finding:
    now, family, name = reign.now, reign.family, f"degradation {reign.family}"
    back = f'marketloop rollback {family} --reason "worse since version {now.version}"'
    if now.action == "harm":
        word = reign.words.get(now.decision_id)
        value = f"the harm alarm took version {now.version} out of service on {now.recorded_at:%Y-%m-%d}"
        told = f": {word.reason}" if word is not None else ""
        return warning(name, value + told, f"marketloop retrain {family}, or {back}", expected="a champion in service")
    returned = next(
        (e for e in reign.history if e.action == "rollback" and patient.now - e.recorded_at <= _LATELY), None
    )
    if returned is not None:
        word = reign.words.get(returned.decision_id)
        who = "the guard" if word is not None and word.reason_code == "guard" else "somebody"
        value = f"{who} went back to version {returned.version} on {returned.recorded_at:%Y-%m-%d}"
        return warning(name, value, f"marketloop models {family}", expected="a promotion that stays")
    worse = _worse(reign.row, reign.before)
    if now.action == "forced" and worse and reign.before is not None:
        value = f"version {now.version} was forced past the gate: {worse} of version {reign.before.version}"
        remedy = f"marketloop compare {family} {reign.before.version} {now.version}, or {back}"
        return warning(name, value, remedy, expected="the gate's word")
    if not patient.settings.guard.enabled:
        value = "no harm, no rollback lately; [guard] enabled = false: nothing would take a worse champion back"
        return ok(name, value, remedy="set [guard] enabled = true in marketloop.toml")
    return ok(name, "no harm alarm and no rollback in three months")


def _worse(now: Version | None, before: Version | None) -> str:
    """Say by which main figure a version is worse than the one before; empty where it is not."""
    if now is None or before is None:
        return ""
    for figure in versions.MAIN_FIGURES:
        mine, theirs = now.metrics.get(figure), before.metrics.get(figure)
        if isinstance(mine, int | float) and isinstance(theirs, int | float):
            return f"{figure} {mine:.4f} after {theirs:.4f}" if mine < theirs else ""
    return ""


EXAMINATIONS: Final = (("performance", performance), ("degradation", degradation))
