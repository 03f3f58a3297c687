"""The documents that `champion` and `models` print."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from marketloop.state import Slot, State, champions, versions
from marketloop.state.champions import Champion
from marketloop.state.versions import VersionLine

__all__ = ["champion_document", "models_document"]


def champion_document(state: State, *, family: str | None = None, at: datetime | None = None) -> dict[str, Any]:
    """Return ``{"champions": [...]}`` as SPEC "P" describes it, now or at a moment, of one family or all."""
    with state.read() as db:
        slots = [slot for slot in champions.slots(db) if family in {None, slot.family}]
        held = [champions.current(db, slot) if at is None else champions.at(db, slot, at) for slot in slots]
    return {"champions": [_champion(entry) for entry in held if entry is not None]}


def models_document(state: State, *, family: str | None = None) -> dict[str, Any]:
    """Return ``{"models": [...]}`` as SPEC "P" describes it.

    ``status`` is ``champion`` or ``provisional`` for the version that serves, ``previous`` for the one a rollback
    leads to, ``retired`` for others that served, ``refused`` or ``candidate`` for the rest, ``deleted`` when retention
    removed the artefact. Versions whose writer died are left out.
    """
    with state.read() as db:
        rows = versions.lines(db, family=family)
        ledgers = {slot: champions.history(db, slot) for slot in {row.slot for row in rows}}
        before = {slot: champions.previous(db, slot) for slot in ledgers}
    return {
        "models": [
            _model(row, _status(row, ledgers[row.slot], before[row.slot]))
            for row in rows
            if row.state in {"complete", "deleted"}
        ]
    }


def _status(row: VersionLine, ledger: tuple[Champion, ...], before: Champion | None) -> str:
    if ledger and ledger[0].version == row.version:
        return ledger[0].status
    if before is not None and before.version == row.version:
        return "previous"
    if row.state == "deleted":
        return "deleted"
    if any(entry.version == row.version for entry in ledger):
        return "retired"
    return "refused" if row.verdict == "refused" else "candidate"


def _slot(slot: Slot) -> dict[str, Any]:
    return {"family": slot.family, "config_key": slot.config_key}


def _champion(entry: Champion) -> dict[str, Any]:
    return {
        **_slot(entry.slot),
        "version": entry.version,
        "status": entry.status,
        "pinned": entry.pinned,
        "skill_proven": entry.skill_proven,
        "promoted_at": entry.promoted_at.isoformat(),
        "trained_at": entry.trained_at.isoformat(),
        "data_version": entry.data_version,
        "sha256": entry.sha256,
    }


def _model(row: VersionLine, status: str) -> dict[str, Any]:
    return {
        **_slot(row.slot),
        "version": row.version,
        "verdict": row.verdict,
        "status": status,
        "metrics": row.metrics,
        "baseline": row.baseline,
        "trained_at": row.trained_at.isoformat(),
    }
